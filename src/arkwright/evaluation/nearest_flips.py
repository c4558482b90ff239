"""How little it takes to get another label: the nearest flip of each row that the search can find.

The search is black-box. From a row it moves one column after another, to values the data has, always where the
probability of the present label falls most for the way gone. Where a column turns the label, it halves the way to
the value where that column turns it first, and at the end it walks all numeric columns back together. What it
finds is a flip that exists, so the distance is an **upper bound** of the true distance to the decision
boundary, and the shares of rows are lower bounds.

**Distance.** The Euclidean length of the change, a numeric column counted in its standard deviations and a
changed category as one whole standard deviation. Missing cells and time columns are not moved.

References
----------
Szegedy et al. (2014), "Intriguing properties of neural networks", ICLR: the smallest change that flips a label.
Brendel, Rauber & Bethge (2018), "Decision-Based Adversarial Attacks", ICLR: walking back to the boundary, with the
model as a black box.
Ballet et al. (2019), "Imperceptible Adversarial Attacks on Tabular Data", NeurIPS workshop: few columns, real values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.evaluation.classification import predicted_codes
from arkwright.evaluation.intervals import Interval, bootstrap, interval
from arkwright.evaluation.metric import FloatArray, IntArray
from arkwright.evaluation.probe import ask, inputs_of, spread_of
from arkwright.evaluation.proportion import wilson_interval
from arkwright.evaluation.report import as_probability
from arkwright.evaluation.scored_table import Columns, Predict, missing, sample_rows, take
from arkwright.evaluation.skill import not_computable

FLIP_DISTANCES = (0.1, 0.25, 0.5)
CATEGORY_DISTANCE = 1.0

_STEPS = (-0.5, -0.25, -0.1, 0.1, 0.25, 0.5)
_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_LEVELS = 5
_HALVINGS = 7
_EXAMPLES = 5


class FlipChange(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a flip, before and after."""

    column: str
    before: float | str | None
    after: float | str | None


class FlipExample(msgspec.Struct, frozen=True, kw_only=True):
    """One row, by its index in the columns given, and the change that gives it another label."""

    row: int
    before: Label
    after: Label
    distance: float
    changes: tuple[FlipChange, ...]


class FlipShare(msgspec.Struct, frozen=True, kw_only=True):
    """The share of rows that flip within a distance, with Wilson's 95 % interval."""

    within: float
    share: Interval


class NearestFlips(msgspec.Struct, frozen=True, kw_only=True):
    """The nearest flips found for a sample of rows.

    Parameters
    ----------
    n_rows, n_flipped
        Rows searched, and those with a flip at any distance in at most ``max_columns`` columns.
    median_distance
        Over the rows that flipped, with its bootstrap interval.
    examples
        The nearest, one a row.
    failures
        What the model did instead of answering about a changed row; each different text once.
    """

    n_rows: int
    n_flipped: int
    max_columns: int
    shares: tuple[FlipShare, ...]
    median_distance: Interval
    examples: tuple[FlipExample, ...] = ()
    failures: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    reason: str = ""


Ends = tuple[str, IntArray, npt.NDArray[Any], IntArray]
"""A column, rows that it turns, the values that turn them, and the codes they then have."""


@dataclass(slots=True)
class _Search:
    """Where each row of the sample stands: its cells now, the way gone squared by column, and the best flip."""

    origin: dict[str, npt.NDArray[Any]]
    now: dict[str, npt.NDArray[Any]]
    label: IntArray
    standing: FloatArray
    way: dict[str, FloatArray]
    best: FloatArray
    flipped: dict[str, npt.NDArray[Any]]
    after: IntArray


