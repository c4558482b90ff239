"""Making and recognising secrets."""

from __future__ import annotations

import hashlib
import secrets as randomness

KEY_PREFIX = "ark_"
SESSION_PREFIX = "arks_"
LINK_PREFIX = "arkl_"


def new_secret(prefix: str) -> str:
    """Return a fresh secret of 256 random bits behind a prefix that tells scanners what it is."""
    return prefix + randomness.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, in hex.

    A slow password hash would add nothing: 256 random bits cannot be guessed from their hash.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
