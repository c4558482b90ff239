"""Endpoints without bundles: arms whose models do as they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from arkwright.contracts import Arm, Endpoint, Fallback, Signature
from arkwright.core.errors import Invalid
from arkwright.serving.runtime import EndpointRuntime
from arkwright.serving.state import LiveArm, LiveEndpoint


class Broken(Exception):
    """What a model raises when it is told to."""


@dataclass
class StubModel:
    """Answers each row with a score, or fails as ``error`` says."""

    score: float = 0.25
    inline: bool = True
    error: Exception | None = None
    calls: int = 0
    closed: bool = False

    def predict_rows(self, rows: list[dict[str, Any]], *, with_scores: bool = False) -> list[dict[str, Any]]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if any("wrong" in row for row in rows):
            raise Invalid("the row is wrong")
        return [{"label": "Yes" if self.score >= 0.5 else "No", "score": self.score} for _ in rows]

    def read_row(self, _body: bytes) -> None:
        """Decline: each row goes the general way."""

    async def predict_rows_async(self, rows, *, with_scores=False, timeout_seconds):
        return self.predict_rows(rows, with_scores=with_scores)

    def explain_rows(self, rows):
        raise Invalid("no")

    async def start(self) -> None:
        return

    async def close(self) -> None:
        self.closed = True


@dataclass
class Clock:
    """Both clocks of a runtime."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


BUNDLE: Any = SimpleNamespace(
    signature=Signature(
        task="binary", target="churn", columns=(), classes=("No", "Yes"), identifiers=("customer",), ignored=()
    ),
    digest="sha256:1",
)


def stub_arm(name: str = "stable", percent: float = 100.0, model: StubModel | None = None, **changes: Any) -> LiveArm:
    """Return an arm with a stub behind it."""
    version = changes.pop("version", f"mv_{name}")
    arm = Arm(
        name=name,
        model_version_id=version,
        number=1,
        semver="1.0.0",
        bundle_digest=f"sha256:{version}",
        bundle_uri="bundles/x",
        traffic_percent=percent,
        **changes,
    )
    return LiveArm(arm, BUNDLE, (), model or StubModel())


@dataclass
class Stage:
    """A runtime under test, its clock, and the endpoint it serves."""

    clock: Clock = field(default_factory=Clock)
    shadows: Any = None
    cache: Any = None
    alone: bool = False

    def __post_init__(self) -> None:
        self.runtime = EndpointRuntime(
            "dep_1",
            "ws_1",
            shadows=self.shadows,
            cache=self.cache,
            alone=lambda: self.alone,
            monotonic=self.clock,
            now=self.clock,
        )

    def serve(
        self,
        *arms: LiveArm,
        shadows: tuple[LiveArm, ...] = (),
        fallback: LiveArm | None = None,
        constant: dict[str, Any] | None = None,
        **changes: Any,
    ) -> LiveEndpoint:
        endpoint = Endpoint(
            deployment_id="dep_1",
            workspace_id="ws_1",
            project_id="p",
            name="n",
            model_name="m",
            arms=tuple(live.arm for live in (*arms, *shadows)),
            fallback=Fallback(arm=fallback.arm if fallback else None, constant=constant),
            **changes,
        )
        self.live = LiveEndpoint(endpoint, arms, shadows, fallback, self.runtime)
        self.runtime.adopt(self.live)
        return self.live

    def ask(self, request_id: str = "req_1", rows: list[dict[str, Any]] | None = None, latency_ms: float = 1.0) -> Any:
        """Send a request through, as the core does; return the answer or the error."""
        rows = rows if rows is not None else [{"x": 1}]
        chosen = self.runtime.choose(self.live, request_id, None)
        try:
            answered = self.runtime.answer(self.live, chosen, rows)
        except Invalid as error:
            return error
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.runtime.observe(chosen, latency_ms, len(rows), failed=True)
            return error
        self.runtime.observe(answered, latency_ms, len(rows), failed=False)
        return answered

    def windows(self) -> dict[str, Any]:
        """Let the second end, and return what was counted, by arm."""
        self.clock.now += 1.0
        return {one.arm: one for one in self.runtime.tick()}
