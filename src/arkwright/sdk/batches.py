"""Scoring a table without a deployment."""

from __future__ import annotations

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
    ) -> Accepted:
        """Score an uploaded file or a stored dataset version as a job.

        Parameters
        ----------
        model
            By id or name: its production version scores.
        model_version_id
            This version scores.
        """
        if bool(model) == bool(model_version_id) or bool(upload_id) == bool(dataset_version_id):
            raise Invalid(
                "A batch needs one model and one table.",
                code="sdk.batch",
                hint="Give model or model_version_id, and upload_id (of an upload) or dataset_version_id.",
            )
        source = {"upload_id": upload_id} if upload_id else {"dataset_version_id": dataset_version_id}
        body: dict[str, Any] = {"model": model} if model else {"model_version_id": model_version_id}
        accepted: Accepted = self._transport.post("/v1/batches", {**body, "source": source})
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
