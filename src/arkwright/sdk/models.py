"""The registry: models, their versions, promotion and rollback."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from arkwright.core.errors import ArkwrightError, Conflict
from arkwright.sdk.jobs import Jobs, OnProgress
from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Accepted, Job, Model, ModelVersion, StageChange, Upload
from arkwright.sdk.upload import Source, open_source

_UNDER_EVALUATION = "model_version.under_evaluation"


class Models:
    """``client.models``. A model is named by id or name, a version by number, semantic version or id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, *, description: str = "", project_id: str = "") -> Model:
        """Create a model without versions."""
        body = {"name": name, "description": description, "project_id": project_id}
        created: Model = self._transport.post("/v1/models", body)
        return created

    def list(self, *, limit: int | None = None) -> Items[Model]:
        """Return the workspace's models, oldest first."""
        return self._transport.pages("/v1/models", limit=limit)

    def get(self, model: str) -> Model:
        """Return a model."""
        found: Model = self._transport.get(_path(model))
        return found

    def versions(self, model: str, *, limit: int | None = None) -> Items[ModelVersion]:
        """Return a model's versions, newest first."""
        return self._transport.pages(f"{_path(model)}/versions", limit=limit)

    def version(self, model: str, version: int | str) -> ModelVersion:
        """Return one version."""
        found: ModelVersion = self._transport.get(_version_path(model, version))
        return found

    def create_version(
        self, model: str, bundle_digest: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Make a stored bundle the next version of a model; the same bundle twice is one version."""
        body = {"bundle_digest": bundle_digest, "description": description, "tags": dict(tags or {})}
        created: ModelVersion = self._transport.post(f"{_path(model)}/versions", body)
        return created

    def start_import(
        self,
        name: str,
        source: Source | Mapping[str, str],
        *,
        sample: Source | Mapping[str, str] | None = None,
        target: str = "",
        task: str = "",
        classes: Sequence[str | int | bool] = (),
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Accepted:
        """Start to make a model of your own the next version of a model, and return the job.

        Parameters
        ----------
        name
            The model, which is created if there is none.
        source
            The address of a logged model (``runs:/<run id>/<name>``, ``models:/<name>/<version>``,
            ``models:/<name>@<alias>``); or an MLflow model's folder, a zip of one, or a ``.skops`` or ``.joblib`` file
            on this machine; or ``{"upload_id": ...}``.
        sample
            Rows as the model takes them: a file, a table in memory, ``{"upload_id": ...}`` or
            ``{"dataset_version_id": ...}``. Left out, the input example that the model was logged with.
        target
            The sample's column with the truth: without it nothing is evaluated, and no gate lets the version pass.
        task, classes
            For models that do not know them (``python_function``).
        """
        body: dict[str, Any] = {"source": self._source(source), "target": target, "description": description}
        if sample is not None:
            body["sample"] = dict(sample) if isinstance(sample, Mapping) else {"upload_id": self._upload(sample)}
        if task:
            body["task"] = task
        body |= {"classes": list(classes), "tags": dict(tags or {})}
        accepted: Accepted = self._transport.post(f"{_path(name)}/versions", body)
        return accepted

    def import_version(
        self,
        name: str,
        source: Source | Mapping[str, str],
        *,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Job:
        """Make a model of your own the next version of a model, and wait for it.

        Returns
        -------
        Job
            Its ``result`` names the version and says how it serves: ``predictor`` is ``compiled``, or ``general`` with
            a ``general_reason``.
        """
        accepted = self.start_import(name, source, **options)
        return Jobs(self._transport).wait(accepted["job_id"], on_progress=on_progress)

    def _source(self, source: Source | Mapping[str, str]) -> str | dict[str, str]:
        if isinstance(source, Mapping):
            return dict(source)
        if isinstance(source, str) and source.startswith(("runs:/", "models:/")):
            return source
        if isinstance(source, str | Path) and Path(source).is_dir():
            return {"upload_id": self._upload(_zipped(Path(source)), f"{Path(source).name}.zip")}
        return {"upload_id": self._upload(source)}

    def _upload(self, source: Source, name: str | None = None) -> str:
        with open_source(source, name) as (stream, filename):
            uploaded: Upload = self._transport.upload("/v1/uploads", stream, filename)
            return uploaded["upload_id"]

    def promote(
        self,
        model: str,
        version: int | str,
        *,
        stage: str = "production",
        comment: str = "",
        wait: bool = True,
        on_progress: OnProgress | None = None,
    ) -> ModelVersion:
        """Move a version to a stage, if the gate allows it.

        Parameters
        ----------
        wait
            An evaluation of the version that has not ended may still speak against it: wait for it. If False, that is
            a ``Conflict``.
        on_progress
            Called with the evaluation's job while it is waited for.

        Raises
        ------
        PolicyRefused
            With one sentence in ``unmet`` for each condition that does not hold.
        """
        body = {"stage": stage, "comment": comment}
        waited_for: set[str] = set()
        while True:
            try:
                promoted: ModelVersion = self._transport.post(f"{_version_path(model, version)}/promote", body)
            except Conflict as error:
                job_id = str(error.errors[0]["message"]) if error.code == _UNDER_EVALUATION and error.errors else ""
                if not wait or not job_id or job_id in waited_for:
                    raise
                waited_for.add(job_id)
                # However it ended, the gate looks at what was found.
                with suppress(ArkwrightError):
                    Jobs(self._transport).wait(job_id, on_progress=on_progress)
            else:
                return promoted

    def rollback(self, model: str, *, comment: str = "") -> ModelVersion:
        """Put the previous production version back, and return it."""
        restored: ModelVersion = self._transport.post(f"{_path(model)}/rollback", {"comment": comment})
        return restored

    def history(self, model: str, *, until: str = "") -> Items[StageChange]:
        """Return every stage change, oldest first, up to a moment such as ``2027-01-01T00:00:00Z``."""
        found: Items[StageChange] = self._transport.get(f"{_path(model)}/history", until=until)
        return found


def _zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _path(model: str) -> str:
    return f"/v1/models/{segment(model)}"


def _version_path(model: str, version: int | str) -> str:
    return f"{_path(model)}/versions/{segment(str(version))}"
