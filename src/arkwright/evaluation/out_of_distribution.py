"""Rows unlike those the model knows: a detector, what it is worth, and how sure the model is about such rows.

The detector is the mean distance to the ten nearest reference rows. Its threshold lets one familiar row
in a hundred through as strange, by split conformal calibration on reference rows that it was not fitted on.

References
----------
Ramaswamy, Rastogi & Shim (2000), "Efficient algorithms for mining outliers from large data sets", SIGMOD; Sun,
Ming, Zhu & Li (2022), "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML: the distance.
Bates, Candès, Lei, Romano & Sesia (2023), "Testing for outliers with conformal p-values", Annals of
Statistics 51: the threshold.
Breiman & Cutler (2003), "Random forests manual": columns permuted each on its own, as a second class that has the
margins of the data and not their joint.
Hendrycks & Gimpel (2017), "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
Networks", ICLR: confidence on strange rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.evaluation.classification import areas
from arkwright.evaluation.intervals import Interval, bootstrap, interval
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.probe import as_text, ask, inputs_of, spread_of
from arkwright.evaluation.proportion import wilson_interval
from arkwright.evaluation.report import as_probability
from arkwright.evaluation.scored_table import Columns, Predict, sample_rows, take
from arkwright.evaluation.skill import not_computable

FALSE_ALARMS = 0.01
N_NEIGHBOURS = 10
MIN_REFERENCE_ROWS = 40
CONFIDENT = 0.9

_MAX_LEVELS = 20
_FIT_SHARE = 0.75
_FARTHEST = 1e6
StrangeKind = Literal["columns_permuted", "out_of_range"]


@dataclass(frozen=True, slots=True)
class Detector:
    """Fitted reference rows; :meth:`distances` scores rows, above ``threshold`` they are strange.

    A numeric column counts in standard deviations of the reference, missing ones by an indicator of one. A category
    counts one between any two levels, and one more times its rarity for a level that fewer rows have: a level
    nobody has is the farthest.
    """

    kinds: dict[str, str]
    centres: dict[str, tuple[float, float]]
    levels: dict[str, dict[str, float]]
    reference: FloatArray
    threshold: float

    def encode(self, columns: Columns) -> FloatArray:
        """Return the rows as points, shape ``(n_rows, n_dimensions)``."""
        parts: list[FloatArray] = []
        for name, kind in self.kinds.items():
            if kind == "categorical":
                parts += _encode_levels(columns[name], self.levels[name])
            else:
                values = _as_number(columns[name])
                centre, spread = self.centres[name]
                known = ~np.isnan(values)
                scaled = np.where(known, (np.where(known, values, centre) - centre) / spread, 0.0)
                parts += [np.clip(scaled, -_FARTHEST, _FARTHEST), (~known).astype(np.float64)]
        return np.column_stack(parts)

    def distances(self, columns: Columns) -> FloatArray:
        """Return each row's mean distance to its nearest reference rows."""
        return _nearest(self.reference, self.encode(columns))


