"""How a data plane follows the control plane."""

from __future__ import annotations

import msgspec
from tests.unit.serving.conftest import KEY, credential, until

from arkwright.contracts import Endpoint


async def started(platform):
    plane = platform.plane()
    plane.holder._poll_seconds = 0.01
    await plane.holder.start()
    return plane.holder


def digests(holder) -> list[str]:
    return [live.arm.bundle_digest for live in holder.state.endpoints["dep_1"].arms]


async def test_a_plan_is_prepared_swapped_in_and_acknowledged(platform):
    digest = platform.bundle(1.0)
    platform.publish(3, platform.arm(digest))
    holder = await started(platform)
    await until(lambda: platform.control.acknowledged)
    await holder.stop()
    assert holder.ready
    assert digests(holder) == [digest]
    (told,) = platform.control.acknowledged
    assert (told.replica, told.generation) == ("edge", 3)
    assert told.endpoints["dep_1"].state == "ready"
    assert told.endpoints["dep_1"].digests == (digest,)


async def test_a_newer_plan_replaces_the_model_and_the_old_bundle_leaves_the_disk(platform):
    old, new = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(old))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(2, platform.arm(new, "1.1.0"))
    await until(lambda: digests(holder) == [new])
    await until(lambda: len(platform.control.acknowledged) == 2)
    await holder.stop()
    cached = platform.settings.home / "serving" / "bundles"
    assert [path.name for path in cached.iterdir()] == [new.removeprefix("sha256:")]


async def test_fallback_bundles_stay_on_disk(platform):
    old, new = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(old))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(2, platform.arm(new), fallback_digests=(old,))
    await until(lambda: len(platform.control.acknowledged) == 2)
    await holder.stop()
    assert len(list((platform.settings.home / "serving" / "bundles").iterdir())) == 2


async def test_a_broken_bundle_leaves_the_previous_model_serving_and_is_reported(platform):
    good = platform.bundle(1.0)
    platform.publish(1, platform.arm(good))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(2, platform.arm("sha256:" + "0" * 64, "2.0.0"))
    await until(lambda: holder.state.generation == 2)
    await until(lambda: len(platform.control.acknowledged) == 2)
    await holder.stop()
    assert digests(holder) == [good]
    status = platform.control.acknowledged[-1].endpoints["dep_1"]
    assert status.state == "failed"
    assert "2.0.0" in status.detail
    assert status.digests == (good,)


async def test_a_broken_canary_leaves_the_stable_arm_of_a_new_endpoint_serving(platform):
    good = platform.bundle(1.0)
    broken = platform.arm("sha256:" + "0" * 64, "2.0.0", name="canary", traffic_percent=10.0)
    platform.publish(1, platform.arm(good, traffic_percent=90.0), broken)
    holder = await started(platform)
    await until(lambda: platform.control.acknowledged)
    await holder.stop()
    assert digests(holder) == [good]
    assert platform.control.acknowledged[0].endpoints["dep_1"].state == "failed"


async def test_one_broken_endpoint_does_not_stop_the_others(platform):
    good = platform.bundle(1.0)
    plan = platform.publish(1, platform.arm(good))
    other = msgspec.structs.replace(
        plan.endpoints["dep_1"], deployment_id="dep_2", arms=(platform.arm("sha256:" + "0" * 64),)
    )
    platform.control.plan = msgspec.structs.replace(plan, endpoints={**plan.endpoints, "dep_2": other})
    holder = await started(platform)
    await until(lambda: holder.ready)
    await holder.stop()
    assert set(holder.state.endpoints) == {"dep_1"}
    assert set(holder.state.failed) == {"dep_2"}


async def test_a_bundle_that_appears_later_is_tried_again_without_a_new_plan(platform, monkeypatch):
    monkeypatch.setattr("arkwright.serving.plan._FIRST_RETRY_SECONDS", 0.02)
    digest = platform.bundle(1.0)
    objects = platform.objects.for_workspace("ws_00000000000000000000000000")
    held = {key: objects.get_bytes(key) for key in objects.list("bundles")}
    objects.delete("bundles")
    platform.publish(1, platform.arm(digest))
    holder = await started(platform)
    await until(lambda: holder.state.failed)
    for key, content in held.items():
        objects.put_bytes(key, content)
    await until(lambda: holder.state.endpoints)
    await until(lambda: platform.control.acknowledged[-1].endpoints["dep_1"].state == "ready")
    await holder.stop()
    assert not holder.state.failed


