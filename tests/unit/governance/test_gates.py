"""A gate lets through what meets every condition, and nothing when there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import PolicyRefused
from arkwright.governance import Condition, decide_gate


@given(st.lists(st.booleans()))
def test_every_condition_must_be_met_and_there_must_be_one(met: list[bool]) -> None:
    decision = decide_gate("gate", [Condition(str(i), each, f"reason {i}") for i, each in enumerate(met)])
    assert decision.allowed == (len(met) > 0 and all(met))
    assert decision.unmet == [f"reason {i}" for i, each in enumerate(met) if not each]


def test_a_refusal_names_each_unmet_condition() -> None:
    decision = decide_gate("promotion", [Condition("a", False, "A is off."), Condition("b", True, "B is fine.")])
    with pytest.raises(PolicyRefused, match="Promoting it was refused by the gate 'promotion': A is off.") as refusal:
        decision.enforce("Promoting it")
    assert (refusal.value.unmet, refusal.value.code) == (["A is off."], "gate.promotion")


def test_a_gate_nobody_thought_of_conditions_for_refuses() -> None:
    with pytest.raises(PolicyRefused, match="allows nothing"):
        decide_gate("new", []).enforce("Passing")
