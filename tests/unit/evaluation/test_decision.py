"""PROMOTE, ITERATE, REJECT and PROMOTE, CANARY, HOLD, REJECT, with the rule that decided."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column
from arkwright.core.errors import Invalid
from arkwright.evaluation.comparison import MetricComparison, ModelComparison, compare_models
from arkwright.evaluation.decision import (
    STATUS,
    Criterion,
    FairnessEvidence,
    Guardrail,
    decide_version,
    recommend,
)
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.signature_change import schema_compatibility
from arkwright.evaluation.trade_offs import Resource

FAIR = FairnessEvidence(acceptable=True, detail="All groups are within the limits.")
UNFAIR = FairnessEvidence(acceptable=False, detail="Disparate impact of sex is 0.62, at least 0.8 is required.")
SIGNATURE = Signature(task="binary", target="y", columns=(Column(name="a", kind="numeric"),), classes=(0, 1))
SAME = schema_compatibility(SIGNATURE, SIGNATURE)


def compared(metric="roc_auc", improvement=0.02, outcome=None, spread=0.01, reason="a class has no rows"):
    sign = METRICS[metric].sign
    outcome = outcome or (
        "better" if improvement > spread else "worse" if improvement < -spread else "no clear difference"
    )
    known = outcome != "not computable"
    change = sign * improvement
    interval = (
        Interval(value=change, low=change - spread, high=change + spread)
        if known
        else Interval(value=None, low=None, high=None, reason=reason)
    )
    return MetricComparison(
        metric=metric,
        title=METRICS[metric].title,
        direction=METRICS[metric].direction,
        baseline=0.8 if known else None,
        candidate=0.8 + change if known else None,
        change=interval,
        change_percentile=interval,
        relative_change=interval,
        improvement=improvement if known else None,
        p_value=(0.5 if outcome == "no clear difference" else 0.001) if known else None,
        p_adjusted=(0.5 if outcome == "no clear difference" else 0.002) if known else None,
        outcome=outcome,
        test="DeLong" if known else "none",
        reason="" if known else reason,
    )


def comparison(*items):
    return ModelComparison(task="binary", n_rows=500, metrics=items, alpha=0.05, n_resamples=1000, seed=0)


def recommended(*items, **kwargs):
    return recommend(comparison(*items), primary="roc_auc", **kwargs)


def decided(*items, schema=SAME, **kwargs):
    return decide_version(comparison(*items), schema, primary="roc_auc", **kwargs)


def test_a_clear_improvement_with_nothing_against_it_is_promoted():
    found = recommended(compared(), fairness=FAIR)
    assert (found.outcome, found.status, found.rule) == ("PROMOTE", "promoted", "clear improvement")
    assert found.statistical_significance == 0.002
    assert "is better: 0.82 instead of 0.8 (change +0.02" in found.comparison_summary
    assert [rule.name for rule in found.rules if rule.applies] == ["clear improvement"]


@pytest.mark.parametrize(
    ("primary", "kwargs", "outcome", "rule"),
    [
        (compared(improvement=-0.02), {}, "REJECT", "primary metric worse"),
        (compared(), {"fairness": UNFAIR}, "REJECT", "unfair"),
        (compared(outcome="not computable"), {}, "ITERATE", "evidence incomplete"),
        (compared(), {"require_fairness": True}, "ITERATE", "evidence incomplete"),
        (compared(improvement=-0.001), {}, "ITERATE", "no improvement"),
        (compared(improvement=0.0), {}, "ITERATE", "no improvement"),
        (compared(improvement=0.005), {}, "ITERATE", "improvement not certain"),
        (compared(), {"minimum_improvement": 0.05}, "ITERATE", "improvement too small"),
        (compared(), {"criteria": [Criterion(metric="roc_auc", at_least=0.9)]}, "ITERATE", "success criteria"),
        (compared(), {"criteria": [Criterion(metric="roc_auc", at_least=0.8)]}, "PROMOTE", "clear improvement"),
        (
            compared(),
            {"resources": [Resource(name="latency", unit="ms", baseline=10, candidate=30, limit=20)]},
            "ITERATE",
            "over limits",
        ),
    ],
)
def test_each_rule_of_an_experiment_decides_alone(primary, kwargs, outcome, rule):
    found = recommended(primary, **kwargs)
    assert (found.outcome, found.status, found.rule) == (outcome, STATUS[outcome], rule)
    assert found.rationale
    assert found.rationale == next(item.detail for item in found.rules if item.applies)


def test_a_deliberately_worse_model_is_rejected_for_a_reason_a_reader_understands():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    good = np.clip(0.5 + 0.25 * (2 * truth - 1) + rng.normal(0, 0.15, 500), 0.01, 0.99)[:, None]
    bad = np.clip(good + rng.normal(0, 0.4, (500, 1)), 0.01, 0.99)
    comparison = compare_models("binary", truth, good, bad, seed=0, n_resamples=300)
    found = recommend(comparison, primary="roc_auc")
    assert found.outcome == "REJECT"
    assert found.rationale.startswith("Area under the ROC curve is worse: 0.7996 instead of 0.9885 (change -0.1889, ")
    assert found.rationale.endswith("DeLong).")
    assert decide_version(comparison, SAME, primary="roc_auc").outcome == "REJECT"


def test_a_deliberately_unfair_model_is_rejected_however_good_it_is():
    found = recommended(compared(improvement=0.15), fairness=UNFAIR)
    assert (found.outcome, found.rationale) == ("REJECT", UNFAIR.detail)
    assert decided(compared(improvement=0.15), fairness=UNFAIR).outcome == "REJECT"


def test_a_guardrail_counts_from_its_tolerance_on_in_its_own_direction():
    items = compared(), compared("log_loss", improvement=-0.03)
    assert recommended(*items, guardrails=[Guardrail(metric="log_loss")]).rule == "guardrail worse"
    assert recommended(*items, guardrails=[Guardrail(metric="log_loss", tolerance=0.05)]).outcome == "PROMOTE"
    assert recommended(*items).outcome == "PROMOTE"
    unknown = compared(), compared("log_loss", outcome="not computable")
    assert recommended(*unknown, guardrails=[Guardrail(metric="log_loss")]).rule == "evidence incomplete"


def undecided(improvement, low, high, p_value):
    """A recall whose difference Holm's correction no longer calls clear."""
    item = compared("recall", improvement=improvement, outcome="no clear difference")
    interval = Interval(value=improvement, low=low, high=high)
    return msgspec.structs.replace(item, change=interval, p_value=p_value, p_adjusted=min(1.0, 2 * p_value))


