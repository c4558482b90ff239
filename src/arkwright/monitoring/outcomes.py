"""How good the predictions were, as far as the truth is known: outcomes joined to predictions, by arm.

A prediction and its outcome meet by request id and row. Of several outcomes for one row the latest counts: telling it
again changes nothing, telling another one corrects it. A metric is kept as a count, a sum and a sum of squares, which
is all that its mean, its 95 % interval and the comparison of two arms need, and which can be added up.

===================  ============================  =================================================
metric               tasks                         what is averaged
===================  ============================  =================================================
``accuracy``         binary, multiclass            1 where the predicted label is the actual one
``log_loss``         binary                        ``-log`` of the probability given to the actual
``brier``            binary                        square of the distance of the score from 0 or 1
``absolute_error``   regression                    MAE
``squared_error``    regression                    MSE; its square root is RMSE
===================  ============================  =================================================

References
----------
Wilson (1927), "Probable inference, the law of succession, and statistical inference" (the interval of a share);
Brier (1950), "Verification of forecasts expressed in terms of probability".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from arkwright.deployments.ports import MetricSums
from arkwright.evaluation import wilson_interval

_Z = 1.959963984540054  # the 97.5 % point of the standard normal distribution
# A score of exactly 0 or 1 that was wrong would make the log-loss of everything infinite.
_SMALLEST_PROBABILITY = 1e-15


class QualityMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with its 95 % interval; the bounds are None where one outcome or none is known."""

    name: str
    value: float
    low: float | None
    high: float | None
    higher_is_better: bool


class ArmQuality(msgspec.Struct, frozen=True, kw_only=True):
    """One version at one arm.

    ``n_predictions`` rows were logged, the truth of ``n_outcomes`` of them is known.
    """

    arm: str
    model_version_id: str
    semver: str
    n_predictions: int
    n_outcomes: int
    metrics: tuple[QualityMetric, ...]


@dataclass(frozen=True, slots=True)
class JoinedArm:
    """Sums over the rows of one version at one arm."""

    arm: str
    model_version_id: str
    semver: str
    n_predictions: int
    n_outcomes: int
    sums: Mapping[str, MetricSums] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Joined:
    """What a join found; ``n_unmatched`` outcomes had no prediction in the log (not sampled, expired, unknown)."""

    arms: tuple[JoinedArm, ...]
    n_outcomes: int
    n_unmatched: int


def join_outcomes(
    predictions: pa.Table, outcomes: pa.Table, *, task: str, positive: str = "", versions: bool = True
) -> Joined:
    """Join outcomes to predictions and add up each arm's metrics.

    Parameters
    ----------
    predictions
        Columns ``request_id, row, arm, model_version_id, semver, label, score, value``.
    outcomes
        Columns ``request_id, row, time, label, value``.
    task
        ``binary``, ``multiclass`` or ``regression``.
    positive
        Binary: the class whose probability is the score, as text; log-loss and Brier score are left out without it.
    versions
        Whether the versions that answered at one arm are told apart.

    Examples
    --------
    >>> predictions = pa.table({"request_id": ["a", "b"], "row": [0, 0], "arm": ["stable"] * 2,
    ...     "model_version_id": ["mv_1"] * 2, "semver": ["1.0.0"] * 2, "label": ["Yes", "No"], "score": [0.9, 0.2],
    ...     "value": pa.nulls(2, pa.float64())})
    >>> outcomes = pa.table({"request_id": ["b", "b", "c"], "row": [0, 0, 0], "time": [1, 2, 3],
    ...     "label": ["Yes", "No", "No"], "value": pa.nulls(3, pa.float64())})
    >>> joined = join_outcomes(predictions, outcomes, task="binary", positive="Yes")
    >>> joined.n_outcomes, joined.n_unmatched, joined.arms[0].sums["accuracy"].mean
    (2, 1, 1.0)
    """
    latest = _latest(outcomes)
    keys = ["request_id", "row"]
    told = latest.select([*keys, "label", "value"]).rename_columns([*keys, "actual_label", "actual_value"])
    # A request id that a caller used twice joins to both requests.
    matched = predictions.join(told, keys=keys, join_type="inner")
    n_found = matched.group_by(keys).aggregate([]).num_rows
    origin = ["arm", "model_version_id", "semver"] if versions else ["arm"]
    totals = predictions.group_by(origin).aggregate([([], "count_all")]).to_pylist()
    arms = []
    for total in sorted(totals, key=lambda each: tuple(str(each[name]) for name in origin)):
        mask = pc.equal(matched.column("arm"), total["arm"])
        if versions:
            mask = pc.and_(mask, pc.equal(matched.column("model_version_id"), total["model_version_id"]))
        rows = matched.filter(mask)
        sums = (
            _regression_sums(rows) if task == "regression" else _label_sums(rows, positive if task == "binary" else "")
        )
        arms.append(
            JoinedArm(
                arm=total["arm"],
                model_version_id=total.get("model_version_id", ""),
                semver=total.get("semver", ""),
                n_predictions=total["count_all"],
                n_outcomes=max((each.n for each in sums.values()), default=0),
                sums=sums,
            )
        )
    return Joined(tuple(arms), latest.num_rows, latest.num_rows - n_found)


