"""The mark a request leaves on its ``Idempotency-Key`` in the commit that did what it asked for.

Without it a crash between that commit and the keeping of the answer would leave a key that looks unused, and the
repeated request would be done twice.
"""

from __future__ import annotations

import json

from arkwright.core.errors import Conflict
from arkwright.core.problems import CONTENT_TYPE, problem_document
from arkwright.kit.db import UnitOfWork
from arkwright.kit.http.tables import IdempotencyRow


def mark_done(unit: UnitOfWork, key: str) -> None:
    """Say, in the unit's own commit, that the request with this key was carried out; its answer replaces this."""
    row = unit.session.get(IdempotencyRow, (unit.context.workspace_id, key))
    if row is not None:
        lost = _answer_lost()
        row.status_code = lost.status
        row.content_type = CONTENT_TYPE
        row.body = json.dumps(problem_document(lost))


def _answer_lost() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key was done, but the platform stopped before its answer was kept.",
        code="idempotency.answer_lost",
        hint="Look for what it made, or changed; send it again with a fresh key only if it is not there.",
    )