@pytest.mark.parametrize(
    ("recall", "tolerance", "holds"),
    [
        # A loss of 8 points that Holm's correction over several guardrails makes "no clear difference".
        (undecided(-0.082, -0.154, -0.022, 0.028), 0.01, False),
        (undecided(-0.082, -0.154, -0.022, 0.028), 0.0, False),
        (undecided(-0.082, -0.154, -0.022, 0.028), 0.2, True),
        (undecided(0.01, -0.03, 0.05, 0.6), 0.02, False),
        (undecided(0.01, -0.03, 0.05, 0.6), 0.04, True),
        (undecided(-0.01, -0.05, 0.03, 0.6), 0.0, True),
        (undecided(0.04, None, None, 0.6), 0.02, False),
    ],
)
def test_a_guardrail_holds_only_where_a_loss_beyond_its_tolerance_is_excluded(recall, tolerance, holds):
    guardrails = [Guardrail(metric="recall", tolerance=tolerance)]
    experiment = recommended(compared(), recall, guardrails=guardrails)
    version = decided(compared(), recall, guardrails=guardrails)
    assert (experiment.outcome, version.outcome) == (("PROMOTE", "PROMOTE") if holds else ("ITERATE", "HOLD"))
    if not holds:
        assert experiment.rule == version.rule == "guardrail loss not excluded"
        assert "Recall" in experiment.rationale


def test_watching_more_metrics_never_makes_a_guardrail_pass():
    rng = np.random.default_rng(3)
    truth = (rng.random(600) < 0.4).astype(int)
    odds = rng.normal(size=600) + 1.5 * truth - 0.7
    # The candidate ranks better and calls fewer positives: recall is what it pays with.
    before, after = odds + 0.8 * rng.normal(size=600), odds - 0.15
    scores = [(1 / (1 + np.exp(-values)))[:, None] for values in (before, after)]
    outcomes = []
    for metrics in (["roc_auc", "recall"], ["roc_auc", "recall", "precision", "accuracy", "log_loss", "f1", "pr_auc"]):
        found = compare_models("binary", truth, *scores, metrics, seed=0, n_resamples=400)
        outcomes.append(recommend(found, primary="roc_auc", guardrails=[Guardrail(metric="recall", tolerance=0.005)]))
    assert {item.outcome for item in outcomes} == {"ITERATE"}
    assert {item.rule for item in outcomes} == {"guardrail loss not excluded"}


def test_trade_offs_say_what_is_paid_for_what():
    found = recommended(
        compared(),
        resources=[
            Resource(name="Latency p95", unit="ms", baseline=10, candidate=15, limit_increase_percent=20),
            Resource(name="Training cost", unit="EUR", baseline=0, candidate=4, limit_increase_percent=50),
            Resource(name="Size", unit="MB", baseline=3, candidate=None, limit=10),
            Resource(name="Parameters", unit="", baseline=None, candidate=5),
        ],
    )
    latency, cost, size, parameters = found.trade_offs
    assert (latency.change, latency.change_percent, latency.within_limits) == (5, 50.0, False)
    assert latency.detail == (
        "Latency p95 goes from 10 to 15 ms (+50 %), for a change of +0.02 in area under the ROC curve; "
        "the limit is +20 %."
    )
    assert (cost.change, cost.change_percent, cost.within_limits) == (4, None, False)
    assert size.within_limits is None
    assert "could not be checked" in size.detail
    assert parameters.within_limits is True  # without a limit there is none to exceed
    assert found.rule == "over limits"


