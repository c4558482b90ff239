"""A platform that runs apart from the terminal: start it, ask about it, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import httpx

from arkwright.core.errors import Unavailable
from arkwright.front.home import RunningPlatform, is_held, problem_file, read_problem, read_state
from arkwright.kit.settings import Settings

START_SECONDS = 90.0
STOP_SECONDS = 30.0
DYING_SECONDS = 5.0
_LOOK_SECONDS = 0.1


def start_background(settings: Settings) -> RunningPlatform:
    """Start a platform on a home, and return once it answers; one that runs already is returned as it is.

    Raises
    ------
    ArkwrightError
        The reason it could not start.
    """
    known = _living(settings)
    if known is not None:
        return known
    log_file = settings.home / "logs" / "front.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    problem_file(settings, "front").unlink(missing_ok=True)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "arkwright.front"],
            env={**os.environ, **settings.child_environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        state = read_state(settings)
        # A platform that was killed leaves its state behind, and the new one holds the lock before it removes that.
        if state is not None and (state.pid == process.pid or process.poll() is not None):
            return state
        if process.poll() is not None:
            raise read_problem(settings, "front") or Unavailable(
                f"The platform ended while it was starting (exit code {process.returncode}).",
                code="platform.start",
                hint=f"Its log is {log_file}.",
            )
        time.sleep(_LOOK_SECONDS)
    process.terminate()
    raise Unavailable(
        f"The platform did not answer within {START_SECONDS:g} s.",
        code="platform.slow_start",
        hint=f"Its logs are in {settings.home / 'logs'}.",
    )


def _living(settings: Settings) -> RunningPlatform | None:
    """Return the platform that runs and answers; one that was killed a moment ago may still hold its lock."""
    deadline = time.monotonic() + DYING_SECONDS
    while (state := read_state(settings)) is not None:
        try:
            if httpx.get(f"{state.url}/health/live", timeout=2.0, trust_env=False).is_success:
                return state
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise Unavailable(
                f"The platform on {settings.home} (process {state.pid}) runs but does not answer at {state.url}.",
                code="platform.stuck",
                hint="Stop it with `arkwright down` and start again.",
            )
        time.sleep(_LOOK_SECONDS)
    return None


def status(settings: Settings) -> RunningPlatform | None:
    """Return where the platform of a home is, or None if it does not run."""
    return read_state(settings)


def stop(settings: Settings) -> bool:
    """Stop the platform of a home, in the foreground or the background; return whether one ran.

    Raises
    ------
    Unavailable
        If it does not stop in time.
    """
    state = read_state(settings)
    if state is None:
        if is_held(settings):
            raise Unavailable(
                f"The platform on {settings.home} is starting or stopping right now.",
                code="platform.busy",
                hint="Try again in a few seconds.",
            )
        return False
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not is_held(settings):
            return True
        time.sleep(_LOOK_SECONDS)
    os.kill(state.pid, signal.SIGKILL)
    return True
