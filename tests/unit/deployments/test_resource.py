"""The resource of the requirements means the same as a plain request."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
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
    assert body.strategy is not None
    assert (body.strategy.type, body.strategy.model_version_id, body.strategy.steps) == ("canary", "mv_123", [10, 100])
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


FULL = """
apiVersion: arkwright/v1
kind: Deployment
metadata: {name: churn}
spec:
  model: telco-churn
  version: 2
  strategy:
    type: canary
    steps: [{percent: 5, pause: 60s}, {percent: 50, pause: 1h}, {percent: 100, pause: manual}]
    unit: customerID
    salt: spring
    autoPromote: false
    analysis:
      interval: 10s
      minRequests: 200
      maxErrorRatePct: 0.5
      latencyMsP99: 900
      metrics: [{name: accuracy, maxWorse: 0.02, minOutcomes: 300}]
  slos: {class: tabular-fast}
  limits: {requestsPerSecond: 50, burst: 100, timeoutMs: 300, maxRows: 1000}
  log: {samplePercent: 25, redact: [customerID]}
  fallback: {previous: true, constant: {label: "No", score: 0.0}}
  cacheSeconds: 5
"""


def test_every_member_of_the_resource_is_understood() -> None:
    body = CreateDeployment.model_validate(yaml.safe_load(FULL))
    strategy = body.strategy
    assert strategy is not None
    assert (body.model, body.version, strategy.version) == ("telco-churn", "", "2")
    assert (strategy.steps, strategy.pause_seconds) == ([5, 50, 100], [60, 3600, None])
    assert (strategy.unit, strategy.salt, strategy.auto_promote) == ("customerID", "spring", False)
    assert strategy.analysis.interval_seconds == 10
    assert (strategy.analysis.min_requests, strategy.analysis.metrics[0].max_worse) == (200, 0.02)
    assert body.slos is not None
    assert body.slos.latency_ms_p95 == 120
    assert body.limits is not None
    assert (body.limits.requests_per_second, body.limits.max_rows) == (50, 1000)
    assert body.log is not None
    assert body.log.redact == ["customerID"]
    assert body.fallback is not None
    assert body.fallback.previous
    assert body.cache_seconds == 5


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [
        ({"type": "shadow", "percent": 20}, {"type": "shadow", "percent": 20}),
        ({"type": "blueGreen", "pause": "2m"}, {"type": "blue_green", "pause_seconds": 120}),
        ({"type": "canary", "steps": [5, 100], "pause": ["1m", "manual"]}, {"pause_seconds": [60, None]}),
        ({"type": "canary", "traffic": {"canary": 5}, "steps": [50, 100], "pause": 0}, {"steps": [5, 50, 100]}),
    ],
)
def test_each_strategy_keeps_what_it_reads(strategy: dict[str, Any], kept: dict[str, Any]) -> None:
    body = CreateDeployment.model_validate(changed("spec.strategy", strategy))
    assert body.strategy is not None
    spec = body.strategy.spec()
    assert {name: spec[name] for name in kept} == kept
    assert ("steps" in spec) == (body.strategy.type == "canary")


def test_the_arms_of_a_test_name_their_versions() -> None:
    arms = [{"name": "stable", "percent": 50}, {"name": "b", "percent": 50, "modelVersionId": "mv_2"}]
    spec = {"model": "churn", "strategy": {"type": "ab", "arms": arms, "unit": "header:x-user-id"}}
    body = CreateDeployment.model_validate({**RESOURCE, "spec": spec})
    assert body.strategy is not None
    assert [(arm.name, arm.percent, arm.model_version_id) for arm in body.strategy.arms] == [
        ("stable", 50, ""),
        ("b", 50, "mv_2"),
    ]


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ({"type": "canary", "steps": [50, 10]}, "each above the one before"),
        ({"type": "canary", "steps": [0, 10]}, "above 0"),
        ({"type": "canary", "steps": []}, "one step or more"),
        ({"type": "canary", "steps": [10, 200]}, "less than or equal to 100"),
        ({"type": "canary", "steps": "10"}, "steps must be a list of one"),
        ({"type": "canary", "steps": [{"pause": "1m"}]}, r"steps\[0\].percent is missing"),
        ({"type": "canary", "steps": [10, 100], "pause": ["1m"]}, "one item for each of the 2 steps"),
        ({"type": "canary", "pause": "soon"}, "'soon' is not a duration"),
        ({"type": "shadow", "pause": ["1m"]}, "only a canary"),
        ({"type": "shadow", "arms": [{"name": "a", "percent": 1}]}, "arms belong to"),
        ({"type": "canary", "analysis": {"minRequest": 1}}, "minRequest is not known"),
        ({"type": "canary", "analysis": {"metrics": [{"name": "auc", "worse": 1}]}}, "worse is not known"),
        ({"type": "ab", "arms": [{"name": "stable", "percent": 100}]}, "two arms or more"),
        (
            {"type": "ab", "arms": [{"name": "stable", "percent": 50}, {"name": "b", "percent": 50}]},
            "each arm but stable",
        ),
        (
            {
                "type": "ab",
                "arms": [{"name": "stable", "percent": 50}, {"name": "b", "percent": 40, "version": 2}],
            },
            "add up to 100",
        ),
    ],
)
def test_what_is_wrong_with_a_strategy_is_named(strategy: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CreateDeployment.model_validate(changed("spec.strategy", strategy))


def test_a_canary_alone_stands_beside_its_model_s_production_version(shelf: Shelf) -> None:
    stable, canary = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(stable)
    shelf.promote(canary, Stage.CANARY)
    deployments = DeploymentService(shelf.registry, shelf.governance)
    row = deployments.create(shelf.units, DeploymentRequest(canary_version_id=canary.id, canary_percent=10))
    assert row.model_version_id is None
    assert row.traffic_split == {"stable": 90.0, "canary": 10.0}
