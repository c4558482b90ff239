"""Wire shapes of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from arkwright.deployments.resource import as_request, is_resource


class CanarySplit(BaseModel):
    """A second version that answers part of the requests."""

    model_config = ConfigDict(extra="forbid")

    model_version_id: str = Field(max_length=40)
    traffic_percent: float = Field(10.0, gt=0, lt=100)


class Autoscale(BaseModel):
    """What a horizontal autoscaler is told; kept with the deployment."""

    model_config = ConfigDict(extra="forbid")

    min_replicas: int = Field(2, ge=1, le=10_000)
    max_replicas: int = Field(10, ge=1, le=10_000)
    target_cpu_utilization_percentage: int = Field(60, ge=1, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is greater than max_replicas")
        return self


class Slos(BaseModel):
    """What the endpoint promises; kept with the deployment."""

    model_config = ConfigDict(extra="forbid")

    latency_ms_p95: float = Field(500, gt=0, allow_inf_nan=False)
    error_rate_pct: float = Field(1.0, ge=0, le=100)


class CreateDeployment(BaseModel):
    """Ask for an endpoint: a ``model`` to follow, or a ``model_version_id`` to pin.

    The resource form (``apiVersion: arkwright/v1``, ``kind: Deployment``, ``metadata``, ``spec``) is accepted too.
    """

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"name": "churn", "model": "telco-churn"}, {"model_version_id": "mv_..."}]},
    )

    name: str = Field("", max_length=90, pattern=r"^([A-Za-z0-9][A-Za-z0-9._ -]*)?$")
    model: str = Field("", max_length=120)
    model_version_id: str = Field("", max_length=40)
    canary: CanarySplit | None = None
    autoscale: Autoscale | None = None
    slos: Slos | None = None
    project_id: str = Field("", max_length=40)

    @model_validator(mode="before")
    @classmethod
    def _resource(cls, body: Any) -> Any:
        return as_request(body) if is_resource(body) else body


class Deployment(BaseModel):
    """An endpoint; ``status`` is pending, ready, failed or stopped."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    name: str
    status: str
    status_detail: str
    endpoint_url: str
    model_id: str
    model_name: str
    follows_production: bool
    model_version_id: str | None
    model_version: int | None
    semver: str | None
    traffic_split: dict[str, Any]
    autoscale: dict[str, Any]
    slos: dict[str, Any]
    project_id: str
    created_by: str
    created_at: datetime


class BatchSource(BaseModel):
    """The rows to score: an upload, or a dataset version."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str = Field("", max_length=40)
    dataset_version_id: str = Field("", max_length=40)


class CreateBatch(BaseModel):
    """Score rows with a model's production version, or with a version of your choice."""

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"model": "telco-churn", "source": {"upload_id": "up_..."}}]},
    )

    model: str = Field("", max_length=120)
    model_version_id: str = Field("", max_length=40)
    source: BatchSource
