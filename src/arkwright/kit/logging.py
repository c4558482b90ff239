"""Structured logs: one JSON object a line, with the request's id."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import structlog

bind_request = structlog.contextvars.bind_contextvars
clear_request = structlog.contextvars.clear_contextvars


def configure_logging(service: str, level: str = "info", file: Path | None = None) -> None:
    """Send structlog and the standard library's logging as JSON lines to standard error, or to a file.

    Parameters
    ----------
    service
        Name of this process, put on every line.
    level
        ``debug``, ``info``, ``warning`` or ``error``.
    file
        Where a process that talks to a person on its terminal logs instead; its folder exists.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        _named(service),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    handler = logging.FileHandler(file, delay=True) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> Any:
    """Return a structlog logger bound to a module's name."""
    return structlog.get_logger(name)


def _named(service: str) -> Any:
    def add(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event.setdefault("service", service)
        return event

    return add
