"""How a data plane follows the control plane."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import threading

import msgspec
import pytest
from tests.unit.serving.arms import StubModel
from tests.unit.serving.conftest import KEY, credential, until

from arkwright.contracts import Endpoint, Fallback
from arkwright.core.errors import Unavailable
from arkwright.serving import BundleStore, PlanHolder
from arkwright.serving.runtime import EndpointRuntime
from arkwright.serving.state import LiveArm, LiveEndpoint


def a_holder(platform, poll_seconds=0.01, **options):
    folder = platform.settings.home / "serving"
    store = BundleStore(folder / "bundles", platform.objects)
    return PlanHolder(
        platform.control, store, folder / "plan.json", replica="edge", poll_seconds=poll_seconds, **options
    )


async def started(platform, **options):
    holder = a_holder(platform, **options)
    await holder.start()
    return holder


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
    holder = a_holder(platform)
    real = platform.control.acknowledge

    async def refuse(_acknowledgement):
        raise Unavailable("away")

    platform.control.acknowledge = refuse
    await holder.start()
    await until(lambda: holder.ready)
    platform.control.acknowledge = real
    await until(lambda: platform.control.acknowledged)
    assert platform.control.acknowledged[-1].generation == 1
    await holder.stop()


async def test_many_callers_share_one_look_for_a_newer_plan(platform):
    platform.publish(1)
    holder = await started(platform, poll_seconds=60)
    await until(lambda: holder.ready)
    before = platform.control.fetches
    await asyncio.gather(*(holder.refresh() for _ in range(200)))
    assert platform.control.fetches == before + 1
    await holder.stop()


def test_an_endpoint_is_described_as_it_is_served(platform):
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
    live = LiveArm(stable, None, (), StubModel())
    served = LiveEndpoint(endpoint, (live,), (), None, EndpointRuntime("dep_1", "ws")).as_served()
    assert served == msgspec.structs.replace(endpoint, arms=(stable,))


# What changes at once, and what waits


def gated(monkeypatch, holder, slow: str) -> threading.Event:
    """Make one bundle's load wait for an event."""
    gate, real = threading.Event(), holder.pool._store.load

    def load(workspace_id, digest, uri):
        if digest == slow:
            gate.wait(10)
        return real(workspace_id, digest, uri)

    monkeypatch.setattr(holder.pool._store, "load", load)
    return gate


def two_endpoints(plan, **changes):
    """Return the plan with a second deployment."""
    other = msgspec.structs.replace(plan.endpoints["dep_1"], deployment_id="dep_2", **changes)
    return msgspec.structs.replace(plan, endpoints={**plan.endpoints, "dep_2": other})


def percents(holder) -> list[float]:
    return [live.arm.traffic_percent for live in holder.state.endpoints["dep_1"].arms]


async def test_a_canary_step_does_not_wait_for_another_endpoints_slow_bundle(platform, monkeypatch):
    stable, canary, slow = platform.bundle(1.0), platform.bundle(2.0), platform.bundle(3.0)
    arms = [platform.arm(stable, traffic_percent=90.0), platform.arm(canary, "1.1.0", name="canary")]
    platform.publish(1, arms[0], msgspec.structs.replace(arms[1], traffic_percent=10.0))
    holder = await started(platform)
    await until(lambda: holder.ready)
    gate = gated(monkeypatch, holder, slow)
    step = platform.publish(2, platform.arm(stable, traffic_percent=50.0), arms[1])
    platform.control.plan = two_endpoints(step, arms=(platform.arm(slow, "3.0.0"),))
    await until(lambda: percents(holder)[0] == 50.0)
    assert "dep_2" not in holder.state.endpoints
    assert holder.state.generation == 1
    gate.set()
    await until(lambda: "dep_2" in holder.state.endpoints)
    await until(lambda: holder.state.generation == 2)
    await holder.stop()


async def test_what_is_ready_is_acknowledged_before_the_rest(platform, monkeypatch):
    monkeypatch.setattr("arkwright.serving.plan._INTERIM_SECONDS", 0.01)
    good, slow = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(good))
    holder = await started(platform)
    await until(lambda: platform.control.acknowledged)
    gate = gated(monkeypatch, holder, slow)
    platform.control.plan = two_endpoints(platform.publish(2, platform.arm(good)), arms=(platform.arm(slow, "2.0.0"),))
    await until(lambda: platform.control.acknowledged[-1].generation == 2)
    assert set(platform.control.acknowledged[-1].endpoints) == {"dep_1"}
    gate.set()
    await until(lambda: set(platform.control.acknowledged[-1].endpoints) == {"dep_1", "dep_2"})
    await holder.stop()


