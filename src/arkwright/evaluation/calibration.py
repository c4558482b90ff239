"""Whether a probability of 0.7 comes true seven times in ten.

A *reliability curve* groups rows by score and sets the mean score of each group beside the share that was positive.
The expected calibration error (ECE) is the mean gap, weighted by rows; the maximum one (MCE) the largest gap. Two
binnings: ``equal_width`` cuts [0, 1] into intervals of the same width, each closed at its lower end; ``equal_mass``
cuts at the quantiles of the scores, and rows of equal score stay together, so there can be fewer bins than asked for.

The plug-in ECE of a perfectly calibrated model is above zero, because each bin is noisy. So every ECE comes with what a
perfectly calibrated model with the same scores would show on as many rows.
:mod:`arkwright.evaluation.recalibration` mends what is not calibrated.

References
----------
Bröcker & Smith (2007), "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22: consistency
resampling.
Cox (1958), "Two further applications of a model for binary regression", Biometrika 45: calibration slope and intercept.
Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks", ICML: top-label ECE.
Murphy (1973), "A New Vector Partition of the Probability Score", J. Applied Meteorology 12.
Naeini, Cooper & Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI: ECE, MCE,
ten bins.
Nixon, Dusenberry, Zhang, Jerfel & Tran (2019), "Measuring Calibration in Deep Learning": class-wise error.
Stephenson, Coelho & Jolliffe (2008), "Two Extra Components in the Brier Score Decomposition", Weather and
Forecasting 23.
Van Calster et al. (2019), "Calibration: the Achilles heel of predictive analytics", BMC Medicine 17: what slope and
intercept say.
Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, LEVEL, Interval, bootstrap, resamples_for
from arkwright.evaluation.metric import FloatArray, IntArray
from arkwright.evaluation.proportion import wilson_interval

Binning = Literal["equal_width", "equal_mass"]

DEFAULT_BINS = 10
_BLOCK_CELLS = 2_000_000
LOGIT_EDGE = 1e-6
_PROBABILITY_SLACK = 1e-9
_MAX_STEPS = 100
ONE_CLASS = "all rows are of one class"
_SEPARATED = "the scores separate the two classes perfectly, so that no finite slope fits best"
_CONSTANT = "all rows have the same score"


class ReliabilityBin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose score is in [low, high): their mean score and the share that was positive, with Wilson's interval."""

    low: float
    high: float
    n_rows: int
    mean_score: float | None
    observed: Interval


class ReliabilityCurve(msgspec.Struct, frozen=True, kw_only=True):
    """The bins from low to high; those without rows are kept and say so. The last one includes its upper end."""

    binning: Binning
    n_rows: int
    bins: tuple[ReliabilityBin, ...]


class CalibrationError(msgspec.Struct, frozen=True, kw_only=True):
    """ECE and MCE in [0, 1], beside what perfect calibration would show.

    Parameters
    ----------
    ece
        Plug-in value, with the basic (reverse percentile) bootstrap interval cut at 0 and 1; the reverse form takes out
        the upward bias that the percentile form would double. It is widened to hold the value, and to reach 0 where
        ``p_value`` does not refuse perfect calibration: at that edge of its range no bootstrap interval covers well.
    expected_if_calibrated, high_if_calibrated
        Mean and 95th percentile of the ECE when outcomes are drawn from the scores themselves.
    p_value
        Share of those draws with an ECE at least as large; small: the scores are not calibrated.
    """

    ece: Interval
    mce: float
    expected_if_calibrated: float
    high_if_calibrated: float
    p_value: float
    binning: Binning
    n_bins: int
    n_rows: int


