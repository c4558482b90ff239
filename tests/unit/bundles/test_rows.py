"""Tables become rows of JSON values and come back as they were."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.bundles import rows_to_columns, to_rows
from arkwright.contracts import Signature


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_table_survives_the_journey_through_json_rows(data, tables, bits):
    spec, columns = data.draw(tables)
    rows = msgspec.json.decode(msgspec.json.encode(to_rows(columns)))
    back = rows_to_columns(rows, Signature(task="regression", target="y", columns=spec))
    for column in spec:
        if column.kind == "numeric":
            assert np.array_equal(bits(back[column.name]), bits(columns[column.name]))
        else:
            assert back[column.name].dtype == columns[column.name].dtype
            np.testing.assert_array_equal(back[column.name], columns[column.name])


def test_rows_look_as_a_person_would_write_them(column_of):
    columns = {
        "whole": column_of("numeric", [12.0, None]),
        "part": column_of("numeric", [0.5, 2.0]),
        "flag": column_of("categorical", ["True", None]),
        "day": np.array(["2024-05-01", "NaT"], dtype="datetime64[us]"),
        "moment": np.array(["2024-05-01T10:00", "2024-05-02"], dtype="datetime64[us]"),
    }
    assert to_rows(columns) == [
        {"whole": 12, "part": 0.5, "flag": "True", "day": "2024-05-01", "moment": "2024-05-01T10:00:00.000000Z"},
        {"whole": None, "part": 2.0, "flag": None, "day": None, "moment": "2024-05-02T00:00:00.000000Z"},
    ]
    assert type(to_rows(columns)[0]["whole"]) is int


def test_no_rows_make_empty_columns_of_the_right_type(churn):
    columns = rows_to_columns([], churn[0])
    assert columns["tenure"].dtype == np.float64
    assert columns["Contract"].dtype == object
    assert columns["Contract"].shape == (0,)
