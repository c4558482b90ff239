"""The platform a command talks to, started first where that is wanted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arkwright.cli.console import note

if TYPE_CHECKING:
    from pathlib import Path

    from arkwright.front import RunningPlatform
    from arkwright.kit.settings import Settings
    from arkwright.sdk import Client


def connect(home: Path | None = None) -> Client:
    """Return a client of the platform that the environment, or the last start, names."""
    from arkwright.sdk import Client

    return Client(home=home)


def connect_or_start(home: Path | None = None) -> Client:
    """Return a client; where no platform runs on this machine and none was named, start one in the background."""
    from arkwright.sdk.connection import URL_VARIABLE

    if os.environ.get(URL_VARIABLE) and home is None:
        return connect()
    client = connect(home)
    # Whatever answers without our having a key for it belongs to somebody else.
    if client.connection.key and is_up(client):
        return client
    client.close()
    settings = settings_of(home)
    note(f"No platform is running: starting one in the background, with its data in {settings.home}.")
    state = _start(settings)
    note(f"It runs at {state.url}; stop it with: arkwright down{home_option(settings)}")
    return connect(settings.home)


def _start(settings: Settings) -> RunningPlatform:
    """Start a platform in the background; on a free port if somebody else has the usual one."""
    from arkwright.core.errors import Conflict
    from arkwright.front import start_background

    try:
        return start_background(settings)
    except Conflict as error:
        if error.code != "port.in_use":
            raise
        note(f"Port {settings.port} is taken by another program: using a free one.")
        return start_background(settings.model_copy(update={"port": 0}))


def is_up(client: Client) -> bool:
    """Tell whether a platform answers."""
    import httpx

    try:
        return httpx.get(f"{client.base_url}/health/live", timeout=3.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def settings_of(home: Path | None = None, host: str | None = None, port: int | None = None) -> Settings:
    """Return the settings of a platform on this machine."""
    from arkwright.kit.settings import load_settings

    return load_settings(home=home, host=host, port=port)


def home_option(settings: Settings) -> str:
    """Return ``--home ...`` as the user would have to write it, empty for the home that is found without it."""
    from shlex import quote

    return "" if settings.home == settings_of().home else f" --home {quote(str(settings.home))}"