class BrierDecomposition(msgspec.Struct, frozen=True, kw_only=True):
    """``brier = reliability - resolution + uncertainty + within_bin``.

    The first three are Murphy's and are exact for forecasts replaced by the mean score of their bin; ``within_bin`` is
    the remainder (within-bin variance less twice the covariance, Stephenson 2008), zero when the scores of each bin
    are equal.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bin: float
    n_bins: int


class CalibrationLine(msgspec.Struct, frozen=True, kw_only=True):
    """Logistic recalibration ``logit P(y=1) = intercept + slope * logit(score)``, with Wald intervals.

    Slope 1 and intercept 0 are perfect; a slope below 1 means scores too extreme (over-fitting). ``in_the_large`` is
    the intercept when the slope is held at 1: below 0 where scores are too high on average. Scores nearer than 1e-6
    to 0 or 1 are moved to that distance first; ``n_moved`` counts them.
    """

    slope: Interval
    intercept: Interval
    in_the_large: Interval
    n_moved: int


class ClassCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """ECE of one class against the rest; None and a reason where the class has no rows."""

    code: int
    n_rows: int
    ece: float | None
    reason: str = ""


class MulticlassCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """``top_label``: highest probability against being right; ``class_wise``: mean ECE over the classes with rows."""

    top_label: CalibrationError
    class_wise: float | None
    classes: tuple[ClassCalibration, ...]


def checked_binary(truth: npt.NDArray[Any], score: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return truth (0 or 1) and P(positive) as float64 of shape ``(n,)``.

    Raises
    ------
    Invalid
        If there are no rows, lengths differ, the truth is not 0 or 1, or a score is not a number in [0, 1].
    """
    outcome = np.asarray(truth, dtype=np.float64).reshape(-1)
    given = np.asarray(score, dtype=np.float64).reshape(-1)
    if outcome.size == 0 or outcome.size != given.size:
        raise Invalid(
            f"There are {outcome.size} true values and {given.size} scores.",
            code="evaluation.rows",
            hint="Pass one score for each row, and at least one row.",
        )
    odd = np.flatnonzero((outcome != 0) & (outcome != 1))
    if odd.size:
        raise Invalid(
            f"{odd.size} true values are neither 0 nor 1, the first in row {odd[0]}: {outcome[odd[0]]:g}.",
            code="evaluation.truth_not_binary",
            hint="Pass 1 for rows of the positive class and 0 for all others.",
        )
    checked_probability(given)
    return outcome, np.clip(given, 0.0, 1.0)


def checked_probability(scores: FloatArray) -> None:
    """Refuse scores that are not probabilities.

    Raises
    ------
    Invalid
        If a score is NaN or outside [0, 1].
    """
    bad = ~((scores >= -_PROBABILITY_SLACK) & (scores <= 1.0 + _PROBABILITY_SLACK))
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        value = float(scores[bad].ravel()[0])
        raise Invalid(
            f"{int(bad.sum())} scores are not probabilities, the first in row {row}: {value:g}.",
            code="evaluation.scores_not_probabilities",
            hint="Drop the rows the model could not score, and pass probabilities between 0 and 1.",
        )


def reliability_curve(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    *,
    n_bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
) -> ReliabilityCurve:
    """Set scores beside outcomes, bin by bin.

    Parameters
    ----------
    truth, score
        0 or 1, and P(positive), each of shape ``(n,)``.

    Raises
    ------
    Invalid
        If the rows are unusable (:func:`checked_binary`) or ``n_bins`` is below 1.

    Examples
    --------
    >>> curve = reliability_curve(np.array([0, 1, 1]), np.array([0.1, 0.9, 0.8]), n_bins=2)
    >>> [(part.n_rows, part.observed.value) for part in curve.bins]
    [(1, 0.0), (2, 1.0)]
    """
    outcome, given = checked_binary(truth, score)
    edges, codes = _bins(given, n_bins, binning)
    rows, hits, scores = (_per_bin(codes, values, edges.size - 1) for values in (np.ones_like(given), outcome, given))
    parts = []
    for index in range(edges.size - 1):
        count = int(rows[index])
        if count == 0:
            observed = Interval(value=None, low=None, high=None, reason="no row has a score in this bin")
        else:
            low, high = wilson_interval(float(hits[index]), count)
            observed = Interval(value=float(hits[index] / count), low=low, high=high)
        parts.append(
            ReliabilityBin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                n_rows=count,
                mean_score=float(scores[index] / count) if count else None,
                observed=observed,
            )
        )
    return ReliabilityCurve(binning=binning, n_rows=int(given.size), bins=tuple(parts))


