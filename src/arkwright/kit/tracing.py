"""Spans over OTLP, for those who collect them; off by default.

``ARKWRIGHT_TRACING_ENABLED=true`` sends one span for each request to ``ARKWRIGHT_OTLP_ENDPOINT``. A caller's W3C
``traceparent`` is continued: its trace, its parent, and its decision whether to record. Nothing of OpenTelemetry is
imported while tracing is off, and a collector that is away costs spans, never a request.

References
----------
W3C Trace Context, https://www.w3.org/TR/trace-context/
OpenTelemetry HTTP semantic conventions, https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from arkwright.core.errors import Unavailable
from arkwright.kit.settings import Settings

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

Attribute = str | int | float | bool


def trace_id_of(traceparent: str) -> str:
    """Return the trace id of a ``traceparent`` header, or nothing if it is not one.

    Examples
    --------
    >>> trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    >>> trace_id_of("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
    ''
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""


def continued(traceparent: str) -> str:
    """Return the ``traceparent`` to answer with: the caller's trace with a span of ours, or nothing without one.

    Examples
    --------
    >>> answer = continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    >>> answer.split("-")[1], answer.split("-")[3]
    ('4bf92f3577b34da6a3ce929d0e0e4736', '01')
    >>> continued("nonsense")
    ''
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    return f"00-{found[1]}-{secrets.token_hex(8)}-{found[3]}" if found else ""


class Tracer:
    """Records finished requests as spans.

    Parameters
    ----------
    service
        Name of this process, such as ``serving``.
    endpoint
        Base address of an OTLP/HTTP collector.
    sample_percent
        Share of the requests without a ``traceparent`` that are recorded; with one, the caller has decided.

    Raises
    ------
    Unavailable
        If the exporter is not installed.
    """

    def __init__(self, service: str, endpoint: str, sample_percent: float) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
            from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415
        except ImportError as error:
            raise Unavailable(
                f"Tracing is on, but its exporter cannot be imported: {error}.",
                code="tracing.not_installed",
                hint="Run: pip install 'arkwright[otlp]', or set ARKWRIGHT_TRACING_ENABLED=false.",
            ) from error
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": f"arkwright-{service}"}),
            sampler=ParentBasedTraceIdRatio(sample_percent / 100),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("arkwright")
        self._extract = TraceContextTextMapPropagator().extract
        self._server = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def record(
        self,
        name: str,
        *,
        start: float,
        end: float,
        traceparent: str = "",
        failed: bool = False,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """Record one request.

        Parameters
        ----------
        start, end
            Seconds since the epoch.
        traceparent
            The caller's header.
        """
        parent = self._extract({"traceparent": traceparent}) if traceparent else None
        span: Any = self._tracer.start_span(
            name, context=parent, kind=self._server, start_time=int(start * 1e9), attributes=dict(attributes or {})
        )
        if failed:
            span.set_status(self._failed)
        span.end(end_time=int(end * 1e9))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def make_tracer(settings: Settings, service: str) -> Tracer | None:
    """Return a tracer if these settings ask for one."""
    if not settings.tracing_enabled:
        return None
    return Tracer(service, settings.otlp_endpoint, settings.tracing_sample_percent)
