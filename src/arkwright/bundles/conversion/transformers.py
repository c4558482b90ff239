"""What fitted scikit-learn transformers do to the outputs before them, read from their public fitted attributes.

Known by the names of their classes: scikit-learn itself is never imported here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arkwright.bundles.cells import NAN, as_text
from arkwright.bundles.conversion.expressions import (
    REFUSED,
    Block,
    Cell,
    KeyCell,
    LevelCell,
    NumberCell,
    TermCell,
    TextCell,
    Value,
    new_group,
    with_steps,
)
from arkwright.bundles.errors import NotCompilable, WrongInputType
from arkwright.bundles.kernels import Step

Transform = Callable[[Any, Block], Block]

_UFUNCS = ("log1p", "sqrt", "log", "absolute")


def standard_scaler(fitted: Any, block: Block) -> Block:
    """``(x - mean_) / scale_``."""
    steps = _per_column(block)
    kind = np.float32 if block.single else np.float64  # the one scaler that rounds its operands, too
    if fitted.with_mean and fitted.mean_ is not None:
        steps = _with(steps, "subtract", np.asarray(fitted.mean_, dtype=kind))
    if fitted.scale_ is not None:
        steps = _scaled_down(steps, np.asarray(fitted.scale_, dtype=kind), sparse=block.sparse)
    return _stepped(block, steps)


def robust_scaler(fitted: Any, block: Block) -> Block:
    """``(x - center_) / scale_``."""
    steps = _per_column(block)
    if fitted.center_ is not None:
        steps = _with(steps, "subtract", fitted.center_)
    if fitted.scale_ is not None:
        steps = _scaled_down(steps, fitted.scale_, sparse=block.sparse)
    return _stepped(block, steps)


def max_abs_scaler(fitted: Any, block: Block) -> Block:
    """``x / scale_``."""
    steps = _scaled_down(_per_column(block), fitted.scale_, sparse=block.sparse)
    if getattr(fitted, "clip", False):
        steps = _clipped(steps, -1.0, 1.0)
    return _stepped(block, steps)


def min_max_scaler(fitted: Any, block: Block) -> Block:
    """``x * scale_ + min_``, perhaps clipped."""
    steps = _with(_with(_per_column(block), "multiply", fitted.scale_), "add", fitted.min_)
    if fitted.clip:
        steps = _clipped(steps, *map(float, fitted.feature_range))
    return _stepped(block, steps)


def simple_imputer(fitted: Any, block: Block) -> Block:
    """Put ``statistics_`` where a cell is missing, drop columns that training never filled, append indicators."""
    cells: list[Cell] = []
    for cell, statistic in zip(block.cells, np.asarray(fitted.statistics_).tolist(), strict=True):
        empty = statistic is None or (isinstance(statistic, float) and math.isnan(statistic))
        if empty and not (fitted.strategy == "constant" or fitted.keep_empty_features):
            continue
        if block.single and isinstance(statistic, float):
            statistic = float(np.float32(statistic))  # noqa: PLW2901 - as it is written into such a matrix
        cells.append(_imputed(cell, fitted, statistic))
    if fitted.add_indicator:
        chosen = np.asarray(fitted.indicator_.features_).tolist()
        cells.extend(_indicator(block.cells[index], fitted.missing_values) for index in chosen)
    return replace(block, cells=cells)


def missing_indicator(fitted: Any, block: Block) -> Block:
    """Answer 1 where a cell of ``features_`` is missing."""
    if fitted.error_on_new and fitted.features == "missing-only":
        raise NotCompilable("A MissingIndicator refuses columns that begin to have missing cells.")
    chosen = np.asarray(fitted.features_).tolist()
    return Block([_indicator(block.cells[index], fitted.missing_values) for index in chosen])


def one_hot_encoder(fitted: Any, block: Block) -> Block:
    """One output for each category that is neither dropped nor rare, one for the rare ones."""
    rare_of = getattr(fitted, "infrequent_categories_", None)
    cells: list[Cell] = []
    for index, cell in enumerate(block.cells):
        categories = fitted.categories_[index].tolist()
        rare = _positions(categories, None if rare_of is None else rare_of[index])
        dropped = None if fitted.drop_idx_ is None else fitted.drop_idx_[index]
        hot, n_outputs = _one_hot_places(len(categories), rare, None if dropped is None else int(dropped))
        pooled = n_outputs - 1 if rare and not (dropped is not None and int(dropped) in rare) else -1
        unseen: int | None = -1
        if fitted.handle_unknown == "error":
            unseen = REFUSED
        elif fitted.handle_unknown in ("infrequent_if_exist", "warn"):
            unseen = pooled
        names = _one_hot_names(cell.column, categories, hot, n_outputs)
        cells.extend(_encoded(cell, categories, hot, unseen, names))
    return Block(cells, sparse=bool(fitted.sparse_output), single=np.dtype(fitted.dtype) == np.float32)


def ordinal_encoder(fitted: Any, block: Block) -> Block:
    """Give a category its position, and rare ones one together."""
    rare_of = getattr(fitted, "infrequent_categories_", None)
    cells: list[Cell] = []
    for index, cell in enumerate(block.cells):
        categories = fitted.categories_[index].tolist()
        rare = _positions(categories, None if rare_of is None else rare_of[index])
        codes: list[Value] = []
        n_frequent = sum(not _is_missing(level) for level in categories) - len(rare)
        code = 0
        for position, level in enumerate(categories):
            if _is_missing(level):
                codes.append(_number(fitted.encoded_missing_value))
            elif position in rare:
                codes.append(float(n_frequent))
            else:
                codes.append(float(code))
                code += 1
        unseen = _number(fitted.unknown_value) if fitted.handle_unknown == "use_encoded_value" else REFUSED
        cells.append(_labelled(cell, categories, codes, unseen))
    return Block(cells, single=np.dtype(fitted.dtype) == np.float32)


def target_encoder(fitted: Any, block: Block) -> Block:
    """Give a category its encoding, and an unknown one the mean of the target."""
    if fitted.target_type_ == "multiclass":
        raise NotCompilable("A TargetEncoder of several classes cannot be compiled.")
    cells: list[Cell] = []
    for index, cell in enumerate(block.cells):
        codes = [_number(value) for value in fitted.encodings_[index].tolist()]
        cells.append(_labelled(cell, fitted.categories_[index].tolist(), codes, _number(fitted.target_mean_)))
    return Block(cells)


def function_transformer(fitted: Any, block: Block) -> Block:
    """Nothing at all, or one of a few functions of NumPy."""
    if fitted.func is None:
        return block
    name = fitted.func.__name__ if isinstance(fitted.func, np.ufunc) else ""
    if name not in _UFUNCS or fitted.kw_args:
        raise NotCompilable(
            f"A FunctionTransformer calls {getattr(fitted.func, '__name__', fitted.func)!r}, which is code of your own."
        )
    return _stepped(block, _with(_per_column(block), name, [0.0] * len(block.cells)))


def selector(fitted: Any, block: Block) -> Block:
    """Keep the chosen columns."""
    support = np.asarray(fitted.get_support()).tolist()
    return replace(block, cells=[cell for cell, kept in zip(block.cells, support, strict=True) if kept])


TRANSFORMERS: dict[str, Transform] = {
    "FunctionTransformer": function_transformer,
    "MaxAbsScaler": max_abs_scaler,
    "MinMaxScaler": min_max_scaler,
    "MissingIndicator": missing_indicator,
    "OneHotEncoder": one_hot_encoder,
    "OrdinalEncoder": ordinal_encoder,
    "RobustScaler": robust_scaler,
    "SimpleImputer": simple_imputer,
    "StandardScaler": standard_scaler,
    "TargetEncoder": target_encoder,
}
"""By the class's name, for classes of scikit-learn; feature selectors are known by their ``get_support``."""