def calibration_error(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    *,
    seed: int,
    n_bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
    n_resamples: int = DEFAULT_RESAMPLES,
) -> CalibrationError:
    """Compute ECE with its interval, MCE, and the ECE that perfect calibration would show.

    Bins are cut once, on the rows given; every resample uses the same.

    Raises
    ------
    Invalid
        As :func:`reliability_curve`.

    Examples
    --------
    >>> found = calibration_error(np.array([0, 1] * 50), np.full(100, 0.7), seed=0, n_resamples=200)
    >>> round(found.ece.value, 3), found.p_value < 0.01
    (0.2, True)
    """
    outcome, given = checked_binary(truth, score)
    edges, codes = _bins(given, n_bins, binning)
    n_rows, size = given.size, edges.size - 1
    member = np.zeros((n_rows, size))
    member[np.arange(n_rows), codes] = 1.0
    gaps = member * (outcome - given)[:, None]
    value = float(np.abs(gaps.sum(axis=0)).sum() / n_rows)
    counts = member.sum(axis=0)
    mce = float((np.abs(gaps.sum(axis=0))[counts > 0] / counts[counts > 0]).max())

    wanted = resamples_for(n_rows, n_resamples)
    replicates = bootstrap(
        lambda weights: {"ece": np.abs(weights @ gaps).sum(axis=-1) / n_rows}, n_rows, seed=seed, n_resamples=wanted
    )["ece"]
    tail = 50.0 * (1.0 - LEVEL)
    upper, lower = np.percentile(replicates, [100.0 - tail, tail])
    low, high = (float(np.clip(2 * value - bound, 0.0, 1.0)) for bound in (upper, lower))
    simulated = _calibrated_errors(given, member, seed=seed, n_draws=wanted)
    # One added on both sides keeps the p-value from being zero (Davison & Hinkley 1997, section 4.2).
    p_value = float((np.count_nonzero(simulated >= value - 1e-12) + 1) / (simulated.size + 1))
    low = 0.0 if p_value >= 1.0 - LEVEL else min(low, value)
    return CalibrationError(
        ece=Interval(value=value, low=low, high=max(high, value)),
        mce=mce,
        expected_if_calibrated=float(simulated.mean()),
        high_if_calibrated=float(np.percentile(simulated, 95.0)),
        p_value=p_value,
        binning=binning,
        n_bins=size,
        n_rows=int(n_rows),
    )


def brier_decomposition(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    *,
    n_bins: int = DEFAULT_BINS,
    binning: Binning = "equal_width",
) -> BrierDecomposition:
    """Split the Brier score into reliability, resolution, uncertainty and what the bins hide.

    Raises
    ------
    Invalid
        As :func:`reliability_curve`.

    Examples
    --------
    >>> brier_decomposition(np.array([0, 1]), np.array([0.0, 1.0])).brier
    0.0
    """
    outcome, given = checked_binary(truth, score)
    edges, codes = _bins(given, n_bins, binning)
    rows, hits, scores = (_per_bin(codes, values, edges.size - 1) for values in (np.ones_like(given), outcome, given))
    used = rows > 0
    rows, observed, mean_score = rows[used], hits[used] / rows[used], scores[used] / rows[used]
    base = float(outcome.mean())
    brier = float(np.mean(np.square(given - outcome)))
    reliability = float(rows @ np.square(mean_score - observed) / given.size)
    resolution = float(rows @ np.square(observed - base) / given.size)
    uncertainty = base * (1.0 - base)
    return BrierDecomposition(
        brier=brier,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within_bin=brier - (reliability - resolution + uncertainty),
        n_bins=int(edges.size - 1),
    )


def calibration_line(truth: npt.NDArray[Any], score: npt.NDArray[Any]) -> CalibrationLine:
    """Fit calibration slope and intercept by maximum likelihood.

    Raises
    ------
    Invalid
        If the rows are unusable (:func:`checked_binary`).
    """
    outcome, given = checked_binary(truth, score)
    moved = int(np.count_nonzero((given < LOGIT_EDGE) | (given > 1.0 - LOGIT_EDGE)))
    x = logit(given)
    if outcome.min() == outcome.max():
        none = _undefined(ONE_CLASS)
        return CalibrationLine(slope=none, intercept=none, in_the_large=none, n_moved=moved)
    large = _in_the_large(x, outcome)
    if x.min() == x.max() or _separated(x, outcome):
        none = _undefined(_CONSTANT if x.min() == x.max() else _SEPARATED)
        return CalibrationLine(slope=none, intercept=none, in_the_large=large, n_moved=moved)
    intercept, slope, covariance = logistic_fit(x, outcome)
    return CalibrationLine(
        slope=_wald(slope, covariance[1, 1]),
        intercept=_wald(intercept, covariance[0, 0]),
        in_the_large=large,
        n_moved=moved,
    )


