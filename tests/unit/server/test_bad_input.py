"""Every mistake a person can make with a file, a dataset or an experiment: what, where, what to do; nothing left."""

from __future__ import annotations

import io
import os
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.server.conftest import ControlPlane, running_control_plane

# What changes by asking alone: the job that failed and the record that somebody asked.
JOURNAL = {"jobs", "job_logs", "job_steps", "audit_logs", "idempotency_keys", "uploads"}
# What the platform writes by itself, at any time.
BACKGROUND = {"published_plans", "data_planes", "outbox_events"}
MAX_UPLOAD_BYTES = 3_000_000


@dataclass
class Bench:
    """A control plane, a folder it may read files from, and a way to see that nothing was left behind."""

    plane: ControlPlane
    home: Path
    root: Path

    def rows(self, without: Iterable[str] = BACKGROUND) -> dict[str, int]:
        with sqlite3.connect(self.home / "arkwright.db") as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in names
                if name not in without
            }

    def objects(self) -> list[str]:
        folder = self.home / "objects"
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def results(self) -> tuple[dict[str, int], list[str]]:
        """What exists beside the record that somebody tried; uploads are kept whatever becomes of them."""
        kept = [key for key in self.objects() if "/uploads/" not in key]
        return self.rows(BACKGROUND | JOURNAL), kept

    def post(self, path: str, body: Any) -> httpx.Response:
        answer: httpx.Response = self.plane.client.post(path, json=body)
        return answer

    def job(self, answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = self.plane.client.get(answer.headers["location"]).json()
        return job

    def ingest(self, content: bytes, filename: str = "table.csv", **options: Any) -> dict[str, Any]:
        """Upload and ingest; return the ended job."""
        source = {"upload_id": self.plane.upload(content, filename)}
        return self.job(self.post("/v1/datasets/ingest", {"source": source, **options}))

    def dataset(self, content: bytes, **options: Any) -> str:
        job = self.ingest(content, **options)
        assert job["status"] == "succeeded", job["error"]
        return str(job["result"]["dataset_id"])

    def experiment(self, dataset_id: str, settings: Mapping[str, Any]) -> httpx.Response:
        return self.post("/v1/experiments", {"dataset_id": dataset_id, "target": "y", **settings})

    def train(self, dataset_id: str, **settings: Any) -> dict[str, Any]:
        created = self.experiment(dataset_id, settings)
        assert created.status_code == 201, created.text
        return self.job(self.post(f"/v1/experiments/{created.json()['experiment_id']}/run", {}))


@pytest.fixture(scope="module")
def bench(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    root = folder / "allowed"
    root.mkdir()
    home = folder / "home"
    with running_control_plane(migrated_sqlite, home, allowed_roots=[root], max_upload_bytes=MAX_UPLOAD_BYTES) as plane:
        yield Bench(plane, home, root)


def check_problem(problem: Mapping[str, Any], status: int, code: str, *words: str) -> None:
    """Assert that a problem names the thing and says what to do."""
    assert (problem["status"], problem["code"]) == (status, code), problem
    for word in words:
        assert word in problem["detail"], problem
    assert problem["hint"], problem
    assert "Traceback" not in str(problem)
    assert "defect" not in problem["detail"]


def check_refused(answer: httpx.Response, status: int, code: str, *words: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.status_code == status, answer.text
    check_problem(answer.json(), status, code, *words)


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as stream:
        for name in names:
            stream.writestr(name, "a,b\n1,2\n")
    return buffer.getvalue()


def table(header: str, rows: Iterable[str]) -> bytes:
    return (header + "\n" + "\n".join(rows) + "\n").encode()


# Files


BAD_FILES: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "header only": (b"a,b\n", "dataset.no_rows", ("2 columns", "no rows")),
    "header only, no line end": (b"a,b", "dataset.no_rows", ("2 columns",)),
    "blank lines": (b"\n\n\n", "dataset.empty_file", ("'table.csv'", "empty")),
    "only a byte-order mark": (b"\xef\xbb\xbf", "dataset.empty_file", ("empty",)),
    "duplicate names": (b"a,b,a\n1,2,3\n", "dataset.duplicate_columns", ("'a'", "columns 1 and 3")),
    "a column without a name": (b"a,,b\n1,2,3\n", "dataset.column_unnamed", ("Column 2 of 3",)),
    "a column named blank": (b"a, ,b\n1,2,3\n", "dataset.column_unnamed", ("Column 2 of 3",)),
    "a name of 300 characters": (
        ("n" * 300 + ",b\n1,2\n").encode(),
        "dataset.column_name_long",
        ("column 1", "300 characters", "200"),
    ),
    "latin-1": ("a,b\ncafé,1\n".encode("latin-1"), "dataset.encoding", ("Line 2", "0xE9")),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "dataset.encoding", ("UTF-16",)),
    "html": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "dataset.is_html", ("'table.csv'", "HTML")),
    "html after blanks": (b"\n\n  <HTML><body>login", "dataset.is_html", ("HTML",)),
    "xlsx": (archive("[Content_Types].xml", "xl/workbook.xml"), "dataset.is_excel", ("'table.csv'", ".xlsx")),
    "zip": (archive("a.csv"), "dataset.is_binary", ("zip archive",)),
    "json": (b'{"a": 1}\n{"a": 2}\n', "dataset.not_csv", ("'table.csv'", "JSON")),
    "pretty json": (b'[\n  {"a": 1}\n]', "dataset.not_csv", ("JSON",)),
    "parquet by its first bytes": (b"PAR1" + b"x" * 50, "dataset.not_csv", ("Parquet",)),
    "cut gzip": (b"\x1f\x8b\x08\x00" + b"x" * 50, "dataset.gzip_damaged", ("gzip",)),
    "binary": (b"a,b\n1,\x002\n", "dataset.is_binary", ("NUL",)),
    "infinities": (b"a,b\n1,2\ninf,3\n-Infinity,1\n", "dataset.infinite", ("'a'", "2 infinite", "row 2")),
    "a row too long": (b"a,b\n1,2\n1,2,3\n", "dataset.ragged_row", ("Line 3", "3 cells", "2 columns")),
    "a row too short": (b"a,b\n1,2\n1\n", "dataset.ragged_row", ("Line 3", "1 cell")),
    "an open quote": (b'a,b\n"x,2\n3,4\n', "dataset.quote_open", ("line 2",)),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_good_table_is_refused_and_leaves_nothing(bench: Bench, name: str) -> None:
    content, code, words = BAD_FILES[name]
    before = bench.results()
    job = bench.ingest(content, name=name)
    assert job["status"] == "failed"
    check_problem(job["error"], 422, code, *words)
    assert bench.results() == before


@pytest.mark.parametrize(
    ("content", "filename", "options", "code", "words"),
    [
        (b"a,b\n1,2\n", "table.jsonl", {}, "dataset.not_jsonl", ("'table.jsonl'", "plain text")),
        (b'{"a": 1}\n3\n', "t.jsonl", {}, "dataset.json_not_object", ("Line 2",)),
        (b'{"a": 1}\n{"a":\n', "t.jsonl", {}, "dataset.json_invalid", ("Line 2",)),
        (b'{"": 1}\n', "t.jsonl", {}, "dataset.column_unnamed", ("Column 1",)),
        (b"a\n1\nx\n", "t.csv", {"types": {"a": "integer"}}, "dataset.type_mismatch", ("'a'", "'x'", "row 2")),
        (b"a\n1\n", "t.csv", {"types": {"b": "text"}}, "dataset.types_unknown_column", ("'b'",)),
        (b"a\n1\n", "t.csv", {"encoding": "klingon"}, "dataset.encoding_unknown", ("'klingon'",)),
        (b"a\n1\n", "t.csv", {"format": "parquet"}, "dataset.not_parquet", ("Parquet",)),
    ],
)
def test_a_file_that_contradicts_what_was_said_about_it_is_refused(
    bench: Bench, content: bytes, filename: str, options: dict[str, Any], code: str, words: tuple[str, ...]
) -> None:
    before = bench.results()
    job = bench.ingest(content, filename, **options)
    check_problem(job["error"], 422, code, *words)
    assert bench.results() == before


def test_an_all_missing_column_and_mixed_types_are_accepted_with_a_warning(bench: Bench) -> None:
    job = bench.ingest(b"a,empty,mixed\n1,,3\n2,,x\n3,,5\n", name="warned")
    assert job["status"] == "succeeded", job["error"]
    warnings = {(item["code"], item["column"]): item["message"] for item in job["result"]["warnings"]}
    assert "set aside in training" in warnings["all_missing", "empty"]
    assert "'x' in row 2" in warnings["mixed_types", "mixed"]


@pytest.mark.parametrize(
    "name", ["a/b", "ä", '"quoted"', '{"k": [1]}', "customer_id", "new\nline", "'; DROP TABLE datasets; --", "n" * 200]
)
def test_an_odd_column_name_is_kept_as_it_is(bench: Bench, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    dataset_id = bench.dataset(table(f"{quoted},y", ["1,2", "2,3"]), name=f"odd {abs(hash(name))}")
    for page in ("", "/versions/1", "/versions/1/profile", "/versions/1/preview"):
        answer = bench.plane.client.get(f"/v1/datasets/{dataset_id}{page}")
        assert answer.status_code == 200
        assert name in str(answer.json()) or name in answer.text.encode().decode("unicode_escape")


# Uploads and paths


def test_an_empty_upload_is_refused(bench: Bench) -> None:
    before = bench.rows(), bench.objects()
    check_refused(bench.plane.client.post("/v1/uploads", content=b""), 422, "upload.empty", "empty")
    assert (bench.rows(), bench.objects()) == before


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_beyond_the_limit_is_refused_and_leaves_nothing(bench: Bench, announced: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            yield b"x" * 1_000_000

    before = bench.rows(), bench.objects()
    content = b"x" * (MAX_UPLOAD_BYTES + 1) if announced else pieces()
    answer = bench.plane.client.post("/v1/uploads", content=content, headers={"X-Filename": "big.csv"})
    check_refused(answer, 413, "upload.too_large", "3.0 MB")
    assert (bench.rows(), bench.objects()) == before


@pytest.mark.parametrize("filename", ["../../etc/passwd", "%00", "a%0Ab.csv", "", "/", "x" * 5_000, "%FF%FE"])
def test_a_strange_file_name_is_made_harmless(bench: Bench, filename: str) -> None:
    answer = bench.plane.client.post("/v1/uploads", content=b"a\n1\n", headers={"X-Filename": filename})
    assert answer.status_code == 201
    kept = answer.json()["filename"]
    assert kept
    assert len(kept) <= 200
    assert kept.isprintable()
    assert "/" not in kept


def test_a_path_that_may_not_be_read_is_refused_alike_whether_it_exists_or_not(bench: Bench) -> None:
    secret = bench.root.parent / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    (bench.root / "link.csv").symlink_to(secret)
    (bench.root / "folder-link").symlink_to(bench.root.parent)
    before = bench.rows(), bench.objects()
    for path in (
        str(secret),
        "/etc/passwd",
        "/nowhere/at/all.csv",
        "relative.csv",
        str(bench.root / ".." / "secret.csv"),
        str(bench.root / "link.csv"),
        str(bench.root / "folder-link" / "secret.csv"),
        str(bench.root) + "-not",
        "file:///etc/passwd",
        "s3://bucket/key",
    ):
        answer = bench.post("/v1/datasets/ingest", {"source": {"path": path}})
        check_refused(answer, 422, "dataset.path_refused", path)
    assert (bench.rows(), bench.objects()) == before


def test_a_path_to_no_file_is_not_found_and_never_waited_for(bench: Bench) -> None:
    os.mkfifo(bench.root / "pipe.csv")
    (bench.root / "folder.csv").mkdir()
    (bench.root / "loop.csv").symlink_to(bench.root / "loop.csv")
    before = bench.rows(), bench.objects()
    for name in ("pipe.csv", "folder.csv", "missing.csv"):
        path = str(bench.root / name)
        check_refused(
            bench.post("/v1/datasets/ingest", {"source": {"path": path}}), 404, "dataset.path_not_found", path
        )
    answer = bench.post("/v1/datasets/ingest", {"source": {"path": str(bench.root / "loop.csv")}})
    assert answer.status_code in (404, 422)
    assert (bench.rows(), bench.objects()) == before


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"source": {"upload_id": "up_none"}}, 404, "upload.not_found", "'up_none'"),
        ({"source": {}}, 422, "request.invalid", "either upload_id or path"),
        ({"source": {"upload_id": "up_1", "path": "/x"}}, 422, "request.invalid", "either upload_id or path"),
        ({"source": {"upload_id": "UP"}, "name": "a/b"}, 422, "dataset.name", "'a/b'"),
        ({"source": {"upload_id": "UP"}, "name": "ds_01jn0000000000000000000000"}, 422, "dataset.name", "'ds_"),
        ({"source": {"upload_id": "UP"}, "project_id": "proj_none"}, 404, "project.not_found", "'proj_none'"),
        ({"source": {"upload_id": "UP"}, "types": {"a": "float"}}, 422, "request.invalid", "types.a"),
        ({"source": {"upload_id": "UP"}, "format": "xlsx"}, 422, "request.invalid", "format"),
        ({"source": {"upload_id": "UP"}, "formt": "csv"}, 422, "request.invalid", "formt"),
    ],
)
def test_an_ingestion_that_cannot_be_meant_is_refused_at_once(
    bench: Bench, body: dict[str, Any], status: int, code: str, word: str
) -> None:
    if body["source"].get("upload_id") == "UP":
        body = {**body, "source": {"upload_id": bench.plane.upload(b"a,b\n1,2\n")}}
    before = bench.rows()
    check_refused(bench.post("/v1/datasets/ingest", body), status, code, word)
    assert bench.rows() == before