# Steps


def _per_column(block: Block) -> list[tuple[Step, ...]]:
    return [()] * len(block.cells)


def _with(steps: list[tuple[Step, ...]], op: Any, operands: Any) -> list[tuple[Step, ...]]:
    values = np.asarray(operands, dtype=np.float64).tolist()
    return [(*before, Step(op, value)) for before, value in zip(steps, values, strict=True)]


def _scaled_down(steps: list[tuple[Step, ...]], scale: Any, *, sparse: bool) -> list[tuple[Step, ...]]:
    if not sparse:
        return _with(steps, "divide", scale)
    # A sparse matrix is multiplied with the inverse, which rounds differently.
    return _with(steps, "multiply", 1.0 / np.asarray(scale, dtype=np.float64))


def _clipped(steps: list[tuple[Step, ...]], low: float, high: float) -> list[tuple[Step, ...]]:
    return _with(_with(steps, "at_least", [low] * len(steps)), "at_most", [high] * len(steps))


def _stepped(block: Block, steps: list[tuple[Step, ...]]) -> Block:
    rounding = (Step("round32"),)
    cells = []
    for cell, own in zip(block.cells, steps, strict=True):
        done = tuple(part for step in own for part in ((step, *rounding) if block.single else (step,)))
        cells.append(with_steps(cell, *done))
    return replace(block, cells=cells)


