"""What an ingestion is asked for, and what it leaves in the object store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IngestRequest:
    """A table to be read and kept as a version of a dataset."""

    upload_id: str = ""
    path: str = ""
    name: str = ""
    project_id: str = ""
    format: str | None = None
    encoding: str | None = None
    types: dict[str, str] | None = None
    na_values: list[str] | None = None


@dataclass(frozen=True)
class StoredTable:
    """A table that lies in the object store and is no version yet."""

    object_key: str
    fingerprint: str
    n_rows: int
    size_bytes: int
    schema: list[dict[str, Any]]
    profile: dict[str, Any]
    warnings: list[dict[str, Any]]
    source: dict[str, Any]
