"""The drift report of one window: each feature, the predictions, an overall status and a trend.

Levels become a status as requirements 002, section 4 have it: ``RED`` where a feature or the predictions
drifted significantly, ``YELLOW`` where one did moderately, else ``GREEN``. A window of fewer than
``MINIMUM_ROWS`` rows is ``UNKNOWN``: it neither raises an alert nor says that all is well again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
import numpy as np

from arkwright.contracts import Baseline, NumericBaseline
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation import holm_adjusted
from arkwright.monitoring.drift import MINIMUM_ROWS, DriftResult, Values, compare_feature
from arkwright.monitoring.stability import Level

Status = Literal["GREEN", "YELLOW", "RED", "UNKNOWN"]
Trend = Literal["increasing", "stable", "decreasing"]

TOP_FEATURES = 5
LOW_CONFIDENCE = 0.6
PREDICTION = "(prediction)"

_SEVERITY_OF_LEVEL: dict[Level, int] = {"none": 0, "moderate": 1, "significant": 2}
_STATUS_OF_LEVEL: dict[Level, Status] = {"none": "GREEN", "moderate": "YELLOW", "significant": "RED"}


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """How sure a binary model is of its answers, then and now.

    The confidence of a score ``s`` is ``max(s, 1 - s)``; below 0.6 it is low.
    """

    mean_reference: float
    mean_current: float
    low_share_reference: float
    low_share_current: float


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a monitor found.

    Parameters
    ----------
    window_start, window_end
        Times of the first and last prediction in the window; None where there was none.
    n_rows, n_reference
        Rows in the window and in the training data.
    enough_rows
        False where the window is too small to judge, and ``status`` is ``UNKNOWN``.
    features
        By PSI, largest first; ``top_features`` names the first five.
    n_significant, n_moderate
        Features at each level.
    data_drift, prediction_drift
        The highest level of the features, and that of the predictions.
    drift_score
        Mean over features of the PSI above its expectation under no drift, so that windows of different sizes can be
        compared.
    trend
        Against the previous report's score; None for the first.
    summary
        One or two sentences with the numbers.
    """

    window_start: datetime | None
    window_end: datetime | None
    n_rows: int
    n_reference: int
    enough_rows: bool
    status: Status
    features: tuple[DriftResult, ...]
    top_features: tuple[str, ...]
    n_significant: int
    n_moderate: int
    data_drift: Level
    prediction_drift: Level
    prediction: DriftResult
    confidence: Confidence | None
    drift_score: float
    trend: Trend | None
    summary: str

    @property
    def highest_level(self) -> Level:
        """The higher of data and prediction drift."""
        return _highest([self.data_drift, self.prediction_drift])


def drift_report(
    baseline: Baseline,
    columns: Mapping[str, Values],
    predictions: Values,
    *,
    task: str = "binary",
    window_start: datetime | None = None,
    window_end: datetime | None = None,
    previous_score: float | None = None,
) -> DriftReport:
    """Compare a window of predictions with the baseline of the model that made them.

    Parameters
    ----------
    baseline
        From the model's bundle.
    columns
        One array of shape ``(n_rows,)`` for each feature of the baseline; others are left out.
    predictions
        Shape ``(n_rows,)``: scores, labels as text, or values, as the baseline's ``prediction``.
    task
        ``binary``, ``multiclass`` or ``regression``; confidence is computed for ``binary``.
    window_start, window_end
        Copied into the report.
    previous_score
        ``drift_score`` of the last report that had enough rows.

    Raises
    ------
    Invalid
        If a feature of the baseline has no column, or the lengths differ.

    Examples
    --------
    >>> grid = np.linspace(0.0, 1.0, 1001)
    >>> unit = NumericBaseline(edges=(0.25, 0.5, 0.75), shares=(0.25,) * 4, quantiles=tuple(grid.tolist()),
    ...                        missing_share=0.0, mean=0.5, std=0.29, minimum=0.0, maximum=1.0)
    >>> baseline = Baseline(n_rows=5000, features={"tenure": unit}, prediction=unit)
    >>> drift_report(baseline, {"tenure": grid}, grid).status
    'GREEN'
    >>> report = drift_report(baseline, {"tenure": grid / 2}, grid)
    >>> report.status, report.top_features, report.prediction_drift
    ('RED', ('tenure',), 'none')
    """
    n_rows = len(predictions)
    _check_columns(baseline, columns, n_rows)
    n_compared = len(baseline.features) + 1
    results = [
        compare_feature(name, feature, baseline.n_rows, columns[name], n_features=n_compared)
        for name, feature in baseline.features.items()
    ]
    prediction = compare_feature(
        PREDICTION, baseline.prediction, _n_holdout(baseline), predictions, n_features=n_compared
    )
    adjusted = holm_adjusted([result.p_value for result in [*results, prediction]])
    *results, prediction = [
        msgspec.structs.replace(result, p_value_adjusted=p_value)
        for result, p_value in zip([*results, prediction], adjusted, strict=True)
    ]
    features = tuple(sorted(results, key=lambda result: (-result.psi, result.feature)))
    enough_rows = n_rows >= MINIMUM_ROWS
    data_drift = _highest([result.level for result in features])
    score = float(np.mean([max(0.0, result.psi - result.expected_psi) for result in features])) if features else 0.0
    report = DriftReport(
        window_start=window_start,
        window_end=window_end,
        n_rows=n_rows,
        n_reference=baseline.n_rows,
        enough_rows=enough_rows,
        status=_STATUS_OF_LEVEL[_highest([data_drift, prediction.level])] if enough_rows else "UNKNOWN",
        features=features,
        top_features=tuple(result.feature for result in features[:TOP_FEATURES]),
        n_significant=sum(result.level == "significant" for result in features),
        n_moderate=sum(result.level == "moderate" for result in features),
        data_drift=data_drift,
        prediction_drift=prediction.level,
        prediction=prediction,
        confidence=_confidence(baseline, predictions) if task == "binary" and n_rows else None,
        drift_score=score,
        trend=drift_trend(score, previous_score) if enough_rows else None,
        summary="",
    )
    return msgspec.structs.replace(report, summary=summarise(report))


