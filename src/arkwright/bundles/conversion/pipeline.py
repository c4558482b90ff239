"""Compile a fitted scikit-learn pipeline into an encoder and an evaluator.

The pipeline is walked once: each transformer turns the outputs before it into others (:mod:`.expressions`), and at the
end every output is a function of one column. What cannot be said that way (principal components, code of one's own)
is refused with a sentence that names the part; such a model serves through the general path.

scikit-learn is not imported: classes are known by their names and read by their public fitted attributes, in the
process that could load them.

Notes
-----
Where the pipeline raises an error, the compiled one refuses the row with a 422 that names the field: an unknown
category under ``handle_unknown="error"``, a missing number without an imputer before an estimator that takes none, a
number beyond 32 bits before a forest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from arkwright.bundles.cells import NAN
from arkwright.bundles.conversion.estimators import convert_estimator, folded, guards_of
from arkwright.bundles.conversion.expressions import (
    Block,
    Cell,
    LevelCell,
    NumberCell,
    TextCell,
    make_kernels,
    new_group,
    with_steps,
)
from arkwright.bundles.conversion.text import VECTORIZERS, tfidf_transformer, vectorizer
from arkwright.bundles.conversion.transformers import TRANSFORMERS, Transform, selector
from arkwright.bundles.encoder import Encoder
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import Evaluator
from arkwright.bundles.general import GeneralInput
from arkwright.bundles.kernels import Step

_LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost")
_TRUE, _FALSE = ("True", "true", "1"), ("False", "false", "0")


@dataclass(frozen=True)
class CompiledModel:
    """What answers in place of a fitted model."""

    encoder: Encoder
    evaluator: Evaluator


def compile_model(model: Any, inputs: Sequence[GeneralInput]) -> CompiledModel:
    """Compile a fitted pipeline or estimator.

    Parameters
    ----------
    model
        A fitted ``Pipeline`` that ends in an estimator, or an estimator.
    inputs
        The columns it was fitted on, in order.

    Raises
    ------
    NotCompilable
        Naming the part that has no compiled form.
    """
    transformers, estimator = steps_of(model)
    # Fitted on a frame itself, an estimator reads pandas' categories as their positions.
    codes = not transformers and any(item.dtype == "category" for item in inputs)
    block = Block(
        [_code(item) if codes else _root(item) for item in inputs],
        single=all(item.dtype == "float32" for item in inputs),
    )
    names = [item.name for item in inputs]
    for transformer in transformers:
        block = _transformed(transformer, block, names)
        names = []
    cells = [with_steps(cell, *guards_of(estimator, sparse=block.sparse)) for cell in block.cells]
    evaluator = convert_estimator(estimator, with_codes=codes)
    if len(cells) != evaluator.n_features:
        raise NotCompilable(
            f"The transformers give {len(cells)} columns and the estimator takes {evaluator.n_features}.",
            hint="Was the pipeline changed after it was fitted?",
        )
    kernels, evaluator = folded(cells, evaluator)
    return CompiledModel(Encoder(kernels if kernels is not None else make_kernels(cells)), evaluator)


def compile_transformer(transformer: Any, inputs: Sequence[GeneralInput]) -> Encoder:
    """Compile a fitted transformer alone, as :func:`compile_model` does those of a pipeline."""
    block = Block([_root(item) for item in inputs], single=all(item.dtype == "float32" for item in inputs))
    return Encoder(make_kernels(_transformed(transformer, block, [item.name for item in inputs]).cells))


def steps_of(model: Any) -> tuple[list[Any], Any]:
    """Return a model's transformers, nested pipelines flattened, and its estimator."""
    model = getattr(model, "best_estimator_", model)
    if type(model).__name__ != "Pipeline":
        return [], model
    *before, (_, last) = model.steps
    if last is None or last == "passthrough":
        raise NotCompilable("The pipeline does not end in an estimator.")
    transformers, estimator = steps_of(last)
    return [step for _, step in before] + transformers, estimator


