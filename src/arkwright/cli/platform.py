"""``arkwright up``, ``down``, ``status``, ``doctor``, ``reset``, ``login-link``: the platform on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import OUTPUT, Json, emit, facts, moment, note, say
from arkwright.cli.session import connect, settings_of
from arkwright.core.errors import Conflict, Invalid, Unavailable

if TYPE_CHECKING:
    from arkwright.front import RunningPlatform
    from arkwright.kit.settings import Settings

Home = Annotated[Path | None, typer.Option(help="The data folder; ./arkwright-data by default.")]
# Everything a platform writes below its home; nothing else is ever deleted.
_OURS = (
    "arkwright.db", "jobs.db", "mlflow.db", "mlflow-artifacts", "objects", "credentials", "run", "logs", "serving",
    "version",
)  # fmt: skip
_MARKS = ("version", "arkwright.db", "credentials")


def up(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 8585 by default.")] = None,
    background: Annotated[bool, typer.Option("--background", "-d", help="Start it and come back.")] = False,
    _json: Json = False,
) -> None:
    """Start the platform; Ctrl-C stops it."""
    settings = settings_of(home, host, port)
    if background:
        from arkwright.front import start_background

        state = start_background(settings)
        told = f"Arkwright runs at {state.url}, with its data in {state.home}."
        emit(asdict(state), lambda: say(told, style="green"))
        return
    from arkwright.front import run

    started = time.monotonic()

    def announce(state: RunningPlatform, login_path: str) -> None:
        link = state.url + login_path

        def render() -> None:
            say(f"Arkwright is up at {state.url} ({time.monotonic() - started:.1f} s).", style="bold green")
            facts({"sign in": f"{link} (once, within ten minutes)", "data": state.home, "stop": "Ctrl-C"})

        emit({**asdict(state), "login_link": link}, render)
        sys.stdout.flush()

    run(settings, announce)


def down(home: Home = None, _json: Json = False) -> None:
    """Stop a platform that runs in the background."""
    from arkwright.front import stop

    settings = _local(home)
    stopped = stop(settings)
    said = f"The platform with its data in {settings.home} {'has stopped' if stopped else 'was not running'}."
    emit({"home": str(settings.home), "stopped": stopped}, lambda: say(said))


def status(home: Home = None, _json: Json = False) -> None:
    """Show whether the platform runs, where, and what its processes do; fails if it does not."""
    from arkwright.front import status as read_status

    settings = _local(home)
    found = read_status(settings)
    if found is None:
        told = f"Not running. Its data is in {settings.home}."
        emit({"running": False, "home": str(settings.home)}, lambda: say(told))
        raise typer.Exit(Unavailable.exit_code)
    health = _health(found.url)
    processes = health.get("processes", {})

    def render() -> None:
        facts(
            {
                **asdict(found),
                "pid": str(found.pid),
                "started_at": moment(found.started_at),
                "predictions": health.get("status"),
            }
        )
        facts({f"  {name}": state for name, state in processes.items()})

    emit({"running": True, **asdict(found), "health": health}, render)


def doctor(home: Home = None, _json: Json = False) -> None:
    """Check this machine and the settings, and say what to do about what is wrong."""
    from arkwright.cli.doctor import examine

    settings = settings_of(home)
    checks = examine(settings)

    def render() -> None:
        say("Settings", style="bold")
        facts(settings.redacted())
        say()
        say("Checks", style="bold")
        for check in checks:
            say(
                f"{'✓' if check.passed else '✗'} {check.name}: {check.detail}", style="" if check.passed else "bold red"
            )
            if not check.passed and check.hint:
                say(f"    {check.hint}")

    document = {"settings": settings.redacted(), "checks": [check.document() for check in checks]}
    emit(document, render)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


def reset(
    home: Home = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    _json: Json = False,
) -> None:
    """Delete everything the platform keeps in its data folder."""
    from arkwright.front import status as read_status

    settings = settings_of(home)
    folder = settings.home
    found = [folder / name for name in _entries(folder)]
    if not found:
        emit({"home": str(folder), "deleted": []}, lambda: say(f"There is nothing of Arkwright's in {folder}."))
        return
    if not any((folder / mark).exists() for mark in _MARKS):
        raise Invalid(
            f"{folder} does not look like a data folder of Arkwright.",
            code="reset.foreign",
            hint="Name the right one with --home.",
        )
    if read_status(settings) is not None:
        raise Conflict(
            f"The platform with its data in {folder} is running.", code="reset.running", hint="Stop it: arkwright down."
        )
    if not yes:
        _ask(folder)
    deleted = [_delete(path) for path in found]
    if not any(folder.iterdir()):
        folder.rmdir()
    emit({"home": str(folder), "deleted": deleted}, lambda: say(f"Everything in {folder} is deleted."))
    if not settings.database_url.startswith("sqlite"):
        note("The database named in ARKWRIGHT_DATABASE_URL was not touched.")


def login_link(_json: Json = False) -> None:
    """Print a link that signs a browser in, once, within ten minutes."""
    with connect() as client:
        link = client.login_link()
    emit({"url": link}, lambda: say(link))


COMMANDS: dict[str, Callable[..., None]] = {
    "up": up,
    "down": down,
    "status": status,
    "doctor": doctor,
    "reset": reset,
    "login-link": login_link,
}


def _health(url: str) -> dict[str, Any]:
    """Return what the public port says of the platform's processes; empty if it does not answer."""
    import httpx

    try:
        answer = httpx.get(f"{url}/health/ready", timeout=3.0, trust_env=False)
        document: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
    return document


def _local(home: Path | None) -> Settings:
    """Return the settings of the platform that was named, else of the one that was last started on this machine."""
    import os

    from arkwright.sdk.connection import read_pointer

    settings = settings_of(home)
    pointer = read_pointer()
    named = home is not None or os.environ.get("ARKWRIGHT_HOME") or (settings.home / "version").exists()
    if not named and pointer is not None and pointer.home is not None:
        return settings_of(pointer.home)
    return settings


def _entries(folder: Path) -> list[str]:
    """Return what of ours lies in a folder, the databases' side files too."""
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if any(path.name == name or path.name.startswith(f"{name}-") for name in _OURS)
    )


def _delete(path: Path) -> str:
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path.name


def _ask(folder: Path) -> None:
    if OUTPUT.json or not sys.stdin.isatty():
        raise Invalid(
            "Deleting everything needs a yes.", code="reset.unconfirmed", hint="Run it again with --yes if you mean it."
        )
    typer.confirm(f"Delete every dataset, model, log and key in {folder}? This cannot be undone.", abort=True, err=True)
