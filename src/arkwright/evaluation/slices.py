"""Weak slices: rows, named by one or two columns, on which the model is worse than on all the others.

:func:`find_weak_slices` searches; :mod:`arkwright.evaluation.declared_slices` measures slices that somebody declared.
Every slice searched is one test of *the mean loss in the slice is above that of the other rows*, and a hundred columns
make thousands of them: without a correction for how many were tried, some slice looks weak in any model. Numbers are
cut at quantiles and not where the loss would suggest, because cuts chosen by the loss would be one more search that no
correction knows of.

**What is weak.** A slice half of whose rows are positive has a larger log loss than one with five percent, under a
perfect model too: its outcome is less certain. So a classifier's slices are judged by their *excess*: the loss less
what the model's own probabilities lead to expect, which for the log loss is their entropy. Where the probabilities are
right the excess is zero on average, whatever the base rate; a slice with more of it is one about which the model is
wrong and does not know it (the reliability part of a proper score; DeGroot & Fienberg 1983, Bröcker 2009). More is
more than the rest *and* more than zero: beside rows on which the model does better than it expects, an honest slice is
no weak one. Both must be beyond chance: the larger of the two p-values counts (intersection-union test, Berger 1982).
What is left of the loss is the refinement part: rows that are hard to tell apart by what the model reads, and known by
it to be. Those are searched for as well, by the loss itself, with a correction of their own, and reported apart
(``harder``). Beside each slice stands what its own trivial model would lose, and the skill against that.

A predicted number comes without an expectation of its error: its slices are judged by the loss itself.

References
----------
Berger (1982), "Multiparameter Hypothesis Testing and Acceptance Sampling", Technometrics 24: intersection-union tests.
DeGroot & Fienberg (1983), "The Comparison and Evaluation of Forecasters", The Statistician 32; Bröcker (2009),
"Reliability, Sufficiency, and the Decomposition of Proper Scores", Q. J. R. Meteorological Society 135: the expected
score of a probability is its reliability and its refinement.
Chung, Kraska, Polyzotis, Tae & Whang (2019), "Slice Finder: Automated Data Slicing for Model Validation", ICDE: the
Welch test of a slice against its counterpart, the effect size, and the preference for slices with fewer conditions.
Sagadeeva & Boehm (2021), "SliceLine: Fast, Linear-Algebra-based Slice Finding", SIGMOD: smallest slice and pruning.
Welch (1947), Biometrika 34. Benjamini & Hochberg (1995), JRSS B 57.
Benjamini & Yekutieli (2001), Annals of Statistics 29: the false discovery rate under positive dependence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.classification import predicted_codes, row_log_loss
from arkwright.evaluation.declared_slices import SliceTable
from arkwright.evaluation.groups import MISSING, Groups, GroupValues, binned
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, Interval, metric_intervals
from arkwright.evaluation.metric import FloatArray, IntArray, require_finite

Loss = Literal["log_loss", "squared_error", "error"]
FEWEST_ROWS = 30
_SMALLEST_SHARE = 0.005
_HARDER = 5
_BINS = 5
_LEVELS_OF_A_NUMBER = 10


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One column's level: a category, or a bin of a number such as ``25 to < 60``."""

    column: str
    level: str


class WeakSlice(msgspec.Struct, frozen=True, kw_only=True):
    """Rows on which the model is worse.

    Parameters
    ----------
    loss
        Mean loss in the slice with its 95 % interval, which does not account for the slice having been searched for:
        the worst of many looks worse than it is.
    rest
        Mean loss of all other rows.
    effect
        The difference in units of the spread of what was judged, for the loss ``(loss - rest) / sqrt((var + var_rest)
        / 2)``; of an excess the difference to the rest's, or to 0 where that is below it. 0.2 is called small, 0.5
        medium, 0.8 large (Cohen 1988). Like ``statistic`` None where it varies on neither side, as when the model is
        always wrong in the slice and always right outside it.
    p_value, adjusted_p
        One-sided Welch test against the rest (of an excess also of more than 0: the less sure of the two), alone and
        corrected for the number of slices tested.
    expected
        The mean loss that the model's own probabilities lead to expect in the slice; None where it has none.
    excess, rest_excess
        Mean loss less the expected one, in the slice with its interval, and of all other rows.
    trivial
        What the slice's own trivial model would lose: its class shares, or its mean, for every row. It is fitted to
        these rows, which flatters it a little.
    skill
        ``1 - loss / trivial``: 0 where the model tells no more than that, None where the trivial model loses nothing.
    """

    conditions: tuple[Condition, ...]
    n_rows: int
    share: float
    loss: Interval
    rest: float
    effect: float | None
    statistic: float | None
    p_value: float
    adjusted_p: float
    expected: float | None = None
    excess: Interval | None = None
    rest_excess: float | None = None
    trivial: float | None = None
    skill: float | None = None


