"""What jobs need from others, and what others hand to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from arkwright.kit.db import UnitOfWork

if TYPE_CHECKING:
    from arkwright.kit.jobs.run import JobRun


class Lane(StrEnum):
    """The queue a kind of job waits in: a long training must not keep a short ingest waiting."""

    HEAVY = "heavy"
    LIGHT = "light"


class Job(Protocol):
    """A kind of long work.

    ``kind`` names it with a version, such as ``automl.train.v1``: a job that is under way finds its code by it, so it
    changes whenever steps are added, removed or reordered.
    """

    @property
    def kind(self) -> str:
        """Name and version."""
        ...

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Do the work and return its result, as JSON."""
        ...


class Queue(Protocol):
    """Where committed jobs wait for a worker."""

    def enqueue(self, workspace_id: str, job_id: str, kind: str, lane: Lane) -> None:
        """Put a job at the end of its lane; a job that is known already stays as it is."""
        ...

    def states(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return what the engine thinks of these jobs: ``open``, ``ended``, ``cancelled`` or ``exhausted``.

        A job it does not know is left out.
        """
        ...

    def withdraw(self, job_id: str) -> None:
        """Take a job out that has not started."""
        ...


Checkpoint = Callable[[str, Callable[[], Any]], Any]
"""Run a function once for a step's name, and return its (recorded) JSON result."""


class Authorise(Protocol):
    """Refuse unless the unit's actor may do an action (the access room's ``authorise``)."""

    def __call__(self, unit: UnitOfWork, action: str, entity_type: str, entity_id: str = "") -> None:
        """Raise NotPermitted, or return."""
        ...


class Record(Protocol):
    """Append to the audit chain (the access room's ``record``)."""

    def __call__(
        self,
        unit: UnitOfWork,
        action: str,
        entity_type: str,
        entity_id: str,
        metadata: dict[str, Any] | None = None,
    ) -> object:
        """Add an entry in the unit's own commit."""
        ...
