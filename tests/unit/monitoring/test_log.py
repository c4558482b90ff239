"""Segments, shipping and windows: from the data plane's lines to columns."""

from __future__ import annotations

import io
import math
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.log_segments import outcome_table, prediction_table, write_sealed

from arkwright.contracts import (
    USAGE_KEY,
    Column,
    OutcomeRecord,
    PredictionRecord,
    SegmentName,
    Signature,
    UsageCount,
    redacted,
)
from arkwright.core.errors import Unavailable
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.kit.segments import SegmentWriter, read_segment
from arkwright.monitoring.segments import object_key, replica_sequences, to_parquet
from arkwright.monitoring.shipping import SegmentShipper, SegmentUsage, Shipment
from arkwright.monitoring.window import read_log, read_outcomes, read_window

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


def outcome(at: float, actual: str | float) -> OutcomeRecord:
    """What was told ``at`` seconds after START about the prediction of that moment."""
    return OutcomeRecord(
        request_id=f"req_{at:09.3f}",
        row=0,
        time=START.timestamp() + at,
        deployment_id="dep_1",
        workspace_id="ws_1",
        actual=actual,
    )


def parquet(records: list[PredictionRecord]) -> bytes:
    return to_parquet(prediction_table(records))


def write_segment(folder: Path, records: list[PredictionRecord], *, stem: str, tail: bytes = b"", **usage: int) -> Path:
    counts = [UsageCount(model_version_id="mv_1", semver="1.0.0", arm="stable", **usage)] if usage else []
    path = write_sealed(folder / "ws_1" / "dep_1", stem, prediction_table(records), counts)
    with path.open("ab") as stream:
        stream.write(tail)
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


def test_what_is_still_written_and_strangers_are_left_alone(folder: Path, shipper: SegmentShipper) -> None:
    sealed = write_segment(folder, [record(0)], stem="edge-100-000001")
    stranger = sealed.rename(sealed.with_name("notes.arrows"))
    writer = SegmentWriter(sealed.with_suffix(".open"), "predictions")
    assert shipper.ship() == Shipment()
    assert writer.path.exists()
    assert stranger.exists()
    writer.seal()


def test_what_a_dead_data_plane_left_open_is_shipped_up_to_its_torn_batch(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    sealed = write_segment(folder, [record(0), record(1)], stem="edge-100-000001", tail=b"\xff\xff\xff\xff\x10\x01\0")
    sealed.rename(sealed.with_suffix(".open"))
    assert shipper.ship() == Shipment(n_segments=1, n_rows=2)
    assert times(read_log(shipped, "dep_1", limit=10)) == [0.0, 1.0]


def test_what_cannot_be_read_is_kept_aside(folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects) -> None:
    path = write_segment(folder, [record(0)], stem="edge-100-000001", tail=b"something else")
    content = path.read_bytes()
    assert shipper.ship() == Shipment(n_segments=1, n_rows=1, unreadable_bytes=14)
    assert shipped.get_bytes("rejected/predictions/dep_1/edge-100-000001.arrows") == content
    assert read_log(shipped, "dep_1", limit=10).num_rows == 1


def test_usage_is_told_with_its_segment_until_it_was_taken(folder: Path, object_store: ObjectStore) -> None:
    told: list[SegmentUsage] = []

    def refuse_once(usage: SegmentUsage) -> None:
        told.append(usage)
        if len(told) == 1:
            raise Unavailable("the database is away")

    path = write_segment(folder, [record(0)], stem="edge-100-000001", requests=3, rows=7)
    shipper = SegmentShipper(folder, object_store, refuse_once)
    with pytest.raises(Unavailable):
        shipper.ship()
    assert path.exists()
    assert shipper.ship() == Shipment(n_segments=1, n_rows=1)
    assert told[0] == told[1]
    assert (told[0].deployment_id, told[0].counts[0].requests, told[0].counts[0].rows) == ("dep_1", 3, 7)


def test_usage_that_cannot_be_read_keeps_nothing_from_being_shipped(
    folder: Path, object_store: ObjectStore, shipped: WorkspaceObjects
) -> None:
    path = folder / "ws_1" / "dep_1" / "edge-100-000001.open"
    path.parent.mkdir(parents=True)
    writer = SegmentWriter(path, "predictions")
    (batch,) = prediction_table([record(0)]).to_batches()
    writer.append(batch, {USAGE_KEY: b"[{}]"})
    writer.seal()
    told: list[SegmentUsage] = []
    assert SegmentShipper(folder, object_store, told.append).ship() == Shipment(n_segments=1, n_rows=1)
    assert told == []
    assert read_log(shipped, "dep_1", limit=10).num_rows == 1


def test_a_segment_of_nothing_but_usage_makes_no_object(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    write_segment(folder, [], stem="edge-100-000001", requests=3, rows=7)
    assert shipper.ship() == Shipment(n_segments=1)
    assert shipped.list("predictions") == []


def test_outcomes_are_shipped_to_a_place_of_their_own(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    table = outcome_table([outcome(0.0, "Yes"), outcome(90_000.0, 2.5)])
    write_sealed(folder / "ws_1" / "dep_1", "outcomes-edge-100-000001", table)
    shipper.ship()
    assert shipped.list("outcomes") == ["outcomes/dep_1/date=2026-01-02/outcomes-edge-100-000001.parquet"]
    assert shipped.list("predictions") == []
    told = read_outcomes(shipped, "dep_1", since=START)
    assert told.column("label").to_pylist() == ["Yes", None]
    assert told.column("value").to_pylist() == [None, 2.5]
    assert read_outcomes(shipped, "dep_1", since=START + timedelta(seconds=1)).num_rows == 1


def test_outcomes_of_a_segment_that_crosses_midnight_are_found(
    folder: Path, shipper: SegmentShipper, shipped: WorkspaceObjects
) -> None:
    table = outcome_table([outcome(30.0, "Yes"), outcome(62.0, "No")])
    write_sealed(folder / "ws_1" / "dep_1", "outcomes-edge-100-000001", table)
    shipper.ship()
    midnight = START + timedelta(seconds=60)
    assert read_outcomes(shipped, "dep_1", since=midnight).column("label").to_pylist() == ["No"]


KILLED = """
import os, signal, sys
from pathlib import Path
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.monitoring.shipping import SegmentShipper
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "before the object exists":
    WorkspaceObjects.put_bytes = die
shipper = SegmentShipper(Path(sys.argv[1]), ObjectStore(sys.argv[2]), die)
shipper.ship()
"""


@pytest.mark.parametrize("moment", ["before the object exists", "between writing and deleting"])
def test_kill_9_of_the_shipper_neither_loses_nor_doubles_a_row(
    folder: Path, object_store: ObjectStore, shipped: WorkspaceObjects, moment: str
) -> None:
    for counter in (1, 2):
        rows = [record(counter * 10.0 + step) for step in range(3)]
        write_segment(folder, rows, stem=f"edge-100-00000{counter}", requests=3, rows=3)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), object_store.url, moment], check=False)
    assert killed.returncode == -signal.SIGKILL
    told: list[SegmentUsage] = []
    SegmentShipper(folder, object_store, told.append).ship()
    assert times(read_log(shipped, "dep_1", limit=100)) == [10.0, 11.0, 12.0, 20.0, 21.0, 22.0]
    assert [usage.segment for usage in told] == ["edge-100-000001", "edge-100-000002"]
    assert list(folder.glob("*/*/*")) == []


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
        shipped.put_bytes(object_key("dep_1", name, row.time), parquet([row]))
        told = SegmentName(replica="edge", start_ms=1, counter=day + 1, kind="outcomes")
        shipped.put_bytes(
            object_key("dep_1", told, row.time), to_parquet(outcome_table([outcome(day * 86_400.0, "No")]))
        )
    shipped.put_bytes("predictions/dep_1/notes.txt", b"no date, no expiry")
    today = START.date() + timedelta(days=9)
    assert shipper.expire("ws_1", today) == 4
    assert shipper.expire("ws_1", today) == 0
    assert times(read_log(shipped, "dep_1", limit=100)) == [day * 86_400.0 for day in range(2, 10)]
    assert shipped.exists("predictions/dep_1/notes.txt")


