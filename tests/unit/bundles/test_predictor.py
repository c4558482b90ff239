"""The predictor answers in the shape of the wire, the same for rows and tables."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest

from arkwright.bundles import (
    ConstantEvaluator,
    LinearEvaluator,
    PredictionInvalid,
    Predictor,
    fit_encoder,
    to_rows,
)
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid

NUMBER = (Column(name="x", kind="numeric"),)


def small(task, classes, evaluator, **signature):
    encoder = fit_encoder(NUMBER, {"x": np.array([0.0, 1.0])}, layout="tree")
    return Predictor(Signature(task=task, target="y", columns=NUMBER, classes=classes, **signature), encoder, evaluator)


def test_binary_answers_the_label_and_the_positive_score_after_the_identifiers(churn, predictor):
    row = {**to_rows(churn[1])[0], "customerID": "7590-VHVEG"}
    answer = predictor.predict_row(row)
    assert list(answer) == ["customerID", "label", "score"]
    assert answer["customerID"] == "7590-VHVEG"
    assert answer["label"] == ("Yes" if answer["score"] >= 0.5 else "No")


def test_an_identifier_that_is_not_sent_is_not_echoed(churn, predictor):
    assert list(predictor.predict_row(to_rows(churn[1])[0])) == ["label", "score"]


@pytest.mark.parametrize(("score", "label"), [(0.49999, False), (0.5, True), (0.9, True)])
def test_binary_labels_keep_their_type_and_turn_at_one_half(score, label):
    predictor = small("binary", (False, True), ConstantEvaluator([score], n_features=1))
    assert predictor.predict_row({"x": 1}) == {"label": label, "score": score}


def test_multiclass_answers_the_best_class_and_all_scores_on_request():
    predictor = small("multiclass", (1, 2, 3), ConstantEvaluator([0.2, 0.5, 0.3], n_features=1))
    assert predictor.predict_row({"x": 1}) == {"label": 2, "score": 0.5}
    assert predictor.predict_row({"x": 1}, with_scores=True)["scores"] == {"1": 0.2, "2": 0.5, "3": 0.3}


def test_regression_answers_a_value():
    predictor = small("regression", (), LinearEvaluator([2.0], 1.0, "identity"), identifiers=("id",))
    assert predictor.predict_rows([{"x": 3, "id": 9}, {"x": 4}]) == [{"id": 9, "value": 7.0}, {"value": 9.0}]


@pytest.mark.parametrize("name", ["predictor", "linear_predictor"])
def test_rows_and_columns_get_the_same_answers_to_the_last_bit(name, churn, request):
    predictor = request.getfixturevalue(name)
    answers = predictor.answer_columns(churn[1])
    rows = predictor.predict_rows(to_rows(churn[1]))
    assert [row["score"] for row in rows] == answers["score"].tolist()
    assert [row["label"] for row in rows] == answers["label"].tolist()


def test_column_answers_of_the_other_tasks():
    many = small("multiclass", ("a", "b"), ConstantEvaluator([0.4, 0.6], n_features=1))
    value = small("regression", (), LinearEvaluator([2.0], 1.0, "identity"))
    table = {"x": np.array([1.0, 2.0])}
    assert {name: values.tolist() for name, values in many.answer_columns(table).items()} == {
        "label": ["b", "b"],
        "score": [0.6, 0.6],
    }
    assert value.answer_columns(table)["value"].tolist() == [3.0, 5.0]


def test_a_null_category_is_the_same_as_a_missing_one(churn, predictor, column_of):
    row = to_rows(churn[1])[0] | {"Contract": None}
    table = {name: values[:1] for name, values in churn[1].items()} | {"Contract": column_of("categorical", [None])}
    assert predictor.predict_row(row)["score"] == predictor.predict_columns(table)[0, 0]


def test_answers_are_plain_json(churn, predictor):
    answers = predictor.predict_rows(to_rows(churn[1])[:5])
    assert msgspec.json.decode(msgspec.json.encode(answers)) == answers


def test_rows_are_checked_before_anything_is_answered(churn, predictor):
    rows = to_rows(churn[1])[:3]
    rows[2]["tenure"] = "twelve"
    with pytest.raises(PredictionInvalid, match=r"instances\[2\].tenure"):
        predictor.predict_rows(rows)


def test_a_table_without_a_required_column_is_refused(churn, predictor):
    table = {name: values for name, values in churn[1].items() if name != "tenure"}
    with pytest.raises(PredictionInvalid, match="'tenure' is missing"):
        predictor.predict_columns(table)


def test_parts_that_do_not_fit_together_are_refused():
    with pytest.raises(Invalid, match="gives 1 features and the evaluator takes 2") as caught:
        small("regression", (), ConstantEvaluator([1.0], n_features=2))
    assert caught.value.code == "bundle.mismatch"
    with pytest.raises(Invalid, match="two classes, this one has 3"):
        small("binary", ("a", "b", "c"), ConstantEvaluator([1.0], n_features=1))


def test_a_predictor_travels_to_another_process(churn, predictor):
    rows = to_rows(churn[1])[:5]
    assert pickle.loads(pickle.dumps(predictor)).predict_rows(rows) == predictor.predict_rows(rows)
