"""Unexpected values: the model answers or its failure is told."""

import msgspec
import numpy as np
import pytest

from arkwright.evaluation.extreme_values import extreme_values, score_move
from tests.unit.evaluation.robust_cases import (
    adult,
    constant_model,
    one_column_model,
    picky_model,
    signature_of,
    two_columns,
)


def cases_of(found, column):
    return {case.kind: case for case in found.cases if case.column == column}


def test_a_saturating_model_answers_everything():
    columns, truth = two_columns()
    found = extreme_values(one_column_model, signature_of(columns), columns, truth)
    assert found.share_survived == 1.0
    assert len(found.cases) == 6 + 6 + 2
    deciding = cases_of(found, "deciding")
    expected = 1 - one_column_model(columns)[:, 0]
    assert deciding["huge"].mean_move == pytest.approx(expected.mean())
    assert deciding["far_above"].share_flipped == pytest.approx((expected > 0.5).mean())
    assert {case.max_move for case in cases_of(found, "idle").values()} == {0.0}


def test_values_lie_ten_ranges_beyond_the_data():
    columns = {"x": np.array([1.0, 3.0, np.nan])}
    found = extreme_values(lambda rows: np.full((3, 1), 0.5), signature_of(columns), columns, np.array([0, 1, 1]))
    values = {case.kind: case.value for case in found.cases}
    assert values == {
        "far_above": 23.0,
        "far_below": -19.0,
        "zero": 0.0,
        "negative": -3.0,
        "huge": 1e12,
        "huge_negative": -1e12,
    }


def test_an_unseen_category_that_raises_is_a_case_that_was_not_survived():
    columns, truth = two_columns()
    found = extreme_values(picky_model, signature_of(columns), columns, truth)
    colour = cases_of(found, "colour")
    assert colour["unseen_category"].failure.startswith("raised ValueError: Found unknown categories")
    assert colour["unseen_category"].mean_move is None
    assert colour["empty_text"].failure
    assert found.share_survived == pytest.approx(12 / 14)


def test_the_unseen_category_is_unseen_even_if_the_data_has_its_name():
    columns = {"colour": np.array(["a category never seen before", "red"], dtype=object)}
    found = extreme_values(
        lambda rows: np.full((len(rows["colour"]), 1), 0.5), signature_of(columns), columns, np.array([0, 1])
    )
    assert found.cases[0].value not in set(columns["colour"])


def test_a_line_runs_away_and_a_bounded_regression_does_not():
    columns = {"x": np.random.default_rng(0).normal(size=200)}
    signature = signature_of(columns, "regression")
    line = extreme_values(lambda rows: rows["x"][:, None], signature, columns, columns["x"])
    bounded = extreme_values(lambda rows: np.clip(rows["x"], -3, 3)[:, None], signature, columns, columns["x"])
    away = {case.kind for case in line.cases if case.runaway}
    assert away == {"far_above", "far_below", "huge", "huge_negative"}
    assert line.share_survived == pytest.approx(2 / 6)
    assert bounded.share_survived == 1.0
    assert line.cases[0].share_flipped is None


def test_time_columns_get_dates_far_away_in_their_own_unit():
    columns = {"when": np.array(["2026-01-01", "2026-02-01"], dtype="datetime64[ns]")}
    seen = []

    def model(rows):
        seen.append((str(rows["when"].dtype), str(rows["when"][0])[:4]))
        return np.full((2, 1), 0.5)

    found = extreme_values(model, signature_of(columns), columns, np.array([0, 1]))
    assert seen[1:] == [("datetime64[ns]", "1700"), ("datetime64[ns]", "2250")]
    assert [case.value[:4] for case in found.cases] == ["1700", "2250"]


def test_adult_survives_and_the_result_is_json():
    predict, signature, _, holdout, truth = adult()
    found = extreme_values(predict, signature, holdout, truth)
    assert found.share_survived == 1.0
    assert cases_of(found, "capital-gain")["far_above"].share_flipped > 0.5
    assert b"NaN" not in msgspec.json.encode(found)


def test_a_constant_model_does_not_move():
    columns, truth = two_columns()
    found = extreme_values(constant_model, signature_of(columns), columns, truth)
    assert {(case.mean_move, case.share_flipped) for case in found.cases} == {(0.0, 0.0)}


def test_what_the_stop_and_the_limit_left_out_is_named():
    columns, truth = two_columns()
    answers = iter([False, True])
    found = extreme_values(
        one_column_model,
        signature_of(columns),
        columns,
        truth,
        important=("idle",),
        max_columns=2,
        should_stop=lambda: next(answers),
    )
    assert {case.column for case in found.cases} == {"idle"}
    assert found.not_reached == ("extreme values of 'deciding'",)
    assert found.columns_left_out == ("colour",)


def test_a_move_among_classes_is_the_largest_change_of_a_probability():
    move, flipped = score_move("multiclass", np.array([[0.5, 0.3, 0.2]]), np.array([[0.1, 0.3, 0.6]]), 1.0)
    assert move.tolist() == [0.4]
    assert flipped.tolist() == [True]
