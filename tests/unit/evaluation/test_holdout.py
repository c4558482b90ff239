"""The rows an evaluation needs later are kept whole, once, and checked when they are read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import NotFound, Unavailable
from arkwright.evaluation.holdout import read_rows, sample_rows, store_rows, take_rows

TABLE = pa.table({"a": list(range(10)), "b": [f"t{row}" if row % 3 else None for row in range(10)]})


def test_rows_come_back_as_they_were(objects):
    stored = store_rows(objects, TABLE)
    assert stored.n_rows == 10
    assert stored.key == f"evaluations/rows/{stored.sha256}.parquet"
    assert read_rows(objects, stored).equals(TABLE)


def test_the_same_rows_twice_are_one_object(objects):
    assert store_rows(objects, TABLE) == store_rows(objects, TABLE)
    assert len(objects.list("evaluations")) == 1


def test_rows_that_were_altered_or_lost_are_refused(objects):
    stored = store_rows(objects, TABLE)
    objects.put_bytes(stored.key, objects.get_bytes(store_rows(objects, TABLE.slice(1)).key))
    with pytest.raises(Unavailable, match="its hash differs"):
        read_rows(objects, stored)
    objects.delete(stored.key)
    with pytest.raises(NotFound):
        read_rows(objects, stored)


@given(
    st.lists(st.integers(0, 49), unique=True).map(sorted),
    st.lists(st.integers(0, 49), unique=True).map(sorted),
    st.integers(1, 60),
)
def test_rows_are_taken_across_batches_as_if_there_were_none(first, second, batch_rows):
    table = pa.table({"n": list(range(50))})
    wanted = [np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)]
    taken = take_rows(table.to_batches(batch_rows), wanted)
    assert [part.column("n").to_pylist() for part in taken] == [first, second]


def test_a_sample_is_the_same_each_time_and_has_no_row_twice():
    rows = np.arange(1000)
    sample = sample_rows(rows, 50, seed=3)
    assert np.array_equal(sample, sample_rows(rows, 50, seed=3))
    assert np.unique(sample).size == 50
    assert not np.array_equal(sample, sample_rows(rows, 50, seed=4))
