"""The peers' own environments: made when first asked for, kept in a folder of the caller's choice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"


def ensure_environment(peer: str, folder: Path) -> str:
    """Make a peer's environment if it is not there; return a reason why it could not be made, or nothing."""
    home = folder / peer
    marker = home / ".requirements"
    wanted = (PEERS / f"requirements-{peer}.txt").read_text()
    if marker.exists() and marker.read_text() == wanted:
        return ""
    print(f"installing {peer} into {home}", file=sys.stderr)
    requirements = str(PEERS / f"requirements-{peer}.txt")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands = [sys.executable, "-m", "venv", "--clear", str(home)], [*pip, "-r", requirements]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it failed"])[-1]
    marker.write_text(wanted)
    return ""
