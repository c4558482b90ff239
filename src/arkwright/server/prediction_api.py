"""The data plane's endpoint in the control plane's API description: one document for clients."""

from __future__ import annotations

from typing import Any

_PATH = "/v1/inference/{deployment_id}:predict"


def describe_prediction(schema: dict[str, Any]) -> dict[str, Any]:
    """Add ``POST /v1/inference/{deployment_id}:predict``, which the data plane answers, to an OpenAPI document."""
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components["PredictRequest"] = {
        "type": "object",
        "required": ["instances"],
        "properties": {"instances": {"type": "array", "items": {"type": "object"}, "minItems": 1}},
        "examples": [{"instances": [{"tenure": 12, "Contract": "Month-to-month", "MonthlyCharges": 70.35}]}],
    }
    components["PredictResponse"] = {
        "type": "object",
        "required": ["predictions", "latency_ms"],
        "properties": {
            "predictions": {
                "type": "array",
                "items": {"type": "object"},
                "description": "For each instance its identifiers and label and score, or value.",
            },
            "latency_ms": {"type": "number"},
            "model_version": {"type": "string"},
            "arm": {"type": "string"},
            "request_id": {"type": "string"},
        },
        "examples": [{"predictions": [{"customerID": "7590-VHVEG", "label": "Yes", "score": 0.61}], "latency_ms": 0.2}],
    }
    problem = {"description": "A problem document.", "content": {"application/problem+json": {}}}
    schema["paths"][_PATH] = {
        "post": {
            "tags": ["inference"],
            "summary": "Predict",
            "description": "Answered by the data plane, also while the control plane is away.",
            "operationId": "predict",
            "parameters": [
                {"name": "deployment_id", "in": "path", "required": True, "schema": {"type": "string"}},
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}}},
            },
            "responses": {
                "200": {
                    "description": "One prediction for each instance.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictResponse"}}},
                },
                **dict.fromkeys(("401", "403", "404", "413", "422", "429", "503"), problem),
            },
        }
    }
    return schema
