"""What the errors of a forecast say: against the seasonal naive forecast, over time, and whether they repeat.

``error`` is truth less answer throughout, so that a bias above zero means answers that are too low. Series are kept
apart by their codes and rows by their steps (:mod:`arkwright.evaluation.forecast_steps`).

References
----------
Davydenko & Fildes (2013), "Measuring forecasting accuracy", Int. J. of Forecasting 29: the geometric mean over series
of their relative errors.
Hyndman & Athanasopoulos (2021), "Forecasting: Principles and Practice", 3rd edition, section 5.4: the number of lags.
Ljung & Box (1978), "On a measure of lack of fit in time series models", Biometrika 65.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.evaluation.block_bootstrap import (
    FEWEST_STEPS,
    block_interval,
    block_length,
    block_weights,
    dependent_steps,
    mean_by_step,
)
from arkwright.evaluation.forecast_steps import lagged
from arkwright.evaluation.forecasting import FEWEST_SERIES, rows_by_series
from arkwright.evaluation.intervals import (
    Interval,
    bootstrap,
    interval,
    metric_intervals,
    resamples_for,
)
from arkwright.evaluation.metric import FloatArray, IntArray, ratio
from arkwright.evaluation.paired_tests import DieboldMarianoTest, diebold_mariano_test, holm_adjusted

Outcome = Literal["better", "worse", "no clear difference", "not computable"]
Change = Literal["grows", "falls", "no clear change", "not computable"]
Losses = Callable[[FloatArray], FloatArray]
LOSSES: dict[Literal["squared", "absolute"], Losses] = {"squared": np.square, "absolute": np.abs}

ALPHA = 0.05
_FEWEST_FOR_LJUNG_BOX = 20
_MOST_LAGS = 48
_PAIRED = 0.8
_MOST_SPANS = 12


class LossTest(msgspec.Struct, frozen=True, kw_only=True):
    """The Diebold-Mariano test of one loss; ``p_adjusted`` holds for all losses together (Holm)."""

    loss: Literal["squared", "absolute"]
    test: DieboldMarianoTest
    p_adjusted: float | None
    outcome: Outcome


class NaiveForecast(msgspec.Struct, frozen=True, kw_only=True):
    """The seasonal naive forecast beside the model, on the rows for which it is known.

    Attributes
    ----------
    lag
        How many steps before its value was.
    mae, rmse, model_mae, model_rmse
        Over these rows, in the target's unit.
    relative_mae
        The model's mean absolute error as a share of the naive one's: the geometric mean over series.
    saved
        ``1 - relative_mae``: the share by which the model errs less.
    n_series
        Over how many series: without those for which either forecast is perfect, for a share of zero has no logarithm.
    tests
        Of the mean loss by step; above zero, ``mean_difference`` speaks for the model.
    reason
        Why there is none.
    """

    lag: int
    n_rows: int
    n_series: int = 0
    mae: float | None = None
    rmse: float | None = None
    model_mae: float | None = None
    model_rmse: float | None = None
    relative_mae: Interval
    saved: float | None = None
    tests: tuple[LossTest, ...] = ()
    reason: str = ""


class TimeSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The errors of some steps that follow each other; ``naive_mae`` is None unless it is known for all the rows."""

    first: str
    last: str
    n_steps: int
    n_rows: int
    mae: float
    bias: float
    naive_mae: float | None = None


class ErrorGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """The mean absolute error of the later half of the steps as a share of that of the earlier half.

    Every series' errors are divided by its own mean absolute error first. ``later_from`` is where the later half
    begins.
    """

    ratio: Interval
    outcome: Change
    later_from: str = ""


