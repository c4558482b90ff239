"""Shapley values as people read them: one row's shares, and what matters over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts.signature import Label
from arkwright.evaluation.attributions import Attributions
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, Interval, bootstrap, interval, resamples_for
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import Cell, Columns, cells, kind_of, missing

MAX_POINTS = 300
MAX_LEVELS = 30


class LocalShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one column added to one row's raw score; ``standard_error`` where it was sampled."""

    name: str
    value: Cell
    share: float
    standard_error: float | None = None


class LocalExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One row's score, taken apart: ``base`` and the shares add up to ``raw``, largest shares first."""

    row: int
    output: Label
    score: float
    base: float
    raw: float
    scale: str
    method: str
    shares: tuple[LocalShare, ...]


class LevelAttribution(msgspec.Struct, frozen=True, kw_only=True):
    """A category's mean share; ``level`` is None for missing cells."""

    level: Cell
    n_rows: int
    mean: float


class ColumnAttribution(msgspec.Struct, frozen=True, kw_only=True):
    """What a column does to one output over all rows.

    ``mean_absolute`` is its global importance. ``direction`` is Spearman's rank correlation between the column's
    values and its shares: near +1, more of it raises the score. ``levels`` say the same for categories, the most
    frequent first. ``points`` are for a beeswarm: pairs of value and share at evenly spaced ranks of the share, the
    lowest and the highest among them.
    """

    name: str
    kind: str
    mean_absolute: Interval
    mean: float
    direction: Interval
    levels: tuple[LevelAttribution, ...]
    points: tuple[tuple[Cell, float], ...]


class OutputAttribution(msgspec.Struct, frozen=True, kw_only=True):
    """One output's columns, the most important first."""

    output: Label
    base: float
    columns: tuple[ColumnAttribution, ...]


class ColumnRank(msgspec.Struct, frozen=True, kw_only=True):
    """A column's mean absolute share, summed over the outputs."""

    name: str
    mean_absolute: Interval


class GlobalAttributions(msgspec.Struct, frozen=True, kw_only=True):
    """What matters to a model, over a table's rows.

    ``ranking`` is over all outputs. ``sampling_error`` is the root mean square of the shares' standard errors, None
    where they are exact: sampling noise makes a mean absolute share too large by up to that much.
    """

    n_rows: int
    method: str
    scale: str
    ranking: tuple[ColumnRank, ...]
    outputs: tuple[OutputAttribution, ...]
    largest_gap: float | None
    gap_reason: str = ""
    sampling_error: float | None = None
    sampled_because: str = ""


def global_attributions(
    attributions: Attributions,
    *,
    seed: int,
    n_resamples: int = DEFAULT_RESAMPLES,
    max_points: int = MAX_POINTS,
) -> GlobalAttributions:
    """Sum rows' shares up into what matters to the model.

    Parameters
    ----------
    attributions
        Of the rows.
    seed
        Of the bootstrap over rows.
    n_resamples
        Of the bootstrap; fewer on very many rows.
    max_points
        Beeswarm points per column and output.
    """
    n_rows = attributions.rows.size
    table = attributions.table
    magnitudes = np.abs(attributions.shares)
    n_resamples = resamples_for(n_rows, n_resamples)
    names, numbers = attributions.names, range(len(attributions.names))
    ranks, present = _ranks(table, names)
    share_ranks = [_share_ranks(attributions.shares[:, output], present) for output in range(len(attributions.outputs))]

    def measure(weights: FloatArray) -> dict[tuple[str, int, int], FloatArray]:
        found: dict[tuple[str, int, int], FloatArray] = {}
        whole = weights @ magnitudes.sum(axis=1) / n_rows
        found.update({("ranking", 0, number): whole[..., number] for number in numbers})
        for output in range(len(attributions.outputs)):
            mean = weights @ magnitudes[:, output] / n_rows
            direction = _correlation(ranks, share_ranks[output], present, weights)
            for number in numbers:
                found["mean", output, number] = mean[..., number]
                found["direction", output, number] = direction[..., number]
        return found

    value = measure(np.ones(n_rows))
    spread = bootstrap(measure, n_rows, seed=seed, n_resamples=n_resamples)
    found = {key: interval(value[key], spread[key]) for key in value}
    if n_rows == 1:
        found = {
            key: Interval(value=item.value, low=None, high=None, reason="one row has no spread")
            for key, item in found.items()
        }
    outputs = []
    for output, label in enumerate(attributions.outputs):
        described = [
            ColumnAttribution(
                name=name,
                kind=kind_of(table[name]),
                mean_absolute=found["mean", output, number],
                mean=float(attributions.shares[:, output, number].mean()),
                direction=_direction(found["direction", output, number], table[name]),
                levels=_levels(table[name], attributions.shares[:, output, number]),
                points=_points(table[name], attributions.shares[:, output, number], max_points),
            )
            for number, name in enumerate(names)
        ]
        described.sort(key=lambda item: (-(item.mean_absolute.value or 0.0), item.name))
        outputs.append(OutputAttribution(output=label, base=float(attributions.base[output]), columns=tuple(described)))
    ranking = [ColumnRank(name=name, mean_absolute=found["ranking", 0, number]) for number, name in enumerate(names)]
    ranking.sort(key=lambda item: (-(item.mean_absolute.value or 0.0), item.name))
    errors = attributions.standard_errors
    return GlobalAttributions(
        n_rows=n_rows,
        method=attributions.method,
        scale=attributions.scale,
        ranking=tuple(ranking),
        outputs=tuple(outputs),
        largest_gap=attributions.largest_gap,
        gap_reason=attributions.gap_reason,
        sampling_error=None if errors is None else float(np.sqrt(np.square(errors).mean())),
        sampled_because=attributions.sampled_because,
    )


