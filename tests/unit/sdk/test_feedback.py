"""Feedback in parts."""

from __future__ import annotations

from typing import Any

import pytest

from arkwright.core.errors import Invalid
from arkwright.sdk.feedback import send_feedback


class Told:
    """A transport that counts what it is told, and refuses a word."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, int]] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, int]:
        outcomes = body["outcomes"]
        for index, outcome in enumerate(outcomes):
            if outcome["actual"] == "maybe":
                field = f"outcomes[{index}].actual"
                raise Invalid(f"{field} is none of the classes.", errors=[{"field": field, "message": "is none"}])
        self.parts.append((path, len(outcomes)))
        return {"accepted": len(outcomes)}


def test_many_outcomes_are_told_in_parts() -> None:
    told = Told()
    assert send_feedback(told, "churn 1", ({"request_id": f"req_{i}", "actual": "No"} for i in range(12_000))) == 12_000
    assert told.parts == [("/v1/inference/churn%201:feedback", n) for n in (5_000, 5_000, 2_000)]


def test_nothing_is_not_told() -> None:
    told = Told()
    assert send_feedback(told, "churn", []) == 0
    assert told.parts == []


def test_a_wrong_outcome_is_numbered_over_all_parts() -> None:
    outcomes = [{"request_id": "req_1", "actual": "No"}] * 7_000
    outcomes[6_000] = {"request_id": "req_1", "actual": "maybe"}
    with pytest.raises(Invalid) as raised:
        send_feedback(Told(), "churn", outcomes)
    assert raised.value.errors[0]["field"] == "outcomes[6000].actual"
    assert raised.value.detail.startswith("outcomes[6000].actual")
