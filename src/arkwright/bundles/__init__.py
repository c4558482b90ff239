"""Write, verify and load a packaged model, and answer with it.

A bundle holds an :class:`Encoder` (a row becomes a vector of float64), an evaluator (a vector becomes scores:
LightGBM, trees of other libraries, linear, averages, constant), a signature and a monitoring baseline.
:class:`Predictor` puts the first three together: it checks a request, encodes, evaluates and answers in the shape of
the wire. Rows and columns take two paths through the same kernels that agree to the last bit. Nothing here knows a
database, pandas or scikit-learn, and LightGBM's Python package is never imported: its library is called directly.
:mod:`.conversion` makes encoders and evaluators of other people's fitted models; what cannot be converted is kept in a
*general* bundle (:mod:`.general`), whose model runs in a process of its own (:mod:`.model_process`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.bundles.answers import POSITIVE_THRESHOLD
    from arkwright.bundles.baseline import comparable_values, fit_baseline
    from arkwright.bundles.conversion.catboost import CategoryTexts, convert_catboost
    from arkwright.bundles.conversion.forest import convert_forest, convert_gradient_boosting
    from arkwright.bundles.conversion.hist_gradient import convert_hist_gradient_boosting
    from arkwright.bundles.conversion.linear import convert_linear
    from arkwright.bundles.conversion.xgboost import convert_xgboost
    from arkwright.bundles.encoder import Encoder, Layout, fit_encoder
    from arkwright.bundles.ensemble import combine_members
    from arkwright.bundles.errors import (
        BundleCorrupt,
        BundleNotCompiled,
        BundleTooNew,
        ContributionsUnavailable,
        EvaluatorFailed,
        EvaluatorUnavailable,
        ModelFailed,
        ModelTimeout,
        NotCompilable,
        PredictionInvalid,
    )
    from arkwright.bundles.evaluators import (
        EVALUATORS,
        AverageEvaluator,
        ConstantEvaluator,
        Evaluator,
        LeavesEvaluator,
        LightGBMEvaluator,
        LinearEvaluator,
        Member,
        TreesEvaluator,
    )
    from arkwright.bundles.evaluators.complexity import count_fitted_numbers
    from arkwright.bundles.general import GeneralInput, GeneralModel
    from arkwright.bundles.package import (
        LoadedBundle,
        load_bundle,
        verify_bundle,
        write_bundle,
        write_general_bundle,
    )
    from arkwright.bundles.parity import measure_parity
    from arkwright.bundles.predictor import Predictor
    from arkwright.bundles.rows import rows_to_columns, to_rows
    from arkwright.bundles.typed_rows import RowReader, TypedRow
    from arkwright.bundles.validation import InstanceValidator, check_columns

_HOMES = {
    "AverageEvaluator": "evaluators",
    "BundleCorrupt": "errors",
    "BundleNotCompiled": "errors",
    "BundleTooNew": "errors",
    "CategoryTexts": "conversion.catboost",
    "ConstantEvaluator": "evaluators",
    "ContributionsUnavailable": "errors",
    "EVALUATORS": "evaluators",
    "Encoder": "encoder",
    "Evaluator": "evaluators",
    "EvaluatorFailed": "errors",
    "EvaluatorUnavailable": "errors",
    "GeneralInput": "general",
    "GeneralModel": "general",
    "InstanceValidator": "validation",
    "Layout": "encoder",
    "LeavesEvaluator": "evaluators",
    "LightGBMEvaluator": "evaluators",
    "LinearEvaluator": "evaluators",
    "LoadedBundle": "package",
    "Member": "evaluators",
    "ModelFailed": "errors",
    "ModelTimeout": "errors",
    "NotCompilable": "errors",
    "POSITIVE_THRESHOLD": "answers",
    "PredictionInvalid": "errors",
    "Predictor": "predictor",
    "RowReader": "typed_rows",
    "TreesEvaluator": "evaluators",
    "TypedRow": "typed_rows",
    "check_columns": "validation",
    "combine_members": "ensemble",
    "comparable_values": "baseline",
    "convert_catboost": "conversion.catboost",
    "convert_forest": "conversion.forest",
    "convert_gradient_boosting": "conversion.forest",
    "convert_hist_gradient_boosting": "conversion.hist_gradient",
    "convert_linear": "conversion.linear",
    "convert_xgboost": "conversion.xgboost",
    "count_fitted_numbers": "evaluators.complexity",
    "fit_baseline": "baseline",
    "fit_encoder": "encoder",
    "load_bundle": "package",
    "measure_parity": "parity",
    "rows_to_columns": "rows",
    "to_rows": "rows",
    "verify_bundle": "package",
    "write_bundle": "package",
    "write_general_bundle": "package",
}

__all__ = [
    "EVALUATORS",
    "POSITIVE_THRESHOLD",
    "AverageEvaluator",
    "BundleCorrupt",
    "BundleNotCompiled",
    "BundleTooNew",
    "CategoryTexts",
    "ConstantEvaluator",
    "ContributionsUnavailable",
    "Encoder",
    "Evaluator",
    "EvaluatorFailed",
    "EvaluatorUnavailable",
    "GeneralInput",
    "GeneralModel",
    "InstanceValidator",
    "Layout",
    "LeavesEvaluator",
    "LightGBMEvaluator",
    "LinearEvaluator",
    "LoadedBundle",
    "Member",
    "ModelFailed",
    "ModelTimeout",
    "NotCompilable",
    "PredictionInvalid",
    "Predictor",
    "RowReader",
    "TreesEvaluator",
    "TypedRow",
    "check_columns",
    "combine_members",
    "comparable_values",
    "convert_catboost",
    "convert_forest",
    "convert_gradient_boosting",
    "convert_hist_gradient_boosting",
    "convert_linear",
    "convert_xgboost",
    "count_fitted_numbers",
    "fit_baseline",
    "fit_encoder",
    "load_bundle",
    "measure_parity",
    "rows_to_columns",
    "to_rows",
    "verify_bundle",
    "write_bundle",
    "write_general_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
