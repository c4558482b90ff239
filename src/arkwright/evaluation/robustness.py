"""Robustness of a model: every test of disturbed input, one score, and what it means in plain words.

The tests are in their own files and usable alone: noise and missing cells (:mod:`~arkwright.evaluation.perturbations`),
unexpected values (:mod:`~arkwright.evaluation.extreme_values`), other populations
(:mod:`~arkwright.evaluation.shift`), rare classes and levels (:mod:`~arkwright.evaluation.rare_slices`), the smallest
changes that flip a label (:mod:`~arkwright.evaluation.nearest_flips`) and rows unlike the known ones
(:mod:`~arkwright.evaluation.out_of_distribution`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.core.written_numbers import counted
from arkwright.evaluation.extreme_values import ExtremeValues, extreme_values
from arkwright.evaluation.importance import permutation_importance
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.metric import METRICS, FloatArray
from arkwright.evaluation.nearest_flips import NearestFlips, nearest_flips
from arkwright.evaluation.out_of_distribution import OutOfDistribution, out_of_distribution
from arkwright.evaluation.perturbations import MissingPatterns, NoiseCurve, missing_patterns, noise_curve
from arkwright.evaluation.probe import ModelFailed, ask, inputs_of, insist, usable_rows
from arkwright.evaluation.rare_slices import RareSlices, rare_slices
from arkwright.evaluation.robustness_findings import catastrophes, sentences
from arkwright.evaluation.scored_table import Columns, Predict, sample_rows, take
from arkwright.evaluation.shift import ShiftTests, shift_tests
from arkwright.evaluation.skill import (
    Degradation,
    Yardstick,
    checked_truth,
    clipped_mean,
    not_computable,
    skill_of,
    yardstick,
)

PartName = Literal["noise", "missing", "extremes", "shift", "rare", "flips"]
Rating = Literal["Acceptable", "High", "Excessive", "Not computable"]

ACCEPTABLE_FROM = 7.0
HIGH_FROM = 4.0
CATASTROPHE_CAP = 3.0
"""A model that fails on some disturbed input scores at most this, whatever else it withstands."""

_EXTREME_ROWS = 200
_NAMED_ROWS = 10
_TITLES: dict[str, str] = {
    "noise": "noise on numeric columns",
    "missing": "missing values",
    "extremes": "unexpected values",
    "shift": "another population",
    "rare": "rare classes and levels",
    "flips": "small changes that flip the label",
    "out_of_distribution": "rows unlike the known ones",
}


class RobustnessPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the score, in [0, 1]; ``reason`` says why there is no value."""

    name: PartName
    title: str
    value: float | None
    reason: str = ""


class RobustnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the model withstands.

    Parameters
    ----------
    clean
        The undisturbed metric on the sampled rows; None where it is not defined.
    n_rows, n_rows_available
        Rows used and rows given: a seeded sample is taken when there are more than the limit.
    n_rows_unusable, unusable_rows
        How many rows, and the first ten rows for which the undisturbed model has no usable
        answer; such rows are left out of every test.
    n_calls, n_rows_scored
        How often the model was asked, and about how many rows in all.
    score
        1 to 10, by the formula of :func:`robustness`; no interval is given.
    rating
        The sensitivity to disturbance: ``Acceptable`` from a score of 7, ``High`` from 4, else ``Excessive``.
    catastrophic
        What made the model fail, one sentence each.
    findings
        Plain sentences for a reader who was not there.
    not_reached
        What was left out because ``should_stop`` said so.
    """

    metric: str
    clean: float | None
    n_rows: int
    n_rows_available: int
    n_rows_unusable: int = 0
    seed: int
    n_calls: int
    n_rows_scored: int
    score: Interval
    rating: Rating
    parts: tuple[RobustnessPart, ...] = ()
    catastrophic: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    unusable_rows: tuple[int, ...] = ()
    important: tuple[str, ...] = ()
    noise: NoiseCurve | None = None
    missing: MissingPatterns | None = None
    extremes: ExtremeValues | None = None
    shift: ShiftTests | None = None
    rare: RareSlices | None = None
    flips: NearestFlips | None = None
    out_of_distribution: OutOfDistribution | None = None


class _Counted:
    """The model, with a count of what it was asked."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.n_calls = 0
        self.n_rows = 0

    def __call__(self, columns: Columns) -> FloatArray:
        self.n_calls += 1
        self.n_rows += len(next(iter(columns.values())))
        return self._predict(columns)