class ErrorDependence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether what is wrong at one step tells something of a later one.

    Attributes
    ----------
    lag_1, lag_season
        Autocorrelation of the errors at these lags, the mean over series; the second is None without a season.
    n_tested, n_dependent
        Series that have enough steps for the test of Ljung and Box, and those whose p-value, adjusted for all of them
        (Holm), is below 0.05.
    p_value
        The least adjusted one.
    reason
        Why no series was tested.
    """

    lag_1: float | None
    lag_season: float | None
    n_tested: int
    n_dependent: int
    p_value: float | None
    reason: str = ""


def mean_over_series(
    statistic: Callable[[npt.NDArray[np.intp], FloatArray | None], FloatArray],
    varying: FloatArray,
    codes: IntArray,
    steps: IntArray,
    *,
    seed: int,
    n_resamples: int,
    horizon: int = 1,
    reason: str = "no series has this number",
) -> Interval:
    """Average a number over series, with an interval as :func:`~arkwright.evaluation.forecasting.evaluate_forecasts`.

    Parameters
    ----------
    statistic
        Takes the rows of one series and their weights, None or of shape ``(block, n_rows)``; NaN where not defined.
    varying
        What of each row the number is made of: how long it remembers is how long a block has to be.
    """
    rows_of = _rows_of_present(codes)
    values = np.array([statistic(rows, None) for rows in rows_of], dtype=np.float64)
    defined = np.isfinite(values)
    if not defined.any():
        return Interval(value=None, low=None, high=None, reason=reason)
    if len(rows_of) >= FEWEST_SERIES:
        kept = values[defined]
        if kept.size == 1:
            return Interval(value=float(kept[0]), low=None, high=None, reason="only one series has this number")
        return metric_intervals(
            lambda weights: {"mean": ratio(weights @ kept, weights.sum(axis=-1), empty=np.nan)},
            kept.size,
            seed=seed,
            n_resamples=n_resamples,
        )["mean"]
    value = float(values[defined].mean())
    present, places = np.unique(steps, return_inverse=True)
    if present.size < FEWEST_STEPS:
        few = f"fewer than {FEWEST_SERIES} series and fewer than {FEWEST_STEPS} steps to resample"
        return Interval(value=value, low=None, high=None, reason=few)
    drawn = []
    length = block_length(present.size, horizon, mean_by_step(varying, places))
    wanted = resamples_for(int(steps.size), n_resamples)
    for weights in block_weights(present.size, length, wanted, seed=seed):
        found = np.array([statistic(rows, weights[:, places[rows]]) for rows in rows_of])
        known = np.isfinite(found)
        drawn.append(ratio(np.where(known, found, 0.0).sum(axis=0), known.sum(axis=0), empty=np.nan))
    return block_interval(value, np.concatenate(drawn), n_steps=present.size, length=length)


def bias_of(
    error: FloatArray, codes: IntArray, steps: IntArray, *, horizon: int, seed: int, n_resamples: int
) -> Interval:
    """Return the mean error, every series counting alike, in the target's unit."""

    def mean(rows: npt.NDArray[np.intp], weights: FloatArray | None) -> FloatArray:
        return _mean(error[rows], weights)

    return mean_over_series(mean, error, codes, steps, horizon=horizon, seed=seed, n_resamples=n_resamples)


def against_naive(
    truth: FloatArray,
    predicted: FloatArray,
    naive: FloatArray,
    codes: IntArray,
    steps: IntArray,
    *,
    lag: int,
    horizon: int,
    seed: int,
    n_resamples: int,
) -> NaiveForecast:
    """Compare the model with the seasonal naive forecast on the same rows.

    Parameters
    ----------
    naive
        NaN where it is not known.
    """
    known = np.flatnonzero(np.isfinite(naive))
    if not known.size:
        reason = f"no evaluated row has a value {lag} step{'' if lag == 1 else 's'} before it"
        return NaiveForecast(
            lag=lag, n_rows=0, relative_mae=Interval(value=None, low=None, high=None, reason=reason), reason=reason
        )
    ours, theirs = (truth - predicted)[known], (truth - naive)[known]
    codes, steps = codes[known], steps[known]

    def log_share(rows: npt.NDArray[np.intp], weights: FloatArray | None) -> FloatArray:
        sums = np.stack([_mean(np.abs(error[rows]), weights) for error in (ours, theirs)])
        defined = np.isfinite(sums).all(axis=0) & (sums > 0).all(axis=0)
        logs = np.log(np.where(defined, sums, 1.0))
        return np.where(defined, logs[0] - logs[1], np.nan)

    share = mean_over_series(
        log_share,
        np.abs(theirs) - np.abs(ours),
        codes,
        steps,
        horizon=horizon,
        seed=seed,
        n_resamples=n_resamples,
        reason="one of the two forecasts is perfect on these rows",
    )
    value, low, high = (None if end is None else float(np.exp(end)) for end in (share.value, share.low, share.high))
    defined = [rows for rows in _rows_of_present(codes) if np.isfinite(log_share(rows, None))]
    return NaiveForecast(
        lag=lag,
        n_rows=int(known.size),
        n_series=len(defined),
        mae=float(np.abs(theirs).mean()),
        rmse=float(np.sqrt(np.square(theirs).mean())),
        model_mae=float(np.abs(ours).mean()),
        model_rmse=float(np.sqrt(np.square(ours).mean())),
        relative_mae=Interval(value=value, low=low, high=high, reason=share.reason),
        saved=None if value is None else 1.0 - value,
        tests=loss_tests(theirs, ours, steps, horizon=horizon),
    )