def multiclass_calibration(
    truth: npt.NDArray[Any],
    probability: FloatArray,
    *,
    seed: int,
    n_bins: int = DEFAULT_BINS,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> MulticlassCalibration:
    """Measure top-label and class-wise calibration, in equal-width bins.

    Parameters
    ----------
    truth
        Class codes of shape ``(n,)``.
    probability
        Shape ``(n, n_classes)``.

    Raises
    ------
    Invalid
        If a score is no probability, or the shapes do not fit.
    """
    codes = checked_codes(truth, probability)
    top = calibration_error(
        np.argmax(probability, axis=1) == codes,
        probability.max(axis=1),
        seed=seed,
        n_bins=n_bins,
        n_resamples=n_resamples,
    )
    classes = []
    for code in range(probability.shape[1]):
        present = codes == code
        count = int(present.sum())
        if count == 0:
            classes.append(ClassCalibration(code=code, n_rows=0, ece=None, reason="the class has no rows"))
        else:
            classes.append(
                ClassCalibration(code=code, n_rows=count, ece=plain_ece(present, probability[:, code], n_bins))
            )
    found = [item.ece for item in classes if item.ece is not None]
    return MulticlassCalibration(
        top_label=top, class_wise=float(np.mean(found)) if found else None, classes=tuple(classes)
    )


def logit(score: FloatArray) -> FloatArray:
    """Return the log odds of scores, first moved to at least 1e-6 from 0 and 1.

    Examples
    --------
    >>> float(logit(np.array(0.5)))
    0.0
    """
    inside = np.clip(score, LOGIT_EDGE, 1.0 - LOGIT_EDGE)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)


def _bins(score: FloatArray, n_bins: int, binning: Binning) -> tuple[FloatArray, IntArray]:
    if n_bins < 1:
        raise Invalid(
            f"{n_bins} bins cannot hold any rows.",
            code="evaluation.bins",
            hint="Ask for at least one bin; ten is usual.",
        )
    if binning == "equal_width":
        edges = np.arange(n_bins + 1) / n_bins
    else:
        inner = np.quantile(score, np.arange(1, n_bins) / n_bins, method="higher")
        inner = np.unique(inner[(inner > score.min()) & (inner <= score.max())])
        edges = np.concatenate(([score.min()], inner, [score.max()]))
    codes = np.searchsorted(edges[1:-1], score, side="right")
    return np.asarray(edges, dtype=np.float64), codes.astype(np.int64)


def _per_bin(codes: IntArray, values: FloatArray, n_bins: int) -> FloatArray:
    return np.asarray(np.bincount(codes, weights=values, minlength=n_bins), dtype=np.float64)


