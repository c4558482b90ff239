"""docs/evaluation.md, run block by block against a real platform: trained, evaluated, verified."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.e2e.pages import blocks_of, page, run_blocks

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [
    pytest.mark.platform,
    pytest.mark.slow,
    pytest.mark.xdist_group("journey"),
    pytest.mark.timeout(600),  # on two busy cores a training and its evaluation take minutes
]


def test_the_page_s_blocks_work_as_they_stand(platform: tuple[RunningPlatform, Settings], tmp_path: Path) -> None:
    blocks = blocks_of(page("evaluation.md"))
    said = run_blocks(blocks, platform, tmp_path, timeout_seconds=560, ARKWRIGHT_HOME=str(platform[1].home))
    assert re.search(r"judged 1\.0\.0: (go|conditional|no-go)", said)
    assert "disparate impact ratio" in said
    assert "As a forecast: 2 series, season of 12" in said
    assert "The model was trained on most of these rows" not in (tmp_path / "card.md").read_text()
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert "is signed with the key" in said
    assert re.search(r"arkwright\.evaluation/1 [0-9]+", said)
