"""How long a model takes to answer: one row, batches, the first answer of a fresh process, and which stage takes it.

Every measurement takes its clock as a parameter and a time budget, makes at least one repeat, and says how many it
made. Times on a shared machine have a long tail that is not the model's: work is therefore timed in blocks and the
*median over the blocks* is reported, which one disturbed block cannot move. Calls are made before the first block to
fill caches ("warm"); the garbage collector stays on, as it does when the model serves.

References
----------
Dean & Barroso (2013), "The Tail at Scale", CACM 56(2) (why p95 and p99 and not the mean).
Georges, Buytaert & Eeckhout (2007), "Statistically Rigorous Java Performance Evaluation", OOPSLA (repeated blocks,
start-up apart from the steady state).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import counted, written

Columns = Mapping[str, npt.NDArray[Any]]
Predict = Callable[[Columns], Any]
Clock = Callable[[], float]

BATCH_SIZES = (1, 10, 100, 1_000, 10_000)
_BLOCK_CALLS = 200
_N_BLOCKS = 5
_WARM_CALLS, _WARM_SHARE = 20, 0.1
_BATCH_REPEATS = 7
_COLD_REPEATS = 3
_FEWEST_CALLS = {"p50": 1, "p95": 20, "p99": 100}


class Timing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A time in milliseconds; None, with the reason, where it could not be measured."""

    value_ms: float | None
    reason: str = ""


class SingleRowLatency(msgspec.Struct, frozen=True, kw_only=True):
    """Warm latency of one row at a time, one caller, each call a row of the sample in turn.

    Each percentile is the median over ``n_blocks`` blocks of ``block_calls`` calls. ``requests_per_second`` is what
    one caller that waits for each answer gets.
    """

    p50: Timing
    p95: Timing
    p99: Timing
    requests_per_second: float | None
    n_calls: int
    n_blocks: int
    block_calls: int


class BatchLatency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Median time of one call with ``n_rows`` rows, over ``repeats`` calls."""

    n_rows: int
    repeats: int
    median_ms: float | None
    rows_per_second: float | None
    reason: str = ""


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of loading the model and of its first answer afterwards, over ``repeats`` loads."""

    load_ms: float
    first_answer_ms: float
    total_ms: float
    repeats: int


class StageTime(msgspec.Struct, frozen=True, kw_only=True):
    """The median time of one stage, and its share of all stages (0 to 1; None if none took any time)."""

    name: str
    median_ms: float
    share: float | None


class Throughput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one caller gets: single rows, and rows in batches of the size that gives most."""

    requests_per_second: float | None
    rows_per_second: float | None
    best_batch_rows: int | None
    reason: str = ""


class LatencyProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was timed, the budget it had and what it used of it."""

    single_row: SingleRowLatency
    batches: tuple[BatchLatency, ...]
    throughput: Throughput
    cold_start: ColdStart | None
    cold_start_reason: str
    budget_seconds: float
    spent_seconds: float


class LatencyRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a percentile is within a limit, in a sentence."""

    verdict: Literal["met", "not met", "unknown"]
    detail: str


def profile_latency(
    predict: Predict,
    columns: Columns,
    *,
    answer_row: Callable[[int], Any] | None = None,
    load: Callable[[], Predict] | None = None,
    sizes: Sequence[int] = BATCH_SIZES,
    budget_seconds: float = 20.0,
    clock: Clock = time.perf_counter,
) -> LatencyProfile:
    """Time a model.

    Parameters
    ----------
    predict
        Takes columns, returns scores.
    columns
        A sample of real rows, one array per column; the batches are cut from its beginning.
    answer_row
        Answers the sample's row of that index, where single rows take another path than tables
        (``Predictor.predict_row``); by default ``predict`` with tables of one row.
    load
        Loads the model anew and returns its ``predict``; without it there is no cold start.
    sizes
        Batch sizes in rows.
    budget_seconds
        About how long to measure: a third for each of single rows, batches and cold starts. One call is never cut
        off, so a slow model may take longer.
    clock
        Seconds, from any start.

    Raises
    ------
    Invalid
        If there is no row, or the columns differ in length.
    """
    n_rows = _n_rows(columns)
    if answer_row is None:
        singles = [_rows(columns, row, row + 1) for row in range(min(n_rows, _BLOCK_CALLS))]
        answer_row = lambda row: predict(singles[row % len(singles)])  # noqa: E731 - one shape for both ways
    began = clock()
    single = time_single_rows(answer_row, n_rows, budget_seconds=budget_seconds / 3, clock=clock)
    batches = time_batches(predict, columns, sizes=sizes, budget_seconds=budget_seconds / 3, clock=clock)
    cold = None
    if load is not None:
        cold = time_cold_start(load, _rows(columns, 0, 1), budget_seconds=budget_seconds / 3, clock=clock)
    return LatencyProfile(
        single_row=single,
        batches=batches,
        throughput=throughput(single, batches),
        cold_start=cold,
        cold_start_reason="" if cold is not None else "no way to load the model anew was given",
        budget_seconds=float(budget_seconds),
        spent_seconds=float(clock() - began),
    )


def time_single_rows(
    answer_row: Callable[[int], Any],
    n_rows: int,
    *,
    budget_seconds: float = 5.0,
    block_calls: int = _BLOCK_CALLS,
    n_blocks: int = _N_BLOCKS,
    clock: Clock = time.perf_counter,
) -> SingleRowLatency:
    """Time single rows in blocks, after some calls that are not counted.

    A block that the budget cuts short is dropped unless it is the only one. A percentile of fewer calls than it can
    be told from (20 for p95, 100 for p99) is None, with the reason.

    Examples
    --------
    >>> ticks = iter(range(10_000))
    >>> found = time_single_rows(lambda row: None, 3, budget_seconds=1e9, clock=lambda: next(ticks) / 1000.0)
    >>> round(found.p50.value_ms, 9), found.n_calls, found.n_blocks
    (1.0, 1000, 5)
    """
    if n_rows < 1:
        raise _no_rows()
    began = clock()
    deadline = began + budget_seconds
    for call in range(_WARM_CALLS):
        answer_row(call % n_rows)
        if clock() >= began + _WARM_SHARE * budget_seconds:
            break
    blocks: list[npt.NDArray[np.float64]] = []
    call = 0
    for _ in range(n_blocks):
        times: list[float] = []
        for _ in range(block_calls):
            before = clock()
            answer_row(call % n_rows)
            after = clock()
            times.append(after - before)
            call += 1
            if after >= deadline:
                break
        if len(times) == block_calls or not blocks:
            blocks.append(np.asarray(times))
        if clock() >= deadline:
            break
    seconds = float(np.median([block.mean() for block in blocks]))
    return SingleRowLatency(
        p50=_percentile(blocks, "p50"),
        p95=_percentile(blocks, "p95"),
        p99=_percentile(blocks, "p99"),
        requests_per_second=1.0 / seconds if seconds > 0 else None,
        n_calls=sum(block.size for block in blocks),
        n_blocks=len(blocks),
        block_calls=int(blocks[0].size),
    )


def time_batches(
    predict: Predict,
    columns: Columns,
    *,
    sizes: Sequence[int] = BATCH_SIZES,
    budget_seconds: float = 5.0,
    repeats: int = _BATCH_REPEATS,
    clock: Clock = time.perf_counter,
) -> tuple[BatchLatency, ...]:
    """Time one call for each batch size, smallest first; what the rows or the budget do not allow says so.

    The first call of each size is not counted, unless the budget leaves no other.
    """
    n_rows = _n_rows(columns)
    deadline = clock() + budget_seconds
    found: list[BatchLatency] = []
    for size in sorted(set(sizes)):
        if size < 1:
            raise Invalid(
                f"A batch of {size} rows cannot be timed.",
                code="evaluation.batch_size",
                hint="Give batch sizes of one row or more.",
            )
        reason = f"the sample has only {counted(n_rows, 'row')}" if size > n_rows else ""
        if not reason and clock() >= deadline and found:
            reason = f"the time budget of {budget_seconds:g} seconds was used up by smaller batches"
        if reason:
            found.append(BatchLatency(n_rows=size, repeats=0, median_ms=None, rows_per_second=None, reason=reason))
            continue
        batch = _rows(columns, 0, size)
        times: list[float] = []
        for _ in range(repeats + 1):
            before = clock()
            predict(batch)
            after = clock()
            times.append(after - before)
            if after >= deadline:
                break
        seconds = float(np.median(times[1:] or times))
        found.append(
            BatchLatency(
                n_rows=size,
                repeats=max(1, len(times) - 1),
                median_ms=1000.0 * seconds,
                rows_per_second=size / seconds if seconds > 0 else None,
            )
        )
    return tuple(found)


def time_cold_start(
    load: Callable[[], Predict],
    row: Columns,
    *,
    budget_seconds: float = 5.0,
    repeats: int = _COLD_REPEATS,
    clock: Clock = time.perf_counter,
) -> ColdStart:
    """Time loading the model and its first answer.

    In one process the second load finds the files in the system's cache and the libraries imported, so this is the
    start of a model in a running data plane. For the start of a process, let ``load`` start one.
    """
    loads, firsts = [], []
    deadline = clock() + budget_seconds
    for _ in range(repeats):
        began = clock()
        predict = load()
        loaded = clock()
        predict(row)
        answered = clock()
        loads.append(loaded - began)
        firsts.append(answered - loaded)
        if answered >= deadline:
            break
    totals = np.asarray(loads) + np.asarray(firsts)
    return ColdStart(
        load_ms=1000.0 * float(np.median(loads)),
        first_answer_ms=1000.0 * float(np.median(firsts)),
        total_ms=1000.0 * float(np.median(totals)),
        repeats=len(loads),
    )


def time_stages(
    stages: Mapping[str, Callable[[], Any]],
    *,
    repeats: int = _BATCH_REPEATS,
    clock: Clock = time.perf_counter,
) -> tuple[StageTime, ...]:
    """Time the parts a prediction is made of, such as ``encode`` and ``evaluate``, in the order given.

    The stages are run in turn, so that a slow moment of the machine falls on all of them.

    Examples
    --------
    >>> now = [0.0]
    >>> def work(seconds): now[0] += seconds
    >>> found = time_stages({"encode": lambda: work(3.0), "evaluate": lambda: work(1.0)}, clock=lambda: now[0])
    >>> [(stage.name, stage.share) for stage in found]
    [('encode', 0.75), ('evaluate', 0.25)]
    """
    times: dict[str, list[float]] = {name: [] for name in stages}
    for repeat in range(repeats + 1):
        for name, stage in stages.items():
            before = clock()
            stage()
            if repeat:  # the first round warms up
                times[name].append(clock() - before)
    medians = {name: float(np.median(each)) for name, each in times.items()}
    total = sum(medians.values())
    return tuple(
        StageTime(name=name, median_ms=1000.0 * seconds, share=seconds / total if total > 0 else None)
        for name, seconds in medians.items()
    )


def throughput(single: SingleRowLatency, batches: Sequence[BatchLatency]) -> Throughput:
    """Return requests and rows per second of one caller; the smaller batch wins a tie."""
    timed = [(batch.rows_per_second, -batch.n_rows) for batch in batches if batch.rows_per_second is not None]
    rows_per_second, size = max(timed, default=(None, 0))
    return Throughput(
        requests_per_second=single.requests_per_second,
        rows_per_second=rows_per_second,
        best_batch_rows=-size or None,
        reason="" if timed else "no batch could be timed",
    )


def check_latency(
    latency: SingleRowLatency, limit_ms: float, *, percentile: Literal["p50", "p95", "p99"] = "p95"
) -> LatencyRequirement:
    """Say whether a percentile is within a limit.

    Examples
    --------
    >>> quick = SingleRowLatency(p50=Timing(value_ms=1.0), p95=Timing(value_ms=2.0), requests_per_second=900.0,
    ...     p99=Timing(value_ms=None, reason="too few calls"), n_calls=50, n_blocks=1, block_calls=50)
    >>> check_latency(quick, 5.0).detail
    'p95 of one row is 2 ms; at most 5 ms are allowed.'
    >>> check_latency(quick, 5.0, percentile="p99").verdict
    'unknown'
    """
    found: Timing = getattr(latency, percentile)
    if found.value_ms is None:
        return LatencyRequirement(verdict="unknown", detail=f"{percentile} is not known, because {found.reason}.")
    return LatencyRequirement(
        verdict="met" if found.value_ms <= limit_ms else "not met",
        detail=(
            f"{percentile} of one row is {written(found.value_ms, 3)} ms; at most {written(limit_ms)} ms are allowed."
        ),
    )


def _percentile(blocks: Sequence[npt.NDArray[np.float64]], name: str) -> Timing:
    fewest = _FEWEST_CALLS[name]
    if blocks[0].size < fewest:
        calls = f"{blocks[0].size} call{'s' if blocks[0].size != 1 else ''}"
        return Timing(value_ms=None, reason=f"{name} needs {fewest} calls and the time budget allowed {calls}")
    values = [np.percentile(block, float(name[1:])) for block in blocks]
    return Timing(value_ms=1000.0 * float(np.median(values)))


def _n_rows(columns: Columns) -> int:
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths or min(lengths.values()) == 0:
        raise _no_rows()
    if len(set(lengths.values())) > 1:
        raise Invalid(
            f"The columns differ in length: {', '.join(f'{name!r} has {size:,}' for name, size in lengths.items())}.",
            code="evaluation.columns",
            hint="Give one value for each row in every column.",
        )
    return next(iter(lengths.values()))


def _rows(columns: Columns, start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
    return {name: values[start:stop] for name, values in columns.items()}


def _no_rows() -> Invalid:
    return Invalid(
        "There is no row to time predictions on.",
        code="evaluation.no_rows",
        hint="Give a sample of at least one row, better of a few thousand.",
    )
