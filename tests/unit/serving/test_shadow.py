"""Copies of requests for shadow arms."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

import pytest
from tests.unit.serving.arms import Broken, Stage, StubModel, stub_arm
from tests.unit.serving.conftest import until

from arkwright.serving.shadow import ShadowQueue, compare


class Shadows:
    """A stage with a shadow queue, and how many windows' worth it counted."""

    def __init__(self, **limits) -> None:
        self.queue = ShadowQueue(**limits)
        self.stage = Stage(shadows=self.queue)

    async def __aenter__(self) -> Self:
        self.queue.start()
        return self

    async def __aexit__(self, *_error) -> None:
        await self.queue.stop()

    def send(self, request_id: str = "req_1", rows=None) -> None:
        rows = rows or [{}]
        answered = self.stage.ask(request_id, rows)
        self.stage.runtime.shadow(self.stage.live, request_id, rows, answered)

    async def counted(self, model: StubModel, calls: int):
        await until(lambda: model.calls >= calls and not len(self.queue))
        await asyncio.sleep(0.01)
        return self.stage.windows().get("shadow")


@pytest.mark.parametrize("inline", [True, False])
async def test_a_shadow_arm_is_compared_with_the_live_answer_and_nobody_sees_it(inline):
    model = StubModel(score=0.75, inline=inline)
    async with Shadows() as shadows:
        shadows.stage.serve(
            stub_arm(model=StubModel(score=0.25)), shadows=(stub_arm("shadow", model=model, mode="shadow"),)
        )
        for index in range(5):
            shadows.send(f"req_{index}", [{}, {}])
        window = await shadows.counted(model, 5)
    assert (window.requests, window.errors, window.rows) == (5, 0, 10)
    assert (window.compared, window.agreed, window.difference_sum) == (10, 0, 5.0)
    assert window.score_sum == 7.5
    assert sum(count for _, count in window.latency_counts) == 5


@pytest.mark.parametrize("inline", [True, False])
async def test_a_shadow_that_fails_is_a_figure_and_no_error_of_a_request(inline):
    model = StubModel(error=Broken("no"), inline=inline)
    async with Shadows() as shadows:
        shadows.stage.serve(stub_arm(), shadows=(stub_arm("shadow", model=model, mode="shadow"),))
        shadows.send()
        window = await shadows.counted(model, 1)
    assert (window.requests, window.errors, window.compared) == (1, 1, 0)


async def test_only_the_shadows_share_is_copied():
    model = StubModel()
    async with Shadows() as shadows:
        shadows.stage.serve(stub_arm(), shadows=(stub_arm("shadow", 20.0, model, mode="shadow"),))
        for index in range(1_000):
            shadows.send(f"req_{index}")
        window = await shadows.counted(model, 150)
    assert 150 < window.requests < 250


async def test_a_full_queue_drops_copies_and_never_holds_up_a_request():
    gate = threading.Event()
    model = StubModel()
    answer = model.predict_rows
    model.predict_rows = lambda rows, **how: (gate.wait(10), answer(rows, **how))[1]
    async with Shadows(max_requests=20) as shadows:
        shadows.stage.serve(stub_arm(), shadows=(stub_arm("shadow", model=model, mode="shadow"),))
        for index in range(200):
            shadows.send(f"req_{index}")
        assert len(shadows.queue) == 20
        gate.set()
        window = await shadows.counted(model, 20)
    assert window.requests == 20


async def test_the_rows_that_wait_are_bounded_too():
    async with Shadows(max_rows=100) as shadows:
        shadows.stage.serve(stub_arm(), shadows=(stub_arm("shadow", model=StubModel(), mode="shadow"),))
        for index in range(5):
            shadows.send(f"req_{index}", [{}] * 40)
        assert len(shadows.queue) == 2


async def test_an_answer_of_a_fallback_is_not_compared():
    async with Shadows() as shadows:
        shadows.stage.serve(
            stub_arm(model=StubModel(error=Broken("no"))),
            shadows=(stub_arm("shadow", model=StubModel(), mode="shadow"),),
            constant={"label": "No", "score": 0.0},
        )
        shadows.send()
        assert len(shadows.queue) == 0


def test_values_are_compared_as_values():
    assert compare([{"value": 1.0}, {"value": 2.0}], [{"value": 1.0}, {"value": 5.0}]) == (2, 1, 3.0)
    assert compare([{"label": "a", "score": None}], [{"label": "a", "score": 0.5}]) == (0, 0, 0.0)
