"""docs/sdk.md, run block by block in one interpreter against a real platform."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from tests.e2e.pages import ROOT, page, surroundings

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("journey")]


def test_the_page_s_python_works_as_it_stands(platform: tuple[RunningPlatform, Settings]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page("sdk.md"), flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=ROOT,
        env=surroundings(platform),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "lightgbm" in done.stdout
    assert "'customerID': 'c1'" in done.stdout
    assert "instances[0]" in done.stdout
