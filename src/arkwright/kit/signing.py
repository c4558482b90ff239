"""The platform's signing key: Ed25519, made at first use, in the home's ``keys`` folder.

``signing.key`` is the private key (PKCS #8 in PEM, readable by its owner alone); ``signing.pub`` is the public key that
verifiers are given. Every public key is kept as ``<key id>.pub`` as well, so that what was signed before the key was
replaced can still be verified: remove that file of a key that is no longer to be trusted.

References
----------
Josefsson & Liusvaara (2017), "Edwards-Curve Digital Signature Algorithm (EdDSA)", RFC 8032.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from arkwright.core.dsse import Envelope, verified_payload
from arkwright.core.errors import Invalid, NotFound, Unavailable

FOLDER, PRIVATE, PUBLIC = "keys", "signing.key", "signing.pub"
_ID_DIGITS = 16
_ID = re.compile(r"[0-9a-f]{16}")
_MAX_KEY_BYTES = 64 << 10


@dataclass(frozen=True)
class VerifyingKey:
    """A public key; ``key_id`` is the first 16 hexadecimal digits of its SHA-256."""

    raw: bytes

    @property
    def key_id(self) -> str:
        """What envelopes call it."""
        return hashlib.sha256(self.raw).hexdigest()[:_ID_DIGITS]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """Return it as a file holds it."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )


class SigningKey:
    """A private key; it does not show itself."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = VerifyingKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes; the same one each time."""
        return self._key.sign(message)


def signing_key(home: Path) -> SigningKey:
    """Return the platform's key; make it if there is none, once, however many processes ask at the same moment.

    Raises
    ------
    Invalid
        If the file is no Ed25519 key, or others than its owner may read it.
    Unavailable
        If it cannot be read or written.
    """
    folder = home / FOLDER
    try:
        if not (folder / PRIVATE).exists():
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            with _alone(folder):
                if not (folder / PRIVATE).exists():
                    _write(folder / PRIVATE, _new_key(), 0o600)
        key = _read_private(folder / PRIVATE)
        _publish(folder, key.public)
    except OSError as error:
        raise Unavailable(
            f"The signing key in {folder} cannot be used: {error.strerror or error}.",
            code="signing.key_unavailable",
            hint="Check the free space and the permissions of that folder, then try again.",
        ) from error
    return key


def platform_key(home: Path, named: Collection[str] = ()) -> VerifyingKey:
    """Return the public key of a platform's home: the one in use, or an earlier one.

    Parameters
    ----------
    named
        Ids of the keys that a signed file names. If none of them is the key in use, and one of them was in use before
        and its public key is still there, that one is returned.

    Raises
    ------
    NotFound
        If nothing was signed there yet.
    """
    path = home / FOLDER / PUBLIC
    current = read_public_key(path) if path.exists() else None
    if current is not None and current.key_id in named:
        return current
    for key_id in named:
        earlier = home / FOLDER / f"{key_id}.pub"
        # The id is what somebody wrote into a file: it names a key here, or nothing.
        if _ID.fullmatch(key_id) and earlier.is_file():
            key = read_public_key(earlier)
            if key.key_id == key_id:
                return key
    if current is None:
        raise NotFound(
            f"There is no public key at {path}.",
            code="signing.no_key",
            hint="Give the public key of whoever signed it: --key FILE.",
        )
    return current


def read_public_key(path: Path) -> VerifyingKey:
    """Read a public key from a PEM file.

    Raises
    ------
    Invalid
        If the file holds something else.
    """
    data = path.read_bytes()[:_MAX_KEY_BYTES]
    if b"PRIVATE KEY" in data:
        raise Invalid(
            f"{path} holds a private key, which verifying does not need.",
            code="signing.private_key",
            hint=f"Give the public key; the platform's is {PUBLIC}, beside it.",
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path, "public") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "public")
    return VerifyingKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def verify_envelope(envelope: Envelope, key: VerifyingKey, *, source: str = "This file") -> bytes:
    """Return the payload if it is signed with the key.

    Raises
    ------
    Invalid
        As :func:`~arkwright.core.dsse.verified_payload` does.
    """
    return verified_payload(envelope, key.key_id, key.verifies, source=source)


def _publish(folder: Path, key: VerifyingKey) -> None:
    """Write the public key where verifiers look for it; one that was there before is kept under its id."""
    public = folder / PUBLIC
    own = folder / f"{key.key_id}.pub"
    if own.exists() and public.exists() and public.read_bytes() == key.pem():
        return
    with _alone(folder):
        if public.exists() and public.read_bytes() != key.pem():
            with suppress(Invalid):  # what is no public key is none that anything was signed with
                before = read_public_key(public)
                _write(folder / f"{before.key_id}.pub", before.pem(), 0o644)
        _write(own, key.pem(), 0o644)
        _write(public, key.pem(), 0o644)


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_private(path: Path) -> SigningKey:
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise Invalid(
                f"Others than its owner may read or change the signing key {path}.",
                code="signing.key_exposed",
                hint=f"If nobody has read it: chmod 600 {path}. Otherwise remove it, so that a new one is made.",
            )
        data = file.read(_MAX_KEY_BYTES)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path, "private") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "private")
    return SigningKey(key)


def _no_key(path: Path, kind: str) -> Invalid:
    return Invalid(
        f"{path} holds no Ed25519 {kind} key.",
        code="signing.not_a_key",
        hint=f"It should be a PEM file that begins with -----BEGIN {kind.upper()} KEY-----.",
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file that appears whole or not at all; what an interrupted writer left is written over."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
