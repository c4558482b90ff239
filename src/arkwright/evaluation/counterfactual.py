"""Counterfactuals: the smallest sensible change of a row that gets it the wanted outcome.

The search starts from real rows that have the outcome (nearest unlike neighbours), gives back the row's own cells
wherever something may not change, and keeps the mixtures that still have the outcome. Then it gives back one column
after the other (tied ones together), the costliest first, and moves the remaining numbers towards the row's own by
bisection, as long as the outcome holds and the mixture lies where the data does. Whole numbers stay whole, amounts in
cents stay in cents, dates stay dates; no cell is ever changed to missing.

What a change costs is its distance (:mod:`.row_distance`) plus one for each changed column. Changing few columns is
what makes advice usable; a distance in median absolute deviations keeps columns of different units comparable.

References
----------
Wachter, Mittelstadt & Russell (2017), "Counterfactual Explanations Without Opening the Black Box", Harvard JOLT 31.
Mothilal, Sharma & Tan (2020), "Explaining Machine Learning Classifiers through Diverse Counterfactual Explanations",
FAT* 2020: sparsity, diversity, feasibility.
Keane & Smyth (2020), "Good Counterfactuals and Where to Find Them", ICCBR 2020: starting from real neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import counted
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.row_distance import RowSpace, as_numbers
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

Bools = npt.NDArray[np.bool_]
Table = dict[str, npt.NDArray[Any]]

MAX_DATA = 5_000
N_STARTS = 30

_CHECKED_STARTS = 300
_BISECTIONS = 14
_MAX_DECIMALS = 6
_DAY, _SECOND = 86_400e6, 1e6


class ColumnLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What may happen to a column.

    ``fixed`` columns keep their value. ``direction`` lets a number or a moment only rise (``up``) or fall (``down``).
    ``low`` and ``high`` bound a new value (a moment in microseconds since 1970, UTC), ``levels`` lists the categories
    it may have. The row's own value is always allowed.
    """

    name: str
    fixed: bool = False
    direction: Literal["any", "up", "down"] = "any"
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()


class WantedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the changed row must score: within the bounds, and ``most_probable``: no other output scores more.

    Examples
    --------
    >>> WantedOutcome(at_least=0.5).reached(np.array([[0.4], [0.6]])).tolist()
    [False, True]
    """

    output: int = 0
    at_least: float | None = None
    at_most: float | None = None
    most_probable: bool = False

    def reached(self, scores: FloatArray) -> Bools:
        """Tell which rows have the outcome; ``scores`` is of shape (n_rows, n_outputs)."""
        own = scores[:, self.output]
        good: Bools = np.ones(len(scores), dtype=bool)
        if self.at_least is not None:
            good &= own >= self.at_least
        if self.at_most is not None:
            good &= own <= self.at_most
        if self.most_probable:
            good &= scores.argmax(axis=1) == self.output
        return good


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One changed column; ``distance`` is in median absolute deviations, 1 for a category."""

    name: str
    before: Cell
    after: Cell
    distance: float


class Counterfactual(msgspec.Struct, frozen=True, kw_only=True):
    """A change that works, largest parts first.

    ``distance`` is the sum of the changes'. ``nearest_distance`` is the changed row's distance to the nearest row of
    the data, within the search's ``plausible_distance``.
    """

    changes: tuple[Change, ...]
    scores: tuple[float, ...]
    distance: float
    nearest_distance: float


class CounterfactualSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, the cheapest first; ``reason`` says why nothing was, and is empty otherwise.

    ``n_with_outcome`` of the ``n_data`` rows that were looked at have the wanted outcome; the model was asked about
    ``n_scored`` rows.
    """

    found: tuple[Counterfactual, ...]
    reason: str
    wanted: WantedOutcome
    scores: tuple[float, ...]
    plausible_distance: float
    n_data: int
    n_with_outcome: int
    n_scored: int


def wanted_class(signature: Signature, label: Label) -> WantedOutcome:
    """Return the outcome "the model answers this class".

    Examples
    --------
    >>> signature = Signature(task="binary", target="y", columns=(), classes=("No", "Yes"))
    >>> wanted_class(signature, "Yes")
    WantedOutcome(output=0, at_least=0.5, at_most=None, most_probable=False)

    Raises
    ------
    Invalid
        If the model has no such class.
    """
    if label not in signature.classes:
        raise Invalid(
            f"The model has no class {label!r}.",
            code="counterfactual.class_unknown",
            hint=f"It has: {', '.join(map(repr, signature.classes)) or 'none, it answers a number'}.",
        )
    if signature.task == "multiclass":
        return WantedOutcome(output=signature.classes.index(label), most_probable=True)
    if label == signature.classes[1]:
        return WantedOutcome(at_least=0.5)
    return WantedOutcome(at_most=float(np.nextafter(0.5, 0.0)))


def find_counterfactuals(
    predict: Predict,
    row: Columns,
    data: Columns,
    names: Sequence[str],
    wanted: WantedOutcome,
    *,
    seed: int,
    limits: Sequence[ColumnLimit] = (),
    tied: Sequence[Sequence[str]] = (),
    n_wanted: int = 3,
    max_data: int = MAX_DATA,
    plausible_quantile: float = 0.95,
) -> CounterfactualSearch:
    """Search for small, plausible, different changes of one row.

    Parameters
    ----------
    predict
        Takes a table, returns scores of shape ``(n, k)``.
    row
        The row, as a table of one.
    data
        Real rows, of the training data: where the search starts, and what plausible means.
    names
        The columns that the model reads.
    wanted
        The outcome; see :func:`wanted_class`.
    seed
        Of the samples of the data.
    limits
        What may not change, or only so far; a column without a limit may change to any value the data has.
    tied
        Groups of columns that say one thing, such as a grade and its points: their new cells come from one real row,
        or none of them changes. :func:`arkwright.evaluation.importance.correlated_groups` finds such groups.
    n_wanted
        How many different changes to look for. Two are different if neither changes all the columns of the other.
    max_data
        At most so many rows of the data are looked at.
    plausible_quantile
        See :class:`arkwright.evaluation.row_distance.RowSpace`. A row that is itself further out may stay so.

    Raises
    ------
    Invalid
        If a table lacks a column, ``row`` is not one row, a limit does not fit its column, or a score is not finite.
    """
    if n_rows_of(row, names) != 1:
        raise Invalid(
            f"Counterfactuals are found for one row, {n_rows_of(row, names)} were given.",
            code="counterfactual.one_row",
            hint="Give a table of one row, and ask again for the next.",
        )
    n_data = n_rows_of(data, names)
    search = _Search(predict, row, data, names, wanted, limits, tied, seed, max_data, plausible_quantile)
    states, reason = search.run(frozenset())
    chosen = _different(states, n_wanted)
    # What else could be done, if what was found first cannot: without its largest change.
    for state in list(chosen):
        if 0 < len(chosen) < n_wanted:
            states = states + search.run(frozenset({state.largest}))[0]
            chosen = _different(states, n_wanted)
    return CounterfactualSearch(
        found=tuple(search.describe(state) for state in chosen),
        reason="" if chosen else reason,
        wanted=wanted,
        scores=tuple(search.own_scores[0].tolist()),
        plausible_distance=search.limit,
        n_data=min(n_data, max_data),
        n_with_outcome=search.n_with_outcome,
        n_scored=search.n_scored,
    )


@dataclass(frozen=True)
class _State:
    """A changed row: its cells, what they cost, and which column costs most."""

    row: Table
    cost: float
    changed: frozenset[str]
    largest: str


class _Search:
    def __init__(
        self,
        predict: Predict,
        row: Columns,
        data: Columns,
        names: Sequence[str],
        wanted: WantedOutcome,
        limits: Sequence[ColumnLimit],
        tied: Sequence[Sequence[str]],
        seed: int,
        max_data: int,
        quantile: float,
    ) -> None:
        self.n_scored = 0
        self._predict, self._names, self._wanted = predict, tuple(names), wanted
        self._limits = _checked_limits(limits, data, names)
        self._units = _units(tied, self._names)
        self._own: Table = {name: row[name] for name in names}
        self._data = take({name: data[name] for name in names}, sample_rows(len(data[names[0]]), max_data, seed=seed))
        self._space = RowSpace(self._data, names, seed=seed, quantile=quantile)
        self._point = self._space.points(self._own)
        self.limit = max(self._space.limit, float(self._space.nearest(self._point)[0]))
        self._steps = {name: _step(self._data[name]) for name in names if kind_of(data[name]) != "categorical"}
        self.own_scores = self._scores(self._own)
        if not 0 <= wanted.output < self.own_scores.shape[1]:
            raise Invalid(
                f"The wanted outcome is about output {wanted.output}, and the model gives "
                f"{self.own_scores.shape[1]} scores, counted from 0.",
                code="counterfactual.output_unknown",
                hint="Let wanted_class(signature, label) say which score a class has.",
            )
        reached = self._reached(self._data)
        self.n_with_outcome = int(reached.sum())
        self._pool = take(self._data, np.flatnonzero(reached))

    def run(self, also_fixed: frozenset[str]) -> tuple[list[_State], str]:
        """Return the states found, and why there are none."""
        if self._wanted.reached(self.own_scores)[0]:
            return [], "the row has the wanted outcome already"
        if self.n_with_outcome == 0:
            n_data = len(self._data[self._names[0]])
            return [], f"none of the {counted(n_data, 'row')} that were looked at has the wanted outcome"
        starts = self._allowed(self._pool, also_fixed)
        points = self._space.points(starts)
        cost = self._costs(points)
        order = np.argsort(cost, kind="stable")
        order = order[cost[order] > 0.0]
        if order.size == 0:
            return [], "no column may change towards the rows that have the wanted outcome"
        order = order[self._reached(take(starts, order))]
        if order.size == 0:
            return [], (
                f"the limits leave none of the {counted(self.n_with_outcome, 'row')} with the wanted outcome enough to "
                "change: with the row's own values for what must stay, the model does not answer it"
            )
        order = _spread_out(order, _CHECKED_STARTS)
        order = order[self._space.nearest(points[order]) <= self.limit]
        if order.size == 0:
            return [], "every change that reaches the outcome makes a row unlike any in the data"
        states = take(starts, _spread_out(order, N_STARTS))
        states = self._give_back(states)
        states = self._give_back(self._shrink(states))
        return self._finished(states), ""

    def describe(self, state: _State) -> Counterfactual:
        """Say what a state changes."""
        point = self._space.points(state.row)
        parts = self._space.parts(point, self._point)[0].tolist()
        changes = [
            Change(name=name, before=cells(self._own[name])[0], after=cells(state.row[name])[0], distance=parts[index])
            for index, name in enumerate(self._names)
            if name in state.changed
        ]
        changes.sort(key=lambda change: (-change.distance, change.name))
        return Counterfactual(
            changes=tuple(changes),
            scores=tuple(self._scores(state.row)[0].tolist()),
            distance=sum(change.distance for change in changes),
            nearest_distance=float(self._space.nearest(point)[0]),
        )

    def _scores(self, table: Columns) -> FloatArray:
        self.n_scored += len(table[self._names[0]])
        return scores_of(self._predict, table)

    def _reached(self, table: Columns) -> Bools:
        return self._wanted.reached(self._scores(table))

    def _good(self, table: Columns) -> Bools:
        """Tell which rows have the outcome and lie where the data does."""
        good = self._reached(table)
        at = np.flatnonzero(good)
        if at.size:
            good[at] = self._space.nearest(self._space.points(take(table, at))) <= self.limit
        return good

    def _costs(self, points: FloatArray) -> FloatArray:
        parts = self._space.parts(points, self._point)
        costs: FloatArray = parts.sum(axis=1) + (parts > 0).sum(axis=1)
        return costs

    def _allowed(self, table: Table, also_fixed: frozenset[str]) -> Table:
        """Give back the row's own cell wherever a row's may not be taken."""
        keep = {}
        for name, values in table.items():
            limit = self._limits.get(name, ColumnLimit(name=name))
            if limit.fixed or name in also_fixed:
                keep[name] = np.zeros(len(values), dtype=bool)
            else:
                keep[name] = ~missing(values) & _within(values, self._own[name], limit)
        differs = self._space.parts(self._space.points(table), self._point) > 0
        for unit in set(self._units.tolist()):
            members = [index for index, own in enumerate(self._units.tolist()) if own == unit]
            refused = np.any([~keep[self._names[index]] & differs[:, index] for index in members], axis=0)
            for index in members:
                keep[self._names[index]] &= ~refused
        return {name: np.where(keep[name], values, self._own[name]) for name, values in table.items()}

    def _give_back(self, states: Table) -> Table:
        """Give back the row's own cells one by one, the one that saves most first, while the states stay good."""
        states = dict(states)
        while True:
            parts = self._space.parts(self._space.points(states), self._point)
            worth = np.zeros((len(parts), int(self._units.max()) + 1))
            np.add.at(worth.T, self._units, (parts + (parts > 0)).T)
            at, unit = np.nonzero(worth > 0)
            several = (worth > 0).sum(axis=1)[at] > 1
            at, unit = at[several], unit[several]
            if at.size == 0:
                return states
            tried = take(states, at)
            for index, name in enumerate(self._names):
                tried[name] = np.where(unit == self._units[index], self._own[name], tried[name])
            saved = np.where(self._good(tried), worth[at, unit], 0.0)
            order = np.lexsort((unit, -saved, at))
            firsts = order[np.unique(at[order], return_index=True)[1]]
            firsts = firsts[saved[firsts] > 0.0]
            if firsts.size == 0:
                return states
            for name in self._names:
                states[name] = states[name].copy()
                states[name][at[firsts]] = tried[name][firsts]

    def _shrink(self, states: Table) -> Table:
        """Move numbers and moments towards the row's own, the furthest column first, while the states stay good."""
        parts = self._space.parts(self._space.points(states), self._point)
        for index in np.argsort(-parts.sum(axis=0), kind="stable"):
            name = self._names[index]
            free = name in self._steps and (self._units == self._units[index]).sum() == 1
            own = float(as_numbers(self._own[name])[0]) if free else np.nan
            if np.isfinite(own) and (parts[:, index] > 0).any():
                states = {**states, name: self._bisected(states, name, own)}
        return states

    def _bisected(self, states: Table, name: str, own: float) -> npt.NDArray[Any]:
        """Return the column's values nearest to the row's own that bisection finds good."""
        limit = self._limits.get(name, ColumnLimit(name=name))
        good = as_numbers(states[name])
        # Where the row's own value is out of bounds, a new one may come no closer than the bound.
        bad = np.full(good.size, np.clip(own, limit.low, limit.high) if _bounded(limit) else own)
        for _ in range(_BISECTIONS):
            middle = _rounded(bad + (good - bad) / 2.0, self._steps[name])
            between = (middle != bad) & (middle != good) & ((middle - bad) * (middle - good) < 0)
            if not between.any():
                break
            at = np.flatnonzero(between)
            tried = take(states, at)
            tried[name] = _restored(middle[at], states[name])
            holds = self._good(tried)
            good[at[holds]] = middle[at[holds]]
            bad[at[~holds]] = middle[at[~holds]]
        return _restored(good, states[name])

    def _finished(self, states: Table) -> list[_State]:
        parts = self._space.parts(self._space.points(states), self._point)
        found = []
        for index, own in enumerate(parts):
            changed = np.flatnonzero(own > 0)
            found.append(
                _State(
                    row=take(states, np.array([index])),
                    cost=float(own.sum() + changed.size),
                    changed=frozenset(self._names[column] for column in changed.tolist()),
                    largest=self._names[int(own.argmax())],
                )
            )
        return found


