from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from arkwright.kit.settings import Settings
from arkwright.kit.tracing import make_tracer

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOT_RECORDED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture
def collector() -> Iterator[tuple[str, Queue[bytes]]]:
    """A collector that keeps what it is sent."""
    received: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                content = gzip.decompress(content)
            received.put(content)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def spans_of(received: Queue[bytes]) -> list[Any]:
    spans: list[Any] = []
    while not received.empty():
        request = ExportTraceServiceRequest.FromString(received.get())
        spans += [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    return spans


def test_a_request_becomes_a_span_of_its_callers_trace(collector: tuple[str, Queue[bytes]]) -> None:
    url, received = collector
    tracer = make_tracer(Settings(tracing_enabled=True, otlp_endpoint=url), "serving")
    assert tracer is not None
    tracer.record("predict", start=10.0, end=10.5, traceparent=PARENT, attributes={"arkwright.model": "churn"})
    tracer.record("predict", start=11.0, end=11.5, traceparent=NOT_RECORDED)
    tracer.record("predict", start=12.0, end=12.5, failed=True)
    tracer.close()
    first, second = sorted(spans_of(received), key=lambda span: span.start_time_unix_nano)
    assert first.trace_id.hex() == PARENT.split("-")[1]
    assert first.parent_span_id.hex() == PARENT.split("-")[2]
    assert first.end_time_unix_nano - first.start_time_unix_nano == 500_000_000
    assert {item.key: item.value.string_value for item in first.attributes} == {"arkwright.model": "churn"}
    assert second.status.code == 2


def test_without_the_setting_there_is_no_tracer() -> None:
    assert make_tracer(Settings(), "serving") is None


def test_a_collector_that_is_away_fails_no_request() -> None:
    tracer = make_tracer(Settings(tracing_enabled=True, otlp_endpoint="http://127.0.0.1:9"), "serving")
    assert tracer is not None
    tracer.record("predict", start=1.0, end=2.0)
    # Its thread would try again beside the tests that follow.
    tracer.close()


def test_the_older_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_TRACING_ENABLED", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    settings = Settings()
    assert (settings.tracing_enabled, settings.otlp_endpoint) == (True, "http://collector:4318")
