"""Forecasting metrics: scaled errors, symmetric percentage error, quantile loss and interval coverage.

``truth`` and ``predicted`` hold the horizons of one or many series, a row a step; ``weights`` end in the rows axis
(see :mod:`arkwright.evaluation.metric`). A scaled error is divided by how wrong the seasonal naive forecast was
*inside the training sample* of the row's own series, so that series of different size and unit can be averaged.

References
----------
Hyndman & Koehler (2006), "Another look at measures of forecast accuracy", Int. J. of Forecasting (IJF) 22: MASE.
Makridakis, Spiliotis & Assimakopoulos (2020), "The M4 Competition", IJF 36: sMAPE and MASE as computed here.
Makridakis, Spiliotis & Assimakopoulos (2022), "The M5 accuracy competition", IJF 38: RMSSE.
Koenker & Bassett (1978), "Regression Quantiles", Econometrica 46: the quantile (pinball) loss.
Gneiting & Raftery (2007), "Strictly Proper Scoring Rules", JASA 102, section 6.2: the interval score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.block_bootstrap import (
    FEWEST_STEPS,
    block_interval,
    block_length,
    block_weights,
    mean_by_step,
)
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, Interval, metric_intervals, resamples_for
from arkwright.evaluation.metric import FloatArray, IntArray, ratio, require_finite, row_weights
from arkwright.evaluation.regression import mae, rmse

FEWEST_SERIES = 10
"""A bootstrap over fewer series draws from too few distinct samples for its percentiles to mean anything."""


class NaiveScale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How wrong the seasonal naive forecast is inside the training sample of one series.

    Parameters
    ----------
    absolute
        Mean of ``|y[t] - y[t - season]|``, in the target's unit: the scale of MASE.
    squared
        Mean of ``(y[t] - y[t - season]) ** 2``: the scale of RMSSE.
    reason
        Why both are None.
    """

    absolute: float | None
    squared: float | None
    reason: str = ""


def seasonal_naive_scale(insample: FloatArray, season: int = 1) -> NaiveScale:
    """Measure the seasonal naive forecast on the values a model was trained on, oldest first.

    Parameters
    ----------
    insample
        Shape ``(n_steps,)``; NaN marks a missing step, and the pairs it is part of are left out.
    season
        Steps in a season: 1 for no season, 4 for quarters, 24 for the hours of a day.

    Raises
    ------
    Invalid
        If ``season`` is less than 1.

    Examples
    --------
    >>> seasonal_naive_scale(np.array([1.0, 3.0, 2.0])).absolute
    1.5
    >>> seasonal_naive_scale(np.array([5.0, 5.0, 5.0])).reason
    'the training values repeat exactly from season to season'
    """
    if season < 1:
        raise Invalid(
            f"A season has {season} steps.", code="forecast.season", hint="Use 1 for a series without seasons."
        )
    step = np.asarray(insample[season:], dtype=np.float64) - insample[: max(insample.size - season, 0)]
    step = step[np.isfinite(step)]
    if step.size == 0:
        apart = f"{season} step{'' if season == 1 else 's'} apart"
        reason = f"the training sample has no two values that are {apart}"
        return NaiveScale(absolute=None, squared=None, reason=reason)
    absolute = float(np.abs(step).mean())
    if absolute == 0:
        reason = "the training values repeat exactly from season to season"
        return NaiveScale(absolute=None, squared=None, reason=reason)
    return NaiveScale(absolute=absolute, squared=float(np.square(step).mean()))


