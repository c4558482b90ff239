"""Permutation importance: how much worse the model gets when one column, or a group of columns, is shuffled.

Columns that say much the same hide each other: shuffle one and the model leans on the other.
:func:`correlated_groups` finds such groups, and :func:`group_importance` shuffles each of them as one.

References
----------
Breiman (2001), "Random Forests", Machine Learning 45, section 10.
Fisher, Rudin & Dominici (2019), "All Models are Wrong, but Many are Useful", JMLR 20 (model-agnostic form).
Gregorutti, Michel & Saint-Pierre (2015), "Grouped variable importance with random forests", CSDA 90 (groups).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.evaluation.association import cramers_v_of
from arkwright.evaluation.intervals import LEVEL
from arkwright.evaluation.metric import Direction, FloatArray
from arkwright.evaluation.scored_table import Columns, Predict, kind_of, missing, n_rows_of, sample_rows, take

SIMILAR = 0.7
"""An association from which two columns count as one: the threshold for collinearity in Dormann et al. (2013),
"Collinearity", Ecography 36."""

_MAX_LEVELS = 50
_TIE = 1e-12

Score = Callable[[FloatArray, npt.NDArray[np.int64]], float]


class FeatureImportance(msgspec.Struct, frozen=True, kw_only=True):
    """The loss in the metric when the column is shuffled: mean and spread over the repeats.

    Positive means the model relies on the column; around zero, that it could do without. ``low`` and ``high`` are the
    95 % t interval of the mean over repeats: how sure the shuffling leaves us, for these rows; None with one repeat.
    """

    name: str
    mean: float
    std: float
    low: float | None = None
    high: float | None = None


class GroupImportance(msgspec.Struct, frozen=True, kw_only=True):
    """The same for columns that are shuffled together, each with what shuffling it alone loses.

    ``association`` is the weakest between two of its members, from 0 to 1; None for a group of one.
    """

    names: tuple[str, ...]
    mean: float
    std: float
    low: float | None
    high: float | None
    members: tuple[FeatureImportance, ...]
    association: float | None = None


class ColumnGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of which each two are associated at least as ``association``; None for a group of one."""

    names: tuple[str, ...]
    association: float | None = None


