"""The commands of docs/serving.md do what the page says."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.serving.conftest import KEY
from tests.unit.serving.live import live_plane

from arkwright.kit.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"<!-- run -->\n```bash\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's commands use curl")
async def test_every_command_of_the_page_succeeds(platform):
    assert len(COMMANDS) >= 5
    async with live_plane(platform) as (_plane, port):
        environment = {**os.environ, "URL": f"http://127.0.0.1:{port}", "KEY": KEY}
        for command in COMMANDS:
            ran = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-euo", "pipefail", "-c", command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_setting_of_the_page_exists():
    named = set(re.findall(r"ARKWRIGHT_([A-Z_]+)", PAGE))
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)
