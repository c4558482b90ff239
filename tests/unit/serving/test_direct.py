"""Requests as bytes on a socket: the short way and the ordinary one, slow clients, half-open connections."""

from __future__ import annotations

import asyncio
import contextlib
import json

import msgspec
import pytest
from tests.unit.serving.conftest import KEY, predict, until
from tests.unit.serving.live import live_plane

from arkwright.serving import bodies, direct

ROWS = [{"tenure": 3, "contract": "month"}]
BODY = msgspec.json.encode({"instances": ROWS})


def request(body=BODY, path="/v1/inference/dep_1:predict", method="POST", **headers):
    given = {"host": "x", "authorization": f"Bearer {KEY}", "content-type": "application/json"}
    given["content-length"] = str(len(body))
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value is not None)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answer_of(reader):
    """Read one response: its status, headers and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, body


@contextlib.asynccontextmanager
async def connection(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
def ordinary_requests(monkeypatch):
    """Count the requests that went through ASGI."""
    seen = []
    plain = direct.HttpToolsProtocol.on_headers_complete

    def counted(self):
        seen.append(self.url)
        plain(self)

    monkeypatch.setattr(direct.HttpToolsProtocol, "on_headers_complete", counted)
    return seen


async def test_a_small_request_goes_the_short_way_and_gets_the_ordinary_answer(platform, ordinary_requests):
    async with live_plane(platform) as (plane, port), connection(port) as (reader, writer):
        expected = await predict(plane, ROWS, x_request_id="mine")
        writer.write(request(x_request_id="mine"))
        status, headers, body = await answer_of(reader)
    assert ordinary_requests == []
    assert (status, headers["x-request-id"], headers["content-type"]) == (200, "mine", "application/json")
    answer = json.loads(body)
    assert {**answer, "latency_ms": 0} == {**expected.json, "latency_ms": 0}


@pytest.mark.parametrize(
    ("changes", "status", "short"),
    [
        ({}, 200, True),
        ({"body": b'{"instances": [{}]}'}, 422, True),
        ({"body": b"{"}, 422, True),
        ({"body": b""}, 422, True),
        ({"content_type": "text/csv"}, 415, False),
        ({"content_type": "application/json; charset=utf-8"}, 200, False),
        ({"content_type": None}, 200, False),
        ({"authorization": "Bearer unknown"}, 401, False),
        ({"authorization": None}, 401, False),
        ({"path": "/v1/inference/dep_9:predict"}, 404, False),
        ({"path": "/v1/inference/dep_1:predict?scores=true"}, 200, False),
        ({"path": "/v1/inference/dep%5F1:predict"}, 200, False),
        ({"method": "PUT"}, 405, False),
        ({"content_encoding": "gzip"}, 422, False),
        ({"body": b" " * 40_000 + BODY}, 200, False),
        ({"path": "/predict"}, 200, False),
        ({"path": "/health", "method": "GET", "body": b""}, 200, False),
    ],
)
async def test_each_request_gets_its_status_on_either_way(platform, ordinary_requests, changes, status, short):
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        for _ in range(2):
            writer.write(request(**changes))
            assert (await answer_of(reader))[0] == status
    assert (ordinary_requests == []) is short


async def test_a_body_in_pieces_is_answered_the_ordinary_way(platform, ordinary_requests):
    whole = request()
    async with live_plane(platform) as (plane, port), connection(port) as (reader, writer):
        for cut in (10, len(whole) - len(BODY), len(whole) - 5):
            writer.write(whole[:cut])
            await writer.drain()
            if cut > 10:
                await until(lambda: plane.core.slots.taken == 1)
            writer.write(whole[cut:])
            assert (await answer_of(reader))[0] == 200
        writer.write(whole)
        assert (await answer_of(reader))[0] == 200
    assert 2 <= len(ordinary_requests) <= 3


async def test_pipelined_requests_are_answered_in_order(platform):
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        mixed = [
            request(x_request_id="r0"),
            request(x_request_id="r1", path="/v1/inference/dep_9:predict"),
            request(x_request_id="r2"),
            request(x_request_id="r3", path="/predict"),
            request(x_request_id="r4"),
            request(x_request_id="r5"),
        ]
        writer.write(b"".join(mixed))
        answers = [await answer_of(reader) for _ in mixed]
    assert [headers["x-request-id"] for _, headers, _ in answers] == [f"r{index}" for index in range(6)]
    assert [status for status, _, _ in answers] == [200, 404, 200, 200, 200, 200]


async def test_a_long_burst_of_pipelined_requests_is_answered_to_the_last(platform):
    one = request()
    n_requests = 70_000 // len(one) + 1
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        # The piece ends in the middle of a head: what came before it is no part of that head.
        writer.write(one * n_requests + one[:40])
        answers = [await answer_of(reader) for _ in range(n_requests)]
        writer.write(one[40:])
        answers.append(await answer_of(reader))
    assert {status for status, _, _ in answers} == {200}


@pytest.mark.parametrize("idle", [b"", b"\r\n"])
async def test_an_idle_connection_is_closed_whatever_is_not_a_request(platform, monkeypatch, idle):
    async with live_plane(platform) as (_plane, port):
        plain = direct.HttpToolsProtocol.connection_made

        def impatient(self, transport):
            plain(self, transport)
            self.timeout_keep_alive = 0.2

        monkeypatch.setattr(direct.HttpToolsProtocol, "connection_made", impatient)
        async with connection(port) as (reader, writer):
            writer.write(request())
            assert (await answer_of(reader))[0] == 200
            writer.write(idle)
            async with asyncio.timeout(10):
                assert await reader.read() == b""


async def test_a_connection_in_use_outlives_the_idle_time(platform, monkeypatch):
    async with live_plane(platform) as (_plane, port):
        plain = direct.HttpToolsProtocol.connection_made

        def impatient(self, transport):
            plain(self, transport)
            self.timeout_keep_alive = 0.4

        monkeypatch.setattr(direct.HttpToolsProtocol, "connection_made", impatient)
        async with connection(port) as (reader, writer):
            for _ in range(8):
                writer.write(request())
                assert (await answer_of(reader))[0] == 200
                await asyncio.sleep(0.1)


async def test_a_connection_that_asks_to_be_closed_is(platform):
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        writer.write(request(connection="close"))
        status, headers, _body = await answer_of(reader)
        assert (status, headers["connection"]) == (200, "close")
        assert await reader.read() == b""


async def test_a_chunked_body_is_read(platform):
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    head = request(b"", content_length=None, transfer_encoding="chunked")
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        writer.write(head + chunked)
        assert (await answer_of(reader))[0] == 200


async def test_a_slow_body_ends_in_408_and_neighbours_go_on(platform, monkeypatch):
    monkeypatch.setattr(bodies, "_LOOK_SECONDS", 0.02)
    async with live_plane(platform) as (plane, port), connection(port) as (slow, slow_writer):
        plane.core.bodies._timeout_seconds = 0.1
        slow_writer.write(request()[:-5])
        await until(lambda: plane.core.slots.taken == 1)
        async with connection(port) as (reader, writer):
            for _ in range(20):
                writer.write(request())
                assert (await answer_of(reader))[0] == 200
        status, _headers, body = await answer_of(slow)
        assert plane.core.slots.taken == 0
    assert status == 408
    assert json.loads(body)["code"] == "request_timeout"


async def test_a_hundred_megabytes_are_refused_unread_and_the_connection_lives(platform):
    async with live_plane(platform) as (plane, port), connection(port) as (reader, writer):
        writer.write(request(b"", content_length="100000000"))
        status, _headers, body = await answer_of(reader)
        assert (status, json.loads(body)["code"]) == (413, "payload_too_large")
        piece = b"x" * 1_000_000
        for _ in range(100):
            writer.write(piece)
            await writer.drain()
        writer.write(request())
        assert (await answer_of(reader))[0] == 200
        assert plane.core.slots.taken == 0


async def test_a_half_open_connection_is_closed_and_a_head_that_stalls_too(platform, monkeypatch):
    monkeypatch.setattr(direct, "HEAD_SECONDS", 0.1)
    async with live_plane(platform) as (_plane, port):
        async with connection(port) as (reader, _writer):
            assert await reader.read() == b""
        async with connection(port) as (reader, writer):
            writer.write(request())
            assert (await answer_of(reader))[0] == 200
            writer.write(b"POST /v1/inference/dep_1:predict HTTP/1.1\r\nhost: x\r\n")
            assert await reader.read() == b""


async def test_a_head_without_end_ends_the_connection(platform):
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        writer.write(b"POST /v1/inference/dep_1:predict HTTP/1.1\r\nx: " + b"x" * 100_000)
        # The 431 may be lost to the reset that unread bytes cause.
        with contextlib.suppress(ConnectionError):
            assert (await reader.read())[:12] in (b"HTTP/1.1 431", b"")


@pytest.mark.parametrize("nonsense", [b"\x00\xff\x00\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"])
async def test_what_is_no_http_ends_the_connection_and_nothing_else(platform, nonsense):
    async with live_plane(platform) as (_plane, port):
        async with connection(port) as (reader, writer):
            writer.write(nonsense)
            await reader.read()
        async with connection(port) as (reader, writer):
            writer.write(request())
            assert (await answer_of(reader))[0] == 200


async def test_at_full_load_refusals_say_when_to_come_back_and_health_answers(platform):
    platform.settings.predict_max_in_flight = 4
    async with live_plane(platform) as (plane, port), contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            _reader, writer = await stack.enter_async_context(connection(port))
            writer.write(request()[:-5])
        await until(lambda: plane.core.slots.taken == 3)
        async with connection(port) as (reader, writer):
            writer.write(request())
            status, headers, _body = await answer_of(reader)
            assert (status, headers["retry-after"]) == (429, "1")
            writer.write(request(b"", path="/health/ready", method="GET"))
            assert (await answer_of(reader))[0] == 200


async def test_a_small_body_of_many_rows_goes_to_the_scoring_thread(platform, ordinary_requests):
    few, many = (msgspec.json.encode({"instances": [{"tenure": 1, "contract": "a"}] * n}) for n in (150, 300))
    async with live_plane(platform) as (_plane, port), connection(port) as (reader, writer):
        for body, n_ordinary in ((few, 0), (many, 1)):
            assert len(body) < direct.INLINE_BODY_BYTES
            writer.write(request(body))
            assert (await answer_of(reader))[0] == 200
            assert len(ordinary_requests) == n_ordinary