def quality_of(arm: JoinedArm) -> ArmQuality:
    """Return an arm's metrics as people read them: RMSE beside MAE, each with its interval."""
    metrics = [
        _quality(_PEOPLE_SAY.get(name, name), sums, share=name == "accuracy")
        for name, sums in sorted(arm.sums.items())
        # Values of 1e200 have squares that no number holds.
        if math.isfinite(sums.squares)
    ]
    return ArmQuality(
        arm=arm.arm,
        model_version_id=arm.model_version_id,
        semver=arm.semver,
        n_predictions=arm.n_predictions,
        n_outcomes=arm.n_outcomes,
        metrics=tuple(metrics),
    )


def mean_interval(sums: MetricSums) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean by the central limit theorem; None for fewer than two values.

    Examples
    --------
    >>> [round(bound, 3) for bound in mean_interval(MetricSums(n=100, total=50.0, squares=50.0))]
    [0.402, 0.598]
    """
    if sums.n < 2:
        return None
    variance = max(0.0, (sums.squares - sums.total**2 / sums.n) / (sums.n - 1))
    half = _Z * math.sqrt(variance / sums.n)
    return sums.mean - half, sums.mean + half


_PEOPLE_SAY = {"absolute_error": "mae", "squared_error": "rmse"}


def _quality(name: str, sums: MetricSums, *, share: bool) -> QualityMetric:
    bounds = mean_interval(sums)
    if share and sums.n:
        bounds = wilson_interval(sums.total, sums.n)
    low, high = bounds if bounds is not None else (None, None)
    value = sums.mean
    if not share and low is not None:
        low = max(0.0, low)  # every other metric is a loss
    if name == "rmse":
        value = math.sqrt(value)
        low, high = (None if bound is None else math.sqrt(max(0.0, bound)) for bound in (low, high))
    return QualityMetric(name=name, value=value, low=low, high=high, higher_is_better=share)


def _latest(outcomes: pa.Table) -> pa.Table:
    """Return the latest outcome of each row."""
    keys = ["request_id", "row"]
    # The position decides between two of the same moment.
    table = outcomes.sort_by("time").append_column("position", pa.array(np.arange(outcomes.num_rows)))
    last = table.group_by(keys).aggregate([("position", "max")]).column("position_max")
    return table.take(last).drop_columns("position")


def _label_sums(rows: pa.Table, positive: str) -> dict[str, MetricSums]:
    rows = rows.filter(pc.and_(pc.is_valid(rows.column("label")), pc.is_valid(rows.column("actual_label"))))
    if not rows.num_rows:
        return {}
    right = pc.equal(rows.column("label"), rows.column("actual_label")).combine_chunks().to_numpy(zero_copy_only=False)
    sums = {"accuracy": _sums(right.astype(np.float64))}
    scored = rows.filter(pc.is_valid(rows.column("score")))
    if positive and scored.num_rows:
        score = np.clip(scored.column("score").to_numpy(), 0.0, 1.0)
        actual = np.array(scored.column("actual_label").to_pylist(), dtype=object) == positive
        given = np.where(actual, score, 1.0 - score)
        sums["log_loss"] = _sums(-np.log(np.maximum(given, _SMALLEST_PROBABILITY)))
        sums["brier"] = _sums((1.0 - given) ** 2)
    return sums


def _regression_sums(rows: pa.Table) -> dict[str, MetricSums]:
    rows = rows.filter(pc.and_(pc.is_valid(rows.column("value")), pc.is_valid(rows.column("actual_value"))))
    if not rows.num_rows:
        return {}
    with np.errstate(over="ignore"):
        error = rows.column("value").to_numpy() - rows.column("actual_value").to_numpy()
        return {"absolute_error": _sums(np.abs(error)), "squared_error": _sums(error**2)}


def _sums(values: npt.NDArray[np.float64]) -> MetricSums:
    with np.errstate(over="ignore"):
        return MetricSums(n=int(values.size), total=float(values.sum()), squares=float((values**2).sum()))