def _different(states: Sequence[_State], n_wanted: int) -> list[_State]:
    """Return the cheapest states of which none changes all the columns of another."""
    chosen: list[_State] = []
    for state in sorted(states, key=lambda state: (state.cost, sorted(state.changed))):
        if len(chosen) < n_wanted and not any(
            other.changed <= state.changed or state.changed <= other.changed for other in chosen
        ):
            chosen.append(state)
    return chosen


def _checked_limits(limits: Sequence[ColumnLimit], data: Columns, names: Sequence[str]) -> Mapping[str, ColumnLimit]:
    for limit in limits:
        if limit.name not in names:
            raise Invalid(
                f"A limit names the column {limit.name!r}, which the model does not read.",
                code="counterfactual.limit_unknown",
                hint=f"It reads: {', '.join(names)}.",
            )
        is_level = kind_of(data[limit.name]) == "categorical"
        if is_level and (limit.direction != "any" or _bounded(limit)):
            raise Invalid(
                f"The column {limit.name!r} holds categories, which neither rise nor fall.",
                code="counterfactual.limit_kind",
                hint="List the allowed categories as `levels`, or fix the column.",
            )
        if not is_level and limit.levels:
            raise Invalid(
                f"The column {limit.name!r} holds numbers or moments and has no levels.",
                code="counterfactual.limit_kind",
                hint="Bound it with `low` and `high`.",
            )
        if limit.low is not None and limit.high is not None and limit.low > limit.high:
            raise Invalid(
                f"The limit of {limit.name!r} allows nothing: {limit.low} is above {limit.high}.",
                code="counterfactual.limit_empty",
                hint="Swap `low` and `high`.",
            )
    return {limit.name: limit for limit in limits}


