"""Tables are scored by look-ups where the model's trees allow it, and to the same bits as by the library."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from arkwright.bundles import LightGBMEvaluator, Predictor, fit_encoder
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.evaluators.leaf_masks import LeafMasks
from arkwright.contracts import Column, Signature
from arkwright.deployments import table_encoder
from arkwright.deployments.table_encoder import Coded, TableEncoder

COLUMNS = (
    Column(name="size", kind="numeric"),
    Column(name="colour", kind="categorical"),
    Column(name="shape", kind="categorical"),
    Column(name="day", kind="time"),
)
N_ROWS = 2 * table_encoder._WORTH_ROWS + 123


def table(n_rows: int = N_ROWS) -> dict[str, Coded | Any]:
    rng = np.random.default_rng(0)
    day = rng.integers(0, 10**15, n_rows).astype("datetime64[us]")
    day[::50] = np.datetime64("NaT")
    return {
        "size": np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)),
        "colour": Coded(rng.integers(0, 4, n_rows), np.array(["red", "blue", "never seen", None], dtype=object)),
        "shape": Coded(rng.integers(0, 2, n_rows), np.array(["round", None], dtype=object)),
        "day": day,
    }


def whole(columns: dict[str, Coded | Any]) -> dict[str, Any]:
    return {name: values.decoded() if isinstance(values, Coded) else values for name, values in columns.items()}


def predictor(layout: Any = "tree") -> Predictor:
    cells = whole(table(800))
    cells["colour"] = np.where(cells["colour"] == "never seen", "red", cells["colour"])
    encoder = fit_encoder(COLUMNS, cells, layout=layout)
    X = encoder.encode_columns(cells)
    y = (np.nan_to_num(X[:, 0]) + (cells["colour"] == "red") > 0).astype(int)
    model = lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lgb.Dataset(X, y), 20)
    signature = Signature(task="binary", target="y", columns=COLUMNS, classes=("No", "Yes"))
    return Predictor(signature, encoder, LightGBMEvaluator(model.model_to_string()))


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List how many rows each call for look-ups scored; the first is the comparison with the library."""
    seen: list[int] = []
    scores = LeafMasks.scores

    def noted(self: LeafMasks, lookups: Any) -> Any:
        seen.append(lookups[0][0].size)
        return scores(self, lookups)

    monkeypatch.setattr(LeafMasks, "scores", noted)
    return seen


@pytest.mark.parametrize("layout", ["tree", "linear"])
def test_look_ups_score_to_the_same_bits(layout: Any, looked_up: list[int]) -> None:
    model, columns = predictor(layout), table()
    found, refused = TableEncoder(model).scores(columns, N_ROWS)
    np.testing.assert_array_equal(found, model.predict_columns(whole(columns)))
    assert refused == []
    assert sum(looked_up[1:]) == N_ROWS


def test_a_small_table_is_not_worth_the_look_ups(looked_up: list[int]) -> None:
    model, columns = predictor(), table(500)
    found, _ = TableEncoder(model).scores(columns, 500)
    np.testing.assert_array_equal(found, model.predict_columns(whole(columns)))
    assert looked_up == []


def test_a_column_of_too_many_texts_is_left_to_the_library(
    monkeypatch: pytest.MonkeyPatch, looked_up: list[int]
) -> None:
    monkeypatch.setattr(table_encoder, "_MOST_TABLE_BYTES", 3 * 20 * 4)
    model, columns = predictor(), table()
    found, _ = TableEncoder(model).scores(columns, N_ROWS)
    np.testing.assert_array_equal(found, model.predict_columns(whole(columns)))
    assert sum(looked_up[1:]) == 0


def test_too_many_columns_are_left_to_the_library(monkeypatch: pytest.MonkeyPatch, looked_up: list[int]) -> None:
    monkeypatch.setattr(table_encoder, "_LOOKUPS_PER_LEVEL", 0)
    model, columns = predictor(), table()
    found, _ = TableEncoder(model).scores(columns, N_ROWS)
    np.testing.assert_array_equal(found, model.predict_columns(whole(columns)))
    assert sum(looked_up[1:]) == 0


def test_refused_cells_are_named_and_leave_the_other_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, columns = predictor(), table()
    expected = model.predict_columns(whole(columns))[:, 0]
    number, text = (type(model.encoder.kernels[index]) for index in (0, 1))
    encode_number, encode_text = number.encode_column, text.encode_column

    def refuse_number(self: Any, values: Any, out: Any) -> None:
        if (values == columns["size"][9000]).any():
            raise CellRefused("size", "is odd")
        encode_number(self, values, out)

    def refuse_text(self: Any, values: Any, out: Any) -> None:
        if "never seen" in values.tolist():
            raise CellRefused("colour", "is new")
        encode_text(self, values, out)

    columns["size"][9000] = 77.0
    monkeypatch.setattr(number, "encode_column", refuse_number)
    monkeypatch.setattr(text, "encode_column", refuse_text)
    found, refused = TableEncoder(model).scores(columns, N_ROWS)
    new = np.flatnonzero(columns["colour"].codes == 2).tolist()
    assert sorted((cell.row, cell.message) for cell in refused) == sorted(
        [(9000, "the column 'size' is odd"), *((row, "the column 'colour' is new") for row in new)]
    )
    kept = np.ones(N_ROWS, dtype=bool)
    kept[[9000, *new]] = False
    np.testing.assert_array_equal(found[kept, 0], expected[kept])
