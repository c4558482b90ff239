"""How the score moves with one column or two: partial dependence, the single rows behind it, and interaction.

A column is set to each value of a grid in every row of a sample, and the model is asked again. The mean over rows is
the partial dependence; one row's line is its individual conditional expectation (ICE). Lines that are moved to start
at zero show whether the column does the same for everybody. Friedman's H says how much of what two columns do
together is more than the sum of what each does alone.

Such mixtures of a grid value with other rows' cells can be ones that no data has. The share of rows near each grid
point, or in each cell of a grid over two columns, says where; ``thin`` marks fewer than ten.

References
----------
Friedman (2001), "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics 29, section 8.2.
Goldstein, Kapelner, Bleich & Pitkin (2015), "Peeking Inside the Black Box", JCGS 24 (ICE and centred ICE).
Friedman & Popescu (2008), "Predictive Learning via Rule Ensembles", Annals of Applied Statistics 2, equation 44 (H).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts.signature import ColumnKind, Label
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, Interval, ReplicateMetrics, bootstrap, interval
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import (
    Cell,
    Columns,
    Predict,
    cells,
    kind_of,
    missing,
    n_rows_of,
    sample_rows,
    scores_of,
    take,
)

MAX_GRID = 20
MAX_GRID_OF_TWO = 10
MAX_ROWS = 1_000
MAX_ROWS_OF_TWO = 300
MAX_ROWS_OF_H = 150
MAX_CURVES = 50
THIN_ROWS = 10

_BLOCK_ROWS = 100_000
_OUTER = 0.01
_NOTHING = 1e-20


class GridPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the grid and the share of the table's rows that are nearest to it (categories: that have it).

    ``value`` is None for missing cells. ``thin`` says that fewer than ten rows stand behind it.
    """

    value: Cell
    n_rows: int
    share: float
    thin: bool


class DependenceCurve(msgspec.Struct, frozen=True, kw_only=True):
    """One output along the grid.

    ``mean`` is the partial dependence, with a bootstrap interval over the sampled rows. ``ice`` holds one line per
    curve row, and ``centred_ice`` the same lines minus their first point.
    """

    output: Label
    mean: tuple[Interval, ...]
    ice: tuple[tuple[float, ...], ...]
    centred_ice: tuple[tuple[float, ...], ...]


class PartialDependence(msgspec.Struct, frozen=True, kw_only=True):
    """What one column does to the score.

    ``n_rows`` of the table's ``n_table_rows`` were asked about. ``curve_rows`` are the rows of the table whose lines
    are in ``ice``. ``rows_beyond_grid`` have a category that is too rare for the grid.
    """

    name: str
    kind: ColumnKind
    grid: tuple[GridPoint, ...]
    curves: tuple[DependenceCurve, ...]
    curve_rows: tuple[int, ...]
    n_rows: int
    n_table_rows: int
    rows_beyond_grid: int


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """What two columns do to one output together.

    ``mean[i][j]`` is the partial dependence at the i-th value of the first and the j-th of the second grid. ``h`` is
    Friedman's H: 0 if the effects of the two add up, 1 if neither has one without the other (it can exceed 1 when the
    columns depend on each other strongly); without an interval, as each of its points asks the model about all rows.
    """

    output: Label
    mean: tuple[tuple[float, ...], ...]
    h: Interval


class PartialDependenceOfTwo(msgspec.Struct, frozen=True, kw_only=True):
    """What two columns do together; ``n_rows_in_cell[i][j]`` of the table's rows lie in a cell of the grid."""

    names: tuple[str, str]
    grids: tuple[tuple[GridPoint, ...], tuple[GridPoint, ...]]
    n_rows_in_cell: tuple[tuple[int, ...], ...]
    interactions: tuple[Interaction, ...]
    n_rows: int
    n_rows_of_h: int
    n_table_rows: int


