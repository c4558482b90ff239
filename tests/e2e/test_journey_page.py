"""docs/journey.md, run block by block in one shell against a real platform."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("journey")]
ROOT = Path(__file__).parents[2]


def test_the_page_s_commands_work_as_they_stand(platform: tuple[RunningPlatform, Settings]) -> None:
    state, settings = platform
    page = (ROOT / "docs" / "journey.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    script = "set -euo pipefail\n" + "\n".join(f"echo '@@ {n}'\n{block}\necho" for n, block in enumerate(blocks))
    environment = {
        **os.environ,
        "URL": state.url,
        "ARKWRIGHT_HOME": str(settings.home),
        "BUDGET": "120",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    answers = [part.strip() for part in re.split(r"@@ \d+\n", done.stdout)]
    assert len(blocks) >= 10
    assert "roc_auc" in done.stdout
    assert any(part.endswith("production") for part in answers)
    assert re.search(r'"customerID":\s*"c1".*"label":\s*"(Yes|No)".*"score"', done.stdout)
    assert answers[-1].endswith("True")