def local_explanations(attributions: Attributions, *, output: int | None = None) -> tuple[LocalExplanation, ...]:
    """Return each explained row's shares, largest first.

    Parameters
    ----------
    attributions
        Of the rows.
    output
        Which output to explain; by default the one with the highest score, a multiclass row's label.
    """
    table = attributions.table
    values = [cells(table[name]) for name in attributions.names]
    chosen = attributions.scores.argmax(axis=1) if output is None else np.full(attributions.rows.size, output)
    explained = []
    for index, which in enumerate(chosen.tolist()):
        own = attributions.shares[index, which].tolist()
        errors = attributions.standard_errors
        shares = [
            LocalShare(
                name=name,
                value=values[number][index],
                share=own[number],
                standard_error=None if errors is None else float(errors[index, which, number]),
            )
            for number, name in enumerate(attributions.names)
        ]
        shares.sort(key=lambda item: (-abs(item.share), item.name))
        base = float(attributions.base[which])
        explained.append(
            LocalExplanation(
                row=int(attributions.rows[index]),
                output=attributions.outputs[which],
                score=float(attributions.scores[index, which]),
                base=base,
                raw=base + sum(own),
                scale=attributions.scale,
                method=attributions.method,
                shares=tuple(shares),
            )
        )
    return tuple(explained)


def _ranks(table: Columns, names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Return the columns' ranks, and 1 where a cell has one; categories have none."""
    from scipy.stats import rankdata  # noqa: PLC0415 - scipy is slow to import

    n_rows = len(table[names[0]])
    ranks, present = np.zeros((n_rows, len(names))), np.zeros((n_rows, len(names)))
    for number, name in enumerate(names):
        values = table[name]
        if kind_of(values) == "categorical":
            continue
        there = ~missing(values)
        numbers = values[there].astype(np.int64) if kind_of(values) == "time" else values[there]
        ranks[there, number] = rankdata(numbers)
        present[there, number] = 1.0
    return ranks, present


def _share_ranks(shares: FloatArray, present: FloatArray) -> FloatArray:
    from scipy.stats import rankdata  # noqa: PLC0415 - scipy is slow to import

    ranks = np.zeros_like(shares)
    for number in range(shares.shape[1]):
        there = present[:, number] > 0
        # Shares that differ by rounding alone are equal.
        ranks[there, number] = rankdata(np.round(shares[there, number], 12))
    return ranks


def _correlation(x: FloatArray, y: FloatArray, present: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted correlation of each pair of columns over the rows where both are present; else NaN."""
    n = np.maximum(weights @ present, 1.0)
    # Centred and scaled first: sums of squares of raw ranks would lose digits.
    count = np.maximum(present.sum(axis=0), 1.0)
    x, y = ((z - z.sum(axis=0) / count) * present / count for z in (x, y))
    mean_x, mean_y = weights @ x / n, weights @ y / n
    covariance = weights @ (x * y) / n - mean_x * mean_y
    variances = (weights @ (x * x) / n - mean_x**2) * (weights @ (y * y) / n - mean_y**2)
    found = np.full(covariance.shape, np.nan)
    np.divide(covariance, np.sqrt(np.maximum(variances, 0.0)), out=found, where=variances > 1e-20)
    bounded: FloatArray = np.clip(found, -1.0, 1.0)
    return bounded


def _direction(found: Interval, values: npt.NDArray[Any]) -> Interval:
    if found.value is not None:
        return found
    reason = "the column's values or its shares do not vary"
    if kind_of(values) == "categorical":
        reason = "categories have no order: see the shares of its levels"
    return Interval(value=None, low=None, high=None, reason=reason)


def _levels(values: npt.NDArray[Any], shares: FloatArray) -> tuple[LevelAttribution, ...]:
    if kind_of(values) != "categorical":
        return ()
    totals: dict[Cell, list[float]] = {}
    for cell, share in zip(cells(values), shares.tolist(), strict=True):
        totals.setdefault(cell, []).append(share)
    levels = [LevelAttribution(level=level, n_rows=len(own), mean=float(np.mean(own))) for level, own in totals.items()]
    return tuple(sorted(levels, key=lambda item: (-item.n_rows, str(item.level)))[:MAX_LEVELS])


def _points(values: npt.NDArray[Any], shares: FloatArray, max_points: int) -> tuple[tuple[Cell, float], ...]:
    order = np.argsort(shares, kind="stable")
    if order.size > max_points:
        order = order[np.round(np.linspace(0, order.size - 1, max_points)).astype(np.intp)]
    return tuple(zip(cells(values[order]), shares[order].tolist(), strict=True))
