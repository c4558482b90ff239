"""Models and rows for the robustness tests.

``adult_1500.csv.gz`` holds 1,500 rows of the Adult data set (Becker & Kohavi 1996, UCI Machine Learning
Repository, CC BY 4.0), the survey weight left out.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column

CLASSES = ("no", "yes")


def signature_of(columns, task="binary", classes=CLASSES):
    kinds = {"f": "numeric", "M": "time"}
    return Signature(
        task=task,
        target="y",
        columns=tuple(
            Column(name=name, kind=kinds.get(values.dtype.kind, "categorical")) for name, values in columns.items()
        ),
        classes=() if task == "regression" else classes,
    )


def two_columns(n_rows=600, seed=0):
    """A column that decides, one that does not, and a category that does nothing."""
    rng = np.random.default_rng(seed)
    columns = {
        "deciding": rng.normal(size=n_rows),
        "idle": rng.normal(size=n_rows),
        "colour": np.array(["red", "green", "blue"], dtype=object)[rng.integers(0, 3, n_rows)],
    }
    truth = (rng.random(n_rows) < 1 / (1 + np.exp(-3 * columns["deciding"]))).astype(np.int64)
    return columns, truth


def one_column_model(given):
    return 1 / (1 + np.exp(-3 * np.nan_to_num(given["deciding"])))[:, None]


def constant_model(given):
    return np.full((len(given["deciding"]), 1), 0.3)


def picky_model(given):
    """Raises on a category it was not trained on, as an encoder without a rule for it does."""
    unknown = {value for value in given["colour"] if value not in {"red", "green", "blue", None}}
    if unknown:
        raise ValueError(f"Found unknown categories {sorted(unknown)} in column 'colour'")
    return one_column_model(given)


def nan_model(given):
    """Answers NaN where its column is missing, as arithmetic does."""
    return 1 / (1 + np.exp(-3 * given["deciding"]))[:, None]


@cache
def adult():
    """Return a logistic model, its signature, training columns, holdout columns and holdout truth."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.read_csv(Path(__file__).with_name("adult_1500.csv.gz"))
    truth = (table.pop("class") == ">50K").to_numpy().astype(np.int64)
    numeric = [name for name in table if table[name].dtype.kind in "if"]
    categorical = [name for name in table if name not in numeric]

    def columns_of(part):
        return {
            name: part[name].to_numpy(np.float64)
            if name in numeric
            else np.array([None if pd.isna(value) else value for value in part[name]], dtype=object)
            for name in part
        }

    def frame(columns):
        filled = {
            name: values if name in numeric else np.array(["" if value is None else value for value in values])
            for name, values in columns.items()
        }
        return pd.DataFrame(filled)

    train, holdout = columns_of(table[:1000]), columns_of(table[1000:])
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numeric),
        (OneHotEncoder(handle_unknown="ignore"), categorical),
    )
    fitted = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(frame(train), truth[:1000])
    signature = signature_of(train, classes=("<=50K", ">50K"))
    return lambda given: fitted.predict_proba(frame(given))[:, 1:], signature, train, holdout, truth[1000:]
