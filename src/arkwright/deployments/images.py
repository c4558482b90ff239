"""Handing out a deployment as a container image's build context."""

from __future__ import annotations

from collections.abc import Iterable

from arkwright import __version__
from arkwright.access import authorise, record
from arkwright.contracts import Credential
from arkwright.core.errors import Conflict
from arkwright.deployments.image import bundle_digests, image_files, packed
from arkwright.deployments.service import DeploymentService
from arkwright.kit.db import UnitOfWork
from arkwright.registry import BundleStore


class ImageService:
    """Makes build contexts."""

    def __init__(self, deployments: DeploymentService, bundles: BundleStore) -> None:
        self._deployments = deployments
        self._bundles = bundles

    def build(self, unit: UnitOfWork, id_or_name: str, credentials: Iterable[Credential]) -> bytes:
        """Return the build context as a ``.tar.gz``.

        Parameters
        ----------
        credentials
            Every live one; the image takes the caller's own alone.

        Raises
        ------
        Conflict
            If the deployment answers with nothing.
        """
        authorise(unit, "deployment.export", "deployment", id_or_name)
        row = self._deployments.get(unit, id_or_name)
        endpoint = self._deployments.endpoints(unit).get(row.id)
        if endpoint is None:
            raise Conflict(
                f"The deployment {row.name!r} answers with no version, so there is nothing to put into an image.",
                code="deployment.empty",
                hint="Promote a version first.",
            )
        context = unit.context
        keys = [key for key in credentials if key.actor_id == context.actor.id]
        bundles = {}
        for digest in bundle_digests(endpoint):
            self._bundles.verify(context.workspace_id, digest)
            with self._bundles.folder(context.workspace_id, digest) as folder:
                files = sorted(path for path in folder.rglob("*") if path.is_file())
                bundles[digest] = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        record(unit, "deployment.export", "deployment", row.id, {"bundles": sorted(bundles)})
        return packed(image_files(endpoint, keys, bundles, autoscale=row.autoscale, version=__version__))
