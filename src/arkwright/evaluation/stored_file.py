"""The files of an evaluation in the object store: kept under the hash of their bytes, and read back only if it fits."""

from __future__ import annotations

import hashlib

import msgspec

from arkwright.core.errors import Unavailable
from arkwright.core.structs import prepared
from arkwright.kit.objects import WorkspaceObjects


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the object store, and the SHA-256 of its bytes in hexadecimal."""

    key: str
    sha256: str
    size_bytes: int


def sections_of(job_id: str) -> str:
    """Return where an evaluation's job keeps its sections until it has ended."""
    return f"jobs/{job_id}/sections"


def store_file(objects: WorkspaceObjects, prefix: str, content: bytes, ending: str) -> StoredFile:
    """Keep a file; the same bytes twice are one object."""
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"{prefix}/{sha256}.{ending}"
    if not objects.exists(key):
        objects.put_bytes(key, content)
    return StoredFile(key=key, sha256=sha256, size_bytes=len(content))


def read_checked(objects: WorkspaceObjects, stored: StoredFile) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    NotFound
        If the object is gone.
    Unavailable
        If it is not what was kept.
    """
    content = objects.get_bytes(stored.key)
    if hashlib.sha256(content).hexdigest() != stored.sha256:
        raise Unavailable(
            f"What lies at {stored.key!r} is not what was kept there: its hash differs.",
            code="evaluation.file_damaged",
            hint="Restore the object store from a backup, or evaluate the version again, on data of your own.",
        )
    return content


prepared(StoredFile)
