"""Latency with a clock that the model moves: percentiles, blocks, budgets, batches, cold start and stages."""

import time

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.latency import (
    check_latency,
    profile_latency,
    time_batches,
    time_cold_start,
    time_single_rows,
    time_stages,
)


class Machine:
    """A clock that stands still but for the work done on it."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def clock(self):
        return self.now

    def predict(self, columns, fixed=0.001, per_row=0.0001):
        n_rows = len(columns["x"])
        self.calls.append(n_rows)
        self.now += fixed + per_row * n_rows
        return np.zeros((n_rows, 1))


@pytest.fixture
def machine():
    return Machine()


def table(n_rows):
    return {"x": np.arange(float(n_rows))}


@given(st.lists(st.floats(1e-6, 1.0), min_size=100, max_size=250))
def test_the_percentiles_of_one_block_are_numpy_s(seconds):
    machine = Machine()
    waits = iter([0.0] * 20 + seconds)

    def answer(row):
        machine.now += next(waits)

    found = time_single_rows(answer, 1, budget_seconds=1e9, block_calls=len(seconds), n_blocks=1, clock=machine.clock)
    for name in ("p50", "p95", "p99"):
        expected = 1000.0 * np.percentile(seconds, float(name[1:]))
        assert getattr(found, name).value_ms == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert found.requests_per_second == pytest.approx(len(seconds) / sum(seconds), rel=1e-6)


def test_one_disturbed_block_does_not_move_the_percentiles(machine):
    count = iter(range(10**6))

    def answer(row):
        call = next(count)
        machine.now += 5.0 if 420 <= call < 500 else 0.002  # a hiccup within the third block

    found = time_single_rows(answer, 3, budget_seconds=1e9, clock=machine.clock)
    assert found.p99.value_ms == pytest.approx(2.0)
    assert found.requests_per_second == pytest.approx(500.0)
    assert (found.n_calls, found.n_blocks, found.block_calls) == (1000, 5, 200)


def test_the_rows_of_the_sample_are_asked_in_turn(machine):
    asked = []
    time_single_rows(asked.append, 3, budget_seconds=1e9, n_blocks=1, block_calls=100, clock=machine.clock)
    timed = asked[-100:]
    assert timed == [call % 3 for call in range(100)]


def test_a_percentile_of_too_few_calls_is_not_made_up(machine):
    def slow(row):
        machine.now += 0.125

    found = time_single_rows(slow, 1, budget_seconds=5.0, clock=machine.clock)
    assert found.n_calls == 36  # of the forty that fit, four warmed up
    assert found.p95.value_ms == 125.0
    assert found.p99.value_ms is None
    assert found.p99.reason == "p99 needs 100 calls and the time budget allowed 36 calls"
    assert check_latency(found, 200.0).verdict == "met"
    assert check_latency(found, 50.0).verdict == "not met"
    assert check_latency(found, 50.0, percentile="p99").detail == f"p99 is not known, because {found.p99.reason}."


def test_a_model_slower_than_the_budget_is_still_asked_once(machine):
    def slow(row):
        machine.now += 60.0

    found = time_single_rows(slow, 1, budget_seconds=1.0, clock=machine.clock)
    assert (found.n_calls, found.p50.value_ms) == (1, 60_000.0)
    assert found.p95.reason.endswith("allowed 1 call")


def test_batches_give_the_median_time_and_say_what_the_rows_do_not_allow(machine):
    found = {each.n_rows: each for each in time_batches(machine.predict, table(500), clock=machine.clock)}
    assert found[100].median_ms == pytest.approx(11.0)
    assert found[100].rows_per_second == pytest.approx(100 / 0.011)
    assert found[100].repeats == 7
    assert found[1_000].median_ms is None
    assert found[1_000].reason == "the sample has only 500 rows"


def test_the_first_call_of_a_batch_size_is_not_counted(machine):
    waits = iter([9.0, 1.0, 1.0, 3.0, 3.0])

    def predict(columns):
        machine.now += next(waits)

    (found,) = time_batches(predict, table(4), sizes=(4,), repeats=4, budget_seconds=100.0, clock=machine.clock)
    assert (found.median_ms, found.repeats, found.rows_per_second) == (2000.0, 4, 2.0)


def test_batches_past_the_budget_are_named_and_not_timed(machine):
    small, large = time_batches(machine.predict, table(100), sizes=(100, 10), budget_seconds=0.002, clock=machine.clock)
    assert (small.n_rows, small.repeats, small.median_ms) == (10, 1, pytest.approx(2.0))
    assert large.median_ms is None
    assert "time budget" in large.reason


def test_a_cold_start_is_loading_and_the_first_answer(machine):
    loads = iter([9.0, 1.0, 2.0])

    def load():
        machine.now += next(loads)
        return lambda columns: machine.predict(columns, fixed=0.5, per_row=0.0)

    found = time_cold_start(load, table(1), budget_seconds=100.0, clock=machine.clock)
    assert (found.load_ms, found.first_answer_ms, found.total_ms, found.repeats) == (2000.0, 500.0, 2500.0, 3)


def test_the_profile_names_the_batch_size_that_gives_most_rows(machine):
    found = profile_latency(machine.predict, table(2_000), budget_seconds=1e6, clock=machine.clock)
    assert found.throughput.best_batch_rows == 1_000
    assert found.throughput.rows_per_second == pytest.approx(1_000 / 0.101)
    assert found.throughput.requests_per_second == pytest.approx(1 / 0.0011)
    assert found.cold_start is None
    assert found.cold_start_reason == "no way to load the model anew was given"
    assert found.spent_seconds == pytest.approx(machine.now)
    assert msgspec.json.decode(msgspec.json.encode(found))["single_row"]["p50"]["value_ms"] == pytest.approx(1.1)


def test_a_clock_too_coarse_to_see_the_model_gives_no_throughput():
    found = profile_latency(lambda columns: None, table(10), clock=lambda: 0.0)
    assert found.single_row.p50.value_ms == 0.0
    assert found.throughput.requests_per_second is None
    assert found.throughput.rows_per_second is None
    assert found.throughput.reason == "no batch could be timed"


def test_the_real_clock_sees_a_pause():
    found = time_single_rows(lambda row: time.sleep(0.002), 1, budget_seconds=0.3)
    assert 2.0 <= found.p50.value_ms < 50.0


def test_the_stages_have_their_share_of_the_time(machine):
    def work(seconds):
        machine.now += seconds

    stages = {"encode": lambda: work(0.0095), "evaluate": lambda: work(0.0005)}
    encode, evaluate = time_stages(stages, clock=machine.clock)
    assert (encode.name, encode.share) == ("encode", pytest.approx(0.95))
    assert evaluate.median_ms == pytest.approx(0.5)
    assert time_stages({"idle": lambda: None}, clock=lambda: 0.0)[0].share is None


@pytest.mark.parametrize("columns", [{}, {"x": np.empty(0)}, {"x": np.ones(2), "y": np.ones(3)}])
def test_a_table_without_rows_or_of_uneven_columns_is_refused(columns):
    with pytest.raises(Invalid) as refused:
        profile_latency(lambda given: None, columns)
    assert refused.value.hint


def test_a_batch_of_no_rows_is_refused(machine):
    with pytest.raises(Invalid, match="A batch of 0 rows"):
        time_batches(machine.predict, table(3), sizes=(0, 1), clock=machine.clock)