def nearest_flips(
    predict: Predict,
    signature: Signature,
    columns: Columns,
    *,
    seed: int,
    max_rows: int = 100,
    max_columns: int = 3,
    distances: tuple[float, ...] = FLIP_DISTANCES,
    should_stop: Callable[[], bool] | None = None,
) -> NearestFlips:
    """Search the nearest flip of a seeded sample of rows.

    The values tried are the row's own value moved by 0.1, 0.25 and 0.5 standard deviations either way (inside
    the column's range), seven empirical quantiles, and the five commonest categories.

    Raises
    ------
    Invalid
        If an input column is missing.

    Examples
    --------
    A threshold at zero, and rows half a standard deviation above and below it:

    >>> from arkwright.contracts import Signature
    >>> from arkwright.contracts.signature import Column
    >>> signature = Signature(
    ...     task="binary", target="y", columns=(Column(name="x", kind="numeric"),), classes=("no", "yes")
    ... )
    >>> rows = {"x": np.array([-1.0, 1.0, -0.5, 0.5])}
    >>> found = nearest_flips(lambda given: (given["x"] > 0)[:, None] * 1.0, signature, rows, seed=0)
    >>> found.n_flipped, [round(item.distance, 1) for item in found.examples]
    (4, [0.6, 0.6, 1.3, 1.3])
    """
    inputs = inputs_of(signature, columns)
    n_all = len(next(iter(inputs.values())))
    rows = sample_rows(n_all, max_rows, seed=seed)

    def without(reason: str) -> NearestFlips:
        none = not_computable(reason)
        return NearestFlips(
            n_rows=0,
            n_flipped=0,
            max_columns=max_columns,
            shares=tuple(FlipShare(within=within, share=none) for within in distances),
            median_distance=none,
            reason=reason,
        )

    if signature.task == "regression":
        return without("a regression has no label to flip")
    sample = take(inputs, rows)
    clean = ask(predict, sample)
    if clean.scores is None:
        return without(f"the model {clean.failure} on undisturbed rows")
    moves = _moves(signature, inputs)
    search = _start(sample, as_probability(signature.task, clean.scores), moves)
    failures: list[str] = []
    not_reached: tuple[str, ...] = ()
    for step in range(max_columns):
        if should_stop is not None and should_stop():
            not_reached = tuple(f"flips that change {n} columns" for n in range(step + 1, max_columns + 1))
            break
        _advance(predict, signature, search, moves, failures)
    if len(not_reached) == max_columns:
        return msgspec.structs.replace(without("the search was stopped before it began"), not_reached=not_reached)
    _walk_back(predict, signature, search, moves, failures)
    found = np.flatnonzero(np.isfinite(search.best))
    return NearestFlips(
        n_rows=int(rows.size),
        n_flipped=int(found.size),
        max_columns=max_columns,
        shares=tuple(FlipShare(within=float(within), share=_share(search.best, within)) for within in distances),
        median_distance=_median(search.best[found], seed),
        examples=tuple(
            _example(signature, search, int(row), int(rows[row]))
            for row in found[np.argsort(search.best[found], kind="stable")][:_EXAMPLES]
        ),
        failures=tuple(sorted(set(failures))),
        not_reached=not_reached,
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """What a column can be moved to; ``spread`` is None for a category."""

    spread: float | None
    low: float
    high: float
    targets: tuple[Any, ...]


def _moves(signature: Signature, inputs: dict[str, npt.NDArray[Any]]) -> dict[str, _Move]:
    moves: dict[str, _Move] = {}
    for column in signature.columns:
        values = inputs[column.name]
        if column.kind == "numeric":
            spread, finite = spread_of(values), values[np.isfinite(values)]
            if spread > 0:
                # The nearest value that exists: a quantile between two values would be a value nobody has.
                quantiles = np.unique(np.quantile(finite, _QUANTILES, method="closest_observation"))
                low, high = float(finite.min()), float(finite.max())
                moves[column.name] = _Move(spread, low, high, tuple(float(value) for value in quantiles))
        elif column.kind == "categorical":
            present = [value for value, gone in zip(values, missing(values), strict=True) if not gone]
            levels, counts = np.unique(np.array(present, dtype=str), return_counts=True)
            if levels.size > 1:
                commonest = levels[np.argsort(-counts, kind="stable")][:_LEVELS]
                moves[column.name] = _Move(None, 0.0, 0.0, tuple(str(level) for level in commonest))
    return moves


def _start(sample: dict[str, npt.NDArray[Any]], probability: FloatArray, moves: dict[str, _Move]) -> _Search:
    label = predicted_codes(probability)
    return _Search(
        origin=sample,
        now={name: values.copy() for name, values in sample.items()},
        label=label,
        standing=probability[np.arange(label.size), label],
        way={name: np.zeros(label.size) for name in moves},
        best=np.full(label.size, np.inf),
        flipped={name: values.copy() for name, values in sample.items()},
        after=label.copy(),
    )


def _advance(
    predict: Predict, signature: Signature, search: _Search, moves: dict[str, _Move], failures: list[str]
) -> None:
    """Try every move of every column once, note the flips, and take the best step of each row without one."""
    n_rows = search.label.size
    gain = np.zeros(n_rows)
    chosen: list[tuple[str, Any, float, float] | None] = [None] * n_rows
    flips: list[Ends] = []
    for name, move in moves.items():
        values, costs = _candidates(move, search.origin[name])
        n_tries = values.shape[0]
        tried = {column: np.tile(cells, n_tries) for column, cells in search.now.items()}
        answer = ask(predict, {**tried, name: values.ravel()})
        if answer.scores is None:
            failures.append(answer.failure)
            continue
        probability = as_probability(signature.task, answer.scores)
        codes = predicted_codes(probability).reshape(n_tries, n_rows)
        standing = probability[np.arange(n_tries * n_rows), np.tile(search.label, n_tries)].reshape(n_tries, n_rows)
        others = sum((way for column, way in search.way.items() if column != name), np.zeros(n_rows))
        length = np.sqrt(others + costs)
        turned = codes != search.label
        nearest = np.where(turned, length, np.inf).argmin(axis=0)
        rows = np.flatnonzero(turned.any(axis=0))
        if rows.size:
            flips.append((name, rows, values[nearest[rows], rows], codes[nearest[rows], rows]))
        for attempt in range(n_tries):
            fall = (search.standing - standing[attempt]) / np.maximum(length[attempt], 0.1)
            better = (fall > gain) & ~turned[attempt] & (length[attempt] < search.best)
            for row in np.flatnonzero(better).tolist():
                chosen[row] = (name, values[attempt, row], float(costs[attempt, row]), float(standing[attempt, row]))
            gain[better] = fall[better]
    numeric = [ends for ends in flips if moves[ends[0]].spread is not None]
    categorical = [ends for ends in flips if moves[ends[0]].spread is None]
    for ends in categorical + _tighten(predict, signature, search, numeric, failures):
        _note(search, moves[ends[0]], ends)
    for row, step in enumerate(chosen):
        if step is not None:
            name, value, cost, standing_there = step
            search.now[name][row], search.way[name][row], search.standing[row] = value, cost, standing_there


def _tighten(
    predict: Predict, signature: Signature, search: _Search, flips: list[Ends], failures: list[str]
) -> list[Ends]:
    """Halve, for all columns in the same calls, the way from where a row stands to the value that turns it."""
    if not flips:
        return []
    rows = np.concatenate([ends[1] for ends in flips])
    cuts = np.cumsum([ends[1].size for ends in flips])[:-1]
    high, after = (np.concatenate([ends[part] for ends in flips]) for part in (2, 3))
    low = np.concatenate([search.now[name][at] for name, at, _, _ in flips])
    given = take(search.now, rows)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        trial = {name: cells.copy() for name, cells in given.items()}
        for (name, *_), at in zip(flips, np.split(np.arange(rows.size), cuts), strict=True):
            trial[name][at] = middle[at]
        answer = ask(predict, trial)
        if answer.scores is None:
            failures.append(answer.failure)
            break
        codes = predicted_codes(as_probability(signature.task, answer.scores))
        turned = codes != search.label[rows]
        low, high = np.where(turned, low, middle), np.where(turned, middle, high)
        after = np.where(turned, codes, after)
    tightened = zip(flips, np.split(high, cuts), np.split(after, cuts), strict=True)
    return [(name, at, values, codes) for (name, at, _, _), values, codes in tightened]


def _note(search: _Search, move: _Move, ends: Ends) -> None:
    """Keep the flips that are nearer than those found before."""
    name, rows, values, after = ends
    others = sum((way[rows] for column, way in search.way.items() if column != name), np.zeros(rows.size))
    origin = search.origin[name][rows]
    cost = (
        np.where(values.astype(str) == origin.astype(str), 0.0, CATEGORY_DISTANCE**2)
        if move.spread is None
        else np.square((values - origin) / move.spread)
    )
    length = np.sqrt(others + cost)
    nearer = length < search.best[rows]
    found = rows[nearer]
    search.best[found], search.after[found] = length[nearer], after[nearer]
    for column, cells in search.flipped.items():
        cells[found] = search.now[column][found]
    search.flipped[name][found] = values[nearer]


def _candidates(move: _Move, origin: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], FloatArray]:
    """Return values to try, shape ``(n_tries, n_rows)``, and their squared distance from the origin."""
    if move.spread is None:
        values = np.array([[target] * origin.size for target in move.targets], dtype=object)
        gone = missing(origin)
        values[:, gone] = origin[gone]
        costs = CATEGORY_DISTANCE**2 * (values.astype(str) != origin.astype(str)).astype(np.float64)
        costs[:, gone] = 0.0
        return values, costs
    near = [np.clip(origin + step * move.spread, move.low, move.high) for step in _STEPS]
    far = [np.full(origin.size, target) for target in move.targets]
    values = np.stack(near + far)
    stuck = ~np.isfinite(origin)
    values[:, stuck] = origin[stuck]
    return values, np.where(stuck, 0.0, np.square((values - np.where(stuck, 0.0, origin)) / move.spread))


