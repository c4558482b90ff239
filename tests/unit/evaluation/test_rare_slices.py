"""Rare classes and levels have numbers of their own, or a reason."""

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from arkwright.evaluation.rare_slices import rare_slices
from tests.unit.evaluation.robust_cases import adult, one_column_model, signature_of, two_columns


def test_rare_levels_of_adult_have_the_auc_of_scikit_learn():
    predict, signature, _, holdout, truth = adult()
    scores = predict(holdout)
    found = rare_slices(signature, holdout, truth, scores, seed=0)
    known = [item for item in found.slices if item.value.value is not None]
    assert len(known) > 5
    for item in known:
        member = np.array([(value or "") == item.level for value in holdout[item.column]])
        assert item.n_rows == member.sum() <= 0.05 * truth.size
        assert item.value.value == pytest.approx(roc_auc_score(truth[member], scores[member, 0]))
        assert item.value.low <= item.value.value <= item.value.high
    sizes = [item.n_rows for item in found.slices]
    assert sizes == sorted(sizes, reverse=True)
    assert len(found.slices) == 30
    assert found.n_left_out > 0


def test_a_rare_class_has_its_recall():
    rng = np.random.default_rng(0)
    truth = (np.arange(1000) < 40).astype(np.int64)
    scores = np.clip(0.3 * truth + rng.random(1000) * 0.6, 0, 1)[:, None]
    columns = {"x": rng.normal(size=1000)}
    (found,) = rare_slices(signature_of(columns), columns, truth, scores, seed=0).slices
    called = scores[:, 0] >= 0.5
    assert (found.kind, found.level, found.n_rows, found.metric) == ("class", "yes", 40, "recall")
    assert found.value.value == pytest.approx(recall_score(truth, called))
    assert found.overall == pytest.approx(recall_score(truth, called, average="macro"))


def test_a_slice_of_one_and_a_slice_of_one_class_say_why_they_have_no_number():
    columns, truth = two_columns()
    columns["colour"][0] = None
    columns["colour"][1:16] = "ultraviolet"
    truth[1:16] = 1
    found = rare_slices(signature_of(columns), columns, truth, one_column_model(columns), seed=0)
    reasons = {item.level: item.value.reason for item in found.slices}
    assert reasons == {
        "": "the slice has 1 row, at least 10 are needed",
        "ultraviolet": "the slice has rows of one class only",
    }


def test_nothing_rare_is_said_so():
    columns, truth = two_columns()
    found = rare_slices(signature_of(columns), columns, truth, one_column_model(columns), seed=0)
    assert found.slices == ()
    assert found.reason == "no class and no level has 5 % of the rows or less"


def test_a_regression_has_levels_and_no_classes():
    columns, _ = two_columns()
    columns["colour"][:20] = "ultraviolet"
    truth = columns["deciding"]
    (found,) = rare_slices(signature_of(columns, "regression"), columns, truth, (truth + 1)[:, None], seed=0).slices
    assert (found.kind, found.metric) == ("level", "rmse")
    assert found.value.value == pytest.approx(1.0)


def test_a_class_without_rows_is_a_slice_of_none():
    columns, truth = two_columns()
    scores = np.tile([0.5, 0.3, 0.2], (600, 1))
    signature = signature_of(columns, "multiclass", ("a", "b", "c"))
    (found,) = rare_slices(signature, columns, truth, scores, seed=0).slices
    assert (found.level, found.n_rows) == ("c", 0)
    assert found.value.reason == "the slice has 0 rows, at least 10 are needed"


def test_the_interval_of_a_rare_level_counts_that_its_classes_vary():
    # Every row is called "no": what is right depends on the class alone, and a resample that kept the sizes of the
    # classes would never differ.
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=2000), "colour": np.full(2000, "red", dtype=object)}
    columns["colour"][:100] = "ultraviolet"
    truth = (np.arange(2000) % 4 == 0).astype(np.int64)
    signature = signature_of(columns)
    (found,) = rare_slices(signature, columns, truth, np.full((2000, 1), 0.2), seed=0, metric="accuracy").slices
    assert found.value.value == 0.75
    assert found.value.high - found.value.low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 100), rel=0.25)
