"""What a model needs: bytes on disk and in memory, processor time, and which instance at what cost.

Measured facts come in, or are measured around a call; prices come in as a table. Nothing here knows a vendor: the one
table in this file is an *example* with invented round prices, and says so.

The estimate assumes that predictions are independent and bound by the processor, so that two cores answer twice as
many (true of the compiled evaluators, which share nothing between requests), and that a core is kept busy to at most
``utilisation`` of its time. At 0.7 a queue in front of one server is on average 0.7 / (1 - 0.7) = 2.3 service
times long; at 0.95 it is 19 (M/M/1).

References
----------
Kleinrock (1975), "Queueing Systems", volume 1, section 3.2 (M/M/1: mean wait rho / (1 - rho) service times).
Karp & Flatt (1990), "Measuring Parallel Processor Performance", CACM 33(5) (the serial fraction).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import percentage, written

UTILISATION = 0.7
"""Share of its time that a core may be busy."""

MEMORY_HEADROOM = 0.5
"""Free memory to keep, as a share of the peak: for a second version during a rollout's switch, and for the system."""

_GB = 1e9
_HOURS_PER_MONTH = 730.0
_LOADS = (1.0, 2.0, 5.0, 10.0)
_ACCEPTABLE, _HIGH = 0.7, 1.0