def loss_tests(baseline: FloatArray, candidate: FloatArray, steps: IntArray, *, horizon: int) -> tuple[LossTest, ...]:
    """Test whether two forecasts of the same rows have the same expected loss, squared and absolute.

    Rows of several series that share a step are one step, with their mean loss. Losses are taken to depend on each
    other over the horizon, or over more steps where their difference does.

    Parameters
    ----------
    baseline, candidate
        The errors of both, shape ``(n_rows,)``.
    """
    places = np.unique(steps, return_inverse=True)[1].reshape(-1)
    found = []
    for loss in LOSSES.values():
        before, after = (mean_by_step(loss(error), places) for error in (baseline, candidate))
        found.append(diebold_mariano_test(before, after, horizon=dependent_steps(before, after, horizon)))
    adjusted = holm_adjusted([test.p_value for test in found])
    return tuple(
        LossTest(loss=name, test=test, p_adjusted=p_value, outcome=_outcome(test.mean_difference, p_value))
        for name, test, p_value in zip(LOSSES, found, adjusted, strict=True)
    )


def time_spans(
    error: FloatArray, naive_error: FloatArray, steps: IntArray, written: Callable[[int], str]
) -> tuple[TimeSpan, ...]:
    """Cut the evaluated steps into at most twelve spans of about as many steps each, in their order.

    Parameters
    ----------
    written
        Writes the time of a row.
    """
    present, first_rows = np.unique(steps, return_index=True)
    spans = []
    for places in np.array_split(np.arange(present.size), min(_MOST_SPANS, present.size)):
        rows = np.flatnonzero((steps >= present[places[0]]) & (steps <= present[places[-1]]))
        naive = np.abs(naive_error[rows])
        spans.append(
            TimeSpan(
                first=written(int(first_rows[places[0]])),
                last=written(int(first_rows[places[-1]])),
                n_steps=int(places.size),
                n_rows=int(rows.size),
                mae=float(np.abs(error[rows]).mean()),
                bias=float(error[rows].mean()),
                naive_mae=float(naive.mean()) if np.isfinite(naive).all() else None,
            )
        )
    return tuple(spans)