def _walk_back(
    predict: Predict, signature: Signature, search: _Search, moves: dict[str, _Move], failures: list[str]
) -> None:
    """Halve the numeric part of each flip while the label stays turned; categories keep their change."""
    rows = np.flatnonzero(np.isfinite(search.best))
    if rows.size == 0:
        return
    origin, end = take(search.origin, rows), take(search.flipped, rows)
    numeric = [name for name, move in moves.items() if move.spread is not None]
    fixed = np.zeros(rows.size)
    for name, move in moves.items():
        if move.spread is None:
            changed = np.array([a != b for a, b in zip(origin[name], end[name], strict=True)])
            changed &= ~missing(origin[name])
            fixed += CATEGORY_DISTANCE**2 * changed
    low, high = np.zeros(rows.size), np.ones(rows.size)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        trial = {**end, **{name: origin[name] + middle * (end[name] - origin[name]) for name in numeric}}
        answer = ask(predict, trial)
        if answer.scores is None:
            failures.append(answer.failure)
            return
        codes = predicted_codes(as_probability(signature.task, answer.scores))
        turned = codes != search.label[rows]
        squares = fixed + sum(
            (np.square(np.nan_to_num(trial[name] - origin[name]) / (moves[name].spread or 1.0)) for name in numeric),
            np.zeros(rows.size),
        )
        high, low = np.where(turned, middle, high), np.where(turned, low, middle)
        search.best[rows[turned]] = np.sqrt(squares[turned])
        search.after[rows[turned]] = codes[turned]
        for name in numeric:
            search.flipped[name][rows[turned]] = trial[name][turned]