def _left_out(n: int, of: int) -> str:
    return f"{n:,} of {counted(of, 'row')} {'is' if n == 1 else 'are'} left out"


def assess_robustness(
    predict: Predict,
    signature: Signature,
    columns: Columns,
    truth: npt.NDArray[Any],
    *,
    seed: int,
    reference: Columns | None = None,
    metric: str | None = None,
    important: Sequence[str] = (),
    max_rows: int = 2_000,
    should_stop: Callable[[], bool] | None = None,
) -> RobustnessReport:
    """Run every test and score the model from 1 to 10.

    **The score** is ``1 + 9 * mean(parts)``, over the parts that could be computed, each in [0, 1]:

    - *noise*: mean retained skill over the points of the noise curve (0.01 to 1 standard deviation);
    - *missing*: mean retained skill of each of the three patterns (a column, random cells, the most important column),
      and the mean of these;
    - *extremes*: mean over the cases of the share of rows that keep their label, 0 where the model gave no usable
      answer or ran away (a regression has no labels: the share of the cases it answered without running away);
    - *shift*: mean retained skill over the shifted populations, of classes by log loss: an area under a curve is the
      same whatever the shares of the classes are;
    - *rare*: mean over rare slices of their skill relative to that of all rows (a class: its recall relative to the
      mean recall);
    - *flips*: one minus the mean share of rows that flip within 0.1, 0.25 and 0.5 standard deviations.

    Retained skill (:mod:`arkwright.evaluation.skill`) is clipped to [0, 1] first, and 0 where the model gave no
    usable answer. Where a part could not be computed the findings say which, and on how many the score rests.
    Detection of strange rows is reported and not scored: it is a property of the data more than of the model. A model
    that fails on any disturbed input scores at most 3; one that fails on undisturbed rows scores 1. A model not
    clearly better than a constant has no score: it has nothing to lose. The weights are equal and the
    cap is a convention of this project, not a published one.

    Parameters
    ----------
    predict
        Takes columns, returns scores of shape ``(n_rows, k)``.
    columns, truth
        The holdout: rows the model was not trained on.
    reference
        Rows the model knows, best its training rows, for the detector of strange rows; without them one
        half of the holdout stands in, and the other is judged.
    important
        Column names, the most important first; without them they are ranked here by permutation importance.
    max_rows
        A seeded sample of this many rows is used when there are more.
    should_stop
        Polled before each step; what was measured so far is returned, and ``not_reached`` names the rest.

    Raises
    ------
    Invalid
        If an input column is missing, or the truth or the metric does not fit.
    """
    model = _Counted(predict)
    inputs = inputs_of(signature, columns)
    n_available = len(next(iter(inputs.values())))
    truth = checked_truth(signature, truth, n_available)
    rows = sample_rows(n_available, max_rows, seed=seed)
    clean = ask(model, take(inputs, rows))
    unusable: tuple[int, ...] = ()
    failed_clean, n_unusable = "", 0
    if clean.failure:
        usable = usable_rows(model, take(inputs, rows))
        unusable, n_unusable = tuple(int(row) for row in rows[~usable][:_NAMED_ROWS]), int((~usable).sum())
        failed_clean = f"On undisturbed rows the model {clean.failure}; {_left_out(n_unusable, rows.size)}."
        if usable.any():
            rows = rows[usable]
            clean = ask(model, take(inputs, rows))
    report = RobustnessReport(
        metric=metric or "",
        clean=None,
        n_rows=int(rows.size) if clean.scores is not None else 0,
        n_rows_available=n_available,
        seed=seed,
        n_calls=model.n_calls,
        n_rows_scored=model.n_rows,
        score=Interval(value=1.0, low=None, high=None),
        rating="Excessive",
        n_rows_unusable=n_unusable,
        unusable_rows=unusable,
    )
    if clean.scores is None:
        return msgspec.structs.replace(report, catastrophic=(failed_clean,), findings=(failed_clean,))
    sample, labels = take(inputs, rows), truth[rows]
    stick = yardstick(signature, labels, clean.scores, metric)
    ranked = tuple(important) or _ranked(model, signature, sample, stick, seed, should_stop)
    report = msgspec.structs.replace(
        report, metric=stick.metric, clean=stick.clean if np.isfinite(stick.clean) else None, important=ranked
    )
    report = _tested(report, model, signature, (sample, labels, clean.scores), reference, should_stop)
    parts = _parts(report, stick)
    disasters = ((failed_clean,) if failed_clean else ()) + catastrophes(report)
    score, rating = _score(parts, stick.no_skill, disturbed=bool(disasters), undisturbed=bool(failed_clean))
    return msgspec.structs.replace(
        report,
        n_calls=model.n_calls,
        n_rows_scored=model.n_rows,
        parts=parts,
        catastrophic=disasters,
        score=score,
        rating=rating,
        findings=disasters + _rests_on(parts, score) + sentences(report, stick.no_skill),
    )


