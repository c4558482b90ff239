"""Encoding and answering tables for a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from arkwright.bundles import LinearEvaluator, Predictor, fit_encoder
from arkwright.bundles.errors import CellRefused
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.deployments.scoring import BatchScorer, answer_table, coded, output_schema, read_input
from arkwright.deployments.table_encoder import TableEncoder
from arkwright.features import to_columns

COLUMNS = (
    Column(name="size", kind="numeric"),
    Column(name="colour", kind="categorical"),
    Column(name="day", kind="time"),
)
TABLE = pa.table(
    {
        "size": pa.array([1, 2, None, 4, 5], pa.int32()),
        "colour": ["red", None, "blue", "never seen", "red"],
        "day": pa.array([0, 86_400_000, None, 7, 8], pa.timestamp("ms")),
        "note": [None, "x", "y", "z", "x"],
    }
)


def signature(task: str = "binary", classes: tuple[Any, ...] = ("No", "Yes")) -> Signature:
    return Signature(task=task, target="y", columns=COLUMNS, classes=classes)  # type: ignore[arg-type]


def predictor(layout: Any = "linear") -> Predictor:
    encoder = fit_encoder(COLUMNS, to_columns(TABLE.slice(0, 3), COLUMNS), layout=layout)
    return Predictor(signature(), encoder, LinearEvaluator([0.1] * encoder.n_outputs, 0.2, "sigmoid"))


@pytest.mark.parametrize("layout", ["linear", "tree"])
@pytest.mark.parametrize("colours", ["plain", "dictionary", "large", "all missing"])
def test_codes_and_objects_are_scored_to_the_same_bits(layout: Any, colours: str) -> None:
    cells = {
        "plain": TABLE.column("colour"),
        "dictionary": TABLE.column("colour").dictionary_encode(),
        "large": TABLE.column("colour").cast(pa.large_string()),
        "all missing": pa.chunked_array([pa.nulls(5, pa.string())]),
    }[colours]
    table = TABLE.set_column(1, "colour", cells)
    model = predictor(layout)
    columns = {column.name: read_input(table, column, None)[0] for column in COLUMNS}
    found, refused = TableEncoder(model).scores(columns, 5)
    plain = TABLE.set_column(1, "colour", cells.cast(pa.string()))
    np.testing.assert_array_equal(found, model.predict_columns(to_columns(plain, COLUMNS)))
    assert refused == []


@pytest.mark.parametrize("values", [pa.array([True, False, None]), pa.array([1.0, 2.5, None]), pa.array([3, 3, None])])
def test_other_types_stand_for_categories_by_their_text(values: pa.Array) -> None:
    found = coded(values).decoded().tolist()
    assert found == to_columns(pa.table({"c": values}), [Column(name="c", kind="categorical")])["c"].tolist()


def test_only_texts_that_occur_are_looked_at() -> None:
    values = pa.array(["a", "b", "c", None]).dictionary_encode().slice(1, 1)
    assert coded(values).texts.tolist() == ["b"]


def test_a_cell_that_the_encoder_refuses_is_named_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = predictor("tree")
    kernel = type(model.encoder.kernels[1])
    encode_column = kernel.encode_column

    def refuse(self: Any, values: Any, out: Any) -> None:
        if "never seen" in values.tolist():
            raise CellRefused("colour", "is 'never seen', which training never saw")
        encode_column(self, values, out)

    monkeypatch.setattr(kernel, "encode_column", refuse)
    with pytest.raises(Invalid, match="Row 104: the column 'colour' is 'never seen'"):
        BatchScorer(model).score(TABLE, 100)
    kept = BatchScorer(model, on_error="keep").score(TABLE)
    assert kept.column("predicted_score").is_null().to_pylist() == [False, False, False, True, False]
    assert kept.column("prediction_error")[3].as_py() == "the column 'colour' is 'never seen', which training never saw"


def test_readers_see_the_types_of_the_source() -> None:
    coded_table = TABLE.set_column(3, "note", TABLE.column("note").dictionary_encode())
    schema = output_schema(TABLE.schema, coded_table.append_column("predicted_value", pa.array([0.0] * 5)))
    assert schema.field("note").type == pa.string()
    assert schema.names == [*TABLE.column_names, "predicted_value"]


def test_multiclass_answers_name_the_best_class_and_on_request_all() -> None:
    scores = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    asked = answer_table(signature("multiclass", (1, 2, 3)), scores, with_scores=True)
    assert asked.to_pylist()[0] == {
        "predicted_label": 2,
        "predicted_score": 0.5,
        "predicted_score_1": 0.2,
        "predicted_score_2": 0.5,
        "predicted_score_3": 0.3,
    }
    assert answer_table(signature("regression", ()), scores[:, :1]).column_names == ["predicted_value"]
