"""Endpoints: making, changing, reading and stopping them, and their rollouts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkwright.core.errors import Conflict, Invalid, NotFound, Unavailable
from arkwright.sdk.feedback import send_feedback
from arkwright.sdk.predictions import Rows, to_instances
from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import (
    Deployment,
    DeploymentDiff,
    DeploymentMetrics,
    Rollout,
    RolloutEvent,
    RolloutHistory,
)

if TYPE_CHECKING:
    from arkwright.contracts.load_test import LoadTestReport
    from arkwright.sdk.load_test import LoadNews

_PAUSE_SECONDS = 0.2
_WARM_REQUESTS = 3


class Deployments:
    """``client.deployments``. A deployment is named by id or name."""

    def __init__(self, transport: Transport, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self._sleep = sleep

    def image(self, deployment: str, target: Path) -> int:
        """Save the build context of a container image that serves this endpoint alone; return its size in bytes.

        The image takes the key that this client uses, and no other.
        """
        return self._transport.download(f"/v1/deployments/{segment(deployment)}/image", target)

    def create(
        self,
        *,
        model: str = "",
        model_version_id: str = "",
        name: str = "",
        version: str = "",
        canary: Mapping[str, Any] | None = None,
        strategy: Mapping[str, Any] | None = None,
        autoscale: Mapping[str, Any] | None = None,
        slos: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        log: Mapping[str, Any] | None = None,
        fallback: Mapping[str, Any] | None = None,
        cache_seconds: float = 0.0,
        project_id: str = "",
    ) -> Deployment:
        """Create an endpoint that follows a model's production version, or that pins a version.

        It answers about a second later: see :meth:`wait_until_ready`. With a ``strategy`` a rollout starts beside it.

        Raises
        ------
        PolicyRefused
            If the version was not promoted.
        """
        body: dict[str, Any] = {
            "name": name, "model": model, "model_version_id": model_version_id, "version": version,
            "cache_seconds": cache_seconds, "project_id": project_id,
        }  # fmt: skip
        parts = {
            "canary": canary, "strategy": strategy, "autoscale": autoscale, "slos": slos, "limits": limits, "log": log,
            "fallback": fallback,
        }  # fmt: skip
        body |= {part: dict(value) for part, value in parts.items() if value is not None}
        created: Deployment = self._transport.post("/v1/deployments", body)
        return created

    def update(self, deployment: str, *, revision: int | None = None, **changes: Any) -> Deployment:
        """Change the named members of a deployment; None takes one away, a ``strategy`` starts a rollout.

        Parameters
        ----------
        revision
            Refuse if the deployment has been changed since that revision.

        Raises
        ------
        PreconditionFailed
            If it has.
        """
        changed: Deployment = self._transport.change("PATCH", _path(deployment), changes, if_match=_etag(revision))
        return changed

    def replace(self, deployment: str, resource: Mapping[str, Any], *, revision: int | None = None) -> Deployment:
        """Make a deployment what a resource says."""
        changed: Deployment = self._transport.change("PUT", _path(deployment), resource, if_match=_etag(revision))
        return changed

    def diff(self, resource: Mapping[str, Any]) -> DeploymentDiff:
        """Return what applying a resource would change, and change nothing."""
        found: DeploymentDiff = self._transport.post("/v1/deployments:diff", resource)
        return found

    def apply(self, resource: Mapping[str, Any]) -> tuple[Deployment, DeploymentDiff]:
        """Create the deployment that a resource describes, or bring it in line; the same twice changes nothing.

        Examples
        --------
        >>> import yaml
        >>> deployment, diff = client.deployments.apply(yaml.safe_load(open("deployment.yaml")))  # doctest: +SKIP
        """
        diff = self.diff(resource)
        if diff["deployment_id"] is None:
            created: Deployment = self._transport.post("/v1/deployments", resource)
            return created, diff
        before = self.get(diff["deployment_id"])
        return self.replace(before["id"], resource, revision=before["revision"]), diff

    def find(self, deployment: str) -> Deployment | None:
        """Return a deployment, or None if there is none of that id or name."""
        try:
            return self.get(deployment)
        except NotFound:
            return None

    # Rollouts

    def rollouts(self, deployment: str) -> RolloutHistory:
        """Return a deployment's rollouts, newest first, with conditions, counts and evidence."""
        found: RolloutHistory = self._transport.get(f"{_path(deployment)}/rollout")
        return found

    def events(self, deployment: str, *, limit: int | None = None) -> Items[RolloutEvent]:
        """Return every step, pause and decision of a deployment's rollouts, newest first."""
        return self._transport.pages(f"{_path(deployment)}/events", limit=limit)

    def promote(self, deployment: str, *, arm: str = "", comment: str = "") -> RolloutHistory:
        """Give the candidate everything now, if the registry's gate agrees."""
        body = {"arm": arm, "comment": comment}
        found: RolloutHistory = self._transport.post(f"{_path(deployment)}:promote", body)
        return found

    def pause(self, deployment: str, *, comment: str = "") -> RolloutHistory:
        """Hold the rollout at its step; a breach still takes it back."""
        return self._ask(deployment, "pause", comment)

    def resume(self, deployment: str, *, comment: str = "") -> RolloutHistory:
        """Let the rollout go on."""
        return self._ask(deployment, "resume", comment)

    def roll_back(self, deployment: str, *, comment: str = "") -> RolloutHistory:
        """Go back: out of the active rollout, or to the version that answered before."""
        return self._ask(deployment, "rollback", comment)

    def abort(self, deployment: str, *, comment: str = "") -> RolloutHistory:
        """Stop the rollout without a judgement."""
        return self._ask(deployment, "abort", comment)

    def wait_for_rollout(
        self,
        deployment: str,
        *,
        timeout_seconds: float | None = None,
        on_progress: Callable[[Rollout], None] | None = None,
        pause_seconds: float = 1.0,
    ) -> Rollout:
        """Wait until a deployment's newest rollout has ended or is paused, and return it.

        Raises
        ------
        Conflict
            If it never had one.
        Unavailable
            If the time is up.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            known = self.rollouts(deployment)["rollouts"]
            if not known:
                raise Conflict(f"The deployment {deployment!r} has no rollout.", code="rollout.none")
            if on_progress is not None:
                on_progress(known[0])
            if known[0]["state"] != "progressing":
                return known[0]
            if deadline is not None and time.monotonic() > deadline:
                raise Unavailable(
                    f"The rollout of {deployment!r} goes on: {known[0]['reason']}",
                    code="rollout.progressing",
                    hint="`arkwright deployment rollout` shows how it stands.",
                )
            self._sleep(pause_seconds)

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
        """Return what the deployment answered, how fast and, where feedback came in, how well."""
        found: DeploymentMetrics = self._transport.get(f"{_path(deployment)}/metrics", hours=hours)
        return found

    def feedback(self, deployment: str, outcomes: Iterable[Mapping[str, Any]]) -> int:
        """Tell what became of predictions; return how many outcomes were taken.

        Parameters
        ----------
        outcomes
            Each with ``request_id``, ``actual`` and, where the request had several rows, ``row``.

        Raises
        ------
        Invalid
            With one entry in ``errors`` for each outcome that cannot be taken.
        """
        return send_feedback(self._transport, deployment, outcomes)

    def load_test(
        self,
        deployment: str,
        rows: Rows,
        *,
        rate: float = 50.0,
        seconds: float = 10.0,
        p95_limit_ms: float = 100.0,
        max_error_share: float = 0.0,
        timeout_seconds: float = 10.0,
        rows_from: str = "",
        on_progress: Callable[[LoadNews], None] | None = None,
    ) -> LoadTestReport:
        """Send rows to an endpoint at an arrival rate, one in each request, and return how it answered.

        The predictions are real ones: they are logged, and count as traffic. ``judge_load`` of
        :mod:`arkwright.contracts` says whether the endpoint passed.

        Parameters
        ----------
        rows
            What to send, over and over.
        rate
            Requests a second; each is due at its moment, whether or not the ones before it were answered.
        p95_limit_ms, max_error_share
            What it is held to: the 95th percentile from the moment a request was due, and the share that may fail.
        rows_from
            Where the rows came from, for whoever reads the report.
        on_progress
            Told about twice a second.

        Raises
        ------
        Invalid
            If there are no rows, or the rate or the time is not above zero.
        """
        # The door of the SDK stays light: only who measures needs the threads.
        from arkwright.sdk.load_test import MAX_WAITING, LoadPlan, answer_of, fire, summarise  # noqa: PLC0415

        plan = LoadPlan(rate, seconds)
        bodies = [json.dumps({"instances": [row]}, allow_nan=False).encode() for row in to_instances(rows)]
        if not bodies:
            raise Invalid("There are no rows to send.", code="load_test.rows", hint="Give at least one row.")
        found = self.get(deployment)
        path = f"/v1/inference/{segment(found['id'])}:predict"
        with self._transport.sender(path, connections=MAX_WAITING, timeout_seconds=timeout_seconds) as send:
            for body in bodies[:_WARM_REQUESTS]:  # the first connections, and the first look at the model
                send(body)
            fired = fire(plan, lambda number: answer_of(*send(bodies[number % len(bodies)])), on_progress=on_progress)
        return summarise(
            plan,
            fired,
            deployment_id=found["id"],
            deployment=found["name"],
            p95_limit_ms=p95_limit_ms,
            max_error_share=max_error_share,
            rows=rows_from,
            n_rows=min(len(bodies), plan.n_requests),
        )

    def _ask(self, deployment: str, action: str, comment: str) -> RolloutHistory:
        found: RolloutHistory = self._transport.post(f"{_path(deployment)}:{action}", {"comment": comment})
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


def _etag(revision: int | None) -> str:
    return "" if revision is None else f'"{revision}"'


def _path(deployment: str) -> str:
    return f"/v1/deployments/{segment(deployment)}"
