"""``python -m arkwright.server``: the control plane on its unix socket."""

from __future__ import annotations

import json

import uvicorn

from arkwright.core.errors import ArkwrightError
from arkwright.core.problems import problem_document
from arkwright.kit.logging import configure_logging
from arkwright.kit.scratch import scratch_folder
from arkwright.kit.settings import Settings, load_settings
from arkwright.server.app import create_app
from arkwright.server.composition import build_platform


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings()
    configure_logging("server", settings.log_level)
    with scratch_folder("server"):
        _serve(settings)


def _serve(settings: Settings) -> None:
    try:
        platform = build_platform(settings)
        platform.database.migrate()
    except ArkwrightError as error:
        _leave_problem(settings, error)
        raise SystemExit(error.exit_code) from error
    app = create_app(platform)
    settings.socket_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    uvicorn.run(
        app,
        uds=str(settings.server_socket),
        log_config=None,
        access_log=False,
        forwarded_allow_ips="*",  # only the edge reaches the socket
        timeout_graceful_shutdown=10,
    )


def _leave_problem(settings: Settings, error: ArkwrightError) -> None:
    """Leave the reason for whoever waits for this process, as front/home.py reads it."""
    run = settings.home / "run"
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    (run / "server.problem.json").write_text(json.dumps(problem_document(error)), encoding="utf-8")


if __name__ == "__main__":
    main()
