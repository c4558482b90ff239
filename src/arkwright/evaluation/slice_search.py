"""The search for slices of one or two columns on which a number, such as the loss, is higher than on all other rows.

Every slice is one test, and a hundred columns make thousands of them. Numbers are cut at quantiles and not where the
loss would suggest, because cuts chosen by the loss would be one more search that no correction knows of.

References
----------
Berger (1982), "Multiparameter Hypothesis Testing and Acceptance Sampling", Technometrics 24: intersection-union tests.
Chung, Kraska, Polyzotis, Tae & Whang (2019), "Slice Finder: Automated Data Slicing for Model Validation", ICDE: the
Welch test of a slice against its counterpart, the effect size, and the preference for slices with fewer conditions.
Sagadeeva & Boehm (2021), "SliceLine: Fast, Linear-Algebra-based Slice Finding", SIGMOD: smallest slice and pruning.
Welch (1947), Biometrika 34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.evaluation.groups import MISSING, Groups, GroupValues, binned
from arkwright.evaluation.metric import FloatArray, IntArray
from arkwright.evaluation.paired_tests import false_discovery_adjusted

_BINS = 5
_LEVELS_OF_A_NUMBER = 10


@dataclass(frozen=True, slots=True)
class SliceColumn:
    """Level codes; the last code is for rows whose level is too rare to be a slice."""

    name: str
    codes: IntArray
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundSlice:
    """A slice that was found: its (column, code) pairs, its rows, and how it compares with the rest."""

    conditions: tuple[tuple[int, int], ...]
    rows: IntArray
    effect: float
    statistic: float
    p_value: float
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """The slices found, strongest first, of how many tested, and how many were significant."""

    slices: tuple[FoundSlice, ...]
    n_tested: int
    n_significant: int


@dataclass(frozen=True, slots=True)
class SliceSearch:
    """A search over the same columns for whatever is to be high in a slice."""

    columns: Sequence[SliceColumn]
    least: int
    depth: int
    min_effect: float
    alpha: float

    def run(self, values: FloatArray, top: int, floor: float | None = None) -> SearchOutcome:
        """Search; with a floor, a slice must be above that as well as above the rest."""
        candidates = _candidates(self.columns, values, self.least, self.depth)
        if not candidates.found:
            return SearchOutcome((), 0, 0)
        statistic, p_values = _compared(candidates.inside, candidates.outside, floor)
        adjusted = false_discovery_adjusted(p_values)
        effect = _effect(candidates.inside, candidates.outside, floor)
        significant = np.flatnonzero(adjusted <= self.alpha)
        promising = significant[effect[significant] >= self.min_effect]
        order = promising[np.argsort(-statistic[promising], kind="stable")]
        n_tested = len(candidates.found)
        kept = _without_redundant(
            [candidates.found[i] for i in order], self.columns, values, self.least, n_tested, self.alpha, top, floor
        )
        slices = [
            FoundSlice(
                candidates.found[i], rows, float(effect[i]), float(statistic[i]), float(p_values[i]), float(adjusted[i])
            )
            for i, rows in ((int(order[position]), rows) for position, rows in kept)
        ]
        return SearchOutcome(tuple(slices), n_tested, int(significant.size))


def coded_columns(columns: Mapping[str, GroupValues], least: int) -> tuple[list[SliceColumn], dict[str, str]]:
    """Return the columns that can be searched for slices of at least so many rows, and why the others cannot."""
    usable, left_out = [], {}
    for name, values in columns.items():
        groups = _levels(values)
        if len(groups.labels) < 2:
            missing = groups.labels == (MISSING,)
            left_out[name] = "every value is missing" if missing else "it has the same value on every row"
            continue
        sizes = groups.sizes()
        large = np.flatnonzero(sizes >= least)
        if large.size == 0:
            left_out[name] = f"none of its {len(groups.labels)} levels has {least} rows"
            continue
        position = np.full(sizes.size, large.size, dtype=np.int64)
        position[large] = np.arange(large.size)
        usable.append(SliceColumn(name, position[groups.codes], tuple(groups.labels[code] for code in large)))
    return usable, left_out


def _levels(values: GroupValues) -> Groups:
    if isinstance(values, Groups):
        return values
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        numbers = array.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        if np.unique(finite).size > _LEVELS_OF_A_NUMBER:
            # An infinite value belongs to the outermost bin; as a quantile it would make a cut of its own.
            clipped = np.clip(numbers, finite.min(), finite.max())
            found = binned(clipped, quantiles=_BINS)
            return found if _n_bins(found) > 1 else _spike_and_rest(clipped)
        array = numbers
    distinct: dict[str, int] = {}
    codes = np.array([distinct.setdefault(_label(value), len(distinct)) for value in array.tolist()], dtype=np.int64)
    return Groups(codes=codes, labels=tuple(distinct))


def _n_bins(groups: Groups) -> int:
    return sum(label != MISSING for label in groups.labels)


def _spike_and_rest(numbers: FloatArray) -> Groups:
    """Cut at the value that most rows have, where quantiles find nothing to cut at."""
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    spike = values[counts.argmax()]
    at = _label(float(spike))
    labels = (at, f"below {at}", f"above {at}", MISSING)
    codes = np.select([np.isnan(numbers), numbers < spike, numbers > spike], [3, 1, 2], 0)
    present = [code for code in range(len(labels)) if (codes == code).any()]
    return Groups(
        codes=np.searchsorted(present, codes).astype(np.int64), labels=tuple(labels[code] for code in present)
    )


def _label(value: Any) -> str:
    # NaN and NaT are the values that do not equal themselves.
    if value is None or value != value:  # noqa: PLR0124
        return MISSING
    # As many digits as tell any two dates or postal codes apart that are numbers.
    return f"{value:.15g}" if isinstance(value, float) else str(value).strip() or MISSING


@dataclass(frozen=True, slots=True)
class _Side:
    """Rows, mean and variance of the loss on one side of a comparison; each of shape ``(n_slices,)``."""

    n: FloatArray
    mean: FloatArray
    variance: FloatArray


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The slices to test: each a tuple of (column, code), and the loss inside and outside."""

    found: list[tuple[tuple[int, int], ...]]
    inside: _Side
    outside: _Side


