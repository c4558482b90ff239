"""Rollouts through the SDK, with a data plane that really answers and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.unit.sdk.served_platform import Served
from tests.unit.sdk.two_versions import two_versions

from arkwright.core.errors import Conflict, PreconditionFailed
from arkwright.sdk import Client

PATIENCE_SECONDS = 30.0
QUICK = {"interval_seconds": 1, "min_requests": 20}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Any) -> Iterator[Served]:
    with two_versions(tmp_path_factory.mktemp("rollouts"), migrated_sqlite) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.key) as opened:
        yield opened


def until(client: Client, deployment: str, so: Callable[[Any], bool]) -> Any:
    """Send requests until the rollout is as wanted, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    tenure = 0
    while True:
        for _ in range(10):
            tenure = tenure % 70 + 1
            client.predict(deployment, {"tenure": float(tenure), "contract": "month"})
        rollout = client.deployments.rollouts(deployment)["rollouts"][0]
        if so(rollout):
            return rollout
        assert time.monotonic() < deadline, rollout


def arm_of(rollout: Any, name: str) -> Any:
    return next(arm for arm in rollout["arms"] if arm["arm"] == name)


def version_of(client: Client) -> str:
    return str(client.models.version("churn", 2)["id"])


def test_a_shadow_is_compared_with_what_was_answered(client: Client) -> None:
    strategy = {"type": "shadow", "version": "2", "analysis": QUICK}
    created = client.deployments.create(model="churn", name="shadowed", strategy=strategy)
    client.deployments.wait_until_ready(created["id"])
    rollout = until(client, created["id"], lambda found: arm_of(found, "shadow")["compared"] >= 50)
    shadow, stable = arm_of(rollout, "shadow"), arm_of(rollout, "stable")
    assert (stable["traffic_percent"], shadow["mode"]) == (100.0, "shadow")
    assert 50 < shadow["agreement_pct"] < 100, "the second version says Yes more often"
    assert shadow["mean_abs_difference"] > 0
    assert shadow["score_shift"] != 0
    assert shadow["latency_ms_p95"] > 0
    assert shadow["error_rate_pct"] == 0
    assert rollout["state"] == "progressing"
    client.deployments.delete(created["id"])


def test_blue_green_switches_and_switches_back(client: Client) -> None:
    strategy = {"type": "blue_green", "version": "2", "pause_seconds": 600, "analysis": QUICK}
    created = client.deployments.create(model="churn", name="switched", strategy=strategy)
    client.deployments.wait_until_ready(created["id"])
    rollout = until(client, created["id"], lambda found: arm_of(found, "green")["requests"] > 0)
    assert rollout["traffic_split"] == {"stable": 0.0, "green": 100.0}
    row = {"tenure": 5.0, "contract": "month"}
    assert client.predict(created["id"], row)["arm"] == "green"
    back = client.deployments.roll_back(created["id"], comment="Back.")
    assert back["rollouts"][0]["state"] == "rolled_back"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while client.predict(created["id"], row)["arm"] != "stable":
        assert time.monotonic() < deadline
    client.models.promote("churn", 2, stage="canary")
    client.deployments.delete(created["id"])


def test_a_unit_stays_with_its_arm(client: Client) -> None:
    arms = [{"name": "stable", "percent": 50}, {"name": "b", "percent": 50, "model_version_id": version_of(client)}]
    strategy = {"type": "ab", "unit": "tenure", "arms": arms}
    created = client.deployments.create(model="churn", name="tested", strategy=strategy)
    client.deployments.wait_until_ready(created["id"])
    rows = [{"tenure": float(tenure), "contract": "month"} for tenure in range(1, 21)]
    first = [client.predict(created["id"], row)["arm"] for row in rows]
    assert first == [client.predict(created["id"], row)["arm"] for row in rows]
    assert set(first) == {"stable", "b"}
    client.deployments.delete(created["id"])


def test_a_change_of_something_that_was_changed_meanwhile_is_refused(client: Client) -> None:
    created = client.deployments.create(model="churn", name="changed")
    changed = client.deployments.update(created["id"], revision=created["revision"], cache_seconds=1.0)
    assert (changed["revision"], changed["cache_seconds"]) == (2, 1.0)
    with pytest.raises(PreconditionFailed):
        client.deployments.update(created["id"], revision=created["revision"], cache_seconds=2.0)
    with pytest.raises(Conflict, match="has no rollout"):
        client.deployments.wait_for_rollout(created["id"])
    assert client.deployments.find("none") is None
    client.deployments.delete(created["id"])