def _share(best: FloatArray, within: float) -> Interval:
    hits = int(np.count_nonzero(best <= within))
    low, high = wilson_interval(hits, best.size)
    return Interval(value=hits / best.size, low=low, high=high)


def _median(distances: FloatArray, seed: int) -> Interval:
    if distances.size == 0:
        return not_computable("no row got another label")
    ordered = np.sort(distances)

    def medians(weights: FloatArray) -> dict[str, FloatArray]:
        half = np.cumsum(weights, axis=-1) >= weights.sum(axis=-1, keepdims=True) / 2
        return {"median": ordered[half.argmax(axis=-1)]}

    replicates = bootstrap(medians, ordered.size, seed=seed, n_resamples=400)
    return interval(np.median(ordered), replicates["median"])


def _example(signature: Signature, search: _Search, row: int, index: int) -> FlipExample:
    changes = []
    for name in search.way:
        before, after = search.origin[name][row], search.flipped[name][row]
        if before != after and not missing(search.origin[name][row : row + 1])[0]:
            changes.append(FlipChange(column=name, before=_plain(before), after=_plain(after)))
    return FlipExample(
        row=index,
        before=signature.classes[int(search.label[row])],
        after=signature.classes[int(search.after[row])],
        distance=float(search.best[row]),
        changes=tuple(changes),
    )


def _plain(cell: Any) -> float | str:
    return cell if isinstance(cell, str) else float(cell)
