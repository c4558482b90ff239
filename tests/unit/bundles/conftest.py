"""Tables drawn by hypothesis, the shipped churn data, and small models fitted on it."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import strategies as st

from arkwright.bundles import LightGBMEvaluator, LinearEvaluator, Predictor, fit_encoder
from arkwright.contracts import Column, Signature

CHURN = Path(__file__).parents[3] / "examples" / "telco_churn.csv"

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0])
texts = st.none() | st.sampled_from(["a", "b", "True", "3", ""]) | st.text(max_size=5)
moments = st.none() | st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31))  # noqa: DTZ001
CELLS = {"numeric": numbers, "categorical": texts, "time": moments}


def column_of(kind, cells):
    """Return the in-memory array of a list of cells."""
    if kind == "numeric":
        return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    if kind == "time":
        return np.array([np.datetime64("NaT") if cell is None else cell for cell in cells], dtype="datetime64[us]")
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column


@pytest.fixture(scope="session", name="column_of")
def column_of_fixture():
    """Return the function that builds a column."""
    return column_of


@st.composite
def draw_table(draw, min_rows=1, max_rows=12):
    """Draw a column spec and a table of that shape."""
    n_rows = draw(st.integers(min_rows, max_rows))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    spec = tuple(Column(name=f"c{index}", kind=kind) for index, kind in enumerate(kinds))
    cells = {column.name: draw(st.lists(CELLS[column.kind], min_size=n_rows, max_size=n_rows)) for column in spec}
    return spec, {column.name: column_of(column.kind, cells[column.name]) for column in spec}


@pytest.fixture(scope="session")
def tables():
    """Return the strategy for (column spec, table)."""
    return draw_table()


@pytest.fixture(scope="session")
def bits():
    """Return a function to bit patterns: zeros differ by sign, NaNs equal themselves."""
    return lambda values: np.asarray(values, dtype=np.float64).view(np.uint64)


@pytest.fixture(scope="session")
def churn():
    """Return the signature, the columns and the 0/1 target of the churn data, one row in five."""
    with CHURN.open(newline="") as file:
        rows = list(csv.DictReader(file))[::5]
    numeric = {"tenure", "MonthlyCharges", "TotalCharges"}
    spec, columns = [], {}
    for name in rows[0]:
        if name in {"customerID", "Churn"}:
            continue
        kind = "numeric" if name in numeric else "categorical"
        cells = [row[name] for row in rows]
        spec.append(Column(name=name, kind=kind))
        columns[name] = column_of(
            kind, [float(c) if c.strip() else None for c in cells] if kind == "numeric" else cells
        )
    signature = Signature(
        task="binary", target="Churn", columns=tuple(spec), classes=("No", "Yes"), identifiers=("customerID",)
    )
    return signature, columns, np.array([row["Churn"] == "Yes" for row in rows], dtype=np.float64)


@pytest.fixture(scope="session")
def booster(churn):
    """Return a LightGBM booster for the churn data, and its encoder."""
    signature, columns, target = churn
    encoder = fit_encoder(signature.columns, columns, layout="tree")
    data = lightgbm.Dataset(
        encoder.encode_columns(columns), target, categorical_feature=list(encoder.categorical_feature)
    )
    parameters = {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_per_group": 10}
    return lightgbm.train(parameters, data, num_boost_round=20), encoder


@pytest.fixture(scope="session")
def predictor(churn, booster):
    """Return the churn predictor on LightGBM."""
    fitted, encoder = booster
    return Predictor(churn[0], encoder, LightGBMEvaluator(fitted.model_to_string()))


@pytest.fixture(scope="session")
def linear_predictor(churn):
    """Return a churn predictor with arbitrary linear weights."""
    signature, columns, _ = churn
    encoder = fit_encoder(signature.columns, columns, layout="linear")
    weights = np.random.default_rng(0).normal(size=encoder.n_outputs)
    return Predictor(signature, encoder, LinearEvaluator(weights, -0.3, "sigmoid"))
