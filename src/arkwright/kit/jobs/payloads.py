"""Wire shapes of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from arkwright.kit.jobs.status import Status


class Job(BaseModel):
    """Long work: how far it is, and how it ended."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str = Field(description="What it does, with a version, such as automl.train.v1.")
    status: Status
    progress: float = Field(ge=0, le=1)
    message: str
    data: dict[str, Any] = Field(description="Numbers for a progress bar; each kind has its own.")
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = Field(None, description="A problem document, if the job failed.")
    subject_type: str
    subject_id: str
    attempt: int = Field(description="How often it was started; more than once after a crash.")
    cancel_requested: bool
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class JobLogLine(BaseModel):
    """One line of a job's log."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    time: datetime
    message: str
