"""Tables as arrays on disk."""

import numpy as np
import pytest

from arkwright.automl.arrays import read_columns, save_array, write_columns


def test_every_kind_of_column_comes_back_as_it_was(tmp_path):
    columns = {
        "number": np.array([1.5, np.nan, -0.0]),
        "text": np.array(["a", None, "é"], dtype=object),
        "time": np.array(["2026-01-02", "NaT", "1969-01-01"], dtype="datetime64[us]"),
    }
    write_columns(tmp_path, columns)
    back = read_columns(tmp_path, np.array([2, 0, 1]), ["time", "text", "number"])
    for name, values in columns.items():
        np.testing.assert_array_equal(back[name], values[[2, 0, 1]])
        assert back[name].dtype == values.dtype


def test_a_column_of_missing_text_stays_missing(tmp_path):
    write_columns(tmp_path, {"empty": np.array([None, None], dtype=object)})
    assert read_columns(tmp_path, np.array([0, 1]), ["empty"])["empty"].tolist() == [None, None]


def test_an_array_that_cannot_be_written_leaves_the_old_one(tmp_path):
    save_array(tmp_path / "a.npy", np.arange(3))

    class Unwritable:
        def __array__(self, *_args, **_options):
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        save_array(tmp_path / "a.npy", Unwritable())
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]
