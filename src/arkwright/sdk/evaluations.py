"""Evaluating model versions: whether they may go to production, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.core.ids import is_id
from arkwright.sdk.jobs import Jobs, OnProgress
from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Accepted, Evaluation, Upload
from arkwright.sdk.upload import Source, open_source


class Evaluations:
    """``client.evaluations``. An evaluation is named by its own id or its job's."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        model: str = "",
        version: int | str = "",
        model_version_id: str = "",
        data: Source | Mapping[str, str] | None = None,
        sensitive: Sequence[str] = (),
        sensitive_bins: Mapping[str, Sequence[float] | int] | None = None,
        profile: str = "full",
        baseline: str = "",
        behaviour: str = "",
        costs: Mapping[str, float] | None = None,
        **options: Any,
    ) -> Accepted:
        """Start the evaluation of a version, and return the job.

        Parameters
        ----------
        model, version
            By name or id, and a number, a semantic version, an id or a stage; the newest version if left out.
        data
            Rows with the true outcome: a file, a table in memory, ``{"upload_id": ...}``,
            ``{"dataset_version_id": ...}`` or the id of a dataset version (``dsv_...``). Left out, the rows that were
            kept out of its training.
        sensitive
            Columns of the data to compare groups by; they need not be inputs of the model.
        sensitive_bins
            For a number such as age: rising edges, or how many groups of equal size.
        profile
            ``full``, or ``quick``: fewer rows and resamples.
        baseline
            Id of the version to compare with; left out, the one in production.
        behaviour
            Behaviour tests, as YAML.
        costs
            ``false_positive`` and ``false_negative``, in one unit.
        **options
            As ``POST /v1/evaluations`` takes them: ``purpose``, ``favourable``, ``immutable``, ``seed``, ...
        """
        if bool(model) == bool(model_version_id):
            raise Invalid(
                "An evaluation is of one model version.",
                code="sdk.evaluation",
                hint="Give model (and perhaps version), or model_version_id.",
            )
        body: dict[str, Any] = {"model_version_id": model_version_id} if model_version_id else {"model": model}
        body |= {"version": str(version)} if version else {}
        body |= {"sensitive": list(sensitive), "profile": profile, "baseline": baseline, "behaviour": behaviour}
        body |= {"sensitive_bins": {name: bins if isinstance(bins, int) else list(bins)
                                    for name, bins in (sensitive_bins or {}).items()}}  # fmt: skip
        body |= {"costs": dict(costs)} if costs else {}
        if data is not None:
            body["data"] = self._data(data)
        accepted: Accepted = self._transport.post("/v1/evaluations", {**body, **options})
        return accepted

    def run(self, *, on_progress: OnProgress | None = None, **wanted: Any) -> Evaluation:
        """Evaluate a version, wait for it, and return what was found in short.

        Parameters
        ----------
        **wanted
            As of :meth:`create`.
        """
        accepted = self.create(**wanted)
        Jobs(self._transport).wait(accepted["job_id"], on_progress=on_progress)
        return self.get(accepted["job_id"])

    def get(self, evaluation: str) -> Evaluation:
        """Return what an evaluation found in short, and the hashes of its files."""
        found: Evaluation = self._transport.get(f"{_path(evaluation)}/summary")
        return found

    def document(self, evaluation: str) -> dict[str, Any]:
        """Return an evaluation's whole document."""
        found: dict[str, Any] = self._transport.get(_path(evaluation))
        return found

    def list(self, model_version_id: str, *, limit: int | None = None) -> Items[Evaluation]:
        """Return the evaluations of a version, newest first."""
        return self._transport.pages("/v1/evaluations", limit=limit, model_version_id=model_version_id)

    def report(self, evaluation: str, target: Path | str) -> int:
        """Save the report, one page of HTML, to a file, and return its size in bytes."""
        return self._transport.download(f"{_path(evaluation)}/report", Path(target))

    def card(self, evaluation: str, target: Path | str) -> int:
        """Save the model card (Markdown) to a file, and return its size in bytes."""
        return self._transport.download(f"{_path(evaluation)}/card", Path(target))

    def signed_card(self, evaluation: str) -> dict[str, Any]:
        """Return the signed card, a DSSE envelope, as ``arkwright card verify`` reads it from a file."""
        found: dict[str, Any] = self._transport.get(f"{_path(evaluation)}/card.json")
        return found

    def _data(self, data: Source | Mapping[str, str]) -> dict[str, str]:
        if isinstance(data, Mapping):
            return dict(data)
        if isinstance(data, str) and is_id("dataset_version", data):
            return {"dataset_version_id": data}
        with open_source(data) as (stream, filename):
            uploaded: Upload = self._transport.upload("/v1/uploads", stream, filename)
        return {"upload_id": uploaded["upload_id"]}


def _path(evaluation: str) -> str:
    return f"/v1/evaluations/{segment(evaluation)}"