def _candidates(columns: Sequence[SliceColumn], losses: FloatArray, least: int, depth: int) -> _Candidates:
    n_rows = losses.size
    # Centred, so that the variance from sums of squares keeps its digits.
    centre = losses.mean()
    centred = losses - centre
    squared = np.square(centred)
    sizes = [np.bincount(column.codes, minlength=len(column.labels) + 1) for column in columns]
    found: list[tuple[tuple[int, int], ...]] = []
    sums: list[FloatArray] = []

    def add(codes: IntArray, size: IntArray, tested: IntArray) -> None:
        weighted = [np.bincount(codes, weights=weights, minlength=size.size) for weights in (centred, squared)]
        sums.append(np.stack((size[tested], weighted[0][tested], weighted[1][tested])))

    for index, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        tested = np.flatnonzero((size[:-1] >= least) & (n_rows - size[:-1] >= least))
        found.extend(((index, int(code)),) for code in tested)
        add(column.codes, size, tested)
    for one, two in combinations(range(len(columns)), 2) if depth == 2 else ():
        n_levels = sizes[two].size
        codes = columns[one].codes * n_levels + columns[two].codes
        size = np.bincount(codes, minlength=sizes[one].size * n_levels)
        table = size.reshape(-1, n_levels)
        # A pair that holds all rows of one of its levels is that level over again.
        proper = (table >= least) & (n_rows - table >= least) & (table < sizes[one][:, None]) & (table < sizes[two])
        proper[-1, :] = proper[:, -1] = False
        tested = np.flatnonzero(proper)
        if tested.size:
            found.extend(((one, int(code // n_levels)), (two, int(code % n_levels))) for code in tested)
            add(codes, size, tested)
    n, total, squares = np.concatenate(sums, axis=1) if sums else np.empty((3, 0))
    inside = _side(n, total, squares, centre)
    return _Candidates(found, inside, _side(n_rows - n, centred.sum() - total, squared.sum() - squares, centre))


def _side(n: FloatArray, total: FloatArray, squares: FloatArray, centre: float) -> _Side:
    mean = total / n
    variance = np.maximum(squares - total * mean, 0.0) / (n - 1.0)
    # What is left of a constant loss is rounding, not spread.
    variance = np.where(variance <= 1e-12 * (squares / n), 0.0, variance)
    return _Side(n, mean + centre, variance)


def _side_of(losses: FloatArray) -> _Side:
    variance = losses.var(ddof=1) if losses.size > 1 else 0.0
    return _Side(np.array([float(losses.size)]), np.array([losses.mean()]), np.array([variance]))


def _welch(inside: _Side, outside: _Side) -> tuple[FloatArray, FloatArray]:
    """Return Welch's statistic and the one-sided p-value that the loss inside is higher."""
    from scipy.special import stdtr  # noqa: PLC0415 - the room imports light

    own, other = inside.variance / inside.n, outside.variance / outside.n
    error = own + other
    difference = inside.mean - outside.mean
    spread = error > 0
    # Two constants either differ beyond doubt or not at all.
    certain = np.where(difference > 0, np.inf, np.where(difference < 0, -np.inf, 0.0))
    statistic = np.divide(difference, np.sqrt(error), out=certain, where=spread)
    squares = own**2 / (inside.n - 1.0) + other**2 / np.maximum(outside.n - 1.0, 1.0)
    freedom = np.divide(error**2, squares, out=np.ones_like(error), where=squares > 0)
    return statistic, np.asarray(stdtr(freedom, -statistic), dtype=np.float64)


def _compared(inside: _Side, outside: _Side, floor: float | None) -> tuple[FloatArray, FloatArray]:
    """Return the statistic and the p-value that the slice is above the rest, and above the floor if there is one."""
    statistic, p_values = _welch(inside, outside)
    if floor is None:
        return statistic, p_values
    # A constant of no variance: Welch's test against it is Student's of one sample.
    constant = _Side(outside.n, np.full_like(outside.mean, floor), np.zeros_like(outside.variance))
    of_floor, p_of_floor = _welch(inside, constant)
    return np.minimum(statistic, of_floor), np.maximum(p_values, p_of_floor)


def _effect(inside: _Side, outside: _Side, floor: float | None) -> FloatArray:
    spread = np.sqrt(0.5 * (inside.variance + outside.variance))
    difference = inside.mean - (outside.mean if floor is None else np.maximum(outside.mean, floor))
    unlimited = np.where(difference > 0, np.inf, 0.0)
    return np.divide(difference, spread, out=unlimited, where=spread > 0)


def _without_redundant(
    candidates: Sequence[tuple[tuple[int, int], ...]],
    columns: Sequence[SliceColumn],
    losses: FloatArray,
    least: int,
    n_tested: int,
    alpha: float,
    top: int,
    floor: float | None,
) -> list[tuple[int, IntArray]]:
    """Return the positions that are kept, strongest first, and their rows."""
    kept: list[tuple[int, IntArray]] = []
    masks: list[npt.NDArray[np.bool_]] = []
    for position, conditions in enumerate(candidates):
        if len(kept) == top:
            break
        member = np.ones(losses.size, dtype=np.bool_)
        for column, code in conditions:
            member &= columns[column].codes == code
        around, beside = [], np.zeros(losses.size, dtype=np.bool_)
        for (other, _), mask in zip(kept, masks, strict=True):
            if set(candidates[other]) < set(conditions):
                around.append(mask)
            else:
                beside |= mask
        new = member & ~beside
        remainders = [mask & ~member & ~beside for mask in around] or [~member & ~beside]
        level = alpha * (len(kept) + 1) / n_tested
        if np.count_nonzero(new) >= least and all(
            _is_worse(losses[new], losses[rest], level, floor) for rest in remainders
        ):
            kept.append((position, np.flatnonzero(member)))
            masks.append(member)
    return kept


def _is_worse(inside: FloatArray, outside: FloatArray, alpha: float, floor: float | None) -> bool:
    if inside.size < 2 or outside.size < 2:
        return False
    return float(_compared(_side_of(inside), _side_of(outside), floor)[1][0]) <= alpha
