"""docs/own-models.md, run block by block against a real platform: a model logged by the stock client is imported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.e2e.pages import Block, blocks_of, page, run_blocks

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("journey")]
LATER = 'class run:\n    class info:\n        run_id = Path("run_id").read_text()\n'


def continued(blocks: list[Block]) -> list[Block]:
    """Let later blocks of Python go on where earlier ones ended, but log the model once."""
    first = next(block.text for block in blocks if block.kind == "python")
    known = first.partition("client = Client()")[0] + "client = Client()\n" + LATER
    return [
        Block(block.kind, known + block.text) if block.kind == "python" and block.text != first else block
        for block in blocks
    ]


def test_the_page_s_blocks_work_as_they_stand(platform: tuple[RunningPlatform, Settings], tmp_path: Path) -> None:
    said = run_blocks(
        continued(blocks_of(page("own-models.md"))),
        platform,
        tmp_path,
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        # Its server starts in the background.
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="10",
    )
    assert "own-churn version 1 (1.0.0) is staged" in said
    assert "Compiled: at most 0 from the model's own answers" in said
    assert re.search(r"compiled \{.*'max_abs_difference': 0.0", said)
    assert re.search(r"(Yes|No)\s+│?\s*0\.\d+", said), said[-500:]
