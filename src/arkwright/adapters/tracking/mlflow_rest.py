"""The logbook kept in MLflow 3, through its REST API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from arkwright.adapters.tracking.mlflow_http import DEFAULT_WORKSPACE, MlflowApi, MlflowError
from arkwright.adapters.tracking.mlmodel import BUNDLE_FOLDER, model_files
from arkwright.adapters.tracking.model_source import fetch_model
from arkwright.core.clock import Clock, SystemClock
from arkwright.core.errors import AdapterError, Conflict, Invalid, NotFound
from arkwright.tracking import (
    DIGEST_TAG,
    SEMVER_TAG,
    TRIAL_KEY_TAG,
    FetchedModel,
    MetricSample,
    ModelPublication,
    PublishedVersion,
    TrackingServer,
    Trial,
    TrialRecord,
    TrialStatus,
    metric_samples,
    param_texts,
    storable,
    tag_texts,
    tidy_key,
)

# One log-batch request takes up to 1,000 entries, of which up to 100 parameters (MLflow, validation.py).
_PARAMS_PER_BATCH = 100
_METRICS_PER_BATCH = 900
_PAGE = 1000

_TO_MLFLOW: dict[TrialStatus, str] = {
    "running": "RUNNING",
    "succeeded": "FINISHED",
    "failed": "FAILED",
    "cancelled": "KILLED",
}
_FROM_MLFLOW: dict[str, TrialStatus] = {word: status for status, word in _TO_MLFLOW.items()} | {"SCHEDULED": "running"}
_PARENT_TAG, _USER_TAG, _SOURCE_TAG = "mlflow.parentRunId", "mlflow.user", "mlflow.source.name"


class MlflowTracking:
    """A :class:`~arkwright.tracking.ports.TrackingStore` in an MLflow server.

    Parameters
    ----------
    api
        The wire; see :meth:`embedded` and :meth:`remote`.
    clock
        For the time of values that are logged later, and of a model's creation.
    """

    def __init__(self, api: MlflowApi, clock: Clock | None = None) -> None:
        self._api = api
        self._clock = clock or SystemClock()

    @classmethod
    def embedded(cls, socket: Path, *, timeout_seconds: float = 60) -> MlflowTracking:
        """Return the logbook in our child process behind a unix socket."""
        return cls(MlflowApi(socket=socket, timeout_seconds=timeout_seconds))

    @classmethod
    def remote(cls, url: str, token: str = "", *, timeout_seconds: float = 60) -> MlflowTracking:
        """Return the logbook in the user's own server."""
        return cls(MlflowApi(url, token=token, timeout_seconds=timeout_seconds))

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def ping(self) -> TrackingServer:
        """Tell who answers."""
        return self._api.server()

    def ensure_workspace(self, workspace: str) -> None:
        """Create the workspace if it is not there."""
        if workspace == DEFAULT_WORKSPACE:
            return
        try:
            self._api.create_workspace(workspace)
        except MlflowError as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def ensure_experiment(self, workspace: str, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Return the id of the experiment of that name, created if need be, carrying these tags."""
        wanted = tag_texts(tags or {})
        found = self._experiment(workspace, name)
        if found is None:
            try:
                return str(
                    self._api.call("POST", workspace, "experiments/create", {"name": name, "tags": _pairs(wanted)})[
                        "experiment_id"
                    ]
                )
            except MlflowError as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # Somebody else created it in between.
            found = self._experiment(workspace, name)
            if found is None:
                raise AdapterError(
                    f"The tracking server says both that the experiment {name!r} exists and that it does not.",
                    code="tracking.failed",
                    hint="Try again; if it stays, the server's own log says more.",
                )
        if found.get("lifecycle_stage") == "deleted":
            raise Conflict(
                f"The experiment {name!r} was deleted in MLflow.",
                code="tracking.experiment_deleted",
                hint="Restore it there, or name this one differently.",
            )
        experiment_id = str(found["experiment_id"])
        held = _mapping(found.get("tags"))
        for key, value in wanted.items():
            if held.get(key) != value:
                body = {"experiment_id": experiment_id, "key": key, "value": value}
                self._api.call("POST", workspace, "experiments/set-experiment-tag", body)
        return experiment_id

    def log_trial(self, workspace: str, record: TrialRecord) -> str:
        """Write a trial and return its run's id."""
        found = self._search_runs(workspace, record.experiment_id, {TRIAL_KEY_TAG: record.key}, limit=1)
        run = next(found, None) or self._create_run(workspace, record)
        run_id = str(run["info"]["run_id"])
        if _FROM_MLFLOW[run["info"]["status"]] != "running":
            return run_id
        moment = _milliseconds(record.ended_at or record.started_at)
        self._log_batch(workspace, run_id, param_texts(record.params), metric_samples(record), moment)
        if record.status != "running":
            self.update_trial(workspace, run_id, status=record.status, ended_at=record.ended_at or record.started_at)
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
        if metrics or tags:
            moment = _milliseconds(self._clock.now())
            samples = [MetricSample(tidy_key(key), storable(value), 0) for key, value in (metrics or {}).items()]
            self._log_batch(workspace, run_id, {}, samples, moment, tag_texts(tags or {}))
        body: dict[str, Any] = {"run_id": run_id}
        if status is not None:
            body["status"] = _TO_MLFLOW[status]
        if ended_at is not None:
            body["end_time"] = _milliseconds(ended_at)
        if len(body) > 1 or not (metrics or tags):
            self._api.call("POST", workspace, "runs/update", body)

    def get_trial(self, workspace: str, run_id: str) -> Trial:
        """Return one trial."""
        return _trial(self._run(workspace, run_id))

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
        order = ["attributes.start_time ASC"]
        if order_by_metric:
            order.insert(0, f"metrics.`{tidy_key(order_by_metric)}` {'ASC' if ascending else 'DESC'}")
        runs = self._search_runs(workspace, experiment_id, tags or {}, order=order, limit=limit)
        return [_trial(run) for run in runs]

    def metric_series(self, workspace: str, run_id: str, metric: str) -> tuple[float, ...]:
        """Return a metric's values by step; empty if it was never logged."""
        params: dict[str, Any] = {"run_id": run_id, "metric_key": tidy_key(metric), "max_results": 25_000}
        points: list[dict[str, Any]] = []
        while True:
            answer = self._api.get(workspace, "metrics/get-history", params)
            points += answer.get("metrics", [])
            if not answer.get("next_page_token"):
                break
            params["page_token"] = answer["next_page_token"]
        # MLflow keeps every value ever logged: of one step, the latest counts.
        points.sort(key=lambda point: (int(point.get("step", 0)), int(point["timestamp"])))
        return tuple({int(point.get("step", 0)): float(point["value"]) for point in points}.values())

    def publish_model(self, workspace: str, publication: ModelPublication) -> PublishedVersion:
        """Store a bundle's files and make them a version of a registered model."""
        published = self._published(workspace, publication)
        if published:
            return published[0]
        files = sorted(path for path in publication.bundle.rglob("*") if path.is_file())
        if not files:
            raise Invalid(
                f"The bundle {publication.bundle} holds no file.",
                code="tracking.bundle_empty",
                hint="Write the bundle before it is published.",
            )
        run = self._run(workspace, publication.run_id)
        model = self._logged_model(workspace, publication, str(run["info"]["experiment_id"]))
        model_id = str(model["model_id"])
        if model["status"] != "LOGGED_MODEL_READY":
            self._upload(workspace, publication, files, model_id, str(model["artifact_uri"]))
            body = {"model_id": model_id, "status": "LOGGED_MODEL_READY"}
            self._api.call("PATCH", workspace, f"logged-models/{model_id}", body)
        self._link(workspace, run, model_id)
        return self._register(workspace, publication, model_id)

    def fetch_model(self, workspace: str, uri: str, folder: Path, *, limit_bytes: int) -> FetchedModel:
        """Copy a logged model's files into an empty folder."""
        return fetch_model(self._api, workspace, uri, folder, limit_bytes=limit_bytes)

    def set_alias(self, workspace: str, name: str, alias: str, mlflow_version: int) -> None:
        """Point an alias at a version, moving it if it pointed elsewhere."""
        body = {"name": name, "alias": alias, "version": str(mlflow_version)}
        self._api.call("POST", workspace, "registered-models/alias", body)

    def delete_alias(self, workspace: str, name: str, alias: str) -> None:
        """Remove an alias; nothing happens if there is none."""
        self._api.call("DELETE", workspace, "registered-models/alias", {"name": name, "alias": alias})

    def aliases(self, workspace: str, name: str) -> dict[str, int]:
        """Return the version each alias of a model points at."""
        model = self._api.get(workspace, "registered-models/get", {"name": name})["registered_model"]
        return {str(entry["alias"]): int(entry["version"]) for entry in model.get("aliases", [])}

    def _experiment(self, workspace: str, name: str) -> dict[str, Any] | None:
        try:
            answer = self._api.get(workspace, "experiments/get-by-name", {"experiment_name": name})
        except NotFound as error:
            if "orkspace" in error.detail:
                raise
            return None
        found: dict[str, Any] = answer["experiment"]
        return found

    def _run(self, workspace: str, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self._api.get(workspace, "runs/get", {"run_id": run_id})["run"]
        return run

    def _create_run(self, workspace: str, record: TrialRecord) -> dict[str, Any]:
        tags = tag_texts(record.tags) | {TRIAL_KEY_TAG: record.key, _SOURCE_TAG: "arkwright"}
        if record.parent_run_id:
            tags[_PARENT_TAG] = record.parent_run_id
        if record.created_by:
            tags[_USER_TAG] = record.created_by
        body = {
            "experiment_id": record.experiment_id,
            "run_name": record.name,
            "start_time": _milliseconds(record.started_at),
            "tags": _pairs(tags),
        }
        run: dict[str, Any] = self._api.call("POST", workspace, "runs/create", body)["run"]
        return run

    def _log_batch(
        self,
        workspace: str,
        run_id: str,
        params: Mapping[str, str],
        samples: list[MetricSample],
        timestamp: int,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write in one request, or in as few as MLflow's limits allow."""
        texts = list(params.items())
        param_parts = [texts[i : i + _PARAMS_PER_BATCH] for i in range(0, len(texts), _PARAMS_PER_BATCH)]
        metric_parts = [samples[i : i + _METRICS_PER_BATCH] for i in range(0, len(samples), _METRICS_PER_BATCH)]
        pending_tags = _pairs(tags or {})
        for some_params, some_metrics in zip_longest(param_parts, metric_parts, fillvalue=()):
            body = {
                "run_id": run_id,
                "params": _pairs(dict(some_params)),
                "metrics": [
                    # JSON has no NaN; protobuf's JSON spells it as text.
                    {
                        "key": sample.key,
                        "value": "NaN" if sample.value != sample.value else sample.value,
                        "timestamp": timestamp,
                        "step": sample.step,
                    }
                    for sample in some_metrics
                ],
                "tags": pending_tags,
            }
            pending_tags = []
            self._api.call("POST", workspace, "runs/log-batch", body)
        if pending_tags:
            self._api.call("POST", workspace, "runs/log-batch", {"run_id": run_id, "tags": pending_tags})

    def _search_runs(
        self,
        workspace: str,
        experiment_id: str,
        tags: Mapping[str, str],
        *,
        limit: int,
        order: list[str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        conditions = [f"tags.`{TRIAL_KEY_TAG}` LIKE '%'"]
        conditions += [f"tags.`{key}` = {_quoted(value)}" for key, value in tag_texts(tags).items()]
        body: dict[str, Any] = {
            "experiment_ids": [experiment_id],
            "filter": " AND ".join(conditions),
            "order_by": order or [],
        }
        left = limit
        while left > 0:
            answer = self._api.call("POST", workspace, "runs/search", body | {"max_results": min(left, _PAGE)})
            runs = answer.get("runs", [])
            yield from runs
            left -= len(runs)
            if not answer.get("next_page_token"):
                return
            body["page_token"] = answer["next_page_token"]

    def _published(self, workspace: str, publication: ModelPublication) -> list[PublishedVersion]:
        """Return the versions of this bundle under this name, oldest first."""
        params = {"filter": f"tags.`{DIGEST_TAG}` = '{publication.digest}'", "max_results": _PAGE}
        answer = self._api.get(workspace, "model-versions/search", params)
        # The name is compared here: MLflow's filter has no way to quote every name.
        versions = [entry for entry in answer.get("model_versions", []) if entry["name"] == publication.name]
        return sorted((_version(entry) for entry in versions), key=lambda version: version.mlflow_version)

    def _logged_model(self, workspace: str, publication: ModelPublication, experiment_id: str) -> dict[str, Any]:
        """Return the files' home: the one a publication that was cut short began, or a new one."""
        search = {"experiment_ids": [experiment_id], "filter": f"tags.`{DIGEST_TAG}` = '{publication.digest}'"}
        for found in self._api.call("POST", workspace, "logged-models/search", search).get("models", []):
            info: dict[str, Any] = found["info"]
            usable = info["status"] in {"LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY"}
            if usable and info.get("source_run_id") == publication.run_id:
                return info
        body = {
            "experiment_id": experiment_id,
            "name": re.sub(r"[/:.%\"']", "_", publication.name),
            "model_type": f"arkwright/{publication.signature.task}",
            "source_run_id": publication.run_id,
            "tags": _pairs({DIGEST_TAG: publication.digest}),
        }
        created: dict[str, Any] = self._api.call("POST", workspace, "logged-models", body)["model"]["info"]
        return created

    def _link(self, workspace: str, run: Mapping[str, Any], model_id: str) -> None:
        """Name the model among its run's outputs, once."""
        if model_id in _outputs(run):
            return
        run_id = str(run["info"]["run_id"])
        try:
            body = {"run_id": run_id, "models": [{"model_id": model_id, "step": 0}]}
            self._api.call("POST", workspace, "runs/outputs", body)
        except MlflowError:
            # Another publisher of the same bundle may have done it in between; MLflow has no word for that.
            if model_id not in _outputs(self._run(workspace, run_id)):
                raise

    def _upload(
        self, workspace: str, publication: ModelPublication, files: list[Path], model_id: str, artifact_uri: str
    ) -> None:
        for path in files:
            relative = path.relative_to(publication.bundle).as_posix()
            self._api.upload(workspace, artifact_uri, f"{BUNDLE_FOLDER}/{relative}", path)
        description = model_files(
            publication,
            model_id=model_id,
            artifact_uri=artifact_uri,
            size_bytes=sum(path.stat().st_size for path in files),
            created_at=self._clock.now().astimezone(UTC),
        )
        for name, content in description.items():
            self._api.upload(workspace, artifact_uri, name, content)

    def _register(self, workspace: str, publication: ModelPublication, model_id: str) -> PublishedVersion:
        try:
            self._api.call("POST", workspace, "registered-models/create", {"name": publication.name})
        except MlflowError as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        tags = tag_texts(publication.tags) | {DIGEST_TAG: publication.digest, SEMVER_TAG: publication.semver}
        body = {
            "name": publication.name,
            "source": f"models:/{model_id}",
            "run_id": publication.run_id,
            "model_id": model_id,
            "tags": _pairs(tags),
        }
        answer = self._api.call("POST", workspace, "model-versions/create", body)
        created = _version(answer["model_version"] | {"model_id": model_id})
        # Two publishers of one bundle may both get here: the lower number stands, the other one withdraws.
        first = self._published(workspace, publication)[0]
        if first.mlflow_version == created.mlflow_version:
            return created
        withdrawn = {"name": created.name, "version": str(created.mlflow_version)}
        self._api.call("DELETE", workspace, "model-versions/delete", withdrawn)
        return first


def _outputs(run: Mapping[str, Any]) -> set[str]:
    return {str(output["model_id"]) for output in run.get("outputs", {}).get("model_outputs", [])}


def _pairs(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in mapping.items()]


def _mapping(pairs: list[dict[str, str]] | None) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in pairs or []}


def _quoted(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise Invalid(
        f"Trials cannot be searched by the tag value {value!r}, which holds both kinds of quotation marks.",
        code="tracking.search",
        hint="List the trials and compare the tag yourself.",
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(milliseconds: object) -> datetime | None:
    return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC) if milliseconds else None


def _version(entry: Mapping[str, Any]) -> PublishedVersion:
    source = str(entry["source"])
    return PublishedVersion(
        name=str(entry["name"]),
        mlflow_version=int(entry["version"]),
        run_id=str(entry.get("run_id", "")),
        model_id=str(entry.get("model_id") or source.removeprefix("models:/")),
        source=source,
    )


def _trial(run: Mapping[str, Any]) -> Trial:
    info, data = run["info"], run.get("data", {})
    tags = _mapping(data.get("tags"))
    return Trial(
        run_id=str(info["run_id"]),
        experiment_id=str(info["experiment_id"]),
        key=tags.pop(TRIAL_KEY_TAG, ""),
        name=str(info.get("run_name", "")),
        status=_FROM_MLFLOW[info["status"]],
        started_at=_moment(info.get("start_time")) or datetime.fromtimestamp(0, UTC),
        ended_at=_moment(info.get("end_time")),
        params=_mapping(data.get("params")),
        metrics={metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])},
        parent_run_id=tags.get(_PARENT_TAG, ""),
        # MLflow's own tags say how it shows a run, nothing about the trial.
        tags={key: value for key, value in tags.items() if not key.startswith("mlflow.")},
    )
