"""The short way reads a head as the parser does, or leaves it to the parser."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arkwright.serving import plain_head
from arkwright.serving.plain_head import read_plain_head

HEAD = b"POST /v1/inference/churn:predict HTTP/1.1\r\n"
BODY = b'{"instances":[{}]}'
PLAIN = (b"Host: 127.0.0.1", b"Content-Type: application/json", b"Content-Length: %d" % len(BODY))


def message(*lines: bytes, body: bytes = BODY, head: bytes = HEAD) -> bytes:
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


class Parsed:
    """What httptools makes of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.url, self.body, self.headers, self.complete, self.begun = b"", b"", [], 0, 0
        self.keeps_alive = self.upgrades = None
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        # Once the message has ended, the parser has forgotten both.
        self.keeps_alive, self.upgrades = self.parser.should_keep_alive(), self.parser.should_upgrade()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def agrees(data: bytes) -> bool:
    """Read on both ways; return whether the short way took it, after checking that the parser says the same."""
    plain = read_plain_head(data, 10_000)
    if plain is None:
        return False
    parsed = Parsed(data)
    assert (parsed.begun, parsed.complete) == (1, 1)
    assert parsed.url.decode() == plain.path
    assert dict(parsed.headers) == plain.headers
    assert len(parsed.headers) == len(plain.headers)
    assert parsed.body == plain.body
    assert (parsed.keeps_alive, parsed.upgrades) == (True, False)
    assert parsed.parser.get_method() == b"POST"
    assert parsed.parser.get_http_version() == "1.1"
    return True


@pytest.mark.parametrize(
    "extra",
    [
        (),
        (b"Connection: keep-alive",),
        (b"User-Agent: python-requests/2.32", b"Accept: */*", b"Accept-Encoding: gzip, deflate, br"),
        (b"authorization:Bearer ak_1",),
        (b"X-Request-Id: a.b:c-1",),
    ],
)
def test_what_programs_usually_send_goes_the_short_way(extra):
    assert agrees(message(*extra, *PLAIN))


@pytest.mark.parametrize(
    "data",
    [
        message(*PLAIN, b"Transfer-Encoding: chunked"),
        message(*PLAIN, b"Connection: close"),
        message(*PLAIN, b"Proxy-Connection: close"),
        message(*PLAIN, b"Connection: upgrade", b"Upgrade: websocket"),
        message(*PLAIN, b"Expect: 100-continue"),
        message(*PLAIN, b"Content-Length: 3"),
        message(*PLAIN, b"content-length: %d" % len(BODY)),
        message(*PLAIN, b"X-One: a", b"x-one: b"),
        message(*PLAIN, b" folded: line"),
        message(*PLAIN, b"X-Empty:"),
        message(*PLAIN, b"No colon"),
        message(*PLAIN, b"X Space: a"),
        message(*PLAIN, b"X-Latin: caf\xe9"),
        message(*PLAIN, b"X-Bare: a\rb"),
        message(*PLAIN, b"X-Bare: a\nb"),
        message(b"Content-Length: 0%d" % len(BODY)),
        message(b"Content-Length: +%d" % len(BODY)),
        message(b"Content-Length: %d" % (len(BODY) + 1)),
        message(b"Content-Length: %d" % (len(BODY) - 1)),
        message(b"Host: a"),
        message(*PLAIN) + b"POST",
        message(*PLAIN)[:-1],
        message(*PLAIN, head=b"GET /v1/inference/churn:predict HTTP/1.1\r\n"),
        message(*PLAIN, head=b"POST /v1/inference/churn:predict HTTP/1.0\r\n"),
        message(*PLAIN, head=b"POST /v1/inference/churn:predict?scores=true HTTP/1.1\r\n"),
        message(*PLAIN, head=b"POST /v1/inference/a%62:predict HTTP/1.1\r\n"),
        message(*PLAIN, head=b"POST /v1/inference/a/b:predict HTTP/1.1\r\n"),
        message(*PLAIN, head=b"POST  /v1/inference/a:predict HTTP/1.1\r\n"),
        message(*PLAIN, head=b"\r\nPOST /v1/inference/churn:predict HTTP/1.1\r\n"),
        message(b"X-Long: " + b"a" * 5_000, *PLAIN),
        b"",
    ],
)
def test_whatever_is_unusual_is_left_to_the_parser(data):
    assert read_plain_head(data, 10_000) is None


def test_lines_that_hold_secrets_or_change_each_time_are_not_kept():
    before = dict(plain_head._known)
    read_plain_head(message(b"Authorization: Bearer ak_secret", b"Cookie: a=b", b"X-Request-Id: r", *PLAIN), 10_000)
    kept = set(plain_head._known) - set(before)
    assert not any(word in line for line in kept for word in (b"Authorization", b"Cookie", b"X-Request-Id"))


def test_what_is_kept_of_strangers_lines_is_bounded():
    for number in range(3_000):
        read_plain_head(message(b"User-Agent: %d" % number, *PLAIN), 10_000)
    assert len(plain_head._known) <= 2_048
    assert max(map(len, plain_head._known)) <= 256


def test_a_large_body_is_left_to_the_parser():
    assert read_plain_head(message(*PLAIN), len(BODY) - 1) is None


names = st.text(st.sampled_from("aA-:_ \t1\x00é\r\n"), max_size=6).map(lambda text: text.encode("latin-1"))
known = st.sampled_from(
    b"Host Content-Length Transfer-Encoding Connection Proxy-Connection Upgrade Expect Content-Type TE".split()
)
values = st.one_of(
    st.sampled_from([b"18", b"chunked", b"keep-alive", b"close", b"upgrade", b"100-continue", b"application/json"]),
    st.binary(max_size=8),
)
lines = st.tuples(st.one_of(names, known), st.sampled_from([b": ", b":", b":  ", b" : ", b""]), values).map(b"".join)


@given(st.lists(lines, max_size=4), st.booleans())
@example([b"Connection: keep-alive"], True)
@example([b"Connection: keep-alive, Upgrade", b"Upgrade: h2c"], True)
def test_what_goes_the_short_way_is_what_the_parser_reads(drawn, with_length):
    agrees(message(*drawn, *(PLAIN if with_length else PLAIN[:2])))


@given(st.binary(min_size=1, max_size=3), st.integers(0, 160), st.booleans())
def test_a_message_with_bytes_changed_is_read_alike_or_not_at_all(noise, at, replaces):
    data = message(*PLAIN)
    agrees(data[:at] + noise + data[at + (len(noise) if replaces else 0) :])
