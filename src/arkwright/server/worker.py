"""``python -m arkwright.server.worker``: runs the durable jobs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from arkwright.evaluation import EvaluationHousekeeping
from arkwright.kit.jobs import JobRunner
from arkwright.kit.logging import configure_logging, get_logger
from arkwright.kit.scratch import scratch_folder
from arkwright.kit.settings import Settings, load_settings
from arkwright.server.composition import Platform, build_platform

_log = get_logger(__name__)
_TICK_SECONDS = 20.0
# A write that a crash cut short; one that is under way touches its file every few seconds.
_ABANDONED_SECONDS = 3600.0


def main() -> None:
    """Take and run jobs until told to stop."""
    settings = load_settings()
    configure_logging("worker", settings.log_level)
    with scratch_folder("worker"):
        _work(settings)


def _work(settings: Settings) -> None:
    platform = build_platform(settings)
    stop = threading.Event()

    def on_signal(_number: int, _frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    runner = JobRunner(platform.database, platform.jobs, platform.worker_jobs(), workspaces=platform.workspace_ids)
    runner.start()
    _log.info("worker started")
    housekeeping = platform.evaluation_housekeeping()
    while not stop.wait(_TICK_SECONDS):
        _tick(platform, housekeeping)
    ended = runner.stop()
    platform.database.dispose()
    if not ended:
        # A job's thread does not come back in time; what it has finished is recorded, the rest runs again.
        os._exit(0)


def _tick(platform: Platform, evaluations: EvaluationHousekeeping) -> None:
    """Do what is due; what fails in one workspace, or in tidying up at all, keeps nothing else from being done."""

    def tidy(workspace_id: str) -> None:
        platform.shipper.expire(workspace_id, platform.database.clock.now().date())
        platform.objects.for_workspace(workspace_id).sweep(_ABANDONED_SECONDS)
        evaluations.sweep(workspace_id)

    def tidy_all() -> None:
        for workspace_id in platform.workspace_ids():
            _attempt(partial(tidy, workspace_id))

    for work in (platform.shipper.ship, platform.monitor_clock().tick, tidy_all):
        _attempt(work)


def _attempt(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:  # noqa: BLE001
        # The edge of this loop: what fails now is tried again at the next tick.
        _log.exception("the worker's housekeeping failed")


if __name__ == "__main__":
    main()
