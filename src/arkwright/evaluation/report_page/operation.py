"""How fast, how large and how dear it is."""

from __future__ import annotations

from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.latency import LatencyProfile, Timing
from arkwright.evaluation.model_evaluation import ModelEvaluation, OperationSection
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import Tone, absent, facts, mark, part, section, table
from arkwright.evaluation.report_page.markup import Html, element
from arkwright.evaluation.report_page.wording import (
    capital,
    count,
    maybe,
    milliseconds,
    money,
    not_computable,
    number,
    percent,
    plain,
    size,
)

_MET: dict[str, Tone] = {"met": "good", "not met": "bad", "unknown": "unknown"}


def operation(document: ModelEvaluation) -> Html:
    """Return latency, size, memory, costs and hints."""
    found = document.operation
    if found is None:
        return absent(document, "operation")
    return section(
        document,
        "operation",
        element(
            "p",
            mark(capital(found.requirement.verdict), _MET[found.requirement.verdict]),
            f": {found.requirement.detail}",
        ),
        element("p", f"Measured on {found.machine}.", class_="note") if found.machine else None,
        _latency(found.latency),
        _resources(found),
        _costs(found),
        _hints(found),
    )


def _timing(found: Timing) -> str:
    return not_computable(found.reason) if found.value_ms is None else milliseconds(found.value_ms)


def _latency(found: LatencyProfile) -> Html:
    single = found.single_row
    timings = (
        ("half of the calls (p50)", single.p50),
        ("95 of 100 calls (p95)", single.p95),
        ("99 of 100 calls (p99)", single.p99),
    )
    drawn = [
        Row(name, [Interval(value=each.value_ms, low=None, high=None, reason=each.reason)]) for name, each in timings
    ]
    why = "no call was timed"
    lines = [[name, _timing(each)] for name, each in timings]
    lines.append(["one caller's requests a second", maybe(single.requests_per_second, count, why)])
    if found.cold_start is not None:
        cold = found.cold_start
        lines.append(["loading the model", milliseconds(cold.load_ms)])
        lines.append(["first answer after loading", milliseconds(cold.first_answer_ms)])
        lines.append(["cold start in all", milliseconds(cold.total_ms)])
    else:
        lines.append(["cold start", not_computable(found.cold_start_reason)])
    best = found.throughput
    lines.append(["rows a second, at best", maybe(best.rows_per_second, count, best.reason)])
    batches = [
        [
            count(each.n_rows),
            maybe(each.median_ms, milliseconds, each.reason),
            maybe(each.rows_per_second, count, each.reason),
            count(each.repeats),
        ]
        for each in found.batches
    ]
    return part(
        "Speed",
        table(
            f"One row at a time, warm ({count(single.n_calls)} calls), and start",
            ["what", "value"],
            lines,
            numeric=(1,),
        ),
        interval_chart(
            "latency-chart",
            "Time for one row",
            "No more than this for so many of the calls.",
            drawn,
            axis="milliseconds",
            bars=True,
        ),
        table(
            "Many rows in one call",
            ["rows in a call", "median time", "rows a second", "calls"],
            batches,
            numeric=(1, 2, 3),
        ),
        interval_chart(
            "batch-chart",
            "Rows a second by rows in a call",
            "More rows in a call share the call's own time. The axis counts in tenfold steps.",
            [
                Row(
                    f"{count(each.n_rows)} in a call",
                    [Interval(value=each.rows_per_second, low=None, high=None, reason=each.reason)],
                )
                for each in found.batches
            ],
            axis="rows a second",
            bars=True,
            floor=None,
            logarithmic=True,
            write=count,
        )
        if found.batches
        else None,
        pointer="/operation/latency",
    )


def _resources(found: OperationSection) -> Html:
    memory, cpu = found.memory, found.cpu
    unknown = memory.reason or "the system does not tell"
    lines = [[each.name, size(each.size_bytes), percent(each.share)] for each in found.size.parts]
    return part(
        "Size, memory and processor",
        facts(
            [
                ("Size of the model", size(found.size.total_bytes)),
                ("Memory held at once in a call", size(memory.traced_peak_bytes)),
                ("Memory of the whole process at its peak", maybe(memory.resident_peak_bytes, size, unknown)),
                ("Rise of that peak by the call", maybe(memory.resident_growth_bytes, size, unknown)),
                (
                    "Processor time for 1,000 predictions",
                    maybe(
                        None if cpu.seconds_per_thousand is None else cpu.seconds_per_thousand * 1000,
                        milliseconds,
                        cpu.reason,
                    ),
                ),
                ("Cores busy on average", maybe(cpu.cores_busy, reason=cpu.reason)),
            ]
        ),
        table("Parts of the model", ["part", "size", "share"], lines, numeric=(1, 2)),
        pointer="/operation/size",
    )


def _costs(found: OperationSection) -> Html:
    advice = found.instance
    lines = []
    for each in advice.options:
        chosen = advice.instance is not None and each.name == advice.instance.name
        lines.append(
            [
                f"{each.name}{' (recommended)' if chosen else ''}",
                mark("fits", "good") if each.fits_memory else mark("too small", "bad"),
                count(each.predictions_per_second),
                count(each.n_instances),
                money(each.usd_per_hour),
                money(each.usd_per_million),
                money(each.usd_per_million_at_load),
                each.reason,
            ]
        )
    scaling = [
        [
            f"{number(each.times)} times",
            number(each.predictions_per_second),
            count(each.n_instances),
            money(each.usd_per_month),
        ]
        for each in advice.scaling
    ]
    return part(
        "Costs",
        element("p", advice.detail),
        table(
            "Instance types, by the price table of the settings",
            [
                "type",
                "memory",
                "predictions a second",
                "instances",
                "an hour",
                "a million predictions, kept busy",
                "a million at the wanted load",
                "remark",
            ],
            lines,
            numeric=range(2, 7),
        ),
        table(
            "If the load grows", ["load", "predictions a second", "instances", "a month"], scaling, numeric=(1, 2, 3)
        ),
        element("p", advice.assumption, class_="note"),
        pointer="/operation/instance",
    )


def _hints(found: OperationSection) -> Html:
    hints = found.hints
    untold = "the measurement does not tell"
    lines = [
        [
            capital(plain(each.kind)),
            each.action,
            each.reason,
            each.expected,
            maybe(each.time_saved, percent, untold),
            maybe(each.size_saved, percent, untold),
            maybe(each.quality_lost, number, untold),
        ]
        for each in hints.hints
    ]
    others = [element("li", f"{capital(plain(each.kind))}: {each.reason}") for each in hints.not_considered]
    headings = ["hint", "what to do", "measured reason", "expected", "time saved", "size saved", "quality lost"]
    return part(
        "What would make it cheaper",
        table("Hints, the one that saves most time first", headings, lines, numeric=(4, 5, 6))
        if lines
        else element("p", "Nothing that was measured speaks for a change."),
        part("Not considered", element("ul", *others), level=4) if others else None,
        pointer="/operation/hints",
    )