# Imputation


def _imputed(cell: Cell, fitted: Any, statistic: Any) -> Cell:
    marker = fitted.missing_values
    if isinstance(cell, TextCell):
        if not _is_missing(marker):
            raise NotCompilable(f"A SimpleImputer takes {marker!r} for missing in the text column {cell.column!r}.")
        if marker is None and not cell.none:
            raise WrongInputType(cell.column, "none", f"The imputer of {cell.column!r} takes None for missing.")
        if marker is not None and cell.none:
            return cell  # None is not NaN to it
        if not isinstance(statistic, str):
            raise WrongInputType(cell.column, "float64", f"The imputer of {cell.column!r} fills in {statistic!r}.")
        return cell if cell.fill is not None else replace(cell, fill=statistic)
    if isinstance(statistic, str) and isinstance(cell, NumberCell):
        raise WrongInputType(cell.column, "text", f"The imputer of {cell.column!r} fills in text.")
    if isinstance(statistic, bool) or not isinstance(statistic, int | float):
        raise NotCompilable(f"A SimpleImputer fills the number column {cell.column!r} with {statistic!r}.")
    filled = Step("fill", float(statistic))
    if _is_missing(marker):
        return with_steps(cell, filled)
    # With another marker, the imputer refuses NaN itself.
    return with_steps(cell, Step("present"), Step("missing_if", float(marker)), filled)


def _indicator(cell: Cell, marker: Any) -> Cell:
    if not _is_missing(marker):
        raise NotCompilable(f"A missing indicator takes {marker!r} for missing.")
    name = f"{cell.column} is missing"
    if isinstance(cell, TextCell):
        missing = 1.0 if cell.fill is None else 0.0
        return LevelCell(cell.column, new_group(), name, (), {}, 0.0, 0.0, missing)
    stepped = with_steps(cell, Step("is_missing"))
    return replace(stepped, name=name) if isinstance(stepped, NumberCell) else _own_group(stepped)


def _own_group(cell: Cell) -> Cell:
    return replace(cell, group=new_group()) if isinstance(cell, LevelCell | KeyCell | TermCell) else cell


# Categories


def _one_hot_places(n_categories: int, rare: set[int], dropped: int | None) -> tuple[list[int], int]:
    """Return each category's output, -1 for none, and the number of outputs."""
    places, taken = [-1] * n_categories, 0
    for position in range(n_categories):
        if position not in rare and position != dropped:
            places[position] = taken
            taken += 1
    if rare and (dropped is None or dropped not in rare):
        for position in rare:
            places[position] = taken
        taken += 1
    return places, taken


def _one_hot_names(column: str, categories: Sequence[Any], hot: Sequence[int], n_outputs: int) -> list[str]:
    names = [f"{column} is rare"] * n_outputs
    counts = [list(hot).count(place) for place in range(n_outputs)] if n_outputs < len(hot) else [1] * n_outputs
    for level, place in zip(categories, hot, strict=True):
        if place >= 0 and counts[place] == 1:
            names[place] = f"{column} is missing" if _is_missing(level) else f"{column} = {level}"
    return names