class StrangeRows(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of synthetic strange rows.

    Parameters
    ----------
    kind
        ``columns_permuted``: every column shuffled on its own, so each value is familiar and the combination
        is not. ``out_of_range``: numbers between one and three ranges outside the column's own, categories at random.
    auc
        Area under the ROC curve of the detector, these rows against the familiar ones; 0.5 is blind.
    share_flagged
        Of these rows, at the threshold.
    confidence
        Mean probability of the predicted class; on familiar rows see :class:`OutOfDistribution`.
    share_confident
        Rows whose predicted class has a probability of at least 0.9.
    failure
        What the model did instead of answering.
    """

    kind: StrangeKind
    auc: Interval
    share_flagged: Interval
    confidence: Interval
    share_confident: Interval
    failure: str = ""


class OutOfDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """The detector, judged on rows it was not fitted on, and the model's confidence on strange rows.

    ``share_flagged`` are the familiar rows over the threshold: far above one percent, they are not so familiar.
    """

    n_reference: int
    n_rows: int
    threshold: float | None
    share_flagged: Interval
    confidence: Interval
    share_confident: Interval
    strange: tuple[StrangeRows, ...] = ()
    not_reached: tuple[str, ...] = ()
    reason: str = ""


def fit_detector(signature: Signature, reference: Columns, *, seed: int, max_rows: int = 2_000) -> Detector:
    """Fit the detector on rows the model knows, best its training rows.

    Three quarters of a seeded sample are the reference points; the others set the threshold, the
    ``ceil(0.99 (n + 1))``-th smallest of their ``n`` distances, which a new familiar row passes with a chance of
    at most one percent. With fewer than 99 such rows there is no such distance: the threshold is infinite.

    Raises
    ------
    Invalid
        If an input column is missing.
    """
    inputs = inputs_of(signature, reference)
    n_rows = len(next(iter(inputs.values())))
    order = np.random.default_rng(seed).permutation(n_rows)[:max_rows]
    n_fit = max(1, int(_FIT_SHARE * order.size))
    fitting, calibrating = take(inputs, order[:n_fit]), take(inputs, order[n_fit:])
    kinds = {column.name: column.kind for column in signature.columns}
    centres, levels = {}, {}
    for name, kind in kinds.items():
        if kind == "categorical":
            levels[name] = _shares_of(fitting[name])
        else:
            values = _as_number(fitting[name])
            finite = values[np.isfinite(values)]
            centres[name] = (float(finite.mean()) if finite.size else 0.0, spread_of(values) or 1.0)
    blank = Detector(kinds=dict(kinds), centres=centres, levels=levels, reference=np.empty((0, 0)), threshold=np.inf)
    points = blank.encode(fitting)
    threshold = np.inf
    n_calibrating = order.size - n_fit
    rank = int(np.ceil((1.0 - FALSE_ALARMS) * (n_calibrating + 1)))
    if n_calibrating and rank <= n_calibrating:
        threshold = float(np.sort(_nearest(points, blank.encode(calibrating)))[rank - 1])
    return Detector(kinds=dict(kinds), centres=centres, levels=levels, reference=points, threshold=threshold)


def out_of_distribution(
    predict: Predict,
    signature: Signature,
    columns: Columns,
    reference: Columns,
    *,
    seed: int,
    max_rows: int = 1_000,
    should_stop: Callable[[], bool] | None = None,
) -> OutOfDistribution:
    """Fit the detector on ``reference``, judge it on ``columns`` and on rows made strange from them.

    Parameters
    ----------
    columns
        The holdout; must not be the reference rows, which are at distance zero from themselves.
    max_rows
        Rows of the holdout judged, a seeded sample; twice as many reference rows are used.

    Raises
    ------
    Invalid
        If an input column is missing.
    """
    inputs, known = inputs_of(signature, columns), inputs_of(signature, reference)
    n_reference = len(next(iter(known.values())))
    rng = np.random.default_rng(seed)
    rows = sample_rows(len(next(iter(inputs.values()))), max_rows, seed=seed)
    if n_reference < MIN_REFERENCE_ROWS:
        reason = f"there are {n_reference} reference rows, at least {MIN_REFERENCE_ROWS} are needed"
        none = not_computable(reason)
        return OutOfDistribution(
            n_reference=n_reference,
            n_rows=int(rows.size),
            threshold=None,
            share_flagged=none,
            confidence=none,
            share_confident=none,
            reason=reason,
        )
    sample = take(inputs, rows)
    detector = fit_detector(signature, known, seed=seed, max_rows=2 * max_rows)
    familiar = detector.distances(sample)
    makers: tuple[tuple[StrangeKind, Callable[[], dict[str, npt.NDArray[Any]]]], ...] = (
        ("columns_permuted", lambda: {name: values[rng.permutation(rows.size)] for name, values in sample.items()}),
        ("out_of_range", lambda: _out_of_range(signature, known, rows.size, rng)),
    )
    strange: list[StrangeRows] = []
    not_reached: tuple[str, ...] = ()
    for place, (kind, make) in enumerate(makers):
        if should_stop is not None and should_stop():
            not_reached = tuple(f"strange rows: {left.replace('_', ' ')}" for left, _ in makers[place:])
            break
        made = make()
        far = detector.distances(made)
        confidence, confident, failure = _confidence(predict, signature, made, seed)
        strange.append(
            StrangeRows(
                kind=kind,
                auc=_auc(familiar, far, seed),
                share_flagged=_flagged(far, detector.threshold),
                confidence=confidence,
                share_confident=confident,
                failure=failure,
            )
        )
    confidence, confident, _ = _confidence(predict, signature, sample, seed)
    return OutOfDistribution(
        n_reference=n_reference,
        n_rows=int(rows.size),
        threshold=detector.threshold if np.isfinite(detector.threshold) else None,
        share_flagged=_flagged(familiar, detector.threshold),
        confidence=confidence,
        share_confident=confident,
        strange=tuple(strange),
        not_reached=not_reached,
    )


def _nearest(reference: FloatArray, points: FloatArray) -> FloatArray:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - heavy, and only needed here

    k = min(N_NEIGHBOURS, reference.shape[0])
    # One column that is a million spreads out would drown the others in rounding; brute force needs no tree anyway.
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(reference).kneighbors(points)[0]
    return np.asarray(found.mean(axis=1), dtype=np.float64)


def _as_number(values: npt.NDArray[Any]) -> FloatArray:
    if values.dtype.kind == "M":
        days = values.astype("datetime64[s]").astype(np.float64) / 86_400.0
        return np.where(np.isnat(values), np.nan, days)
    return np.asarray(values, dtype=np.float64)


def _shares_of(values: npt.NDArray[Any]) -> dict[str, float]:
    levels, counts = np.unique(as_text(values), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(levels[place]): float(counts[place] / counts.sum()) for place in order}


def _encode_levels(values: npt.NDArray[Any], shares: dict[str, float]) -> list[FloatArray]:
    text = as_text(values)
    # 1/sqrt(2) on each indicator puts any two levels at distance one.
    parts = [(text == level) / np.sqrt(2.0) for level in list(shares)[:_MAX_LEVELS]]
    rarity = np.array([-np.log10(max(shares.get(level, 0.0), 1e-4)) for level in text])
    return [*parts, rarity / 2.0]


def _out_of_range(
    signature: Signature, known: Columns, n_rows: int, rng: np.random.Generator
) -> dict[str, npt.NDArray[Any]]:
    made: dict[str, npt.NDArray[Any]] = {}
    for column in signature.columns:
        values = known[column.name]
        if column.kind == "categorical":
            levels = [None if level == "" else level for level in _shares_of(values)]
            made[column.name] = np.array(levels, dtype=object)[rng.integers(0, len(levels), size=n_rows)]
            continue
        numbers = _as_number(values)
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        away = rng.uniform(1.0, 3.0, size=n_rows) * ((high - low) or 1.0)
        drawn = np.where(rng.random(n_rows) < 0.5, low - away, high + away)
        made[column.name] = (
            (drawn * 86_400.0).astype("datetime64[s]").astype(values.dtype) if values.dtype.kind == "M" else drawn
        )
    return made


def _confidence(predict: Predict, signature: Signature, rows: Columns, seed: int) -> tuple[Interval, Interval, str]:
    if signature.task == "regression":
        none = not_computable("a regression says no probability")
        return none, none, ask(predict, rows).failure
    answer = ask(predict, rows)
    if answer.scores is None:
        none = not_computable(f"the model {answer.failure}")
        return none, none, answer.failure
    top = as_probability(signature.task, answer.scores).max(axis=1)
    means = bootstrap(lambda weights: {"mean": weights @ top / top.size}, top.size, seed=seed, n_resamples=200)
    return interval(top.mean(), means["mean"]), _proportion(top >= CONFIDENT), ""


def _flagged(distances: FloatArray, threshold: float) -> Interval:
    if not np.isfinite(threshold):
        return not_computable("fewer than 99 reference rows are left to set a threshold of 1 % false alarms")
    return _proportion(distances > threshold)


def _proportion(hits: npt.NDArray[np.bool_]) -> Interval:
    low, high = wilson_interval(int(hits.sum()), hits.size)
    return Interval(value=float(hits.mean()), low=low, high=high)


def _auc(familiar: FloatArray, strange: FloatArray, seed: int) -> Interval:
    truth = np.concatenate((np.zeros(familiar.size), np.ones(strange.size))).astype(np.int64)
    score = np.concatenate((familiar, strange))
    replicates = bootstrap(
        lambda weights: {"auc": areas(truth == 1, score, weights).roc},
        truth.size,
        seed=seed,
        n_resamples=200,
        strata=truth,
    )
    return interval(areas(truth == 1, score).roc, replicates["auc"])