@pytest.mark.parametrize(
    ("primary", "kwargs", "outcome", "rule"),
    [
        (compared(), {}, "PROMOTE", "clear improvement"),
        (compared(improvement=-0.02), {}, "REJECT", "primary metric worse"),
        (compared(outcome="not computable"), {}, "HOLD", "evidence incomplete"),
        (compared(improvement=0.004), {}, "HOLD", "loss not excluded"),
        (compared(improvement=0.004), {"margin": 0.005}, "HOLD", "loss not excluded"),
        (compared(improvement=0.004), {"margin": 0.007}, "CANARY", "not clearly better"),
        (
            compared(),
            {"resources": [Resource(name="Memory", unit="MB", baseline=1, candidate=9, limit=2)]},
            "HOLD",
            "over limits",
        ),
        (
            compared(),
            {"resources": [Resource(name="Memory", unit="MB", baseline=1, candidate=None, limit=2)]},
            "CANARY",
            "risk",
        ),
    ],
)
def test_each_rule_of_a_version_decides_alone(primary, kwargs, outcome, rule):
    found = decided(primary, **kwargs)
    assert (found.outcome, found.rule) == (outcome, rule)
    assert found.canary_traffic_percent == (10 if outcome == "CANARY" else None)


def test_a_breaking_schema_holds_until_callers_have_changed():
    wider = msgspec.structs.replace(SIGNATURE, columns=(*SIGNATURE.columns, Column(name="b", kind="numeric")))
    found = decided(compared(), schema=schema_compatibility(SIGNATURE, wider))
    assert (found.outcome, found.rule, found.risk.level) == ("HOLD", "breaking schema", "high")
    assert found.risk.client_updates == ("Send 'b' (numeric).",)
    assert found.risk.rollback == "high"
    optional = (*SIGNATURE.columns, Column(name="b", kind="numeric", required=False))
    softer = msgspec.structs.replace(SIGNATURE, columns=optional)
    found = decided(compared(), schema=schema_compatibility(SIGNATURE, softer))
    assert (found.outcome, found.rule, found.risk.level) == ("CANARY", "risk", "medium")


def test_another_learner_behind_the_same_schema_starts_as_a_canary():
    found = decided(compared(), schema=schema_compatibility(SIGNATURE, SIGNATURE, same_learner=False))
    assert (found.outcome, found.risk.reasons) == ("CANARY", ("Another learning algorithm answers than before.",))


outcomes = st.sampled_from(["better", "worse", "no clear difference", "not computable"])
evidence = st.sampled_from([None, FAIR, UNFAIR, FairnessEvidence(acceptable=None, detail="No group was declared.")])


@settings(max_examples=150, deadline=None)
@given(outcomes, outcomes, evidence, st.booleans(), st.floats(1, 30), st.floats(0, 0.05))
def test_nothing_worse_or_unfair_ever_gets_through(primary, guardrail, fairness, required, latency, margin):
    amount = {"better": 0.02, "worse": -0.02}
    items = [compared(improvement=amount.get(primary, 0.001), outcome=primary)]
    items.append(compared("log_loss", improvement=amount.get(guardrail, -0.001), outcome=guardrail))
    shared = {
        "guardrails": [Guardrail(metric="log_loss")],
        "fairness": fairness,
        "require_fairness": required,
        "resources": [Resource(name="Latency", unit="ms", baseline=5, candidate=latency, limit=20)],
    }
    experiment, version = recommended(*items, **shared), decided(*items, margin=margin, **shared)
    for found in (experiment, version):
        assert msgspec.json.encode(found)
        assert sum(rule.name == found.rule for rule in found.rules) == 1
        assert found.rule == next(rule.name for rule in found.rules if rule.applies)
    refused = "worse" in (primary, guardrail) or fairness is UNFAIR
    assert (version.outcome == "REJECT") == refused
    if refused:
        assert experiment.outcome == "REJECT"
    unknown = required and (fairness is None or fairness.acceptable is None)
    promoted = primary == "better" and guardrail in ("better", "no clear difference") and latency <= 20
    promoted = promoted and fairness is not UNFAIR and not unknown
    assert (experiment.outcome == "PROMOTE") == promoted
    assert (version.outcome == "PROMOTE") == promoted


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"guardrails": [Guardrail(metric="f1")]}, "'f1' was not compared"),
        ({"guardrails": [Guardrail(metric="roc_auc", tolerance=-1)]}, "tolerance -1"),
        ({"criteria": [Criterion(metric="roc_auc")]}, "has no bound"),
        ({"minimum_improvement": -0.1}, "minimum improvement of -0.1"),
        ({"resources": [Resource(name="Size", unit="MB", baseline=-1, candidate=2)]}, "Size cannot be -1 MB"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(kwargs, words):
    with pytest.raises(Invalid, match=words) as caught:
        recommended(compared(), **kwargs)
    assert caught.value.hint


def test_a_margin_must_be_a_loss():
    with pytest.raises(Invalid, match="margin of -1"):
        decided(compared(), margin=-1.0)
