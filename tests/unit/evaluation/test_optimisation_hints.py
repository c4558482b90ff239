"""Hints name the measurement they rest on, and there is none without one."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.latency import StageTime
from arkwright.evaluation.optimisation_hints import (
    Alternative,
    Measured,
    MemberCost,
    QualityAtSize,
    find_optimisation_hints,
    repeated_share,
)

KINDS = {"encoding", "caching", "pruning", "fewer_members", "distillation", "quantisation", "compile"}


def stages(encode):
    return (
        StageTime(name="encode", median_ms=encode, share=encode),
        StageTime(name="evaluate", median_ms=1 - encode, share=1 - encode),
    )


def trees(*values):
    return tuple(QualityAtSize(n_trees=40 * (at + 1), value=value) for at, value in enumerate(values))


def only(measured, **options):
    (hint,) = find_optimisation_hints(measured, **options).hints
    msgspec.json.encode(hint)
    return hint


def test_without_measurements_there_is_no_hint_and_every_kind_says_what_to_measure():
    found = find_optimisation_hints(Measured(metric="roc_auc", value=0.8))
    assert found.hints == ()
    assert {each.kind for each in found.not_considered} == KINDS
    assert all(each.reason for each in found.not_considered)


def test_measurements_that_speak_against_a_change_give_no_hint():
    found = find_optimisation_hints(
        Measured(
            metric="roc_auc",
            value=0.84,
            stages=stages(0.3),
            repeated_share=0.01,
            n_rows=100,
            trees=trees(0.80, 0.82, 0.84),
            members=tuple(MemberCost(name=name, time_share=0.5, value_without=0.83) for name in "ab"),
            alternatives=(
                Alternative(kind="quantisation", name="float32", value=0.82, size_ratio=0.5),
                Alternative(kind="distillation", name="small", value=0.84, time_ratio=0.99),
                Alternative(kind="compile", name="trees", value=0.80, time_ratio=0.1),
            ),
        )
    )
    assert found.hints == ()
    assert found.not_considered == ()


def test_a_model_that_mostly_encodes_is_told_so_and_how_little_else_would_help():
    hint = only(Measured(metric="roc_auc", value=0.8, stages=stages(0.95)))
    assert hint.reason == "95 % of a prediction's time is encoding"
    assert hint.expected == "up to 95 % less time; a quicker evaluator alone could save at most 5 %"


def test_trees_that_add_nothing_are_counted_and_the_gain_is_bounded_by_the_evaluation_s_share():
    hint = only(Measured(metric="roc_auc", value=0.8404, stages=stages(0.4), trees=trees(0.82, 0.8401, 0.8403, 0.8404)))
    assert hint.reason == "the trees after 80 of 160 add at most 0.0005 area under the ROC curve"
    assert hint.time_saved == pytest.approx(0.5 * 0.6)
    assert hint.size_saved == pytest.approx(0.5)
    assert hint.quality_lost == pytest.approx(0.0003)


def test_a_plateau_before_a_late_rise_is_not_the_end_of_the_trees():
    assert find_optimisation_hints(Measured(metric="roc_auc", value=0.84, trees=trees(0.80, 0.80, 0.84))).hints == ()


def test_trees_that_make_a_model_worse_are_spare_too():
    hint = only(Measured(metric="roc_auc", value=0.82, trees=trees(0.82, 0.84, 0.83, 0.82)))
    assert "after 80 of 160" in hint.reason
    assert hint.quality_lost == pytest.approx(-0.02)
    assert hint.time_saved is None  # the stages were not timed
    assert "of the evaluation's time" in hint.expected


def test_an_error_metric_is_judged_relative_to_its_size():
    found = only(Measured(metric="rmse", value=10_000.0, trees=trees(12_000.0, 10_004.0, 10_000.0)))
    assert "after 80 of 120 add at most 5 root mean squared error" in found.reason
    strict = find_optimisation_hints(
        Measured(metric="rmse", value=10_000.0, trees=trees(12_000.0, 10_004.0, 10_000.0)), tolerance=1.0
    )
    assert strict.hints == ()


def test_the_dearest_spare_member_is_named_and_the_others_are_not_promised():
    members = (
        MemberCost(name="forest", time_share=0.6, value_without=0.8399),
        MemberCost(name="linear", time_share=0.1, value_without=0.84),
        MemberCost(name="lightgbm", time_share=0.3, value_without=0.80),
    )
    hint = only(Measured(metric="roc_auc", value=0.84, members=members))
    assert hint.reason.startswith("without 'forest' the ensemble loses 0.0001 area under the ROC curve")
    assert "takes 60 % of the evaluation's time" in hint.reason
    assert hint.action.endswith("1 more could go, each measured alone: not all at once.")


@pytest.mark.parametrize(
    ("kind", "said"),
    [("quantisation", "Store and evaluate"), ("distillation", "Serve"), ("compile", "Serve the compiled form")],
)
def test_of_the_measured_alternatives_the_one_that_saves_most_at_an_acceptable_loss_is_taken(kind, said):
    alternatives = (
        Alternative(kind=kind, name="quick and bad", value=0.7, time_ratio=0.1),
        Alternative(kind=kind, name="good", value=0.8398, time_ratio=0.5, size_ratio=0.25),
        Alternative(kind=kind, name="slower", value=0.84, time_ratio=0.9),
    )
    hint = only(Measured(metric="roc_auc", value=0.84, alternatives=alternatives))
    assert hint.kind == kind
    assert hint.reason == "good was measured and loses 0.0002 area under the ROC curve"
    assert hint.expected == "50 % less time, 75 % less storage"
    assert hint.action.startswith(said)


def test_the_hint_that_saves_most_time_comes_first():
    found = find_optimisation_hints(
        Measured(metric="roc_auc", value=0.8, stages=stages(0.95), repeated_share=0.97, n_rows=1_000)
    )
    assert [hint.kind for hint in found.hints] == ["caching", "encoding"]


@given(
    st.lists(
        st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from([0.0, 1.0, float("nan")]), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_repeated_rows_are_those_a_set_would_drop(rows):
    text = np.array([row[0] for row in rows], dtype=object)
    number = np.array([row[1] for row in rows])
    moment = np.array(["NaT" if row[2] else "2026-01-01" for row in rows], dtype="datetime64[us]")
    distinct = {(row[0], str(row[1]), row[2]) for row in rows}
    assert repeated_share({"t": text, "n": number, "m": moment}) == pytest.approx(1 - len(distinct) / len(rows))


def test_shares_and_metrics_that_cannot_be_are_refused():
    with pytest.raises(Invalid, match="repeated_share is 12"):
        find_optimisation_hints(Measured(metric="roc_auc", value=0.8, repeated_share=12.0))
    with pytest.raises(Invalid, match="'auc' is not a known metric"):
        find_optimisation_hints(Measured(metric="auc", value=0.8))
    with pytest.raises(Invalid, match="no rows"):
        repeated_share({"x": np.empty(0)})
