"""Endpoints: making, reading and stopping them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from arkwright.core.errors import Conflict, Unavailable
from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Deployment, DeploymentMetrics

_PAUSE_SECONDS = 0.2


class Deployments:
    """``client.deployments``. A deployment is named by id or name."""

    def __init__(self, transport: Transport, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self._sleep = sleep

    def create(
        self,
        *,
        model: str = "",
        model_version_id: str = "",
        name: str = "",
        canary: Mapping[str, Any] | None = None,
        autoscale: Mapping[str, Any] | None = None,
        slos: Mapping[str, Any] | None = None,
        project_id: str = "",
    ) -> Deployment:
        """Create an endpoint that follows a model's production version, or that pins a version.

        It answers about a second later: see :meth:`wait_until_ready`.

        Raises
        ------
        PolicyRefused
            If the version was not promoted.
        """
        body: dict[str, Any] = {
            "name": name, "model": model, "model_version_id": model_version_id, "project_id": project_id
        }  # fmt: skip
        for part, value in (("canary", canary), ("autoscale", autoscale), ("slos", slos)):
            if value is not None:
                body[part] = dict(value)
        created: Deployment = self._transport.post("/v1/deployments", body)
        return created

    def list(self, *, limit: int | None = None) -> Items[Deployment]:
        """Return the workspace's deployments, oldest first, the stopped ones too."""
        return self._transport.pages("/v1/deployments", limit=limit)

    def get(self, deployment: str) -> Deployment:
        """Return a deployment with its state at the data planes."""
        found: Deployment = self._transport.get(_path(deployment))
        return found

    def delete(self, deployment: str) -> Deployment:
        """Stop answering; records, logs and reports stay."""
        stopped: Deployment = self._transport.delete(_path(deployment))
        return stopped

    def metrics(self, deployment: str, *, hours: float = 24) -> DeploymentMetrics:
        """Return what the deployment answered and how fast, in all and by version."""
        found: DeploymentMetrics = self._transport.get(f"{_path(deployment)}/metrics", hours=hours)
        return found

    def wait_until_ready(self, deployment: str, *, timeout_seconds: float = 60.0) -> Deployment:
        """Wait until the data planes answer for a deployment, and return it.

        Raises
        ------
        Conflict
            If it was stopped.
        Unavailable
            If a data plane cannot serve its model, or the time is up.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            found = self.get(deployment)
            if found["status"] == "ready":
                return found
            if found["status"] == "stopped":
                raise Conflict(f"The deployment {found['name']!r} was stopped.", code="deployment.stopped")
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"The deployment {found['name']!r} is {found['status']}: {found['status_detail']}",
                    code="deployment.not_ready",
                    hint="`arkwright status` shows whether the platform's processes run.",
                )
            self._sleep(_PAUSE_SECONDS)


def _path(deployment: str) -> str:
    return f"/v1/deployments/{segment(deployment)}"
