"""Bundles on this data plane's own disk.

A bundle is copied from the object store once, into a folder beside its place, verified file by file, and renamed
into place: what is in place is whole. It is verified again at every load, because a disk can rot.

Several processes may share the folder. Each locks what it is fetching, so that nobody tidies it away; when two fetch
the same bundle the first one in place wins.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from arkwright.bundles import LoadedBundle, load_bundle, verify_bundle
from arkwright.core.errors import Invalid, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.kit.objects import ObjectStore

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_PARTIAL = ".fetch-"

log = get_logger(__name__)


class BundleStore:
    """The local cache of bundles.

    Parameters
    ----------
    folder
        Where bundles lie, one folder for each digest.
    objects
        The platform's object store.
    """

    def __init__(self, folder: Path, objects: ObjectStore) -> None:
        self._folder = folder
        self._objects = objects

    def load(self, workspace_id: str, digest: str, uri: str) -> LoadedBundle:
        """Return a verified bundle with its predictor, fetching it if it is not here.

        A local copy that does not verify is thrown away and fetched once more.

        Raises
        ------
        Invalid
            If the digest or the address is malformed, or the fetched bundle is corrupt.
        NotFound
            If the object store has no such bundle.
        Unavailable
            If the disk is full.
        """
        place = self._folder / _hex(digest)
        if place.is_dir():
            try:
                return load_bundle(place, digest)
            except Invalid as error:
                log.warning("cached bundle is corrupt, fetching it again", digest=digest, detail=error.detail)
                shutil.rmtree(place, ignore_errors=True)
        self._fetch(workspace_id, digest, uri, place)
        return load_bundle(place, digest)

    def load_local(self, digest: str, max_bytes: int) -> LoadedBundle | None:
        """Return a verified bundle that lies here and has at most so many bytes, or None."""
        place = self._folder / _hex(digest)
        try:
            if not place.is_dir() or sum(path.stat().st_size for path in place.rglob("*")) > max_bytes:
                return None
            return load_bundle(place, digest)
        except (Invalid, Unavailable, OSError) as error:
            log.warning("cached bundle cannot be loaded", digest=digest, detail=str(error))
            return None

    def evict(self, keep: Collection[str]) -> list[str]:
        """Remove every bundle whose digest is not to be kept, and what interrupted fetches left; return the digests."""
        if not self._folder.is_dir():
            return []
        wanted = {_hex(digest) for digest in keep}
        removed = []
        for path in self._folder.iterdir():
            if path.name in wanted or (path.name.startswith(_PARTIAL) and _is_locked(path)):
                continue
            shutil.rmtree(path, ignore_errors=True)
            if not path.name.startswith(_PARTIAL):
                removed.append(f"sha256:{path.name}")
        return sorted(removed)

    def _fetch(self, workspace_id: str, digest: str, uri: str, place: Path) -> None:
        objects = self._objects.for_workspace(workspace_id)
        key = _key(uri, objects.uri("x").removesuffix("x"))
        partial = self._folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            partial.mkdir(parents=True)
            with _locked(partial):
                objects.get_tree(key, partial)
                verify_bundle(partial, digest)
                _put_in_place(partial, place)
        except OSError as error:
            raise Unavailable(
                f"A bundle could not be stored below {self._folder}: {error.strerror or error}.",
                code="bundle.disk",
                hint="Free some space on that disk; the bundle is fetched again by itself.",
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, place: Path) -> None:
    try:
        partial.rename(place)
    except OSError:
        # Another process was quicker; what is in place is verified when it is loaded.
        if not place.is_dir():
            raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which goes with the process."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_locked(folder: Path) -> bool:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _hex(digest: str) -> str:
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise Invalid(
            f"{digest!r} is not a bundle digest.",
            code="bundle.digest",
            hint="One is 'sha256:' and 64 hexadecimal digits.",
        )
    return found[1]


def _key(uri: str, prefix: str) -> str:
    """Return the key of an address; a bundle of another workspace or another store cannot be named."""
    if "://" not in uri:
        return uri
    if not uri.startswith(prefix):
        raise Invalid(
            f"The bundle address {uri!r} is not below this workspace's objects.",
            code="bundle.uri",
            hint="The control plane and the data plane must use the same ARKWRIGHT_OBJECTS_URL.",
        )
    return uri[len(prefix) :]