def permutation_importance(
    predict: Predict,
    score: Score,
    columns: Columns,
    names: Sequence[str],
    *,
    direction: Direction,
    seed: int,
    n_repeats: int = 5,
    max_rows: int = 2_000,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[FeatureImportance, ...]:
    """Shuffle each column in turn and measure the loss.

    Parameters
    ----------
    predict
        Takes columns, returns scores of shape ``(n, k)``.
    score
        Takes the scores and the indices of the rows they belong to, returns the metric.
    names
        The columns to measure.
    n_repeats
        Shuffles per column.
    max_rows
        A seeded sample of this many rows is used when there are more.
    should_stop
        Polled before each column; the columns measured so far are returned when it says so.

    Returns
    -------
    tuple of FeatureImportance
        Largest first.

    Raises
    ------
    Invalid
        If the table has no rows or lacks one of the columns.
    """
    shuffling = _Shuffling(predict, score, columns, names, direction, seed, n_repeats, max_rows)
    measured = []
    for name in names:
        if should_stop is not None and should_stop():
            break
        measured.append(_importance(name, shuffling.losses((name,))))
    return tuple(sorted(measured, key=lambda item: (-item.mean, item.name)))


def group_importance(
    predict: Predict,
    score: Score,
    columns: Columns,
    groups: Sequence[ColumnGroup],
    *,
    direction: Direction,
    seed: int,
    n_repeats: int = 5,
    max_rows: int = 2_000,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[GroupImportance, ...]:
    """Shuffle each group of columns together, so that a column cannot hide behind its twin.

    Parameters
    ----------
    groups
        As :func:`correlated_groups` finds them, or of one's own.
    predict, score, n_repeats, max_rows, should_stop
        As for :func:`permutation_importance`; the stop is polled before each group.

    Returns
    -------
    tuple of GroupImportance
        Largest first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=300)
    >>> table = {"x": x, "twin": x, "other": rng.normal(size=300)}
    >>> def predict(given): return (given["x"] + given["twin"] + given["other"])[:, None]
    >>> truth = predict(table)
    >>> def error(scores, rows): return float(np.mean((truth[rows] - scores) ** 2))
    >>> groups = correlated_groups(table, list(table), seed=0)
    >>> [(group.names, group.association) for group in groups]
    [(('x', 'twin'), 1.0), (('other',), None)]
    >>> first, second = group_importance(predict, error, table, groups, direction="minimize", seed=0)
    >>> first.names, round(first.mean / first.members[0].mean, 1)
    (('x', 'twin'), 4.0)
    """
    names = [name for group in groups for name in group.names]
    shuffling = _Shuffling(predict, score, columns, names, direction, seed, n_repeats, max_rows)
    measured = []
    for group in groups:
        if should_stop is not None and should_stop():
            break
        members = tuple(_importance(name, shuffling.losses((name,))) for name in group.names)
        whole = members[0] if len(group.names) == 1 else _importance("", shuffling.losses(group.names))
        measured.append(
            GroupImportance(
                names=group.names,
                mean=whole.mean,
                std=whole.std,
                low=whole.low,
                high=whole.high,
                members=members,
                association=group.association,
            )
        )
    return tuple(sorted(measured, key=lambda item: (-item.mean, item.names)))


def correlated_groups(
    columns: Columns, names: Sequence[str], *, seed: int, similar: float = SIMILAR, max_rows: int = 2_000
) -> tuple[ColumnGroup, ...]:
    """Cluster columns by how much they tell about each other.

    Complete linkage on ``1 - association``: within a group *every* two columns are associated at least as ``similar``.

    Parameters
    ----------
    similar
        From 0 (all in one group) to 1 (only perfect copies).
    max_rows
        A seeded sample of this many rows is used when there are more.

    Returns
    -------
    tuple of ColumnGroup
        Each column in one group; groups and members in the order of ``names``.

    See Also
    --------
    association_matrix : The measure.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - scipy is slow to import
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    if len(names) < 2:
        return tuple(ColumnGroup(names=(name,)) for name in names)
    association = association_matrix(columns, names, seed=seed, max_rows=max_rows)
    distance = squareform(1.0 - association, checks=False)
    clusters = fcluster(linkage(distance, method="complete"), t=1.0 - similar + _TIE, criterion="distance")
    found = []
    for cluster in dict.fromkeys(clusters.tolist()):
        members = np.flatnonzero(clusters == cluster)
        inside = association[np.ix_(members, members)]
        found.append(
            ColumnGroup(
                names=tuple(names[index] for index in members.tolist()),
                association=float(inside.min()) if members.size > 1 else None,
            )
        )
    return tuple(found)


def association_matrix(columns: Columns, names: Sequence[str], *, seed: int, max_rows: int = 2_000) -> FloatArray:
    """Return how strongly each two columns are associated, from 0 to 1.

    Numbers and moments: the absolute rank correlation of Spearman. Two categories: Cramér's V, corrected for chance
    (Bergsma 2013, "A bias-correction for Cramér's V and Tschuprow's T"). A category and a number: the square root of
    epsilon squared, the chance-corrected share of the ranks' variance that lies between levels (Kelley 1935).
    A missing number takes the middle rank, a missing category is a level of its own, and levels beyond the
    50 most frequent are one. A constant column is associated with nothing.

    Returns
    -------
    ndarray of shape (n_columns, n_columns)
        Symmetric, ones on the diagonal.
    """
    n_rows = n_rows_of(columns, names)
    table = take({name: columns[name] for name in names}, sample_rows(n_rows, max_rows, seed=seed))
    prepared = [_codes(table[name]) if kind_of(table[name]) == "categorical" else _ranks(table[name]) for name in names]
    found = np.eye(len(names))
    for i, left in enumerate(prepared):
        for j, right in enumerate(prepared[:i]):
            found[i, j] = found[j, i] = _association(left, right)
    return found


class _Shuffling:
    """A sample of the table, its score, and the shuffles that all columns get."""

    def __init__(
        self,
        predict: Predict,
        score: Score,
        columns: Columns,
        names: Sequence[str],
        direction: Direction,
        seed: int,
        n_repeats: int,
        max_rows: int,
    ) -> None:
        n_rows = n_rows_of(columns, names)
        rng = np.random.default_rng(seed)
        self._rows = np.arange(n_rows)
        if n_rows > max_rows:
            self._rows = np.sort(rng.choice(n_rows, size=max_rows, replace=False))
        self._sample = take(columns, self._rows)
        self._predict, self._score = predict, score
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._reference = score(predict(self._sample), self._rows)
        self._shuffles = [rng.permutation(self._rows.size) for _ in range(n_repeats)]

    def losses(self, names: Sequence[str]) -> FloatArray:
        """Return each repeat's loss when these columns take the same shuffle."""
        losses = []
        for shuffle in self._shuffles:
            mixed = {**self._sample, **{name: self._sample[name][shuffle] for name in names}}
            losses.append(self._sign * (self._reference - self._score(self._predict(mixed), self._rows)))
        return np.array(losses, dtype=np.float64)


def _importance(name: str, losses: FloatArray) -> FeatureImportance:
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

    mean, low, high = float(np.mean(losses)), None, None
    if losses.size > 1:
        reach = float(stdtrit(losses.size - 1, 0.5 + LEVEL / 2) * np.std(losses, ddof=1) / np.sqrt(losses.size))
        low, high = mean - reach, mean + reach
    return FeatureImportance(name=name, mean=mean, std=float(np.std(losses)), low=low, high=high)


def _ranks(values: npt.NDArray[Any]) -> FloatArray:
    """Return centred ranks, 0 for missing cells."""
    from scipy.stats import rankdata  # noqa: PLC0415 - scipy is slow to import

    there = ~missing(values)
    ranks = np.zeros(values.size)
    numbers = values[there].astype(np.int64) if values.dtype.kind == "M" else values[there]
    ranks[there] = rankdata(numbers) - (numbers.size + 1) / 2.0
    return ranks


def _codes(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    texts = np.array([f"={value}" if value is not None else "" for value in values.tolist()])
    _, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    if counts.size > _MAX_LEVELS:
        kept = np.argsort(-counts, kind="stable")[: _MAX_LEVELS - 1]
        codes = np.where(np.isin(codes, kept), codes, counts.size)
        codes = np.unique(codes, return_inverse=True)[1]
    return np.asarray(codes, dtype=np.int64)


def _association(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> float:
    if left.dtype.kind == "i" and right.dtype.kind == "i":
        return _cramer(left, right)
    if left.dtype.kind == "i":
        return _epsilon(left, right)
    if right.dtype.kind == "i":
        return _epsilon(right, left)
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return min(1.0, abs(float(left @ right)) / scale) if scale > 0.0 else 0.0


def _cramer(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    n_left, n_right = int(left.max()) + 1, int(right.max()) + 1
    found = cramers_v_of(np.bincount(left * n_right + right, minlength=n_left * n_right).reshape(n_left, n_right))
    return 0.0 if np.isnan(found) else found


def _epsilon(codes: npt.NDArray[np.int64], ranks: FloatArray) -> float:
    n, n_levels, whole = codes.size, int(codes.max()) + 1, float(ranks @ ranks)
    if n_levels < 2 or n <= n_levels or whole == 0.0:
        return 0.0
    centred = ranks - ranks.mean()
    sums = np.bincount(codes, weights=centred, minlength=n_levels)
    between = float((sums**2 / np.bincount(codes, minlength=n_levels)).sum())
    whole = float(centred @ centred)
    within = (whole - between) / (n - n_levels)
    return float(np.sqrt(max(0.0, 1.0 - within / (whole / (n - 1)))))
