"""Whole pipelines: compiled, they answer what they answered, and refuse what they refused."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

from arkwright.bundles import LinearEvaluator, NotCompilable, PredictionInvalid, Predictor, to_rows
from arkwright.bundles.conversion.inputs import compile_with_inputs, signature_columns
from arkwright.bundles.conversion.pipeline import CompiledModel, compile_model
from arkwright.bundles.general import GeneralInput, GeneralModel
from arkwright.bundles.general_model import GeneralPredictor
from arkwright.bundles.parity import measure_model_parity
from arkwright.contracts import Signature

INPUTS = (
    GeneralInput(name="age", dtype="float64"),
    GeneralInput(name="visits", dtype="integer"),
    GeneralInput(name="plan", dtype="text"),
    GeneralInput(name="vip", dtype="boolean"),
)


def table(n_rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    plan = rng.choice(np.array(["basic", "pro", "free", "old"], dtype=object), n_rows, p=[0.5, 0.3, 0.18, 0.02])
    return pd.DataFrame(
        {
            "age": np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(40, 12, n_rows)),
            "visits": rng.integers(0, 20, n_rows),
            "plan": pd.Series(np.where(rng.random(n_rows) < 0.1, np.nan, plan), dtype=object),
            "vip": rng.random(n_rows) < 0.3,
        }
    )


def target(frame: pd.DataFrame) -> Any:
    return np.where((frame["visits"] > 9) ^ (frame["plan"] == "pro"), "yes", "no")


def pipeline(estimator: Any, **encoder: Any) -> Pipeline:
    categories = OneHotEncoder(**({"handle_unknown": "ignore"} | encoder))
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    parts = [("n", numbers, ["age", "visits"]), ("c", categories, ["plan"]), ("b", "passthrough", ["vip"])]
    return make_pipeline(ColumnTransformer(parts), estimator)


def signature(task: Any = "binary", classes: tuple[Any, ...] = ("no", "yes"), inputs: Any = INPUTS) -> Signature:
    return Signature(task=task, target="y", columns=signature_columns(inputs), classes=classes)


def both(model: Any, own: Signature | None = None, inputs: Any = INPUTS) -> tuple[Predictor, GeneralPredictor]:
    own = own or signature()
    inputs, compiled = compile_with_inputs(model, inputs)
    assert isinstance(compiled, CompiledModel), compiled
    method: Any = "predict" if own.task == "regression" else "predict_proba"
    general = GeneralModel(loader="pickle", inputs=inputs, method=method)
    return Predictor(own, compiled.encoder, compiled.evaluator), GeneralPredictor(own, general, model)


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    texts = {name: frame[name].astype(object).where(frame[name].notna(), None) for name in ("plan", "vip")}
    found = {name: np.array([None if v is None else str(v) for v in texts[name]], dtype=object) for name in texts}
    return {"age": frame["age"].to_numpy(float), "visits": frame["visits"].to_numpy(float), **found}


CELLS = {
    "age": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**6), 10**6)),
    "visits": st.one_of(st.none(), st.integers(-5, 30), st.floats(-1e300, 1e300)),
    "plan": st.one_of(st.none(), st.sampled_from(["basic", "pro", "free", "old", "", "PRO", "ä"]), st.text(max_size=5)),
    "vip": st.one_of(st.none(), st.booleans(), st.sampled_from(["True", "no"])),
}
LOGISTIC = pipeline(LogisticRegression()).fit(table(), target(table()))
FOREST = pipeline(RandomForestClassifier(7, random_state=0, max_depth=6), min_frequency=10).fit(
    table(), target(table())
)


@pytest.mark.parametrize("model", [LOGISTIC, FOREST], ids=["logistic", "forest"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.fixed_dictionaries(CELLS))
def test_any_row_gets_the_same_answer_or_the_same_refusal(model: Any, row: dict[str, Any]) -> None:
    predictor, original = both(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = original.predict_rows([row])[0]
    except ValueError:
        with pytest.raises(PredictionInvalid):
            predictor.predict_row(row)
        return
    found = predictor.predict_row(row)
    assert found["score"] == pytest.approx(expected["score"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("estimator", "encoder"),
    [
        (LogisticRegression(), {}),
        (LogisticRegression(), {"handle_unknown": "error"}),
        (RandomForestClassifier(7, random_state=0), {}),
        (XGBClassifier(n_estimators=8, n_jobs=1), {}),
        (XGBClassifier(n_estimators=8, n_jobs=1), {"sparse_output": False}),
        (XGBClassifier(n_estimators=8, n_jobs=1), {"max_categories": 2, "handle_unknown": "infrequent_if_exist"}),
    ],
    ids=["logistic", "strict", "forest", "xgboost", "xgboost dense", "xgboost pooled"],
)
def test_parity_holds_on_difficult_rows(estimator: Any, encoder: dict[str, Any]) -> None:
    frame = table()
    y = target(frame)
    labels = (y == "yes").astype(int) if isinstance(estimator, XGBClassifier) else y
    model = pipeline(estimator, **encoder).fit(frame, labels)
    predictor, original = both(model)
    found = measure_model_parity(predictor, original.scores, columns(frame))
    assert found.record.passed, found.example
    if encoder.get("handle_unknown") == "error":
        assert found.n_refused > 0


def test_a_sparse_matrix_s_zeros_are_missing_to_xgboost() -> None:
    """They were in training, so they must be when it serves."""
    frame = pd.DataFrame({"plan": ["a", "b", "c", "d", "e"] * 40, "visits": [0, 1, 2, 3] * 50})
    parts = [("c", OneHotEncoder(), ["plan"]), ("n", "passthrough", ["visits"])]
    y = (frame["visits"] > 1).astype(int)
    model = make_pipeline(ColumnTransformer(parts, sparse_threshold=1.0), XGBClassifier(n_estimators=8, n_jobs=1))
    model.fit(frame, y)
    assert model[0].sparse_output_
    inputs = (GeneralInput(name="plan", dtype="text"), GeneralInput(name="visits", dtype="integer"))
    predictor, _ = both(model, signature(inputs=inputs, classes=(0, 1)), inputs)
    for row in ({"plan": "a", "visits": 0}, {"plan": "e", "visits": 3}):
        expected = model.predict_proba(pd.DataFrame([row]))[0, 1]
        assert predictor.predict_row(row)["score"] == pytest.approx(expected, abs=1e-6)


def test_a_missing_number_without_an_imputer_is_refused_by_its_path() -> None:
    frame = table().dropna()[["age", "visits"]]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, frame["visits"] > 9)
    predictor, _ = both(model, signature(inputs=INPUTS[:2], classes=(False, True)), INPUTS[:2])
    with pytest.raises(PredictionInvalid) as refused:
        predictor.predict_rows([{"age": 1.0, "visits": 2}, {"age": None, "visits": 2}])
    assert refused.value.errors == [
        {
            "field": "instances[1].age",
            "message": "is missing: the model was trained without missing values here",
        }
    ]


def test_a_category_of_many_levels_adds_one_number_to_a_linear_score() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"plan": [f"p{index}" for index in rng.integers(0, 500, 3000)]})
    inputs = (GeneralInput(name="plan", dtype="text"),)
    y = np.array(["a", "b", "c"])[rng.integers(0, 3, 3000)]
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=50)).fit(frame, y)
    own = signature("multiclass", ("a", "b", "c"), inputs)
    predictor, original = both(model, own, inputs)
    assert predictor.encoder.n_outputs == 3
    assert isinstance(predictor.evaluator, LinearEvaluator)
    found = measure_model_parity(predictor, original.scores, {"plan": frame["plan"].to_numpy(object)})
    assert found.record.passed, found.example


def test_a_regression_and_a_search_s_best_pipeline_are_compiled() -> None:
    frame = table()
    search = GridSearchCV(pipeline(Ridge()), {"ridge__alpha": [0.1, 1.0]}, cv=2).fit(frame, frame["visits"] * 2.0)
    predictor, original = both(search, signature("regression", ()))
    assert measure_model_parity(predictor, original.scores, columns(frame)).record.passed
    trees = pipeline(ExtraTreesRegressor(5, random_state=0)).fit(frame, frame["visits"] * 2.0)
    predictor, original = both(trees, signature("regression", ()))
    assert measure_model_parity(predictor, original.scores, columns(frame)).record.passed


def test_what_each_column_added_is_told_by_column() -> None:
    predictor, _ = both(LOGISTIC)
    row = to_rows(columns(table(5)))[3]
    explained = predictor.explain_rows([row])[0]
    assert list(explained["contributions"]) == ["age", "visits", "plan", "vip"]
    total = explained["base_value"] + sum(explained["contributions"].values())
    assert explained["scale"] == "sigmoid"
    assert 1 / (1 + np.exp(-total)) == pytest.approx(explained["prediction"]["score"])


def test_digits_whose_encoder_knows_texts_are_texts() -> None:
    frame = pd.DataFrame({"plan": ["1", "2", "3"] * 30})
    model = make_pipeline(OrdinalEncoder(), RandomForestClassifier(5)).fit(frame, frame["plan"] == "2")
    inputs, compiled = compile_with_inputs(model, [GeneralInput(name="plan", dtype="integer")])
    assert inputs[0].dtype == "text"
    assert isinstance(compiled, CompiledModel)


def test_a_difference_is_found_and_shown() -> None:
    predictor, original = both(LOGISTIC)
    found = measure_model_parity(predictor, lambda some: original.scores(some) + 0.01, columns(table()))
    assert not found.record.passed
    assert found.record.max_abs_difference == pytest.approx(0.01)
    assert "the model answers" in found.example


def test_one_that_refuses_alone_is_no_parity() -> None:
    predictor, _ = both(LOGISTIC)

    def refuses(_some: Any) -> Any:
        raise RuntimeError("never")

    found = measure_model_parity(predictor, refuses, columns(table(20)))
    assert not found.record.passed
    assert "it refuses" in found.example


def test_an_estimator_without_a_compiled_form_is_named() -> None:
    frame = table().dropna()
    model = pipeline(KNeighborsClassifier()).fit(frame, target(frame))
    with pytest.raises(NotCompilable, match="KNeighborsClassifier"):
        compile_model(model, INPUTS)


def test_the_kernels_survive_the_journey_to_disk() -> None:
    predictor, _ = both(FOREST)
    state, arrays = predictor.encoder.to_json()
    again = type(predictor.encoder).from_json(json.loads(json.dumps(state, allow_nan=False)), arrays)
    assert again.kernels == predictor.encoder.kernels
