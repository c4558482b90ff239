"""Requests, problems, retries and pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from arkwright.core.errors import (
    AdapterError,
    ArkwrightError,
    Conflict,
    Invalid,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PayloadTooLarge,
    PolicyRefused,
    Unavailable,
)
from arkwright.core.problems import problem_document
from arkwright.sdk.connection import Connection
from arkwright.sdk.transport import MAX_TRIES, Transport, segment

Handler = Callable[[httpx.Request], httpx.Response]


class Network:
    """A wire whose faults are scripted; records what was sent."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.answers = list(answers)
        self.sent: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.sent.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def transport(self, key: str | None = "ark_key") -> Transport:
        return Transport(
            Connection("http://127.0.0.1:8585", key, home=Path("/data")),
            handler=httpx.MockTransport(self),
            sleep=self.pauses.append,
        )


def problem(error: ArkwrightError, **headers: str) -> httpx.Response:
    document = problem_document(error)
    return httpx.Response(error.status, json=document, headers={"content-type": "application/problem+json", **headers})


OK = httpx.Response(200, json={"ok": True})
LOST = httpx.RemoteProtocolError("Server disconnected without sending a response.")


@pytest.mark.parametrize(
    "error",
    [
        Invalid("wrong", code="dataset.empty", hint="do this", errors=[{"field": "a", "message": "b"}]),
        PayloadTooLarge("too much"),
        NotAuthenticated("who?", code="credential.missing"),
        NotPermitted("no"),
        NotFound("nowhere", code="model.not_found"),
        Conflict("state"),
        PolicyRefused("gate", unmet=["it does not beat the baseline"]),
        AdapterError("mlflow said no"),
        ArkwrightError("a defect"),
    ],
)
def test_a_problem_is_raised_as_the_class_it_was_raised_with(error: ArkwrightError) -> None:
    with pytest.raises(ArkwrightError) as raised:
        Network(problem(error)).transport().post("/v1/x")
    received = raised.value
    assert type(received) is type(error)
    assert (received.detail, received.code, received.hint, received.errors, received.extra()) == (
        error.detail, error.code, error.hint, error.errors, error.extra(),
    )  # fmt: skip


def test_the_key_and_an_idempotency_key_travel_with_a_post() -> None:
    network = Network(OK)
    network.transport().post("/v1/models", {"name": "grün"})
    sent = network.sent[0]
    assert sent.headers["authorization"] == "Bearer ark_key"
    assert len(sent.headers["idempotency-key"]) >= 16
    assert json.loads(sent.content) == {"name": "grün"}


def test_a_retried_post_carries_the_same_idempotency_key_and_body() -> None:
    network = Network(LOST, problem(Unavailable("busy")), OK)
    assert network.transport().post("/v1/models", {"name": "a"}) == {"ok": True}
    assert len(network.sent) == 3
    assert len({sent.headers["idempotency-key"] for sent in network.sent}) == 1
    assert len({sent.content for sent in network.sent}) == 1


def test_two_posts_have_different_idempotency_keys() -> None:
    network = Network(OK)
    transport = network.transport()
    transport.post("/v1/models", {"name": "a"})
    transport.post("/v1/models", {"name": "a"})
    assert network.sent[0].headers["idempotency-key"] != network.sent[1].headers["idempotency-key"]


@pytest.mark.parametrize("lost", [LOST, httpx.ReadError("reset"), httpx.WriteError("broken pipe")])
def test_a_lost_connection_is_tried_again_for_reads(lost: Exception) -> None:
    assert Network(lost, OK).transport().get("/v1/models") == {"ok": True}


def test_a_post_that_must_not_run_twice_is_not_sent_again_when_the_answer_is_lost() -> None:
    network = Network(LOST, OK)
    with pytest.raises(Unavailable):
        network.transport().post("/v1/inference/dep:predict", {}, again=False)
    assert len(network.sent) == 1


def test_a_post_that_must_not_run_twice_is_sent_again_when_it_was_shed_unseen() -> None:
    network = Network(problem(Unavailable("shedding load", retry_after_seconds=1)), OK)
    assert network.transport().post("/v1/inference/dep:predict", {}, again=False) == {"ok": True}


def test_a_gateway_s_lost_answer_is_not_sent_again_when_it_must_not_run_twice() -> None:
    network = Network(problem(AdapterError("the control plane went away")), OK)
    with pytest.raises(AdapterError):
        network.transport().post("/v1/inference/dep:predict", {}, again=False)
    assert len(network.sent) == 1


@pytest.mark.parametrize("error", [Invalid("no"), NotFound("no"), Conflict("no"), ArkwrightError("defect")])
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(error: ArkwrightError) -> None:
    network = Network(problem(error))
    with pytest.raises(type(error)):
        network.transport().get("/v1/x")
    assert len(network.sent) == 1


