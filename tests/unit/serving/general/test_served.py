"""A model that was not compiled, behind the whole data plane."""

from __future__ import annotations

import asyncio

from tests.unit.general_bundles import obedient_model, write_pickled
from tests.unit.serving.conftest import Platform, predict, until

from arkwright.core.context import DEFAULT_WORKSPACE_ID


def published(platform: Platform) -> str:
    digest = write_pickled(platform.folder / "general", obedient_model())
    platform.objects.for_workspace(DEFAULT_WORKSPACE_ID).put_tree(f"bundles/{digest}", platform.folder / "general")
    platform.publish(1, platform.arm(digest))
    return digest


async def test_requests_of_many_are_answered_by_one_process(platform: Platform) -> None:
    published(platform)
    plane = platform.plane()
    await plane.start()
    try:
        await until(lambda: "dep_1" in plane.holder.state.endpoints, 30)
        answers = await asyncio.gather(
            *(predict(plane.inference, [{"x": x, "order": None, "id": x}]) for x in range(60))
        )
        for x, answer in enumerate(answers):
            assert answer.status == 200, answer.body
            assert answer.json["predictions"] == [{"id": x, "value": 2.0 * x + 1}]
            assert answer.json["model_version"] == "1.0.0"
        refused = await predict(plane.inference, [{"x": "one", "order": None}])
        assert refused.status == 422
        assert refused.json["errors"][0]["field"] == "instances[0].x"
        failed = await predict(plane.inference, [{"x": 1, "order": "poison"}])
        assert failed.status == 500
        assert failed.json["code"] == "model.failed"
    finally:
        await plane.stop()


async def test_a_dead_process_costs_its_batch_and_no_more(platform: Platform) -> None:
    published(platform)
    plane = platform.plane()
    await plane.start()
    try:
        await until(lambda: "dep_1" in plane.holder.state.endpoints, 30)
        answer = await predict(plane.inference, [{"x": 1, "order": "die"}])
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        answer = await predict(plane.inference, [{"x": 1, "order": None}])
        assert answer.json["predictions"] == [{"value": 3.0}]
    finally:
        await plane.stop()
