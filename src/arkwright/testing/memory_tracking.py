"""A logbook in memory, for journeys inside one process."""

from __future__ import annotations

import itertools
import math
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from arkwright.core.errors import Invalid, NotFound
from arkwright.tracking import (
    DIGEST_TAG,
    SEMVER_TAG,
    FetchedModel,
    ModelPublication,
    PublishedVersion,
    TrackingServer,
    Trial,
    TrialRecord,
    TrialStatus,
    metric_samples,
    param_texts,
    parse_model_uri,
    storable,
    tag_texts,
    tidy_key,
)


@dataclass
class StoredVersion:
    """A published version with what was published."""

    published: PublishedVersion
    tags: dict[str, str]
    files: dict[str, bytes]


@dataclass
class _Model:
    versions: list[StoredVersion] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)


@dataclass
class _Workspace:
    experiments: dict[str, str] = field(default_factory=dict)
    experiment_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)
    series: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    models: dict[str, _Model] = field(default_factory=dict)
    logged: dict[str, Path] = field(default_factory=dict)


class InMemoryTracking:
    """A :class:`~arkwright.tracking.ports.TrackingStore` that forgets everything with the process."""

    def __init__(self) -> None:
        self._workspaces = {"default": _Workspace()}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def ping(self) -> TrackingServer:
        """Tell who answers."""
        return TrackingServer(version="memory", workspaces_enabled=True)

    def ensure_workspace(self, workspace: str) -> None:
        """Create the workspace if it is not there."""
        with self._lock:
            self._workspaces.setdefault(workspace, _Workspace())

    def ensure_experiment(self, workspace: str, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Return the id of the experiment of that name, created if need be, carrying these tags."""
        with self._lock:
            home = self._workspace(workspace)
            if name not in home.experiments:
                home.experiments[name] = str(next(self._numbers))
            experiment_id = home.experiments[name]
            home.experiment_tags.setdefault(experiment_id, {}).update(tag_texts(tags or {}))
            return experiment_id

    def experiment_tags(self, workspace: str, experiment_id: str) -> dict[str, str]:
        """Return an experiment's tags."""
        with self._lock:
            return dict(self._workspace(workspace).experiment_tags[experiment_id])

    def log_trial(self, workspace: str, record: TrialRecord) -> str:
        """Write a trial and return its run's id."""
        with self._lock:
            home = self._workspace(workspace)
            if record.experiment_id not in home.experiments.values():
                raise _unknown("experiment", record.experiment_id)
            for trial in home.trials.values():
                if (trial.experiment_id, trial.key) == (record.experiment_id, record.key):
                    if trial.status == "running":
                        self._write(home, trial.run_id, record)
                    return trial.run_id
            run_id = f"{next(self._numbers):032x}"
            self._write(home, run_id, record)
            return run_id

    def update_trial(
        self,
        workspace: str,
        run_id: str,
        *,
        status: TrialStatus | None = None,
        ended_at: datetime | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add metrics, set tags, and change the status, of a run that exists."""
        with self._lock:
            home = self._workspace(workspace)
            trial = self.get_trial(workspace, run_id)
            values = {tidy_key(key): storable(value) for key, value in (metrics or {}).items()}
            for key, value in values.items():
                home.series.setdefault((run_id, key), {})[0] = value
            home.trials[run_id] = msgspec.structs.replace(
                trial,
                status=status or trial.status,
                ended_at=ended_at or trial.ended_at,
                metrics=trial.metrics | values,
                tags=trial.tags | tag_texts(tags or {}),
            )

    def get_trial(self, workspace: str, run_id: str) -> Trial:
        """Return one trial."""
        with self._lock:
            trials = self._workspace(workspace).trials
            if run_id not in trials:
                raise _unknown("run", run_id)
            return trials[run_id]

    def list_trials(
        self,
        workspace: str,
        experiment_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        order_by_metric: str = "",
        ascending: bool = False,
        limit: int = 1000,
    ) -> list[Trial]:
        """Return the trials that carry these tags."""
        wanted = tag_texts(tags or {}).items()
        with self._lock:
            found = [
                trial
                for trial in self._workspace(workspace).trials.values()
                if trial.experiment_id == experiment_id and wanted <= trial.tags.items()
            ]
        found.sort(key=lambda trial: trial.started_at)
        if order_by_metric:
            metric = tidy_key(order_by_metric)
            sign = 1 if ascending else -1

            def rank(trial: Trial) -> tuple[int, float]:
                value = trial.metrics.get(metric)
                if value is None:
                    return 2, 0.0
                return (1, 0.0) if math.isnan(value) else (0, sign * value)

            found.sort(key=rank)
        return found[:limit]

    def metric_series(self, workspace: str, run_id: str, metric: str) -> tuple[float, ...]:
        """Return a metric's values by step; empty if it was never logged."""
        with self._lock:
            points = self._workspace(workspace).series.get((run_id, tidy_key(metric)), {})
            return tuple(points[step] for step in sorted(points))

    def publish_model(self, workspace: str, publication: ModelPublication) -> PublishedVersion:
        """Store a bundle's files and make them a version of a registered model."""
        with self._lock:
            home = self._workspace(workspace)
            model = home.models.get(publication.name, _Model())
            for stored in model.versions:
                if stored.tags[DIGEST_TAG] == publication.digest:
                    return stored.published
            folder = publication.bundle
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
            }
            if not files:
                raise Invalid(f"The bundle {folder} holds no file.", code="tracking.bundle_empty")
            self.get_trial(workspace, publication.run_id)
            model_id = f"m-{next(self._numbers):032x}"
            published = PublishedVersion(
                name=publication.name,
                mlflow_version=len(model.versions) + 1,
                run_id=publication.run_id,
                model_id=model_id,
                source=f"models:/{model_id}",
            )
            tags = tag_texts(publication.tags) | {DIGEST_TAG: publication.digest, SEMVER_TAG: publication.semver}
            model.versions.append(StoredVersion(published, tags, files))
            home.models[publication.name] = model
            return published

    def log_model(self, workspace: str, uri: str, folder: Path) -> None:
        """Let a folder be found as a logged model, as ``mlflow.sklearn.log_model`` does."""
        with self._lock:
            self._workspace(workspace).logged[uri] = folder

    def fetch_model(self, workspace: str, uri: str, folder: Path, *, limit_bytes: int) -> FetchedModel:
        """Copy a logged model's files into an empty folder."""
        parts = parse_model_uri(uri)
        with self._lock:
            source = self._workspace(workspace).logged.get(uri)
            published = None if source else self._published(workspace, parts)
        if published is not None:
            for path, content in {"MLmodel": b"flavors: {}\n", **published.files}.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            total = sum(map(len, published.files.values()))
            run_id = published.published.run_id
            return FetchedModel(uri=uri, run_id=run_id, n_files=len(published.files) + 1, size_bytes=total)
        if source is None:
            raise _unknown("model", uri)
        sizes = [path.stat().st_size for path in source.rglob("*") if path.is_file()]
        if sum(sizes) > limit_bytes:
            raise Invalid("The model's files are larger than an upload may be.", code="import.too_large")
        shutil.copytree(source, folder, dirs_exist_ok=True)
        run_id = parts.get("run", "")
        return FetchedModel(uri=uri, run_id=run_id, n_files=len(sizes), size_bytes=sum(sizes))

    def _published(self, workspace: str, parts: Mapping[str, str]) -> StoredVersion | None:
        if "name" not in parts:
            return None
        number = parts.get("version") or self._model(workspace, parts["name"]).aliases.get(parts["alias"], 0)
        return self.version(workspace, parts["name"], int(number))

    def version(self, workspace: str, name: str, mlflow_version: int) -> StoredVersion:
        """Return a published version with its tags and files."""
        with self._lock:
            versions = self._model(workspace, name).versions
            if not 1 <= mlflow_version <= len(versions):
                raise _unknown("model version", f"{name} {mlflow_version}")
            return versions[mlflow_version - 1]

    def set_alias(self, workspace: str, name: str, alias: str, mlflow_version: int) -> None:
        """Point an alias at a version, moving it if it pointed elsewhere."""
        with self._lock:
            self.version(workspace, name, mlflow_version)
            self._model(workspace, name).aliases[alias] = mlflow_version

    def delete_alias(self, workspace: str, name: str, alias: str) -> None:
        """Remove an alias; nothing happens if there is none."""
        with self._lock:
            self._model(workspace, name).aliases.pop(alias, None)

    def aliases(self, workspace: str, name: str) -> dict[str, int]:
        """Return the version each alias of a model points at."""
        with self._lock:
            return dict(self._model(workspace, name).aliases)

    def _write(self, home: _Workspace, run_id: str, record: TrialRecord) -> None:
        samples = metric_samples(record)
        for sample in samples:
            home.series.setdefault((run_id, sample.key), {})[sample.step] = sample.value
        home.trials[run_id] = Trial(
            run_id=run_id,
            experiment_id=record.experiment_id,
            key=record.key,
            name=record.name,
            status=record.status,
            started_at=record.started_at,
            ended_at=None if record.status == "running" else record.ended_at or record.started_at,
            params=param_texts(record.params),
            # A series is in the order of its steps, so its last value is the latest.
            metrics={sample.key: sample.value for sample in samples},
            tags=tag_texts(record.tags),
            parent_run_id=record.parent_run_id,
        )

    def _workspace(self, workspace: str) -> _Workspace:
        if workspace not in self._workspaces:
            raise _unknown("workspace", workspace)
        return self._workspaces[workspace]

    def _model(self, workspace: str, name: str) -> _Model:
        models = self._workspace(workspace).models
        if name not in models:
            raise _unknown("registered model", name)
        return models[name]


def _unknown(kind: str, name: str) -> NotFound:
    return NotFound(f"The logbook holds no {kind} {name!r}.", code="tracking.not_found")