def partial_dependence(
    predict: Predict,
    columns: Columns,
    name: str,
    *,
    outputs: Sequence[Label] = (),
    seed: int,
    n_grid: int = MAX_GRID,
    max_rows: int = MAX_ROWS,
    n_curves: int = MAX_CURVES,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> PartialDependence:
    """Measure what one column does.

    Parameters
    ----------
    predict
        Takes a table, returns scores of shape ``(n, k)``. Asked once per row of the sample and point of the grid.
    columns
        The table, with every column the model reads.
    name
        The column.
    outputs
        What the scores are of; numbered if not given.
    seed
        Of the sample of rows, the rows of the curves, and the bootstrap.
    n_grid
        Points of the grid: quantiles from 1 % to 99 % of numbers and moments (every value if there are no more), the
        most frequent categories; one more for missing cells where there are any.
    max_rows, n_curves
        Rows to average over, and rows whose own line is kept.

    Raises
    ------
    Invalid
        If the table has no rows or lacks the column, or a score is not finite.
    """
    n_table = n_rows_of(columns, (name,))
    rows = sample_rows(n_table, max_rows, seed=seed)
    sample = take(columns, rows)
    grid = _grid(columns[name], n_grid)
    scores = _scores_on(predict, sample, (name,), [(value,) for value in _pieces(grid.values)])
    drawn = sample_rows(rows.size, n_curves, seed=seed)
    curves = []
    for output, label in enumerate(_labels(outputs, scores.shape[2])):
        own = scores[:, :, output]
        mean: ReplicateMetrics[str] = functools.partial(_means, own=own)
        spread = bootstrap(mean, rows.size, seed=seed, n_resamples=n_resamples)["mean"]
        kept = own[drawn]
        curves.append(
            DependenceCurve(
                output=label,
                mean=tuple(interval(value, spread[:, index]) for index, value in enumerate(own.mean(axis=0))),
                ice=_nested(kept),
                centred_ice=_nested(kept - kept[:, :1]),
            )
        )
    return PartialDependence(
        name=name,
        kind=kind_of(columns[name]),
        grid=grid.points,
        curves=tuple(curves),
        curve_rows=tuple(rows[drawn].tolist()),
        n_rows=int(rows.size),
        n_table_rows=n_table,
        rows_beyond_grid=int((grid.nearest < 0).sum()),
    )


def partial_dependence_of_two(
    predict: Predict,
    columns: Columns,
    names: tuple[str, str],
    *,
    outputs: Sequence[Label] = (),
    seed: int,
    n_grid: int = MAX_GRID_OF_TWO,
    max_rows: int = MAX_ROWS_OF_TWO,
    max_h_rows: int = MAX_ROWS_OF_H,
) -> PartialDependenceOfTwo:
    """Measure what two columns do together, and how much of it is more than their sum.

    Parameters
    ----------
    predict, columns, outputs, seed
        As for :func:`partial_dependence`.
    names
        Two different columns.
    n_grid
        Points of each grid.
    max_rows
        Rows to average over.
    max_h_rows
        Rows for Friedman's H, which takes ``3 * max_h_rows ** 2`` scores.

    Raises
    ------
    Invalid
        If the table has no rows or lacks a column, or a score is not finite.
    """
    n_table = n_rows_of(columns, names)
    rows = sample_rows(n_table, max_rows, seed=seed)
    grids = tuple(_grid(columns[name], n_grid) for name in names)
    first, second = (_pieces(grid.values) for grid in grids)
    scores = _scores_on(predict, take(columns, rows), names, [(left, right) for left in first for right in second])
    mean = scores.mean(axis=0).reshape(len(first), len(second), -1)
    there = (grids[0].nearest >= 0) & (grids[1].nearest >= 0)
    counts = np.zeros((len(first), len(second)), dtype=np.int64)
    np.add.at(counts, (grids[0].nearest[there], grids[1].nearest[there]), 1)
    few = sample_rows(n_table, max_h_rows, seed=seed)
    strengths = friedman_h(predict, take(columns, few), names)
    return PartialDependenceOfTwo(
        names=names,
        grids=(grids[0].points, grids[1].points),
        n_rows_in_cell=tuple(tuple(row) for row in counts.tolist()),
        interactions=tuple(
            Interaction(output=label, mean=_nested(mean[:, :, output]), h=strengths[output])
            for output, label in enumerate(_labels(outputs, mean.shape[2]))
        ),
        n_rows=int(rows.size),
        n_rows_of_h=int(few.size),
        n_table_rows=n_table,
    )


def friedman_h(predict: Predict, columns: Columns, names: tuple[str, str]) -> tuple[Interval, ...]:
    """Return Friedman's H of two columns, one per output, over all rows of a table.

    The square root of the share of the two columns' joint partial dependence, in variance over the rows, that the sum
    of their own does not explain.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = {"a": rng.normal(size=60), "b": rng.normal(size=60)}
    >>> friedman_h(lambda t: t["a"] + t["b"] ** 2, table, ("a", "b"))[0].value < 1e-6
    True
    """
    n_rows = n_rows_of(columns, names)

    def centred(asked: Sequence[str]) -> FloatArray:
        values = list(zip(*(_pieces(columns[name]) for name in asked), strict=True))
        mean = _scores_on(predict, columns, asked, values).mean(axis=0)
        moved: FloatArray = mean - mean.mean(axis=0)
        return moved

    both = centred(names)
    extra = both - centred(names[:1]) - centred(names[1:])
    whole, left = (both**2).sum(axis=0) / n_rows, (extra**2).sum(axis=0) / n_rows
    scale = np.square(scores_of(predict, columns)).mean(axis=0)
    found = []
    for share, total, size in zip(left.tolist(), whole.tolist(), scale.tolist(), strict=True):
        if total <= _NOTHING * max(size, 1e-300):
            reason = "the two columns do not move the score, together or alone"
            found.append(Interval(value=None, low=None, high=None, reason=reason))
        else:
            found.append(Interval(value=float(np.sqrt(share / total)), low=None, high=None))
    return tuple(found)


@dataclass(frozen=True)
class _Grid:
    """Values, what they are to a reader, and which of them each row of the table is nearest to (-1: none)."""

    values: npt.NDArray[Any]
    points: tuple[GridPoint, ...]
    nearest: npt.NDArray[np.int64]


def _grid(values: npt.NDArray[Any], n_grid: int) -> _Grid:
    gone = missing(values)
    if kind_of(values) == "categorical":
        chosen, nearest = _level_grid(values, gone, n_grid)
    else:
        chosen, nearest = _quantile_grid(values, gone, n_grid)
    if gone.any():
        nearest[gone] = chosen.size
        chosen = np.concatenate([chosen, values[gone][:1]])
    counts = np.bincount(nearest[nearest >= 0], minlength=chosen.size).tolist()
    points = tuple(
        GridPoint(value=cell, n_rows=count, share=count / values.size, thin=count < THIN_ROWS)
        for cell, count in zip(cells(chosen), counts, strict=True)
    )
    return _Grid(chosen, points, nearest)


def _level_grid(
    values: npt.NDArray[Any], gone: npt.NDArray[np.bool_], n_grid: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    texts = np.array([str(value) for value in values[~gone].tolist()])
    levels, first, codes, counts = np.unique(texts, return_index=True, return_inverse=True, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:n_grid]
    place = np.full(levels.size, -1, dtype=np.int64)
    place[kept] = np.arange(kept.size)
    nearest = np.full(values.size, -1, dtype=np.int64)
    nearest[~gone] = place[codes]
    return values[~gone][first[kept]], nearest


def _quantile_grid(
    values: npt.NDArray[Any], gone: npt.NDArray[np.bool_], n_grid: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    present = np.sort(values[~gone])
    chosen = np.unique(present)
    if chosen.size > n_grid:
        # Values that occur, not between two of them: half a child or a moment between midnights explains nothing.
        at = np.round(np.linspace(_OUTER, 1.0 - _OUTER, n_grid) * (present.size - 1)).astype(np.intp)
        chosen = np.unique(present[at])
    nearest = np.full(values.size, -1, dtype=np.int64)
    if chosen.size:
        borders = chosen[:-1] + (chosen[1:] - chosen[:-1]) / 2
        nearest[~gone] = np.searchsorted(borders, values[~gone], side="right")
    return chosen, nearest


def _pieces(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [values[index : index + 1] for index in range(len(values))]


def _scores_on(
    predict: Predict, columns: Columns, names: Sequence[str], values: Sequence[tuple[npt.NDArray[Any], ...]]
) -> FloatArray:
    """Return the scores of every row with each of the value tuples, of shape (n_rows, n_values, n_outputs)."""
    n_rows = n_rows_of(columns)
    step = max(1, _BLOCK_ROWS // n_rows)
    blocks = []
    for start in range(0, len(values), step):
        part = values[start : start + step]
        table = {name: np.tile(own, len(part)) for name, own in columns.items() if name not in names}
        for place, name in enumerate(names):
            table[name] = np.repeat(np.concatenate([piece[place] for piece in part]), n_rows)
        blocks.append(scores_of(predict, table).reshape(len(part), n_rows, -1))
    return np.concatenate(blocks).swapaxes(0, 1)


def _means(weights: FloatArray, own: FloatArray) -> dict[str, FloatArray]:
    return {"mean": weights @ own / len(own)}


def _labels(outputs: Sequence[Label], n_outputs: int) -> tuple[Label, ...]:
    return tuple(outputs) or tuple(range(n_outputs))


def _nested(values: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
