"""The states of a job: ``queued -> running -> succeeded | failed | cancelled``; the last three are final."""

from __future__ import annotations

from typing import Literal

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]

QUEUED = "queued"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
CANCELLED = "cancelled"

OPEN = (QUEUED, RUNNING)
FINAL = (SUCCEEDED, FAILED, CANCELLED)
