"""Write, verify and load a packaged model, and answer with it.

A bundle holds an :class:`Encoder` (a row becomes a vector of float64), an evaluator (a vector becomes scores:
linear, LightGBM, constant), a signature and a monitoring baseline. :class:`Predictor` puts the first three together:
it checks a request, encodes, evaluates and answers in the shape of the wire. Rows and columns take two paths through
the same kernels that agree to the last bit. Nothing here knows a database, pandas or scikit-learn, and LightGBM's
Python package is never imported: its library is called directly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.bundles.baseline import comparable_values, fit_baseline
    from arkwright.bundles.encoder import Encoder, Layout, fit_encoder
    from arkwright.bundles.errors import (
        BundleCorrupt,
        BundleTooNew,
        EvaluatorFailed,
        EvaluatorUnavailable,
        PredictionInvalid,
    )
    from arkwright.bundles.evaluators import (
        EVALUATORS,
        ConstantEvaluator,
        Evaluator,
        LightGBMEvaluator,
        LinearEvaluator,
    )
    from arkwright.bundles.package import LoadedBundle, load_bundle, verify_bundle, write_bundle
    from arkwright.bundles.parity import measure_parity
    from arkwright.bundles.predictor import POSITIVE_THRESHOLD, Predictor
    from arkwright.bundles.rows import rows_to_columns, to_rows
    from arkwright.bundles.validation import InstanceValidator, check_columns

_HOMES = {
    "BundleCorrupt": "errors",
    "BundleTooNew": "errors",
    "ConstantEvaluator": "evaluators",
    "EVALUATORS": "evaluators",
    "Encoder": "encoder",
    "Evaluator": "evaluators",
    "EvaluatorFailed": "errors",
    "EvaluatorUnavailable": "errors",
    "InstanceValidator": "validation",
    "Layout": "encoder",
    "LightGBMEvaluator": "evaluators",
    "LinearEvaluator": "evaluators",
    "LoadedBundle": "package",
    "POSITIVE_THRESHOLD": "predictor",
    "PredictionInvalid": "errors",
    "Predictor": "predictor",
    "check_columns": "validation",
    "comparable_values": "baseline",
    "fit_baseline": "baseline",
    "fit_encoder": "encoder",
    "load_bundle": "package",
    "measure_parity": "parity",
    "rows_to_columns": "rows",
    "to_rows": "rows",
    "verify_bundle": "package",
    "write_bundle": "package",
}

__all__ = [
    "EVALUATORS",
    "POSITIVE_THRESHOLD",
    "BundleCorrupt",
    "BundleTooNew",
    "ConstantEvaluator",
    "Encoder",
    "Evaluator",
    "EvaluatorFailed",
    "EvaluatorUnavailable",
    "InstanceValidator",
    "Layout",
    "LightGBMEvaluator",
    "LinearEvaluator",
    "LoadedBundle",
    "PredictionInvalid",
    "Predictor",
    "check_columns",
    "comparable_values",
    "fit_baseline",
    "fit_encoder",
    "load_bundle",
    "measure_parity",
    "rows_to_columns",
    "to_rows",
    "verify_bundle",
    "write_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