def _root(item: GeneralInput) -> Cell:
    if item.dtype in ("float64", "integer"):
        return NumberCell(item.name)
    if item.dtype == "float32":
        return NumberCell(item.name, (Step("round32"),))
    if item.dtype == "text":
        return TextCell(item.name, none=item.missing_none)
    if item.dtype == "boolean":
        special: dict[int, float | None] = dict.fromkeys(range(len(_TRUE)), 1.0)
        return LevelCell(item.name, new_group(), item.name, _TRUE + _FALSE, special, 0.0, NAN, NAN)
    if item.dtype == "category" and all(isinstance(level, str) for level in item.levels):
        return TextCell(item.name)
    raise NotCompilable(f"The column {item.name!r} is a {item.dtype}, for which there is no compiled form.")


def _code(item: GeneralInput) -> Cell:
    if item.dtype != "category":
        return _root(item)
    levels = tuple(str(level) for level in item.levels)
    special: dict[int, float | None] = {code: float(code) for code in range(1, len(levels))}
    return LevelCell(item.name, new_group(), item.name, levels, special, 0.0, NAN, NAN)


def _transformed(fitted: Any, block: Block, names: list[str]) -> Block:
    if fitted is None or (isinstance(fitted, str) and fitted == "passthrough"):
        return block
    kind, library = type(fitted).__name__, type(fitted).__module__.partition(".")[0]
    if library not in _LIBRARIES:
        raise NotCompilable(f"The transformer {kind} comes from {library!r}, whose code cannot be compiled.")
    if kind == "Pipeline":
        for _, step in fitted.steps:
            block, names = _transformed(step, block, names), []
        return block
    if kind in _UNIONS:
        return _UNIONS[kind](fitted, block, names)
    if kind in _SINGLE:
        return _SINGLE[kind](fitted, block)
    if hasattr(fitted, "get_support"):
        return selector(fitted, block)
    raise NotCompilable(f"There is no compiled form of the transformer {kind}.")


def _column_transformer(fitted: Any, block: Block, names: list[str]) -> Block:
    parts: list[Block] = []
    weights = fitted.transformer_weights or {}
    for name, transformer, columns in fitted.transformers_:
        indices = _indices(fitted, name, columns, names, len(block.cells))
        if not indices or (isinstance(transformer, str) and transformer == "drop"):
            continue
        chosen = [block.cells[index] for index in indices]
        single = block.single or all(
            isinstance(cell, NumberCell) and cell.steps[:1] == (Step("round32"),) for cell in chosen
        )
        part = _transformed(
            transformer, replace(block, cells=chosen, single=single), [names[i] for i in indices if names]
        )
        parts.append(_weighted(part, weights.get(name)))
    joined = _joined(parts)
    return replace(joined, sparse=bool(fitted.sparse_output_))


def _feature_union(fitted: Any, block: Block, names: list[str]) -> Block:
    weights = fitted.transformer_weights or {}
    parts = [
        _weighted(_transformed(transformer, block, names), weights.get(name))
        for name, transformer in fitted.transformer_list
        if not (isinstance(transformer, str) and transformer == "drop")
    ]
    return _joined(parts)


def _weighted(block: Block, weight: float | None) -> Block:
    if weight is None:
        return block
    return replace(block, cells=[with_steps(cell, Step("multiply", float(weight))) for cell in block.cells])


def _joined(parts: list[Block]) -> Block:
    return Block(
        [cell for part in parts for cell in part.cells],
        sparse=any(part.sparse for part in parts),
        single=bool(parts) and all(part.single for part in parts),
    )


def _indices(fitted: Any, name: str, columns: Any, names: list[str], n_columns: int) -> list[int]:
    """Return which columns a transformer of a ColumnTransformer was fitted on."""
    known = getattr(fitted, "_transformer_to_input_indices", {})
    if name in known:
        return [int(index) for index in known[name]]
    if isinstance(columns, str | int):
        columns = [columns]
    if isinstance(columns, slice):
        columns = list(range(n_columns))[columns]
    chosen = list(columns)
    if chosen and all(isinstance(column, bool) for column in chosen):
        return [index for index, kept in enumerate(chosen) if kept]
    try:
        return [names.index(column) if isinstance(column, str) else int(column) for column in chosen]
    except ValueError as error:
        raise NotCompilable(f"The ColumnTransformer's part {name!r} names a column that is not there.") from error


_UNIONS = {"ColumnTransformer": _column_transformer, "FeatureUnion": _feature_union}
_SINGLE: dict[str, Transform] = {
    **TRANSFORMERS,
    **dict.fromkeys(VECTORIZERS, vectorizer),
    "TfidfTransformer": tfidf_transformer,
}
