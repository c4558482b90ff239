"""Groups of rows: from the labels of a column, from bins of a number, from two columns together.

A group column need not be an input of the model. A missing value is a group of its own, because people who did not
answer may well be treated differently from those who did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.metric import FloatArray, IntArray

MISSING = "(missing)"
MAX_GROUPS = 100


@dataclass(frozen=True, slots=True)
class Groups:
    """One group code per row, and each code's name.

    ``codes`` has shape ``(n_rows,)`` and holds whole numbers from 0; code ``i`` is the group ``labels[i]``. Every label
    has at least one row; labels stand in the order in which a table should show them.
    """

    codes: IntArray
    labels: tuple[str, ...]

    def sizes(self) -> IntArray:
        """Count the rows of each group."""
        return np.bincount(self.codes, minlength=len(self.labels)).astype(np.int64)

    def place(self) -> IntArray:
        """Rank the groups by their first row: an order that does not depend on what the groups are called."""
        _, first = np.unique(self.codes, return_index=True)
        return np.argsort(np.argsort(first)).astype(np.int64)

    def take(self, rows: IntArray) -> Groups:
        """Return the groups of some rows; labels without a row there are gone."""
        return _occupied(self.codes[rows], self.labels)


GroupValues: TypeAlias = Groups | Sequence[Any] | npt.NDArray[Any]
"""Groups, or the column they are to be read from."""


def groups_of(values: GroupValues, *, column: str = "the column") -> Groups:
    """Read groups from the values of a column: one per distinct value, None, NaN and blank text as ``(missing)``.

    Labels are sorted as numbers if all are numbers, else as text; the missing group comes last.

    Raises
    ------
    Invalid
        If there are more than 100 distinct values: that is a number to be binned, or an identifier.

    Examples
    --------
    >>> groups = groups_of(["b", None, "a", "b"])
    >>> groups.labels, groups.codes.tolist()
    (('a', 'b', '(missing)'), [1, 2, 0, 1])
    """
    if isinstance(values, Groups):
        return values
    texts = np.array([_text(value) for value in _plain(values)], dtype=object)
    if texts.size == 0:
        raise Invalid(
            f"{column} has no rows", code="evaluation.no_rows", hint="Give one value per row that was scored."
        )
    distinct, codes = np.unique(texts.astype(str), return_inverse=True)
    if distinct.size > MAX_GROUPS:
        raise Invalid(
            f"{column} has {distinct.size:,} distinct values, more than {MAX_GROUPS} groups",
            code="evaluation.too_many_groups",
            hint="Bin a number (arkwright.evaluation.groups.binned) or merge rare values before comparing groups.",
        )
    ranked = sorted(range(distinct.size), key=lambda code: _place(str(distinct[code]), distinct))
    position = np.empty(distinct.size, dtype=np.int64)
    position[ranked] = np.arange(distinct.size)
    return Groups(codes=position[codes], labels=tuple(str(distinct[code]) for code in ranked))


def binned(
    values: Sequence[Any] | npt.NDArray[Any],
    *,
    edges: Sequence[float] | None = None,
    quantiles: int = 4,
    column: str = "the column",
) -> Groups:
    """Cut a number such as age into groups.

    Parameters
    ----------
    values
        Numbers; None and NaN become the group ``(missing)``.
    edges
        Where to cut, rising: ``[25, 60]`` gives ``< 25``, ``25 to < 60`` and ``>= 60``. A value on an edge belongs to
        the group above it. Without edges the cuts are quantiles of the values, ``quantiles`` groups of about
        equal size; fewer where values repeat.

    Raises
    ------
    Invalid
        If the values are not numbers, the edges do not rise, or there are fewer than 2 quantile groups.

    Examples
    --------
    >>> groups = binned([18, 25, 61, None], edges=[25, 60])
    >>> [groups.labels[code] for code in groups.codes]
    ['< 25', '25 to < 60', '>= 60', '(missing)']
    """
    try:
        numbers = np.array([np.nan if value is None else value for value in _plain(values)], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"{column} cannot be binned, because it holds values that are not numbers",
            code="evaluation.not_numeric",
            hint="Use its values as groups instead, or clean the column first.",
        ) from error
    present = ~np.isnan(numbers)
    if edges is None:
        if quantiles < 2:
            raise Invalid(f"{quantiles} quantile groups cannot be compared", hint="Ask for 2 or more.")
        inner = np.linspace(0.0, 1.0, quantiles + 1)[1:-1]
        cuts = np.unique(np.quantile(numbers[present], inner)) if present.any() else np.empty(0)
    else:
        cuts = np.asarray(edges, dtype=np.float64)
        if cuts.size == 0 or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
            raise Invalid(
                f"the edges {list(edges)} for {column} do not rise",
                code="evaluation.edges",
                hint="Give finite numbers, each above the one before, such as [25, 40, 60].",
            )
    names = _bin_names(cuts)
    codes = np.searchsorted(cuts, numbers, side="right")
    codes[~present] = len(names)
    return _occupied(codes.astype(np.int64), (*names, MISSING))


def intersect(first: Groups, second: Groups) -> Groups:
    """Combine two columns: one group per pair of labels that has rows.

    Raises
    ------
    Invalid
        If the two have different lengths, or more than 100 pairs have rows.

    Examples
    --------
    >>> intersect(groups_of(["F", "M", "F"]), groups_of(["x", "x", "y"])).labels
    ('F & x', 'F & y', 'M & x')
    """
    if first.codes.size != second.codes.size:
        raise Invalid(
            f"columns of {first.codes.size:,} and {second.codes.size:,} rows cannot be combined",
            code="evaluation.lengths",
            hint="Give both columns for the same rows.",
        )
    names = tuple(f"{one} & {two}" for one in first.labels for two in second.labels)
    combined = _occupied(first.codes * len(second.labels) + second.codes, names)
    if len(combined.labels) > MAX_GROUPS:
        raise Invalid(
            f"the two columns together make {len(combined.labels)} groups, more than {MAX_GROUPS}",
            code="evaluation.too_many_groups",
            hint="Merge rare values of one of them first.",
        )
    return combined


def _occupied(codes: IntArray, labels: tuple[str, ...]) -> Groups:
    found, dense = np.unique(codes, return_inverse=True)
    return Groups(codes=dense.astype(np.int64), labels=tuple(labels[code] for code in found))


def _bin_names(cuts: FloatArray) -> tuple[str, ...]:
    if cuts.size == 0:
        return ("all",)
    written = [f"{cut:.6g}" for cut in cuts]
    between = [f"{low} to < {high}" for low, high in pairwise(written)]
    return (f"< {written[0]}", *between, f">= {written[-1]}")


def _plain(values: Sequence[Any] | npt.NDArray[Any]) -> list[Any]:
    found = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return found if isinstance(found, list) else [found]


def _text(value: Any) -> str:
    # NaN and NaT are the values that do not equal themselves.
    if value is None or value != value:  # noqa: PLR0124
        return MISSING
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or MISSING


def _place(label: str, labels: npt.NDArray[Any]) -> tuple[bool, float, str]:
    numeric = all(_is_number(str(other)) for other in labels if other != MISSING)
    return (label == MISSING, float(label) if numeric and label != MISSING else 0.0, label)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