def test_our_own_earlier_try_in_flight_is_waited_for() -> None:
    network = Network(LOST, problem(Conflict("still working", code="idempotency.in_flight")), OK)
    assert network.transport().post("/v1/models", {}) == {"ok": True}


def test_pauses_follow_retry_after_and_stay_below_a_cap() -> None:
    network = Network(problem(Unavailable("wait"), **{"retry-after": "3"}), OK)
    network.transport().get("/v1/x")
    assert network.pauses == [3.0]
    network = Network(problem(Unavailable("wait"), **{"retry-after": "3600"}), OK)
    network.transport().get("/v1/x")
    assert network.pauses == [8.0]


def test_tries_end_and_the_last_problem_is_what_is_raised() -> None:
    network = Network(problem(Unavailable("busy for good")))
    with pytest.raises(Unavailable, match="busy for good"):
        network.transport().get("/v1/x")
    assert len(network.sent) == MAX_TRIES


def test_when_nothing_listens_the_error_comes_soon_and_says_how_to_start_it() -> None:
    network = Network(httpx.ConnectError("[Errno 111] Connection refused"))
    with pytest.raises(Unavailable) as raised:
        network.transport().get("/v1/x")
    assert raised.value.code == "platform.unreachable"
    assert "http://127.0.0.1:8585" in raised.value.detail
    assert "connection refused" in raised.value.detail
    assert "arkwright up --home /data" in (raised.value.hint or "")
    assert sum(network.pauses) < 1.0


def test_a_slow_answer_is_not_asked_for_again() -> None:
    network = Network(httpx.ReadTimeout("timed out"))
    with pytest.raises(Unavailable) as raised:
        network.transport().get("/v1/x")
    assert raised.value.code == "platform.timeout"
    assert len(network.sent) == 1


@pytest.mark.parametrize("answer", [httpx.Response(500, text="<html>oops"), httpx.Response(404, json=["x"])])
def test_an_error_without_a_problem_document_says_where_it_came_from(answer: httpx.Response) -> None:
    with pytest.raises(AdapterError, match=rf"/v1/x answered {answer.status_code}"):
        Network(answer).transport().get("/v1/x")


def test_an_answer_that_is_not_json_is_no_platform() -> None:
    with pytest.raises(AdapterError, match="not JSON"):
        Network(httpx.Response(200, text="<html>a captive portal")).transport().get("/v1/x")


def test_pages_are_followed_to_the_end_and_no_further_than_asked() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("cursor") or 0)
        stop = min(start + int(request.url.params["limit"]), 450)
        return httpx.Response(
            200, json={"items": list(range(start, stop)), "next_cursor": str(stop) if stop < 450 else None}
        )

    assert Network(page).transport().pages("/v1/x") == list(range(450))
    network = Network(page)
    assert network.transport().pages("/v1/x", limit=210, status="open") == list(range(210))
    assert [sent.url.params["limit"] for sent in network.sent] == ["200", "10"]
    assert network.sent[0].url.params["status"] == "open"


def test_an_upload_is_streamed_with_its_length_and_name_and_can_be_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "gruß.csv"
    path.write_bytes(b"a,b\n1,2\n" * 1000)
    network = Network(problem(Unavailable("busy")), OK)
    with path.open("rb") as stream:
        network.transport().upload("/v1/uploads", stream, path.name)
    for sent in network.sent:
        assert sent.content == path.read_bytes()
        assert sent.headers["content-length"] == "8000"
        assert sent.headers["x-filename"] == "gru%C3%9F.csv"


def test_a_download_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    assert Network(httpx.Response(200, content=b"x" * 100_000)).transport().download("/v1/o", target) == 100_000
    assert target.read_bytes() == b"x" * 100_000

    def broken(_request: httpx.Request) -> httpx.Response:
        def half() -> object:
            yield b"half"
            raise httpx.ReadError("reset")

        return httpx.Response(200, content=half())

    with pytest.raises(Unavailable):
        Network(broken).transport().download("/v1/o", tmp_path / "other.csv")
    with pytest.raises(NotFound):
        Network(problem(NotFound("no such batch"))).transport().download("/v1/o", tmp_path / "other.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_number_that_json_cannot_write_never_leaves() -> None:
    network = Network(OK)
    with pytest.raises(ValueError, match="not JSON compliant"):
        network.transport().post("/v1/x", {"value": float("nan")})
    assert network.sent == []


def test_a_name_with_a_slash_stays_one_segment() -> None:
    assert segment("../a b") == "..%2Fa%20b"


def test_a_proxy_for_the_outside_world_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    transport = Transport(Connection("http://127.0.0.1:9", None), sleep=lambda _seconds: None)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        transport.get("/v1/x")
    transport.close()
