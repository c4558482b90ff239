"""Many callers, one model in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop
from tests.unit.general_bundles import SIGNATURE, obedient_model, write_pickled

from arkwright.bundles import ModelFailed, ModelTimeout, PredictionInvalid
from arkwright.core.errors import Invalid, Unavailable
from arkwright.kit.telemetry import exposition
from arkwright.serving.general import GeneralModel
from arkwright.serving.ports import ServableModel


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("general") / "bundle"
    return folder, write_pickled(folder, obedient_model())


@contextlib.asynccontextmanager
async def serving(bundle, **options) -> AsyncIterator[GeneralModel]:
    model = GeneralModel(*bundle, SIGNATURE, **options)
    await model.start()
    try:
        yield model
    finally:
        await model.close()


def row(x, order=None, **more):
    return {"x": x, "order": order, **more}


async def ask(model, *rows, timeout_seconds=30.0):
    answers = await model.predict_rows_async(list(rows), timeout_seconds=timeout_seconds)
    return [answer["value"] for answer in answers]


async def appears(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.001)


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def kept_busy(model, tmp_path):
    """Let the model work on a batch until the block ends."""
    gate = tmp_path / f"gate{time.monotonic_ns()}"
    task = asyncio.ensure_future(ask(model, row(1, f"wait:{gate}")))
    await appears(gate.with_suffix(".begun"))
    try:
        yield task
    finally:
        gate.touch()


async def test_hundreds_of_callers_at_once_get_their_own_answers(bundle):
    async with serving(bundle, max_rows=32) as model:
        as_port: ServableModel = model
        assert as_port.inline is False

        async def caller(number):
            sizes = (1, 2, 1, 40) if number % 50 == 0 else (1, 3)
            for turn, size in enumerate(sizes):
                cells = [number * 1000 + turn * 100 + at for at in range(size)]
                answers = await model.predict_rows_async([row(x, id=f"{x}") for x in cells], timeout_seconds=60)
                assert answers == [{"id": f"{x}", "value": 2.0 * x + 1} for x in cells]

        await asyncio.gather(*(caller(number) for number in range(400)))
        assert model.queued == 0


def test_it_works_on_the_loop_that_the_server_uses(bundle):
    async def play():
        async with serving(bundle) as model:
            assert await ask(model, *[row(x) for x in range(600)]) == [2.0 * x + 1 for x in range(600)]
            with pytest.raises(Unavailable):
                await ask(model, row(1, "die"))
            assert await ask(model, row(1)) == [3.0]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


async def test_what_waits_shares_a_batch_and_none_is_too_large(bundle, tmp_path):
    async with serving(bundle, max_rows=8) as model:
        async with kept_busy(model, tmp_path):
            lone = [asyncio.ensure_future(ask(model, row(1, "count rows"))) for _ in range(20)]
            await until(lambda: model.queued == 20)
        sizes = [(await task)[0] for task in lone]
        assert sizes == [8.0] * 16 + [4.0] * 4
        assert max(await ask(model, *[row(1, "count rows")] * 30)) == 8.0


async def test_a_large_request_lets_others_in_between_its_pieces(bundle, tmp_path):
    async with serving(bundle, max_rows=4) as model:
        async with kept_busy(model, tmp_path):
            order = []
            large = asyncio.ensure_future(ask(model, *[row(x) for x in range(12)]))
            await until(lambda: model.queued == 1)
            small = asyncio.ensure_future(ask(model, row(5)))
            await until(lambda: model.queued == 2)
            large.add_done_callback(lambda _: order.append("large"))
            small.add_done_callback(lambda _: order.append("small"))
        assert await large == [2.0 * x + 1 for x in range(12)]
        assert await small == [11.0]
        assert order == ["small", "large"]


async def test_a_poison_row_fails_alone(bundle, tmp_path):
    async with serving(bundle) as model:
        async with kept_busy(model, tmp_path):
            good = [asyncio.ensure_future(ask(model, row(x))) for x in range(40)]
            bad = asyncio.ensure_future(ask(model, row(1), row(2, "poison"), row(3)))
            more = [asyncio.ensure_future(ask(model, row(x))) for x in range(40, 60)]
            await until(lambda: model.queued == 61)
        assert [await task for task in good + more] == [[2.0 * x + 1] for x in range(60)]
        with pytest.raises(ModelFailed, match=r"instances\[1\] made the model raise ValueError: this row is poison"):
            await bad
        assert model.restarts == 0


async def test_missing_cells_and_absent_columns_reach_the_model_as_it_knows_them(bundle):
    async with serving(bundle) as model:
        assert await ask(model, row(None), row(2, "a", day="2026-03-01T10:00:00Z"), row(2**70, 2**70)) == [
            0.0,
            5.0,
            2.0 * 2**70 + 1,
        ]


async def test_rows_that_do_not_fit_never_reach_the_queue(bundle):
    async with serving(bundle) as model:
        with pytest.raises(PredictionInvalid, match=r"instances\[0\]\.x"):
            await ask(model, row("three"))
        with pytest.raises(PredictionInvalid, match=r"instances\[999\]\.x"):
            await ask(model, *[row(1)] * 999, row("three"))


async def test_it_cannot_explain_and_says_so(bundle):
    with pytest.raises(Invalid, match="cannot be explained"):
        GeneralModel(*bundle, SIGNATURE).explain_rows([row(1)])


async def test_one_who_waits_too_long_is_told_and_is_never_sent(bundle, tmp_path):
    async with serving(bundle) as model:
        async with kept_busy(model, tmp_path):
            with pytest.raises(ModelTimeout) as caught:
                await ask(model, row(1, "die"), timeout_seconds=0.01)
            assert caught.value.status == 504
            assert model.queued == 0
        assert await ask(model, row(1)) == [3.0]
        assert model.restarts == 0


async def test_a_caller_that_goes_away_is_never_sent(bundle, tmp_path):
    async with serving(bundle) as model:
        async with kept_busy(model, tmp_path):
            gone = asyncio.ensure_future(ask(model, row(1, "die")))
            await until(lambda: model.queued == 1)
            gone.cancel()
            await until(lambda: model.queued == 0)
        assert await ask(model, row(1)) == [3.0]
        assert model.restarts == 0


async def test_more_than_may_wait_are_refused_at_once(bundle, tmp_path):
    async with serving(bundle, max_queued=3) as model:
        async with kept_busy(model, tmp_path) as first:
            waiting = [asyncio.ensure_future(ask(model, row(x))) for x in range(3)]
            await until(lambda: model.queued == 3)
            with pytest.raises(Unavailable) as caught:
                await ask(model, row(9))
            assert caught.value.retry_after_seconds >= 1
        assert [await task for task in (first, *waiting)] == [[3.0], [1.0], [3.0], [5.0]]


async def test_a_killed_process_fails_its_batch_at_once_and_answers_what_waited(bundle, tmp_path):
    async with serving(bundle) as model:
        async with kept_busy(model, tmp_path) as sent:
            waiting = [asyncio.ensure_future(ask(model, row(x))) for x in range(5)]
            await until(lambda: model.queued == 5)
            os.kill(model.pid, signal.SIGKILL)
            with pytest.raises(Unavailable) as caught:
                await sent
            assert caught.value.status == 503
            assert [await task for task in waiting] == [[2.0 * x + 1] for x in range(5)]
        assert model.restarts == 1


async def test_a_process_that_dies_again_and_again_turns_everybody_away(bundle):
    async with serving(bundle) as model:
        for _ in range(2):
            await until(lambda: model.ready)
            with pytest.raises(Unavailable):
                await ask(model, row(1, "die"))
        await until(lambda: model._refusal is not None)
        with pytest.raises(Unavailable):
            await ask(model, row(1))
        await until(lambda: model.ready)
        assert await ask(model, row(1)) == [3.0]


async def test_a_process_that_hangs_is_ended_and_started_again(bundle):
    async with serving(bundle, timeout_seconds=1.0) as model:
        pid = model.pid
        with pytest.raises(Unavailable, match="a batch took too long"):
            await ask(model, row(1, "hang"))
        assert await ask(model, row(2)) == [5.0]
        assert model.pid != pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_caller_in_a_hurry_does_not_end_a_process_that_works(bundle, tmp_path):
    async with serving(bundle) as model:
        gate = tmp_path / "gate"
        with pytest.raises(ModelTimeout):
            await ask(model, row(1, f"wait:{gate}"), timeout_seconds=0.05)
        gate.touch()
        assert await ask(model, row(1)) == [3.0]
        assert model.restarts == 0


async def test_a_bundle_that_goes_bad_while_served_does_not_come_back(tmp_path):
    folder = tmp_path / "bundle"
    async with serving((folder, write_pickled(folder, obedient_model()))) as model:
        (folder / "signature.json").write_text("{}")
        assert await ask(model, row(1)) == [3.0]
        os.kill(model.pid, signal.SIGKILL)
        await until(lambda: model._refusal is not None)
        with pytest.raises(Unavailable, match=r"signature\.json"):
            await ask(model, row(1))


async def test_a_model_that_cannot_start_leaves_the_one_in_use_alone(bundle, tmp_path):
    digest = write_pickled(tmp_path / "bad", obedient_model(), [row(1, "die")])
    async with serving(bundle) as model:
        bad = GeneralModel(tmp_path / "bad", digest, SIGNATURE)
        with pytest.raises(Unavailable, match="signal 9"):
            await bad.start()
        await bad.close()
        with pytest.raises(Unavailable):
            await ask(bad, row(1))
        assert await ask(model, row(1)) == [3.0]


async def test_a_model_that_loads_for_ever_is_given_up(tmp_path):
    digest = write_pickled(tmp_path / "slow", obedient_model(), [row(1, "hang")])
    model = GeneralModel(tmp_path / "slow", digest, SIGNATURE, start_timeout_seconds=0.3)
    with pytest.raises(Unavailable, match="not loaded within"):
        await model.start()
    await model.close()


async def test_closing_answers_what_has_arrived_and_leaves_nothing(bundle, tmp_path):
    async with serving(bundle) as model:
        async with kept_busy(model, tmp_path) as first:
            pid, folder = model.pid, model._link.process._folder
            second = asyncio.ensure_future(ask(model, row(2)))
            await until(lambda: model.queued == 1)
            closing = asyncio.ensure_future(model.close())
            await until(lambda: model._refusal is not None)
            with pytest.raises(Unavailable, match="no longer served"):
                await ask(model, row(3))
        await closing
        assert (await first, await second) == ([3.0], [5.0])
        assert not folder.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_its_queue_its_batches_and_its_restarts_are_exported_while_it_is_served(bundle, tmp_path):
    def exported():
        lines = [line for line in exposition().decode().splitlines() if line.startswith("arkwright_general_model_")]
        return {
            line.partition("{")[0].removeprefix("arkwright_general_model_"): float(line.split()[-1])
            for line in lines
            if bundle[1][7:19] in line
        }

    async with serving(bundle) as model:
        async with kept_busy(model, tmp_path) as first:
            waiting = [asyncio.ensure_future(ask(model, row(1), row(2))) for _ in range(3)]
            await until(lambda: model.queued == 3)
            assert exported()["queued"] == 3
            assert exported()["batches_total"] == 1
        await asyncio.gather(first, *waiting)
        with pytest.raises(Unavailable):
            await ask(model, row(1, "die"))
        await until(lambda: model.ready)
        found = exported()
        assert {name: found[name] for name in ("queued", "batches_total", "rows_total", "restarts_total")} == {
            "queued": 0,
            "batches_total": 3,
            "rows_total": 8,
            "restarts_total": 1,
        }
    assert exported() == {}


async def test_what_a_killed_server_left_is_swept_up_and_what_another_uses_is_not(bundle):
    place = Path(tempfile.gettempdir())
    left = Path(tempfile.mkdtemp(prefix="arkwright-model-"))
    async with serving(bundle) as other:
        used = other._link.process._folder
        assert used.parent == place
        async with serving(bundle):
            assert not left.exists()
            assert used.is_dir()


async def test_closing_does_not_wait_for_ever(bundle):
    async with serving(bundle, timeout_seconds=0.2) as model:
        hanging = asyncio.ensure_future(ask(model, row(1, "hang")))
        await until(lambda: model._batches.busy)
        await model.close()
        with pytest.raises(Unavailable):
            await hanging


async def test_closing_while_it_is_started_again_leaves_nothing(bundle):
    async with serving(bundle) as model:
        pid = model.pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not model.ready)
        waiting = asyncio.ensure_future(ask(model, row(1)))
        await until(lambda: model.queued == 1)
        await model.close()
        with pytest.raises(Unavailable):
            await waiting
        assert model.pid is None
