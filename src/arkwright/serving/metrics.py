"""What the data plane counts."""

from __future__ import annotations

from arkwright.kit.telemetry import counter, gauge, histogram

REQUESTS = counter(
    "arkwright_inference_requests_total", "Prediction requests answered.", ("deployment", "version", "status")
)
LATENCY = histogram(
    "arkwright_inference_latency_seconds", "From the first byte of a request to its answer.", ("deployment", "version")
)
ROWS = counter("arkwright_inference_rows_total", "Rows scored.", ("deployment", "version"))
IN_FLIGHT = gauge("arkwright_inference_in_flight", "Prediction requests being answered now.")
LOG_ROWS = counter("arkwright_prediction_log_rows_total", "Rows written to the prediction log.")
LOG_DROPPED = counter("arkwright_prediction_log_dropped_total", "Rows lost to the prediction log.", ("reason",))
PLAN_GENERATION = gauge("arkwright_plan_generation", "Generation of the plan in use.")
PLAN_FAILED_ENDPOINTS = gauge("arkwright_plan_failed_endpoints", "Endpoints of the plan that could not be prepared.")
MODEL_VERSION_LOADED = gauge(
    "arkwright_model_version_loaded", "1 for each model version that answers now.", ("deployment", "version", "arm")
)