def _calibrated_errors(score: FloatArray, member: FloatArray, *, seed: int, n_draws: int) -> FloatArray:
    # A stream of its own, so that these draws are not the bootstrap's.
    rng = np.random.default_rng((seed, 1))
    block = max(1, _BLOCK_CELLS // score.size)
    found = []
    for first in range(0, n_draws, block):
        drawn = rng.random((min(block, n_draws - first), score.size)) < score
        found.append(np.abs((drawn - score) @ member).sum(axis=-1) / score.size)
    return np.concatenate(found)


def plain_ece(hit: npt.NDArray[np.bool_], score: FloatArray, n_bins: int) -> float:
    """Return the ECE in equal-width bins, without an interval.

    Examples
    --------
    >>> plain_ece(np.array([True, False]), np.array([0.75, 0.25]), 2)
    0.25
    """
    edges, codes = _bins(score, n_bins, "equal_width")
    return float(np.abs(_per_bin(codes, hit - score, edges.size - 1)).sum() / score.size)


def checked_codes(truth: npt.NDArray[Any], scores: FloatArray) -> IntArray:
    """Return the class codes of rows that have a row of probabilities each.

    Raises
    ------
    Invalid
        If the shapes do not fit, a score is no probability, or a true value is no code of a column.
    """
    if scores.ndim != 2 or scores.shape[0] != np.size(truth) or scores.shape[0] == 0:
        raise Invalid(
            f"There are {np.size(truth)} true values and scores of shape {scores.shape}.",
            code="evaluation.rows",
            hint="Pass scores of shape (rows, classes), one row for each true value, and at least one row.",
        )
    if scores.shape[1] == 1:
        outcome, _ = checked_binary(truth, scores[:, 0])
        return outcome.astype(np.int64)
    checked_probability(scores)
    codes = np.asarray(truth, dtype=np.float64)
    bad = np.flatnonzero(~((codes >= 0) & (codes < scores.shape[1]) & (codes == np.floor(codes))))
    if bad.size:
        raise Invalid(
            f"{bad.size} true values are no class of this model, the first in row {bad[0]}: {codes[bad[0]]:g}.",
            code="evaluation.truth_not_a_class",
            hint=f"Classes are coded 0 to {scores.shape[1] - 1}; leave out labels the model was never taught.",
        )
    return codes.astype(np.int64)


def expit(x: FloatArray) -> FloatArray:
    """Return the probability whose log odds are ``x``; never overflows."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)


def _separated(x: FloatArray, outcome: FloatArray) -> bool:
    negative, positive = x[outcome == 0], x[outcome == 1]
    return bool(negative.max() <= positive.min() or positive.max() <= negative.min())


def logistic_fit(x: FloatArray, target: FloatArray) -> tuple[float, float, FloatArray]:
    """Fit ``P = expit(intercept + slope * x)`` by maximum likelihood, with Newton's method and halved steps.

    Parameters
    ----------
    x
        Not constant.
    target
        In [0, 1]; not separated by ``x``, or the slope has no end.

    Returns
    -------
    tuple
        Intercept, slope, and their covariance of shape (2, 2).
    """
    centre, scale = float(x.mean()), float(x.std())
    design = np.column_stack((np.ones_like(x), (x - centre) / scale))

    def loss(beta: FloatArray) -> float:
        linear = design @ beta
        return float(np.sum(np.logaddexp(0.0, linear) - target * linear))

    beta = np.zeros(2)
    now = loss(beta)
    for _ in range(_MAX_STEPS):
        fitted = expit(design @ beta)
        step = np.linalg.solve(_information(design, fitted), design.T @ (target - fitted))
        size = 1.0
        while size > 1e-10 and loss(beta + size * step) > now:
            size /= 2
        if size <= 1e-10:
            break
        beta = beta + size * step
        now = loss(beta)
        if float(np.abs(step).max()) < 1e-10:
            break
    slope = float(beta[1] / scale)
    back = np.array([[1.0, -centre / scale], [0.0, 1.0 / scale]])
    covariance = back @ np.linalg.inv(_information(design, expit(design @ beta))) @ back.T
    return float(beta[0] - slope * centre), slope, covariance


def _information(design: FloatArray, fitted: FloatArray) -> FloatArray:
    return np.asarray((design * (fitted * (1.0 - fitted))[:, None]).T @ design, dtype=np.float64)


def _in_the_large(x: FloatArray, outcome: FloatArray) -> Interval:
    shift = 0.0
    for _ in range(_MAX_STEPS):
        fitted = expit(x + shift)
        step = float(np.sum(outcome - fitted) / np.sum(fitted * (1.0 - fitted)))
        # A full step far from the solution can overshoot; one unit of log odds at a time cannot.
        step = min(1.0, max(-1.0, step))
        shift += step
        if abs(step) < 1e-12:
            break
    fitted = expit(x + shift)
    return _wald(shift, 1.0 / float(np.sum(fitted * (1.0 - fitted))))


def _wald(value: float, variance: float) -> Interval:
    half = NormalDist().inv_cdf(0.5 + LEVEL / 2) * float(variance) ** 0.5
    return Interval(value=value, low=value - half, high=value + half)


def _undefined(reason: str) -> Interval:
    return Interval(value=None, low=None, high=None, reason=reason)
