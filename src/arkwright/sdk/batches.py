"""Scoring a table without a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.sdk.transport import Transport, segment
from arkwright.sdk.types import Accepted

_FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class Batches:
    """``client.batches``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        model: str = "",
        model_version_id: str = "",
        upload_id: str = "",
        dataset_version_id: str = "",
        output_format: str = "",
        with_scores: bool = False,
        on_error: str = "fail",
    ) -> Accepted:
        """Score an uploaded file or a stored dataset version as a job.

        Parameters
        ----------
        model
            By id or name: its production version scores.
        model_version_id
            This version scores.
        output_format
            ``parquet`` (if left out), ``csv`` or ``jsonl``: what :meth:`output` saves unless told otherwise.
        with_scores
            Add every class's score.
        on_error
            What a cell does that is not what the model takes: ``fail`` ends the batch and names the column and the
            row, ``keep`` leaves the row without a prediction and says why in ``prediction_error``.
        """
        if bool(model) == bool(model_version_id) or bool(upload_id) == bool(dataset_version_id):
            raise Invalid(
                "A batch needs one model and one table.",
                code="sdk.batch",
                hint="Give model or model_version_id, and upload_id (of an upload) or dataset_version_id.",
            )
        source = {"upload_id": upload_id} if upload_id else {"dataset_version_id": dataset_version_id}
        body: dict[str, Any] = {"model": model} if model else {"model_version_id": model_version_id}
        wanted = {"output_format": output_format or "parquet", "with_scores": with_scores, "on_error": on_error}
        accepted: Accepted = self._transport.post("/v1/batches", {**body, **wanted, "source": source})
        return accepted

    def create_from_rows(self, rows: Sequence[Mapping[str, Any]], *, model: str, **wanted: Any) -> Accepted:
        """Score a few rows as a job: they travel in the request itself.

        Parameters
        ----------
        wanted
            As :meth:`create` takes: ``output_format``, ``with_scores``, ``on_error``.
        """
        accepted: Accepted = self._transport.post("/batch", {"model": model, "inputs": list(rows), **wanted})
        return accepted

    def output(self, job_id: str, target: Path | str, *, format: str = "") -> int:  # noqa: A002
        """Save a finished batch to a file: every input row, in order, with its prediction beside it.

        Parameters
        ----------
        format
            ``csv``, ``parquet`` or ``jsonl``; by the file's ending if left out.

        Returns
        -------
        int
            The file's size in bytes.
        """
        path = Path(target)
        query = {"format": format or format_of(path)}
        return self._transport.download(f"/v1/batches/{segment(job_id)}/output", path, **query)


def format_of(path: Path) -> str:
    """Return the format that a file's ending stands for; CSV if it says nothing.

    Examples
    --------
    >>> format_of(Path("out.parquet")), format_of(Path("out.txt"))
    ('parquet', 'csv')
    """
    return _FORMATS.get(path.suffix.lower(), "csv")
