"""Weak slices: rows, named by one or two columns, on which the model is worse than on all the others.

:func:`find_weak_slices` searches; :mod:`arkwright.evaluation.declared_slices` measures slices that somebody declared.
Every slice searched is one test of *the mean loss in the slice is above that of the other rows*, and a hundred columns
make thousands of them: without a correction for how many were tried, some slice looks weak in any model. How they are
searched is in :mod:`arkwright.evaluation.slice_search`, what a row loses in :mod:`arkwright.evaluation.losses`.

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
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from arkwright.core.errors import Invalid
from arkwright.evaluation.declared_slices import FEWEST_ROWS, SliceTable
from arkwright.evaluation.groups import Groups, GroupValues
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, Interval, metric_intervals
from arkwright.evaluation.metric import FloatArray, IntArray, require_finite
from arkwright.evaluation.slice_search import FoundSlice, SliceColumn, SliceSearch, coded_columns

_SMALLEST_SHARE = 0.005
_HARDER = 5


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
        Each row's loss, as from :func:`~arkwright.evaluation.losses.row_losses`.
    seed
        Of the intervals.
    expected
        What the model itself expects each row's loss to be, as from
        :func:`~arkwright.evaluation.losses.expected_losses`. With it slices are judged by their excess, and those that
        are merely harder are reported apart.
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
    usable, left_out = coded_columns(columns, least)
    search = SliceSearch(usable, least, depth, min_effect, alpha)
    found = search.run(losses, top) if expected is None else search.run(losses - expected, top, floor=0.0)
    if not found.n_tested:
        reason = "no column has a level that is large enough and does not hold almost all rows"
        return msgspec.structs.replace(empty, left_out=left_out, reason=reason)

    def described(each: FoundSlice) -> WeakSlice:
        return _described(each, usable, losses, expected, trivial, seed=seed, n_resamples=n_resamples)

    known = {each.conditions for each in found.slices}
    by_loss = () if expected is None else search.run(losses, top).slices
    harder = [each for each in by_loss if each.conditions not in known][:_HARDER]
    return msgspec.structs.replace(
        empty,
        n_tested=found.n_tested,
        n_significant=found.n_significant,
        slices=tuple(described(each) for each in found.slices),
        left_out=left_out,
        harder=tuple(described(each) for each in harder),
    )


def _require_lengths(columns: Mapping[str, GroupValues], n_rows: int) -> None:
    for name, values in columns.items():
        length = values.codes.size if isinstance(values, Groups) else len(values)
        if length != n_rows:
            raise Invalid(
                f"Column {name!r} has {length} rows, the predictions have {n_rows}.",
                code="evaluation.lengths",
                hint="Give one value for each row that was scored.",
            )


def _described(
    found: FoundSlice,
    columns: Sequence[SliceColumn],
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


def _mean_intervals(values: Mapping[str, FloatArray], *, seed: int, n_resamples: int) -> dict[str, Interval]:
    stacked = np.column_stack(list(values.values()))

    def means(weights: FloatArray) -> dict[str, FloatArray]:
        totals = weights @ stacked / weights.sum(axis=-1)[..., None]
        return {name: totals[..., place] for place, name in enumerate(values)}

    return metric_intervals(means, len(stacked), seed=seed, n_resamples=n_resamples)