class WeakSlices(msgspec.Struct, frozen=True, kw_only=True):
    """What the search found.

    Parameters
    ----------
    overall
        Mean loss of all rows; None if there is none.
    n_tested
        How many slices were tested, which is what the p-values are corrected for.
    n_significant
        Slices below ``alpha`` after correction, before those were dropped that say nothing new.
    left_out
        Columns that were not searched, and why.
    reason
        Why nothing was tested; empty if something was.
    judged_by
        What the slices were compared by: ``excess`` over the expected loss, or the ``loss`` itself.
    harder
        Slices with a higher loss, as the model itself expects, that are none of ``slices``: nothing is wrong with
        their probabilities, and columns that tell more would help. At most five, found by a search of their own.
    declared
        The slices that somebody declared.
    """

    loss: str
    overall: float | None
    n_rows: int
    min_rows: int
    n_tested: int
    n_significant: int
    alpha: float
    slices: tuple[WeakSlice, ...]
    left_out: dict[str, str]
    reason: str = ""
    judged_by: Literal["loss", "excess"] = "loss"
    harder: tuple[WeakSlice, ...] = ()
    declared: SliceTable | None = None


def row_losses(loss: Loss, truth: npt.NDArray[Any], scores: FloatArray) -> FloatArray:
    """Return each row's loss, shape ``(n_rows,)``.

    Parameters
    ----------
    loss
        ``log_loss`` and ``error`` (1 where the wrong class was called) for class codes and ``scores`` of shape
        ``(n_rows, n_classes)``; ``squared_error`` for values and predictions of shape ``(n_rows,)``.

    Examples
    --------
    >>> row_losses("error", np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    array([0., 1.])
    """
    if loss == "squared_error":
        return np.asarray(np.square(truth - scores), dtype=np.float64)
    codes = truth.astype(np.int64)
    if loss == "error":
        return np.asarray(predicted_codes(scores) != codes, dtype=np.float64)
    return row_log_loss(codes, scores)


def expected_losses(loss: Loss, scores: FloatArray) -> FloatArray | None:
    """Return the loss that a classifier's own probabilities lead to expect in each row; None for a predicted number.

    Of the log loss it is the entropy of the probabilities, of the error the chance of any other class.

    Examples
    --------
    >>> expected_losses("error", np.array([[0.9, 0.1]])).round(3), expected_losses("log_loss", np.array([[0.5, 0.5]]))
    (array([0.1]), array([0.69314718]))
    """
    if loss == "squared_error":
        return None
    if loss == "error":
        return np.asarray(1.0 - scores[np.arange(len(scores)), predicted_codes(scores)], dtype=np.float64)
    codes = np.arange(scores.shape[1])
    # The loss as it is counted, which keeps away from an infinite one, so that the two differ by chance alone.
    each = [row_log_loss(np.full(len(scores), code), scores) for code in codes]
    return np.asarray(np.sum(scores * np.column_stack(each), axis=1), dtype=np.float64)


def trivial_loss(loss: Loss, truth: npt.NDArray[Any]) -> float:
    """Return the mean loss of the best constant answer for some rows: their class shares, or their mean.

    Examples
    --------
    >>> round(trivial_loss("log_loss", np.array([0, 1])), 3), trivial_loss("squared_error", np.array([1.0, 3.0]))
    (0.693, 1.0)
    """
    if loss == "squared_error":
        return float(np.var(truth))
    shares = np.unique(truth, return_counts=True)[1] / truth.size
    return float(1.0 - shares.max()) if loss == "error" else float(-(shares * np.log(shares)).sum())


def smallest_slice(n_rows: int) -> int:
    """Return how many rows a slice must have: 30, and half a percent of all.

    Below 30 a mean loss has no reliable standard error; below half a percent a finding is about few people and the
    search has too many candidates to find it.

    Examples
    --------
    >>> smallest_slice(1_000), smallest_slice(100_000)
    (30, 500)
    """
    return max(FEWEST_ROWS, int(np.ceil(_SMALLEST_SHARE * n_rows)))


@dataclass(frozen=True, slots=True)
class _Column:
    """Level codes; the last code is for rows whose level is too rare to be a slice."""

    name: str
    codes: IntArray
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """Rows, mean and variance of the loss on one side of a comparison; each of shape ``(n_slices,)``."""

    n: FloatArray
    mean: FloatArray
    variance: FloatArray


