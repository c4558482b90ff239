"""Outcomes joined to predictions."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.deployments.ports import MetricSums
from arkwright.evaluation import wilson_interval
from arkwright.monitoring.outcomes import join_outcomes, mean_interval, quality_of


def predictions(*rows: dict[str, object]) -> pa.Table:
    whole = [
        {"row": 0, "arm": "stable", "model_version_id": "mv_1", "semver": "1.0.0", "score": None, "value": None} | row
        for row in rows
    ]
    return pa.Table.from_pylist(whole, schema=PREDICTIONS)


PREDICTIONS = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("arm", pa.string()),
        ("model_version_id", pa.string()),
        ("semver", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("value", pa.float64()),
    ]
)
OUTCOMES = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("label", pa.string()),
        ("value", pa.float64()),
    ]
)


def outcomes(*rows: tuple[str, int, int, object]) -> pa.Table:
    """Rows of (request id, row, time, actual)."""
    whole = [
        {
            "request_id": request_id,
            "row": row,
            "time": time,
            "label": None if isinstance(actual, float) else actual,
            "value": actual if isinstance(actual, float) else None,
        }
        for request_id, row, time, actual in rows
    ]
    return pa.Table.from_pylist(whole, schema=OUTCOMES)


def test_each_arm_gets_the_metrics_of_its_own_rows() -> None:
    joined = join_outcomes(
        predictions(
            {"request_id": "a", "label": "Yes", "score": 0.9},
            {"request_id": "a", "row": 1, "label": "No", "score": 0.2},
            {"request_id": "b", "label": "Yes", "score": 0.6, "arm": "canary", "model_version_id": "mv_2"},
            {"request_id": "c", "label": "No", "score": 0.1},
        ),
        outcomes(("a", 0, 1, "Yes"), ("a", 1, 1, "Yes"), ("b", 0, 2, "No"), ("nobody", 0, 2, "No")),
        task="binary",
        positive="Yes",
    )
    canary, stable = joined.arms
    assert (joined.n_outcomes, joined.n_unmatched) == (4, 1)
    assert (stable.arm, stable.n_predictions, stable.n_outcomes) == ("stable", 3, 2)
    assert (canary.arm, canary.model_version_id, canary.n_predictions, canary.n_outcomes) == ("canary", "mv_2", 1, 1)
    assert stable.sums["accuracy"].mean == 0.5
    assert stable.sums["log_loss"].mean == pytest.approx((-math.log(0.9) - math.log(0.2)) / 2)
    assert stable.sums["brier"].mean == pytest.approx((0.1**2 + 0.8**2) / 2)
    assert canary.sums["brier"].mean == pytest.approx(0.36)


def test_the_latest_outcome_of_a_row_counts_wherever_it_stands() -> None:
    made = predictions({"request_id": "a", "label": "Yes", "score": 0.9})
    told = outcomes(("a", 0, 3, "No"), ("a", 0, 1, "Yes"), ("a", 0, 2, "Yes"))
    (arm,) = join_outcomes(made, told, task="binary", positive="Yes").arms
    assert (arm.n_outcomes, arm.sums["accuracy"].total) == (1, 0.0)


def test_an_outcome_told_twice_counts_once() -> None:
    made = predictions({"request_id": "a", "label": "Yes", "score": 0.9})
    told = outcomes(*[("a", 0, 1, "Yes")] * 5)
    joined = join_outcomes(made, told, task="binary", positive="Yes")
    assert (joined.n_outcomes, joined.arms[0].n_outcomes) == (1, 1)


def test_regression_is_measured_in_distances() -> None:
    made = predictions({"request_id": "a", "value": 2.0}, {"request_id": "b", "value": 5.0})
    told = outcomes(("a", 0, 1, 4.0), ("b", 0, 1, 4.0))
    (arm,) = join_outcomes(made, told, task="regression").arms
    assert arm.sums["absolute_error"] == MetricSums(n=2, total=3.0, squares=5.0)
    assert arm.sums["squared_error"] == MetricSums(n=2, total=5.0, squares=17.0)
    quality = {metric.name: metric for metric in quality_of(arm).metrics}
    assert quality["mae"].value == 1.5
    assert quality["rmse"].value == pytest.approx(math.sqrt(2.5))
    assert quality["rmse"].low <= quality["rmse"].value <= quality["rmse"].high


def test_multiclass_has_an_accuracy_only() -> None:
    made = predictions({"request_id": "a", "label": "3", "score": 0.9}, {"request_id": "b", "label": "4"})
    (arm,) = join_outcomes(made, outcomes(("a", 0, 1, "3"), ("b", 0, 1, "3")), task="multiclass").arms
    assert {name: sums.mean for name, sums in arm.sums.items()} == {"accuracy": 0.5}


def test_a_fallback_without_a_score_has_an_accuracy_only() -> None:
    made = predictions({"request_id": "a", "label": "No", "arm": "fallback"})
    (arm,) = join_outcomes(made, outcomes(("a", 0, 1, "No")), task="binary", positive="Yes").arms
    assert set(arm.sums) == {"accuracy"}


def test_nothing_joins_to_nothing() -> None:
    empty = join_outcomes(predictions(), outcomes(), task="binary", positive="Yes")
    assert (empty.arms, empty.n_outcomes, empty.n_unmatched) == ((), 0, 0)
    (untold,) = join_outcomes(predictions({"request_id": "a", "label": "No"}), outcomes(), task="binary").arms
    assert (untold.n_predictions, untold.n_outcomes, quality_of(untold).metrics) == (1, 0, ())


def test_versions_at_one_arm_are_told_apart_or_not() -> None:
    made = predictions(
        {"request_id": "a", "label": "No"}, {"request_id": "b", "label": "No", "model_version_id": "mv_2"}
    )
    told = outcomes(("a", 0, 1, "No"), ("b", 0, 1, "No"))
    assert len(join_outcomes(made, told, task="multiclass").arms) == 2
    (arm,) = join_outcomes(made, told, task="multiclass", versions=False).arms
    assert arm.n_outcomes == 2


def test_values_whose_squares_no_number_holds_have_no_interval_and_break_nothing() -> None:
    made = predictions({"request_id": "a", "value": 1e308}, {"request_id": "b", "value": 1.0})
    (arm,) = join_outcomes(made, outcomes(("a", 0, 1, -1e308), ("b", 0, 1, 1.0)), task="regression").arms
    assert quality_of(arm).metrics == ()
    assert arm.n_outcomes == 2


def test_an_interval_of_a_share_holds_the_share_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for wins in generator.binomial(200, 0.85, size=2_000):
        low, high = wilson_interval(wins, 200)
        held += low <= 0.85 <= high
    assert 0.93 < held / 2_000 < 0.97


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 5), st.sampled_from(["Yes", "No"])),
        max_size=20,
    )
)
def test_a_join_is_what_a_dictionary_of_the_latest_would_give(told: list[tuple[str, int, int, str]]) -> None:
    made = predictions(*[{"request_id": name, "row": row, "label": "Yes"} for name in "ab" for row in range(2)])
    latest: dict[tuple[str, int], tuple[int, str]] = {}
    for request_id, row, time, actual in sorted(told, key=lambda each: each[2]):
        latest[request_id, row] = (time, actual)
    known = {key: actual for key, (_, actual) in latest.items() if key[0] in "ab" and key[1] < 2}
    joined = join_outcomes(made, outcomes(*told), task="multiclass")
    sums = joined.arms[0].sums.get("accuracy", MetricSums())
    assert joined.n_unmatched == len(latest) - len(known)
    assert (sums.n, sums.total) == (len(known), sum(actual == "Yes" for actual in known.values()))


def test_one_outcome_has_no_interval_of_a_mean() -> None:
    assert mean_interval(MetricSums(n=1, total=3.0, squares=9.0)) is None
