"""What a dead control plane was at does not block those who ask again."""

from __future__ import annotations

from arkwright.core.context import Context
from arkwright.kit.db import Database
from arkwright.kit.http import forget_in_flight
from arkwright.kit.http.tables import IdempotencyRow


def test_only_claims_without_an_answer_are_taken_back(database: Database, context: Context) -> None:
    with database.write(context) as unit:
        now = unit.clock.now()
        unit.session.add(IdempotencyRow(key="dead", request_sha256="a", created_at=now))
        unit.session.add(IdempotencyRow(key="answered", request_sha256="b", status_code=201, body="{}", created_at=now))
    assert forget_in_flight(database, context.workspace_id) == 1
    assert forget_in_flight(database, context.workspace_id) == 0
    with database.read(context) as unit:
        assert unit.session.get(IdempotencyRow, (context.workspace_id, "dead")) is None
        assert unit.session.get(IdempotencyRow, (context.workspace_id, "answered")) is not None