def test_only_the_named_deployment_is_collected(folder: Path, shipper: SegmentShipper) -> None:
    mine = write_segment(folder, [record(0)], stem="edge-100-000001")
    other = write_sealed(folder / "ws_2" / "dep_2", "edge-100-000001", prediction_table([record(0)]))
    shipper.collect("ws_1", "dep_1")
    assert not mine.exists()
    assert other.exists()


@settings(max_examples=40, deadline=None)
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
def test_records_survive_the_way_from_segments_to_parquet(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    records = [record(float(index), **row) for index, row in enumerate(rows)]
    path = write_sealed(tmp_path_factory.mktemp("log"), "edge-1-000001", prediction_table(records))
    read = pq.read_table(io.BytesIO(to_parquet(read_segment(path, "predictions").table))).to_pylist()
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
            objects.put_bytes(object_key("dep_1", name, rows[0].time), parquet(rows))
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
        shipped.put_bytes(object_key("dep_1", name, rows[0].time), parquet(rows))
    oldest = shipped.list("predictions/dep_1")[0]
    shipped.put_bytes(oldest, b"not parquet at all")
    assert read_log(shipped, "dep_1", limit=15).num_rows == 15


def test_a_window_holds_the_rows_of_one_version_between_two_times(shipped: WorkspaceObjects) -> None:
    rows = [record(float(at), version="mv_1" if at % 2 else "mv_2") for at in range(20)]
    name = SegmentName(replica="edge", start_ms=1, counter=1)
    shipped.put_bytes(object_key("dep_1", name, rows[0].time), parquet(rows))
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
    shipped.put_bytes(object_key("dep_1", name, rows[0].time), parquet(rows))
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
    shipped.put_bytes(object_key("dep_1", name, START.timestamp()), parquet([record(0, **changes)]))
    signature = msgspec.structs.replace(SIGNATURE, task=task)
    assert read_window(shipped, "dep_1", signature).predictions.tolist() == expected


def test_a_replicas_segments_are_in_the_order_it_wrote_them() -> None:
    day = "predictions/dep_1/date=2026-01-02"
    keys = [f"{day}/edge-100-000010.parquet", f"{day}/edge-100-000009.parquet", f"{day}/edge-99-000011.parquet"]
    assert replica_sequences([*keys, f"{day}/readme.txt"]) == [[keys[0], keys[1], keys[2]]]


def test_redacted_columns_are_compared_by_their_hashes_or_not_at_all(shipped: WorkspaceObjects) -> None:
    rows = [
        record(0, features={"tenure": 3, "plan": "basic", "joined": "1970-01-02"}),
        record(1, features={"tenure": redacted(4), "plan": redacted("basic"), "joined": None}),
        record(2, features={"tenure": None, "plan": None}),
    ]
    name = SegmentName(replica="edge", start_ms=1, counter=1)
    shipped.put_bytes(object_key("dep_1", name, rows[0].time), parquet(rows))
    window = read_window(shipped, "dep_1", SIGNATURE)
    assert window.redacted == {"tenure", "plan"}
    assert set(window.columns) == {"plan", "joined"}
    assert window.columns["plan"].tolist() == [redacted("basic"), redacted("basic"), None]
