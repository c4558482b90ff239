"""Which columns, of which types, a fitted model takes; which answers it gives.

From four witnesses: the model's own attributes, the signature in its ``MLmodel`` file, a sample's column types, and, in
doubt, what its encoders have learned: a column of digits whose encoder knows texts is a column of texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from arkwright.bundles.conversion.pipeline import CompiledModel, compile_model, steps_of
from arkwright.bundles.errors import NotCompilable, WrongInputType
from arkwright.bundles.general import GeneralInput
from arkwright.contracts import Column
from arkwright.contracts.signature import ColumnKind, Label
from arkwright.core.errors import Invalid

_KINDS: dict[str, ColumnKind] = {
    "float64": "numeric",
    "float32": "numeric",
    "integer": "numeric",
    "boolean": "categorical",
    "text": "categorical",
    "category": "categorical",
    "moment": "time",
}


def fitted_names(model: Any) -> tuple[str, ...]:
    """Return the names of the columns a model was fitted on; empty where it was fitted on an array."""
    transformers, estimator = steps_of(model)
    for part in (*transformers[:1], model, estimator if not transformers else None):
        names = getattr(part, "feature_names_in_", None)
        if names is not None:
            return tuple(map(str, names))
        catboost = getattr(part, "feature_names_", None)
        if catboost is not None and any(str(name) != str(index) for index, name in enumerate(catboost)):
            return tuple(map(str, catboost))
    return ()


def class_labels(model: Any) -> tuple[Label, ...]:
    """Return a classifier's classes as JSON can hold them; empty for a regressor.

    Raises
    ------
    Invalid
        If a class is a fraction, or of a type of its own.
    """
    classes = getattr(model, "classes_", None)
    if classes is None:
        return ()
    labels: list[Label] = []
    for label in np.asarray(classes).tolist():
        if isinstance(label, float) and label.is_integer():
            labels.append(int(label))
        elif isinstance(label, str | int | bool):
            labels.append(label)
        else:
            raise Invalid(
                f"The model has the class {label!r}, which is no text, whole number or boolean.",
                code="model.classes",
                hint="Train it on such labels, or on numbers as a regression.",
            )
    return tuple(labels)


def choose_inputs(
    names: Sequence[str], declared: Mapping[str, GeneralInput], sampled: Mapping[str, GeneralInput]
) -> tuple[GeneralInput, ...]:
    """Return a model's inputs in order: the ``MLmodel`` file's word first, then the sample's.

    Raises
    ------
    Invalid
        If neither knows a column.
    """
    unknown = [name for name in names if name not in declared and name not in sampled]
    if unknown:
        others = ", ".join(repr(name) for name in [*declared, *sampled][:20]) or "none"
        raise Invalid(
            f"The model was fitted on the column {unknown[0]!r}, which the sample does not have.",
            code="import.columns",
            hint=f"The sample has: {others}. Give rows with the columns that the model takes.",
            errors=[{"field": name, "message": "is missing from the sample"} for name in unknown],
        )
    chosen = []
    for name in names:
        item = declared.get(name) or sampled[name]
        seen = sampled.get(name)
        if seen is not None and seen.dtype == "category" and item.dtype in ("text", "category"):
            item = seen
        chosen.append(item)
    return tuple(chosen)


def compile_with_inputs(
    model: Any, inputs: Sequence[GeneralInput]
) -> tuple[tuple[GeneralInput, ...], CompiledModel | NotCompilable]:
    """Compile a model, changing the type of a column where its encoders say otherwise.

    Returns
    -------
    tuple
        The inputs as the model takes them, and the compiled model or the reason why there is none.
    """
    found = with_pandas_categories(model, inputs)
    changed: set[tuple[str, str]] = set()
    while True:
        try:
            return found, compile_model(model, found)
        except WrongInputType as wrong:
            if (wrong.column, wrong.wanted) in changed:
                return found, wrong
            changed.add((wrong.column, wrong.wanted))
            found = tuple(_changed(item, wrong.wanted) if item.name == wrong.column else item for item in found)
        except NotCompilable as error:
            return found, error
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            # A release of the library whose attributes this one does not know, or a model that was never fitted.
            return found, NotCompilable(f"The model's parts could not be read: {type(error).__name__}: {error}.")


def with_pandas_categories(model: Any, inputs: Sequence[GeneralInput]) -> tuple[GeneralInput, ...]:
    """Return the inputs with the categories that LightGBM, or scikit-learn's HGB, remembers from a frame."""
    transformers, estimator = steps_of(model)
    if transformers:
        return tuple(inputs)
    found = list(inputs)
    for place, levels in remembered_categories(estimator, inputs).items():
        found[place] = msgspec.structs.replace(inputs[place], dtype="category", levels=tuple(levels))
    return tuple(found)


def remembered_categories(estimator: Any, inputs: Sequence[GeneralInput]) -> dict[int, list[Any]]:
    """Return the categories of each column that a fitted estimator reads as pandas' categories."""
    kind = type(estimator).__name__
    if kind.startswith(("LGBM", "LightGBM")):
        known = estimator.booster_.pandas_categorical or []
        places = [index for index, item in enumerate(inputs) if item.dtype in ("text", "category", "boolean")]
        return dict(zip(places, known, strict=True)) if len(places) == len(known) else {}
    flags = getattr(estimator, "is_categorical_", None) if kind.startswith("HistGradientBoosting") else None
    if flags is None or len(flags) != len(inputs):
        return {}
    places = np.flatnonzero(flags).tolist()
    encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001 - the only place they are in
    levels = [[level for level in own.tolist() if level == level] for own in encoder.categories_]  # noqa: PLR0124
    texts = {place: own for place, own in zip(places, levels, strict=True) if isinstance(own[0], str)}
    return texts if len(texts) == len(places) else {}


def signature_columns(inputs: Sequence[GeneralInput]) -> tuple[Column, ...]:
    """Return the columns of a signature."""
    return tuple(Column(name=item.name, kind=_KINDS[item.dtype]) for item in inputs)


def _changed(item: GeneralInput, wanted: str) -> GeneralInput:
    if wanted == "none":
        return msgspec.structs.replace(item, missing_none=True)
    return GeneralInput(name=item.name, dtype="text" if wanted == "text" else "float64")