def mase(
    truth: FloatArray, predicted: FloatArray, scale: FloatArray | float, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Return the mean absolute scaled error: below 1 is better than the seasonal naive forecast was in training.

    Parameters
    ----------
    scale
        :attr:`NaiveScale.absolute`, one for all rows or one a row; a row whose scale is NaN is left out.

    Examples
    --------
    >>> float(mase(np.array([10.0, 12.0]), np.array([11.0, 12.0]), 2.0))
    0.25
    """
    return _scaled_mean(np.abs(truth - predicted), scale, weights)


def rmsse(
    truth: FloatArray, predicted: FloatArray, scale: FloatArray | float, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Return the root mean squared scaled error, with :attr:`NaiveScale.squared` as the scale; see :func:`mase`.

    Examples
    --------
    >>> float(rmsse(np.array([10.0, 12.0]), np.array([14.0, 12.0]), 2.0))
    2.0
    """
    return np.sqrt(_scaled_mean(np.square(truth - predicted), scale, weights))


def smape(truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the symmetric mean absolute percentage error as a fraction, in [0, 2].

    ``2 |y - f| / (|y| + |f|)``, the M4 form; a row where both are zero is a perfect forecast and counts as 0.

    Examples
    --------
    >>> float(smape(np.array([100.0, 0.0]), np.array([300.0, 0.0])))
    0.5
    """
    weight = row_weights(truth.size, weights)
    share = ratio(2.0 * np.abs(truth - predicted), np.abs(truth) + np.abs(predicted), empty=0.0)
    return ratio(weight @ share, weight.sum(axis=-1), empty=np.nan)


def pinball(
    truth: FloatArray, predicted: FloatArray, quantile: float, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Return the mean quantile loss of a forecast of one quantile, in the target's unit.

    ``q (y - f)`` where the truth lies above the forecast, ``(1 - q) (f - y)`` below: half the absolute error at the
    median. (The M4 and M5 reports print twice this.)

    Raises
    ------
    Invalid
        If the quantile does not lie between 0 and 1.

    Examples
    --------
    >>> float(pinball(np.array([10.0]), np.array([8.0]), 0.9))
    1.8
    """
    if not 0 < quantile < 1:
        raise Invalid(
            f"{quantile} is not a quantile.", code="forecast.quantile", hint="Give a number between 0 and 1, both out."
        )
    weight = row_weights(truth.size, weights)
    short = truth - predicted
    return ratio(weight @ np.maximum(quantile * short, (quantile - 1.0) * short), weight.sum(axis=-1), empty=np.nan)


def coverage(
    truth: FloatArray, low: FloatArray, high: FloatArray, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Return the share of rows whose truth lies inside ``[low, high]``, to be compared with the promised level.

    Examples
    --------
    >>> float(coverage(np.array([1.0, 5.0]), np.array([0.0, 0.0]), np.array([2.0, 2.0])))
    0.5
    """
    weight = row_weights(truth.size, weights)
    return ratio(weight @ ((low <= truth) & (truth <= high)).astype(np.float64), weight.sum(axis=-1), empty=np.nan)


def interval_score(
    truth: FloatArray, low: FloatArray, high: FloatArray, level: float, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Return the mean interval score, in the target's unit: the width, plus a fine for what lies outside.

    The fine is ``2 / (1 - level)`` times the distance, which makes the true quantiles the best answer: an interval
    cannot win by being wide.

    Raises
    ------
    Invalid
        If the level does not lie between 0 and 1.

    Examples
    --------
    >>> float(interval_score(np.array([3.0]), np.array([0.0]), np.array([2.0]), 0.5))
    6.0
    """
    if not 0 < level < 1:
        raise Invalid(f"{level} is not a level.", code="forecast.level", hint="Give a number such as 0.9.")
    weight = row_weights(truth.size, weights)
    outside = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    return ratio(weight @ (high - low + 2.0 / (1.0 - level) * outside), weight.sum(axis=-1), empty=np.nan)


def _scaled_mean(error: FloatArray, scale: FloatArray | float, weights: npt.NDArray[Any] | None) -> FloatArray:
    weight = row_weights(error.size, weights)
    divisor = np.broadcast_to(np.asarray(scale, dtype=np.float64), error.shape)
    defined = divisor > 0
    scaled = np.divide(error, divisor, out=np.zeros_like(error), where=defined)
    return ratio(weight @ scaled, weight @ defined.astype(np.float64), empty=np.nan)


ForecastResampling = Literal["series", "blocks of steps", "none"]
"""What the intervals of a forecast's metrics draw at random: whole series, or blocks of neighbouring steps."""

_NAMED_REASONS = 3
NOT_AT_HAND = "no training values of this series are at hand"
"""Why a scaled error has no scale, where nothing more is known."""


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of one series over its steps; an interval only where blocks of steps were resampled."""

    series: Any
    n_rows: int
    metrics: dict[str, Interval]


class ForecastReport(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics per series, and their mean over series.

    Parameters
    ----------
    pooled
        Each metric averaged over the series that have it, every series counting alike, as in the M4 tables; MAE and
        RMSE are in the target's unit, so their mean only says something if all series share it. The interval
        resamples whole series, which takes them as independent of each other; with fewer than ten it resamples
        blocks of neighbouring steps, the same for all series; with fewer than ten steps too it is left out, and its
        reason says so.
    n_defined
        Over how many series each metric was averaged.
    resampling, block_steps
        What was drawn for the intervals, and how many steps a block has.
    """

    season: int
    n_rows: int
    n_series: int
    pooled: dict[str, Interval]
    n_defined: dict[str, int]
    series: tuple[SeriesReport, ...]
    resampling: ForecastResampling = "none"
    block_steps: int = 0


def evaluate_forecasts(
    truth: FloatArray,
    predicted: FloatArray,
    insample: Mapping[Any, FloatArray],
    *,
    seed: int,
    series: npt.NDArray[Any] | None = None,
    steps: IntArray | None = None,
    season: int = 1,
    horizon: int = 1,
    quantiles: Mapping[float, FloatArray] | None = None,
    bounds: tuple[FloatArray, FloatArray] | None = None,
    level: float = 0.95,
    n_resamples: int = DEFAULT_RESAMPLES,
    reasons: Mapping[Any, str] | None = None,
) -> ForecastReport:
    """Score the forecasts of one or many series.

    Parameters
    ----------
    truth, predicted
        Shape ``(n_rows,)``.
    insample
        The training values of each series, oldest first; under ``None`` where ``series`` is not given.
    series
        The series of each row, shape ``(n_rows,)``.
    steps
        The time of each row as a number that rises, shape ``(n_rows,)``; without it, few series have no interval.
    horizon
        Steps ahead the forecasts were made: a block is at least so long, and longer where errors remember more.
    quantiles
        Forecasts of quantiles, by quantile; gives ``pinball``, averaged over them.
    bounds
        The lower and upper ends of the forecast intervals of ``level``; gives ``coverage`` and ``interval_score``.
    reasons
        By series without training values, why there are none.

    Raises
    ------
    Invalid
        If there is no row, an array has another length, a value is not finite, or a quantile or level is not one.

    Examples
    --------
    >>> report = evaluate_forecasts(np.array([12.0]), np.array([11.0]), {None: np.array([8.0, 10.0])}, seed=0)
    >>> report.pooled["mase"].value, report.pooled["mase"].reason
    (0.5, 'fewer than 10 series to resample')
    """
    quantiles, reasons = quantiles or {}, reasons or {}
    _require_alike(truth, predicted, series, quantiles, bounds)
    keys, codes = _series_codes(series, truth.size)
    parts = []
    for key, rows in zip(keys, rows_by_series(codes, len(keys)), strict=True):
        scale = NaiveScale(absolute=None, squared=None, reason=reasons.get(key, NOT_AT_HAND))
        if key in insample:
            scale = seasonal_naive_scale(np.asarray(insample[key], dtype=np.float64), season)
        ends = None if bounds is None else (bounds[0][rows], bounds[1][rows])
        forecasts = {quantile: values[rows] for quantile, values in quantiles.items()}
        parts.append(_Series(key, rows, truth[rows], predicted[rows], scale, forecasts, ends, level))
    values = _stacked([part.metrics(None) for part in parts])
    drawn = _block_replicates(parts, steps, horizon, seed=seed, n_resamples=n_resamples)
    undefined = _why_undefined(parts)
    if len(keys) >= FEWEST_SERIES:
        pooled = _over_series(values, len(keys), undefined, seed=seed, n_resamples=n_resamples)
    else:
        pooled = _over_steps(values, drawn, undefined, few_steps=steps is not None)
    return ForecastReport(
        season=season,
        n_rows=int(truth.size),
        n_series=len(keys),
        pooled=pooled,
        n_defined={name: int(np.isfinite(numbers).sum()) for name, numbers in values.items()},
        series=tuple(
            SeriesReport(
                series=part.key,
                n_rows=int(part.rows.size),
                metrics={name: part.interval(name, numbers[at], drawn, at) for name, numbers in values.items()},
            )
            for at, part in enumerate(parts)
        ),
        resampling=drawn.resampling,
        block_steps=drawn.length,
    )


class _Drawn(NamedTuple):
    """What was resampled; ``replicates`` holds each metric of each series, shape ``(n_series, n_resamples)``."""

    resampling: ForecastResampling
    n_steps: int
    length: int
    replicates: Mapping[str, FloatArray]

    def interval(self, value: float | FloatArray, replicates: FloatArray, n_steps: int) -> Interval:
        return block_interval(value, replicates, n_steps=n_steps, length=self.length)


class _Series:
    """One series' rows, and its metrics for any row weights."""

    def __init__(
        self,
        key: Any,
        rows: npt.NDArray[np.intp],
        truth: FloatArray,
        predicted: FloatArray,
        scale: NaiveScale,
        quantiles: Mapping[float, FloatArray],
        bounds: tuple[FloatArray, FloatArray] | None,
        level: float,
    ) -> None:
        self.key, self.rows, self.scale = key, rows, scale
        self._truth, self._predicted = truth, predicted
        self._quantiles, self._bounds, self._level = quantiles, bounds, level

    def metrics(self, weights: FloatArray | None) -> dict[str, FloatArray]:
        truth, predicted, scale = self._truth, self._predicted, self.scale
        unknown = np.full(() if weights is None else weights.shape[:-1], np.nan)
        found: dict[str, FloatArray] = {
            "mase": unknown if scale.absolute is None else mase(truth, predicted, scale.absolute, weights),
            "rmsse": unknown if scale.squared is None else rmsse(truth, predicted, scale.squared, weights),
            "smape": smape(truth, predicted, weights),
            "mae": mae(truth, predicted, weights),
            "rmse": rmse(truth, predicted, weights),
        }
        if self._quantiles:
            losses = [pinball(truth, forecast, quantile, weights) for quantile, forecast in self._quantiles.items()]
            found["pinball"] = np.mean(losses, axis=0)
        if self._bounds is not None:
            found["coverage"] = coverage(truth, *self._bounds, weights)
            found["interval_score"] = interval_score(truth, *self._bounds, self._level, weights)
        return found

    def relative_errors(self) -> FloatArray:
        """Return each row's absolute error as a share of the series' mean one."""
        error = np.abs(self._truth - self._predicted)
        return ratio(error, error.mean(), empty=0.0)

    def interval(self, name: str, value: float, drawn: _Drawn, at: int) -> Interval:
        if not np.isfinite(value):
            return Interval(value=None, low=None, high=None, reason=self.scale.reason)
        if drawn.replicates and self.rows.size >= FEWEST_STEPS:
            return drawn.interval(value, drawn.replicates[name][at], self.rows.size)
        dependent = "the steps of one series depend on each other"
        return Interval(value=float(value), low=None, high=None, reason=dependent)


def _stacked(found: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.array([each[name] for each in found], dtype=np.float64) for name in found[0]}


def _block_replicates(
    parts: Sequence[_Series], steps: IntArray | None, horizon: int, *, seed: int, n_resamples: int
) -> _Drawn:
    """Resample blocks of steps of few series; nothing of many, nor of too few steps."""
    if len(parts) >= FEWEST_SERIES:
        return _Drawn("series", 0, 0, {})
    present, places = np.unique(() if steps is None else steps, return_inverse=True)
    if steps is None or present.size < FEWEST_STEPS:
        return _Drawn("none", 0, 0, {})
    relative = np.empty(steps.size)
    for part in parts:
        relative[part.rows] = part.relative_errors()
    length = block_length(present.size, horizon, mean_by_step(relative, places))
    wanted = resamples_for(int(steps.size), n_resamples)
    drawn = [
        _stacked([part.metrics(weights[:, places[part.rows]]) for part in parts])
        for weights in block_weights(present.size, length, wanted, seed=seed)
    ]
    replicates = {name: np.concatenate([each[name] for each in drawn], axis=1) for name in drawn[0]}
    return _Drawn("blocks of steps", present.size, length, replicates)


def _over_series(
    values: Mapping[str, FloatArray], n_series: int, undefined: str, *, seed: int, n_resamples: int
) -> dict[str, Interval]:
    defined = {name: np.isfinite(numbers).astype(np.float64) for name, numbers in values.items()}
    filled = {name: np.nan_to_num(numbers) for name, numbers in values.items()}

    def means(weights: FloatArray) -> dict[str, FloatArray]:
        return {name: ratio(weights @ filled[name], weights @ defined[name], empty=np.nan) for name in values}

    found = metric_intervals(means, n_series, seed=seed, n_resamples=n_resamples)
    return {
        name: msgspec.structs.replace(value, reason=undefined) if value.value is None else value
        for name, value in found.items()
    }


def _over_steps(
    values: Mapping[str, FloatArray], drawn: _Drawn, undefined: str, *, few_steps: bool
) -> dict[str, Interval]:
    few = f"fewer than {FEWEST_SERIES} series" + (f" and fewer than {FEWEST_STEPS} steps" if few_steps else "")
    pooled = {}
    for name, numbers in values.items():
        value = _mean_of_defined(numbers)
        if not np.isfinite(value):
            pooled[name] = Interval(value=None, low=None, high=None, reason=undefined)
        elif drawn.replicates:
            pooled[name] = drawn.interval(value, _mean_of_defined(drawn.replicates[name]), drawn.n_steps)
        else:
            pooled[name] = Interval(value=float(value), low=None, high=None, reason=f"{few} to resample")
    return pooled


def _why_undefined(parts: Sequence[_Series]) -> str:
    """Say why no series has a scaled error, where none has."""
    reasons = list(dict.fromkeys(part.scale.reason for part in parts))
    return reasons[0] if len(reasons) == 1 else f"no series has this metric ({'; '.join(reasons[:_NAMED_REASONS])})"


def _mean_of_defined(values: FloatArray) -> FloatArray:
    """Average over the first axis, series, what is a number."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0), empty=np.nan)


def rows_by_series(codes: IntArray, n_series: int) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each series, in the order of the codes; none of a series that has none."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=n_series))[:-1])


def _series_codes(series: npt.NDArray[Any] | None, n_rows: int) -> tuple[list[Any], IntArray]:
    """Return the series in the order of their first row, and the position of each row's series in it."""
    if series is None:
        return [None], np.zeros(n_rows, dtype=np.int64)
    positions: dict[Any, int] = {}
    codes = np.array([positions.setdefault(key, len(positions)) for key in series.tolist()], dtype=np.int64)
    return list(positions), codes


def _require_alike(
    truth: FloatArray,
    predicted: FloatArray,
    series: npt.NDArray[Any] | None,
    quantiles: Mapping[float, FloatArray],
    bounds: tuple[FloatArray, FloatArray] | None,
) -> None:
    if truth.size == 0:
        raise Invalid("There is no forecast to score.", code="forecast.empty", hint="Give at least one row.")
    arrays = {"truth": truth, "predicted": predicted}
    arrays |= {f"the quantile {quantile}": values for quantile, values in quantiles.items()}
    if bounds is not None:
        arrays |= {"the lower bounds": bounds[0], "the upper bounds": bounds[1]}
    lengths = {name: len(values) for name, values in arrays.items()}
    if series is not None:
        lengths["series"] = len(series)
    for name, length in lengths.items():
        if length != truth.size:
            raise Invalid(
                f"{name} has {length} rows, truth has {truth.size}.",
                code="forecast.length",
                hint="Give one value for each row.",
            )
    for name, values in arrays.items():
        require_finite(name, values)
    if bounds is not None and (bounds[0] > bounds[1]).any():
        row = int(np.flatnonzero(bounds[0] > bounds[1])[0])
        raise Invalid(
            f"The lower bound lies above the upper one, first in row {row}.",
            code="forecast.crossed",
            hint="Give the bounds as (lower, upper).",
        )
