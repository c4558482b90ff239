"""Noise and missing cells cost what arithmetic says they cost."""

import msgspec
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from arkwright.evaluation.perturbations import missing_patterns, noise_curve
from tests.unit.evaluation.robust_cases import (
    adult,
    constant_model,
    nan_model,
    one_column_model,
    signature_of,
    two_columns,
)


def test_a_perfect_line_loses_exactly_the_noise_it_is_given():
    # The error of y = 5x under noise of f spreads is 5 f sd(x), the constant's is 5 sd(x): 1 - f is left.
    columns = {"x": np.random.default_rng(0).normal(3, 7, size=4000)}
    signature = signature_of(columns, "regression")
    curve = noise_curve(lambda rows: 5 * rows["x"][:, None], signature, columns, 5 * columns["x"], seed=0)
    for point in curve.points:
        assert point.effect.retained.value == pytest.approx(1 - point.fraction, abs=0.01)
        assert point.effect.retained.low <= point.effect.retained.value <= point.effect.retained.high


def test_noise_hurts_adult_more_the_more_there_is():
    predict, signature, _, holdout, truth = adult()
    curve = noise_curve(predict, signature, holdout, truth, seed=0, n_repeats=4)
    assert curve.clean == pytest.approx(roc_auc_score(truth, predict(holdout)[:, 0]))
    kept = [point.effect.retained.value for point in curve.points]
    assert kept[0] > 0.99
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 0.9
    assert curve.columns == ("age", "education-num", "capital-gain", "capital-loss", "hours-per-week")


def test_noise_on_columns_the_model_ignores_costs_nothing():
    columns, truth = two_columns()
    columns["deciding"] = np.where(columns["deciding"] > 0, 1.0, -1.0)
    by_colour = {**columns, "flag": np.where(truth == 1, "yes", "no").astype(object)}
    curve = noise_curve(
        lambda rows: (rows["flag"] == "yes")[:, None] * 0.8 + 0.1, signature_of(by_colour), by_colour, truth, seed=0
    )
    assert {point.effect.retained.value for point in curve.points} == {1.0}


def test_missing_cells_stay_missing_under_noise():
    columns, truth = two_columns()
    columns["idle"][:50] = np.nan
    seen = []

    def model(rows):
        seen.append(np.isnan(rows["idle"]).sum())
        return one_column_model(rows)

    noise_curve(model, signature_of(columns), columns, truth, seed=0, n_repeats=1)
    assert set(seen) == {50}


def test_without_a_numeric_column_there_is_no_curve_and_a_reason():
    columns = {"colour": np.array(["a", "b"] * 20, dtype=object), "same": np.ones(40)}
    curve = noise_curve(
        lambda rows: np.where(rows["colour"] == "a", 0.2, 0.8)[:, None],
        signature_of(columns),
        columns,
        np.array([0, 1] * 20),
        seed=0,
    )
    assert (curve.points, curve.reason) == ((), "no numeric column varies")


def test_a_constant_model_retains_nothing_that_could_be_measured():
    columns, truth = two_columns()
    curve = noise_curve(constant_model, signature_of(columns), columns, truth, seed=0)
    assert {point.effect.metric.value for point in curve.points} == {0.5}
    assert all("no skill to retain" in point.effect.retained.reason for point in curve.points)


def test_the_column_everything_depends_on_takes_all_the_skill_with_it():
    columns, truth = two_columns()
    found = missing_patterns(one_column_model, signature_of(columns), columns, truth, seed=0)
    kept = {case.column: case.effect.retained.value for case in found.cases if case.pattern == "column"}
    assert kept == {"deciding": 0.0, "idle": 1.0, "colour": 1.0}
    assert found.most_important == "deciding"
    by_share = [case.effect.retained.value for case in found.cases if case.pattern == "most_important"]
    assert 1 > by_share[0] > by_share[1] > by_share[2] > 0


def test_the_given_importance_decides_which_column_is_most_important_and_which_are_tried():
    columns, truth = two_columns()
    found = missing_patterns(
        one_column_model, signature_of(columns), columns, truth, seed=0, important=("idle",), max_columns=2
    )
    assert found.most_important == "idle"
    assert [case.column for case in found.cases if case.pattern == "column"] == ["idle", "deciding"]
    assert found.columns_left_out == ("colour",)


def test_a_model_that_answers_nan_for_missing_cells_has_failed_not_scored():
    columns, truth = two_columns()
    found = missing_patterns(nan_model, signature_of(columns), columns, truth, seed=0)
    case = next(case for case in found.cases if case.column == "deciding")
    assert case.effect.failure == "answered NaN or infinity for 600 of 600 rows"
    assert case.effect.metric.value is None
    assert "answered NaN" in case.effect.metric.reason
    assert next(case for case in found.cases if case.column == "idle").effect.retained.value == 1.0


def test_a_model_that_fails_undisturbed_gives_a_reason_and_no_cases():
    columns, truth = two_columns()
    columns["deciding"][0] = np.nan
    signature = signature_of(columns)
    for found in (
        noise_curve(nan_model, signature, columns, truth, seed=0),
        missing_patterns(nan_model, signature, columns, truth, seed=0),
    ):
        assert found.reason == "the model answered NaN or infinity for 1 of 600 rows on undisturbed rows"
        assert found.clean is None


def test_what_the_stop_left_out_is_named():
    columns, truth = two_columns()
    answers = iter([False, True])
    curve = noise_curve(
        one_column_model, signature_of(columns), columns, truth, seed=0, should_stop=lambda: next(answers)
    )
    assert len(curve.points) == 1
    assert len(curve.not_reached) == 5
    stopped = missing_patterns(
        one_column_model, signature_of(columns), columns, truth, seed=0, should_stop=lambda: True
    )
    assert stopped.cases == ()
    assert len(stopped.not_reached) == 9


def test_the_same_seed_gives_the_same_bytes():
    columns, truth = two_columns()

    def run(seed):
        signature = signature_of(columns)
        return b"".join(
            msgspec.json.encode(test(one_column_model, signature, columns, truth, seed=seed))
            for test in (noise_curve, missing_patterns)
        )

    assert run(1) == run(1)
    assert run(1) != run(2)
