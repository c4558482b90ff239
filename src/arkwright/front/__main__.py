"""``python -m arkwright.front``: the platform of the home that the settings name."""

from __future__ import annotations

import sys

from arkwright.core.errors import ArkwrightError
from arkwright.front.foreground import run
from arkwright.kit.settings import load_settings


def main() -> int:
    """Run until told to stop; return the exit code."""
    try:
        run(load_settings())
    except ArkwrightError as error:
        sys.stderr.write(f"{error.title}: {error.detail}\n{error.hint or ''}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
