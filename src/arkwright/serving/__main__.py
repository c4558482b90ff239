"""``python -m arkwright.serving``: data planes on a port of their own; ``--worker N`` is one of several."""

from __future__ import annotations

import sys

from arkwright.kit.settings import load_settings
from arkwright.serving.process import serve
from arkwright.serving.workers import run


def main(arguments: list[str]) -> None:
    """Serve as the settings say."""
    settings = load_settings()
    if arguments[:1] == ["--worker"]:
        serve(settings, worker=int(arguments[1]), processes=settings.serve_workers)
    else:
        run(settings)


if __name__ == "__main__":
    main(sys.argv[1:])