def error_growth(
    error: FloatArray,
    codes: IntArray,
    steps: IntArray,
    written: Callable[[int], str],
    *,
    horizon: int,
    seed: int,
    n_resamples: int,
) -> ErrorGrowth:
    """Tell whether errors grow over the time that was evaluated.

    With ten series or more whole series are resampled, else blocks of steps within each half.
    """
    present, first_rows = np.unique(steps, return_index=True)
    if present.size < 2:
        return _no_growth("there is only one step")
    middle = int(present[present.size // 2])
    size = np.abs(error)
    own = np.bincount(codes, weights=size) / np.maximum(np.bincount(codes), 1)
    size = ratio(size, own[codes], empty=0.0)
    later = steps >= middle
    if not size[~later].any():
        return _no_growth("there is no error in the earlier half")
    value = float(size[later].mean() / size[~later].mean())
    if np.unique(codes).size >= FEWEST_SERIES:
        found = interval(value, _growth_by_series(size, codes, later, seed=seed, n_resamples=n_resamples))
    elif present.size // 2 >= FEWEST_STEPS:
        found = _growth_by_steps(value, size, steps, later, horizon, seed=seed, n_resamples=n_resamples)
    else:
        why = f"fewer than {FEWEST_SERIES} series and fewer than {FEWEST_STEPS} steps in each half to resample"
        found = Interval(value=value, low=None, high=None, reason=why)
    outcome: Change = "not computable"
    if found.low is not None and found.high is not None:
        outcome = "grows" if found.low > 1 else "falls" if found.high < 1 else "no clear change"
    return ErrorGrowth(ratio=found, outcome=outcome, later_from=written(int(first_rows[present.size // 2])))


def error_dependence(error: FloatArray, codes: IntArray, steps: IntArray, *, season: int) -> ErrorDependence:
    """Measure the autocorrelation of the errors within series, and test it.

    The test looks at twice the season's lags, at 10 without a season, and at no more than a fifth of the steps, nor
    at more than 48. A series is tested from 20 steps on, if four fifths of them have the step before.
    """
    count = np.bincount(codes)
    means = np.bincount(codes, weights=error) / np.maximum(count, 1)
    centred = error - means[codes]
    squares = np.bincount(codes, weights=np.square(centred), minlength=count.size)
    varied = squares > 1e-24 * np.maximum(np.bincount(codes, weights=np.square(error)), 1e-300)

    def correlation(lag: int) -> tuple[FloatArray, IntArray]:
        before = lagged(centred, codes, steps, lag)
        paired = np.isfinite(before)
        products = np.bincount(codes[paired], weights=(centred * before)[paired], minlength=count.size)
        n_pairs = np.bincount(codes[paired], minlength=count.size).astype(np.int64)
        # With gaps, their mean over the pairs there are stands for those there are not.
        all_products = products * (count - lag) / np.where(n_pairs > 0, n_pairs, np.nan)
        return np.where(varied, all_products / np.where(varied, squares, 1.0), np.nan), n_pairs

    first, n_pairs = correlation(1)
    seasonal = correlation(season)[0] if season > 1 else np.empty(0)
    tested = np.flatnonzero(
        varied & (count >= _FEWEST_FOR_LJUNG_BOX) & (n_pairs >= _PAIRED * (count - 1)) & np.isfinite(first)
    )
    p_values = _ljung_box(correlation, count, tested, season)
    adjusted = [value for value in holm_adjusted(p_values) if value is not None]
    few = f"no series has {_FEWEST_FOR_LJUNG_BOX} steps that follow each other"
    return ErrorDependence(
        lag_1=_mean_or_none(first),
        lag_season=_mean_or_none(seasonal),
        n_tested=len(adjusted),
        n_dependent=sum(value < ALPHA for value in adjusted),
        p_value=min(adjusted, default=None),
        reason="" if adjusted else few if varied.any() else "the errors do not vary",
    )


def _rows_of_present(codes: IntArray) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each series that has some."""
    return [rows for rows in rows_by_series(codes, 0) if rows.size]


def _ljung_box(
    correlation: Callable[[int], tuple[FloatArray, IntArray]], count: IntArray, tested: IntArray, season: int
) -> list[float | None]:
    from scipy.special import chdtrc  # noqa: PLC0415  scipy is slow to import

    if not tested.size:
        return []
    most = min(_MOST_LAGS, 2 * season if season > 1 else 10)
    lags = np.maximum(1, np.minimum(most, count[tested] // 5))
    statistic = np.zeros(tested.size)
    for lag in range(1, int(lags.max()) + 1):
        found = np.nan_to_num(correlation(lag)[0][tested])
        statistic += np.where(lag <= lags, np.square(found) / np.maximum(count[tested] - lag, 1), 0.0)
    statistic *= count[tested] * (count[tested] + 2)
    return [float(chdtrc(degrees, value)) for degrees, value in zip(lags, statistic, strict=True)]


def _growth_by_series(
    size: FloatArray, codes: IntArray, later: npt.NDArray[np.bool_], *, seed: int, n_resamples: int
) -> FloatArray:
    n_codes = int(codes.max()) + 1
    present = np.flatnonzero(np.bincount(codes, minlength=n_codes))
    sums = {
        half: tuple(
            np.bincount(codes[rows], weights=weights, minlength=n_codes)[present]
            for weights in (size[rows], np.ones(rows.sum()))
        )
        for half, rows in (("later", later), ("earlier", ~later))
    }

    def growth(weights: FloatArray) -> dict[str, FloatArray]:
        means = {half: ratio(weights @ total, weights @ n_rows, empty=np.nan) for half, (total, n_rows) in sums.items()}
        return {"ratio": ratio(means["later"], means["earlier"], empty=np.nan)}

    return bootstrap(growth, present.size, seed=seed, n_resamples=resamples_for(present.size, n_resamples))["ratio"]


def _growth_by_steps(
    value: float,
    size: FloatArray,
    steps: IntArray,
    later: npt.NDArray[np.bool_],
    horizon: int,
    *,
    seed: int,
    n_resamples: int,
) -> Interval:
    halves: list[FloatArray] = []
    sizes, lengths = [], []
    for shift, rows in enumerate((~later, later)):
        places = np.unique(steps[rows], return_inverse=True)[1].reshape(-1)
        total, n_rows = np.bincount(places, weights=size[rows]), np.bincount(places)
        sizes.append(n_rows.size)
        lengths.append(block_length(n_rows.size, horizon, mean_by_step(size[rows], places)))
        # Each half has draws of its own: with the same ones they would vary together.
        blocks = block_weights(n_rows.size, lengths[-1], n_resamples, seed=seed + shift)
        halves.append(np.concatenate([weights @ total / (weights @ n_rows) for weights in blocks]).astype(np.float64))
    return block_interval(value, ratio(halves[1], halves[0], empty=np.nan), n_steps=min(sizes), length=max(lengths))


def _no_growth(reason: str) -> ErrorGrowth:
    return ErrorGrowth(ratio=Interval(value=None, low=None, high=None, reason=reason), outcome="not computable")


def _mean(values: FloatArray, weights: FloatArray | None) -> FloatArray:
    if weights is None:
        return np.asarray(values.mean(), dtype=np.float64)
    return ratio(weights @ values, weights.sum(axis=-1), empty=np.nan)


def _mean_or_none(values: Sequence[float] | FloatArray) -> float | None:
    found = np.asarray(values)[np.isfinite(values)]
    return float(found.mean()) if found.size else None


def _outcome(difference: float, p_value: float | None) -> Outcome:
    if p_value is None:
        return "not computable"
    if p_value >= ALPHA or difference == 0:
        return "no clear difference"
    return "better" if difference > 0 else "worse"
