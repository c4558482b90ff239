"""Whatever a model does comes back as an answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.bundles.errors import ModelFailed as ModelProcessFailed
from arkwright.bundles.errors import ModelTimeout
from arkwright.bundles.model_process.failures import ended, slow_start
from arkwright.core.errors import AdapterError, Invalid, Unavailable
from arkwright.evaluation.probe import ModelFailed, as_text, ask, blank, by_importance, inputs_of, insist, usable_rows
from arkwright.evaluation.scored_table import missing
from tests.unit.evaluation.robust_cases import signature_of, two_columns

ROWS = {"x": np.arange(4.0)}


def test_an_exception_is_an_answer_that_names_it():
    def raises(rows):
        raise KeyError("no\nsuch level")

    assert ask(raises, ROWS).failure == "raised KeyError: 'no\\nsuch level'"
    with pytest.raises(ModelFailed, match="KeyError"):
        insist(raises, ROWS)


@pytest.mark.parametrize(
    ("scores", "failure"),
    [
        (np.zeros(4), "answered an array of shape (4,) for 4 rows"),
        (np.zeros((3, 1)), "answered an array of shape (3, 1) for 4 rows"),
        (np.array([[0.0], [np.inf], [np.nan], [1.0]]), "answered NaN or infinity for 2 of 4 rows"),
    ],
)
def test_scores_that_cannot_be_used_are_named(scores, failure):
    assert ask(lambda rows: scores, ROWS).failure == failure


def test_scores_that_can_be_used_come_back():
    assert ask(lambda rows: rows["x"][:, None], ROWS).scores.tolist() == [[0], [1], [2], [3]]


@given(st.sets(st.integers(0, 39), max_size=8))
def test_the_rows_a_model_refuses_are_found_by_halving(refused):
    def model(rows):
        if set(rows["x"].astype(int)) & refused:
            raise ValueError("refused")
        return rows["x"][:, None]

    assert set(np.flatnonzero(~usable_rows(model, {"x": np.arange(40.0)}))) == refused


def test_a_model_that_refuses_everything_is_asked_a_bounded_number_of_times():
    calls = []

    def model(rows):
        calls.append(len(rows["x"]))
        raise ValueError("never")

    assert not usable_rows(model, {"x": np.zeros(5000)}, max_calls=30).any()
    assert len(calls) == 30


def test_every_kind_of_column_can_be_blanked():
    where = np.array([True, False])
    for values in (
        np.array([1.0, 2.0]),
        np.array(["a", "b"], dtype=object),
        np.array(["a", "b"]),
        np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"),
    ):
        assert missing(blank(values, where)).tolist() == [True, False]
        assert not missing(values).any()


def test_nan_in_a_text_column_is_a_missing_category():
    assert as_text(np.array(["a", None, float("nan")], dtype=object)).tolist() == ["a", "", ""]


def test_important_columns_come_first_and_unknown_ones_are_passed_over():
    columns, _ = two_columns(5)
    assert by_importance(signature_of(columns), ("colour", "gone")) == ["colour", "deciding", "idle"]
    assert by_importance(signature_of(columns), (), "numeric") == ["deciding", "idle"]


def test_a_missing_column_is_named():
    columns, _ = two_columns(5)
    with pytest.raises(Invalid, match="'idle'") as problem:
        inputs_of(signature_of(columns), {name: columns[name] for name in ("deciding", "colour")})
    assert problem.value.code == "evaluation.missing_column"


@pytest.mark.parametrize("lengths", [(0, 0), (2, 3)])
def test_no_rows_and_uneven_columns_are_refused(lengths):
    columns = {"a": np.zeros(lengths[0]), "b": np.zeros(lengths[1])}
    with pytest.raises(Invalid, match="rows"):
        inputs_of(signature_of(columns), columns)


def test_text_in_a_numeric_column_is_named():
    columns, _ = two_columns(2)
    with pytest.raises(Invalid, match="column 'idle' is numeric .* could not convert string to float: 'n/a'"):
        inputs_of(signature_of(columns), {**columns, "idle": np.array(["1", "n/a"], dtype=object)})


def raising(*errors):
    left = list(errors)

    def predict(rows):
        if left:
            raise left.pop(0)
        return rows["x"][:, None]

    return predict


@pytest.mark.parametrize("error", [slow_start(5), Unavailable("No library."), AdapterError("The store is away.")])
def test_what_the_platform_could_not_do_is_no_finding_about_the_model(error):
    with pytest.raises(type(error)):
        ask(raising(error), ROWS)
    with pytest.raises(type(error)):
        usable_rows(raising(error), ROWS)


@pytest.mark.parametrize("error", [ModelProcessFailed("row 3 made the model raise ValueError"), ModelTimeout("10 s")])
def test_what_a_model_in_its_own_process_does_stays_a_finding(error):
    assert ask(raising(error), ROWS).failure.startswith(f"raised {type(error).__name__}: ")


def test_a_process_that_ends_is_asked_once_more_before_its_end_is_the_answer():
    assert ask(raising(ended("was ended by signal 9")), ROWS).scores is not None
    twice = ask(raising(*[ended("was ended by signal 11")] * 2), ROWS).failure
    assert twice == "ended twice at the same rows: The model's process was ended by signal 11."
    with pytest.raises(Unavailable, match="not loaded"):
        ask(raising(ended("was ended by signal 9"), slow_start(5)), ROWS)
