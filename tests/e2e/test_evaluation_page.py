"""docs/evaluation.md, run block by block against a real platform: trained, evaluated, verified."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [
    pytest.mark.platform,
    pytest.mark.slow,
    pytest.mark.xdist_group("journey"),
    pytest.mark.timeout(600),  # on two busy cores a training and its evaluation take minutes
]
ROOT = Path(__file__).parents[2]


def test_the_page_s_blocks_work_as_they_stand(platform: tuple[RunningPlatform, Settings], tmp_path: Path) -> None:
    state, settings = platform
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "arkwright").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m arkwright.cli "$@"\n')
    (tmp_path / "arkwright").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ARKWRIGHT_HOME": str(settings.home),
        "ARKWRIGHT_URL": state.url,
        "ARKWRIGHT_API_KEY": (settings.home / "credentials" / "admin.key").read_text(encoding="ascii").strip(),
    }
    said = ""
    for kind, block in blocks:
        command = [sys.executable, "-c", block] if kind == "python" else ["bash", "-c", "set -euo pipefail\n" + block]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=560, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        said += done.stdout + done.stderr
    assert re.search(r"judged 1\.0\.0: (go|conditional|no-go)", said)
    assert "disparate impact ratio" in said
    assert "As a forecast: 2 series, season of 12" in said
    assert "The model was trained on most of these rows" not in (tmp_path / "card.md").read_text()
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert "is signed with the key" in said
    assert re.search(r"arkwright\.evaluation/1 [0-9]+", said)
