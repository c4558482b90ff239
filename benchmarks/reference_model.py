"""The model that every benchmark of serving and scoring uses, and tables of rows for it.

An ordinary pipeline: a ``ColumnTransformer`` that imputes nine numbers and one-hot encodes six categories, and LightGBM
with 100 trees of 31 leaves. The columns look like those of a customer table: whole months, amounts in cents, counts,
categories of which few are frequent, some cells missing. Everything is made up from a seed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from arkwright.bundles import (
    GeneralInput,
    GeneralModel,
    Predictor,
    fit_baseline,
    measure_parity,
    write_bundle,
    write_general_bundle,
)
from arkwright.bundles.conversion.pipeline import compile_model
from arkwright.contracts import Column, Signature

NUMBERS = (
    "tenure_months", "monthly_amount", "total_amount", "n_contacts", "n_products", "age", "days_since_visit",
    "discount", "balance",
)  # fmt: skip
LEVELS = {
    "contract": ("monthly", "one year", "two years"),
    "payment": ("transfer", "card", "cheque", "invoice"),
    "region": tuple(f"region {number}" for number in range(8)),
    "channel": ("web", "shop", "phone", "partner", "app"),
    "plan": tuple(f"plan {letter}" for letter in "ABCDEFGHIJ"),
    "device": tuple(f"device {number}" for number in range(20)),
}
COLUMNS = (*NUMBERS, *LEVELS)
TARGET = "left"
CLASSES = ("No", "Yes")


def make_columns(n_rows: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns by name (NaN and None for missing) and the target, 0 or 1."""
    rng = np.random.default_rng(seed)
    tenure = rng.gamma(1.6, 18, n_rows).clip(0, 72).round()
    monthly = rng.gamma(4, 16, n_rows).clip(10, 200).round(2)
    columns: dict[str, np.ndarray] = {
        "tenure_months": tenure,
        "monthly_amount": monthly,
        "total_amount": (tenure * monthly * rng.uniform(0.9, 1.1, n_rows)).round(2),
        "n_contacts": rng.poisson(0.8, n_rows).astype(float),
        "n_products": 1.0 + rng.poisson(1.1, n_rows),
        "age": rng.normal(46, 15, n_rows).clip(18, 95).round(),
        "days_since_visit": rng.geometric(0.05, n_rows).astype(float),
        "discount": np.where(rng.random(n_rows) < 0.7, 0.0, rng.uniform(0, 30, n_rows).round(1)),
        "balance": (rng.standard_t(4, n_rows) * 40).round(2),
    }
    for name in ("total_amount", "age", "balance"):
        columns[name][rng.random(n_rows) < 0.03] = math.nan
    codes = {}
    for name, levels in LEVELS.items():
        share = 1.0 / np.arange(1, len(levels) + 1)
        codes[name] = rng.choice(len(levels), n_rows, p=share / share.sum())
        texts = np.array(levels, dtype=object)[codes[name]]
        texts[rng.random(n_rows) < 0.02] = None
        columns[name] = texts
    risk = 1.2 * (codes["contract"] == 0) - 0.04 * tenure + 0.012 * monthly + 0.5 * columns["n_contacts"]
    risk += 0.4 * (codes["payment"] == 1) - 0.03 * columns["discount"] - 1.2
    target = (rng.random(n_rows) < 1 / (1 + np.exp(-1.4 * risk))).astype(int)
    return columns, target


def frame_of(columns: dict[str, np.ndarray]) -> Any:
    """Return the columns as a pandas frame, missing texts as NaN: what a scikit-learn imputer looks for."""
    frame = pd.DataFrame({name: columns[name] for name in COLUMNS})
    for name in LEVELS:
        frame[name] = frame[name].where(frame[name].notna(), np.nan)
    return frame


def train_pipeline(n_rows: int = 20_000, seed: int = 0) -> Any:
    """Return the fitted pipeline."""
    columns, target = make_columns(n_rows, seed)
    categories = Pipeline(
        [
            ("fill", SimpleImputer(strategy="constant", fill_value="missing")),
            ("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
        ]
    )
    features = ColumnTransformer(
        [("numbers", SimpleImputer(strategy="median"), list(NUMBERS)), ("categories", categories, list(LEVELS))]
    )
    model = LGBMClassifier(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1, random_state=seed)
    return Pipeline([("features", features), ("model", model)]).fit(frame_of(columns), target)


def write_reference_bundle(folder: Path, pipeline: Any, *, general: bool = False) -> str:
    """Write the pipeline's bundle, compiled or, on request, with the pipeline itself; return its digest."""
    columns, _ = make_columns(4_000, seed=1)
    spec = tuple(Column(name=name, kind="numeric" if name in NUMBERS else "categorical") for name in COLUMNS)
    signature = Signature(task="binary", target=TARGET, columns=spec, classes=CLASSES, identifiers=("id",))
    inputs = tuple(GeneralInput(name=name, dtype="float64" if name in NUMBERS else "text") for name in COLUMNS)
    compiled = compile_model(pipeline, inputs)
    predictor = Predictor(signature, compiled.encoder, compiled.evaluator)
    scores = pipeline.predict_proba(frame_of(columns))[:, 1]
    parity = measure_parity(predictor, columns, scores)
    if not parity.passed:
        raise SystemExit(f"the compiled model differs from its pipeline by {parity.max_abs_difference}")
    common: dict[str, Any] = {
        "signature": signature,
        "baseline": fit_baseline(signature, columns, predictor.predict_columns(columns)),
        "example_rows": request_rows(1),
        "learner": "lightgbm",
        "parity": parity,
    }
    if not general:
        return write_bundle(folder, encoder=compiled.encoder, estimator=compiled.evaluator, **common)
    stored = folder.parent / f"{folder.name}-model"
    stored.mkdir()
    joblib.dump(pipeline, stored / "model.pkl")
    model = GeneralModel(loader="pickle", path="model.pkl", inputs=inputs, method="predict_proba", class_columns=(0, 1))
    return write_general_bundle(
        folder, general=model, model_folder=stored, reason="The benchmark asks for the general path.", **common
    )


def request_rows(n_rows: int, seed: int = 2) -> list[dict[str, Any]]:
    """Return rows as a request carries them."""
    columns, _ = make_columns(n_rows, seed)
    rows = []
    for index in range(n_rows):
        cells = {name: columns[name][index] for name in COLUMNS}
        rows.append({name: _json_cell(cell) for name, cell in cells.items()})
    return rows


def bodies(key: str, n: int = 64) -> list[bytes]:
    """Return request bodies of one row each under a key such as ``instances``."""
    return [json.dumps({key: [row]}, separators=(",", ":")).encode() for row in request_rows(n)]


def _json_cell(cell: Any) -> Any:
    if cell is None or isinstance(cell, str):
        return cell
    return None if math.isnan(cell) else float(cell)
