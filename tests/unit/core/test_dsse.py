"""The envelope: what is signed, what is read, and what is refused in which words."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.dsse import (
    MAX_ENVELOPE_BYTES,
    pre_authentication_encoding,
    read_envelope,
    seal,
    unverified_payload,
    verified_payload,
)
from arkwright.core.errors import Invalid

KIND = "http://example.com/HelloWorld"


def sign(message):
    return hashlib.sha256(b"secret" + message).digest()


def verify(message, signature):
    return sign(message) == signature


def written(**changes):
    envelope = {
        "payload": base64.b64encode(b"hello world").decode(),
        "payloadType": KIND,
        "signatures": [
            {"keyid": "k1", "sig": base64.b64encode(sign(b"DSSEv1 29 %b 11 hello world" % KIND.encode())).decode()}
        ],
    }
    return json.dumps(envelope | changes).encode()


def test_the_encoding_is_that_of_the_specifications_example():
    assert (
        pre_authentication_encoding(KIND, b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_count_bytes_and_not_characters():
    assert pre_authentication_encoding("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"


@given(st.text(max_size=8), st.binary(max_size=8), st.text(max_size=8), st.binary(max_size=8))
def test_two_contents_never_have_the_same_encoding(kind, payload, other_kind, other_payload):
    same = pre_authentication_encoding(kind, payload) == pre_authentication_encoding(other_kind, other_payload)
    assert same == ((kind, payload) == (other_kind, other_payload))


@given(st.binary(max_size=64))
def test_what_was_sealed_is_what_comes_out(payload):
    envelope = seal(KIND, payload, "k1", sign)
    assert verified_payload(envelope, "k1", verify) == payload


def test_an_envelope_written_by_another_tool_is_read():
    assert verified_payload(read_envelope(written(extra=1)), "k1", verify) == b"hello world"


def test_url_safe_base64_is_read_as_well():
    payload = bytes(range(248, 256)) * 3
    envelope = seal(KIND, payload, "k1", sign)
    swapped = read_envelope(written(payload=envelope.payload.replace("+", "-").replace("/", "_")))
    assert unverified_payload(swapped) == payload


def test_a_signature_without_a_key_id_is_tried():
    (signature,) = json.loads(written())["signatures"]
    envelope = read_envelope(written(signatures=[{"sig": "AAAA"}, {"sig": signature["sig"]}]))
    assert verified_payload(envelope, "k1", verify) == b"hello world"


def test_a_signature_that_is_no_base64_hides_none_of_the_others():
    (signature,) = json.loads(written())["signatures"]
    envelope = read_envelope(written(signatures=[{"sig": "§", "keyid": "k0"}, signature]))
    assert verified_payload(envelope, "k1", verify) == b"hello world"
    with pytest.raises(Invalid, match="is not signed with the key k1: it names k0"):
        verified_payload(read_envelope(written(signatures=[{"sig": "§", "keyid": "k0"}])), "k1", verify)


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": base64.b64encode(b"hello World").decode()},
        {"payloadType": "http://example.com/Other"},
        {"signatures": [{"keyid": "k1", "sig": base64.b64encode(b"x" * 32).decode()}]},
    ],
    ids=["payload", "type", "signature"],
)
def test_a_change_after_signing_is_noticed_and_said(changes):
    with pytest.raises(Invalid, match="not what was signed with the key k1") as refused:
        verified_payload(read_envelope(written(**changes)), "k1", verify, source="card.json")
    assert refused.value.code == "envelope.tampered"


def test_the_key_of_somebody_else_is_named():
    with pytest.raises(Invalid, match=r"card.json is not signed with the key k9: it names k1\.") as refused:
        verified_payload(read_envelope(written()), "k9", lambda _message, _signature: False, source="card.json")
    assert refused.value.code == "envelope.unknown_key"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"# A card",
        b"[]",
        b"{}",
        b'{"payload": 1, "payloadType": "", "signatures": []}',
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_envelope_is_called_so(data):
    with pytest.raises(Invalid, match=r"card.json is no signed envelope: ") as refused:
        read_envelope(data, source="card.json")
    assert refused.value.code == "envelope.not_one"
    assert refused.value.hint


def test_an_endless_file_is_refused_before_it_is_parsed():
    with pytest.raises(Invalid, match="34 MB large"):
        read_envelope(b" " * (MAX_ENVELOPE_BYTES + 1))


def test_an_envelope_without_signatures_is_called_unsigned():
    with pytest.raises(Invalid, match="not signed"):
        read_envelope(written(signatures=[]))


def test_a_payload_that_is_no_base64_is_refused():
    with pytest.raises(Invalid, match="payload cannot be read"):
        unverified_payload(read_envelope(written(payload="%%%")))
