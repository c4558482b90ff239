"""A fitted pipeline, output by output: what each number in the estimator's vector is, as a function of one column.

Transformers that work on one column at a time only ever add a step to a number, or relabel the levels of a category.
So every output is one of five things, and the kernels of an encoder can be read off at the end:

=============  =================================================================
``NumberCell``  a number through steps
``TextCell``    a category's text, perhaps imputed: not a number yet
``LevelCell``   one output of an encoded category (text)
``KeyCell``     one output of an encoded category that is a number
``TermCell``    the weight of one term of a text
=============  =================================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from arkwright.bundles.errors import CellRefused, NotCompilable
from arkwright.bundles.kernels import (
    Chain,
    FittedKernel,
    Levels,
    LevelTable,
    NumberLevels,
    Step,
    TermWeights,
    TextPlan,
)
from arkwright.bundles.kernels.steps import for_row, is_finite

MAX_TERM_OUTPUTS = 2000
"""Terms of a text that may have outputs of their own; a linear model needs none."""

REFUSED = None
"""Stands for the answer that an encoder raises an error."""

Value = float | None

_NUMBER_OF = itertools.count()


@dataclass(frozen=True, slots=True)
class NumberCell:
    """A number through steps."""

    column: str
    steps: tuple[Step, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class TextCell:
    """A category's text.

    Parameters
    ----------
    fill
        What a missing one counts as; None where nothing replaces it.
    none
        Whether missing is None to the pipeline, and not NaN.
    """

    column: str
    fill: str | None = None
    none: bool = False


@dataclass(frozen=True, slots=True)
class LevelCell:
    """One output of an encoded category.

    Parameters
    ----------
    group
        Outputs of one encoding of one column share it, and become one kernel.
    levels
        The known levels, the same for the whole group.
    special
        The levels at which the output is not ``base``.
    """

    column: str
    group: int
    name: str
    levels: tuple[str, ...]
    special: dict[int, Value]
    base: Value
    unseen: Value
    missing: Value


@dataclass(frozen=True, slots=True)
class KeyCell:
    """One output of an encoded category that is a number, through steps."""

    column: str
    group: int
    name: str
    steps: tuple[Step, ...]
    levels: tuple[float, ...]
    special: dict[int, Value]
    base: Value
    unseen: Value
    missing: Value


@dataclass(frozen=True, slots=True)
class TermCell:
    """The weight of one term, times a factor."""

    column: str
    group: int
    plan: TextPlan
    term: int
    factor: float = 1.0


Cell = NumberCell | TextCell | LevelCell | KeyCell | TermCell


@dataclass(frozen=True, slots=True)
class Block:
    """The columns between two transformers.

    Parameters
    ----------
    sparse
        Whether scikit-learn holds them in a sparse matrix, which changes its arithmetic.
    single
        Whether it holds them in 32 bits.
    """

    cells: list[Cell] = field(default_factory=list)
    sparse: bool = False
    single: bool = False


def new_group() -> int:
    """Return a number that no other group has."""
    return next(_NUMBER_OF)


def with_steps(cell: Cell, *steps: Step) -> Cell:
    """Apply steps to an output.

    Raises
    ------
    NotCompilable
        If the cell is no number, or an operand none that can be stored.
    """
    if not is_finite(steps):
        raise NotCompilable(f"A transformer of the column {cell.column!r} was fitted to a number that is not finite.")
    if isinstance(cell, TextCell):
        raise NotCompilable(f"A transformer of numbers is applied to the text column {cell.column!r}.")
    if isinstance(cell, NumberCell):
        return replace(cell, steps=cell.steps + steps)
    if isinstance(cell, TermCell):
        factor = cell.factor
        for step in steps:
            if step.op in ("present", "within32"):
                continue  # a term's weight is neither missing nor large
            if step.op not in ("multiply", "divide"):
                raise NotCompilable(
                    f"The terms of the text column {cell.column!r} are transformed by more than scaling."
                )
            factor = factor * step.value if step.op == "multiply" else factor / step.value
        return replace(cell, factor=factor)
    apply = _on_value(for_row(steps, cell.column))
    return replace(
        cell,
        special={index: apply(value) for index, value in cell.special.items()},
        base=apply(cell.base),
        unseen=apply(cell.unseen),
        missing=apply(cell.missing),
    )


def renamed(cell: Cell, name: str) -> Cell:
    """Give a number an output name."""
    return replace(cell, name=name) if isinstance(cell, NumberCell) else cell


def make_kernels(cells: Sequence[Cell]) -> tuple[FittedKernel, ...]:
    """Read the kernels off the outputs, in order.

    Raises
    ------
    NotCompilable
        If an output is text, or has terms beyond number.
    """
    kernels: list[FittedKernel] = []
    for _, members in itertools.groupby(cells, key=_group_of):
        group = list(members)
        kernels.extend(_kernels_of(group))
    return tuple(kernels)


def _group_of(cell: Cell) -> int:
    return -1 if isinstance(cell, NumberCell | TextCell) else cell.group


def _kernels_of(group: list[Cell]) -> list[FittedKernel]:
    first = group[0]
    if isinstance(first, NumberCell | TextCell):
        return [_chain(cell) for cell in group]
    if isinstance(first, TermCell):
        terms = [cell for cell in group if isinstance(cell, TermCell)]
        return [_term_weights(first, terms)]
    if isinstance(first, KeyCell):
        keys = [cell for cell in group if isinstance(cell, KeyCell)]
        table = _table(keys)
        return [NumberLevels(column=first.column, steps=first.steps, levels=first.levels, table=table)]
    levels = [cell for cell in group if isinstance(cell, LevelCell)]
    return [Levels(column=first.column, levels=first.levels, table=_table(levels))]


def _chain(cell: Cell) -> Chain:
    if not isinstance(cell, NumberCell):
        raise NotCompilable(
            f"The text column {cell.column!r} reaches the estimator without being encoded.",
            hint="Encode it, for example with OneHotEncoder, or leave it out.",
        )
    return Chain(column=cell.column, name=cell.name or cell.column, steps=cell.steps)


def _term_weights(first: TermCell, terms: list[TermCell]) -> TermWeights:
    if len(terms) > MAX_TERM_OUTPUTS:
        raise NotCompilable(
            f"The text column {first.column!r} has {len(terms):,} terms, more than the {MAX_TERM_OUTPUTS:,} that can "
            "be inputs of an estimator that is not linear.",
            hint="Limit them with max_features, or use a linear model, which may have any number.",
        )
    named = first.plan.vocabulary
    return TermWeights(
        column=first.column,
        plan=first.plan,
        names=tuple(f"{first.column}: {named[cell.term] if named else cell.term}" for cell in terms),
        terms=tuple(cell.term for cell in terms),
        factors=tuple(cell.factor for cell in terms),
    )


def _table(cells: Sequence[LevelCell | KeyCell]) -> LevelTable:
    n_levels = len(cells[0].levels)
    hot: list[int] = [-1] * n_levels
    values: list[float | None] = [0.0] * n_levels
    column = cells[0].column
    for place, cell in enumerate(cells):
        for index, value in cell.special.items():
            if value is None:
                # One level among others is refused: rare enough to leave to the general path.
                raise NotCompilable(f"A known level of {column!r} is refused by a later transformer.")
            if hot[index] >= 0:
                raise NotCompilable(f"A level of {column!r} has several outputs of its own.")
            hot[index], values[index] = place, _storable(value, column)
    base = _vector([cell.base for cell in cells], column)
    if base is None and -1 in hot:
        raise NotCompilable(f"A known level of {column!r} is refused by a later transformer.")
    return LevelTable(
        names=tuple(cell.name for cell in cells),
        base=base or (0.0,) * len(cells),
        hot=tuple(hot),
        values=tuple(values),
        unseen=_vector([cell.unseen for cell in cells], column),
        missing=_vector([cell.missing for cell in cells], column),
    )


def _vector(values: Sequence[Value], column: str) -> tuple[float | None, ...] | None:
    found = [value for value in values if value is not None]
    return tuple(_storable(value, column) for value in found) if len(found) == len(values) else None


def _storable(value: float, column: str) -> float | None:
    if math.isinf(value):
        raise NotCompilable(f"A level of {column!r} becomes an infinite number.")
    return None if math.isnan(value) else value


def _on_value(apply: Callable[[float], float]) -> Callable[[Value], Value]:
    def applied(value: Value) -> Value:
        if value is None:
            return None
        try:
            return apply(value)
        except CellRefused:
            return None

    return applied
