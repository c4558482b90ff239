"""A FastAPI application as most people write it: ``uvicorn fastapi_app:app``."""

from __future__ import annotations

from typing import Any

from answers import load
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
predict_rows = load()


class Request(BaseModel):
    """What a client sends."""

    instances: list[dict[str, Any]]


@app.get("/ready")
def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/predict")
def predict(request: Request) -> dict[str, Any]:
    return {"predictions": predict_rows(request.instances)}
