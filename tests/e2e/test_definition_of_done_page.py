"""docs/definition-of-done.md, run block by block against a real platform: a model that is done, eleven of eleven."""

from __future__ import annotations

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
ASKED = "--rate 50 --seconds 10 --p95-limit-ms 250"
# What a machine that runs other tests beside it can promise.
PROMISED = "--rate 20 --seconds 10 --p95-limit-ms 20000"


def test_the_page_s_blocks_work_as_they_stand(platform: tuple[RunningPlatform, Settings], tmp_path: Path) -> None:
    text = page("definition-of-done.md")
    assert ASKED in text
    blocks = blocks_of(text.replace(ASKED, PROMISED))
    said = run_blocks(blocks, platform, tmp_path, timeout_seconds=560, ARKWRIGHT_HOME=str(platform[1].home))
    assert "ready: passed" in said
    assert "ready 1.0.0 is done: 11 of 11, 100 %." in said
    assert "11 of 11 items are met, 0 are not met and 0 are unknown." in said
    assert '"done":true' in said
