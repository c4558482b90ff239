"""Telling deployments what became of their predictions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.sdk.transport import Transport, segment

_PART = 5_000
_FIELD = re.compile(r"\boutcomes\[(\d+)\]")


def send_feedback(transport: Transport, deployment: str, outcomes: Iterable[Mapping[str, Any]]) -> int:
    """Tell outcomes in parts of 5,000; return how many were taken.

    A part is taken whole or not at all. Should one fail, those before it are kept: sending everything again changes
    nothing about them.

    Raises
    ------
    Invalid
        With one entry in ``errors`` for each outcome of the first part that cannot be taken, numbered from 0 over all.
    """
    rest = iter(outcomes)
    path = f"/v1/inference/{segment(deployment)}:feedback"
    taken = 0
    while part := [dict(outcome) for outcome in islice(rest, _PART)]:
        try:
            taken += transport.post(path, {"outcomes": part})["accepted"]
        except Invalid as error:
            raise _renumbered(error, taken) from error
    return taken


def _renumbered(error: Invalid, first: int) -> Invalid:
    def shift(text: str) -> str:
        return _FIELD.sub(lambda found: f"outcomes[{int(found[1]) + first}]", text)

    error.detail = shift(error.detail)
    error.errors = [{**item, "field": shift(str(item["field"]))} if "field" in item else item for item in error.errors]
    return error
