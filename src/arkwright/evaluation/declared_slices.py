"""Slices that somebody declared: rows by the values of their columns, measured beside all other rows.

Each slice is one question, asked before anybody looked: is the metric in the slice another one than in the rest? Rows
of the slice and of the rest are resampled apart, as two samples, so that the interval of the difference holds the
chances of both. Its p-value is of Student's t with the standard error of the resamples: of a few hundred resamples, the
share on one side of zero could never be small enough to outlive the correction. That correction (Holm) is over all
slices of one request: where every slice is called different whose corrected p-value is at most 5 %, one false call
among all of them has that probability.

A metric that depends on how common the classes are (log loss, precision, accuracy) differs between slices of another
base rate under a perfect model as well: the loss that the model itself expects and the skill against the slice's own
trivial model stand beside it (see :mod:`arkwright.evaluation.slices`).

References
----------
Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapters 6 and 8: standard errors, two samples.
Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian J. of Statistics 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.intervals import (
    DEFAULT_RESAMPLES,
    Interval,
    ReplicateMetrics,
    bootstrap,
    interval,
    rare_classes,
    resamples_for,
)
from arkwright.evaluation.metric import METRICS, IntArray, undefined_reason
from arkwright.evaluation.paired_tests import holm_adjusted

SURE = 0.05
FEWEST_ROWS = 30
"""A slice of fewer rows is marked small: read its intervals, not its values."""

Value = str | int | float | bool | None
BoolArray = npt.NDArray[np.bool_]


class SliceBounds(msgspec.Struct, frozen=True, kw_only=True):
    """A number from ``low`` on and below ``high``; one of the two may be left out."""

    low: float | None = None
    high: float | None = None


Wanted = Value | list[Value] | SliceBounds
"""One value, any of several, or a number between bounds; None is a missing value."""


class DeclaredSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A name, and by column what its rows have; all conditions hold at once."""

    name: str
    where: dict[str, Wanted]


class SliceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One declared slice beside all other rows.

    Parameters
    ----------
    where
        Its conditions in words.
    metrics
        Of its rows; ``small`` where they are fewer than 30.
    rest
        The tested metric of all other rows.
    difference
        The tested metric in the slice minus that of the rest, in its own unit.
    p_value, adjusted_p
        Two-sided, of no difference, alone and corrected for the number of slices.
    expected, trivial, skill
        As of a :class:`~arkwright.evaluation.slices.WeakSlice`, with ``loss``, the mean loss of its rows.
    reason
        Why the slice has no numbers at all, in words that follow "not computable, because".
    """

    name: str
    where: str
    n_rows: int
    share: float
    small: bool
    metrics: dict[str, Interval] = {}
    rest: Interval | None = None
    difference: Interval | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    loss: float | None = None
    expected: float | None = None
    trivial: float | None = None
    skill: float | None = None
    reason: str = ""

    def differs(self) -> bool:
        """Tell whether the tested metric is another one in the slice than in the rest, beyond chance."""
        return self.adjusted_p is not None and self.adjusted_p <= SURE

    def worse(self, metric: str) -> bool:
        """Tell whether it is worse in the slice, beyond chance."""
        found = None if self.difference is None else self.difference.value
        sign = METRICS[metric].sign if metric in METRICS else 1.0
        return self.differs() and found is not None and sign * found < 0


class SliceTable(msgspec.Struct, frozen=True, kw_only=True):
    """Declared slices beside all rows together; ``metric`` is the one that was tested."""

    metric: str
    n_rows: int
    overall: dict[str, float | None]
    slices: tuple[SliceRow, ...]


MetricsOf = Callable[[IntArray, Sequence[str] | None], ReplicateMetrics[str]]
"""Takes row numbers and the names of the wanted metrics (None: all to be shown); answers with those rows' metrics."""


