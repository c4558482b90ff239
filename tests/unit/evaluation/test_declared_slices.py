"""Slices that somebody declared: which rows they are, their metrics beside the rest, and how sure a difference is."""

import dataclasses

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import recall_score, roc_auc_score

from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.classification import classification_replicates
from arkwright.evaluation.declared_slices import (
    DeclaredSlice,
    SliceBounds,
    check_slices,
    in_words,
    members,
    slice_table,
)
from arkwright.evaluation.evaluated_rows import usable_rows
from arkwright.evaluation.evaluation_request import EvaluationRequest, check_columns
from arkwright.evaluation.examine_performance import examine_weak_slices
from arkwright.evaluation.material import Material, Options
from arkwright.evaluation.payloads import CreateEvaluation
from arkwright.evaluation.routes import _request

COLUMNS = {
    "plan": np.array(["gold", "basic", None, "gold", " basic "], dtype=object),
    "age": np.array([18.0, 30.0, np.nan, 60.0, 29.5]),
    "active": np.array(["True", "False", "True", None, "False"], dtype=object),
}


def slice_of(**where):
    return DeclaredSlice(name="it", where=where)


@pytest.mark.parametrize(
    ("where", "rows", "words"),
    [
        ({"plan": "gold"}, [0, 3], "plan is gold"),
        ({"plan": ["gold", None]}, [0, 2, 3], "plan is gold or missing"),
        ({"plan": "basic"}, [1, 4], "plan is basic"),
        ({"age": 30}, [1], "age is 30"),
        ({"age": "30"}, [1], "age is 30"),
        ({"age": None}, [2], "age is missing"),
        ({"age": SliceBounds(low=18, high=30)}, [0, 4], "18 <= age < 30"),
        ({"age": SliceBounds(low=30)}, [1, 3], "30 <= age"),
        ({"active": True}, [0, 2], "active is True"),
        ({"plan": "gold", "age": SliceBounds(high=20)}, [0], "plan is gold and age < 20"),
        ({"plan": "silver"}, [], "plan is silver"),
    ],
    ids=["text", "missing or", "blanks", "number", "written", "missing", "bounds", "low", "truth", "both", "none"],
)
def test_conditions_hold_for_the_rows_they_say(where, rows, words):
    assert np.flatnonzero(members(slice_of(**where), COLUMNS)).tolist() == rows
    assert in_words(slice_of(**where)) == words


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"plan": SliceBounds(low=1)}, "column 'plan' holds no numbers"),
        ({"age": "old"}, "column 'age' holds numbers, and 'old' is none"),
        ({"age": True}, "column 'age' holds numbers, and True is none"),
        ({"size": 1}, "no column 'size'"),
    ],
    ids=["bounds of text", "text of a number", "truth of a number", "unknown"],
)
def test_conditions_that_make_no_sense_are_refused(where, message):
    with pytest.raises(Invalid, match=message):
        members(slice_of(**where), COLUMNS)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([slice_of(a=1), slice_of(b=2)], "another one of that name"),
        ([slice_of()], "no condition"),
        ([slice_of(a=[])], "no value of 'a'"),
        ([slice_of(a=SliceBounds())], "neither low nor high"),
        ([slice_of(a=SliceBounds(low=3, high=3))], "low is not below high"),
    ],
    ids=["twice", "empty", "no value", "no bound", "empty bounds"],
)
def test_slices_that_hold_nothing_are_refused_before_the_start(slices, message):
    with pytest.raises(Invalid, match=message):
        check_slices(slices)


