"""What is told to whoever bills."""

from __future__ import annotations

from sqlalchemy import select
from tests.unit.monitoring.conftest import Watched, customers

from arkwright.contracts import UsageCount
from arkwright.core.events import INFERENCE_USAGE
from arkwright.kit.db import OutboxRow
from arkwright.monitoring.shipping import SegmentUsage
from arkwright.monitoring.usage import UsageEvents


def usage_events(watched: Watched) -> list[OutboxRow]:
    with watched.database.read_global() as unit:
        return list(unit.session.scalars(select(OutboxRow).where(OutboxRow.type == INFERENCE_USAGE)))


def test_every_shipped_segment_is_told_once(watched: Watched) -> None:
    watched.predict(customers(40, seed=1))
    watched.predict(customers(10, seed=2), version_id="mv_other", semver="1.1.0")
    for _ in range(2):
        assert watched.client.get("/v1/deployments/churn/metrics").status_code == 200
    told = usage_events(watched)
    assert [event.subject for event in told] == [watched.deployment_id] * 2
    assert [event.data["counts"][0]["rows"] for event in told] == [40, 10]
    assert told[1].data["counts"] == [
        {
            "model_version_id": "mv_other",
            "semver": "1.1.0",
            "arm": "stable",
            "requests": 10,
            "rows": 10,
            "request_bytes": 0,
        }
    ]


def test_a_segment_that_is_shipped_again_is_billed_once(watched: Watched) -> None:
    count = UsageCount(model_version_id="mv_1", semver="1.0.0", arm="stable", requests=1, rows=2)
    usage = SegmentUsage(watched.context.workspace_id, watched.deployment_id, "edge-1-000001", (count,))
    for _ in range(3):
        UsageEvents(watched.database).record(usage)
    assert len(usage_events(watched)) == 1
