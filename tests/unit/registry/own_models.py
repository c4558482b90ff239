"""Pipelines as people write them, on the telco data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

TARGET = "Churn"


def telco(path: Path, rows: int = 600) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return inputs and target, with a few cells missing."""
    frame = pd.read_csv(path, nrows=rows).drop(columns="customerID")
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
    frame.loc[::41, "PaymentMethod"] = None
    return frame.drop(columns=TARGET), frame[TARGET]


def pipeline(estimator: Any, *, ordinal: bool = False) -> Pipeline:
    """Return a pipeline of the usual preprocessing and an estimator."""
    encoder: Any = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
    if ordinal:
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return Pipeline(
        [
            (
                "prepare",
                ColumnTransformer(
                    [
                        (
                            "numbers",
                            make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
                            make_column_selector(dtype_include="number"),
                        ),
                        (
                            "categories",
                            make_pipeline(SimpleImputer(strategy="most_frequent"), encoder),
                            make_column_selector(dtype_exclude="number"),
                        ),
                    ]
                ),
            ),
            ("estimate", estimator),
        ]
    )


def estimators() -> dict[str, Any]:
    """Return one of each family."""
    import catboost
    import lightgbm
    import xgboost

    return {
        "logistic": LogisticRegression(max_iter=500),
        "forest": RandomForestClassifier(20, random_state=0, n_jobs=1),
        "extra_trees": ExtraTreesClassifier(20, random_state=0, n_jobs=1),
        "gradient_boosting": GradientBoostingClassifier(n_estimators=20, random_state=0),
        "hist_gradient_boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1),
        "xgboost": xgboost.XGBClassifier(n_estimators=20, n_jobs=1),
        "catboost": catboost.CatBoostClassifier(iterations=20, verbose=0, thread_count=1, allow_writing_files=False),
    }
