"""Arrow segments on disk: whole batches or none, whatever happens to their writer."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from arkwright.kit.segments import SegmentWriter, read_segment, recover_folder, recover_segment, segment_schema

SCHEMA = segment_schema("outcomes")


def batch(n_rows: int, name: str = "req") -> pa.RecordBatch:
    rows = [
        {
            "request_id": f"{name}_{row}",
            "row": row,
            "time": 0,
            "deployment_id": "d",
            "workspace_id": "w",
            "label": "Yes",
        }
        for row in range(n_rows)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def writer(folder: Path, stem: str = "outcomes-edge-1-000001") -> SegmentWriter:
    return SegmentWriter(folder / f"{stem}.open", "outcomes")


def test_a_segment_holds_the_batches_and_what_came_with_them(tmp_path):
    segment = writer(tmp_path)
    segment.append(batch(3), {b"usage": b"[]"})
    segment.append(batch(2))
    segment.append(batch(0))
    sealed = segment.seal()
    assert sealed.name == "outcomes-edge-1-000001.arrows"
    found = read_segment(sealed, "outcomes")
    assert [row["row"] for row in found.table.to_pylist()] == [0, 1, 2, 0, 1]
    assert found.metadata == ({b"usage": b"[]"}, {}, {})
    assert found.whole_bytes == sealed.stat().st_size
    assert segment.n_rows == 5


def test_a_segment_cut_at_any_byte_is_read_up_to_its_last_whole_batch(tmp_path):
    segment = writer(tmp_path)
    ends = [segment.size_bytes]
    for n_rows in (1, 4, 2):
        segment.append(batch(n_rows))
        ends.append(segment.size_bytes)
    content = segment.seal().read_bytes()
    cut = tmp_path / "cut"
    for n_bytes in range(len(content) + 1):
        cut.write_bytes(content[:n_bytes])
        whole = [index for index, end in enumerate(ends) if end <= n_bytes]
        found = read_segment(cut, "outcomes")
        assert len(found.metadata) == (whole[-1] if whole else 0)
        assert found.whole_bytes == (ends[whole[-1]] if whole else 0)


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xff" * 64, b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"x" * 64])
def test_rubbish_after_the_last_batch_is_no_batch(tmp_path, tail):
    segment = writer(tmp_path)
    segment.append(batch(3))
    sealed = segment.seal()
    whole = sealed.read_bytes()
    sealed.write_bytes(whole + tail)
    found = read_segment(sealed, "outcomes")
    assert (found.table.num_rows, found.whole_bytes) == (3, len(whole))


def test_a_batch_that_does_not_fit_on_the_disk_leaves_the_segment_as_it_was(tmp_path, monkeypatch):
    segment = writer(tmp_path)
    segment.append(batch(3))
    before = segment.path.read_bytes()
    real, calls = os.pwrite, []

    def half_full(descriptor, content, at):
        calls.append(at)
        return real(descriptor, content[:100], at) if len(calls) == 1 else _full()

    with monkeypatch.context() as patched:
        patched.setattr("arkwright.kit.segments.os.pwrite", half_full)
        with pytest.raises(OSError, match="No space"):
            segment.append(batch(50))
    assert segment.path.read_bytes() == before
    segment.append(batch(2))
    assert read_segment(segment.seal(), "outcomes").table.num_rows == 5


def _full(*_given):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_segment_that_cannot_be_created_leaves_nothing_behind(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("arkwright.kit.segments.os.pwrite", _full)
        with pytest.raises(OSError, match="No space"):
            writer(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_segment_without_a_batch_is_not_kept(tmp_path):
    assert writer(tmp_path).seal() is None
    assert list(tmp_path.iterdir()) == []


def test_only_what_nobody_writes_is_recovered(tmp_path):
    folder = tmp_path / "ws_1" / "dep_1"
    folder.mkdir(parents=True)
    alive = writer(folder, "outcomes-edge-2-000001")
    alive.append(batch(1))
    dead = writer(folder, "outcomes-edge-1-000001")
    dead.append(batch(2))
    content = dead.path.read_bytes()
    dead.seal().unlink()
    (folder / "outcomes-edge-1-000001.open").write_bytes(content + content[:50])
    assert recover_folder(tmp_path) == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "outcomes-edge-1-000001.arrows",
        "outcomes-edge-2-000001.open",
    ]
    assert read_segment(folder / "outcomes-edge-1-000001.arrows", "outcomes").table.num_rows == 2
    assert recover_segment(folder / "outcomes-edge-9-000001.open", "outcomes") is None
    alive.seal()


def test_rows_of_another_kind_are_not_taken_for_this_one(tmp_path):
    segment = writer(tmp_path)
    segment.append(batch(1))
    found = read_segment(segment.seal(), "predictions")
    assert (found.table.num_rows, found.whole_bytes) == (0, 0)


def test_a_file_whose_writer_died_before_it_had_its_name_is_removed_after_a_while(tmp_path):
    folder = tmp_path / "ws_1" / "dep_1"
    folder.mkdir(parents=True)
    for name, age in (("old", 3600), ("new", 0)):
        (folder / f"{name}-1-000001.new").write_bytes(b"")
        os.utime(folder / f"{name}-1-000001.new", (time.time() - age,) * 2)
    recover_folder(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["new-1-000001.new"]
