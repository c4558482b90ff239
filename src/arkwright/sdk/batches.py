"""Scoring a table without a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.sdk.transport import Transport, segment
from arkwright.sdk.types import Accepted


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
                hint="Give model or model_version_id, and upload_id (from client.datasets.upload) or dataset_version_id.",
            )
        source = {"upload_id": upload_id} if upload_id else {"dataset_version_id": dataset_version_id}
        body: dict[str, Any] = {"model": model} if model else {"model_version_id": model_version_id}
        accepted: Accepted = self._transport.post("/v1/batches", {**body, "source": source})
        return accepted

    def output(self, job_id: str, target: Path | str) -> int:
        """Save a finished batch's predictions to a file; return its size in bytes."""
        return self._transport.download(f"/v1/batches/{segment(job_id)}/output", Path(target))