async def test_a_newer_plan_does_not_wait_for_a_bundle_that_nobody_wants_any_more(platform, monkeypatch):
    good, slow, better = platform.bundle(1.0), platform.bundle(2.0), platform.bundle(3.0)
    platform.publish(1, platform.arm(good))
    holder = await started(platform)
    await until(lambda: holder.ready)
    gate = gated(monkeypatch, holder, slow)
    platform.publish(2, platform.arm(slow, "2.0.0"))
    await until(lambda: slow in holder.pool.digests())
    platform.publish(3, platform.arm(better, "3.0.0"))
    await until(lambda: holder.state.generation == 3)
    assert digests(holder) == [better]
    gate.set()
    await holder.stop()


async def test_what_an_arm_did_is_known_after_a_step_and_forgotten_after_a_removal(platform):
    stable, canary = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(stable, traffic_percent=90.0), platform.arm(canary, "1.1.0", name="canary"))
    holder = await started(platform)
    await until(lambda: holder.ready)
    runtime = holder.state.endpoints["dep_1"].runtime
    runtime.observe(holder.state.endpoints["dep_1"].arms[1], 1.0, 1, failed=False)
    platform.publish(2, platform.arm(stable, traffic_percent=50.0), platform.arm(canary, "1.1.0", name="canary"))
    await until(lambda: holder.state.generation == 2)
    assert holder.state.endpoints["dep_1"].runtime is runtime
    platform.publish(3)
    await until(lambda: holder.state.generation == 3)
    await holder.stop()
    (window,) = [one for report in platform.control.reports for one in report.windows]
    assert (window.arm, window.requests) == ("canary", 1)


async def test_an_endpoint_that_did_not_change_is_left_as_it_is(platform):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    holder = await started(platform)
    await until(lambda: holder.ready)
    before = holder.state.endpoints["dep_1"]
    platform.publish(2, *before.endpoint.arms, credentials=(credential("another key"),))
    await until(lambda: holder.state.generation == 2)
    assert holder.state.endpoints["dep_1"] is before
    await holder.stop()


async def test_two_data_planes_on_one_plan_agree_on_every_assignment(platform):
    stable, canary = platform.bundle(1.0), platform.bundle(2.0)
    arms = platform.arm(stable, traffic_percent=60.0), platform.arm(canary, "1.1.0", name="b", traffic_percent=40.0)
    plan = platform.publish(1, *arms)
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], unit="customer", salt="spring", strategy="ab")
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})
    first = await started(platform)
    elsewhere = platform.settings.home / "elsewhere"
    store = BundleStore(elsewhere / "bundles", platform.objects)
    second = PlanHolder(platform.control, store, elsewhere / "plan.json", replica="other", poll_seconds=0.01)
    await second.start()
    await until(lambda: first.ready and second.ready)
    here, there = first.state.endpoints["dep_1"], second.state.endpoints["dep_1"]
    seen = set()
    for index in range(1_000):
        unit = f"customer_{index}"
        mine = here.runtime.choose(here, f"req_{index}", unit).arm.name
        assert mine == there.runtime.choose(there, f"another_{index}", unit).arm.name
        seen.add(mine)
    assert seen == {"stable", "b"}
    await first.stop()
    await second.stop()


async def test_what_a_killed_process_left_half_written_is_tidied_up(platform):
    folder = platform.settings.home / "serving"
    folder.mkdir(parents=True)
    (folder / "plan.edge-12345.partial").write_bytes(b"{")
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    holder = await started(platform)
    await until(lambda: platform.control.acknowledged)
    await holder.stop()
    assert [path.name for path in folder.glob("plan*")] == ["plan.json"]


# Rollback


async def test_a_rollback_to_the_previous_version_needs_no_disk(platform, monkeypatch):
    old, new = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(old))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(2, platform.arm(new, "1.1.0"), fallback_digests=(old,))
    await until(lambda: holder.state.generation == 2)
    monkeypatch.setattr(holder.pool._store, "load", lambda *_given: pytest.fail("the bundle was loaded again"))
    platform.publish(3, platform.arm(old), fallback_digests=(new,))
    await until(lambda: holder.state.generation == 3)
    await holder.stop()
    assert digests(holder) == [old]


async def test_after_a_restart_the_models_of_a_rollback_are_in_memory_again(platform):
    old, new = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(old))
    first = await started(platform)
    await until(lambda: first.ready)
    platform.publish(2, platform.arm(new, "1.1.0"), fallback_digests=(old,))
    await until(lambda: first.state.generation == 2)
    await first.stop()
    platform.control.away = True
    second = await started(platform)
    await until(lambda: second.pool.get(old) is not None)
    await second.stop()


