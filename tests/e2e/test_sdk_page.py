"""docs/sdk.md, run block by block in one interpreter against a real platform."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("journey")]
ROOT = Path(__file__).parents[2]


def test_the_page_s_python_works_as_it_stands(platform: tuple[RunningPlatform, Settings]) -> None:
    state, settings = platform
    page = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    environment = {
        **os.environ,
        "ARKWRIGHT_URL": state.url,
        "ARKWRIGHT_API_KEY": (settings.home / "credentials" / "admin.key").read_text(encoding="ascii").strip(),
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "lightgbm" in done.stdout
    assert "'customerID': 'c1'" in done.stdout
    assert "instances[0]" in done.stdout
