"""What evaluations ask of a promotion, and that a failing one is not undone by one that looks elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from arkwright.registry import gate

RACE = {
    "column": "race",
    "favourable": "yes",
    "stated": True,
    "status": "Fail",
    "n_groups": 3,
    "detail": "One group is given it half as often.",
}
FAILED: dict[str, Any] = {
    "decision": "no-go",
    "reasons": ["Fairness (Fail): race."],
    "fairness": "Fail",
    "audited": [RACE],
    "basis": "holdout",
}
CREDIT = {"purpose": "credit", "status": "Fail", "detail": "ECOA: a prohibited basis."}


def unmet(*bodies: dict[str, Any]) -> list[str]:
    evidence = [SimpleNamespace(id=f"ev_{number}", body=body) for number, body in enumerate(bodies)]
    return [each.detail for each in gate.standing_conditions(evidence) if not each.met]


def passed(audited: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {"decision": "go", "reasons": [], "fairness": "Pass", "audited": audited or [], "basis": "holdout", **more}


def again(**changes: Any) -> dict[str, Any]:
    return passed([{**RACE, "status": "Pass", "detail": "", **changes}])


def test_without_a_whole_evaluation_there_is_no_condition() -> None:
    assert gate.standing_conditions([]) == []


def test_the_newest_verdict_decides_and_says_a_failure_once() -> None:
    assert unmet(FAILED) == ["The evaluation of this bundle says no-go. Fairness (Fail): race."]
    assert unmet(FAILED, again()) == []


@pytest.mark.parametrize(
    "later",
    [
        passed(fairness=None),
        passed([{**RACE, "column": "region", "status": "Pass"}]),
        again(favourable="no"),
        again(n_groups=1),
    ],
    ids=["no groups", "another column", "another favourable answer", "fewer groups"],
)
def test_an_evaluation_that_looks_elsewhere_does_not_undo_a_failure(later: dict[str, Any]) -> None:
    (said,) = unmet(FAILED, later)
    assert "unfair by 'race' (favourable answer: yes)" in said
    assert "One group is given it half as often." in said


def test_an_evaluation_on_its_training_rows_does_not_undo_a_failure() -> None:
    on_training = {**again(), "basis": "training"}
    assert unmet(FAILED, on_training) == unmet(FAILED)
    assert len(unmet(FAILED, passed(), on_training)) == 1
    assert unmet(FAILED, again(), on_training) == []


def test_an_assumed_favourable_answer_gives_way_to_one_that_was_stated() -> None:
    assumed = {**FAILED, "audited": [{**RACE, "stated": False}]}
    assert unmet(assumed, again(favourable="no")) == []
    assert len(unmet(assumed, again(favourable="no", stated=False))) == 1


def test_a_no_go_is_not_undone_by_an_evaluation_on_the_training_rows() -> None:
    refused = passed(decision="no-go", reasons=["It does not beat the mean."])
    flattered = passed(decision="conditional", basis="training")
    assert unmet(refused, flattered) == ["The evaluation of this bundle says no-go. It does not beat the mean."]
    assert unmet(refused, passed(), flattered) == []


def test_a_failed_behaviour_test_is_not_undone_by_leaving_the_tests_out() -> None:
    failed = passed(decision="no-go", reasons=["A test failed."], behaviour_passed=False)
    assert unmet(failed, passed(behaviour_passed=None)) == [
        "An earlier evaluation failed behaviour tests, and no later one ran any."
    ]
    assert unmet(failed, passed(behaviour_passed=True)) == []


def test_a_prohibited_basis_is_not_undone_by_leaving_the_purpose_out() -> None:
    failed = passed(decision="no-go", regulation=CREDIT, reasons=["ECOA."])
    unknown = {"purpose": "unknown", "status": "Pass", "detail": ""}
    assert unmet(failed) == ["The evaluation of this bundle says no-go. ECOA."]
    for later in (passed(), passed(regulation=unknown)):
        assert unmet(failed, later) == [
            "An earlier evaluation, for the purpose 'credit', says: ECOA: a prohibited basis."
        ]
    assert unmet(failed, passed(regulation={**CREDIT, "status": "Pass"})) == []