# Bundles that must not serve


def tampered(objects, digest):
    key = next(key for key in objects.list(f"bundles/{digest}") if key.endswith("estimator.json"))
    objects.put_bytes(key, objects.get_bytes(key) + b" ")
    return digest


def with_a_stranger(objects, digest):
    objects.put_bytes(f"bundles/{digest}/extra.py", b"print('hello')")
    return digest


def of_a_newer_release(objects, digest):
    manifest = msgspec.json.decode(objects.get_bytes(f"bundles/{digest}/manifest.json"))
    content = msgspec.json.encode({**manifest, "format_version": 99})
    newer = f"sha256:{hashlib.sha256(content).hexdigest()}"
    objects.put_bytes(f"bundles/{newer}/manifest.json", content)
    return newer


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(tampered, "estimator.json"), (with_a_stranger, "extra.py"), (of_a_newer_release, "format 99")],
)
async def test_a_bundle_that_does_not_verify_is_refused_and_the_last_good_one_serves(platform, spoil, reason, context):
    good = platform.bundle(1.0)
    bad = spoil(platform.objects.for_workspace(context.workspace_id), platform.bundle(2.0))
    platform.publish(1, platform.arm(good))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(2, platform.arm(bad, "2.0.0"))
    await until(lambda: holder.state.generation == 2)
    await until(lambda: platform.control.acknowledged[-1].generation == 2)
    await holder.stop()
    assert digests(holder) == [good]
    assert reason in platform.control.acknowledged[-1].endpoints["dep_1"].detail


async def test_a_broken_shadow_or_fallback_is_reported_and_takes_nothing_from_the_live_arms(platform):
    good, missing = platform.bundle(1.0), "sha256:" + "0" * 64
    platform.publish(1, platform.arm(good), platform.arm(missing, "2.0.0", name="shadow", mode="shadow"))
    holder = await started(platform)
    await until(lambda: holder.ready)
    assert digests(holder) == [good]
    assert holder.state.endpoints["dep_1"].shadows == ()
    assert "shadow version 2.0.0" in holder.state.failed["dep_1"].reason
    plan = platform.publish(2, platform.arm(good))
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], fallback=Fallback(arm=platform.arm(missing, "0.9.0")))
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})
    await until(lambda: holder.state.generation == 2)
    assert digests(holder) == [good]
    assert "fallback version 0.9.0" in holder.state.failed["dep_1"].reason
    await holder.stop()


async def test_shadow_arms_and_the_fallback_are_loaded_too(platform):
    live, shadow, fallback = (platform.bundle(weight) for weight in (1.0, 2.0, 3.0))
    plan = platform.publish(1, platform.arm(live), platform.arm(shadow, "2.0.0", name="shadow", mode="shadow"))
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], fallback=Fallback(arm=platform.arm(fallback, "0.9.0")))
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})
    holder = await started(platform)
    await until(lambda: holder.ready)
    found = holder.state.endpoints["dep_1"]
    assert [one.bundle.digest for one in found.loaded()] == [live, shadow, fallback]
    assert not holder.state.failed
    await holder.stop()
    assert len(list((platform.settings.home / "serving" / "bundles").iterdir())) == 3


# Models that run elsewhere


class Elsewhere(StubModel):
    """A general model that records what is done with it."""

    def __init__(self, bundle, made):
        super().__init__(inline=False)
        self.bundle, self.started = bundle, False
        made.append(self)

    async def start(self):
        self.started = True


@pytest.fixture
def general(monkeypatch):
    """Serve every bundle as if it had not been compiled; yields the models that were made."""
    made: list[Elsewhere] = []
    from arkwright.serving import pool

    real = pool.BundleStore.load

    def load(self, *given):
        bundle = real(self, *given)
        return dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, predictor="general"))

    monkeypatch.setattr(pool.BundleStore, "load", load)
    return made


async def test_a_model_that_was_not_compiled_is_started_warmed_and_closed_when_it_is_replaced(platform, general):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    holder = await started(platform, general=lambda bundle: Elsewhere(bundle, general))
    await until(lambda: holder.ready)
    (first,) = general
    assert first.started
    assert first.calls == 1
    assert not holder.state.endpoints["dep_1"].inline
    platform.publish(2, platform.arm(platform.bundle(2.0), "2.0.0"))
    await until(lambda: first.closed)
    assert not general[1].closed
    await holder.stop()
    assert general[1].closed


