"""Wire shapes of uploads, datasets, versions and profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from arkwright.data.formats import Format
from arkwright.data.schema import ColumnType

_UPLOAD: dict[str, JsonValue] = {
    "upload_id": "up_01jn0000000000000000000000",
    "filename": "telco_churn.csv",
    "size_bytes": 970457,
    "sha256": "16320c9c1ec72448db59aa0a26a0b95401046bef5d02fd3aeb906448e3055e91",
}
_COLUMN: dict[str, JsonValue] = {"name": "TotalCharges", "type": "number", "nullable": True, "n_missing": 11}
_WARNING: dict[str, JsonValue] = {
    "code": "blank_cells",
    "message": "column 'TotalCharges' has 11 blank cells, read as missing",
    "column": "TotalCharges",
    "count": 11,
    "row": 489,
}


class Upload(BaseModel):
    """A file that was received, whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [_UPLOAD]})

    upload_id: str
    filename: str
    size_bytes: int
    sha256: str


class IngestSource(BaseModel):
    """Where the table comes from: an upload, or a path on the platform's machine below an allowed root."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str = Field("", max_length=40)
    path: str = Field("", max_length=4096)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if bool(self.upload_id) == bool(self.path):
            raise ValueError("give either upload_id or path")
        return self


class IngestRequest(BaseModel):
    """Ask for a table to be read and kept as a version of a dataset."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "telco_churn",
                    "source": {"upload_id": _UPLOAD["upload_id"]},
                    "types": {"SeniorCitizen": "boolean"},
                    "na_values": ["?"],
                }
            ]
        },
    )

    source: IngestSource
    name: str = Field("", max_length=120, description="The dataset; empty: named after the file.")
    project_id: str = Field("", max_length=40, description="Empty: the default project.")
    format: Format | None = Field(None, description="Recognised from name and content if left out.")
    encoding: str | None = Field(None, max_length=40, description="Text encoding; UTF-8 if left out.")
    types: dict[str, ColumnType] = Field(
        default_factory=dict, max_length=10_000, description="Column types that override inference."
    )
    na_values: list[str] | None = Field(
        None, max_length=100, description="Texts that mean 'missing' in every column; blank cells do in any case."
    )


class IngestAccepted(BaseModel):
    """A job was queued. The dataset exists once the job has succeeded; its result says which version it made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": "job_01jn0000000000000000000000",
                    "status": "queued",
                    "dataset_id": "ds_01jn0000000000000000000000",
                }
            ]
        }
    )

    job_id: str
    status: Literal["queued"] = "queued"
    dataset_id: str


class DatasetColumn(BaseModel):
    """A column of a dataset version."""

    model_config = ConfigDict(json_schema_extra={"examples": [_COLUMN]})

    name: str
    type: ColumnType
    nullable: bool
    n_missing: int


class DatasetWarning(BaseModel):
    """Something a person should know about how a file was read; ``row`` counts from 1 below the header, 0 for none."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WARNING]})

    code: str
    message: str
    column: str = ""
    count: int = 0
    row: int = 0


class DatasetSource(BaseModel):
    """The file a version was read from."""

    filename: str
    sha256: str
    size_bytes: int
    format: Format
    upload_id: str = ""
    path: str = ""


class Dataset(BaseModel):
    """A dataset."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "ds_01jn0000000000000000000000",
                    "name": "telco_churn",
                    "project_id": "proj_00000000000000000000000000",
                    "latest_version": 1,
                    "schema": [_COLUMN],
                    "created_by": "user_01jn0000000000000000000000",
                    "created_at": "2026-01-02T03:04:05Z",
                }
            ]
        },
    )

    id: str
    name: str
    project_id: str
    latest_version: int
    columns: list[DatasetColumn] = Field(alias="schema")
    created_by: str
    created_at: datetime


class DatasetVersion(BaseModel):
    """An immutable version; ``fingerprint`` is a hash of its content, however a file wrote it down."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "dsv_01jn0000000000000000000000",
                    "dataset_id": "ds_01jn0000000000000000000000",
                    "number": 1,
                    "fingerprint": "sha256:21cc44e9d4c6c0f5c0d6a0a4c1e7c7b2b3f3c2a1d0e9f8a7b6c5d4e3f2a1b0c9",
                    "n_rows": 7043,
                    "size_bytes": 143215,
                    "schema": [_COLUMN],
                    "warnings": [_WARNING],
                    "source": {
                        "filename": "telco_churn.csv",
                        "sha256": _UPLOAD["sha256"],
                        "size_bytes": 970457,
                        "format": "csv",
                        "upload_id": _UPLOAD["upload_id"],
                    },
                    "job_id": "job_01jn0000000000000000000000",
                    "created_by": "user_01jn0000000000000000000000",
                    "created_at": "2026-01-02T03:04:05Z",
                }
            ]
        },
    )

    id: str
    dataset_id: str
    number: int
    fingerprint: str
    n_rows: int
    size_bytes: int
    columns: list[DatasetColumn] = Field(alias="schema")
    warnings: list[DatasetWarning]
    source: DatasetSource
    job_id: str
    created_by: str
    created_at: datetime


class TopValue(BaseModel):
    """A frequent value."""

    value: str
    count: int
    share: float


class NumericSummary(BaseModel):
    """Numbers: moments, quantiles by probability, Tukey's outliers."""

    mean: float
    std: float | None
    minimum: float
    maximum: float
    quantiles: dict[str, float]
    skew: float | None
    n_outliers: int
    outlier_low: float
    outlier_high: float
    n_zero: int
    n_negative: int


class TextSummary(BaseModel):
    """Texts: lengths in characters and words."""

    mean_length: float
    max_length: int
    mean_words: float


class TimeSummary(BaseModel):
    """Moments: the first and the last."""

    minimum: str
    maximum: str


class ColumnProfile(BaseModel):
    """What a column looks like."""

    name: str
    type: ColumnType
    n_missing: int
    missing_share: float
    n_looked_at: int
    n_unique: int
    monotone: bool
    id_like: bool
    flags: list[str]
    top_values: list[TopValue]
    numeric: NumericSummary | None
    text: TextSummary | None
    time: TimeSummary | None


class Correlation(BaseModel):
    """Two numeric columns that move together."""

    a: str
    b: str
    correlation: float
    n_rows: int
    flagged: bool


class DatasetProfile(BaseModel):
    """What a version looks like; ``note`` says what was sampled."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "n_rows": 7043,
                    "n_looked_at": 7043,
                    "sampled": False,
                    "note": "",
                    "columns": [],
                    "correlations": [
                        {"a": "tenure", "b": "TotalCharges", "correlation": 0.826, "n_rows": 7032, "flagged": False}
                    ],
                }
            ]
        }
    )

    n_rows: int
    n_looked_at: int
    sampled: bool
    note: str
    columns: list[ColumnProfile]
    correlations: list[Correlation]


class DatasetPreview(BaseModel):
    """The first rows; times in ISO 8601, missing cells null."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={"examples": [{"n_rows": 7043, "schema": [_COLUMN], "rows": [{"TotalCharges": 29.85}]}]},
    )

    n_rows: int
    columns: list[DatasetColumn] = Field(alias="schema")
    rows: list[dict[str, Any]]
