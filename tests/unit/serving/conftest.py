"""A tiny real model, a plan source one can write to, and a way to call an ASGI application."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from arkwright.bundles import LinearEvaluator, Predictor, fit_baseline, fit_encoder, measure_parity, write_bundle
from arkwright.contracts import (
    Arm,
    Column,
    Credential,
    Endpoint,
    PlanAcknowledgement,
    RoutePlan,
    Signature,
    WindowReport,
)
from arkwright.core.context import DEFAULT_PROJECT_ID, DEFAULT_WORKSPACE_ID
from arkwright.core.errors import Unavailable
from arkwright.kit.objects import ObjectStore
from arkwright.kit.settings import Settings, load_settings
from arkwright.serving import DataPlane, FetchedPlan

KEY = "ak_" + "k" * 40


def make_bundle(objects: ObjectStore, folder: Path, weight: float, workspace_id: str = DEFAULT_WORKSPACE_ID) -> str:
    """Write a linear churn model to the object store; the weight decides its digest and its scores."""
    columns = {
        "tenure": np.array([1.0, 20.0, np.nan, 60.0]),
        "contract": np.array(["month", "year", None, "month"], dtype=object),
    }
    spec = (Column(name="tenure", kind="numeric"), Column(name="contract", kind="categorical"))
    signature = Signature(
        task="binary", target="churn", columns=spec, classes=("No", "Yes"), identifiers=("customer",), ignored=("note",)
    )
    encoder = fit_encoder(spec, columns, layout="linear")
    evaluator = LinearEvaluator([weight] * encoder.n_outputs, 0.0, "sigmoid")
    predictor = Predictor(signature, encoder, evaluator)
    digest = write_bundle(
        folder / f"weight{weight}",
        signature=signature,
        encoder=encoder,
        estimator=evaluator,
        baseline=fit_baseline(signature, columns, predictor.predict_columns(columns)),
        example_rows=[{"tenure": 1, "contract": "month"}],
        learner="linear",
        parity=measure_parity(predictor, columns),
    )
    objects.for_workspace(workspace_id).put_tree(f"bundles/{digest}", folder / f"weight{weight}")
    return digest


@dataclass
class ControlPlane:
    """Stands where the control plane is: hands out the plan it was given, remembers what it was told."""

    plan: RoutePlan | None = None
    epoch: str = "epoch_a"
    away: bool = False
    fetches: int = 0
    acknowledged: list[PlanAcknowledgement] = field(default_factory=list)
    reports: list[WindowReport] = field(default_factory=list)

    async def fetch(self, after: int) -> FetchedPlan | None:
        self.fetches += 1
        if self.away or self.plan is None:
            raise Unavailable("away")
        return None if self.plan.generation == after else FetchedPlan(self.plan, self.epoch)

    async def acknowledge(self, acknowledgement: PlanAcknowledgement) -> None:
        if self.away:
            raise Unavailable("away")
        self.acknowledged.append(acknowledgement)

    async def report(self, report: WindowReport) -> None:
        if self.away:
            raise Unavailable("away")
        self.reports.append(report)

    async def close(self) -> None:
        return


@dataclass
class Platform:
    """Everything a test of the data plane starts from."""

    settings: Settings
    objects: ObjectStore
    control: ControlPlane
    folder: Path

    def bundle(self, weight: float, workspace_id: str = DEFAULT_WORKSPACE_ID) -> str:
        return make_bundle(self.objects, self.folder, weight, workspace_id)

    def arm(self, digest: str, semver: str = "1.0.0", **changes: Any) -> Arm:
        uri = self.objects.for_workspace(changes.pop("workspace_id", DEFAULT_WORKSPACE_ID)).uri(f"bundles/{digest}")
        arm = Arm(model_version_id=f"mv_{semver}", number=1, semver=semver, bundle_digest=digest, bundle_uri=uri)
        return msgspec.structs.replace(arm, **changes)

    def publish(self, generation: int, *arms: Arm, **changes: Any) -> RoutePlan:
        """Make a plan with one deployment, ``dep_1``, the current one."""
        endpoint = Endpoint(
            deployment_id="dep_1",
            workspace_id=changes.pop("workspace_id", DEFAULT_WORKSPACE_ID),
            project_id=DEFAULT_PROJECT_ID,
            name="churn",
            model_name="churn",
            arms=arms,
            fallback_digests=changes.pop("fallback_digests", ()),
        )
        plan = RoutePlan(
            generation=generation,
            endpoints={"dep_1": endpoint} if arms else {},
            credentials=(credential(KEY),),
            workspaces={DEFAULT_WORKSPACE_ID: "default"},
        )
        self.control.plan = msgspec.structs.replace(plan, **changes)
        return self.control.plan

    def plane(self) -> DataPlane:
        return DataPlane(self.settings, self.control, "edge")


def credential(secret: str, **changes: Any) -> Credential:
    """Return what a plan says about a secret."""
    known = Credential(
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        actor_id="user_1",
        actor_kind="api_key",
        workspace_id=DEFAULT_WORKSPACE_ID,
        role="admin",
    )
    return msgspec.structs.replace(known, **changes)


@dataclass
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Asgi = Callable[[Any, Any, Any], Awaitable[None]]


async def call(
    app: Asgi,
    method: str,
    path: str,
    body: bytes | list[bytes] = b"",
    headers: dict[str, str] | None = None,
    *,
    leave_after: int | None = None,
) -> Answer:
    """Call an ASGI application as a server would; ``leave_after`` closes the connection after so many chunks."""
    chunks = [body] if isinstance(body, bytes) else body
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    if leave_after is not None:
        messages = [*messages[:leave_after], {"type": "http.disconnect"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(key.lower().encode(), value.encode()) for key, value in (headers or {}).items()],
    }
    await app(scope, receive, send)
    if not sent:
        return Answer(0, {}, b"")
    found = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


async def predict(app: Asgi, instances: Any, deployment_id: str = "dep_1", **headers: str) -> Answer:
    """Ask for predictions with the good key."""
    given = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    body = instances if isinstance(instances, bytes) else msgspec.json.encode({"instances": instances})
    return await call(app, "POST", f"/v1/inference/{deployment_id}:predict", body, given)


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def platform(tmp_path: Path, object_store: ObjectStore) -> Platform:
    settings = load_settings(home=tmp_path / "home", objects_url=object_store.url)
    return Platform(settings, object_store, ControlPlane(), tmp_path / "written")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run ``async def`` tests on a loop of their own."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def serve(platform):
    """Run a test's coroutine against a data plane that serves ``dep_1``, called ``churn``."""

    class _Serving:
        async def __aenter__(self):
            if platform.control.plan is None:
                platform.publish(1, platform.arm(platform.bundle(1.0)))
            self.plane = platform.plane()
            await self.plane.start()
            await until(lambda: self.plane.holder.ready)
            return self.plane

        async def __aexit__(self, *_error):
            await self.plane.stop()

    return _Serving()
