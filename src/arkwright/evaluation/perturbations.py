"""What noise and missing cells cost: the model asked again about rows that were made a little worse.

References
----------
Hendrycks & Dietterich (2019), "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR: severities in steps, and the mean over them relative to the clean performance.
Little & Rubin (2019), "Statistical Analysis with Missing Data", 3rd edition, section 1.3: cells missing
completely at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.core.written_numbers import percentage
from arkwright.evaluation.intervals import Interval, interval
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.probe import ask, blank, by_importance, inputs_of, spread_of
from arkwright.evaluation.scored_table import Columns, Predict
from arkwright.evaluation.skill import Degradation, Yardstick, yardstick

NOISE_FRACTIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
MISSING_SHARES = (0.1, 0.2, 0.5)
MissingPattern = Literal["column", "cells", "most_important"]


class NoisePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The model under Gaussian noise of ``fraction`` standard deviations.

    The metric is the mean over the repeats; its interval holds 95 % of them, so it shows how much the draw of
    the noise matters, not how much the choice of rows does.
    """

    fraction: float
    effect: Degradation


class NoiseCurve(msgspec.Struct, frozen=True, kw_only=True):
    """One point a fraction; ``reason`` says why there is none.

    ``columns`` are the numeric columns that received noise, ``not_reached`` the fractions left out by the stop.
    """

    metric: str
    clean: float | None
    columns: tuple[str, ...] = ()
    points: tuple[NoisePoint, ...] = ()
    n_repeats: int = 0
    not_reached: tuple[str, ...] = ()
    reason: str = ""


class MissingCase(msgspec.Struct, frozen=True, kw_only=True):
    """The model with cells taken away.

    ``pattern`` is ``column`` (one column empty), ``cells`` (a random ``share`` of all input cells), or
    ``most_important`` (a random ``share`` of the cells of the column that matters most).
    """

    pattern: MissingPattern
    column: str | None
    share: float
    effect: Degradation


class MissingPatterns(msgspec.Struct, frozen=True, kw_only=True):
    """Every pattern of missing cells that was tried.

    ``most_important`` is the first column given as important, else the one whose absence costs most.
    ``columns_left_out`` were over the limit of columns; ``not_reached`` is what the stop left out.
    """

    metric: str
    clean: float | None
    most_important: str | None = None
    cases: tuple[MissingCase, ...] = ()
    columns_left_out: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    reason: str = ""


def noise_curve(
    predict: Predict,
    signature: Signature,
    columns: Columns,
    truth: npt.NDArray[Any],
    *,
    seed: int,
    metric: str | None = None,
    fractions: Sequence[float] = NOISE_FRACTIONS,
    n_repeats: int = 10,
    should_stop: Callable[[], bool] | None = None,
) -> NoiseCurve:
    """Add Gaussian noise to every numeric column at once and measure what is left.

    The noise of a column has standard deviation ``fraction`` times the column's own. Missing cells stay
    missing; whole numbers are not rounded back, because the test is about the model and not about the form
    the value came in.

    Parameters
    ----------
    truth
        Class codes in the order of ``signature.classes``, or float values for regression.
    metric
        Defaults to ROC AUC, log loss or RMSE by task.

    Raises
    ------
    Invalid
        If an input column is missing, or the truth or the metric does not fit.
    """
    inputs = inputs_of(signature, columns)
    clean = ask(predict, inputs)
    if clean.scores is None:
        return NoiseCurve(metric=metric or "", clean=None, reason=f"the model {clean.failure} on undisturbed rows")
    stick = yardstick(signature, truth, clean.scores, metric)
    known = stick.clean if np.isfinite(stick.clean) else None
    numeric = [column.name for column in signature.columns if column.kind == "numeric"]
    spreads = {name: spread_of(inputs[name]) for name in numeric}
    noisy = tuple(name for name in numeric if spreads[name] > 0)
    if not noisy:
        return NoiseCurve(metric=stick.metric, clean=known, reason="no numeric column varies")
    rng = np.random.default_rng(seed)
    # The same draws for every fraction: the curve then bends because of the noise's size and nothing else.
    draws = [{name: rng.standard_normal(len(inputs[name])) for name in noisy} for _ in range(n_repeats)]
    points: list[NoisePoint] = []
    for place, fraction in enumerate(fractions):
        if should_stop is not None and should_stop():
            rest = tuple(f"noise of {left:g} standard deviations" for left in fractions[place:])
            return NoiseCurve(
                metric=stick.metric,
                clean=known,
                columns=noisy,
                points=tuple(points),
                n_repeats=n_repeats,
                not_reached=rest,
            )
        given = [
            {**inputs, **{name: inputs[name] + fraction * spreads[name] * draw[name] for name in noisy}}
            for draw in draws
        ]
        points.append(NoisePoint(fraction=float(fraction), effect=_effect(predict, stick, given)))
    return NoiseCurve(metric=stick.metric, clean=known, columns=noisy, points=tuple(points), n_repeats=n_repeats)