def _ranked(
    predict: Predict,
    signature: Signature,
    sample: Columns,
    stick: Yardstick,
    seed: int,
    should_stop: Callable[[], bool] | None,
) -> tuple[str, ...]:
    if stick.no_skill:
        return ()
    try:
        found = permutation_importance(
            lambda given: insist(predict, given),
            lambda scores, rows: float(dataclasses.replace(stick, truth=stick.truth[rows]).value(scores)),
            sample,
            [column.name for column in signature.columns],
            direction=METRICS[stick.metric].direction,
            seed=seed,
            n_repeats=2,
            should_stop=should_stop,
        )
    except ModelFailed:
        # It fails on a combination of values it knows singly. The tests will show it; only the order is lost.
        return ()
    return tuple(item.name for item in found)


def _tested(
    report: RobustnessReport,
    predict: Predict,
    signature: Signature,
    given: tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any], FloatArray],
    reference: Columns | None,
    should_stop: Callable[[], bool] | None,
) -> RobustnessReport:
    sample, truth, scores = given
    seed, metric, important = report.seed, report.metric, report.important
    order = np.random.default_rng(seed).permutation(truth.size)
    few = np.sort(order[:_EXTREME_ROWS])
    half = max(1, truth.size // 2)
    judged = sample if reference is not None else take(sample, order[-half:])
    known = reference if reference is not None else take(sample, order[:half])
    steps: dict[str, Callable[[], Any]] = {
        "noise": lambda: noise_curve(
            predict, signature, sample, truth, seed=seed, metric=metric, should_stop=should_stop
        ),
        "missing": lambda: missing_patterns(
            predict, signature, sample, truth, seed=seed, metric=metric, important=important, should_stop=should_stop
        ),
        "extremes": lambda: extreme_values(
            predict, signature, take(sample, few), truth[few], important=important, should_stop=should_stop
        ),
        "shift": lambda: shift_tests(
            signature,
            sample,
            truth,
            scores,
            seed=seed,
            metric=metric if signature.task == "regression" else "log_loss",
            important=important,
            should_stop=should_stop,
        ),
        "rare": lambda: rare_slices(signature, sample, truth, scores, seed=seed, metric=metric),
        "flips": lambda: nearest_flips(predict, signature, sample, seed=seed, should_stop=should_stop),
        "out_of_distribution": lambda: out_of_distribution(
            predict, signature, judged, known, seed=seed, should_stop=should_stop
        ),
    }
    found: dict[str, Any] = {}
    not_reached: list[str] = []
    for name, step in steps.items():
        if should_stop is not None and should_stop():
            not_reached.append(_TITLES[name])
            continue
        found[name] = step()
        not_reached += getattr(found[name], "not_reached", ())
    return msgspec.structs.replace(report, **found, not_reached=tuple(not_reached))


def _parts(report: RobustnessReport, stick: Yardstick) -> tuple[RobustnessPart, ...]:
    values: dict[PartName, float | None] = {
        "noise": None if report.noise is None else _mean_of([point.effect for point in report.noise.points]),
        "missing": _missing_part(report.missing),
        "extremes": _extremes_part(report.extremes),
        "shift": None if report.shift is None else _mean_of([case.effect for case in report.shift.cases]),
        "rare": _rare_part(report.rare, stick),
        "flips": _flips_part(report.flips),
    }
    return tuple(
        RobustnessPart(
            name=name,
            title=_TITLES[name],
            value=value,
            reason="" if value is not None else _why_not(getattr(report, name), stick.no_skill),
        )
        for name, value in values.items()
    )


def _why_not(result: Any, no_skill: str) -> str:
    if result is None:
        return "the tests were stopped before it"
    if isinstance(result, ShiftTests) and result.cases:
        # Its metric is not the report's: scores may rank well and still be no better than a constant in log loss.
        return result.cases[0].effect.retained.reason
    return getattr(result, "reason", "") or no_skill or "no case of it could be computed on these rows"


def _mean_of(effects: Sequence[Degradation]) -> float | None:
    return clipped_mean([None if effect.failure else effect.retained for effect in effects])


def _missing_part(missing: MissingPatterns | None) -> float | None:
    cases = () if missing is None else missing.cases
    patterns = [
        _mean_of([case.effect for case in cases if case.pattern == pattern])
        for pattern in ("column", "cells", "most_important")
    ]
    known = [value for value in patterns if value is not None]
    return float(np.mean(known)) if known else None


def _extremes_part(extremes: ExtremeValues | None) -> float | None:
    cases = () if extremes is None else extremes.cases
    kept = [0.0 if case.failure or case.runaway else 1.0 - (case.share_flipped or 0.0) for case in cases]
    return float(np.mean(kept)) if kept else None


def _rare_part(rare: RareSlices | None, stick: Yardstick) -> float | None:
    shares: list[Interval | None] = []
    for item in () if rare is None else rare.slices:
        if item.value.value is None or not item.overall:
            continue
        ratio: float | None = item.value.value / item.overall
        if item.kind == "level":
            skill, whole = (skill_of(stick.metric, number, stick.trivial) for number in (item.value.value, stick.clean))
            ratio = skill / whole if skill is not None and whole and not stick.no_skill else None
        if ratio is not None:
            shares.append(Interval(value=ratio, low=None, high=None))
    return clipped_mean(shares)


def _flips_part(flips: NearestFlips | None) -> float | None:
    shares = [] if flips is None else [item.share.value for item in flips.shares]
    known = [share for share in shares if share is not None]
    return 1.0 - float(np.mean(known)) if known else None


def _rests_on(parts: tuple[RobustnessPart, ...], score: Interval) -> tuple[str, ...]:
    """Say which parts the score is made without."""
    absent = [f"{part.title} ({part.reason})" for part in parts if part.value is None]
    if not absent or score.value is None:
        return ()
    told = f"The score rests on {len(parts) - len(absent)} of {len(parts)} parts. Not computable: {'; '.join(absent)}."
    return (told,)


def _score(
    parts: tuple[RobustnessPart, ...], no_skill: str, *, disturbed: bool, undisturbed: bool
) -> tuple[Interval, Rating]:
    known = [part.value for part in parts if part.value is not None]
    if undisturbed:
        return Interval(value=1.0, low=None, high=None), "Excessive"
    if no_skill or not known:
        return not_computable(no_skill or "no part was reached"), "Not computable"
    value = 1.0 + 9.0 * float(np.mean(known))
    if disturbed:
        value = min(value, CATASTROPHE_CAP)
    rating: Rating = "Acceptable" if value >= ACCEPTABLE_FROM else "High" if value >= HIGH_FROM else "Excessive"
    return Interval(value=value, low=None, high=None), rating
