"""Uploads, ingestion and versions, in process."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest
from sqlalchemy import select

from arkwright.access import AuditTrail
from arkwright.access.tables import AuditRow
from arkwright.core.context import Actor, Context
from arkwright.core.errors import Invalid, NotFound, NotPermitted, PayloadTooLarge, Unavailable
from arkwright.core.events import DATASET_VERSION_CREATED
from arkwright.data.tables import DatasetRow, DatasetVersionRow, UploadRow
from arkwright.kit.db import OutboxRow
from arkwright.kit.jobs import JobRun
from tests.unit.data.conftest import MAX_UPLOAD_BYTES, Store

CSV = b"id,age\na,1\nb,2\nc,\n"


def count(store: Store, row: type) -> int:
    with store.database.read(store.context) as unit:
        return len(unit.session.scalars(select(row)).all())


def test_a_file_becomes_a_version_with_everything_that_is_known_about_it(store: Store) -> None:
    job = store.ingest(CSV, "people.csv")
    assert job.status == "succeeded", job.error
    assert job.result is not None
    assert job.progress == 1.0
    assert job.result["created"]
    assert [warning["message"] for warning in job.result["warnings"]] == [
        "column 'age' has 1 blank cell, read as missing"
    ]
    with store.database.read(store.context) as unit:
        dataset = store.datasets.get(unit, "people")
        assert dataset.id == job.result["dataset_id"] == job.subject_id
        version = store.datasets.version(unit, "people")
        assert (version.number, version.n_rows, version.fingerprint) == (1, 3, job.result["fingerprint"])
        assert version.schema == dataset.schema
        assert [(column["name"], column["type"], column["n_missing"]) for column in version.schema] == [
            ("id", "text", 0),
            ("age", "integer", 1),
        ]
        assert version.source["filename"] == "people.csv"
        assert version.source["format"] == "csv"
        assert store.datasets.profile(unit, version.id).n_rows == 3
        table = store.datasets.load_table(unit, version.id)
        assert table.to_pylist() == [{"id": "a", "age": 1}, {"id": "b", "age": 2}, {"id": "c", "age": None}]
        assert store.datasets.load_table(unit, version.id, ["age"]).column_names == ["age"]
        assert store.datasets.preview(unit, version.id, limit=2) == [{"id": "a", "age": 1}, {"id": "b", "age": 2}]
        events = unit.session.scalars(select(OutboxRow).where(OutboxRow.type == DATASET_VERSION_CREATED)).all()
        assert [(event.subject, event.data["number"]) for event in events] == [(version.id, 1)]
        actions = unit.session.scalars(select(AuditRow.action).order_by(AuditRow.seq)).all()
        assert actions == ["upload.create", "dataset.ingest", "dataset.create", "dataset.version_create"]
        assert AuditTrail().verify(unit).intact


def test_the_same_content_is_the_same_version_however_it_was_written(store: Store) -> None:
    first = store.ingest(CSV, "people.csv").result
    for content, name in (
        (CSV, "people.csv"),
        (gzip.compress(CSV), "people.csv.gz"),
        (CSV.replace(b",", b"\t"), "people.tsv"),
    ):
        again = store.ingest(content, name).result
        assert again is not None
        assert first is not None
        assert not again["created"]
        assert again["dataset_version_id"] == first["dataset_version_id"]
    assert count(store, DatasetVersionRow) == 1
    assert len(store.keys("datasets")) == 2
    assert count(store, OutboxRow) == 1


def test_other_content_under_the_same_name_is_the_next_version(store: Store) -> None:
    store.ingest(CSV, "people.csv")
    result = store.ingest(b"id,age,city\nd,4,Oslo\n", "people.csv").result
    assert result is not None
    assert (result["number"], result["created"]) == (2, True)
    with store.database.read(store.context) as unit:
        assert [row.number for row in store.datasets.versions(unit, "people", limit=5)] == [2, 1]
        assert [row.number for row in store.datasets.versions(unit, "people", limit=5, before=2)] == [1]
        assert store.datasets.version(unit, "people").number == 2
        assert len(store.datasets.get(unit, "people").schema) == 3
        assert store.datasets.version(unit, "people", 1).n_rows == 3


def test_a_job_that_runs_twice_makes_one_version(store: Store) -> None:
    job = store.ingest(CSV, "people.csv")
    with store.database.write(store.context) as unit:
        row = store.jobs.get(unit, job.id)
        row.status, row.attempt = "running", row.attempt + 1
    with store.database.read(store.context) as unit:
        row = store.jobs.get(unit, job.id)
    again = store.job.run(JobRun(store.database, row, lambda _name, work: work()), job.payload)
    assert again == job.result
    assert count(store, DatasetVersionRow) == count(store, OutboxRow) == 1
    with store.database.read(store.context) as unit:
        assert store.datasets.load_table(unit, again["dataset_version_id"]).num_rows == 3


def test_bad_input_fails_the_job_and_leaves_nothing(store: Store) -> None:
    job = store.ingest(b"<html><body>Sign in</body></html>", "people.csv")
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "dataset.is_html"
    assert job.error["hint"]
    job = store.ingest(b"a,b\n" + b"1,2\n" * 1000 + b"3\n", "people.csv")
    assert job.error is not None
    assert job.error["code"] == "dataset.ragged_row"
    assert count(store, DatasetRow) == count(store, DatasetVersionRow) == 0
    assert store.keys("datasets") == []
    with store.database.read(store.context) as unit, pytest.raises(NotFound):
        store.datasets.get(unit, "people")


def test_overrides_and_missing_values_are_obeyed(store: Store) -> None:
    job = store.ingest(CSV.replace(b"c,\n", b"c,?\n"), types={"age": "number"}, na_values=["?"])
    assert job.status == "succeeded"
    with store.database.read(store.context) as unit:
        version = store.datasets.version(unit, "data")
        assert version.schema[1] == {"name": "age", "type": "number", "nullable": True, "n_missing": 1}


@pytest.mark.parametrize("name", ["a/b", "x\n", "ds_00000000000000000000000000"])
def test_a_name_that_cannot_stand_in_a_path_is_refused(store: Store, name: str) -> None:
    upload = store.upload(CSV)
    with pytest.raises(Invalid, match="cannot be the name") as caught:
        store.start(upload_id=upload, name=name + "y" if name.endswith("\n") else name)
    assert caught.value.code == "dataset.name"


def test_an_upload_is_whole_or_not_there(store: Store) -> None:
    units = store.database.bound(store.context)

    def broken() -> bytes:
        raise ConnectionResetError("the sender went away")

    with pytest.raises(Unavailable):
        store.uploads.receive(units, broken, "x.csv")
    with pytest.raises(PayloadTooLarge):
        store.uploads.receive(units, lambda: b"x" * 100_000, "x.csv")
    with pytest.raises(PayloadTooLarge):
        store.uploads.receive(units, lambda: b"", "x.csv", MAX_UPLOAD_BYTES + 1)
    with pytest.raises(Invalid) as caught:
        store.uploads.receive(units, lambda: b"", "x.csv")
    assert caught.value.code == "upload.empty"
    assert store.keys("uploads") == []
    assert count(store, UploadRow) == 0


def test_an_upload_that_cannot_be_recorded_is_removed(store: Store) -> None:
    class Refusing:
        def read(self):
            return store.database.read(store.context)

        def write(self):
            raise Unavailable("The database is away.")

    stream = io.BytesIO(CSV)
    with pytest.raises(Unavailable):
        store.uploads.receive(Refusing(), stream.read, "x.csv")
    assert store.keys("uploads") == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("a.csv", "a.csv"), ("../../etc/pass\x00wd", "passwd"), ("C:\\data\\é.csv", "é.csv"), ("", "upload")],
)
def test_a_file_name_is_only_a_name(store: Store, sent: str, kept: str) -> None:
    upload = store.upload(CSV, sent)
    with store.database.read(store.context) as unit:
        assert store.uploads.get(unit, upload).filename == kept
        with store.uploads.open(unit, upload) as file:
            assert file.read() == CSV


def test_a_path_below_an_allowed_root_is_read(store: Store) -> None:
    (store.root / "deep").mkdir()
    path = store.root / "deep" / "people.csv"
    path.write_bytes(CSV)
    job = store.start(path=str(path))
    assert job.status == "succeeded", job.error
    with store.database.read(store.context) as unit:
        version = store.datasets.version(unit, "people")
        assert version.source["path"] == str(path)
        assert len(version.source["sha256"]) == 64


def test_a_path_elsewhere_is_refused_however_it_is_spelt(store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(CSV)
    (store.root / "link.csv").symlink_to(secret)
    (store.root / "out").symlink_to(tmp_path)
    os.mkfifo(store.root / "pipe.csv")
    for path in (
        str(secret),
        str(tmp_path / "absent.csv"),
        f"{store.root}/../secret.csv",
        str(store.root / "link.csv"),
        str(store.root / "out" / "secret.csv"),
        f"{store.root}-other/x.csv",
        "people.csv",
        "a\0b",
    ):
        with pytest.raises(Invalid) as caught:
            store.start(path=path)
        assert caught.value.code == "dataset.path_refused"
    for path in (store.root / "absent.csv", store.root, store.root / "pipe.csv"):
        with pytest.raises(NotFound) as missing:
            store.start(path=str(path))
        assert missing.value.code == "dataset.path_not_found"


def test_a_path_that_became_a_link_before_the_job_ran_is_not_followed(store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(CSV)
    path = store.root / "people.csv"
    path.symlink_to(secret)
    with pytest.raises(Invalid), store.datasets.open_path(str(path)):
        pass


def test_a_damaged_table_is_said_to_be_damaged(store: Store) -> None:
    result = store.ingest(CSV).result
    assert result is not None
    objects = store.objects.for_workspace(store.context.workspace_id)
    key = next(key for key in store.keys("datasets") if key.endswith(".parquet"))
    for change in (lambda: objects.put_bytes(key, b"PAR1 nonsense"), lambda: objects.delete(key)):
        change()
        with store.database.read(store.context) as unit, pytest.raises(Unavailable) as caught:
            store.datasets.load_table(unit, result["dataset_version_id"])
        assert caught.value.code == "dataset.version_damaged"


def test_another_workspace_sees_none_of_it(store: Store) -> None:
    result = store.ingest(CSV, "people.csv").result
    assert result is not None
    stranger = Context(actor=Actor("user_x", "user"), workspace_id="ws_00000000000000000000000001")
    with store.database.read(stranger) as unit:
        assert store.datasets.list(unit, limit=10) == []
        for look in (
            lambda: store.datasets.get(unit, "people"),
            lambda: store.datasets.get(unit, result["dataset_id"]),
            lambda: store.datasets.version_by_id(unit, result["dataset_version_id"]),
        ):
            with pytest.raises(NotFound):
                look()


def test_an_actor_without_the_right_may_do_nothing(store: Store) -> None:
    guest = Context(actor=Actor("user_x", "user", "guest"), workspace_id=store.context.workspace_id)
    with store.database.read(guest) as unit, pytest.raises(NotPermitted):
        store.datasets.list(unit, limit=1)
    with pytest.raises(NotPermitted):
        store.uploads.receive(store.database.bound(guest), lambda: b"", "x.csv")


def test_what_does_not_exist_is_not_found(store: Store) -> None:
    store.ingest(CSV, "people.csv")
    with pytest.raises(NotFound) as caught:
        store.start(upload_id="up_nope")
    assert caught.value.code == "upload.not_found"
    with store.database.read(store.context) as unit, pytest.raises(NotFound, match="no version 7"):
        store.datasets.version(unit, "people", 7)