def slice_table(
    slices: Mapping[str, BoolArray],
    metrics_of: MetricsOf,
    metric: str,
    *,
    seed: int,
    codes: IntArray | None = None,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> SliceTable:
    """Measure declared slices, and test each against all other rows.

    Parameters
    ----------
    slices
        By name, which rows belong to it; of one length each.
    metrics_of
        Such as ``lambda rows, names: classification_replicates(truth[rows], probability[rows], names, empty=np.nan)``.
    metric
        The one to test.
    codes
        Class code of each row, so that a rare class keeps its size in the resamples; None where there are no classes.

    Raises
    ------
    Invalid
        If there is no slice or no row, or the slices have different lengths.

    Examples
    --------
    >>> error, gold = np.array([1.0, 2.0, 6.0, 8.0]), np.array([False, False, True, True])
    >>> table = slice_table({"gold": gold}, lambda rows, names: lambda w: {"mae": w @ error[rows] / w.sum(-1)}, "mae",
    ...                     seed=0)
    >>> table.slices[0].metrics["mae"].value, table.slices[0].rest.value, table.slices[0].difference.value
    (7.0, 1.5, 5.5)
    """
    lengths = {mask.size for mask in slices.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise Invalid(
            "There are no rows to slice." if lengths <= {0} else "The slices are not of one length.",
            code="evaluation.no_rows",
            hint="Say of each row, at least one, whether it belongs to a slice.",
        )
    n_rows = lengths.pop()
    measure = _Measure(metrics_of, metric, codes, seed, n_resamples)
    rows = [measure.row(name, mask) for name, mask in slices.items()]
    adjusted = holm_adjusted([row.p_value for row in rows])
    return SliceTable(
        metric=metric,
        n_rows=n_rows,
        overall=measure.overall(n_rows),
        slices=tuple(msgspec.structs.replace(row, adjusted_p=value) for row, value in zip(rows, adjusted, strict=True)),
    )


def members(declared: DeclaredSlice, columns: Mapping[str, npt.NDArray[Any]]) -> BoolArray:
    """Tell which rows belong to a declared slice.

    Parameters
    ----------
    columns
        Numbers (NaN where missing) or texts (None where missing), each of shape ``(n_rows,)``.

    Raises
    ------
    Invalid
        If a column is not there, or holds no numbers where bounds or a number ask for them.

    Examples
    --------
    >>> columns = {"plan": np.array(["a", "b", None], dtype=object), "age": np.array([20.0, 30.0, 40.0])}
    >>> members(DeclaredSlice(name="x", where={"plan": ["a", "b"], "age": SliceBounds(low=30)}), columns).tolist()
    [False, True, False]
    """
    found: BoolArray | None = None
    for name, wanted in declared.where.items():
        if name not in columns:
            raise Invalid(
                f"the data has no column {name!r}", code="evaluation.slice_unknown", hint="Check how it is spelt."
            )
        held = _holds(name, np.asarray(columns[name]), wanted)
        found = held if found is None else found & held
    return np.zeros(0, dtype=bool) if found is None else found


def in_words(declared: DeclaredSlice) -> str:
    """Say which rows a declared slice holds.

    Examples
    --------
    >>> in_words(DeclaredSlice(name="x", where={"plan": ["a", None], "age": SliceBounds(low=30, high=60)}))
    'plan is a or missing and 30 <= age < 60'
    """
    return " and ".join(_told(name, wanted) for name, wanted in declared.where.items())


def check_slices(slices: Sequence[DeclaredSlice]) -> None:
    """Check what can be checked of declared slices without the data.

    Raises
    ------
    Invalid
        If two have one name, one has no condition, or a condition can hold for no row.
    """
    names = [each.name for each in slices]
    for each in slices:
        problem = "" if names.count(each.name) == 1 else "there is another one of that name"
        if not each.where:
            problem = "it has no condition, so it is all rows"
        for column, wanted in each.where.items():
            problem = problem or _problem(column, wanted)
        if problem:
            raise Invalid(
                f"The slice {each.name!r} cannot be used: {problem}.",
                code="evaluation.slices",
                hint='Write it as {"name": "young women", "where": {"sex": "female", "age": {"high": 30}}}.',
            )


class _Measure:
    """What all slices are measured with."""

    def __init__(self, metrics_of: MetricsOf, metric: str, codes: IntArray | None, seed: int, n_resamples: int) -> None:
        self._metrics_of = metrics_of
        self._metric = metric
        self._codes = codes
        self._seed = seed
        self._n_resamples = n_resamples

    def row(self, name: str, mask: BoolArray) -> SliceRow:
        inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
        row = SliceRow(
            name=name, where="", n_rows=inside.size, share=inside.size / mask.size, small=inside.size < FEWEST_ROWS
        )
        if inside.size == 0:
            return msgspec.structs.replace(row, reason="no row is like that")
        metrics, replicates = self.table(inside)
        if outside.size == 0:
            alone = Interval(value=None, low=None, high=None, reason="every row is like that, so there is no rest")
            return msgspec.structs.replace(row, metrics=metrics, rest=alone, difference=alone)
        rest, others = self.table(outside, [self._metric], seed=1)
        difference, p_value = self._difference(metrics, rest, replicates, others, min(inside.size, outside.size))
        return msgspec.structs.replace(
            row, metrics=metrics, rest=rest[self._metric], difference=difference, p_value=p_value
        )

    def overall(self, n_rows: int) -> dict[str, float | None]:
        """Return the metrics of all rows; their intervals are the performance's."""
        values = self._metrics_of(np.arange(n_rows), None)(np.ones(n_rows))
        return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}

    def table(
        self, rows: IntArray, names: Sequence[str] | None = None, *, seed: int = 0
    ) -> tuple[dict[str, Interval], dict[str, npt.NDArray[np.float64]]]:
        """Return the metrics of some rows with their intervals, and the resamples' values."""
        metrics = self._metrics_of(rows, names)
        values = metrics(np.ones(rows.size))
        if rows.size == 1:
            return {name: _alone(float(value), name) for name, value in values.items()}, {}
        # Another seed for the rest: the two samples have nothing to do with each other.
        replicates = bootstrap(
            metrics,
            rows.size,
            seed=self._seed + seed,
            n_resamples=resamples_for(rows.size, self._n_resamples),
            strata=None if self._codes is None else rare_classes(self._codes[rows]),
        )
        found = {
            name: interval(value, replicates[name], reason=undefined_reason(name)) for name, value in values.items()
        }
        return found, replicates

    def _difference(
        self,
        metrics: Mapping[str, Interval],
        rest: Mapping[str, Interval],
        inside: Mapping[str, npt.NDArray[np.float64]],
        outside: Mapping[str, npt.NDArray[np.float64]],
        n_fewer: int,
    ) -> tuple[Interval, float | None]:
        own, other = metrics[self._metric], rest[self._metric]
        if own.value is None or other.value is None:
            missing = own if own.value is None else other
            where = "in the slice" if own.value is None else "in the rest"
            return Interval(value=None, low=None, high=None, reason=f"{where} {missing.reason}"), None
        value = own.value - other.value
        if self._metric not in inside or self._metric not in outside:
            return Interval(value=value, low=None, high=None, reason="one row has no interval"), None
        drawn = min(inside[self._metric].size, outside[self._metric].size)
        apart = inside[self._metric][:drawn] - outside[self._metric][:drawn]
        return interval(value, apart), _p_value(value, apart, n_fewer - 1)


def _p_value(value: float, replicates: npt.NDArray[np.float64], freedom: int) -> float | None:
    from scipy.special import stdtr  # noqa: PLC0415 - the room imports light

    finite = replicates[np.isfinite(replicates)]
    if finite.size < 2:
        return None
    error = float(finite.std(ddof=1))
    # What is left of a constant difference is rounding, not spread.
    if error <= 1e-12 * max(1.0, abs(value)):
        return None
    return float(2.0 * stdtr(freedom, -abs(value) / error))


def _alone(value: float, name: str) -> Interval:
    if not math.isfinite(value):
        return Interval(value=None, low=None, high=None, reason=undefined_reason(name))
    return Interval(value=value, low=None, high=None, reason="one row has no interval")


def _holds(name: str, values: npt.NDArray[Any], wanted: Wanted) -> BoolArray:
    numeric = values.dtype.kind in "fiu"
    if isinstance(wanted, SliceBounds):
        if not numeric:
            raise Invalid(
                f"column {name!r} holds no numbers to compare with bounds",
                code="evaluation.slice_not_numeric",
                hint="Name its values instead.",
            )
        low, high = (
            (-math.inf if wanted.low is None else wanted.low),
            (math.inf if wanted.high is None else wanted.high),
        )
        return np.asarray((values >= low) & (values < high), dtype=np.bool_)
    held = np.zeros(values.size, dtype=np.bool_)
    texts = None if numeric else _texts(values)
    for value in wanted if isinstance(wanted, list) else [wanted]:
        if texts is None:
            numbers = values.astype(np.float64)
            held |= np.isnan(numbers) if value is None else numbers == _number(name, value)
        else:
            held |= texts == ("" if value is None else _text(value))
    return held


def _texts(values: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    # NaN is the value that does not equal itself.
    return np.array(
        ["" if value is None or value != value else _text(value) for value in values.tolist()],  # noqa: PLR0124
        dtype=object,
    )


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _number(name: str, value: Value) -> float:
    if not isinstance(value, bool):
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            pass
    raise Invalid(
        f"column {name!r} holds numbers, and {value!r} is none",
        code="evaluation.slice_not_numeric",
        hint="Give a number, or bounds.",
    )


def _problem(column: str, wanted: Wanted) -> str:
    if isinstance(wanted, SliceBounds):
        if wanted.low is None and wanted.high is None:
            return f"the bounds of {column!r} have neither low nor high"
        if wanted.low is not None and wanted.high is not None and wanted.low >= wanted.high:
            return f"low is not below high in the bounds of {column!r}"
    elif isinstance(wanted, list) and not wanted:
        return f"no value of {column!r} is named"
    return ""


def _told(name: str, wanted: Wanted) -> str:
    if isinstance(wanted, SliceBounds):
        low = "" if wanted.low is None else f"{wanted.low:g} <= "
        return f"{low}{name}" + ("" if wanted.high is None else f" < {wanted.high:g}")
    values = wanted if isinstance(wanted, list) else [wanted]
    return f"{name} is {' or '.join('missing' if value is None else _text(value) for value in values)}"
