"""The envelope a signed document travels in: DSSE, as in-toto, SLSA and sigstore use it. No cryptography in here.

What is signed is the payload's bytes together with its type, so that nobody can have a document read as something it
was not signed as; the bytes are carried as they were signed, so that nothing has to be written the same way twice.

References
----------
Dead Simple Signing Envelope, protocol and envelope, version 1.0.2 (https://github.com/secure-systems-lab/dsse).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec

from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared

MAX_ENVELOPE_BYTES = 32 << 20


class EnvelopeSignature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature, in base64; ``keyid`` only helps to find the key: it is not signed, and proves nothing."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename={"payload_type": "payloadType"}):
    """A payload in base64, what it is, and who signed it."""

    payload: str
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]


prepared(Envelope)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed.

    Examples
    --------
    >>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, key_id: str, sign: Callable[[bytes], bytes]) -> Envelope:
    """Put a payload into an envelope and sign it.

    Parameters
    ----------
    sign
        Answers the signature of the bytes it is given.
    """
    signature = sign(pre_authentication_encoding(payload_type, payload))
    return Envelope(
        payload=base64.b64encode(payload).decode(),
        payload_type=payload_type,
        signatures=(EnvelopeSignature(sig=base64.b64encode(signature).decode(), keyid=key_id),),
    )


def read_envelope(data: bytes, *, source: str = "This file") -> Envelope:
    """Read an envelope; nothing in it is verified yet.

    Parameters
    ----------
    source
        What to call it in messages.

    Raises
    ------
    Invalid
        If it is none, or holds no signature.
    """
    hint = "Give the signed file itself, such as card.dsse.json."
    if len(data) > MAX_ENVELOPE_BYTES:
        size = f"{len(data) / 1e6:,.0f} MB"
        raise Invalid(f"{source} is no signed envelope: it is {size} large.", code="envelope.not_one", hint=hint)
    try:
        envelope = msgspec.json.decode(data, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"{source} is no signed envelope: {error}.", code="envelope.not_one", hint=hint) from error
    if not envelope.signatures:
        raise Invalid(f"{source} is not signed: its list of signatures is empty.", code="envelope.unsigned", hint=hint)
    return envelope


def unverified_payload(envelope: Envelope) -> bytes:
    """Return the payload's bytes without looking at any signature: good for showing, not for trusting.

    Raises
    ------
    Invalid
        If it is no base64.
    """
    return _decoded(envelope.payload, "payload")


def verified_payload(
    envelope: Envelope, key_id: str, verify: Callable[[bytes, bytes], bool], *, source: str = "This file"
) -> bytes:
    """Return the payload's bytes if one of the signatures is the key's.

    Parameters
    ----------
    key_id
        Of the key that is trusted.
    verify
        Tells whether a signature (second) of a message (first) is the key's.

    Raises
    ------
    Invalid
        If no signature is the key's: it was changed after it was signed, or somebody else signed it.
    """
    payload = unverified_payload(envelope)
    message = pre_authentication_encoding(envelope.payload_type, payload)
    # Every signature is tried: a key's id is a hint that anybody can write.
    if any(verify(message, signature) for signature in _readable(envelope)):
        return payload
    named = sorted({item.keyid for item in envelope.signatures if item.keyid})
    if key_id not in named and named:
        raise Invalid(
            f"{source} is not signed with the key {key_id}: it names {', '.join(named)}.",
            code="envelope.unknown_key",
            hint="Give the public key of whoever signed it, if you trust them: --key FILE.",
        )
    raise Invalid(
        f"{source} is not what was signed with the key {key_id}: its content, its type or its signature was changed.",
        code="envelope.tampered",
        hint="Do not rely on it; fetch it again from where it was published.",
    )


def _readable(envelope: Envelope) -> Iterator[bytes]:
    """Yield the signatures that are base64: one that is not is nobody's, and hides none of the others."""
    for item in envelope.signatures:
        with suppress(Invalid):
            yield _decoded(item.sig, "signature")


def _decoded(text: str, what: str) -> bytes:
    """Decode standard or URL-safe base64; the specification allows both."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(
            f"The envelope's {what} cannot be read: it is not base64.",
            code="envelope.not_one",
            hint="Do not rely on it; fetch it again from where it was published.",
        ) from error
