"""``python -m arkwright.server.openapi``: print the API description, as committed in ``openapi.json``."""

from __future__ import annotations

import json
import sys
import tempfile

from arkwright.kit.settings import load_settings
from arkwright.server.app import create_app
from arkwright.server.composition import build_platform


def document() -> str:
    """Return the OpenAPI document as stable, readable JSON."""
    with tempfile.TemporaryDirectory(prefix="arkwright-openapi-") as home:
        app = create_app(build_platform(load_settings(home=home)))
        return json.dumps(app.openapi(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
