"""What can be wrong with a machine or its settings, looked at one by one."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from arkwright.core.errors import ArkwrightError
from arkwright.core.units import format_bytes

if TYPE_CHECKING:
    from arkwright.kit.settings import Settings

# MLflow's own database and a few datasets fit; less is a matter of days.
_LEAST_FREE_BYTES = 1_000_000_000
_SHOWN_PACKAGES = ("mlflow", "dbos", "lightgbm", "scikit-learn", "sqlalchemy", "fastapi", "pyarrow", "numpy")
_REACH_SECONDS = 3.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str
    hint: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def examine(settings: Settings) -> list[Check]:
    """Look at everything; a check that itself fails is a failed check."""
    looks: tuple[tuple[str, Callable[[Settings], Check]], ...] = (
        ("Python", _python),
        ("packages", _packages),
        ("data folder", _home),
        ("disk space", _disk),
        ("admin key", _key),
        ("port", _port),
        ("database", _database),
        ("MLflow server", _tracking),
    )
    checks = []
    for name, look in looks:
        try:
            checks.append(look(settings))
        except ArkwrightError as error:
            checks.append(Check(name, False, error.detail, error.hint or ""))
        except OSError as error:
            checks.append(Check(name, False, f"{error.strerror or error} ({error.filename or name})"))
    return checks


def _python(_settings: Settings) -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("Python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")


def _packages(_settings: Settings) -> Check:
    from importlib.metadata import PackageNotFoundError, version

    from arkwright import __version__

    found, missing = [f"arkwright {__version__}"], []
    for name in _SHOWN_PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", False, f"not installed: {', '.join(missing)}", "Install them: make install.")
    return Check("packages", True, ", ".join(found))


def _home(settings: Settings) -> Check:
    home = settings.home
    if home.exists() and not home.is_dir():
        return Check("data folder", False, f"{home} is a file", "Name a folder with --home.")
    nearest = _nearest_folder(home)
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Check("data folder", False, f"{nearest} may not be written", "Change its permissions, or use --home.")
    return Check("data folder", True, str(home) if home.exists() else f"{home} (will be made)")


def _disk(settings: Settings) -> Check:
    nearest = _nearest_folder(settings.home)
    free = shutil.disk_usage(nearest).free
    detail = f"{format_bytes(free)} free at {nearest}"
    return Check("disk space", free >= _LEAST_FREE_BYTES, detail, "Free some space, or put --home on another disk.")


def _key(settings: Settings) -> Check:
    path = settings.home / "credentials" / "admin.key"
    if not path.exists():
        return Check("admin key", True, "none yet (the first start makes one)")
    mode = path.stat().st_mode & 0o777
    return Check("admin key", mode & 0o077 == 0, f"{path} has mode {mode:04o}", f"Close it: chmod 600 {path}")


def _port(settings: Settings) -> Check:
    from arkwright.front import status

    where = f"{settings.host}:{settings.port}"
    found = status(settings)
    if found is not None:
        return Check("port", True, f"the platform runs at {found.url}")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            hint = "Use another with --port, or stop the program that has it."
            return Check("port", False, f"{where} cannot be used: {error.strerror}", hint)
    return Check("port", True, f"{where} is free")


def _database(settings: Settings) -> Check:
    from sqlalchemy.exc import SQLAlchemyError

    from arkwright.kit.db import Database

    hint = "Correct ARKWRIGHT_DATABASE_URL, or start the database server."
    file = settings.database_url.removeprefix("sqlite:///")
    if file != settings.database_url and not Path(file).exists():
        return Check("database", True, f"{file} (will be made)")
    database = Database(settings.database_url)
    try:
        with database.read_global() as unit:
            unit.session.connection()
    except SQLAlchemyError as error:
        return Check("database", False, str(error).splitlines()[0], hint)
    finally:
        database.dispose()
    return Check("database", True, settings.redacted()["database_url"])


def _tracking(settings: Settings) -> Check:
    if not settings.tracking_url:
        return Check("MLflow server", True, "our own, started with the platform")
    parts = urlsplit(settings.tracking_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    shown = settings.redacted()["tracking_url"]
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_REACH_SECONDS).close()
    except OSError as error:
        hint = "Correct ARKWRIGHT_TRACKING_URL, or leave it empty to use our own MLflow."
        return Check("MLflow server", False, f"{shown} cannot be reached: {error.strerror or error}", hint)
    return Check("MLflow server", True, f"{shown} can be reached")


def _nearest_folder(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
