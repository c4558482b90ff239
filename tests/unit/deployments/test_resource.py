"""The resource of the requirements means the same as a plain request."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from arkwright.deployments import DeploymentService
from arkwright.deployments.payloads import CreateDeployment
from arkwright.deployments.resource import as_request
from arkwright.deployments.service import DeploymentRequest
from arkwright.registry import Stage
from tests.unit.shelf import Shelf

RESOURCE: dict[str, Any] = {
    "apiVersion": "aiml024/v1",
    "kind": "Deployment",
    "metadata": {"name": "churn-model"},
    "spec": {
        "modelVersionId": "mv_123",
        "strategy": {"type": "canary", "traffic": {"stable": 90, "canary": 10}},
        "autoscale": {"minReplicas": 2, "maxReplicas": 10, "targetCPUUtilizationPercentage": 60},
        "slos": {"latencyMsP95": 500, "errorRatePct": 1.0},
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    import copy

    body = copy.deepcopy(RESOURCE)
    *parents, last = path.split(".")
    place = body
    for name in parents:
        place = place[name]
    place[last] = value
    return body


def test_the_documented_resource_is_read_whole() -> None:
    body = CreateDeployment.model_validate(RESOURCE)
    assert body.name == "churn-model"
    assert body.canary is not None
    assert (body.canary.model_version_id, body.canary.traffic_percent) == ("mv_123", 10)
    assert body.autoscale is not None
    assert body.autoscale.target_cpu_utilization_percentage == 60
    assert body.slos is not None
    assert (body.slos.latency_ms_p95, body.slos.error_rate_pct) == (500, 1.0)


def test_without_a_strategy_the_version_is_pinned() -> None:
    body = {**RESOURCE, "apiVersion": "arkwright/v1", "spec": {"modelVersionId": "mv_123"}}
    assert as_request(body) == {"name": "churn-model", "model_version_id": "mv_123"}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("apiVersion", "v9", "apiVersion"),
        ("kind", "Service", "kind"),
        ("metadata", "churn", "metadata must be an object"),
        ("spec.replicas", 3, "spec.replicas is not known"),
        ("spec.strategy.type", "magic", "spec.strategy.type"),
        ("spec.strategy.traffic", {"stable": 90, "canary": 20}, "add up to 100"),
        ("spec.strategy.traffic", {"canary": "some"}, "must be numbers"),
        ("spec.autoscale.minReplicas", 50, "min_replicas is greater"),
        ("spec.slos.latencyMsP95", -1, "latency_ms_p95"),
    ],
)
def test_what_is_wrong_with_a_resource_is_named(path: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CreateDeployment.model_validate(changed(path, value))


def test_a_canary_alone_stands_beside_its_model_s_production_version(shelf: Shelf) -> None:
    stable, canary = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(stable)
    shelf.promote(canary, Stage.CANARY)
    deployments = DeploymentService(shelf.registry, shelf.governance)
    row = deployments.create(shelf.units, DeploymentRequest(canary_version_id=canary.id, canary_percent=10))
    assert row.model_version_id is None
    assert row.traffic_split == {"stable": 90.0, "canary": 10.0}
