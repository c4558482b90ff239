"""The same rows from another population: covariate shift and label shift by reweighting, with no refit.

A shifted population is the holdout with other row weights, so every metric that takes weights can be
computed under it, and the model is asked only once. Weights cannot invent rows: the further the shift, the
fewer rows carry it (the *effective* number of rows), and the wider the interval.

References
----------
Shimodaira (2000), "Improving predictive inference under covariate shift by weighting the log-likelihood
function", Journal of Statistical Planning and Inference 90: importance weights.
Saerens, Latinne & Decaestecker (2002), "Adjusting the Outputs of a Classifier to New a Priori
Probabilities", Neural Computation 14: a change of the class priors alone.
Zhang, Schölkopf, Muandet & Wang (2013), "Domain Adaptation under Target and Conditional Shift", ICML: the same
for a numeric target.
Kish (1965), "Survey Sampling", section 11.7: the effective sample size ``(sum w)^2 / sum w^2``.
Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks", ICML: the calibration error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.evaluation.classification import predicted_codes
from arkwright.evaluation.intervals import Interval, bootstrap, interval, rare_classes
from arkwright.evaluation.metric import FloatArray, IntArray, ratio, row_weights
from arkwright.evaluation.probe import as_text, by_importance, inputs_of, spread_of
from arkwright.evaluation.report import as_probability
from arkwright.evaluation.scored_table import Columns
from arkwright.evaluation.skill import Degradation, Yardstick, not_computable, yardstick

TILTS = (-1.0, -0.5, 0.5, 1.0)
PRIOR_FACTORS = (0.25, 0.5, 2.0, 4.0)
MIN_EFFECTIVE_ROWS = 10.0
"""With fewer effective rows a shifted metric says nothing about the shifted population."""

_MAX_SHARE = 0.95
_LEVELS = 3
_CLIP = 3.0
ShiftKind = Literal["numeric", "category", "label", "target"]


class ShiftCase(msgspec.Struct, frozen=True, kw_only=True):
    """The model on a shifted population.

    Parameters
    ----------
    kind
        ``numeric`` (a column's mean moves), ``category`` (a level's share changes), ``label`` (a class's
        share changes) or ``target`` (a regression target's mean moves).
    along
        The column, or the target.
    level
        The category or class; None where a mean moves.
    before, after
        The mean, or the share, in the holdout and under the shift.
    effective_rows
        Kish's effective number of rows.
    effect
        The metric with its 95 % bootstrap interval, and the retained skill: here against the best constant
        prediction *of the shifted population*, because that changes too.
    calibration_error
        Expected calibration error under the shift; not computable for regression.
    """

    kind: ShiftKind
    along: str
    level: str | None
    before: float
    after: float
    effective_rows: float
    effect: Degradation
    calibration_error: Interval


class ShiftTests(msgspec.Struct, frozen=True, kw_only=True):
    """Every shift, and the undisturbed metric and calibration error beside them."""

    metric: str
    clean: Interval
    clean_calibration_error: Interval
    cases: tuple[ShiftCase, ...] = ()
    not_reached: tuple[str, ...] = ()


def shift_tests(
    signature: Signature,
    columns: Columns,
    truth: npt.NDArray[Any],
    scores: FloatArray,
    *,
    seed: int,
    metric: str | None = None,
    important: Sequence[str] = (),
    n_numeric: int = 2,
    n_categorical: int = 2,
    n_resamples: int = 200,
    should_stop: Callable[[], bool] | None = None,
) -> ShiftTests:
    """Reweight the holdout to other populations and measure the metric and the calibration under each.

    Along the ``n_numeric`` most important numeric columns the mean moves by about -1, -0.5, 0.5 and 1
    standard deviations; along the ``n_categorical`` most important categorical columns each of the three
    commonest levels gets half and twice its share; each class gets a quarter, half, twice and four times
    its share (at most 95 %), and a regression target's mean moves like a column's.

    Parameters
    ----------
    scores
        The model's, for these rows: finite, of shape ``(n_rows, k)``.
    important
        Column names, the most important first; then the signature's order.

    Raises
    ------
    Invalid
        If an input column is missing, or the truth or the metric does not fit.
    """
    inputs = inputs_of(signature, columns)
    stick = yardstick(signature, truth, scores, metric)
    numeric = [name for name in by_importance(signature, tuple(important), "numeric") if spread_of(inputs[name]) > 0]
    categorical = by_importance(signature, tuple(important), "categorical")
    plan = [
        *_tilts("numeric", {name: inputs[name] for name in numeric[:n_numeric]}),
        *_levels({name: inputs[name] for name in categorical[:n_categorical]}),
        *_labels(signature, stick.truth),
    ]
    cases: list[ShiftCase] = []
    not_reached: tuple[str, ...] = ()
    for place, (kind, along, level, weights, (before, after)) in enumerate(plan):
        if should_stop is not None and should_stop():
            not_reached = tuple(_named(*left[:3]) for left in plan[place:])
            break
        value, error = _measured(stick, scores, weights, seed, n_resamples, classes_fixed=kind == "label")
        cases.append(
            ShiftCase(
                kind=kind,
                along=along,
                level=level,
                before=before,
                after=after,
                effective_rows=effective_rows(weights),
                effect=stick.judge(value, stick.trivial_value(weights)),
                calibration_error=error,
            )
        )
    clean, clean_error = _measured(stick, scores, row_weights(stick.truth.size, None), seed, n_resamples)
    return ShiftTests(
        metric=stick.metric,
        clean=clean,
        clean_calibration_error=clean_error,
        cases=tuple(cases),
        not_reached=not_reached,
    )


def tilt(values: FloatArray, spreads: float) -> FloatArray:
    """Return row weights that move the mean of a column by about ``spreads`` standard deviations.

    Exponential tilting, ``exp(spreads * z)`` with ``z`` standardised and clipped to [-3, 3]: of a normal column the
    result is the same normal column, moved by exactly that much. Rows without a value keep their share.

    Returns
    -------
    ndarray of shape (n_rows,)
        Positive weights that sum to the number of rows.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=100_000)
    >>> bool(abs(np.average(x, weights=tilt(x, 0.5)) - 0.5) < 0.02)
    True
    """
    known = np.isfinite(values)
    weights = np.ones(values.size, dtype=np.float64)
    inside = values[known]
    spread = float(inside.std()) if inside.size else 0.0
    if spread > 0:
        raw = np.exp(spreads * np.clip((inside - inside.mean()) / spread, -_CLIP, _CLIP))
        weights[known] = raw * inside.size / raw.sum()
    return weights


def reweighted_share(member: npt.NDArray[np.bool_], share: float) -> FloatArray:
    """Return row weights under which ``member`` rows make up ``share`` of the total.

    Examples
    --------
    >>> reweighted_share(np.array([True, False, False, False]), 0.5)
    array([2.        , 0.66666667, 0.66666667, 0.66666667])
    """
    now = float(member.mean())
    return np.where(member, share / now, (1.0 - share) / (1.0 - now))


def effective_rows(weights: FloatArray) -> float:
    """Return Kish's effective number of rows.

    Examples
    --------
    >>> effective_rows(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())


