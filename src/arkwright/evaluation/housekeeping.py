"""Removing what was kept long enough, and what ended jobs left behind.

Never removed are the files of the newest evaluation of a version, of a version in production or canary, of an
evaluation that a gate decision cites, and of one that a version's own card and reports point to. Files are removed
before that is filed: after a crash in between, the next sweep finds the same evaluation and files it then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from arkwright.access import record
from arkwright.core.clock import isoformat
from arkwright.core.context import system_context
from arkwright.core.errors import NotFound
from arkwright.evaluation.headline import EVIDENCE_KIND as MODEL_EVALUATION
from arkwright.evaluation.retention import EXPIRY_KIND, REMOVED, Expiry, Retention
from arkwright.evaluation.service import EVALUATE_KIND
from arkwright.evaluation.stored_file import StoredFile, sections_of
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.jobs import JobService
from arkwright.kit.logging import get_logger
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.registry import RegistryService, Stage

_log = get_logger(__name__)
_EVERY = timedelta(hours=1)
_SETTLED = timedelta(hours=1)
"""A run that lost its job may write for a moment after the job has ended."""
_PAGE = 200
_SERVING = frozenset({Stage.PRODUCTION, Stage.CANARY})


class EvaluationHousekeeping:
    """Removes an evaluation's files once they were kept long enough, and what cancelled and failed jobs left.

    Parameters
    ----------
    retention
        How long files are kept.
    """

    def __init__(
        self,
        database: Database,
        jobs: JobService,
        registry: RegistryService,
        governance: GovernanceService,
        objects: ObjectStore,
        retention: Retention,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._registry = registry
        self._governance = governance
        self._objects = objects
        self._retention = retention
        self._swept: dict[str, datetime] = {}

    def sweep(self, workspace_id: str) -> list[str]:
        """Remove what may go, once an hour by the database's clock; return the ids of the evaluations concerned."""
        now = self._database.clock.now()
        last = self._swept.get(workspace_id)
        if last is not None and now - last < _EVERY:
            return []
        removed = self._expire(workspace_id, now)
        self._clear_up(workspace_id, now)
        self._swept[workspace_id] = now
        return removed

    def _expire(self, workspace_id: str, now: datetime) -> list[str]:
        if not self._retention.evaluation_days:
            return []
        before = now - timedelta(days=self._retention.evaluation_days)
        removed, after = [], ""
        while True:
            with self._database.read(system_context(workspace_id)) as unit:
                rows = self._governance.evidence_before(unit, MODEL_EVALUATION, before, after=after, limit=_PAGE)
                found = [
                    (row.id, digest, dict(row.body), kept_until)
                    for digest, about in _by_bundle(rows).items()
                    for row, kept_until in self._expired(unit, digest, about, now)
                ]
            for evaluation_id, digest, body, kept_until in found:
                self._remove(workspace_id, evaluation_id, digest, body, kept_until)
                removed.append(evaluation_id)
            if len(rows) < _PAGE:
                return removed
            after = rows[-1].id

    def _expired(
        self, unit: UnitOfWork, digest: str, rows: Sequence[Any], now: datetime
    ) -> Iterator[tuple[Any, datetime]]:
        """Of evaluations of one bundle, return those that may go now, and until when they were kept."""
        gone = {row.body["evaluation_id"] for row in self._governance.evidence(unit, digest, EXPIRY_KIND)}
        newest = {
            row.body["model_version_id"]: row.id for row in self._governance.evidence(unit, digest, MODEL_EVALUATION)
        }
        for row in rows:
            kept_until = self._retention.of(row.body, row.created_at)
            if kept_until is None or now < kept_until or row.id in gone or row.id in newest.values():
                continue
            if not self._needed(unit, row):
                yield row, kept_until

    def _needed(self, unit: UnitOfWork, row: Any) -> bool:
        """Tell whether a version that serves, its own addresses or a gate's decision need the files."""
        version_id = row.body["model_version_id"]
        if row.id in self._governance.cited_by_gates(unit, version_id):
            return True
        try:
            version = self._registry.version_by_id(unit, version_id)
        except NotFound:
            return False
        pointed = (version.model_card_uri, version.fairness_report_uri, version.explainability_uri)
        return version.stage in _SERVING or any(row.id in (uri or "") for uri in pointed)

    def _remove(
        self, workspace_id: str, evaluation_id: str, digest: str, body: Mapping[str, Any], kept_until: datetime
    ) -> None:
        objects = self._objects.for_workspace(workspace_id)
        files = {name: msgspec.convert(body["files"][name], StoredFile) for name in REMOVED if name in body["files"]}
        with self._database.read(system_context(workspace_id)) as unit:
            others = self._still_cited(unit, digest, evaluation_id)
        for stored in files.values():
            if stored.key not in others:
                objects.delete(stored.key)
        with self._database.write(system_context(workspace_id)) as unit:
            filed = self._governance.evidence(unit, digest, EXPIRY_KIND)
            if any(row.body["evaluation_id"] == evaluation_id for row in filed):
                return
            expiry = Expiry(
                evaluation_id=evaluation_id,
                kept_until=isoformat(kept_until),
                removed_at=isoformat(unit.clock.now()),
                sha256={name: stored.sha256 for name, stored in files.items()},
            )
            self._governance.file(unit, EXPIRY_KIND, digest, msgspec.to_builtins(expiry))
            facts = {"kept_until": expiry.kept_until, "files": list(files)}
            record(unit, "evaluation.remove_files", "evaluation", evaluation_id, facts)
        _log.info("files of an evaluation removed", evaluation_id=evaluation_id, kept_until=isoformat(kept_until))

    def _still_cited(self, unit: UnitOfWork, digest: str, evaluation_id: str) -> set[str]:
        """Return where the files of the bundle's other evaluations are: the same bytes are one object."""
        gone = {row.body["evaluation_id"] for row in self._governance.evidence(unit, digest, EXPIRY_KIND)}
        return {
            stored["key"]
            for row in self._governance.evidence(unit, digest, MODEL_EVALUATION)
            if row.id != evaluation_id and row.id not in gone
            for stored in row.body["files"].values()
        }

    def _clear_up(self, workspace_id: str, now: datetime) -> None:
        objects = self._objects.for_workspace(workspace_id)
        left = _jobs_with_sections(objects)
        with self._database.read(system_context(workspace_id)) as unit:
            ended = [job_id for job_id in left if self._ended(unit, job_id, now)]
        for job_id in ended:
            objects.delete(sections_of(job_id))
            _log.info("sections of an ended evaluation removed", job_id=job_id)

    def _ended(self, unit: UnitOfWork, job_id: str, now: datetime) -> bool:
        """Tell whether a job is an evaluation that has ended for good."""
        try:
            job = self._jobs.get(unit, job_id)
        except NotFound:
            return False
        return job.kind == EVALUATE_KIND and job.finished_at is not None and now - job.finished_at >= _SETTLED


def _by_bundle(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.subject_digest, []).append(row)
    return found


def _jobs_with_sections(objects: WorkspaceObjects) -> Sequence[str]:
    found = ((key, key.split("/")[1]) for key in objects.list("jobs"))
    return sorted({job_id for key, job_id in found if key.startswith(f"{sections_of(job_id)}/")})
