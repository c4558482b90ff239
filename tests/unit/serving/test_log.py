"""The prediction log on disk."""

from __future__ import annotations

import asyncio
import fcntl
import os
from types import SimpleNamespace

import msgspec
import pytest
from tests.unit.serving.conftest import until

from arkwright.contracts import SEAL_REQUEST, Arm, Endpoint, PredictionRecord, SegmentName
from arkwright.kit.telemetry import REGISTRY
from arkwright.serving.log import LoggedRequest, PredictionLog, recover_segment
from arkwright.serving.state import LiveArm

ENDPOINT = Endpoint(
    deployment_id="dep_1", workspace_id="ws_1", project_id="proj_1", name="churn", model_name="churn", arms=()
)


def request(n_rows: int = 1, request_id: str = "req_1", task: str = "binary") -> LoggedRequest:
    arm = Arm(model_version_id="mv_1", number=1, semver="1.0.0", bundle_digest="d", bundle_uri="u")
    live = LiveArm(arm, SimpleNamespace(signature=SimpleNamespace(task=task)), ("tenure",))
    answer = {"value": 4.0, "score": "an identifier"} if task == "regression" else {"label": "No", "score": 0.25}
    return LoggedRequest(
        request_id=request_id,
        time=1.0,
        endpoint=ENDPOINT,
        live=live,
        latency_ms=0.5,
        request_size_bytes=20,
        rows=[{"tenure": index, "customer": "secret"} for index in range(n_rows)],
        predictions=[answer] * n_rows,
    )


def read(folder) -> list[PredictionRecord]:
    decoder = msgspec.json.Decoder(PredictionRecord)
    return [decoder.decode(line) for path in sorted(folder.glob("*/*/*.jsonl")) for line in path.open("rb")]


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("arkwright_prediction_log_dropped_total", {"reason": reason}) or 0.0


def test_every_row_of_a_request_becomes_a_line_with_the_model_inputs_only(tmp_path):
    log = PredictionLog(tmp_path, "edge")
    log.start()
    assert log.append(request(450))
    log.close()
    records = read(tmp_path)
    assert [record.row for record in records] == list(range(450))
    assert records[7].features == {"tenure": 7}
    assert (records[7].label, records[7].score, records[7].value) == ("No", 0.25, None)
    (segment,) = tmp_path.glob("ws_1/dep_1/*")
    assert SegmentName.parse(segment.stem).replica == "edge"


def test_an_identifier_named_score_is_not_taken_for_the_prediction(tmp_path):
    log = PredictionLog(tmp_path, "edge")
    log.start()
    log.append(request(task="regression"))
    log.close()
    (record,) = read(tmp_path)
    assert (record.label, record.score, record.value) == (None, None, 4.0)


def test_a_full_queue_drops_and_counts_and_does_not_wait(tmp_path):
    log = PredictionLog(tmp_path, "edge", max_queued_rows=10)
    before = dropped("queue_full")
    assert log.append(request(8))
    assert not log.append(request(3))
    assert log.append(request(2))
    assert dropped("queue_full") == before + 3
    log.start()
    log.close()
    assert len(read(tmp_path)) == 10


async def _sealed(folder) -> None:
    await until(lambda: list(folder.glob("*/*/*.jsonl")))


@pytest.mark.parametrize(
    "limits", [{"idle_seconds": 0.05}, {"seal_seconds": 0.05, "idle_seconds": 60}, {"seal_bytes": 100}]
)
def test_a_segment_is_sealed_when_idle_or_old_or_large(tmp_path, limits):
    log = PredictionLog(tmp_path, "edge", flush_seconds=0.01, **limits)
    log.start()
    log.append(request())
    asyncio.run(_sealed(tmp_path))
    assert not list(tmp_path.glob("*/*/*.open"))
    log.append(request(request_id="req_2"))
    log.close()
    assert [record.request_id for record in read(tmp_path)] == ["req_1", "req_2"]
    assert len(list(tmp_path.glob("*/*/*.jsonl"))) == 2


def test_what_a_dead_process_left_is_sealed_at_start_without_its_torn_line(tmp_path):
    folder = tmp_path / "ws_1" / "dep_1"
    folder.mkdir(parents=True)
    line = msgspec.json.encode(next(request().records())) + b"\n"
    (folder / "edge-1-000001.open").write_bytes(line * 3 + line[:40])
    (folder / "edge-1-000002.open").write_bytes(line[:40])
    (folder / "edge-1-000003.open").write_bytes(b"")
    log = PredictionLog(tmp_path, "edge")
    log.start()
    log.close()
    assert [path.name for path in folder.iterdir()] == ["edge-1-000001.jsonl"]
    assert len(read(tmp_path)) == 3


def test_a_long_torn_line_is_cut_at_the_last_newline(tmp_path):
    path = tmp_path / "edge-1-000001.open"
    path.write_bytes(b"{}\n" + b"x" * 200_000)
    assert recover_segment(path).read_bytes() == b"{}\n"


def test_a_segment_that_another_process_still_writes_is_left_alone(tmp_path):
    path = tmp_path / "other-1-000001.open"
    path.write_bytes(b"{}\n")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert recover_segment(path) is None
    assert path.exists()


@pytest.mark.skipif(os.name != "posix" or not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_costs_rows_that_are_counted_and_nothing_else(tmp_path, monkeypatch):
    log = PredictionLog(tmp_path, "edge", flush_seconds=0.01)
    real_open = os.open

    def open_full(path, *given, **named):
        return real_open("/dev/full" if str(path).endswith(".open") else path, os.O_WRONLY)

    before = dropped("disk")
    with monkeypatch.context() as patched:
        patched.setattr("arkwright.serving.log.os.open", open_full)
        log.append(request(5))
        log.start()
        asyncio.run(until(lambda: dropped("disk") == before + 5))
        log.close()
    assert read(tmp_path) == []


async def test_a_segment_is_sealed_when_somebody_asks_for_it(tmp_path):
    log = PredictionLog(tmp_path, "edge", flush_seconds=0.01, idle_seconds=3600, seal_seconds=3600)
    log.start()
    log.append(request())
    await until(lambda: list(tmp_path.glob("*/*/*.open")))
    wish = tmp_path / "ws_1" / "dep_1" / SEAL_REQUEST
    wish.touch()
    await until(lambda: not wish.exists())
    assert [path.suffix for path in wish.parent.iterdir()] == [".jsonl"]
    log.close()
