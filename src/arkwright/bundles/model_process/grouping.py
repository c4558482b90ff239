"""Nobody's answer may depend on who else is in the batch.

A whole-number column of a pandas frame becomes float64 as soon as one of its cells is missing or has a fraction, and a
boolean one becomes objects. A model may well tell ``3`` from ``3.0`` (as text, they differ), so one caller's null could
change another's score. Rows are therefore scored together only with rows that give each such column the same type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import Columns, FloatArray, as_text, read_boolean
from arkwright.bundles.general import GeneralInput

Model = Callable[[Columns], FloatArray]


def independent_of_company(model: Model, inputs: Sequence[GeneralInput]) -> Model:
    """Return a model that answers each row as it would answer it alone, as far as its columns' types go."""
    fickle = [item for item in inputs if item.dtype == "integer" or (item.dtype == "boolean" and not item.nullable)]
    if not fickle:
        return model

    def scores(columns: Columns) -> FloatArray:
        present = [item for item in fickle if item.name in columns]
        if not present:
            return model(columns)
        changes = np.column_stack([_changes_type(item, columns[item.name]) for item in present])
        if not (changes != changes[:1]).any():
            return model(columns)
        patterns, group = np.unique(changes, axis=0, return_inverse=True)
        places = [np.flatnonzero(group.reshape(-1) == number) for number in range(len(patterns))]
        found = [model({name: values[chosen] for name, values in columns.items()}) for chosen in places]
        together = np.empty((len(changes), *found[0].shape[1:]))
        for chosen, some in zip(places, found, strict=True):
            together[chosen] = some
        return together

    return scores


def _changes_type(item: GeneralInput, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if item.dtype == "boolean":
        return np.array([read_boolean(as_text(value)) is None for value in values.tolist()], dtype=bool)
    missing = np.isnan(values)
    whole = (values == np.floor(values)) & (np.abs(values) < 2.0 ** (item.bits - 1))
    changes: npt.NDArray[np.bool_] = ~whole & ~missing if item.nullable else ~whole
    return changes
