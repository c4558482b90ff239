"""``python -m arkwright.serving``: a data plane on a port of its own."""

from __future__ import annotations

import gc
import sys

import uvicorn

from arkwright.kit.logging import configure_logging
from arkwright.kit.settings import Settings, load_settings
from arkwright.serving.plane import DataPlane
from arkwright.serving.source import HttpPlanSource

# With the default of 5 ms, a small request can wait that long for a thread that scores a large one.
SWITCH_INTERVAL_SECONDS = 0.001


def run(settings: Settings) -> None:
    """Serve until a signal says stop; the control plane is the one of the same home."""
    configure_logging("serving", settings.log_level)
    source = HttpPlanSource(settings.server_socket, settings.internal_token.get_secret_value())
    plane = DataPlane(settings, source, f"serve_{settings.port}")
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.freeze()
    uvicorn.run(
        plane,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    run(load_settings())
