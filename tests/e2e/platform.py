"""A whole platform, started as a user starts it, in a folder of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arkwright.front import RunningPlatform, start_background, stop
from arkwright.kit.settings import Settings, load_settings


@contextmanager
def running_platform(home: Path, **overrides: object) -> Iterator[tuple[RunningPlatform, Settings]]:
    """Start a platform on any free port and stop it at the end."""
    os.environ["XDG_CONFIG_HOME"] = str(home.parent / "config")
    settings = load_settings(home=home, port=0, **overrides)
    state = start_background(settings)
    try:
        yield state, settings
    finally:
        stop(settings)
