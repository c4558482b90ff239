"""Objects on fsspec, one folder for each workspace.

A key is a relative path such as ``datasets/ds_1/dsv_1/data.parquet``. Writes are atomic: on a local disk by
writing beside the target and renaming, elsewhere by the store's own upload-then-commit.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from arkwright.core.errors import Invalid, NotFound, Unavailable

_CHUNK_BYTES = 1 << 20
_PARTIAL = ".partial"
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class ObjectStore:
    """A place for objects, named by URL (``file:///var/arkwright/objects``, ``s3://bucket/prefix``).

    Raises
    ------
    Invalid
        If the URL's scheme is unknown or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            filesystem, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise Invalid(
                f"The object store URL ({url.partition('://')[0][:20]}) cannot be used: {_reason(error, url)}.",
                code="objects.url",
                hint="Use file:///a/folder, or install the fsspec driver for the scheme (s3fs, gcsfs, adlfs).",
            ) from error
        self.url = url.rstrip("/")
        self._filesystem: Any = filesystem
        self._root = str(root).rstrip("/")

    def for_workspace(self, workspace_id: str) -> WorkspaceObjects:
        """Return the workspace's own part of the store; nothing else can be reached through it."""
        if not workspace_id:
            raise Invalid(
                "No workspace is set.", code="workspace.missing", hint="Objects belong to a workspace: name it."
            )
        return WorkspaceObjects(
            self._filesystem, f"{self._root}/workspaces/{workspace_id}", f"{self.url}/workspaces/{workspace_id}"
        )


class WorkspaceObjects:
    """The objects of one workspace."""

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._filesystem = filesystem
        self._root = root
        self._url = url
        self._local = isinstance(filesystem, LocalFileSystem)

    def uri(self, key: str) -> str:
        """Return the full address of a key."""
        return f"{self._url}/{_clean(key)}"

    def local_path(self, key: str) -> Path | None:
        """Return the object's path on this machine's disk, or None where the store is remote."""
        return Path(self._path(key)) if self._local else None

    def put_bytes(self, key: str, content: bytes) -> None:
        """Store bytes; the key holds all of them or is untouched."""
        with self.open_write(key) as stream:
            stream.write(content)

    def get_bytes(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self.open_read(key) as stream:
            return bytes(stream.read())

    def exists(self, key: str) -> bool:
        """Tell whether there is an object at the key."""
        return bool(self._filesystem.isfile(self._path(key)))

    def size(self, key: str) -> int:
        """Return an object's size in bytes."""
        try:
            return int(self._filesystem.size(self._path(key)))
        except _ABSENT as error:
            raise _missing(key) from error

    def delete(self, key: str) -> None:
        """Remove an object or everything below a prefix; absent keys are fine."""
        path = self._path(key)
        if self._filesystem.exists(path):
            # Somebody else may have removed it in between, which is just as well.
            with suppress(FileNotFoundError):
                self._filesystem.rm(path, recursive=True)

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys below a prefix, sorted."""
        top = self._path(prefix) if prefix else self._root
        if not self._filesystem.exists(top):
            return []
        found = self._filesystem.find(top)
        skip = len(self._root) + 1
        keys = (str(path)[skip:] for path in found)
        return sorted(key for key in keys if not key.startswith(_PARTIAL + "/"))

    def open_read(self, key: str) -> IO[bytes]:
        """Open an object for reading."""
        try:
            stream: IO[bytes] = self._filesystem.open(self._path(key), "rb")
        except _ABSENT as error:
            raise _missing(key) from error
        return stream

    @contextmanager
    def open_write(self, key: str) -> Iterator[IO[bytes]]:
        """Open a key for writing; it appears, whole, when the block ends without an error.

        Raises
        ------
        Unavailable
            If the disk is full or cannot be written to, or the block fails with an ``OSError`` of its own.
        """
        path = self._path(key)
        if not self._local:
            with self._filesystem.open(path, "wb") as stream:
                yield stream
            return
        target = Path(path)
        # Beside the objects, not among them: what a crash leaves here is no part of any folder that is verified.
        partial = Path(self._root) / _PARTIAL / uuid.uuid4().hex
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)
            _sync_folder(target.parent)
        except BaseException as error:
            # Where even this fails, the first error is the one to hear of.
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise disk_problem(error, target.parent) from error
            raise

    def sweep(self, abandoned_seconds: float) -> int:
        """Remove what interrupted writes left on this machine's disk; return how many files.

        Parameters
        ----------
        abandoned_seconds
            How long a file must have been left alone.
        """
        folder = Path(self._root) / _PARTIAL
        if not self._local or not folder.is_dir():
            return 0
        removed = 0
        for path in folder.iterdir():
            try:
                if time.time() - path.stat().st_mtime > abandoned_seconds:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # it was finished in between
        return removed

    def put_file(self, key: str, source: Path) -> None:
        """Store a file's content."""
        with source.open("rb") as reader, self.open_write(key) as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                writer.write(chunk)

    def get_file(self, key: str, target: Path) -> None:
        """Copy an object to a local file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open_read(key) as reader, target.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                writer.write(chunk)

    def put_tree(self, prefix: str, folder: Path) -> None:
        """Store every file below a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path)

    def get_tree(self, prefix: str, folder: Path) -> None:
        """Copy every object below a prefix into a folder."""
        keys = self.list(prefix)
        if not keys:
            raise _missing(prefix)
        for key in keys:
            self.get_file(key, folder / PurePosixPath(key).relative_to(prefix))

    def _path(self, key: str) -> str:
        return f"{self._root}/{_clean(key)}"


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut: the database may refer to the object from now on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_problem(error: OSError, folder: Path) -> Unavailable:
    """Turn an operating system's error on a folder into a problem that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(
            f"There is no space left on the disk that holds {folder}; nothing was written.",
            code="disk.full",
            hint="Free some space, or start with --home on a larger disk, and try again.",
            retry_after_seconds=60,
        )
    return Unavailable(
        f"Writing below {folder} failed: {error.strerror or error}; nothing was written.",
        code="disk.unwritable",
        hint="Check that the folder exists and that this user may write to it.",
        retry_after_seconds=60,
    )


def _reason(error: Exception, url: str) -> str:
    """Return an error's text, unless it repeats the URL, which may hold a password."""
    text = str(error)
    return type(error).__name__ if url in text or "@" in text else text


def _clean(key: str) -> str:
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == _PARTIAL or "\0" in key:
        raise Invalid(f"{key!r} is not an object key.", code="objects.key", hint="Keys are relative, without '..'.")
    return path.as_posix()


def _missing(key: str) -> NotFound:
    return NotFound(
        f"There is no object at {key!r} in this workspace.",
        code="objects.missing",
        hint="If it was there before, restore the object store from a backup.",
    )
