"""Segments, shipping and windows: from the data plane's lines to columns."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.contracts import Column, PredictionRecord, SegmentName, Signature
from arkwright.core.errors import Unavailable
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.monitoring.segments import object_key, parse_segment, replica_sequences, to_parquet
from arkwright.monitoring.shipping import SegmentShipper, Shipment
from arkwright.monitoring.window import read_log, read_window

START = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)
SIGNATURE = Signature(
    task="binary",
    target="churn",
    columns=(
        Column(name="tenure", kind="numeric"),
        Column(name="plan", kind="categorical"),
        Column(name="joined", kind="time"),
    ),
    classes=("No", "Yes"),
)


def record(at: float, version: str = "mv_1", **changes: object) -> PredictionRecord:
    """One row, ``at`` seconds after START."""
    values = {
        "request_id": f"req_{at:09.3f}",
        "row": 0,
        "time": START.timestamp() + at,
        "deployment_id": "dep_1",
        "workspace_id": "ws_1",
        "model_version_id": version,
        "semver": "1.0.0",
        "arm": "stable",
        "latency_ms": 1.5,
        "request_size_bytes": 99,
        "features": {"tenure": at, "plan": "basic", "joined": "2026-01-01"},
        "label": "No",
        "score": 0.25,
    }
    return PredictionRecord(**{**values, **changes})


def write_segment(folder: Path, records: list[PredictionRecord], *, stem: str, tail: bytes = b"") -> Path:
    path = folder / "ws_1" / "dep_1" / f"{stem}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(item) + b"\n" for item in records) + tail)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def shipper(folder: Path, object_store: ObjectStore) -> SegmentShipper:
    return SegmentShipper(folder, object_store)


@pytest.fixture
def shipped(object_store: ObjectStore) -> WorkspaceObjects:
    return object_store.for_workspace("ws_1")


def times(table: object) -> list[float]:
    return [(moment - START).total_seconds() for moment in table.column("time").to_pylist()]


def test_a_segment_becomes_parquet_and_leaves_the_local_disk(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    path = write_segment(folder, [record(0), record(1)], stem="edge-100-000001")
    assert shipper.ship() == Shipment(n_segments=1, n_rows=2)
    assert not path.exists()
    assert shipped.list("predictions") == ["predictions/dep_1/date=2026-01-02/edge-100-000001.parquet"]
    assert times(read_log(shipped, "dep_1", limit=10)) == [0.0, 1.0]


def test_shipping_the_same_segment_again_doubles_nothing(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    for _ in range(2):
        write_segment(folder, [record(0), record(1)], stem="edge-100-000001")
        shipper.ship()
    assert read_log(shipped, "dep_1", limit=10).num_rows == 2


def test_a_log_folder_that_does_not_exist_yet_ships_nothing(shipper: SegmentShipper) -> None:
    assert shipper.ship() == Shipment()
    shipper.collect("ws_1", "dep_1")


def test_open_segments_and_strangers_are_left_alone(folder: Path, shipper: SegmentShipper) -> None:
    sealed = write_segment(folder, [record(0)], stem="edge-100-000001")
    open_segment = sealed.rename(sealed.with_suffix(".open"))
    stranger = write_segment(folder, [record(0)], stem="notes")
    assert shipper.ship() == Shipment()
    assert open_segment.exists()
    assert stranger.exists()


def test_a_cut_last_line_is_dropped_and_an_unreadable_one_is_kept_aside(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    write_segment(folder, [record(0)], stem="edge-100-000001", tail=b'not json\n{"request_id": "req_')
    assert shipper.ship() == Shipment(n_segments=1, n_rows=1, n_rejected_lines=1)
    assert shipped.get_bytes("rejected/predictions/dep_1/edge-100-000001.jsonl") == b"not json\n"
    assert read_log(shipped, "dep_1", limit=10).num_rows == 1


def test_a_segment_stays_on_disk_while_the_store_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked" / "workspaces" / "ws_1" / "predictions"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder should be")
    path = write_segment(folder, [record(0)], stem="edge-100-000001")
    with pytest.raises(Unavailable):
        SegmentShipper(folder, ObjectStore(f"file://{tmp_path / 'blocked'}")).ship()
    assert path.exists()


def test_the_log_is_kept_for_seven_days(shipper: SegmentShipper, shipped: WorkspaceObjects) -> None:
    for day in range(10):
        name = SegmentName(replica="edge", start_ms=1, counter=day + 1)
        row = record(day * 86_400.0)
        shipped.put_bytes(object_key("dep_1", name, row.time), to_parquet([row]))
    shipped.put_bytes("predictions/dep_1/notes.txt", b"no date, no expiry")
    today = START.date() + timedelta(days=9)
    assert shipper.expire("ws_1", today) == 2
    assert shipper.expire("ws_1", today) == 0
    assert times(read_log(shipped, "dep_1", limit=100)) == [day * 86_400.0 for day in range(2, 10)]
    assert shipped.exists("predictions/dep_1/notes.txt")


def test_only_the_named_deployment_is_collected(folder: Path, shipper: SegmentShipper) -> None:
    mine = write_segment(folder, [record(0)], stem="edge-100-000001")
    other = folder / "ws_2" / "dep_2" / "edge-100-000001.jsonl"
    other.parent.mkdir(parents=True)
    other.write_bytes(msgspec.json.encode(record(0, deployment_id="dep_2", workspace_id="ws_2")) + b"\n")
    shipper.collect("ws_1", "dep_1")
    assert not mine.exists()
    assert other.exists()


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "label": st.sampled_from(["No", 3, True, None]),
                "score": st.none() | st.floats(0, 1),
                "features": st.dictionaries(
                    st.text(max_size=5), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
                ),
            }
        ),
        max_size=5,
    )
)
def test_records_survive_the_way_from_lines_to_parquet(rows: list[dict[str, object]]) -> None:
    import io

    import pyarrow.parquet as pq

    records = [record(float(index), **row) for index, row in enumerate(rows)]
    parsed = parse_segment(b"".join(msgspec.json.encode(item) + b"\n" for item in records))
    assert parsed.rejected == []
    read = pq.read_table(io.BytesIO(to_parquet(parsed.records))).to_pylist()
    assert [msgspec.json.decode(row["features"]) for row in read] == [item.features for item in records]
    assert [row["label"] for row in read] == [None if item.label is None else str(item.label) for item in records]
    assert [row["score"] for row in read] == [item.score for item in records]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_last_n_rows_are_the_same_whatever_segments_they_lie_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Several replicas, segments of any length: the window is what sorting everything would give."""
    objects = ObjectStore(f"file://{tmp_path_factory.mktemp('objects')}").for_workspace("ws_1")
    everything: list[float] = []
    for replica in data.draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, min_size=1)):
        at = 0.0
        segments = data.draw(st.lists(st.lists(st.integers(1, 40_000), min_size=1, max_size=6), max_size=6))
        for counter, steps in enumerate(segments, start=1):
            rows = []
            for step in steps:
                at += step
                rows.append(record(at, request_id=f"req_{replica}_{at}"))
            name = SegmentName(replica=replica, start_ms=1, counter=counter)
            objects.put_bytes(object_key("dep_1", name, rows[0].time), to_parquet(rows))
            everything += [item.time - START.timestamp() for item in rows]
    limit = data.draw(st.integers(1, 30))
    since = data.draw(st.none() | st.integers(0, 100_000))
    kept = sorted(at for at in everything if since is None or at >= since)[-limit:]
    moment = None if since is None else START + timedelta(seconds=since)
    assert times(read_log(objects, "dep_1", limit=limit, since=moment)) == kept


