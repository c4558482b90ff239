"""The audit chain: each entry's hash covers its content and the hash before it.

``hash_n = SHA-256(hash_{n-1} || canonical JSON of entry n)``, with 64 zeros before the first. The canonical form is
RFC 8785, so that anyone can recompute it from an export, in any language.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import rfc8785

GENESIS = "0" * 64
_LARGEST_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One audited action, as exported: ``created_at`` is RFC 3339 text."""

    seq: int
    id: str
    workspace_id: str
    actor_id: str
    action: str
    entity_type: str
    entity_id: str
    request_id: str
    metadata: dict[str, Any]
    created_at: str


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """Whether a chain holds, over how many entries, and where it first breaks."""

    intact: bool
    n_entries: int
    head: str
    broken_at: int | None = None
    reason: str = ""


def canonical(value: Any) -> Any:
    """Return a value as JSON that RFC 8785 can write down: what it cannot hold becomes text.

    Integers beyond 2**53, infinities and NaN become their text; lone surrogates become U+FFFD; other objects become
    their ``str``. An entry is never refused for what somebody wrote into a comment.

    Examples
    --------
    >>> canonical({"n": 2**60, "share": float("nan"), "by": ("a", 1)})
    {'n': '1152921504606846976', 'share': 'nan', 'by': ['a', 1]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= _LARGEST_INTEGER else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, dict):
        return {_text(key): canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [canonical(each) for each in value]
    return _text(value)


def _text(value: Any) -> str:
    return str(value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def entry_hash(previous: str, entry: ChainEntry) -> str:
    """Return the hash of an entry that follows the hash ``previous``."""
    return hashlib.sha256(previous.encode("ascii") + rfc8785.dumps(asdict(entry))).hexdigest()


def verify_chain(entries: Iterable[tuple[ChainEntry, str]], expected_head: str | None = None) -> ChainVerdict:
    """Recompute a chain from its first entry.

    Parameters
    ----------
    entries
        Pairs of an entry and its recorded hash, in order of ``seq``, starting at 1.
    expected_head
        The hash the last entry should have, if it is known from elsewhere: finds entries cut off the end.

    Examples
    --------
    >>> entry = ChainEntry(1, "aud_1", "ws", "user_1", "model.promote", "model", "m", "req_1", {}, "2026-01-01T00:00Z")
    >>> verify_chain([(entry, entry_hash(GENESIS, entry))]).intact
    True
    >>> verify_chain([(entry, "f" * 64)]).reason
    'entry 1 was altered'
    """
    head = GENESIS
    n_entries = 0
    for entry, recorded in entries:
        n_entries += 1
        if entry.seq != n_entries:
            return ChainVerdict(False, n_entries - 1, head, n_entries, f"entry {n_entries} is missing")
        if entry_hash(head, entry) != recorded:
            return ChainVerdict(False, n_entries - 1, head, entry.seq, f"entry {entry.seq} was altered")
        head = recorded
    if expected_head is not None and head != expected_head:
        return ChainVerdict(False, n_entries, head, n_entries + 1, f"entries after {n_entries} are missing")
    return ChainVerdict(True, n_entries, head)
