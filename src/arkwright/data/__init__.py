"""Datasets: reading files into typed tables, versions by content, and profiles.

:class:`TableReader` reads CSV, Parquet and JSON lines, infers the types and says what was odd;
:class:`Fingerprint` names a table by what it says; :func:`profile_table` describes it. :class:`DatasetService` keeps
datasets and their immutable versions, which :class:`IngestJob` makes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.data.correlation import Correlation
    from arkwright.data.fingerprint import Fingerprint, fingerprint_table
    from arkwright.data.inference import ColumnPlan
    from arkwright.data.ingestion import IngestRequest
    from arkwright.data.jobs import IngestJob
    from arkwright.data.profile import ColumnProfile, Profile, profile_table
    from arkwright.data.reading import ReadOptions, TableReader, read_table
    from arkwright.data.row_ranges import RowRanges, canonical, read_cells
    from arkwright.data.schema import ColumnSchema, ColumnType, DataWarning, unknown_column
    from arkwright.data.service import DatasetService, UploadService
    from arkwright.data.tables import DatasetRow, DatasetVersionRow, UploadRow

_HOMES = {
    "ColumnPlan": "inference",
    "ColumnProfile": "profile",
    "ColumnSchema": "schema",
    "ColumnType": "schema",
    "Correlation": "correlation",
    "DataWarning": "schema",
    "DatasetRow": "tables",
    "DatasetService": "service",
    "DatasetVersionRow": "tables",
    "Fingerprint": "fingerprint",
    "IngestJob": "jobs",
    "IngestRequest": "ingestion",
    "Profile": "profile",
    "ReadOptions": "reading",
    "RowRanges": "row_ranges",
    "TableReader": "reading",
    "UploadRow": "tables",
    "UploadService": "service",
    "canonical": "row_ranges",
    "fingerprint_table": "fingerprint",
    "profile_table": "profile",
    "read_cells": "row_ranges",
    "read_table": "reading",
    "unknown_column": "schema",
}

__all__ = [
    "ColumnPlan",
    "ColumnProfile",
    "ColumnSchema",
    "ColumnType",
    "Correlation",
    "DataWarning",
    "DatasetRow",
    "DatasetService",
    "DatasetVersionRow",
    "Fingerprint",
    "IngestJob",
    "IngestRequest",
    "Profile",
    "ReadOptions",
    "RowRanges",
    "TableReader",
    "UploadRow",
    "UploadService",
    "canonical",
    "fingerprint_table",
    "profile_table",
    "read_cells",
    "read_table",
    "unknown_column",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
