"""Keeping what the data planes count, and adding it up."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from arkwright.contracts import ArmWindow, WindowReport
from arkwright.core.context import system_context
from arkwright.deployments import repository
from arkwright.deployments.analysis import ArmCounts, add_windows, follow_on
from arkwright.deployments.tables import ArmWindowRow, DataPlaneRow
from arkwright.kit.db import Database, UnitOfWork

SLOT_SECONDS = 5
KEPT = timedelta(hours=6)
_HEARTBEAT = timedelta(seconds=5)
_LATEST_REPORT = timedelta(minutes=3)  # a data plane keeps what it could not send for two minutes
_REMEMBERED_REPORTS = 32
_REMEMBERED_SUMS = 256

ArmOf = tuple[str, str]  # arm and model version


class WindowService:
    """Takes the data planes' reports and answers what each arm did."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # A step may last for hours and is judged every few seconds: what can no longer change is added up once.
        self._closed: dict[tuple[str, int], tuple[int, dict[ArmOf, ArmCounts]]] = {}

    def take(self, report: WindowReport, workspace_ids: Sequence[str]) -> None:
        """Add a report to what is kept; the same report twice is added once.

        Parameters
        ----------
        workspace_ids
            The workspaces there are; windows of others are left out.
        """
        self._note(report)
        if not report.windows:
            return
        name = _name_of(report)
        by_workspace: dict[str, dict[tuple[str, int, str, str], list[ArmWindow]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for window in report.windows:
            slot = window.second // SLOT_SECONDS * SLOT_SECONDS
            key = (window.deployment_id, slot, window.arm, window.model_version_id)
            by_workspace[window.workspace_id][key].append(window)
        for workspace_id in by_workspace.keys() & set(workspace_ids):
            with self._database.write(system_context(workspace_id)) as unit:
                for key, windows in by_workspace[workspace_id].items():
                    _add(unit, key, report.replica, name, windows)

    def counts(
        self,
        unit: UnitOfWork,
        deployment_id: str,
        since: datetime,
        until: datetime | None = None,
        *,
        fresh: bool = False,
    ) -> dict[ArmOf, ArmCounts]:
        """Return what each arm did between two moments, to the slots that hold them.

        Parameters
        ----------
        fresh
            Leave the slot out in which ``since`` lies: it has requests from before.
        """
        first = _slot_after(since) if fresh else int(since.timestamp()) // SLOT_SECONDS * SLOT_SECONDS
        if until is not None:
            rows = repository.windows(unit.session, deployment_id, since_slot=first, until_slot=_slot_after(until))
            return _sums(rows)
        closed_until, closed = self._closed.get((deployment_id, first), (first, {}))
        rows = repository.windows(unit.session, deployment_id, since_slot=closed_until, until_slot=None)
        boundary = max(closed_until, _slot_after(unit.clock.now() - _LATEST_REPORT))
        closed = _joined(closed, _sums(row for row in rows if row.slot < boundary))
        if len(self._closed) >= _REMEMBERED_SUMS:
            self._closed.clear()
        self._closed[deployment_id, first] = (boundary, closed)
        return _joined(closed, _sums(row for row in rows if row.slot >= boundary))

    def forget_old(self, unit: UnitOfWork) -> None:
        """Delete what is older than six hours."""
        repository.forget_windows_before(unit.session, _slot_after(unit.clock.now() - KEPT))

    def _note(self, report: WindowReport) -> None:
        """Keep that a data plane lives, and how busy it is; every few seconds is often enough."""
        with self._database.read_global() as unit:
            known = unit.session.get(DataPlaneRow, report.replica)
            now = unit.clock.now()
            if known is not None and known.reported_at is not None and now - known.reported_at < _HEARTBEAT:
                return
        with self._database.write_global() as unit:
            row = unit.session.get(DataPlaneRow, report.replica)
            if row is None:
                row = DataPlaneRow(replica=report.replica, generation=-1, endpoints={})
                unit.session.add(row)
            row.seen_at = row.reported_at = now
            row.in_flight, row.queue, row.cpu_percent = report.in_flight, report.queue, report.cpu_percent


def _add(
    unit: UnitOfWork,
    key: tuple[str, int, str, str],
    replica: str,
    name: str,
    windows: Sequence[ArmWindow],
) -> None:
    deployment_id, slot, arm, version_id = key
    where = (unit.context.workspace_id, deployment_id, slot, arm, version_id, replica)
    row = unit.session.get(ArmWindowRow, where)
    if row is not None and name in row.reports:
        return
    kept = [_window(row)] if row is not None else []
    # What is kept stands for seconds that were reported before: the newest second's fuse counts.
    total = add_windows([*(msgspec.structs.replace(each, second=slot - 1) for each in kept), *windows])
    if row is None:
        row = ArmWindowRow(
            deployment_id=deployment_id, slot=slot, arm=arm, model_version_id=version_id, replica=replica, reports=[]
        )
        unit.session.add(row)
    row.requests, row.errors, row.fallbacks, row.rows = total.requests, total.errors, total.fallbacks, total.rows
    row.latency_counts = [[bucket, count] for bucket, count in enumerate(total.latency_counts) if count]
    row.score_sum, row.score_squares = total.score_sum, total.score_squares
    row.compared, row.agreed, row.difference_sum = total.compared, total.agreed, total.difference_sum
    row.blown = total.blown
    row.reports = [*row.reports, name][-_REMEMBERED_REPORTS:]


def _sums(rows: Iterable[ArmWindowRow]) -> dict[ArmOf, ArmCounts]:
    found: dict[ArmOf, list[ArmWindow]] = defaultdict(list)
    for row in rows:
        found[row.arm, row.model_version_id].append(_window(row))
    return {arm: add_windows(windows) for arm, windows in found.items()}


def _joined(earlier: Mapping[ArmOf, ArmCounts], later: Mapping[ArmOf, ArmCounts]) -> dict[ArmOf, ArmCounts]:
    both = {arm: follow_on(earlier[arm], later[arm]) for arm in earlier.keys() & later.keys()}
    return {**earlier, **later, **both}


def _window(row: ArmWindowRow) -> ArmWindow:
    return ArmWindow(
        deployment_id=row.deployment_id,
        workspace_id=row.workspace_id,
        arm=row.arm,
        model_version_id=row.model_version_id,
        second=row.slot,
        requests=row.requests,
        errors=row.errors,
        fallbacks=row.fallbacks,
        rows=row.rows,
        latency_counts=tuple((bucket, count) for bucket, count in row.latency_counts),
        score_sum=row.score_sum,
        score_squares=row.score_squares,
        compared=row.compared,
        agreed=row.agreed,
        difference_sum=row.difference_sum,
        blown=row.blown,
    )


def _name_of(report: WindowReport) -> str:
    """Return what a repeat of a report is recognised by: a data plane that restarts counts from the start again."""
    return hashlib.sha256(msgspec.json.encode([report.sequence, report.windows])).hexdigest()[:16]


def _slot_after(moment: datetime) -> int:
    """Return the first slot that begins at or after a moment."""
    return math.ceil(moment.timestamp() / SLOT_SECONDS) * SLOT_SECONDS
