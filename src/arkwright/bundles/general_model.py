"""Load and call the model of a general bundle: in a child process, never in a server.

The one place of this package that brings in pandas and the model's own libraries, by name and late, and that may run
a pickle. The caller decides whether that is allowed, and has verified the bundle's files.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.answers import Answers, n_scores
from arkwright.bundles.cells import NAN, Columns, FloatArray, as_moments, as_numbers, as_text, read_boolean
from arkwright.bundles.errors import BundleCorrupt, EvaluatorFailed, NotCompilable
from arkwright.bundles.general import MODEL_FOLDER, GeneralInput, GeneralModel
from arkwright.bundles.package import LoadedBundle
from arkwright.bundles.rows import rows_to_columns
from arkwright.bundles.tree_bounds import check_trees
from arkwright.bundles.validation import InstanceValidator, check_columns
from arkwright.contracts import Signature

SKOPS_TRUSTED = frozenset(
    {
        "builtins.set",
        "catboost.core.CatBoostClassifier",
        "catboost.core.CatBoostRegressor",
        "collections.OrderedDict",
        "collections.defaultdict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""Types a skops file may hold besides those that skops trusts: data of the learners we know, no code of anyone's."""


class GeneralPredictor:
    """A loaded model that answers as :class:`~arkwright.bundles.predictor.Predictor` does.

    Parameters
    ----------
    model
        What :func:`load_model` returned.
    """

    def __init__(self, signature: Signature, general: GeneralModel, model: Any) -> None:
        self.signature = signature
        self.general = general
        self.model = model
        self._validator = InstanceValidator(signature)
        self._answers = Answers(signature)

    def validate(self, instances: object) -> None:
        """Raise ``PredictionInvalid`` if a request's instances do not fit the signature."""
        self._validator.check(instances)

    def predict_rows(self, rows: list[dict[str, Any]], *, with_scores: bool = False) -> list[dict[str, Any]]:
        """Check rows of JSON values, score them at once, and answer each in the shape of the wire."""
        self._validator.check(rows)
        scores = self.scores(rows_to_columns(rows, self.signature)).tolist()
        answers = []
        for row, row_scores in zip(rows, scores, strict=True):
            answer = {name: row[name] for name in self.signature.identifiers if name in row}
            answer.update(self._answers.of_row(row_scores, with_scores))
            answers.append(answer)
        return answers

    def predict_columns(self, columns: Columns) -> FloatArray:
        """Score a table, as ``Predictor.predict_columns`` does."""
        check_columns(self.signature, columns)
        return self.scores(columns)

    def answer_columns(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Score a table and return the answer's columns."""
        return self._answers.of_scores(self.predict_columns(columns))

    def answer_scores(self, scores: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Turn scores into the answer's columns."""
        return self._answers.of_scores(scores)

    def scores(self, columns: Columns) -> FloatArray:
        """Call the model.

        Raises
        ------
        EvaluatorFailed
            If its answer has another shape than the signature says. What the model itself raises comes through.
        """
        frame = frame_of(self.general.inputs, columns)
        given = frame if self.general.frame else frame.to_numpy()
        if self.general.method == "predict_proba":
            return self._probabilities(self.model.predict_proba(given), len(frame))
        answer = np.asarray(self.model.predict(given))
        if self.signature.task == "regression":
            return self._shaped(np.asarray(answer, dtype=np.float64).reshape(len(frame), -1), len(frame))
        # A model without probabilities is sure of what it says.
        labels = {as_text(label): index for index, label in enumerate(self.signature.classes)}
        chosen = [labels.get(as_text(label), -1) for label in answer.reshape(len(frame), -1)[:, 0].tolist()]
        scores: FloatArray = (np.array(chosen)[:, None] == np.arange(len(labels))).astype(np.float64)
        return scores[:, 1:] if self.signature.task == "binary" else scores

    def _probabilities(self, answer: Any, n_rows: int) -> FloatArray:
        scores = np.asarray(answer, dtype=np.float64)
        if self.general.class_columns:
            scores = scores[:, list(self.general.class_columns)]
        return self._shaped(scores[:, 1:] if self.signature.task == "binary" else scores, n_rows)

    def _shaped(self, scores: FloatArray, n_rows: int) -> FloatArray:
        width = n_scores(self.signature)
        if scores.shape != (n_rows, width):
            raise EvaluatorFailed(
                f"The model answered with shape {scores.shape} where ({n_rows}, {width}) was expected.",
                hint="Register it with the task and the classes that it was trained for.",
            )
        return np.ascontiguousarray(scores)


def open_general(bundle: LoadedBundle) -> GeneralPredictor:
    """Load the model of a verified general bundle: in a child process, as it may run code from the model's files."""
    if bundle.general is None:
        raise BundleCorrupt("The bundle is compiled: it has no general model.", hint="Use its predictor.")
    model = load_model(bundle.folder / MODEL_FOLDER, bundle.general)
    return GeneralPredictor(bundle.signature, bundle.general, model)


def load_model(folder: Path, general: GeneralModel) -> Any:
    """Load a model from its folder.

    Raises
    ------
    NotCompilable
        If a skops file holds types that are not trusted.
    Exception
        Whatever the model's own library raises: this is the edge of a child process.
    """
    path = folder / general.path if general.path else folder
    if general.loader == "skops":
        return _load_skops(path)
    if general.loader == "pickle":
        return importlib.import_module("joblib").load(path)
    if general.loader == "mlflow":
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
        return importlib.import_module("mlflow.pyfunc").load_model(str(path))
    return _load_native(path, general)


def frame_of(inputs: Sequence[GeneralInput], columns: Columns) -> Any:
    """Return a pandas frame with the types the model was fitted on; what is missing in it is NaN, or what it knows."""
    pandas = importlib.import_module("pandas")
    n_rows = next((values.size for values in columns.values()), 0)
    return pandas.DataFrame({item.name: _series(pandas, item, columns.get(item.name), n_rows) for item in inputs})


def _series(pandas: Any, item: GeneralInput, values: npt.NDArray[Any] | None, n_rows: int) -> Any:
    if item.dtype == "moment":
        moments = (
            np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]") if values is None else as_moments(values)
        )
        return pandas.Series(moments)
    if item.dtype in ("float64", "float32", "integer"):
        return _numbers(pandas, item, np.full(n_rows, NAN) if values is None else as_numbers(values))
    texts = [None] * n_rows if values is None else [as_text(value) for value in values.tolist()]
    if item.dtype == "boolean":
        flags = [read_boolean(text) for text in texts]
        if None not in flags:
            return pandas.Series(np.array(flags, dtype=bool), dtype="boolean" if item.nullable else bool)
        return pandas.Series(flags, dtype="boolean") if item.nullable else pandas.Series(_objects(flags), dtype=object)
    if item.dtype == "category":
        known = {as_text(level): level for level in item.levels}
        cells = [known.get(text) if known else text for text in texts]
        return pandas.Series(pandas.Categorical(cells, categories=list(item.levels) or None))
    missing = None if item.missing_none else NAN
    return pandas.Series(_objects([missing if text is None else text for text in texts], None), dtype=object)


def _numbers(pandas: Any, item: GeneralInput, numbers: FloatArray) -> Any:
    if item.dtype == "float32":
        with np.errstate(over="ignore"):
            return pandas.Series(numbers.astype(np.float32))
    if item.dtype == "float64":
        return pandas.Series(numbers)
    limit = 2.0 ** (item.bits - 1)
    present = numbers[~np.isnan(numbers)]
    whole = bool(np.all((present == np.floor(present)) & (np.abs(present) < min(limit, 2.0**63))))
    if item.nullable and whole:
        return pandas.Series(numbers).astype(f"Int{item.bits}")
    # pandas turns whole numbers into floats as soon as one of them is missing.
    return pandas.Series(numbers.astype(f"int{item.bits}") if whole and present.size == numbers.size else numbers)


def _objects(cells: Sequence[Any], missing: Any = NAN) -> npt.NDArray[Any]:
    array = np.empty(len(cells), dtype=object)
    array[:] = [missing if cell is None else cell for cell in cells]
    return array


def _load_skops(path: Path) -> Any:
    skops = importlib.import_module("skops.io")
    unknown = sorted(set(skops.get_untrusted_types(file=path)) - SKOPS_TRUSTED)
    if unknown:
        raise NotCompilable(
            f"The skops file holds types that are not trusted: {', '.join(unknown[:5])}.",
            code="model.untrusted_types",
            hint="Keep code of your own out of the model, or allow pickled models (ARKWRIGHT_ALLOW_PICKLED_MODELS).",
        )
    model = skops.load(path, trusted=sorted(SKOPS_TRUSTED))
    check_trees(model)
    return model


def _load_native(path: Path, general: GeneralModel) -> Any:
    if general.loader == "lightgbm":
        return LightGBMBooster(importlib.import_module("lightgbm").Booster(model_file=str(path)))
    if general.loader == "xgboost":
        library = importlib.import_module("xgboost")
        # What it was trained for is in the file; which wrapper it was saved from, if any, is not.
        stored = library.Booster(model_file=str(path))
        objective = str(json.loads(stored.save_config())["learner"]["objective"]["name"])
        model = library.XGBClassifier() if objective.startswith(("binary:", "multi:")) else library.XGBRegressor()
    else:
        library = importlib.import_module("catboost")
        model = library.CatBoostClassifier() if general.method == "predict_proba" else library.CatBoostRegressor()
    model.load_model(str(path))
    return model


class LightGBMBooster:
    """A LightGBM booster with the methods of an estimator; it does not know its classes.

    Attributes
    ----------
    classifies
        Whether it answers with probabilities.
    """

    def __init__(self, booster: Any) -> None:
        self.booster_ = booster
        self.n_features_in_ = int(booster.num_feature())
        names = [str(name) for name in booster.feature_name()]
        if names != [f"Column_{index}" for index in range(len(names))]:
            self.feature_names_in_ = names
        objective = booster.params.get("objective") or booster.dump_model(num_iteration=1).get("objective", "")
        self.classifies = str(objective).split(" ")[0] in {"binary", "multiclass", "multiclassova", "cross_entropy"}

    def predict(self, given: Any) -> Any:
        """Return probabilities or values, as the booster does."""
        return self.booster_.predict(given, num_threads=1)

    def predict_proba(self, given: Any) -> Any:
        """Return one column per class."""
        scores = np.asarray(self.predict(given))
        return np.column_stack([1.0 - scores, scores]) if scores.ndim == 1 else scores
