"""A model of one's own becomes a bundle: compiled where it can be, general where not, refused where it must be."""

from __future__ import annotations

import importlib
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from arkwright.bundles import LoadedBundle, load_bundle
from arkwright.bundles.general_model import open_general
from arkwright.core.errors import ArkwrightError, Invalid, PolicyRefused
from arkwright.registry.compiling import CompileAnswer, CompileTask, answer_to, compile_folder
from tests.unit.registry.own_models import TARGET, estimators, pipeline, telco


def save_model(library: str, model: Any, folder: Path, **settings: Any) -> None:
    """Save a model as the stock client does, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flavor = importlib.import_module(f"mlflow.{library}")
        flavor.save_model(model, folder, pip_requirements=[], **settings)


class Bench:
    """A folder for a model, a sample beside it."""

    def __init__(self, path: Path, frame: pd.DataFrame) -> None:
        self.path = path
        self.model = path / "model"
        self.model.mkdir()
        self.sample = path / "sample.parquet"
        frame.to_parquet(self.sample)

    def task(self, **changes: Any) -> CompileTask:
        settings: dict[str, Any] = {
            "model": str(self.model),
            "out": str(self.path / "bundle"),
            "answer": str(self.path / "answer.json"),
            "sample": str(self.sample),
            "target": TARGET,
            "allow_pickled": True,
            "lineage": {"origin": "import", "source": "test", "source_sha256": "0"},
        }
        return CompileTask(**{**settings, **changes})

    def run(self, **changes: Any) -> tuple[CompileAnswer, LoadedBundle]:
        answer = compile_folder(self.task(**changes))
        return answer, load_bundle(self.path / "bundle", answer.digest)


@pytest.fixture
def data(telco_csv: Path) -> tuple[pd.DataFrame, pd.Series[Any]]:
    return telco(telco_csv)


@pytest.fixture
def bench(tmp_path: Path, data: tuple[pd.DataFrame, pd.Series[Any]]) -> Bench:
    X, y = data
    return Bench(tmp_path, X.assign(**{TARGET: y}))


@pytest.mark.parametrize("name", list(estimators()))
@pytest.mark.parametrize("ordinal", [False, True], ids=["one-hot", "ordinal"])
def test_a_pipeline_of_each_family_is_compiled_and_answers_as_before(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]], name: str, ordinal: bool
) -> None:
    X, y = data
    target = y if name != "xgboost" else (y == "Yes").astype(int)
    model = pipeline(estimators()[name], ordinal=ordinal).fit(X, target)
    joblib.dump(model, bench.model / "model.joblib")
    answer, bundle = bench.run()
    assert answer.predictor == "compiled", answer.general_reason
    assert answer.parity is not None
    assert answer.parity.passed
    row = json.loads(X.iloc[[7]].to_json(orient="records"))[0]
    answered = bundle.predictor.predict_row(row)
    assert answered["score"] == pytest.approx(
        model.predict_proba(X.iloc[[7]])[0, 1], abs=1e-6 if name == "xgboost" else 1e-9
    )
    explained = bundle.predictor.explain_rows([row])[0]
    assert set(explained["contributions"]) == set(X.columns)


def test_a_missing_category_is_missing_to_the_pipeline_too(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]
) -> None:
    """The skew trap: a JSON null that reaches scikit-learn as None is not imputed."""
    X, y = data
    model = pipeline(LogisticRegression(max_iter=500)).fit(X, y)
    joblib.dump(model, bench.model / "model.joblib")
    _, bundle = bench.run()
    row = json.loads(X.iloc[[7]].to_json(orient="records"))[0] | {"PaymentMethod": None}
    expected = model.predict_proba(X.iloc[[7]].assign(PaymentMethod=np.nan))[0, 1]
    assert bundle.predictor.predict_row(row)["score"] == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_compiled_is_a_general_bundle_that_says_why(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]
) -> None:
    X, y = data
    numbers = X[["tenure", "MonthlyCharges"]]
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(numbers, y)
    joblib.dump(model, bench.model / "model.joblib")
    answer, bundle = bench.run()
    assert (answer.predictor, bundle.manifest.predictor) == ("general", "general")
    assert "PCA" in bundle.manifest.general_reason
    with pytest.raises(Invalid, match="was not compiled"):
        _ = bundle.predictor
    answered = open_general(bundle).predict_rows([{"tenure": 3, "MonthlyCharges": 70.5}])[0]
    expected = model.predict_proba(pd.DataFrame({"tenure": [3], "MonthlyCharges": [70.5]}))[0, 1]
    assert answered == {"label": "Yes" if expected >= 0.5 else "No", "score": expected}


def test_a_text_model_makes_no_long_vector(bench: Bench, tmp_path: Path) -> None:
    words = np.array([f"word{index}" for index in range(3000)])
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 12)) for _ in range(400)]
    y = np.array(["spam" if "word1" in text else "ham" for text in texts])
    y[0] = "spam"
    frame = pd.DataFrame({"message": texts, "length": [float(len(text)) for text in texts]})
    from sklearn.compose import ColumnTransformer

    split = ColumnTransformer([("text", TfidfVectorizer(), "message"), ("length", StandardScaler(), ["length"])])
    model = make_pipeline(split, LogisticRegression()).fit(frame, y)
    joblib.dump(model, bench.model / "model.joblib")
    frame.assign(**{TARGET: y}).to_parquet(bench.sample)
    answer, bundle = bench.run()
    assert answer.predictor == "compiled", answer.general_reason
    assert len(model[0].get_feature_names_out()) > 2400
    assert bundle.predictor.encoder.n_outputs == 2
    row = {"message": "word1 word2 and others", "length": 22.0}
    expected = model.predict_proba(pd.DataFrame([row]))[0, 1]
    assert bundle.predictor.predict_row(row)["score"] == pytest.approx(expected, abs=1e-12)


def test_a_regressor_answers_with_values(bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, _ = data
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X[["tenure"]], X["MonthlyCharges"])
    joblib.dump(model, bench.model / "model.joblib")
    answer, bundle = bench.run(target="MonthlyCharges")
    assert (answer.task, answer.predictor) == ("regression", "compiled")
    expected = model.predict(pd.DataFrame({"tenure": [5]}))[0]
    assert bundle.predictor.predict_row({"tenure": 5})["value"] == pytest.approx(expected)


def test_a_model_without_probabilities_says_one_or_zero(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]
) -> None:
    from sklearn.svm import SVC

    X, y = data
    model = make_pipeline(StandardScaler(), SVC()).fit(X[["tenure"]][:200], y[:200])
    joblib.dump(model, bench.model / "model.joblib")
    answer, bundle = bench.run()
    assert answer.predictor == "general"
    assert open_general(bundle).predict_rows([{"tenure": 5}])[0]["score"] in {0.0, 1.0}


def test_skops_files_and_logged_models_need_no_permission(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]
) -> None:
    X, y = data
    model = pipeline(estimators()["lightgbm"]).fit(X, y)
    skops.io.dump(model, bench.model / "model.skops")
    answer, _ = bench.run(allow_pickled=False)
    assert answer.predictor == "compiled", answer.general_reason


def test_a_logged_mlflow_model_brings_its_own_sample(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]], tmp_path: Path
) -> None:
    X, y = data
    model = pipeline(LogisticRegression(max_iter=500)).fit(X, y)
    folder = tmp_path / "logged"
    save_model("sklearn", model, folder, serialization_format="cloudpickle", input_example=X.head(3))
    answer, bundle = bench.run(model=str(folder), sample="")
    assert answer.predictor == "compiled", answer.general_reason
    assert [column.name for column in bundle.signature.columns] == list(X.columns)


@pytest.mark.parametrize("library", ["xgboost", "catboost", "lightgbm"])
def test_native_flavours_need_no_pickle(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]], library: str, tmp_path: Path
) -> None:
    X, y = data
    numbers = X[["tenure", "MonthlyCharges", "TotalCharges"]]
    target = (y == "Yes").astype(int)
    model = estimators()[library].fit(numbers, target)
    folder = tmp_path / "logged"
    save_model(library, model, folder)
    answer, bundle = bench.run(model=str(folder), allow_pickled=False)
    assert answer.predictor == "compiled", answer.general_reason
    row = {"tenure": 3, "MonthlyCharges": 70.5, "TotalCharges": None}
    frame = pd.DataFrame([row]).astype(float)
    assert bundle.predictor.predict_row(row)["score"] == pytest.approx(model.predict_proba(frame)[0, 1], abs=1e-6)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_bare_booster_is_compiled_too(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]], library: str, tmp_path: Path
) -> None:
    X, y = data
    numbers, codes = X[["tenure", "MonthlyCharges"]].astype(float), (y == "Yes").astype(int)
    if library == "xgboost":
        booster: Any = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(numbers, codes), 5)
        expected = booster.predict(xgboost.DMatrix(numbers[:1]))[0]
    else:
        settings = {"objective": "binary", "verbose": -1, "num_threads": 1}
        booster = lightgbm.train(settings, lightgbm.Dataset(numbers, codes), 5)
        expected = booster.predict(numbers[:1])[0]
    save_model(library, booster, tmp_path / "logged")
    classes = ("No", "Yes") if library == "lightgbm" else ()
    answer, bundle = bench.run(model=str(tmp_path / "logged"), allow_pickled=False, classes=classes)
    assert answer.predictor == "compiled", answer.general_reason
    row = numbers.iloc[0].to_dict()
    assert bundle.predictor.predict_row(row)["score"] == pytest.approx(expected, abs=1e-6)
    if library == "lightgbm":
        assert refusal(bench, model=str(tmp_path / "logged")).code == "import.classes"


@pytest.mark.parametrize("name", ["lightgbm", "hist_gradient_boosting"])
def test_pandas_categories_are_read_by_their_names(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]], name: str
) -> None:
    X, y = data
    frame = X[["tenure", "Contract", "PaymentMethod"]].astype({"Contract": "category", "PaymentMethod": "category"})
    model = estimators()[name].fit(frame, y)
    joblib.dump(model, bench.model / "model.joblib")
    answer, bundle = bench.run()
    assert answer.predictor == "compiled", answer.general_reason
    row = {"tenure": 3, "Contract": "Two year", "PaymentMethod": None}
    expected = frame.iloc[[0]].assign(tenure=3)
    expected["Contract"] = pd.Categorical(["Two year"], categories=frame["Contract"].cat.categories)
    expected["PaymentMethod"] = pd.Categorical([None], categories=frame["PaymentMethod"].cat.categories)
    assert bundle.predictor.predict_row(row)["score"] == model.predict_proba(expected)[0, 1]


def refusal(bench: Bench, **changes: Any) -> ArkwrightError:
    with pytest.raises(ArkwrightError) as caught:
        compile_folder(bench.task(**changes))
    return caught.value


def test_a_pickle_is_refused_unopened_unless_it_is_allowed(bench: Bench, tmp_path: Path) -> None:
    trap = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (trap,)

    (bench.model / "model.pkl").write_bytes(pickle.dumps(Trap()))
    error = refusal(bench, allow_pickled=False)
    assert isinstance(error, PolicyRefused)
    assert error.code == "import.pickle"
    assert "ARKWRIGHT_ALLOW_PICKLED_MODELS" in str(error.hint)
    assert not trap.exists()


def test_a_skops_file_with_other_types_is_refused(bench: Bench) -> None:
    from sklearn.preprocessing import FunctionTransformer

    skops.io.dump(FunctionTransformer(telco), bench.model / "model.skops")
    error = refusal(bench, allow_pickled=False)
    assert error.code == "model.untrusted_types"
    assert "own_models" in error.detail


def test_a_folder_without_a_model_is_refused(bench: Bench) -> None:
    (bench.model / "notes.txt").write_text("nothing")
    assert refusal(bench).code == "import.no_mlmodel"


def test_an_mlmodel_file_that_leads_out_of_its_folder_is_refused(bench: Bench) -> None:
    (bench.model / "MLmodel").write_text(
        "flavors:\n  sklearn:\n    pickled_model: ../../secret.skops\n    serialization_format: skops\n"
    )
    assert refusal(bench).code == "import.mlmodel"


def test_a_sample_without_a_column_is_refused_by_name(bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, y = data
    joblib.dump(pipeline(LogisticRegression(max_iter=500)).fit(X, y), bench.model / "model.joblib")
    X.drop(columns="tenure").to_parquet(bench.sample)
    error = refusal(bench)
    assert error.code == "import.columns"
    assert error.errors == [{"field": "tenure", "message": "is missing from the sample"}]


def test_a_model_that_raises_is_refused_with_its_own_words(
    bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]
) -> None:
    X, y = data
    joblib.dump(LogisticRegression().fit(X[["tenure"]], y), bench.model / "model.joblib")
    X[["tenure"]].astype(float).where(X[["tenure"]] != X["tenure"][0]).to_parquet(bench.sample)
    error = refusal(bench)
    assert error.code == "import.model_raises"
    assert "NaN" in error.detail


def test_what_is_not_a_model_cannot_be_loaded(bench: Bench) -> None:
    (bench.model / "model.joblib").write_bytes(b"not a pickle")
    assert refusal(bench).code == "import.not_loaded"


def test_a_problem_is_an_answer_too(bench: Bench) -> None:
    answer = answer_to(bench.task())
    assert answer.problem is not None
    assert answer.problem["code"] == "import.no_mlmodel"


def test_an_object_of_one_class_is_refused(bench: Bench, data: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, _ = data
    joblib.dump(DummyClassifier().fit(X[["tenure"]], ["a"] * len(X)), bench.model / "model.joblib")
    assert refusal(bench).code == "import.classes"