def weighted_calibration_error(
    truth: IntArray, probability: FloatArray, weights: npt.NDArray[Any] | None = None, *, n_bins: int = 10
) -> FloatArray:
    """Return the expected calibration error: the mean gap between what was promised and what happened.

    Rows are put in ``n_bins`` equal bins of the promised probability; the gap of a bin counts by its weight. With
    two classes the promise is that of the positive class, with more that of the predicted class.

    Parameters
    ----------
    probability
        Shape ``(n_rows, n_classes)``.
    weights
        Ends in the rows axis.

    Examples
    --------
    >>> float(weighted_calibration_error(np.array([1, 0]), np.array([[0.2, 0.8], [0.2, 0.8]])).round(3))
    0.3
    """
    if probability.shape[1] == 2:
        promised, happened = probability[:, 1], (truth == 1).astype(np.float64)
    else:
        called = predicted_codes(probability)
        promised, happened = probability[np.arange(truth.size), called], (called == truth).astype(np.float64)
    weight = row_weights(truth.size, weights)
    place = np.clip((promised * n_bins).astype(np.int64), 0, n_bins - 1)
    member = (place[:, None] == np.arange(n_bins)).astype(np.float64)
    # The bin's weight cancels: weight x |mean gap| is |sum of the weighted gaps|.
    gaps = np.abs(weight @ (member * (promised - happened)[:, None])).sum(axis=-1)
    return ratio(gaps, weight.sum(axis=-1), empty=np.nan)


