"""One table, one fingerprint."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from arkwright.data import ColumnSchema, Fingerprint, fingerprint_table
from arkwright.data.schema import ARROW_TYPES, ColumnType, arrow_schema

_VALUES: dict[ColumnType, st.SearchStrategy] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "text": st.text(st.characters(codec="utf-8"), max_size=5),
    "time": st.datetimes(),
}
_ROWS = st.lists(st.tuples(*(st.none() | values for values in _VALUES.values())), min_size=1, max_size=20)
COLUMNS = [ColumnSchema(name=kind, type=kind, nullable=True, n_missing=0) for kind in _VALUES]


def as_table(rows: list[tuple]) -> pa.Table:
    arrays = [pa.array(cells, ARROW_TYPES[kind]) for kind, cells in zip(_VALUES, zip(*rows, strict=True), strict=True)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema([(kind, kind) for kind in _VALUES]))


@given(_ROWS, st.integers(1, 5))
def test_chunks_do_not_matter(rows: list[tuple], size: int) -> None:
    table = as_table(rows)
    fingerprint = Fingerprint(COLUMNS)
    for batch in table.to_batches(max_chunksize=size):
        fingerprint.update(batch)
    assert fingerprint.digest() == fingerprint_table(table, COLUMNS)


@given(_ROWS, _ROWS)
def test_different_tables_differ_and_equal_ones_do_not(left: list[tuple], right: list[tuple]) -> None:
    same = fingerprint_table(as_table(left), COLUMNS) == fingerprint_table(as_table(right), COLUMNS)
    assert same == (left == right)


def test_missing_is_not_zero_and_lengths_are_not_lost() -> None:
    def of(values: list, kind: ColumnType) -> str:
        columns = [ColumnSchema(name="x", type=kind, nullable=True, n_missing=0)]
        return fingerprint_table(pa.table({"x": pa.array(values, ARROW_TYPES[kind])}), columns)

    assert of([0], "integer") != of([None], "integer")
    assert of([""], "text") != of([None], "text")
    assert of(["ab", "c"], "text") != of(["a", "bc"], "text")
    assert of([0.0], "number") == of([-0.0], "number")
    assert of([1], "integer") != of([1.0], "number")


def test_the_fingerprint_does_not_change_between_releases() -> None:
    table = as_table([(1, 0.5, True, "é", None), (None, None, None, None, None)])
    assert (
        fingerprint_table(table, COLUMNS) == "sha256:4be81802f072a83d91740ce831aefa14a2979f3dc3b47bcc96b7a9f3c6698445"
    )
