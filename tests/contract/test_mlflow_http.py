"""What the wire makes of servers that are not a healthy MLflow: real sockets, nothing in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from arkwright.adapters.tracking import MlflowTracking
from arkwright.core.errors import AdapterError, Invalid, NotFound, Unavailable

Answering = Callable[..., MlflowTracking]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """A server that gives every request one answer, and a logbook that believes it is MLflow."""
    servers: list[HTTPServer] = []

    def start(status: int, body: str, headers: dict[str, str] | None = None, token: str = "") -> MlflowTracking:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                refused = token and self.headers.get("Authorization") != f"Bearer {token}"
                self.send_response(401 if refused else status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_arguments: object) -> None:
                """Stay quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return MlflowTracking.remote(f"http://127.0.0.1:{server.server_port}", token="right", timeout_seconds=5)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_socket_that_is_not_there_yet_means_try_again(tmp_path: Path) -> None:
    store = MlflowTracking.embedded(tmp_path / "mlflow.sock")
    with pytest.raises(Unavailable, match="does not answer") as refused:
        store.ping()
    assert refused.value.code == "tracking.unavailable"
    assert "up to 30 s" in str(refused.value.hint)
    assert refused.value.retry_after_seconds == 2


def test_a_proxy_in_the_environment_does_not_stand_before_our_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"mlflow\.sock"):
        MlflowTracking.embedded(tmp_path / "mlflow.sock").ping()


def test_an_overloaded_server_means_try_again_when_it_says(answering: Answering) -> None:
    with pytest.raises(Unavailable, match="status 503: busy") as refused:
        answering(503, "busy", {"Retry-After": "17"}).ping()
    assert refused.value.retry_after_seconds == 17
    assert "ARKWRIGHT_TRACKING_URL" in str(refused.value.hint)


def test_a_wrong_token_is_told_without_showing_it(answering: Answering) -> None:
    with pytest.raises(AdapterError, match="refused our credentials") as refused:
        answering(200, "3.17.2", token="another").ping()
    assert refused.value.code == "tracking.refused"
    assert "right" not in f"{refused.value.detail} {refused.value.hint}"


def test_a_login_page_is_no_mlflow(answering: Answering) -> None:
    with pytest.raises(AdapterError, match="something other than JSON") as refused:
        answering(200, "<html>Sign in</html>").ping()
    assert "login page" in str(refused.value.hint)


def test_a_missing_thing_is_not_found(answering: Answering) -> None:
    body = '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Run with id=1 not found\\n[SQL: SELECT]"}'
    with pytest.raises(NotFound, match="Run with id=1 not found") as refused:
        answering(404, body).get_trial("default", "1")
    assert "SQL" not in refused.value.detail


def test_any_other_refusal_names_the_request_and_the_reason(answering: Answering) -> None:
    body = '{"error_code": "INVALID_PARAMETER_VALUE", "message": "No such column"}'
    with pytest.raises(AdapterError, match=r"GET /version with status 400: No such column"):
        answering(400, body).ping()


@pytest.mark.parametrize("url", ["", "mlflow:5000", "file:///tmp/mlruns", "sqlite:///mlflow.db"])
def test_a_url_that_is_no_server_is_refused_at_once(url: str) -> None:
    with pytest.raises(Invalid, match="not an http or https URL"):
        MlflowTracking.remote(url)
