"""``python -m arkwright.server``: the control plane on its unix socket."""

from __future__ import annotations

import uvicorn

from arkwright.kit.logging import configure_logging
from arkwright.kit.settings import load_settings
from arkwright.server.app import create_app
from arkwright.server.composition import build_platform


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings()
    configure_logging("server", settings.log_level)
    app = create_app(build_platform(settings))
    settings.socket_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    uvicorn.run(app, uds=str(settings.server_socket), log_config=None, access_log=False, timeout_graceful_shutdown=10)


if __name__ == "__main__":
    main()
