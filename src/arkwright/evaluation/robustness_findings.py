"""What the robustness tests found, in sentences for a reader who was not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from arkwright.core.written_numbers import counted, percentage, written
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.skill import Degradation

if TYPE_CHECKING:
    from arkwright.evaluation.robustness import RobustnessReport

_NAMED = 3
_KEPT = 0.9
_DISTURBANCES = {
    "far_above": "set far above its range",
    "far_below": "set far below its range",
    "zero": "set to zero",
    "negative": "set to a negative number",
    "huge": "set to 1e12",
    "huge_negative": "set to -1e12",
    "unseen_category": "set to a category never seen before",
    "empty_text": "set to empty text",
    "far_past": "set to the year 1700",
    "far_future": "set to the year 2250",
}


def catastrophes(report: RobustnessReport) -> tuple[str, ...]:
    """Return one sentence for each way the model failed, with the first message and the columns it concerns."""
    concerned: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for disturbance, column, failure in _failures(report):
        if failure:
            concerned.setdefault((disturbance, failure.split(":", 1)[0]), []).append((column, failure))
    return tuple(
        f"{_with([column for column, _ in found], disturbance)}, the model {found[0][1]}."
        for (disturbance, _), found in concerned.items()
    )


def sentences(report: RobustnessReport, no_skill: str) -> tuple[str, ...]:
    """Return the findings of each part that has one."""
    told = [f"Not computable what is retained, because {no_skill}."] if no_skill else []
    n_drawn = report.n_rows + report.n_rows_unusable
    if n_drawn < report.n_rows_available:
        told.append(f"Measured on a seeded sample of {n_drawn:,} of {counted(report.n_rows_available, 'row')}.")
    found = (_noise, _missing, _extremes, _shift, _rare, _flips, _strange)
    return (*told, *(sentence for find in found for sentence in find(report)))


Failure = tuple[str, str, str]


def _failures(report: RobustnessReport) -> Iterator[Failure]:
    """Yield the disturbance, the column (empty if it is not one) and what the model did."""
    for point in report.noise.points if report.noise else ():
        yield "With noise on the numeric columns", "", point.effect.failure
    for case in report.missing.cases if report.missing else ():
        if case.share == 1:
            yield "missing", case.column or "", case.effect.failure
        elif case.pattern == "cells":
            yield "With cells missing at random", "", case.effect.failure
        else:
            yield "missing in some rows", case.column or "", case.effect.failure
    for extreme in report.extremes.cases if report.extremes else ():
        yield _DISTURBANCES[extreme.kind], extreme.column, extreme.failure
    for failure in report.flips.failures if report.flips else ():
        yield "On rows with a few cells changed", "", failure
    for strange in report.out_of_distribution.strange if report.out_of_distribution else ():
        yield f"On strange rows ({strange.kind.replace('_', ' ')})", "", strange.failure


def _with(columns: Sequence[str], disturbance: str) -> str:
    return f"With {_listed(columns)} {disturbance}" if columns[0] else disturbance


def _listed(columns: Sequence[str]) -> str:
    names = [f"{name!r}" for name in dict.fromkeys(columns)]
    if len(names) == 1:
        return f"column {names[0]}"
    rest = len(names) - _NAMED
    return f"one of the columns {', '.join(names[:_NAMED])}" + (f" and {rest} more" if rest > 0 else "")


def _kept(effect: Degradation) -> float | None:
    return effect.retained.value


def _noise(report: RobustnessReport) -> Iterator[str]:
    known = [(point.fraction, _kept(point.effect)) for point in (report.noise.points if report.noise else ())]
    found = [(fraction, kept) for fraction, kept in known if kept is not None]
    if not found:
        return
    lost = next((fraction for fraction, kept in found if kept < _KEPT), None)
    if lost is None:
        least = min(kept for _, kept in found)
        yield f"Noise of up to {_deviations(found[-1][0])} of a column leaves {percentage(least)} of the skill."
    else:
        yield (
            f"Noise of {_deviations(lost)} on every numeric column leaves "
            f"{percentage(max(0.0, dict(found)[lost]))} of the skill."
        )


def _missing(report: RobustnessReport) -> Iterator[str]:
    cases = report.missing.cases if report.missing else ()
    found = [(case, kept) for case in cases if (kept := _kept(case.effect)) is not None]
    whole = [(case, kept) for case, kept in found if case.pattern == "column"]
    if whole:
        case, kept = min(whole, key=lambda item: item[1])
        left = percentage(max(0.0, kept))
        yield f"Without column {case.column!r}, the costliest to lose, {left} of the skill is left."
    cells = [(case, kept) for case, kept in found if case.pattern == "cells"]
    if cells:
        case, kept = cells[-1]
        yield f"With {percentage(case.share)} of all cells missing, {percentage(max(0.0, kept))} of the skill is left."


def _extremes(report: RobustnessReport) -> Iterator[str]:
    cases = report.extremes.cases if report.extremes else ()
    if cases and all(not case.failure and not case.runaway for case in cases):
        yield f"The model answered all {len(cases)} cases of unexpected values."
    away = [case for case in cases if case.runaway]
    if away:
        names = [case.column for case in away]
        yield f"Predictions run away, far outside what was ever observed, with {_listed(names)} out of range."
    moved = [(case.share_flipped, case) for case in cases if case.share_flipped is not None]
    if moved:
        share, case = max(moved, key=lambda item: item[0])
        if share > 0:
            rows = percentage(share)
            yield f"Column {case.column!r} {_DISTURBANCES[case.kind]} gives {rows} of the rows another label."


def _shift(report: RobustnessReport) -> Iterator[str]:
    if report.shift is None:
        return
    cases = report.shift.cases
    found = [(kept, case) for case in cases if (kept := _kept(case.effect)) is not None]
    if found:
        kept, case = min(found, key=lambda item: item[0])
        if kept < _KEPT:
            where = f"{case.along!r}" if case.level is None else f"{case.along!r} at {case.level!r}"
            measure = "mean" if case.level is None else "share"
            yield (
                f"Where the {measure} of {where} is {written(case.after)} instead of {written(case.before)}, "
                f"{percentage(max(0.0, kept))} of the skill is left."
            )
        else:
            yield f"Over {len(found)} shifted populations at least {percentage(kept)} of the skill is left."
    worst = max(
        ((case.calibration_error.value, case) for case in cases if case.calibration_error.value is not None),
        key=lambda item: item[0],
        default=None,
    )
    clean = report.shift.clean_calibration_error.value
    if worst is not None and clean is not None:
        error, case = worst
        level = "" if case.level is None else f" at {case.level!r}"
        yield (
            f"The calibration error is {written(clean, 3)} on these rows and {written(error, 3)} under the worst shift "
            f"(along {case.along!r}{level})."
        )


def _rare(report: RobustnessReport) -> Iterator[str]:
    for item in report.rare.slices if report.rare else ():
        if item.value.value is None or item.value.low is None or item.value.high is None or item.overall is None:
            continue
        title = "recall" if item.kind == "class" else METRICS[item.metric].title
        greater = item.kind == "class" or METRICS[item.metric].direction == "maximize"
        if item.value.high < item.overall if greater else item.value.low > item.overall:
            yield (
                f"The rare {item.kind} {item.level!r} of {item.column!r} ({counted(item.n_rows, 'row')}) does worse: "
                f"{title} {written(item.value.value)} against {written(item.overall)}."
            )


def _flips(report: RobustnessReport) -> Iterator[str]:
    flips = report.flips
    if flips is None or flips.reason:
        return
    if flips.n_flipped == 0:
        yield f"No small change gave any of {counted(flips.n_rows, 'row')} another label."
        return
    for item in flips.shares[:1]:
        if item.share.value is not None:
            yield (
                f"{percentage(item.share.value)} of {counted(flips.n_rows, 'row')} get another label by a change of "
                f"at most {_deviations(item.within)} in at most {counted(flips.max_columns, 'column')}."
            )


def _deviations(times: float) -> str:
    return f"{written(times)} standard deviation{'' if times == 1 else 's'}"


def _strange(report: RobustnessReport) -> Iterator[str]:
    found = report.out_of_distribution
    if found is None:
        return
    if found.share_flagged.value is not None:
        flagged = percentage(found.share_flagged.value, 1)
        yield f"{flagged} of the rows are unlike the reference rows (1 % would be by chance)."
    for strange in found.strange:
        if strange.auc.value is None or strange.confidence.value is None or found.confidence.value is None:
            continue
        kind = strange.kind.replace("_", " ")
        auc, unsure, usual = (
            written(x, 2) for x in (strange.auc.value, strange.confidence.value, found.confidence.value)
        )
        yield (
            f"Strange rows ({kind}) are told apart with an AUC of {auc}; the model's mean confidence on them is "
            f"{unsure}, on familiar rows {usual}."
        )
