"""The prediction log on disk."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.unit.serving.conftest import until

from arkwright.contracts import (
    SEAL_REQUEST,
    USAGE_KEY,
    Arm,
    Endpoint,
    LogPolicy,
    SegmentName,
    UsageCount,
    sampled,
)
from arkwright.core.errors import Unavailable
from arkwright.kit.segments import SegmentWriter, read_segment
from arkwright.kit.telemetry import REGISTRY
from arkwright.serving.log import LoggedOutcomes, LoggedRequest, Outcome, PredictionLog
from arkwright.serving.state import LiveArm

ENDPOINT = Endpoint(
    deployment_id="dep_1", workspace_id="ws_1", project_id="proj_1", name="churn", model_name="churn", arms=()
)


def request(n_rows: int = 1, request_id: str = "req_1", task: str = "binary", **changes) -> LoggedRequest:
    arm = Arm(model_version_id="mv_1", number=1, semver="1.0.0", bundle_digest="d", bundle_uri="u")
    bundle = SimpleNamespace(signature=SimpleNamespace(task=task))
    live = LiveArm(arm, bundle, ("tenure", "email"), SimpleNamespace(inline=True))
    answer = {"value": 4.0, "score": "an identifier"} if task == "regression" else {"label": "No", "score": 0.25}
    given = {
        "request_id": request_id,
        "time": 1.0,
        "endpoint": ENDPOINT,
        "live": live,
        "latency_ms": 0.5,
        "request_size_bytes": 20,
        "rows": [{"tenure": index, "customer": "secret"} for index in range(n_rows)],
        "predictions": [answer] * n_rows,
    }
    return LoggedRequest(**{**given, **changes})


def policy(**changes) -> Endpoint:
    return msgspec.structs.replace(ENDPOINT, log=LogPolicy(**changes))


def tables(folder: Path, kind: str = "predictions", ending: str = "arrows") -> list[pa.Table]:
    found = sorted(folder.glob(f"*/*/*.{ending}"))
    return [read_segment(path, kind).table for path in found if SegmentName.parse(path.stem).kind == kind]


def read(folder: Path, kind: str = "predictions") -> list[dict]:
    return [row for table in tables(folder, kind) for row in table.to_pylist()]


def usage(folder: Path) -> list[UsageCount]:
    found = [read_segment(path, "predictions") for path in sorted(folder.glob("*/*/*.arrows"))]
    counts = [each[USAGE_KEY] for segment in found for each in segment.metadata]
    return [count for text in counts for count in msgspec.json.decode(text, type=list[UsageCount])]


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("arkwright_prediction_log_dropped_total", {"reason": reason}) or 0.0


def written(folder: Path, *requests: LoggedRequest, **limits) -> list[dict]:
    """Log requests, and return the rows that were written."""
    log = PredictionLog(folder, "edge", **limits)
    log.start()
    for each in requests:
        log.append(each)
    log.close()
    return read(folder)


def test_every_row_of_a_request_becomes_a_row_with_the_model_s_inputs_only(tmp_path):
    rows = written(tmp_path, request(450))
    assert [row["row"] for row in rows] == list(range(450))
    assert rows[7]["features"] == '{"tenure":7}'
    assert (rows[7]["label"], rows[7]["score"], rows[7]["value"]) == ("No", 0.25, None)
    assert rows[7]["time"].timestamp() == 1.0
    (segment,) = tmp_path.glob("ws_1/dep_1/*")
    assert SegmentName.parse(segment.stem).replica == "edge"


def test_a_segment_is_a_stream_that_any_arrow_reader_opens(tmp_path):
    written(tmp_path, request(3))
    (segment,) = tmp_path.glob("ws_1/dep_1/*.arrows")
    assert pa.ipc.open_stream(segment.read_bytes()).read_all().num_rows == 3


def test_an_identifier_named_score_is_not_taken_for_the_prediction(tmp_path):
    (row,) = written(tmp_path, request(task="regression"))
    assert (row["label"], row["score"], row["value"]) == (None, None, 4.0)


def test_a_class_that_is_no_text_is_logged_as_its_text(tmp_path):
    rows = written(tmp_path, request(2, predictions=[{"label": True, "score": 0.5}, {"label": 3, "score": 0.5}]))
    assert [row["label"] for row in rows] == ["True", "3"]


def test_an_answer_of_the_fallback_is_logged_under_that_arm(tmp_path):
    rows = written(tmp_path, request(), request(arm_name="fallback", predictions=[{"label": "No"}]), request())
    assert [(row["arm"], row["score"]) for row in rows] == [("stable", 0.25), ("fallback", None), ("stable", 0.25)]


def test_a_request_that_cannot_be_logged_is_counted_and_costs_no_other_its_rows(tmp_path):
    before = dropped("unwritable")
    rows = written(
        tmp_path, request(request_id="req_1"), request(predictions=[{}]), request(request_id="req_2", rows=[{}])
    )
    assert [row["request_id"] for row in rows] == ["req_1", "req_2"]
    assert rows[1]["features"] == "{}"
    assert dropped("unwritable") == before + 1


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
    assert sum(count.requests for count in usage(tmp_path)) == 3
    assert sum(count.rows for count in usage(tmp_path)) == 13


def test_a_queue_of_few_but_large_rows_is_full_too(tmp_path):
    log = PredictionLog(tmp_path, "edge", max_queued_bytes=1_000)
    assert log.append(request(rows=[{"email": "x" * 1_000}]))
    assert not log.append(request())


def test_redacted_values_are_hashed_before_they_reach_the_disk(tmp_path):
    endpoint = policy(redact=("email", "customer"))
    secrets = ["ada@example.org", "grace@example.org"]
    rows = [{"tenure": 1, "email": secret, "customer": secret} for secret in secrets]
    rows.append({"tenure": 1, "email": None})
    logged = written(tmp_path, request(endpoint=endpoint, rows=rows, predictions=[{"label": "No", "score": 0.1}] * 3))
    wanted = [f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}" for secret in secrets]
    assert [msgspec.json.decode(row["features"]) for row in logged] == [
        {"tenure": 1, "email": wanted[0]},
        {"tenure": 1, "email": wanted[1]},
        {"tenure": 1, "email": None},
    ]
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(everything) > 500
    for secret in (*secrets, "ada@", "grace@", "example.org"):
        assert secret.encode() not in everything
    assert rows[0]["email"] == secrets[0]  # the answer may still echo it


def test_a_sample_takes_the_same_requests_wherever_it_is_taken(tmp_path):
    requests = [request(2, f"req_{index}", endpoint=policy(sample_percent=20.0)) for index in range(300)]
    first = {row["request_id"] for row in written(tmp_path / "a", *requests)}
    second = {row["request_id"] for row in written(tmp_path / "b", *reversed(requests))}
    assert first == second == {each.request_id for each in requests if sampled(each.request_id, 20.0)}
    assert 30 < len(first) < 90
    assert sum(count.requests for count in usage(tmp_path / "a")) == 300
    assert sum(count.rows for count in usage(tmp_path / "a")) == 600


def test_nothing_sampled_is_still_counted_for_the_bill(tmp_path):
    assert written(tmp_path, request(5, endpoint=policy(sample_percent=0.0))) == []
    assert usage(tmp_path) == [
        UsageCount(model_version_id="mv_1", semver="1.0.0", arm="stable", requests=1, rows=5, request_bytes=20)
    ]


async def _sealed(folder) -> None:
    await until(lambda: list(folder.glob("*/*/*.arrows")))


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
    assert [row["request_id"] for row in read(tmp_path)] == ["req_1", "req_2"]
    assert len(list(tmp_path.glob("*/*/*.arrows"))) == 2


def test_what_a_dead_process_left_is_sealed_at_start_without_its_torn_batch(tmp_path):
    written(tmp_path / "before", request(3))
    (whole,) = (tmp_path / "before").glob("*/*/*.arrows")
    content = whole.read_bytes()
    folder = tmp_path / "log" / "ws_1" / "dep_1"
    folder.mkdir(parents=True)
    (folder / "edge-1-000001.open").write_bytes(content + content[:300])
    (folder / "edge-1-000002.open").write_bytes(content[:-1])
    (folder / "edge-1-000003.open").write_bytes(b"")
    assert len(written(tmp_path / "log")) == 3
    assert [path.name for path in folder.iterdir()] == ["edge-1-000001.arrows"]


def test_a_segment_that_another_process_still_writes_is_left_alone(tmp_path):
    folder = tmp_path / "ws_1" / "dep_1"
    folder.mkdir(parents=True)
    other = SegmentWriter(folder / "other-1-000001.open", "predictions")
    written(tmp_path, request())
    assert other.path.exists()
    assert other.seal() is None


def test_a_full_disk_costs_rows_that_are_counted_and_nothing_else(tmp_path, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = dropped("disk")
    with monkeypatch.context() as patched:
        patched.setattr("arkwright.kit.segments.os.pwrite", full)
        assert written(tmp_path, request(5)) == []
    assert dropped("disk") == before + 5
    assert list(tmp_path.rglob("*.*")) == []
    assert len(written(tmp_path, request(2))) == 2


def test_a_disk_that_fills_up_in_the_middle_of_a_batch_keeps_the_batches_before(tmp_path):
    """RLIMIT_FSIZE makes the kernel refuse, for real, in a process of its own."""
    script = """
        import resource, signal, sys
        from pathlib import Path
        from tests.unit.serving.test_log import dropped, read, request
        from arkwright.serving.log import PredictionLog
        folder = Path(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        log = PredictionLog(folder, "edge", flush_seconds=0.001)
        log.start()
        kept = 0
        while not dropped("disk"):
            log.append(request(50, f"req_{kept}"))
            kept += 1
        log.close()
        rows = read(folder)
        print(len(rows), dropped("disk") + dropped("queue_full"), 50 * kept)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    n_rows, n_dropped, n_all = (float(word) for word in done.stdout.split()[-3:])
    assert n_rows > 0
    assert n_rows + n_dropped == n_all


def test_beyond_the_cap_new_rows_are_dropped_and_acknowledged_ones_stay(tmp_path):
    written(tmp_path, request(100))
    before = dropped("folder_full")
    assert len(written(tmp_path, request(7), max_folder_bytes=1_000)) == 100
    assert dropped("folder_full") == before + 7
    assert sum(count.rows for count in usage(tmp_path)) == 107


async def test_a_segment_is_sealed_when_somebody_asks_for_it(tmp_path):
    logs = [PredictionLog(tmp_path, name, flush_seconds=0.01, idle_seconds=3600) for name in ("edge_1", "edge_2")]
    for log in logs:
        log.start()
        log.append(request())
    await until(lambda: len(list(tmp_path.glob("*/*/*.open"))) == 2)
    wish = tmp_path / "ws_1" / "dep_1" / SEAL_REQUEST
    wish.touch()
    await until(lambda: len(list(tmp_path.glob("*/*/*.arrows"))) == 2)
    for log in logs:
        log.close()
    assert len(read(tmp_path)) == 2


def outcomes(*given: Outcome, deployment_id: str = "dep_1") -> LoggedOutcomes:
    return LoggedOutcomes("ws_1", deployment_id, 5.0, given)


def test_outcomes_are_on_the_disk_before_their_future_is_done(tmp_path):
    log = PredictionLog(tmp_path, "edge")
    log.start()
    done = [
        log.append_outcomes(outcomes(Outcome("req_1", 0, label="Yes"))),
        log.append_outcomes(outcomes(Outcome("req_2", 3, value=2.5), deployment_id="dep_2")),
    ]
    for each in done:
        each.result(timeout=10)
    first, second = tables(tmp_path, "outcomes", "open")
    assert first.select(["request_id", "row", "label", "value"]).to_pylist() == [
        {"request_id": "req_1", "row": 0, "label": "Yes", "value": None}
    ]
    assert second.column("deployment_id").to_pylist() == ["dep_2"]
    log.close()
    assert len(read(tmp_path, "outcomes")) == 2


def test_a_caller_that_left_keeps_nobody_else_waiting(tmp_path):
    log = PredictionLog(tmp_path, "edge")
    gone, here = (log.append_outcomes(outcomes(Outcome(name, 0, label="Yes"))) for name in ("req_1", "req_2"))
    assert gone.cancel()
    log.start()
    here.result(timeout=10)
    log.close()
    assert [row["request_id"] for row in read(tmp_path, "outcomes")] == ["req_1", "req_2"]


def test_outcomes_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("arkwright.kit.segments.os.pwrite", full)
    log = PredictionLog(tmp_path, "edge")
    log.start()
    done = log.append_outcomes(outcomes(Outcome("req_1", 0, label="Yes")))
    with pytest.raises(Unavailable, match="No space left"):
        done.result(timeout=10)
    log.close()


def test_outcomes_that_nobody_writes_are_refused_at_last(tmp_path):
    log = PredictionLog(tmp_path, "edge")
    many = outcomes(*[Outcome(f"req_{index}", 0, label="Yes") for index in range(30_000)])
    waiting = log.append_outcomes(many)
    with pytest.raises(Unavailable):
        log.append_outcomes(many)
    with pytest.raises(FutureTimeout):
        waiting.result(timeout=0)


@pytest.mark.parametrize("kill_after", [1, 7, 40])
def test_kill_9_of_the_writer_loses_nothing_that_was_acknowledged(tmp_path, kill_after):
    """What is acknowledged is what `arkwright_prediction_log_rows_total` and an outcome's answer have counted."""
    script = """
        import sys
        from pathlib import Path
        from tests.unit.serving.test_log import outcomes, request
        from arkwright.kit.telemetry import REGISTRY
        from arkwright.serving.log import Outcome, PredictionLog
        log = PredictionLog(Path(sys.argv[1]), "edge", flush_seconds=0.001)
        log.start()
        index = 0
        while True:
            log.append(request(3, f"req_{index}"))
            log.append_outcomes(outcomes(Outcome(f"req_{index}", 0, label="Yes"))).result(timeout=10)
            rows = REGISTRY.get_sample_value("arkwright_prediction_log_rows_total")
            index += 1
            print(int(rows), index, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        lines = [process.stdout.readline() for _ in range(kill_after)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    whole = [line for line in lines if line.endswith("\n")]
    n_rows, n_outcomes = (int(word) for word in whole[-1].split())
    rows = written(tmp_path)
    assert len(rows) >= n_rows
    assert len({(row["request_id"], row["row"]) for row in rows}) == len(rows)
    told = {row["request_id"] for row in read(tmp_path, "outcomes")}
    assert told >= {f"req_{index}" for index in range(n_outcomes)}


def test_the_data_plane_loads_arrow_with_the_log_s_thread_and_never_pandas(tmp_path):
    script = """
        import sys
        from pathlib import Path
        import arkwright.serving.plane
        from arkwright.serving.log import PredictionLog
        assert "pyarrow" not in sys.modules
        from tests.unit.serving.test_log import Outcome, outcomes, request, read, usage
        log = PredictionLog(Path(sys.argv[1]), "edge")
        log.start()
        log.append(request(3))
        log.append(request(1, task="regression"))
        log.append_outcomes(outcomes(Outcome("req_1", 0, label="Yes"))).result()
        log.close()
        assert "pandas" not in sys.modules
        assert len(list(Path(sys.argv[1]).glob("*/*/*.arrows"))) == 2
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=True)


