"""Tables for the tests of the bundles room: drawn by hypothesis, and the shipped churn data."""

from __future__ import annotations

import csv
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

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


@st.composite
def tables(draw, min_rows=1, max_rows=12):
    """Draw a column spec and a table of that shape."""
    n_rows = draw(st.integers(min_rows, max_rows))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    spec = tuple(Column(name=f"c{index}", kind=kind) for index, kind in enumerate(kinds))
    cells = {column.name: draw(st.lists(CELLS[column.kind], min_size=n_rows, max_size=n_rows)) for column in spec}
    return spec, {column.name: column_of(column.kind, cells[column.name]) for column in spec}


def bits(values):
    """Return the bit patterns of floats, so that zeros differ by sign and NaNs are equal to themselves."""
    return np.asarray(values, dtype=np.float64).view(np.uint64)


@cache
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
        columns[name] = column_of(kind, [float(c) if c.strip() else None for c in cells] if kind == "numeric" else cells)
    signature = Signature(
        task="binary", target="Churn", columns=tuple(spec), classes=("No", "Yes"), identifiers=("customerID",)
    )
    return signature, columns, np.array([row["Churn"] == "Yes" for row in rows], dtype=np.float64)
