"""What the data plane counts."""

from __future__ import annotations

from arkwright.kit.telemetry import counter, gauge

LOG_ROWS = counter("arkwright_prediction_log_rows_total", "Rows written to the prediction log.")
LOG_DROPPED = counter("arkwright_prediction_log_dropped_total", "Rows lost to the prediction log.", ("reason",))
LOG_FOLDER_BYTES = gauge("arkwright_prediction_log_folder_bytes", "Size of the segments that were not shipped yet.")
OUTCOME_ROWS = counter("arkwright_feedback_outcomes_total", "Outcomes taken over.")
PLAN_GENERATION = gauge("arkwright_plan_generation", "Generation of the plan in use.")
PLAN_FAILED_ENDPOINTS = gauge("arkwright_plan_failed_endpoints", "Endpoints of the plan that could not be prepared.")
MODEL_VERSION_LOADED = gauge(
    "arkwright_model_version_loaded", "1 for each model version that answers now.", ("deployment", "version", "arm")
)

# Traffic: what the data plane does by itself to protect callers from a model, and a model from callers.
FUSE_BLOWN = gauge("arkwright_fuse_blown", "1 while this data plane keeps traffic from an arm.", ("deployment", "arm"))
BREAKER_OPEN = gauge("arkwright_breaker_open", "1 while an arm's circuit breaker is not closed.", ("deployment", "arm"))
MODEL_FAILURES = counter("arkwright_model_failures_total", "Calls that a model failed.", ("deployment", "arm"))
FALLBACKS = counter("arkwright_fallbacks_total", "Requests that a fallback answered.", ("deployment", "kind"))
SHADOW_ROWS = counter("arkwright_shadow_rows_total", "Rows that a shadow arm scored.", ("deployment", "arm"))
SHADOW_DROPPED = counter(
    "arkwright_shadow_dropped_total", "Requests that were not copied because the queue was full.", ("deployment",)
)
CACHE_HITS = counter("arkwright_result_cache_hits_total", "Requests answered from memory.")
CACHE_MISSES = counter("arkwright_result_cache_misses_total", "Requests looked for in memory and not found.")
CACHE_BYTES = gauge("arkwright_result_cache_bytes", "Memory that kept answers take.")
RATE_LIMITED = counter("arkwright_rate_limited_total", "Requests refused by a rate limit.", ("deployment",))
QUEUED = gauge("arkwright_inference_queued", "Requests that wait for a model.")
CPU_PERCENT = gauge("arkwright_inference_cpu_percent", "Processor time of this process, in percent of one core.")
REPORTS_LOST = counter("arkwright_window_reports_lost_total", "Reports that the control plane never took.")
