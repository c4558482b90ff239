"""docs/own-models.md, run block by block against a real platform: a model logged by the stock client is imported."""

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


def test_the_page_s_blocks_work_as_they_stand(platform: tuple[RunningPlatform, Settings], tmp_path: Path) -> None:
    state, settings = platform
    page = (ROOT / "docs" / "own-models.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "arkwright").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m arkwright.cli "$@"\n')
    (tmp_path / "arkwright").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ARKWRIGHT_URL": state.url,
        "ARKWRIGHT_API_KEY": (settings.home / "credentials" / "admin.key").read_text(encoding="ascii").strip(),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # Its server starts in the background.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "10",
    }
    python: list[str] = []
    said = ""
    for kind, block in blocks:
        if kind == "python":
            python.append(block)
            # Later blocks go on where earlier ones ended, but log the model once.
            known = python[0].partition("client = Client()")[0] + "client = Client()\n" if len(python) > 1 else ""
            run = 'class run:\n    class info:\n        run_id = Path("run_id").read_text()\n' if known else ""
            command = [sys.executable, "-c", known + run + block]
        else:
            command = ["bash", "-c", "set -euo pipefail\n" + block]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        said += done.stdout + done.stderr
    assert "own-churn version 1 (1.0.0) is staged" in said
    assert "Compiled: at most 0 from the model's own answers" in said
    assert re.search(r"compiled \{.*'max_abs_difference': 0.0", said)
    assert re.search(r"(Yes|No)\s+│?\s*0\.\d+", said), said[-500:]
