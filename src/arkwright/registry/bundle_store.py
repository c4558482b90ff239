"""Bundles in the object store, under their digest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arkwright.bundles import LoadedBundle, load_bundle, verify_bundle
from arkwright.contracts import BundleManifest
from arkwright.core.errors import NotFound
from arkwright.kit.objects import ObjectStore


class BundleStore:
    """Saves, verifies and loads the bundles of every workspace."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def save(self, workspace_id: str, folder: Path, digest: str) -> str:
        """Store a bundle's folder and return its URI; the manifest goes last, so that a half-stored one is none."""
        objects = self._objects.for_workspace(workspace_id)
        prefix = bundle_prefix(digest)
        for path in sorted(folder.rglob("*"), key=lambda path: path.name == "manifest.json"):
            if path.is_file():
                objects.put_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path)
        return objects.uri(prefix)

    def uri(self, workspace_id: str, digest: str) -> str:
        """Return where a bundle lies."""
        return self._objects.for_workspace(workspace_id).uri(bundle_prefix(digest))

    def size_bytes(self, workspace_id: str, digest: str) -> int:
        """Return the size of all its files."""
        objects = self._objects.for_workspace(workspace_id)
        return sum(objects.size(key) for key in objects.list(bundle_prefix(digest)))

    @contextmanager
    def folder(self, workspace_id: str, digest: str) -> Iterator[Path]:
        """Give a local folder with the bundle's files, unverified.

        Raises
        ------
        NotFound
            If there is no such bundle.
        """
        objects = self._objects.for_workspace(workspace_id)
        prefix = bundle_prefix(digest)
        if not objects.exists(f"{prefix}/manifest.json"):
            raise NotFound(
                f"There is no bundle {digest} in this workspace.",
                code="bundle.not_found",
                hint="A training stores one: its job's result names the digest.",
            )
        local = objects.local_path(prefix)
        if local is not None:
            yield local
            return
        with tempfile.TemporaryDirectory(prefix="arkwright-bundle-") as temporary:
            objects.get_tree(prefix, Path(temporary))
            yield Path(temporary)

    def verify(self, workspace_id: str, digest: str) -> BundleManifest:
        """Check every file's hash and return the manifest.

        Raises
        ------
        BundleCorrupt
            If a file was altered, is missing or was added.
        """
        with self.folder(workspace_id, digest) as folder:
            return verify_bundle(folder, digest)

    def load(self, workspace_id: str, digest: str) -> LoadedBundle:
        """Verify and load a bundle."""
        with self.folder(workspace_id, digest) as folder:
            return load_bundle(folder, digest)


def bundle_prefix(digest: str) -> str:
    """Return the object key prefix of a bundle.

    Examples
    --------
    >>> bundle_prefix("sha256:ab12")
    'bundles/ab12'
    """
    return f"bundles/{digest.removeprefix('sha256:')}"
