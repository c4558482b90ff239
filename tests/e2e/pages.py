"""A page of the documentation, its blocks run one after the other as a reader would, against a real platform."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """A block of a page: ``bash`` or ``python``, and what stands in it."""

    kind: str
    text: str

    @property
    def command(self) -> list[str]:
        if self.kind == "python":
            return [sys.executable, "-c", self.text]
        return ["bash", "-c", "set -euo pipefail\n" + self.text]


def page(name: str) -> str:
    """Return the text of a page in ``docs``."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks_of(text: str) -> list[Block]:
    """Return the blocks that a page's readers run."""
    return [Block(*found) for found in re.findall(r"```(bash|python)\n(.*?)```", text, flags=re.DOTALL)]


def surroundings(platform: tuple[RunningPlatform, Settings], **more: str) -> dict[str, str]:
    """Return the environment of whoever was given an address and a key."""
    state, settings = platform
    key = (settings.home / "credentials" / "admin.key").read_text(encoding="ascii").strip()
    return {**os.environ, "ARKWRIGHT_URL": state.url, "ARKWRIGHT_API_KEY": key, **more}


def run_blocks(
    blocks: Iterable[Block],
    platform: tuple[RunningPlatform, Settings],
    folder: Path,
    *,
    timeout_seconds: float = 200,
    **more: str,
) -> str:
    """Run blocks in a folder that has the examples in it and the command on its path; return all that they said."""
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "arkwright").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m arkwright.cli "$@"\n')
    (folder / "arkwright").chmod(0o755)
    environment = surroundings(platform, PATH=f"{folder}:{os.environ['PATH']}", **more)
    said = ""
    for block in blocks:
        done = subprocess.run(
            block.command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        said += done.stdout + done.stderr
    return said
