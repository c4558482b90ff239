"""``arkwright serve``: data planes on a port of their own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from arkwright.cli.console import Json, emit, facts, say


def serve(
    home: Annotated[Path | None, typer.Option(help="The data folder; ./arkwright-data by default.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 8585 by default.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes; one for each core.")] = None,
    grpc_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the Open Inference Protocol over gRPC.")
    ] = None,
    _json: Json = False,
) -> None:
    """Answer predictions and nothing else, also while the control plane is away; Ctrl-C stops it."""
    from arkwright.kit.settings import load_settings
    from arkwright.serving.workers import run

    settings = load_settings(home=home, host=host, port=port, serve_workers=workers, grpc_port=grpc_port)
    started = time.monotonic()

    def announce(url: str) -> None:
        def render() -> None:
            say(f"Predictions are served at {url} ({time.monotonic() - started:.1f} s).", style="bold green")
            facts({"processes": str(settings.serve_workers), "data": str(settings.home), "stop": "Ctrl-C"})

        emit({"url": url, "workers": settings.serve_workers, "home": str(settings.home)}, render)

    run(settings, announce)