def _encoded(
    cell: Cell, categories: Sequence[Any], hot: Sequence[int], unseen: int | None, names: Sequence[str]
) -> list[Cell]:
    """Return one output per name, 1 at its categories and 0 elsewhere."""
    group = new_group()
    return [
        _looked_up(
            cell,
            categories,
            {position: 1.0 for position, its in enumerate(hot) if its == place},
            0.0,
            REFUSED if unseen is None else float(unseen == place),
            name,
            group,
        )
        for place, name in enumerate(names)
    ]


def _labelled(cell: Cell, categories: Sequence[Any], codes: Sequence[Value], unseen: Value) -> Cell:
    """Return one output with a number of its own for each category."""
    return _looked_up(cell, categories, dict(enumerate(codes)), 0.0, unseen, cell.column, new_group())


def _looked_up(
    cell: Cell,
    categories: Sequence[Any],
    special: dict[int, Value],
    base: float,
    unseen: Value,
    name: str,
    group: int,
) -> Cell:
    """Return what a fitted encoder makes of a cell: ``special`` by the category's position, ``base`` elsewhere."""
    known: dict[Any, Value] = {
        (None if _is_missing(level) else level): special.get(position, base)
        for position, level in enumerate(categories)
    }
    missing = known.pop(None) if None in known else unseen
    if isinstance(cell, TextCell):
        return _looked_up_text(cell, categories, known, missing, base, unseen, name, group)
    if any(isinstance(level, str) for level in known):
        raise WrongInputType(cell.column, "text", f"The encoder of {cell.column!r} knows categories that are text.")
    if isinstance(cell, NumberCell):
        keys = tuple(float(level) for level in known)
        kept = _special(keys, {float(level): value for level, value in known.items()}, base)
        return KeyCell(cell.column, group, name, cell.steps, keys, kept, base, unseen, missing)
    if isinstance(cell, TermCell):
        raise NotCompilable(f"The terms of the text column {cell.column!r} are encoded as categories.")

    def becomes(value: Value) -> Value:
        if value is None:
            return None
        return missing if math.isnan(value) else known.get(value, unseen)

    # Every known level is written out, so that the base may be that of the new encoding.
    values = {index: becomes(cell.special.get(index, cell.base)) for index in range(len(cell.levels))}
    return replace(
        cell,
        group=group,
        name=name,
        special={index: value for index, value in values.items() if value != base},
        base=base,
        unseen=becomes(cell.unseen),
        missing=becomes(cell.missing),
    )


def _looked_up_text(
    cell: TextCell,
    categories: Sequence[Any],
    known: dict[Any, Value],
    missing: Value,
    base: float,
    unseen: Value,
    name: str,
    group: int,
) -> Cell:
    if known and not any(isinstance(level, str) for level in known):
        raise WrongInputType(cell.column, "float64", f"The encoder of {cell.column!r} knows numbers, not text.")
    if not all(isinstance(level, str) for level in known):
        raise NotCompilable(f"The encoder of {cell.column!r} knows both text and numbers as categories.")
    if any(level is None for level in categories) and not cell.none:
        raise WrongInputType(cell.column, "none", f"The encoder of {cell.column!r} knows None as a category.")
    levels = tuple(str(level) for level in known)
    if cell.fill is not None:
        missing = known.get(cell.fill, unseen)
    kept = _special(levels, known, base)
    return LevelCell(cell.column, group, name, levels, kept, base, unseen, missing)


def _special(levels: Sequence[Any], known: dict[Any, Value], base: float) -> dict[int, Value]:
    return {index: known[level] for index, level in enumerate(levels) if known[level] != base}


def _positions(categories: Sequence[Any], rare: Any) -> set[int]:
    if rare is None:
        return set()
    wanted = {as_text(level) for level in np.asarray(rare, dtype=object).tolist()}
    return {position for position, level in enumerate(categories) if as_text(level) in wanted}


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float:
    return NAN if value is None else float(value)
