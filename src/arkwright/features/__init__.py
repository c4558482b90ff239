"""What the columns of a dataset are to a model, and the arrays a model reads.

:func:`infer_feature_types` decides from a profile which columns are numbers, categories or moments, and which are set
aside and why; :func:`to_columns` turns a stored table into the arrays of the columns that are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.features.columns import to_columns, to_labels, to_numbers, to_texts
    from arkwright.features.types import FeatureDecision, FeatureKind, infer_feature_types

_HOMES = {
    "FeatureDecision": "types",
    "FeatureKind": "types",
    "infer_feature_types": "types",
    "to_columns": "columns",
    "to_labels": "columns",
    "to_numbers": "columns",
    "to_texts": "columns",
}

__all__ = [
    "FeatureDecision",
    "FeatureKind",
    "infer_feature_types",
    "to_columns",
    "to_labels",
    "to_numbers",
    "to_texts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
