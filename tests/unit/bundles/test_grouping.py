"""A row's answer does not depend on the other rows that are scored with it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arkwright.bundles import GeneralInput
from arkwright.bundles.general_model import frame_of
from arkwright.bundles.model_process.grouping import independent_of_company

INPUTS = (
    GeneralInput(name="count", dtype="integer"),
    GeneralInput(name="small", dtype="integer", bits=8),
    GeneralInput(name="maybe", dtype="integer", nullable=True),
    GeneralInput(name="flag", dtype="boolean"),
    GeneralInput(name="perhaps", dtype="boolean", nullable=True),
    GeneralInput(name="size", dtype="float64"),
)
numbers = st.sampled_from([np.nan, 0.0, 3.0, -1.0, 2.5, 127.0, 128.0, 1e300])
flags = st.sampled_from([None, "True", "false", "other"])
row = st.tuples(numbers, numbers, numbers, flags, flags, numbers)


def texts_of(columns):
    """Stand in for a model that tells 3 from 3.0: the score is a hash of the row's text."""
    frame = frame_of(INPUTS, columns)
    return np.array([[hash(tuple(map(str, cells))) % 2**50] for cells in frame.itertuples(index=False)], dtype=float)


def table(rows):
    columns = {}
    for item, cells in zip(INPUTS, zip(*rows, strict=True), strict=True):
        columns[item.name] = np.array(cells, dtype=object if item.dtype == "boolean" else float)
    return columns


@given(st.lists(row, min_size=1, max_size=12))
def test_a_row_in_company_is_answered_as_it_is_alone(rows):
    model = independent_of_company(texts_of, INPUTS)
    alone = [model(table([one]))[0, 0] for one in rows]
    assert model(table(rows))[:, 0].tolist() == alone


def test_without_the_grouping_it_would_not_be():
    pair = [(3.0, 0.0, 0.0, "True", "True", 0.0), (np.nan, 0.0, 0.0, "True", "True", 0.0)]
    assert texts_of(table(pair))[0, 0] != texts_of(table(pair[:1]))[0, 0]


def test_rows_of_the_same_types_are_scored_in_one_call():
    calls = []

    def model(columns):
        calls.append(len(columns["count"]))
        return np.zeros((calls[-1], 1))

    scored = independent_of_company(model, INPUTS[:1])
    scored({"count": np.array([1.0, 2.0, 3.0])})
    scored({"count": np.array([np.nan, 2.5])})
    scored({"count": np.array([np.nan, 2.0, 2.5])})
    assert calls == [3, 2, 1, 2]


def test_a_model_with_floats_and_texts_only_is_left_as_it_is():
    assert independent_of_company(texts_of, INPUTS[5:]) is texts_of