async def test_a_model_that_does_not_start_leaves_the_previous_one_serving(platform, general):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    holder = await started(platform, general=lambda bundle: Elsewhere(bundle, general))
    await until(lambda: holder.ready)
    kept = digests(holder)

    def broken(bundle):
        model = Elsewhere(bundle, general)
        model.error = Unavailable("it died")
        return model

    holder.pool._general = broken
    platform.publish(2, platform.arm(platform.bundle(2.0), "2.0.0"))
    await until(lambda: holder.state.generation == 2)
    assert digests(holder) == kept
    assert "it died" in holder.state.failed["dep_1"].reason
    assert [model.closed for model in general] == [False, True]
    await holder.stop()


async def test_a_data_plane_without_general_models_says_so(platform, general):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    holder = await started(platform)
    await until(lambda: holder.ready)
    assert "compiled models only" in holder.state.failed["dep_1"].reason
    await holder.stop()


async def test_a_bundle_that_never_arrives_keeps_no_other_endpoint_from_being_ready(platform, monkeypatch):
    monkeypatch.setattr("arkwright.serving.plan._INTERIM_SECONDS", 0.01)
    monkeypatch.setattr("arkwright.serving.plan._PATIENCE_SECONDS", 0.05)
    good, slow = platform.bundle(1.0), platform.bundle(2.0)
    platform.control.plan = two_endpoints(platform.publish(1, platform.arm(good)), arms=(platform.arm(slow, "2.0.0"),))
    holder = a_holder(platform)
    gate = gated(monkeypatch, holder, slow)
    await holder.start()
    await until(lambda: holder.ready)
    assert set(holder.state.endpoints) == {"dep_1"}
    assert "still being loaded" in holder.state.failed["dep_2"].reason
    gate.set()
    await until(lambda: set(holder.state.endpoints) == {"dep_1", "dep_2"} and not holder.state.failed)
    await holder.stop()


async def test_the_models_of_possible_rollbacks_have_a_budget(platform, monkeypatch):
    monkeypatch.setattr("arkwright.serving.plan._SPARE_BYTES", 0)
    old, new = platform.bundle(1.0), platform.bundle(2.0)
    platform.publish(1, platform.arm(old))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.publish(2, platform.arm(new, "1.1.0"), fallback_digests=(old,))
    await until(lambda: holder.pool.digests() == {new})
    platform.publish(3, platform.arm(old))
    await until(lambda: digests(holder) == [old])
    await holder.stop()


async def test_a_plan_does_not_wait_for_the_models_of_another_plans_rollbacks(platform, monkeypatch):
    old, new, next_one = (platform.bundle(weight) for weight in (1.0, 2.0, 3.0))
    platform.publish(1, platform.arm(new), fallback_digests=(old,))
    holder = a_holder(platform)
    begun, gate, preloaded = threading.Event(), threading.Event(), []

    def slowly(digest, _max_bytes):
        begun.set()
        gate.wait(10)
        preloaded.append(digest)

    monkeypatch.setattr(holder.pool, "_read_small", slowly)
    await holder.start()
    await until(begun.is_set)
    platform.publish(2, platform.arm(next_one, "3.0.0"))
    await until(lambda: holder.state.generation == 2)
    assert digests(holder) == [next_one]
    assert not preloaded, "it is still at it"
    gate.set()
    await holder.stop()


# With and without the control plane


async def test_the_fuses_decide_only_after_the_control_plane_was_away_for_some_seconds(platform, monkeypatch):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    holder = await started(platform)
    await until(lambda: holder.ready)
    platform.control.away = True
    await until(lambda: not holder.reachable)
    assert not holder.alone
    monkeypatch.setattr("arkwright.serving.plan._ALONE_SECONDS", 0.0)
    assert holder.alone
    assert holder.state.endpoints["dep_1"].runtime._alone()
    platform.control.away = False
    await until(lambda: holder.reachable)
    assert not holder.alone
    await holder.stop()


async def test_a_data_plane_of_which_no_endpoint_answers_is_not_able_and_one_without_endpoints_is(platform):
    platform.publish(1)
    holder = await started(platform)
    await until(lambda: holder.ready)
    assert holder.able
    platform.publish(2, platform.arm("sha256:" + "0" * 64))
    await until(lambda: holder.state.generation == 2)
    assert holder.ready
    assert not holder.able
    platform.publish(3, platform.arm(platform.bundle(1.0)))
    await until(lambda: holder.able)
    await holder.stop()
