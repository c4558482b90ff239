"""What must hold on a home after every crash: read from the files themselves, not through the code that wrote them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from arkwright.bundles import verify_bundle
from arkwright.contracts import OPEN_SUFFIX, SEALED_SUFFIX, SegmentName
from arkwright.core.context import DEFAULT_WORKSPACE_ID
from arkwright.kit.segments import read_segment


def rows(home: Path, database: str, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Return what a query finds in one of the home's databases."""
    with closing(sqlite3.connect(f"file:{home / database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(statement, parameters).fetchall()


def objects_of(home: Path) -> Path:
    """Return the default workspace's part of the object store."""
    return home / "objects" / "workspaces" / DEFAULT_WORKSPACE_ID


def unfinished_jobs(home: Path) -> list[tuple[Any, ...]]:
    """Return jobs that have not ended, or ended otherwise than well."""
    return rows(home, "arkwright.db", "SELECT id, kind, status, attempt, error FROM jobs WHERE status != 'succeeded'")


def check_datasets(home: Path) -> None:
    """No content is two versions; what is stored is exactly what is known."""
    versions = rows(
        home, "arkwright.db", "SELECT id, dataset_id, number, fingerprint, object_key FROM dataset_versions"
    )
    assert _repeated((dataset, fingerprint) for _, dataset, _, fingerprint, _ in versions) == []
    assert _repeated((dataset, number) for _, dataset, number, _, _ in versions) == []
    stored = {path.name for path in (objects_of(home) / "datasets").glob("*/*")}
    assert stored == {version for version, *_ in versions}
    for *_, key in versions:
        assert pq.read_metadata(objects_of(home) / key).num_rows > 0


def check_models(home: Path) -> None:
    """One version and one piece of each evidence per training, every bundle whole, every version in MLflow, once."""
    versions = rows(
        home,
        "arkwright.db",
        "SELECT v.id, m.name, v.number, v.bundle_digest, v.experiment_id, v.mlflow_version, v.mlflow_model_id "
        "FROM model_versions v JOIN models m ON m.id = v.model_id",
    )
    assert _repeated(experiment for *_, experiment, _, _ in versions) == []
    digests = {digest for _, _, _, digest, *_ in versions}
    bundles = objects_of(home) / "bundles"
    for folder in bundles.iterdir():
        verify_bundle(folder, f"sha256:{folder.name}")
    assert {f"sha256:{folder.name}" for folder in bundles.iterdir()} >= digests
    evidence = rows(home, "arkwright.db", "SELECT subject_digest, kind FROM evidence")
    # A report, and the rows it was made on.
    assert sorted(evidence) == sorted(
        (digest, kind) for digest in digests for kind in ("evaluation", "evaluation_data")
    )
    published = rows(
        home,
        "mlflow.db",
        "SELECT v.name, v.version, t.value, v.status FROM model_versions v "
        "JOIN model_version_tags t ON t.name = v.name AND t.version = v.version AND t.key = 'arkwright.digest' "
        "WHERE v.current_stage != 'Deleted_Internal'",
    )
    wanted = sorted((name, int(number), digest, "READY") for _, name, _, digest, _, number, _ in versions)
    assert sorted(published) == wanted
    kept = rows(home, "mlflow.db", "SELECT model_id FROM logged_models WHERE lifecycle_stage = 'active'")
    assert sorted(model for (model,) in kept) == sorted(model for *_, model in versions)


def check_trials(home: Path, n_candidates: int) -> None:
    """Each training has one run per candidate and one above them, all of them ended."""
    runs = rows(
        home,
        "mlflow.db",
        "SELECT t.value, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
        "AND t.key = 'arkwright.trial_key' WHERE r.lifecycle_stage = 'active'",
    )
    assert _repeated(key for key, _ in runs) == []
    assert [(key, status) for key, status in runs if status in ("RUNNING", "SCHEDULED")] == []
    jobs = [job for (job,) in rows(home, "arkwright.db", "SELECT id FROM jobs WHERE kind LIKE 'automl.train.%'")]
    assert Counter(key.split(".")[0] for key, _ in runs) == dict.fromkeys(jobs, n_candidates + 1)
    (n_all,) = rows(home, "mlflow.db", "SELECT count(*) FROM runs")[0]
    assert n_all == len(runs)


def check_stages(home: Path) -> None:
    """The history, replayed, ends in the present stages: no change is half done."""
    stages: dict[str, str] = {}
    production: dict[str, str] = {}
    changes = rows(
        home,
        "arkwright.db",
        "SELECT model_id, model_version_id, from_stage, to_stage, replaced_version_id FROM stage_changes "
        "ORDER BY rowid",
    )
    for model, version, before, after, replaced in changes:
        assert stages.get(version, before) == before
        stages[version] = after
        if after == "production":
            assert replaced == production.get(model)
            production[model] = version
    assert dict(rows(home, "arkwright.db", "SELECT id, stage FROM model_versions")) == stages
    pointers = rows(home, "arkwright.db", "SELECT id, production_version_id FROM models")
    assert {model: version for model, version in pointers if version} == production
    assert sorted(version for version, stage in stages.items() if stage == "production") == sorted(production.values())


def aliases(home: Path) -> dict[str, dict[str, int]]:
    """Return where MLflow's aliases point, and where the stages say they should, by model."""
    found = rows(home, "mlflow.db", "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'")
    wanted = rows(
        home,
        "arkwright.db",
        "SELECT m.name, v.mlflow_version FROM models m JOIN model_versions v ON v.id = m.production_version_id",
    )
    return {
        "found": {name: int(version) for name, version in found},
        "wanted": {name: int(version) for name, version in wanted},
    }


def undelivered(home: Path) -> list[tuple[Any, ...]]:
    """Return the events that not every subscriber has."""
    return rows(home, "arkwright.db", "SELECT type, attempts, last_error FROM outbox_events WHERE status != 'done'")


def logged_predictions(home: Path) -> Counter[str]:
    """Return how often each request is in the prediction log, shipped or not."""
    found: Counter[str] = Counter()
    for path in (home / "serving" / "log").glob("*/*/*"):
        name = SegmentName.parse(path.stem)
        if name is not None and name.kind == "predictions" and path.suffix in (OPEN_SUFFIX, SEALED_SUFFIX):
            found.update(read_segment(path, name.kind).table.column("request_id").to_pylist())
    for path in (objects_of(home) / "predictions").glob("*/*/*.parquet"):
        found.update(pq.read_table(path, columns=["request_id"]).column("request_id").to_pylist())
    return found


def _repeated(items: Any) -> list[Any]:
    return [item for item, count in Counter(items).items() if count > 1]
