"""What an evaluation takes over from the experiment that its version came from, and what it says to it."""

from __future__ import annotations

import pytest

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.evaluation_request import EvaluationRequest
from arkwright.evaluation.experiment_definition import StatedDefinition, check_stated_metrics, with_definition
from arkwright.evaluation.ports import NoExperiments

BINARY = Signature(task="binary", target="y", columns=(), classes=("no", "yes"))
RECALL = (Guardrail(metric="recall", tolerance=0.01),)
PRECISION = (Criterion(metric="precision", at_least=0.6),)
STATED = StatedDefinition(
    hypothesis="Fewer false alarms.",
    baseline_version_id="mv_1",
    guardrails=RECALL,
    criteria=PRECISION,
    margin=0.005,
    minimum_improvement=0.01,
)


def test_what_a_request_leaves_open_is_taken_from_the_experiment_and_said() -> None:
    found = with_definition(EvaluationRequest(notes=("First.",)), STATED, "exp_1", BINARY)
    assert (found.hypothesis, found.baseline_version_id) == ("Fewer false alarms.", "mv_1")
    assert (found.guardrails, found.criteria) == (RECALL, PRECISION)
    assert (found.margin, found.minimum_improvement) == (0.005, 0.01)
    assert found.notes == (
        "First.",
        (
            "Definition stated in experiment exp_1: hypothesis, guardrails, success criteria, margin, "
            "minimum improvement, baseline."
        ),
    )


def test_what_a_request_states_itself_stands() -> None:
    own = EvaluationRequest(guardrails=(Guardrail(metric="f1"),), baseline_version_id="mv_9", minimum_improvement=0.5)
    found = with_definition(own, STATED, "exp_1", BINARY)
    assert (found.guardrails, found.baseline_version_id, found.minimum_improvement) == (
        own.guardrails,
        "mv_9",
        0.5,
    )
    assert found.notes == ("Definition stated in experiment exp_1: hypothesis, success criteria, margin.",)


def test_an_experiment_that_states_nothing_adds_nothing() -> None:
    asked = EvaluationRequest(hypothesis="Mine.")
    assert with_definition(asked, StatedDefinition(), "exp_1", BINARY) == asked
    assert NoExperiments().definition_of(None, "exp_1") is None  # type: ignore[arg-type]
    assert NoExperiments().effort_of(None, {}) is None  # type: ignore[arg-type]


def test_a_definition_that_does_not_fit_is_left_out_and_said() -> None:
    regression = Signature(task="regression", target="y", columns=())
    found = with_definition(EvaluationRequest(), STATED, "exp_1", regression)
    assert (found.guardrails, found.hypothesis) == ((), "")
    assert found.notes[0].startswith("The definition of experiment exp_1 was not used: 'recall' is no metric")


def test_metrics_have_to_suit_one_task() -> None:
    check_stated_metrics(STATED, ["binary", "multiclass", "regression"])
    with pytest.raises(Invalid, match="'recall' is no metric of a multiclass model"):
        check_stated_metrics(STATED, ["multiclass"])
    with pytest.raises(Invalid, match="no one task has") as refused:
        check_stated_metrics(StatedDefinition(guardrails=(Guardrail(metric="profit"),)), ["binary", "regression"])
    assert "regression" in refused.value.hint
