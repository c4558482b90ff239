"""Rows without a usable outcome are left out, counted and named; what is missing altogether is a problem."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.evaluated_rows import trivial_scores, usable_rows

INPUTS = (Column(name="age", kind="numeric"), Column(name="job", kind="categorical"))
BINARY = Signature(task="binary", target="paid", columns=INPUTS, classes=("no", "yes"))
REGRESSION = Signature(task="regression", target="paid", columns=INPUTS)


def table(paid, **more):
    n_rows = len(paid)
    return pa.table({"age": list(range(n_rows)), "job": ["a"] * n_rows, "paid": paid, **more})


def test_outcomes_become_codes_in_the_order_of_the_signature():
    rows = usable_rows(table(["yes", "no", "yes"]), BINARY)
    assert rows.truth.tolist() == [1.0, 0.0, 1.0]
    assert (rows.n_rows, rows.n_used, rows.notes) == (3, 3, ())
    assert rows.columns["age"].tolist() == [0.0, 1.0, 2.0]


def test_unknown_and_missing_outcomes_are_counted_named_and_left_out_of_every_column():
    rows = usable_rows(table(["yes", None, "perhaps", "perhaps"], sex=["f", "m", "m", "f"]), BINARY, ["sex"])
    assert (rows.n_rows, rows.n_used) == (4, 1)
    assert rows.sensitive["sex"].tolist() == ["f"]
    assert rows.notes == (
        "1 row has no value of 'paid' and is left out.",
        "2 rows have an outcome that the model was never trained on ('perhaps': 2) and are left out.",
    )


@pytest.mark.parametrize(
    ("classes", "cells"),
    [((0, 1), [0, 1]), ((0, 1), [0.0, 1.0]), ((False, True), [False, True]), (("0", "1"), [0, 1])],
)
def test_labels_are_known_by_how_they_are_written(classes, cells):
    signature = Signature(task="binary", target="paid", columns=INPUTS, classes=classes)
    assert usable_rows(table(cells), signature).truth.tolist() == [0.0, 1.0]


def test_a_value_that_is_no_number_is_left_out_of_a_regression():
    rows = usable_rows(table([1.5, None, float("nan"), float("inf")]), REGRESSION)
    assert rows.truth.tolist() == [1.5]
    assert "1 row has no value" in rows.notes[0]
    assert "2 rows have a 'paid' that is no number" in rows.notes[1]


def test_a_sensitive_column_need_not_be_an_input_and_keeps_its_kind():
    rows = usable_rows(table(["yes", "no"], score=[1, None], flag=[True, False]), BINARY, ["score", "flag"])
    assert np.isnan(rows.sensitive["score"][1])
    assert rows.sensitive["flag"].tolist() == ["True", "False"]


@pytest.mark.parametrize(
    ("data", "sensitive", "code", "said"),
    [
        (table(["yes"]).drop_columns(["paid"]), [], "evaluation.target_missing", "age, job"),
        (table(["yes"]), ["sex"], "evaluation.sensitive_unknown", "age, job, paid"),
        (table(["perhaps", None]), [], "evaluation.no_rows", "'paid'"),
        (table(["yes"]).drop_columns(["job"]), [], "features.columns_missing", "every column"),
    ],
)
def test_what_is_missing_altogether_is_a_problem_that_names_what_there_is(data, sensitive, code, said):
    with pytest.raises(Invalid) as refused:
        usable_rows(data, BINARY, sensitive)
    assert refused.value.code == code
    assert said in str(refused.value.hint)


def test_the_trivial_model_answers_the_shares_or_the_mean():
    three = Signature(task="multiclass", target="y", columns=(), classes=("a", "b", "c"))
    assert trivial_scores(three, np.array([0.0, 0.0, 1.0, 2.0])).tolist() == [[0.5, 0.25, 0.25]]
    assert trivial_scores(REGRESSION, np.array([1.0, 3.0])).tolist() == [[2.0]]