async def test_a_lower_generation_is_refused(platform):
    digest = platform.bundle(1.0)
    platform.publish(5, platform.arm(digest))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(4)
    seen = platform.control.fetches
    await until(lambda: platform.control.fetches > seen + 2)
    await holder.stop()
    assert holder.state.generation == 5
    assert digests(holder) == [digest]


async def test_a_reset_control_plane_starts_from_its_own_numbers(platform):
    platform.publish(5, platform.arm(platform.bundle(1.0)))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.control.epoch = "epoch_b"
    platform.publish(1)
    await until(lambda: holder.state.generation == 1)
    platform.publish(2)
    await until(lambda: holder.state.generation == 2)
    await holder.stop()
    assert holder.state.endpoints == {}


async def test_the_last_good_plan_serves_while_the_control_plane_is_away(platform):
    good = platform.bundle(1.0)
    platform.publish(1, platform.arm(good))
    first = await started(platform)
    await until(lambda: first.ready)
    platform.publish(2, platform.arm("sha256:" + "0" * 64))
    await until(lambda: first.state.generation == 2)
    await first.stop()
    platform.control.away = True
    second = await started(platform)
    assert second.ready
    assert digests(second) == [good]
    await until(lambda: not second.reachable)
    await second.stop()
    assert platform.settings.home.joinpath("serving", "plan.json").stat().st_mode & 0o777 == 0o600


async def test_the_saved_plan_is_asked_for_again_so_that_what_failed_is_tried(platform):
    platform.publish(2, platform.arm("sha256:" + "0" * 64))
    first = await started(platform)
    await until(lambda: first.ready)
    await first.stop()
    good = platform.bundle(1.0)
    platform.publish(2, platform.arm(good))
    second = await started(platform)
    await until(lambda: second.state.endpoints)
    await second.stop()
    assert digests(second) == [good]


async def test_a_torn_plan_file_is_no_reason_not_to_start(platform):
    file = platform.settings.home / "serving" / "plan.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"epoch": "x", "plan"')
    digest = platform.bundle(1.0)
    platform.publish(1, platform.arm(digest))
    holder = await started(platform)
    await until(lambda: holder.ready)
    assert digests(holder) == [digest]
    await holder.stop()


async def test_credentials_count_before_slow_bundles_are_ready(platform, monkeypatch):
    good = platform.bundle(1.0)
    platform.publish(1, platform.arm(good))
    holder = await started(platform)
    await until(lambda: holder.ready)
    import threading

    gate = threading.Event()
    real_load = holder._store.load
    monkeypatch.setattr(holder._store, "load", lambda *given: (gate.wait(10), real_load(*given))[1])
    platform.publish(2, platform.arm(platform.bundle(2.0)), credentials=(credential("another key"),))
    await until(lambda: credential(KEY).secret_sha256 not in holder.state.credentials)
    assert holder.state.generation == 1
    assert digests(holder) == [good]
    gate.set()
    await until(lambda: holder.state.generation == 2)
    await holder.stop()


async def test_an_acknowledgement_that_could_not_be_sent_is_sent_later(platform):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    plane.holder._poll_seconds = 0.01
    real = platform.control.acknowledge
    from arkwright.core.errors import Unavailable

    async def refuse(_acknowledgement):
        raise Unavailable("away")

    platform.control.acknowledge = refuse
    await plane.holder.start()
    await until(lambda: plane.holder.ready)
    platform.control.acknowledge = real
    await until(lambda: platform.control.acknowledged)
    assert platform.control.acknowledged[-1].generation == 1
    await plane.holder.stop()


async def test_many_callers_share_one_look_for_a_newer_plan(platform):
    import asyncio

    platform.publish(1)
    plane = platform.plane()
    plane.holder._poll_seconds = 60
    await plane.holder.start()
    await until(lambda: plane.holder.ready)
    before = platform.control.fetches
    await asyncio.gather(*(plane.holder.refresh() for _ in range(200)))
    assert platform.control.fetches == before + 1
    await plane.holder.stop()


def test_an_endpoint_is_described_as_it_is_served(platform):
    from arkwright.serving.state import LiveArm, LiveEndpoint

    stable, canary = platform.arm("sha256:" + "1" * 64), platform.arm("sha256:" + "2" * 64, name="canary")
    endpoint = Endpoint(
        deployment_id="dep_1",
        workspace_id="ws",
        project_id="p",
        name="n",
        model_name="m",
        arms=(stable, canary),
        fallback_digests=("x",),
    )
    served = LiveEndpoint(endpoint, (LiveArm(stable, None, ()),)).as_served()
    assert served == msgspec.structs.replace(endpoint, arms=(stable,))
