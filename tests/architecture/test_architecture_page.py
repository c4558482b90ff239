"""ARCHITECTURE.md shows the house as it is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_floor_table_lists_every_folder_and_no_other() -> None:
    listed = {cells[1].strip("`") for cells in table("The floors")}
    present = {path.parent.name for path in (ROOT / "src" / "arkwright").glob("*/__init__.py")}
    assert listed == present


def test_the_stage_table_names_rooms_and_tests_that_exist() -> None:
    for cells in table("From data to a watched model"):
        for name in re.findall(r"`(\w+)`", cells[1]):
            assert (ROOT / "src" / "arkwright" / name).is_dir(), name
        for name in re.findall(r"`(tests/[\w/]+)`", cells[4]):
            assert (ROOT / name).is_dir(), name


def test_the_stage_table_s_paths_are_served() -> None:
    import json

    paths = set(json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"])
    for cells in table("From data to a watched model"):
        for prefix in re.findall(r"`(/v1/[^`]+)`", cells[2]):
            assert any(path.startswith(prefix.replace("{id}", "{deployment_id}")) for path in paths), prefix


def test_every_decision_has_the_four_parts() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert len(pages) >= 5
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for part in ("## Context", "## Decision", "## Consequences", "## Alternatives"):
            assert part in text, f"{page.name} lacks {part}"