def test_old_segments_are_not_opened_when_the_window_is_full(shipped: WorkspaceObjects) -> None:
    for counter in range(1, 6):
        rows = [record(counter * 1000.0 + step) for step in range(10)]
        name = SegmentName(replica="edge", start_ms=1, counter=counter)
        shipped.put_bytes(object_key("dep_1", name, rows[0].time), to_parquet(rows))
    oldest = shipped.list("predictions/dep_1")[0]
    shipped.put_bytes(oldest, b"not parquet at all")
    assert read_log(shipped, "dep_1", limit=15).num_rows == 15


def test_a_window_holds_the_rows_of_one_version_between_two_times(shipped: WorkspaceObjects) -> None:
    rows = [record(float(at), version="mv_1" if at % 2 else "mv_2") for at in range(20)]
    name = SegmentName(replica="edge", start_ms=1, counter=1)
    shipped.put_bytes(object_key("dep_1", name, rows[0].time), to_parquet(rows))
    table = read_log(
        shipped,
        "dep_1",
        limit=100,
        since=START + timedelta(seconds=5),
        until=START + timedelta(seconds=11),
        model_version_id="mv_1",
    )
    assert times(table) == [5.0, 7.0, 9.0]


def test_a_deployment_without_a_log_has_an_empty_window(shipped: WorkspaceObjects) -> None:
    window = read_window(shipped, "dep_1", SIGNATURE)
    assert (window.n_rows, window.start, window.end) == (0, None, None)
    assert set(window.columns) == {"tenure", "plan", "joined"}
    assert all(len(values) == 0 for values in window.columns.values())


def test_a_window_reads_values_as_the_baseline_does(shipped: WorkspaceObjects) -> None:
    rows = [
        record(0, features={"tenure": 3, "plan": "basic", "joined": "1970-01-02"}),
        record(1, features={"tenure": None, "plan": None, "joined": None}),
        record(2, features={"plan": True}),
        record(3, features={"tenure": 2.5, "plan": 7, "joined": "1970-01-01T00:01:00Z", "not an input": 1}),
    ]
    name = SegmentName(replica="edge", start_ms=1, counter=1)
    shipped.put_bytes(object_key("dep_1", name, rows[0].time), to_parquet(rows))
    window = read_window(shipped, "dep_1", SIGNATURE)
    assert window.n_rows == 4
    assert (window.start, window.end) == (START, START + timedelta(seconds=3))
    np.testing.assert_array_equal(window.columns["tenure"], [3.0, math.nan, math.nan, 2.5])
    assert window.columns["plan"].tolist() == ["basic", None, "True", "7"]
    np.testing.assert_array_equal(window.columns["joined"], [86400.0, math.nan, math.nan, 60.0])
    assert window.predictions.tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("task", "changes", "expected"),
    [
        ("multiclass", {"label": 3, "score": 0.9}, ["3"]),
        ("regression", {"label": None, "score": None, "value": 12.5}, [12.5]),
    ],
)
def test_predictions_are_labels_or_values_by_task(
    shipped: WorkspaceObjects, task: str, changes: dict[str, object], expected: list[object]
) -> None:
    name = SegmentName(replica="edge", start_ms=1, counter=1)
    shipped.put_bytes(object_key("dep_1", name, START.timestamp()), to_parquet([record(0, **changes)]))
    signature = msgspec.structs.replace(SIGNATURE, task=task)
    assert read_window(shipped, "dep_1", signature).predictions.tolist() == expected


def test_a_replicas_segments_are_in_the_order_it_wrote_them() -> None:
    day = "predictions/dep_1/date=2026-01-02"
    keys = [f"{day}/edge-100-000010.parquet", f"{day}/edge-100-000009.parquet", f"{day}/edge-99-000011.parquet"]
    assert replica_sequences([*keys, f"{day}/readme.txt"]) == [[keys[0], keys[1], keys[2]]]