def find_weak_slices(
    columns: Mapping[str, GroupValues],
    losses: FloatArray,
    *,
    seed: int,
    loss: str = "loss",
    expected: FloatArray | None = None,
    trivial: Callable[[IntArray], float] | None = None,
    depth: int = 2,
    min_rows: int | None = None,
    min_effect: float = 0.1,
    alpha: float = 0.05,
    top: int = 10,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> WeakSlices:
    """Search a holdout for slices of one or two columns on which the loss is higher.

    Slices are reported in the order of their test statistic, and one that adds nothing is dropped. On its rows that no
    other reported slice covers it must still be worse than the rest, and a slice inside a reported one worse than the
    remainder of that one, by the same test, at ``alpha * k / n_tested`` for the ``k``-th slice of the report. That is
    the step of Benjamini and Hochberg with only the reported slices counted: one strong finding drags dozens of
    overlapping slices below the corrected level, and counting those would let false ones in on their credit.

    Parameters
    ----------
    columns
        Of the holdout, inputs of the model or not; each of ``n_rows`` values. Text and numbers with at most 10
        distinct values are sliced by value, other numbers into 5 quantile bins; a missing value is a level. Pass
        :class:`Groups` for other cuts.
    losses
        Each row's loss, as from :func:`row_losses`.
    seed
        Of the intervals.
    expected
        What the model itself expects each row's loss to be, as from :func:`expected_losses`. With it slices are judged
        by their excess, and those that are merely harder are reported apart.
    trivial
        Takes row numbers and answers with the loss of their own trivial model, such as
        ``lambda rows: trivial_loss("log_loss", truth[rows])``.
    min_rows
        The smallest slice, and the smallest rest; :func:`smallest_slice` by default.
    min_effect
        Findings with a smaller effect are not reported: on many rows any difference is significant. The default is
        half of what Cohen calls small.
    alpha
        The expected share of false findings (false discovery rate, Benjamini-Hochberg).

    Raises
    ------
    Invalid
        If a column has another length than the losses, a loss is not finite, or ``depth`` is not 1 or 2.

    Examples
    --------
    >>> plan = np.repeat(["basic", "gold"], 100)
    >>> losses = np.tile([0.0, 1.0], 100) + np.where(plan == "gold", 2.0, 0.0)
    >>> found = find_weak_slices({"plan": plan}, losses, seed=0).slices[0]
    >>> found.conditions[0].level, found.loss.value, found.rest
    ('gold', 2.5, 0.5)
    """
    n_rows = int(losses.size)
    if depth not in (1, 2):
        raise Invalid(f"Slices of {depth} columns are not searched.", code="slices.depth", hint="Use 1 or 2.")
    _require_lengths(columns, n_rows)
    require_finite("losses", losses)
    if expected is not None:
        require_finite("expected losses", expected)
    least = smallest_slice(n_rows) if min_rows is None else max(2, min_rows)
    empty = WeakSlices(
        loss=loss,
        overall=float(losses.mean()) if n_rows else None,
        n_rows=n_rows,
        min_rows=least,
        n_tested=0,
        n_significant=0,
        alpha=alpha,
        slices=(),
        left_out={},
        judged_by="loss" if expected is None else "excess",
    )
    if n_rows < 2 * least:
        reason = f"a slice and its rest need {least} rows each, and there are {n_rows}"
        return msgspec.structs.replace(empty, reason=reason)
    usable, left_out = _coded(columns, least)
    search = _Search(usable, least, depth, min_effect, alpha)
    found = search.run(losses, top) if expected is None else search.run(losses - expected, top, floor=0.0)
    if not found.n_tested:
        reason = "no column has a level that is large enough and does not hold almost all rows"
        return msgspec.structs.replace(empty, left_out=left_out, reason=reason)

    def described(each: _Found) -> WeakSlice:
        return _described(each, usable, losses, expected, trivial, seed=seed, n_resamples=n_resamples)

    known = {each.conditions for each in found.slices}
    harder = () if expected is None else search.run(losses, top).slices
    return msgspec.structs.replace(
        empty,
        n_tested=found.n_tested,
        n_significant=found.n_significant,
        slices=tuple(described(each) for each in found.slices),
        left_out=left_out,
        harder=tuple(described(each) for each in [each for each in harder if each.conditions not in known][:_HARDER]),
    )


def false_discovery_adjusted(p_values: FloatArray) -> FloatArray:
    """Correct p-values for how many there are: those up to alpha have a false discovery rate of at most alpha.

    Examples
    --------
    >>> false_discovery_adjusted(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.04, 0.04])
    """
    count = p_values.size
    order = np.argsort(p_values, kind="stable")
    stepped = np.minimum.accumulate((p_values[order] * count / np.arange(1, count + 1))[::-1])[::-1]
    adjusted = np.empty(count, dtype=np.float64)
    adjusted[order] = stepped
    return adjusted


def _require_lengths(columns: Mapping[str, GroupValues], n_rows: int) -> None:
    for name, values in columns.items():
        length = values.codes.size if isinstance(values, Groups) else len(values)
        if length != n_rows:
            raise Invalid(
                f"Column {name!r} has {length} rows, the predictions have {n_rows}.",
                code="evaluation.lengths",
                hint="Give one value for each row that was scored.",
            )


def _coded(columns: Mapping[str, GroupValues], least: int) -> tuple[list[_Column], dict[str, str]]:
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
        usable.append(_Column(name, position[groups.codes], tuple(groups.labels[code] for code in large)))
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
    labels = (f"{spike:g}", f"below {spike:g}", f"above {spike:g}", MISSING)
    codes = np.select([np.isnan(numbers), numbers < spike, numbers > spike], [3, 1, 2], 0)
    present = [code for code in range(len(labels)) if (codes == code).any()]
    return Groups(
        codes=np.searchsorted(present, codes).astype(np.int64), labels=tuple(labels[code] for code in present)
    )


def _label(value: Any) -> str:
    # NaN and NaT are the values that do not equal themselves.
    if value is None or value != value:  # noqa: PLR0124
        return MISSING
    return f"{value:g}" if isinstance(value, float) else str(value).strip() or MISSING


@dataclass(frozen=True, slots=True)
class _Found:
    """A slice that was found: its (column, code) pairs, its rows, and how it compares with the rest."""

    conditions: tuple[tuple[int, int], ...]
    rows: IntArray
    effect: float
    statistic: float
    p_value: float
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The slices found, strongest first, of how many tested, and how many were significant."""

    slices: tuple[_Found, ...]
    n_tested: int
    n_significant: int


@dataclass(frozen=True, slots=True)
class _Search:
    """A search over the same columns for whatever is to be high in a slice."""

    columns: Sequence[_Column]
    least: int
    depth: int
    min_effect: float
    alpha: float

    def run(self, values: FloatArray, top: int, floor: float | None = None) -> _Outcome:
        """Search; with a floor, a slice must be above that as well as above the rest."""
        candidates = _candidates(self.columns, values, self.least, self.depth)
        if not candidates.found:
            return _Outcome((), 0, 0)
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
            _Found(
                candidates.found[i], rows, float(effect[i]), float(statistic[i]), float(p_values[i]), float(adjusted[i])
            )
            for i, rows in ((int(order[position]), rows) for position, rows in kept)
        ]
        return _Outcome(tuple(slices), n_tested, int(significant.size))


def _described(
    found: _Found,
    columns: Sequence[_Column],
    losses: FloatArray,
    expected: FloatArray | None,
    trivial: Callable[[IntArray], float] | None,
    *,
    seed: int,
    n_resamples: int,
) -> WeakSlice:
    rows = found.rows
    others = np.ones(losses.size, dtype=np.bool_)
    others[rows] = False
    means = {"loss": losses} if expected is None else {"loss": losses, "excess": losses - expected}
    intervals = _mean_intervals({name: each[rows] for name, each in means.items()}, seed=seed, n_resamples=n_resamples)
    own = None if trivial is None else trivial(rows)
    return WeakSlice(
        conditions=tuple(
            Condition(column=columns[column].name, level=columns[column].labels[code])
            for column, code in found.conditions
        ),
        n_rows=int(rows.size),
        share=float(rows.size / losses.size),
        loss=intervals["loss"],
        rest=float(losses[others].mean()),
        effect=found.effect if np.isfinite(found.effect) else None,
        statistic=found.statistic if np.isfinite(found.statistic) else None,
        p_value=found.p_value,
        adjusted_p=found.adjusted_p,
        expected=None if expected is None else float(expected[rows].mean()),
        excess=intervals.get("excess"),
        rest_excess=None if expected is None else float((losses - expected)[others].mean()),
        trivial=own,
        skill=None if not own else 1.0 - float(losses[rows].mean()) / own,
    )


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The slices to test: each a tuple of (column, code), and the loss inside and outside."""

    found: list[tuple[tuple[int, int], ...]]
    inside: _Side
    outside: _Side


def _candidates(columns: Sequence[_Column], losses: FloatArray, least: int, depth: int) -> _Candidates:
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
    columns: Sequence[_Column],
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


def _mean_intervals(values: Mapping[str, FloatArray], *, seed: int, n_resamples: int) -> dict[str, Interval]:
    stacked = np.column_stack(list(values.values()))

    def means(weights: FloatArray) -> dict[str, FloatArray]:
        totals = weights @ stacked / weights.sum(axis=-1)[..., None]
        return {name: totals[..., place] for place, name in enumerate(values)}

    return metric_intervals(means, len(stacked), seed=seed, n_resamples=n_resamples)
