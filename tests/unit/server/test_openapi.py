"""The committed API description and the SDK's types are those of the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from arkwright.server.openapi import document

ROOT = Path(__file__).parents[3]


def test_openapi_json_is_current() -> None:
    assert document() == (ROOT / "openapi.json").read_text(encoding="utf-8"), "run `make openapi`"


def test_the_sdk_s_types_are_current() -> None:
    types = ROOT / "src" / "arkwright" / "sdk" / "types.py"
    before = types.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "tools/generate_sdk_types.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert types.read_text(encoding="utf-8") == before
