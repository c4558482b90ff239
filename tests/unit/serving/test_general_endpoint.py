"""A deployment whose model was not compiled, through the whole data plane."""

from __future__ import annotations

import asyncio

import msgspec
from tests.unit.general_bundles import obedient_model, write_pickled
from tests.unit.serving.conftest import predict, until

from arkwright.contracts import Fallback
from arkwright.core.context import DEFAULT_WORKSPACE_ID

ROW = {"x": 2.0, "order": None, "day": None}


def general_bundle(platform, name: str) -> str:
    """Write a general bundle to the object store; the example rows decide its digest."""
    folder = platform.folder / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    digest = write_pickled(folder, obedient_model(), [{"x": float(len(name)), "order": name, "day": None}])
    platform.objects.for_workspace(DEFAULT_WORKSPACE_ID).put_tree(f"bundles/{digest}", folder)
    return digest


def publish(platform, generation: int, *arms, **changes) -> None:
    plan = platform.publish(generation, *arms)
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], **changes)
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})


async def test_a_new_version_replaces_the_old_process_and_no_request_notices(platform):
    first, second = general_bundle(platform, "one"), general_bundle(platform, "second")
    publish(platform, 1, platform.arm(first))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.state.endpoints, 60)
    statuses, versions, done = [], [], False

    async def ask() -> None:
        while not done:
            answer = await predict(plane, [ROW])
            statuses.append(answer.status)
            if answer.status == 200:
                assert answer.json["predictions"] == [{"value": 5.0}]
                versions.append(answer.json["model_version"])

    callers = [asyncio.create_task(ask()) for _ in range(8)]
    await until(lambda: len(statuses) > 50, 30)
    old = plane.holder.pool.get(first).model
    publish(platform, 2, platform.arm(second, "2.0.0"))
    await until(lambda: "2.0.0" in versions, 60)
    await until(lambda: old.pid is None, 30)
    count = len(statuses)
    await until(lambda: len(statuses) > count + 50, 30)
    done = True
    await asyncio.gather(*callers)
    await plane.stop()
    assert set(statuses) == {200}
    assert versions[-1] == "2.0.0"


async def test_a_model_that_fails_is_answered_for_and_one_that_dies_comes_back(platform):
    publish(platform, 1, platform.arm(general_bundle(platform, "one")), fallback=Fallback(constant={"value": -1.0}))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.state.endpoints, 60)
    answer = await predict(plane, [{**ROW, "order": "poison"}])
    assert answer.json["predictions"] == [{"value": -1.0}]
    assert (answer.json["arm"], answer.json["fallback"]) == ("fallback", "constant")
    died = await predict(plane, [{**ROW, "order": "die"}])
    assert (died.status, died.json["fallback"]) == (200, "constant")
    values = []
    async with asyncio.timeout(60):
        while 5.0 not in values:
            answer = await predict(plane, [ROW])
            assert answer.status == 200
            values.append(answer.json["predictions"][0]["value"])
    await plane.stop()