# Experiments


ROWS = range(60)
NUMBERS = table("a,y", (f"{row % 7},{row % 2}" for row in ROWS))
NOTHING_LEFT = table("row_id,same,empty,y", (f"k{row:04},1,,{row % 2}" for row in ROWS))

BAD_TARGETS: dict[str, tuple[bytes, dict[str, Any], str, tuple[str, ...]]] = {
    "constant": (table("a,y", (f"{row % 7},1" for row in ROWS)), {}, "target.constant", ("'y'", "60 rows")),
    "one row of a class": (
        table("a,y", (f"{row % 7},{'rare' if row == 0 else 'ab'[row % 2]}" for row in ROWS)),
        {},
        "target.rare_class",
        ("'y'", "'rare'"),
    ),
    "all missing": (table("a,y", (f"{row % 7}," for row in ROWS)), {}, "target.all_missing", ("'y'",)),
    "one row": (table("a,y", ["1,x"]), {}, "target.constant", ("'y'",)),
    "two rows": (table("a,y", ["1,x", "2,z"]), {}, "target.too_few_rows", ("2 rows", "20")),
    "nothing left": (NOTHING_LEFT, {}, "experiment.no_features", ("'y'",)),
    "only the target": (table("y", (f"{row % 2}" for row in ROWS)), {}, "experiment.no_features", ("'y'",)),
    "everything ignored": (NUMBERS, {"config": {"ignore_columns": ["a"]}}, "experiment.no_features", ("'y'",)),
    "300 classes": (
        table("a,y", (f"{row % 7},c{row // 2}" for row in range(600))),
        {},
        "target.too_many_classes",
        ("'y'", "300 distinct", "200"),
    ),
    "text, regression asked": (
        table("a,y", (f"{row % 7},{'ab'[row % 2]}" for row in ROWS)),
        {"task_type": "regression"},
        "target.not_numeric",
        ("'y'", "text"),
    ),
    "a time": (table("a,y", (f"{row % 7},2026-01-{row % 28 + 1:02}" for row in ROWS)), {}, "target.time", ("'y'",)),
    "three values, binary asked": (
        table("a,y", (f"{row % 7},{'abc'[row % 3]}" for row in ROWS)),
        {"task_type": "binary"},
        "target.not_binary",
        ("'y'", "3 distinct"),
    ),
    "fractions, classes asked": (
        table("a,y", (f"{row % 7},{row % 2}.5" for row in ROWS)),
        {"task_type": "classification"},
        "target.fractions",
        ("'y'",),
    ),
    "an objective of another task": (NUMBERS, {"objective": "minimize_rmse"}, "objective.unknown", ("minimize_rmse",)),
    "a positive class that is not there": (
        NUMBERS,
        {"config": {"positive_class": "maybe"}},
        "target.positive_class",
        ("'maybe'",),
    ),
    "more folds than rows": (
        table("a,y", (f"{row % 7},{row % 2}" for row in range(22))),
        {"config": {"cv": {"folds": 20}}},
        "split.too_few_rows",
        ("22 rows", "20 folds"),
    ),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_a_target_that_cannot_be_learnt_ends_the_experiment_with_its_reason(bench: Bench, name: str) -> None:
    content, settings, code, words = BAD_TARGETS[name]
    dataset_id = bench.dataset(content, name=f"target: {name}".replace("/", " "))
    rows, objects = bench.results()
    job = bench.train(dataset_id, **settings)
    assert job["status"] == "failed"
    check_problem(job["error"], 422, code, *words)
    experiment = bench.plane.client.get(f"/v1/experiments/{job['subject_id']}").json()
    assert experiment["status"] == "failed"
    assert experiment["summary"]["problem"]["hint"]
    rows["experiments"] += 1
    assert bench.results() == (rows, objects)


def test_why_every_column_was_set_aside_is_said_for_each(bench: Bench) -> None:
    hint = bench.train(bench.dataset(NOTHING_LEFT, name="aside"))["error"]["hint"]
    for name in ("row_id", "same", "empty"):
        assert name in hint
    assert "feature_types" in hint


@pytest.mark.parametrize(
    ("settings", "status", "code", "word"),
    [
        ({"target": "Y"}, 422, "experiment.target", "'Y'"),
        ({"target": ""}, 422, "request.invalid", "target"),
        ({"target": "y" * 201}, 422, "request.invalid", "target"),
        ({"dataset_id": "ds_none"}, 404, "dataset.not_found", "'ds_none'"),
        ({"dataset_version": 99}, 404, "dataset.version_not_found", "version 99"),
        ({"dataset_version": 0}, 422, "request.invalid", "dataset_version"),
        ({"dataset_version": 2**63}, 422, "request.invalid", "dataset_version"),
        ({"project_id": "proj_none"}, 404, "project.not_found", "'proj_none'"),
        ({"objective": "maximize_happiness"}, 422, "objective.unknown", "'maximize_happiness'"),
        ({"task_type": "clustering"}, 422, "request.invalid", "task_type"),
        ({"config": {"budget_seconds": 4.9}}, 422, "request.invalid", "budget_seconds"),
        ({"config": {"budget_seconds": 86_401}}, 422, "request.invalid", "budget_seconds"),
        ({"config": {"feature_types": {"a": "numberish"}}}, 422, "features.kind_unknown", "'numberish'"),
        ({"config": {"feature_types": {"b": "numeric"}}}, 422, "features.unknown_column", "'b'"),
        ({"config": {"feature_types": {"y": "numeric"}}}, 422, "features.target_overridden", "'y'"),
        ({"config": {"feature_types": {"a": "time"}}}, 422, "features.kind_mismatch", "'a'"),
        ({"config": {"ignore_columns": ["b"]}}, 422, "features.unknown_column", "'b'"),
        ({"config": {"ignore_columns": ["y"]}}, 422, "features.target_ignored", "'y'"),
        ({"config": {"model_name": "a/b ä"}}, 422, "model.name", "'a/b ä'"),
        ({"config": {"cv": {"folds": 1}}}, 422, "request.invalid", "cv.folds"),
        ({"config": {"cv": {"seed": 10**30}}}, 422, "request.invalid", "cv.seed"),
        ({"config": {"imbalance": {"method": "smote"}}}, 422, "experiment.imbalance", "'smote'"),
        ({"config": {"imbalance": {"method": ["smote"]}}}, 422, "experiment.imbalance", "smote"),
        ({"config": {"imbalance": {"ratio": 2}}}, 422, "experiment.imbalance", "'ratio'"),
        ({"config": {"budget": 60}}, 422, "request.invalid", "config.budget"),
    ],
)
def test_an_experiment_that_cannot_run_is_refused_before_it_exists(
    bench: Bench, settings: dict[str, Any], status: int, code: str, word: str
) -> None:
    dataset_id = bench.dataset(NUMBERS, name="numbers")
    before = bench.rows()
    check_refused(bench.experiment(dataset_id, settings), status, code, word)
    assert bench.rows() == before


@pytest.mark.slow
def test_the_smallest_budget_trains_on_odd_names_and_a_hundred_classes(bench: Bench) -> None:
    header = 'a/b,ä,"q""uote","new\nline",\'x\',{"k":1},y'
    rows = (f"{row % 7},{row % 5},{row % 3},v{row % 4},{row % 6},{row % 2},c{row % 101}" for row in range(404))
    job = bench.train(bench.dataset(table(header, rows), name="odd"), config={"budget_seconds": 5})
    if job["status"] == "failed":
        # A machine under load may not finish a single candidate in five seconds; then it says so.
        check_problem(job["error"], 422, "experiment.no_trial", "budget")
        return
    version = bench.plane.client.get(f"/v1/models/{job['result']['model_id']}/versions/1").json()
    assert version["feature_names"] == ["a/b", "ä", 'q"uote', "new\nline", "'x'", '{"k":1}']
    assert len(job["result"]["classes"]) == 101


def test_an_experiment_is_run_once(bench: Bench) -> None:
    dataset_id = bench.dataset(BAD_TARGETS["constant"][0], name="once")
    experiment_id = bench.experiment(dataset_id, {}).json()["experiment_id"]
    check_refused(bench.post(f"/v1/experiments/{experiment_id}/cancel", {}), 409, "experiment.not_running", "created")
    check_refused(bench.post("/v1/experiments/exp_none/run", {}), 404, "experiment.not_found", "exp_none")