class PartSize(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a model, its bytes, and their share of all (0 to 1)."""

    name: str
    size_bytes: int
    share: float


class ModelSize(msgspec.Struct, frozen=True, kw_only=True):
    """Size of a model, by part, largest first."""

    total_bytes: int
    parts: tuple[PartSize, ...]


class MemoryUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a call needed in memory.

    ``traced_peak_bytes`` is the most that Python and NumPy held at once beyond what they held before.
    ``resident_growth_bytes`` is how far the process's high-water mark rose, native libraries included: 0 means that
    the call fitted into memory that was touched before. None, with the reason, where the system does not tell.
    """

    traced_peak_bytes: int
    resident_peak_bytes: int | None
    resident_growth_bytes: int | None
    reason: str = ""


class CpuUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Processor time: seconds for 1,000 predictions, and how many cores were busy on average meanwhile."""

    seconds_per_thousand: float | None
    cores_busy: float | None
    n_predictions: int
    reason: str = ""


class InstanceType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a price table; ``memory_gb`` counts 10^9 bytes, ``usd_per_hour`` is the price on demand."""

    name: str
    vcpus: float
    memory_gb: float
    usd_per_hour: float


EXAMPLE_PRICES = (
    InstanceType(name="example-small", vcpus=1, memory_gb=2, usd_per_hour=0.02),
    InstanceType(name="example-medium", vcpus=2, memory_gb=4, usd_per_hour=0.04),
    InstanceType(name="example-large", vcpus=4, memory_gb=16, usd_per_hour=0.16),
    InstanceType(name="example-xlarge", vcpus=16, memory_gb=64, usd_per_hour=0.64),
)
"""An example, nobody's price list: round numbers that show the shape. Your provider's prices belong in the settings."""


class InstanceOption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance type for the wanted load.

    ``usd_per_million`` is the cost of 1,000,000 predictions on instances kept as busy as ``utilisation`` allows;
    ``usd_per_million_at_load`` is the same at the wanted load, idle time paid for.
    """

    name: str
    fits_memory: bool
    predictions_per_second: float
    n_instances: int
    usd_per_hour: float
    usd_per_million: float
    usd_per_million_at_load: float
    reason: str = ""


class LoadEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What the recommended type needs at ``times`` the wanted load."""

    times: float
    predictions_per_second: float
    n_instances: int
    usd_per_month: float


class InstanceRecommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The instance type to take, why, and all that were considered (in the order of the table).

    ``instance`` is None where no type can be recommended; ``detail`` says why.
    """

    instance: InstanceOption | None
    detail: str
    options: tuple[InstanceOption, ...]
    scaling: tuple[LoadEstimate, ...]
    memory_needed_bytes: int | None
    utilisation: float
    assumption: str


class SerialFraction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How throughput scaled from one worker to ``workers``: 0 is perfect scaling, 1 is none (Karp and Flatt)."""

    workers: int
    speedup: float | None
    efficiency: float | None
    serial_fraction: float | None
    reason: str = ""


class ResourceRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """How a need compares with what is allowed."""

    verdict: Literal["acceptable", "high", "excessive", "unknown"]
    detail: str


def model_size(files: Mapping[str, int]) -> ModelSize:
    """Add up files by part: the folder they are in, or the name before its first point.

    Parameters
    ----------
    files
        Bytes by path, ``/`` between folders: as a bundle's manifest lists them, or :func:`folder_files` finds them.

    Examples
    --------
    >>> size = model_size({"encoder.json": 10, "encoder.npz": 30, "model/a.pkl": 50, "model/b.bin": 10})
    >>> size.total_bytes, [(part.name, part.size_bytes) for part in size.parts]
    (100, [('model', 60), ('encoder', 40)])
    """
    parts: dict[str, int] = {}
    for path, size_bytes in files.items():
        first, _, below = path.partition("/")
        name = first if below else first.partition(".")[0] or first
        parts[name] = parts.get(name, 0) + int(size_bytes)
    total = sum(parts.values())
    return ModelSize(
        total_bytes=total,
        parts=tuple(
            PartSize(name=name, size_bytes=size, share=size / total if total else 0.0)
            for name, size in sorted(parts.items(), key=lambda part: (-part[1], part[0]))
        ),
    )


def folder_files(folder: Path) -> dict[str, int]:
    """Return the bytes of every plain file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.lstat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def resident_peak_bytes() -> int | None:
    """Return the most memory this process ever had resident; None where the system does not tell (Windows)."""
    try:
        import resource  # noqa: PLC0415 - Unix only
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # macOS counts bytes, Linux kilobytes


def measure_memory(
    call: Callable[[], Any], *, resident_peak: Callable[[], int | None] = resident_peak_bytes
) -> MemoryUse:
    """Run a call once and measure the memory it needs.

    Tracing slows Python code several times: do not time the same call. Memory of native libraries is only in the
    resident figures.
    """
    import tracemalloc  # noqa: PLC0415 - only when something is measured

    ours = not tracemalloc.is_tracing()
    before = resident_peak()
    if ours:
        tracemalloc.start()
    try:
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        if ours:
            tracemalloc.stop()
    after = resident_peak()
    known = before is not None and after is not None
    return MemoryUse(
        traced_peak_bytes=max(0, int(peak - held)),
        resident_peak_bytes=after,
        resident_growth_bytes=max(0, after - before) if before is not None and after is not None else None,
        reason="" if known else "this system does not tell a process's peak memory",
    )


def measure_cpu(
    call: Callable[[], Any],
    n_predictions: int,
    *,
    repeats: int = 3,
    cpu_clock: Callable[[], float] = time.process_time,
    clock: Callable[[], float] = time.perf_counter,
) -> CpuUse:
    """Run a call that makes ``n_predictions`` predictions and measure the processor time of all its threads.

    Where the call is quicker than the processor clock can tell, the time is None and the reason says so.
    """
    call()
    cpu, wall = cpu_clock(), clock()
    for _ in range(repeats):
        call()
    return cpu_use(cpu_clock() - cpu, clock() - wall, n_predictions * repeats)


def cpu_use(cpu_seconds: float, wall_seconds: float, n_predictions: int) -> CpuUse:
    """Return processor time for 1,000 predictions from totals, such as a child process reports.

    Examples
    --------
    >>> found = cpu_use(3.0, 1.5, 10_000)
    >>> found.seconds_per_thousand, found.cores_busy
    (0.3, 2.0)
    >>> cpu_use(0.0, 0.0, 10).reason
    'the predictions took less time than the clock can tell: measure more of them'
    """
    reason = ""
    if n_predictions < 1:
        reason = "no prediction was made"
    elif cpu_seconds <= 0.0:
        reason = "the predictions took less time than the clock can tell: measure more of them"
    return CpuUse(
        seconds_per_thousand=None if reason else 1000.0 * cpu_seconds / n_predictions,
        cores_busy=None if reason or wall_seconds <= 0.0 else cpu_seconds / wall_seconds,
        n_predictions=int(n_predictions),
        reason=reason,
    )


def price_table(rows: Sequence[Mapping[str, Any]]) -> tuple[InstanceType, ...]:
    """Read a price table, as the settings hold it.

    Raises
    ------
    Invalid
        Naming each row and field that is wrong.

    Examples
    --------
    >>> price_table([{"name": "small", "vcpus": 1, "memory_gb": 2, "usd_per_hour": 0.02}])[0].vcpus
    1.0
    """
    table: list[InstanceType] = []
    errors: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        try:
            instance = msgspec.convert(row, InstanceType)
        except msgspec.ValidationError as error:
            errors.append({"field": f"prices[{index}]", "message": str(error)})
            continue
        errors += [
            {"field": f"prices[{index}].{field}", "message": "must be a number above 0"}
            for field in ("vcpus", "memory_gb", "usd_per_hour")
            if not 0.0 < getattr(instance, field) < float("inf")
        ]
        if instance.name in {known.name for known in table}:
            errors.append({"field": f"prices[{index}].name", "message": f"{instance.name!r} is listed twice"})
        table.append(instance)
    if errors:
        raise Invalid(
            f"The price table cannot be read: {errors[0]['field']}: {errors[0]['message']}.",
            code="evaluation.price_table",
            hint="Give each instance type a name, vcpus, memory_gb and usd_per_hour.",
            errors=errors,
        )
    return tuple(table)


def recommend_instance(
    prices: Sequence[InstanceType],
    *,
    cpu: CpuUse,
    peak_memory_bytes: int | None,
    wanted_per_second: float,
    utilisation: float = UTILISATION,
    memory_headroom: float = MEMORY_HEADROOM,
) -> InstanceRecommendation:
    """Choose the cheapest instance type that holds the model and answers the wanted load.

    One instance that suffices is preferred to several; if none does, the cheapest set of equal instances is taken, and
    of sets that cost the same the one with the fewest.

    Parameters
    ----------
    prices
        The price table.
    cpu
        Processor time of predictions, measured on cores like the table's.
    peak_memory_bytes
        Of the process that serves; None if it was not measured, which rules every recommendation out.
    wanted_per_second
        Predictions per second to answer.
    utilisation
        Share of its time that a core may be busy, above 0 and at most 1.
    memory_headroom
        Free memory to keep, as a share of the peak.

    Raises
    ------
    Invalid
        If the load or the utilisation is no sensible number.

    Examples
    --------
    >>> found = recommend_instance(EXAMPLE_PRICES, cpu=cpu_use(2.0, 2.0, 1000), peak_memory_bytes=10**9,
    ...     wanted_per_second=300)
    >>> found.instance.name, found.instance.n_instances, round(found.instance.usd_per_million, 4)
    ('example-small', 1, 0.0159)
    """
    if not 0.0 < wanted_per_second < float("inf") or not 0.0 < utilisation <= 1.0 or memory_headroom < 0.0:
        raise Invalid(
            f"A load of {wanted_per_second:g} predictions per second at a utilisation of {utilisation:g} with a memory "
            f"headroom of {memory_headroom:g} cannot be planned for.",
            code="evaluation.load",
            hint="Give a load above 0, a utilisation above 0 and at most 1, and a headroom of 0 or more.",
        )
    assumption = (
        f"Predictions are bound by the processor and independent of each other; a core is busy at most "
        f"{percentage(utilisation)} of its time; {percentage(memory_headroom)} of the peak memory stays free."
    )
    needed = None if peak_memory_bytes is None else round(peak_memory_bytes * (1.0 + memory_headroom))
    per_thousand = cpu.seconds_per_thousand
    refusal = (
        "The price table is empty."
        if not prices
        else f"The processor time is not known, because {cpu.reason}."
        if per_thousand is None
        else "The peak memory was not measured."
        if needed is None
        else ""
    )
    if per_thousand is None or needed is None or refusal:
        return InstanceRecommendation(
            instance=None, detail=refusal, options=(), scaling=(), memory_needed_bytes=needed,
            utilisation=utilisation, assumption=assumption,
        )  # fmt: skip
    options = tuple(_option(each, per_thousand, needed, wanted_per_second, utilisation) for each in prices)
    sizes = {each.name: (each.vcpus, each.memory_gb) for each in prices}
    fitting = [option for option in options if option.fits_memory]
    alone = [option for option in fitting if option.n_instances == 1]
    best = min(
        alone or fitting,
        key=lambda option: (round(option.usd_per_hour, 9), option.n_instances, *sizes[option.name], option.name),
        default=None,
    )
    if best is None:
        detail = f"No instance type of the table has the {_text_bytes(needed)} of memory that the model needs."
    else:
        detail = (
            f"{best.n_instances} x {best.name}: {_text_bytes(needed)} of memory are needed, headroom included; one "
            f"answers {best.predictions_per_second:,.0f} predictions per second and {wanted_per_second:,.10g} are "
            f"wanted; 1,000,000 predictions cost {written(best.usd_per_million_at_load)} USD at that load."
        )
    return InstanceRecommendation(
        instance=best,
        detail=detail,
        options=options,
        scaling=() if best is None else _scaling(best, wanted_per_second),
        memory_needed_bytes=needed,
        utilisation=utilisation,
        assumption=assumption,
    )


def serial_fraction(one_worker_per_second: float, workers: int, workers_per_second: float) -> SerialFraction:
    """Return how much of the work does not scale, from throughput measured at one and at several workers.

    ``e = (1 / speedup - 1 / p) / (1 - 1 / p)``.

    Examples
    --------
    >>> found = serial_fraction(100.0, 4, 320.0)
    >>> found.efficiency, round(found.serial_fraction, 4)
    (0.8, 0.0833)
    """
    reason = ""
    if workers < 2:
        reason = "scaling needs a measurement with at least two workers"
    elif one_worker_per_second <= 0 or workers_per_second <= 0:
        reason = "a throughput of zero was measured"
    if reason:
        return SerialFraction(workers=workers, speedup=None, efficiency=None, serial_fraction=None, reason=reason)
    speedup = workers_per_second / one_worker_per_second
    fraction = (1.0 / speedup - 1.0 / workers) / (1.0 - 1.0 / workers)
    return SerialFraction(workers=workers, speedup=speedup, efficiency=speedup / workers, serial_fraction=fraction)


def check_resource(name: str, needed: float | None, allowed: float, *, unit: str = "") -> ResourceRequirement:
    """Say whether a need is acceptable (at most 70 % of what is allowed), high (at most all of it) or excessive.

    70 % is the same reserve as :data:`UTILISATION`.

    Examples
    --------
    >>> check_resource("peak memory", 900.0, 1000.0, unit="MB").detail
    'peak memory is 900 MB, 90 % of the 1,000 MB allowed.'
    """
    if needed is None:
        return ResourceRequirement(verdict="unknown", detail=f"{name} was not measured.")
    if allowed <= 0:
        raise Invalid(
            f"The limit for {name} is {allowed:g}.", code="evaluation.limit", hint="Give a limit above 0, or none."
        )
    share = needed / allowed
    verdict: Literal["acceptable", "high", "excessive"] = (
        "acceptable" if share <= _ACCEPTABLE else "high" if share <= _HIGH else "excessive"
    )
    after = f" {unit}" if unit else ""
    return ResourceRequirement(
        verdict=verdict,
        detail=f"{name} is {written(needed)}{after}, {percentage(share)} of the {written(allowed)}{after} allowed.",
    )


def _option(
    instance: InstanceType, per_thousand: float, needed: int, wanted: float, utilisation: float
) -> InstanceOption:
    capacity = instance.vcpus * utilisation * 1000.0 / per_thousand
    n_instances = _instances(wanted, capacity)
    usd_per_hour = instance.usd_per_hour * n_instances
    fits = needed <= instance.memory_gb * _GB
    return InstanceOption(
        name=instance.name,
        fits_memory=fits,
        predictions_per_second=capacity,
        n_instances=n_instances,
        usd_per_hour=usd_per_hour,
        usd_per_million=instance.usd_per_hour / (capacity * 3600.0) * 1e6,
        usd_per_million_at_load=usd_per_hour / (wanted * 3600.0) * 1e6,
        reason="" if fits else f"it has {instance.memory_gb:g} GB of memory and {_text_bytes(needed)} are needed",
    )


def _instances(wanted: float, capacity: float) -> int:
    # A load of exactly n instances must not become n + 1 by the last bit of a division.
    return max(1, math.ceil(wanted / capacity - 1e-9))


def _scaling(best: InstanceOption, wanted: float) -> tuple[LoadEstimate, ...]:
    hourly = best.usd_per_hour / best.n_instances
    found = []
    for times in _LOADS:
        n_instances = _instances(times * wanted, best.predictions_per_second)
        found.append(
            LoadEstimate(
                times=times,
                predictions_per_second=times * wanted,
                n_instances=n_instances,
                usd_per_month=n_instances * hourly * _HOURS_PER_MONTH,
            )
        )
    return tuple(found)


def _text_bytes(size: int) -> str:
    return f"{size / _GB:,.1f} GB" if size >= _GB else f"{size / 1e6:,.1f} MB"
