"""Datasets: sending tables in, and looking at what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Dataset, DatasetPreview, DatasetProfile, DatasetVersion, IngestAccepted, Upload
from arkwright.sdk.upload import Source, default_name, open_source


class Datasets:
    """``client.datasets``. A dataset is named by id or name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, source: Source, *, name: str | None = None) -> Upload:
        """Send a file, bytes, or a table in memory, as it is read.

        Parameters
        ----------
        name
            File name to send along where the source has none.
        """
        with open_source(source, name) as (stream, filename):
            uploaded: Upload = self._transport.upload("/v1/uploads", stream, filename)
            return uploaded

    def ingest(
        self,
        source: Source | None = None,
        *,
        name: str = "",
        upload_id: str = "",
        path: str = "",
        format: str = "",  # noqa: A002
        encoding: str = "",
        types: Mapping[str, str] | None = None,
        na_values: Sequence[str] = (),
        project_id: str = "",
    ) -> IngestAccepted:
        """Make a dataset version from a table, as a job; the same table twice is the same version.

        Parameters
        ----------
        source
            A path on this machine, bytes, or a table in memory; it is uploaded first.
        upload_id, path
            Instead of a source: an earlier upload, or a path on the platform's machine below an allowed root.
        format
            ``csv``, ``parquet`` or ``jsonl``; recognised from name and content if left out.
        types
            Column to type (``integer``, ``number``, ``boolean``, ``text``, ``time``), where inference would be wrong.
        na_values
            Texts that mean "missing".
        """
        if not upload_id and not path:
            upload_id = self.upload(source)["upload_id"]
            name = name or default_name(source)
        body: dict[str, Any] = {"source": {"path": path} if path else {"upload_id": upload_id}}
        options = {"name": name, "format": format, "encoding": encoding, "project_id": project_id}
        body |= {key: value for key, value in options.items() if value}
        if types:
            body["types"] = dict(types)
        if na_values:
            body["na_values"] = list(na_values)
        accepted: IngestAccepted = self._transport.post("/v1/datasets/ingest", body)
        return accepted

    def list(self, *, limit: int | None = None) -> Items[Dataset]:
        """Return the workspace's datasets, oldest first."""
        return self._transport.pages("/v1/datasets", limit=limit)

    def get(self, dataset: str) -> Dataset:
        """Return a dataset."""
        found: Dataset = self._transport.get(_path(dataset))
        return found

    def versions(self, dataset: str, *, limit: int | None = None) -> Items[DatasetVersion]:
        """Return a dataset's versions, newest first."""
        return self._transport.pages(f"{_path(dataset)}/versions", limit=limit)

    def profile(self, dataset: str, version: int | str = "latest") -> DatasetProfile:
        """Return what a version looks like: each column's missing cells, distribution and oddities."""
        found: DatasetProfile = self._transport.get(f"{self._version_path(dataset, version)}/profile")
        return found

    def preview(self, dataset: str, version: int | str = "latest") -> DatasetPreview:
        """Return a version's first rows."""
        found: DatasetPreview = self._transport.get(f"{self._version_path(dataset, version)}/preview")
        return found

    def _version_path(self, dataset: str, version: int | str) -> str:
        number = self.get(dataset)["latest_version"] if version == "latest" else version
        return f"{_path(dataset)}/versions/{segment(str(number))}"


def _path(dataset: str) -> str:
    return f"/v1/datasets/{segment(dataset)}"