def _units(tied: Sequence[Sequence[str]], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number of each column's unit: tied columns share one."""
    units = np.arange(len(names))
    for group in tied:
        absent = [name for name in group if name not in names]
        if absent:
            raise Invalid(
                f"The tied columns name {absent[0]!r}, which the model does not read.",
                code="counterfactual.tied_unknown",
                hint=f"It reads: {', '.join(names)}.",
            )
        places = [names.index(name) for name in group]
        units[np.isin(units, units[places])] = units[places].min() if places else 0
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def _bounded(limit: ColumnLimit) -> bool:
    return limit.low is not None or limit.high is not None


def _within(values: npt.NDArray[Any], own: npt.NDArray[Any], limit: ColumnLimit) -> Bools:
    """Tell which values a column may change to; from a missing one nothing rises or falls."""
    if kind_of(values) == "categorical":
        good: Bools = np.ones(len(values), dtype=bool)
        return good if not limit.levels else np.array([str(value) in limit.levels for value in values.tolist()])
    numbers, start = as_numbers(values), float(as_numbers(own)[0])
    good = np.isfinite(numbers)
    if limit.direction != "any":
        good &= numbers >= start if limit.direction == "up" else numbers <= start
    if limit.low is not None:
        good &= numbers >= limit.low
    if limit.high is not None:
        good &= numbers <= limit.high
    return good


def _spread_out(order: npt.NDArray[np.intp], n_wanted: int) -> npt.NDArray[np.intp]:
    """Return the first half of what is wanted from the front, and the rest evenly from behind it."""
    if order.size <= n_wanted:
        return order
    front = n_wanted // 2
    behind = np.round(np.linspace(front, order.size - 1, n_wanted - front)).astype(np.intp)
    return np.concatenate([order[:front], order[behind]])


def _step(values: npt.NDArray[Any]) -> float:
    """Return the unit that all of a column's values are multiples of: 1, 0.1 …, a day or a second; 0 for none."""
    numbers = as_numbers(values)
    numbers = numbers[np.isfinite(numbers)]
    if values.dtype.kind == "M":
        return _DAY if bool((numbers % _DAY == 0).all()) else _SECOND
    for decimals in range(_MAX_DECIMALS + 1):
        if np.array_equal(np.round(numbers, decimals), numbers):
            return float(10.0**-decimals)
    return 0.0


def _rounded(numbers: FloatArray, step: float) -> FloatArray:
    if step == 0.0:
        return numbers
    if step >= 1.0:
        whole: FloatArray = np.round(numbers / step) * step
        return whole
    decimal: FloatArray = np.round(numbers, round(-np.log10(step)))
    return decimal


def _restored(numbers: FloatArray, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers in the type of the column that they came from."""
    if like.dtype.kind == "M":
        return numbers.astype(np.int64).astype("datetime64[us]").astype(like.dtype)
    return numbers.astype(like.dtype)