def test_appending_opens_no_file(tmp_path):
    log = PredictionLog(tmp_path, "edge")
    assert log.append(request())
    assert list(tmp_path.iterdir()) == []


def test_values_that_no_json_body_holds_are_logged_as_plain_ones(tmp_path):
    rows = [{"tenure": np.float64(1.5), "email": date(2026, 1, 2)}, {"tenure": np.int64(3), "email": 10**30}]
    logged = written(tmp_path, request(2, rows=rows))
    assert [msgspec.json.decode(row["features"]) for row in logged] == [
        {"tenure": 1.5, "email": "2026-01-02"},
        {"tenure": 3, "email": 10**30},
    ]


def test_texts_of_any_script_and_missing_ones_survive(tmp_path):
    rows = [{"email": "grüße ✓"}, {"email": "\n"}, {"email": None}]
    labels = [{"label": "ja ✓", "score": 1.0}, {"label": "nein", "score": None}, {"label": None, "score": 0.0}]
    logged = written(tmp_path, request(rows=rows, predictions=labels))
    assert [msgspec.json.decode(row["features"]) for row in logged] == rows
    assert [(row["label"], row["score"]) for row in logged] == [("ja ✓", 1.0), ("nein", None), (None, 0.0)]
    (segment,) = tmp_path.glob("*/*/*.arrows")
    read_segment(segment, "predictions").table.validate(full=True)


def test_what_could_not_be_written_is_still_billed_with_the_next_batch() -> None:
    from arkwright.serving.log_columns import PredictionColumns

    columns = PredictionColumns("ws_1", "dep_1")
    columns.count("mv_1", "1.0.0", "stable", 3, 13, 900)
    _, lost = columns.take()
    columns.put_usage_back()
    columns.count("mv_1", "1.0.0", "stable", 1, 1, 100)
    (counted,) = msgspec.json.decode(columns.take()[1], type=list[UsageCount])
    assert msgspec.json.decode(lost, type=list[UsageCount])[0].rows == 13
    assert (counted.requests, counted.rows, counted.request_bytes) == (4, 14, 1000)