def drift_trend(score: float, previous: float | None) -> Trend | None:
    """Return where drift is heading: a change counts from 0.01 and from a fifth of the previous score up.

    The relative part keeps a heavily drifted feature's wobble from reading as a trend; the absolute part does the same
    near zero, where windows of a few thousand rows differ by a few thousandths.

    Examples
    --------
    >>> drift_trend(0.05, 0.01), drift_trend(0.52, 0.5), drift_trend(0.1, 0.3), drift_trend(0.1, None)
    ('increasing', 'stable', 'decreasing', None)
    """
    if previous is None:
        return None
    change = score - previous
    if abs(change) < max(0.01, 0.2 * previous):
        return "stable"
    return "increasing" if change > 0 else "decreasing"


def summarise(report: DriftReport) -> str:
    """Render the report's finding in words, every number taken from it."""
    if not report.enough_rows:
        return f"Not enough rows: {report.n_rows} predictions in the window, {MINIMUM_ROWS} are needed to judge drift."
    drifted = [result for result in report.features if result.level != "none"]
    total = len(report.features)
    if drifted:
        named = ", ".join(f"{result.feature} (PSI {result.psi:.2f})" for result in drifted[:TOP_FEATURES])
        first = f"{_counted(report)} in {report.n_rows} predictions: {named}."
    else:
        first = f"None of {total} features drifted in {report.n_rows} predictions."
    if report.prediction_drift == "none":
        return f"{first} The predictions did not drift (PSI {report.prediction.psi:.2f})."
    adverb = {"moderate": "moderately", "significant": "significantly"}[report.prediction_drift]
    return f"{first} The predictions drifted {adverb} (PSI {report.prediction.psi:.2f})."


def _counted(report: DriftReport) -> str:
    drifted, total = report.n_significant + report.n_moderate, len(report.features)
    if report.n_significant and report.n_moderate:
        how = f" ({report.n_significant} significantly, {report.n_moderate} moderately)"
    else:
        how = " significantly" if report.n_significant else " moderately"
    return f"{drifted} of {total} features drifted{how}"


def _highest(levels: Sequence[Level]) -> Level:
    return max(levels, key=_SEVERITY_OF_LEVEL.__getitem__, default="none")


def _n_holdout(baseline: Baseline) -> int:
    """Return how many rows the prediction's baseline surely rests on: a holdout smaller than the training data.

    A numeric baseline keeps no more quantiles than it had rows. A categorical one keeps no trace of its size; a fifth
    is the usual share of a holdout. Too low a number only makes the noise bound more careful.
    """
    if isinstance(baseline.prediction, NumericBaseline):
        return min(baseline.n_rows, len(baseline.prediction.quantiles))
    return max(1, baseline.n_rows // 5)


def _confidence(baseline: Baseline, predictions: Values) -> Confidence | None:
    if not isinstance(baseline.prediction, NumericBaseline):
        return None
    scores = np.asarray(predictions, dtype=np.float64)
    reference = np.asarray(baseline.prediction.quantiles, dtype=np.float64)
    now, then = np.maximum(scores, 1.0 - scores), np.maximum(reference, 1.0 - reference)
    now = now[~np.isnan(now)]
    if not now.size or not then.size:
        return None
    return Confidence(
        mean_reference=float(then.mean()),
        mean_current=float(now.mean()),
        low_share_reference=float((then < LOW_CONFIDENCE).mean()),
        low_share_current=float((now < LOW_CONFIDENCE).mean()),
    )


def _check_columns(baseline: Baseline, columns: Mapping[str, Values], n_rows: int) -> None:
    for name in baseline.features:
        if name not in columns:
            raise Invalid(
                f"The window has no column {name!r}, which the baseline has.",
                code="monitoring.column_missing",
                hint="Read the window with the signature of the same model version.",
            )
        if len(columns[name]) != n_rows:
            raise Invalid(
                f"Column {name!r} has {len(columns[name])} rows, the predictions have {n_rows}.",
                code="monitoring.column_length",
                hint="Every column of a window has one value for each prediction.",
            )


prepared(DriftReport)
