"""Other models that people serve, on the columns of the reference model: how fast each answers, and how exactly.

Each is a fitted scikit-learn pipeline and the columns to ask it with; the bundle is compiled from it, and the largest
difference between the two is measured on rows with missing, unseen and extreme cells too, as an import measures it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from reference_model import COLUMNS, LEVELS, NUMBERS, frame_of, make_columns
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from arkwright.bundles import GeneralInput, GeneralModel, NotCompilable, Predictor, fit_baseline, write_bundle
from arkwright.bundles.conversion.inputs import compile_with_inputs
from arkwright.bundles.general_model import GeneralPredictor
from arkwright.bundles.parity import measure_model_parity
from arkwright.contracts import Column, ParityRecord, Signature

N_TRAIN = 6_000
_WORDS = ("late", "broken", "thanks", "great", "refund", "invoice", "fast", "slow", "again", "never", "good", "call")


@dataclass(frozen=True)
class Variant:
    """A fitted pipeline, and columns to ask it with."""

    pipeline: Any
    columns: dict[str, np.ndarray]
    classes: tuple[str, ...]


def _features(numbers: tuple[str, ...] = NUMBERS, *, scaled: bool = False) -> ColumnTransformer:
    filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()) if scaled else SimpleImputer()
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return ColumnTransformer([("numbers", filled, list(numbers)), ("categories", categories, list(LEVELS))])


def _lightgbm(seed: int = 0) -> Any:
    return LGBMClassifier(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1, random_state=seed)


def _plain(estimator: Any, *, scaled: bool = False) -> Variant:
    columns, target = make_columns(N_TRAIN)
    pipeline = Pipeline([("features", _features(scaled=scaled)), ("model", estimator)])
    return Variant(pipeline.fit(frame_of(columns), _labels(target)), columns, ("No", "Yes"))


def _labels(target: np.ndarray, names: tuple[str, ...] = ("No", "Yes")) -> np.ndarray:
    return np.array(names, dtype=object)[target]


def _numbered(estimator: Any) -> Variant:
    """Fit an estimator that takes numbered classes only."""
    columns, target = make_columns(N_TRAIN)
    pipeline = Pipeline([("features", _features()), ("model", estimator)])
    return Variant(pipeline.fit(frame_of(columns), target), columns, ("No", "Yes"))


def _multiclass() -> Variant:
    columns, _ = make_columns(N_TRAIN)
    bands = np.digitize(columns["monthly_amount"] + 10 * columns["n_contacts"], [45, 65, 90])
    names = ("low", "middle", "high", "top")
    pipeline = Pipeline([("features", _features()), ("model", _lightgbm())])
    frame = frame_of(columns)
    pipeline.fit(frame, _labels(bands, names))
    return Variant(pipeline, columns, tuple(sorted(names)))


def _wide() -> Variant:
    columns, target = make_columns(N_TRAIN)
    rng = np.random.default_rng(5)
    more = {f"measure_{number}": rng.normal(size=N_TRAIN).round(3) for number in range(200 - len(COLUMNS))}
    frame = pd.concat([frame_of(columns), pd.DataFrame(more)], axis=1)
    pipeline = Pipeline([("features", _features((*NUMBERS, *more))), ("model", _lightgbm())])
    return Variant(pipeline.fit(frame, _labels(target)), {**columns, **more}, ("No", "Yes"))


def _text() -> Variant:
    columns, target = make_columns(N_TRAIN)
    rng = np.random.default_rng(6)
    texts = np.empty(N_TRAIN, dtype=object)
    for row in range(N_TRAIN):
        words = rng.choice(_WORDS[: 6 + 6 * (1 - target[row])], size=8)
        texts[row] = " ".join(words)
    columns = {**columns, "remark": texts}
    frame = frame_of(columns).assign(remark=texts)
    features = _features(scaled=True)
    features.transformers.append(("remark", TfidfVectorizer(), "remark"))
    pipeline = Pipeline([("features", features), ("model", LogisticRegression(max_iter=300))])
    return Variant(pipeline.fit(frame, _labels(target)), columns, ("No", "Yes"))


def _ensemble() -> Variant:
    members = [
        ("lightgbm", _lightgbm()),
        ("trees", ExtraTreesClassifier(100, min_samples_leaf=5, n_jobs=1, random_state=0)),
        ("linear", LogisticRegression(max_iter=300)),
    ]
    return _plain(VotingClassifier(members, voting="soft"), scaled=True)


VARIANTS: dict[str, Callable[[], Variant]] = {
    "LightGBM": lambda: _plain(_lightgbm()),
    "CatBoost": lambda: _numbered(CatBoostClassifier(100, thread_count=1, verbose=0, allow_writing_files=False)),
    "XGBoost": lambda: _numbered(XGBClassifier(n_estimators=100, max_depth=5, n_jobs=1)),
    "HistGradientBoosting": lambda: _plain(HistGradientBoostingClassifier(max_iter=100)),
    "logistic regression": lambda: _plain(LogisticRegression(max_iter=300), scaled=True),
    "ensemble of 3": _ensemble,
    "multiclass (4)": _multiclass,
    "200 columns": _wide,
    "text column": _text,
}  # fmt: skip


def write_variant(folder: Path, variant: Variant) -> tuple[str, ParityRecord, list[dict[str, Any]]]:
    """Compile a variant's bundle; return its digest, its parity with the pipeline, and rows to ask it with.

    Raises
    ------
    NotCompilable
        If there is no compiled form.
    """
    names = list(variant.columns)
    texts = {name for name, values in variant.columns.items() if values.dtype == object}
    spec = tuple(Column(name=name, kind="categorical" if name in texts else "numeric") for name in names)
    task = "binary" if len(variant.classes) == 2 else "multiclass"
    signature = Signature(task=task, target="y", columns=spec, classes=variant.classes)
    inputs = tuple(GeneralInput(name=name, dtype="text" if name in texts else "float64") for name in names)
    inputs, compiled = compile_with_inputs(variant.pipeline, inputs)
    if isinstance(compiled, NotCompilable):
        raise compiled
    predictor = Predictor(signature, compiled.encoder, compiled.evaluator)
    held_out = {name: values[:2_000] for name, values in variant.columns.items()}
    general = GeneralModel(loader="pickle", inputs=inputs, method="predict_proba")
    original = GeneralPredictor(signature, general, variant.pipeline)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the extreme cells overflow on purpose
        parity = measure_model_parity(predictor, original.scores, held_out).record
    rows = [
        {name: None if _is_missing(values[row]) else _cell(values[row]) for name, values in held_out.items()}
        for row in range(64)
    ]
    digest = write_bundle(
        folder,
        signature=signature,
        encoder=compiled.encoder,
        estimator=compiled.evaluator,
        baseline=fit_baseline(signature, held_out, predictor.predict_columns(held_out)),
        example_rows=rows[:1],
        learner="imported",
        parity=parity,
    )
    return digest, parity, rows


def _is_missing(cell: Any) -> bool:
    return cell is None or cell != cell  # noqa: PLR0124 - NaN


def _cell(cell: Any) -> Any:
    return cell if isinstance(cell, str) else float(cell)