Planned = tuple[ShiftKind, str, str | None, FloatArray, tuple[float, float]]


def _tilts(kind: ShiftKind, columns: Columns) -> Iterator[Planned]:
    for name, values in columns.items():
        known = np.isfinite(values)
        for amount in TILTS:
            weights = tilt(values, amount)
            after = float(np.average(values[known], weights=weights[known]))
            yield kind, name, None, weights, (float(values[known].mean()), after)


def _levels(columns: Columns) -> Iterator[Planned]:
    for name, values in columns.items():
        text = as_text(values)
        levels, counts = np.unique(text, return_counts=True)
        commonest = levels[np.argsort(-counts, kind="stable")][:_LEVELS]
        for level in commonest if levels.size > 1 else ():
            yield from _shares("category", name, str(level), text == level, (0.5, 2.0))


def _labels(signature: Signature, truth: npt.NDArray[Any]) -> Iterator[Planned]:
    if signature.task == "regression":
        if truth.std() > 0:
            yield from _tilts("target", {signature.target: truth})
        return
    # Of two classes the second says it all: half of one is a set share of the other.
    codes = range(1, 2) if len(signature.classes) == 2 else range(len(signature.classes))
    for code in codes:
        member = truth == code
        if 0 < np.count_nonzero(member) < member.size:
            yield from _shares("label", signature.target, str(signature.classes[code]), member, PRIOR_FACTORS)


def _shares(
    kind: ShiftKind, along: str, level: str, member: npt.NDArray[np.bool_], factors: Sequence[float]
) -> Iterator[Planned]:
    now = float(member.mean())
    done = set()
    for factor in factors:
        share = min(factor * now, _MAX_SHARE)
        # A share that is already at its limit leaves two factors with the same population.
        if share not in done and not (factor > 1 and share <= now):
            done.add(share)
            yield kind, along, level, reweighted_share(member, share), (now, share)


def _measured(
    stick: Yardstick,
    scores: FloatArray,
    weights: FloatArray,
    seed: int,
    n_resamples: int,
    *,
    classes_fixed: bool = False,
) -> tuple[Interval, Interval]:
    n_effective = effective_rows(weights)
    if n_effective < MIN_EFFECTIVE_ROWS:
        thin = not_computable(
            f"the rows that carry the shift are worth {n_effective:.1f} rows, "
            f"at least {MIN_EFFECTIVE_ROWS:.0f} are needed"
        )
        return thin, thin
    codes = None if stick.task == "regression" else stick.truth.astype(np.int64)

    def measures(factor: FloatArray) -> dict[str, FloatArray]:
        drawn = factor * weights
        found = {"metric": stick.value(scores, drawn)}
        if codes is not None:
            found["error"] = weighted_calibration_error(codes, as_probability(stick.task, scores), drawn)
        return found

    point = measures(np.ones(weights.size))
    # What a label shift asks about has these very class shares; elsewhere they vary as rows do.
    strata = codes if classes_fixed else rare_classes(codes)
    replicates = bootstrap(measures, weights.size, seed=seed, n_resamples=n_resamples, strata=strata)
    value = interval(point["metric"], replicates["metric"])
    if codes is None:
        return value, not_computable("a regression promises no probability")
    return value, interval(point["error"], replicates["error"])


def _named(kind: ShiftKind, along: str, level: str | None) -> str:
    return f"{kind} shift along {along!r}" + (f" at {level!r}" if level is not None else "")
