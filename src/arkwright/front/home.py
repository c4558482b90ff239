"""Holding a home: one platform at a time, and what others may read about it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from arkwright import __version__
from arkwright.core.errors import ArkwrightError, Conflict
from arkwright.core.problems import error_from_document, problem_document
from arkwright.kit.objects import disk_problem
from arkwright.kit.settings import Settings
from arkwright.sdk.connection import pointer_path

HOME_FORMAT = 1
STATE_NAME = "state.json"
_LOCK_TRIES = 10
_LOCK_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class RunningPlatform:
    """A platform that is up: its process, where it answers, and when it was started (RFC 3339)."""

    pid: int
    url: str
    home: str
    key_file: str
    started_at: str
    version: str = __version__


@contextmanager
def hold_home(settings: Settings) -> Iterator[None]:
    """Hold a home's lock; it ends with the process, however that ends.

    Raises
    ------
    Conflict
        If a platform runs on this home, or a newer version wrote it.
    Unavailable
        If the folder cannot be written to.
    """
    run = settings.home / "run"
    try:
        for folder in (run, settings.home / "logs", settings.socket_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _close_to_others(folder)
        lock = (run / "front.lock").open("a+")
    except OSError as error:
        raise disk_problem(error, settings.home) from error
    with lock:
        if not _locked(lock):
            raise _held(settings)
        check_format(settings.home)
        problem_file(settings, "front").unlink(missing_ok=True)
        # Left by a platform that was killed; whoever waits for this one must not take it for ours.
        (run / STATE_NAME).unlink(missing_ok=True)
        yield


def _locked(lock: IO[str]) -> bool:
    """Take the lock; try for a moment, because ``is_held`` takes it too, for a few microseconds."""
    for _ in range(_LOCK_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_LOCK_PAUSE_SECONDS)
    return False


def _close_to_others(folder: Path) -> None:
    """Make a folder ours alone: MLflow's socket asks for no key, so who can reach it must be decided here.

    Raises
    ------
    Conflict
        If it belongs to another user, who may have put it there to listen in.
    """
    if folder.stat().st_uid != os.getuid():
        raise Conflict(
            f"{folder} belongs to another user.",
            code="home.foreign",
            hint="Choose another --home, or have its owner remove that folder.",
        )
    folder.chmod(0o700)


def is_held(settings: Settings) -> bool:
    """Tell whether a platform runs on this home."""
    try:
        with (settings.home / "run" / "front.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def check_format(home: Path) -> None:
    """Refuse a home that a newer version wrote; mark one that is new or older as ours.

    The database is migrated by the control plane, so an older home needs nothing more here.
    """
    marker = home / "version"
    try:
        found = int(marker.read_text(encoding="ascii").strip() or 0)
    except FileNotFoundError:
        found = 0
    except (ValueError, UnicodeDecodeError):
        raise Conflict(
            f"{marker} does not hold a format number, so {home} may be no Arkwright home.",
            code="home.format",
            hint="Choose another --home, or restore the file from a backup.",
        ) from None
    if found > HOME_FORMAT:
        raise Conflict(
            f"The home {home} has format {found}; this version of Arkwright ({__version__}) knows up to {HOME_FORMAT}.",
            code="home.newer",
            hint="Upgrade Arkwright, or start with another --home.",
        )
    if found < HOME_FORMAT:
        write_whole(marker, f"{HOME_FORMAT}\n")


def read_state(settings: Settings) -> RunningPlatform | None:
    """Return what the running platform says of itself, or None if none runs or it is not ready yet."""
    if not is_held(settings):
        return None
    try:
        return RunningPlatform(**json.loads((settings.home / "run" / STATE_NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


@contextmanager
def published_state(settings: Settings, state: RunningPlatform) -> Iterator[None]:
    """Tell others where the platform is for as long as the block runs: in the home, and in the user's pointer file."""
    text = json.dumps(asdict(state), indent=2) + "\n"
    mine = settings.home / "run" / STATE_NAME
    pointer = pointer_path()
    write_whole(mine, text)
    pointer.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(pointer, text)
    try:
        yield
    finally:
        mine.unlink(missing_ok=True)
        if _points_to(pointer, state.pid):
            pointer.unlink(missing_ok=True)


def problem_file(settings: Settings, process: str) -> Path:
    """Return where a process that cannot start leaves its reason."""
    return settings.home / "run" / f"{process}.problem.json"


def leave_problem(settings: Settings, process: str, error: ArkwrightError) -> None:
    """Leave the reason a process cannot start, for the one that waits for it."""
    path = problem_file(settings, process)
    with suppress(OSError):  # a disk that is full, or not ours, may be that very reason
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, json.dumps(problem_document(error)))


def read_problem(settings: Settings, process: str) -> ArkwrightError | None:
    """Return the reason a process left, or None."""
    try:
        return error_from_document(json.loads(problem_file(settings, process).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that a reader sees all of it or the one before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _points_to(pointer: Path, pid: int) -> bool:
    try:
        return bool(json.loads(pointer.read_text(encoding="utf-8")).get("pid") == pid)
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def _held(settings: Settings) -> Conflict:
    state = read_state(settings)
    where = f" at {state.url} (process {state.pid})" if state else ""
    return Conflict(
        f"A platform is already running on {settings.home}{where}.",
        code="home.in_use",
        hint="Use it, stop it with `arkwright down`, or start another one with --home and --port.",
    )