def people(n=400, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    score = np.clip(0.3 * truth + 0.7 * rng.random(n), 0, 1)
    return truth, score, rng


def metrics_of(truth, score, shown=("roc_auc", "recall")):
    probability = np.column_stack((1 - score, score))
    return lambda rows, names: classification_replicates(truth[rows], probability[rows], names or shown, empty=np.nan)


def test_each_slice_has_its_metrics_with_intervals_beside_the_rest():
    truth, score, _ = people()
    truth[:20] = 0
    plan = np.array(["gold"] * 20 + ["basic"] * 379 + ["trial"], dtype=object)
    masks = {name: plan == name for name in ("basic", "gold", "trial", "none")}
    found = slice_table(masks, metrics_of(truth, score), "roc_auc", seed=0, codes=truth, n_resamples=200)
    basic, gold, trial, nobody = found.slices
    rows = plan == "basic"
    assert (basic.name, basic.n_rows, basic.small) == ("basic", 379, False)
    assert basic.metrics["roc_auc"].value == pytest.approx(roc_auc_score(truth[rows], score[rows]))
    assert basic.metrics["roc_auc"].low < basic.metrics["roc_auc"].value < basic.metrics["roc_auc"].high
    assert basic.metrics["recall"].value == pytest.approx(recall_score(truth[rows], score[rows] >= 0.5))
    assert (gold.small, gold.metrics["recall"].value) == (True, None)
    assert gold.metrics["recall"].reason == "there are no positive rows"
    assert gold.metrics["roc_auc"].reason == "the rows are all of one class"
    assert gold.difference.reason == "in the slice the rows are all of one class"
    assert (gold.p_value, gold.adjusted_p) == (None, None)
    assert (trial.n_rows, trial.metrics["roc_auc"].reason) == (1, "the rows are all of one class")
    assert (nobody.n_rows, nobody.reason, nobody.metrics) == (0, "no row is like that", {})
    assert found.overall["roc_auc"] == pytest.approx(roc_auc_score(truth, score))
    assert b"NaN" not in msgspec.json.encode(found)


def test_a_difference_agrees_with_the_test_of_two_means_and_is_corrected_for_the_other_slices():
    rng = np.random.default_rng(0)
    error = np.abs(rng.normal(size=3000))
    weak = np.arange(3000) < 300
    error[weak] += 0.12
    other = np.arange(3000) % 2 == 0

    def mae(rows, names):
        return lambda weights: {"mae": weights @ error[rows] / weights.sum(axis=-1)}

    found = slice_table({"weak": weak, "other": other}, mae, "mae", seed=0)
    row, even = found.slices
    theirs = stats.ttest_ind(error[weak], error[~weak], equal_var=False)
    assert row.difference.value == pytest.approx(error[weak].mean() - error[~weak].mean())
    assert row.difference.low == pytest.approx(theirs.confidence_interval().low, abs=0.02)
    assert row.difference.high == pytest.approx(theirs.confidence_interval().high, abs=0.02)
    assert np.log10(row.p_value) == pytest.approx(np.log10(theirs.pvalue), abs=0.3)
    assert row.adjusted_p == pytest.approx(2 * row.p_value)
    assert row.worse("mae")
    assert not even.worse("mae")
    assert even.adjusted_p == pytest.approx(max(even.p_value, row.adjusted_p))


def test_slices_that_differ_by_chance_are_called_different_in_about_one_sample_in_twenty():
    called = 0
    for seed in range(60):
        truth, score, rng = people(n=600, seed=seed)
        masks = {f"s{index}": rng.random(600) < 0.2 for index in range(3)}
        found = slice_table(masks, metrics_of(truth, score, ("accuracy",)), "accuracy", seed=0, n_resamples=200)
        called += any(row.adjusted_p <= 0.05 for row in found.slices)
    assert called <= 7


def test_a_slice_of_all_rows_has_no_rest():
    truth, score, _ = people()
    found = slice_table({"all": np.ones(400, dtype=bool)}, metrics_of(truth, score), "roc_auc", seed=0, n_resamples=50)
    assert found.slices[0].difference.reason == "every row is like that, so there is no rest"


@pytest.mark.parametrize("masks", [{}, {"a": np.zeros(0, dtype=bool)}], ids=["no slice", "no row"])
def test_nothing_to_slice_is_refused(masks):
    with pytest.raises(Invalid, match="no rows to slice|not of one length"):
        slice_table(masks, lambda rows, names: lambda weights: {}, "mae", seed=0)


SIGNATURE = Signature(task="binary", target="y", columns=(Column(name="x", kind="numeric"),), classes=("no", "yes"))
SLICES = (
    DeclaredSlice(name="north", where={"region": "north"}),
    DeclaredSlice(name="nowhere", where={"region": "west"}),
    DeclaredSlice(name="odd", where={"region": SliceBounds(low=1)}),
)


def material(n=800):
    rng = np.random.default_rng(0)
    score = rng.uniform(0.05, 0.95, n)
    truth = (rng.random(n) < score).astype(np.int64)
    region = np.where(np.arange(n) % 4 == 0, "north", "south").astype(object)
    truth[region == "north"] = rng.integers(0, 2, (region == "north").sum())
    return Material(
        SIGNATURE,
        lambda given: given["x"][:, None],
        {"x": score},
        truth,
        np.array([[0.5]]),
        slice_columns={"region": region},
    )


def test_the_section_measures_the_declared_slices_and_says_why_one_has_no_numbers():
    options = Options(profile="quick", n_resamples=100, slices=SLICES)
    found = examine_weak_slices(material(), options).declared
    north, nowhere, odd = found.slices
    assert found.metric == "roc_auc"
    assert (north.where, north.n_rows, north.share) == ("region is north", 200, 0.25)
    assert set(north.metrics) == {"roc_auc", "accuracy", "precision", "recall", "f1", "log_loss"}
    assert north.difference.high < 0
    assert north.worse("roc_auc")
    assert north.loss > north.expected
    assert north.skill < 0
    assert nowhere.reason == "no row is like that"
    assert odd.reason == "column 'region' holds no numbers to compare with bounds"
    assert examine_weak_slices(material(), dataclasses.replace(options, slices=())).declared is None


def test_slices_reach_the_job_as_they_were_sent():
    where = {"sex": "f", "age": {"low": 18, "high": 30}, "plan": ["a", None, 3], "active": True}
    body = CreateEvaluation.model_validate({"model": "m", "slices": [{"name": "young", "where": where}]})
    request = msgspec.convert(msgspec.json.decode(msgspec.json.encode(_request(body))), EvaluationRequest)
    (found,) = request.slices
    assert found.where["age"] == SliceBounds(low=18, high=30)
    assert found.where["plan"] == ["a", None, 3]
    assert found.where["active"] is True


def test_a_slice_by_a_column_that_the_data_does_not_have_is_refused_before_the_start():
    request = EvaluationRequest(slices=(DeclaredSlice(name="a", where={"regoin": "north"}),))
    with pytest.raises(Invalid, match="The data has no column 'regoin'") as refused:
        check_columns(request, SIGNATURE, ["x", "y", "region"])
    assert refused.value.code == "evaluation.slice_unknown"
    table = pa.table({"x": [1.0, 2.0], "y": ["no", "yes"], "region": ["north", None]})
    with pytest.raises(Invalid, match="The data has no column 'regoin'"):
        usable_rows(table, SIGNATURE, others=["regoin"])
    assert usable_rows(table, SIGNATURE, others=["region"]).others["region"].tolist() == ["north", None]