def missing_patterns(
    predict: Predict,
    signature: Signature,
    columns: Columns,
    truth: npt.NDArray[Any],
    *,
    seed: int,
    metric: str | None = None,
    important: Sequence[str] = (),
    shares: Sequence[float] = MISSING_SHARES,
    n_repeats: int = 5,
    max_columns: int = 50,
    should_stop: Callable[[], bool] | None = None,
) -> MissingPatterns:
    """Take cells away in three ways and measure what is left.

    Parameters
    ----------
    important
        Column names, the most important first, as permutation importance gives them.
    n_repeats
        Draws of each random pattern.
    max_columns
        So many columns are emptied one at a time, the important ones first.

    Raises
    ------
    Invalid
        If an input column is missing, or the truth or the metric does not fit.
    """
    inputs = inputs_of(signature, columns)
    clean = ask(predict, inputs)
    if clean.scores is None:
        reason = f"the model {clean.failure} on undisturbed rows"
        return MissingPatterns(metric=metric or "", clean=None, reason=reason)
    stick = yardstick(signature, truth, clean.scores, metric)
    n_rows = len(stick.truth)
    names = by_importance(signature, tuple(important))
    cases: list[MissingCase] = []
    not_reached: list[str] = []

    def measure(pattern: MissingPattern, column: str | None, share: float, what: str) -> None:
        if not_reached or (should_stop is not None and should_stop()):
            not_reached.append(what)
            return
        # Each pattern has its own stream, so that leaving one out changes no other.
        rng = np.random.default_rng([seed, int(1000 * share), len(pattern)])
        given = []
        for _ in range(1 if share == 1 else n_repeats):
            gone = [column] if column is not None else list(inputs)
            given.append({**inputs, **{name: blank(inputs[name], rng.random(n_rows) < share) for name in gone}})
        effect = _effect(predict, stick, given)
        cases.append(MissingCase(pattern=pattern, column=column, share=float(share), effect=effect))

    for name in names[:max_columns]:
        measure("column", name, 1.0, f"column {name!r} missing")
    for share in shares:
        measure("cells", None, share, f"{percentage(share)} of all cells missing")
    top = next((name for name in important if name in inputs), None) or _costliest(cases)
    for share in shares:
        measure("most_important", top or names[0], share, f"{percentage(share)} of the most important column missing")
    return MissingPatterns(
        metric=stick.metric,
        clean=stick.clean if np.isfinite(stick.clean) else None,
        most_important=top,
        cases=tuple(cases),
        columns_left_out=tuple(names[max_columns:]),
        not_reached=tuple(not_reached),
    )


def _effect(predict: Predict, stick: Yardstick, disturbed: list[dict[str, npt.NDArray[Any]]]) -> Degradation:
    values: list[FloatArray] = []
    for given in disturbed:
        answer = ask(predict, given)
        if answer.scores is None:
            return stick.failed(answer.failure)
        values.append(stick.value(answer.scores))
    numbers = np.asarray(values, dtype=np.float64)
    mean = float(numbers.mean())
    # A pattern without chance in it has no spread to show.
    return stick.judge(interval(mean, numbers) if len(values) > 1 else Interval(value=mean, low=None, high=None))


def _costliest(cases: list[MissingCase]) -> str | None:
    known = [case for case in cases if case.pattern == "column" and case.effect.retained.value is not None]
    return min(known, key=lambda case: case.effect.retained.value or 0.0).column if known else None
