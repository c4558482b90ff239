"""Sealed segments as a data plane would leave them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa

from arkwright.contracts import USAGE_KEY, OutcomeRecord, PredictionRecord, SegmentName, UsageCount
from arkwright.kit.segments import SegmentWriter, segment_schema


def prediction_table(records: Sequence[PredictionRecord]) -> pa.Table:
    """Return predictions as the columns of a segment."""
    rows = []
    for record in records:
        row = msgspec.structs.asdict(record)
        row["time"] = round(record.time * 1e6)
        row["features"] = msgspec.json.encode(record.features).decode()
        row["label"] = None if record.label is None else str(record.label)
        rows.append(row)
    return _table(rows, segment_schema("predictions"))


def outcome_table(records: Sequence[OutcomeRecord]) -> pa.Table:
    """Return outcomes as the columns of a segment; an actual number is a value, anything else a label."""
    rows = []
    for record in records:
        row = msgspec.structs.asdict(record)
        actual = row.pop("actual")
        number = isinstance(actual, float)
        row |= {"time": round(record.time * 1e6), "label": None if number else str(actual), "value": None}
        rows.append(row | ({"value": actual} if number else {}))
    return _table(rows, segment_schema("outcomes"))


def write_sealed(folder: Path, stem: str, table: pa.Table, usage: Sequence[UsageCount] = ()) -> Path:
    """Write a sealed segment of one batch; the folder is a deployment's."""
    folder.mkdir(parents=True, exist_ok=True)
    name = SegmentName.parse(stem)
    writer = SegmentWriter(folder / f"{stem}.open", name.kind if name else "predictions")
    metadata = {USAGE_KEY: msgspec.json.encode(list(usage))} if usage else None
    for batch in table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
        writer.append(batch, metadata)
    sealed = writer.seal()
    assert sealed is not None
    return sealed


def _table(rows: list[dict], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)
