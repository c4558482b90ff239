"""How good a model is, and how sure we are.

Metrics for classification and regression, bootstrap intervals for all of them at once, permutation
importance, and the :class:`EvaluationReport` that compares a model with the trivial one on rows neither has
seen. :class:`EvaluationService` files a report as evidence about a bundle; gates read it there, never here.
The functions work on plain arrays and are usable as a library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.evaluation.classification import classification_metrics
    from arkwright.evaluation.importance import FeatureImportance, permutation_importance
    from arkwright.evaluation.intervals import Interval, bootstrap
    from arkwright.evaluation.metric import METRICS, MetricInfo
    from arkwright.evaluation.regression import regression_metrics
    from arkwright.evaluation.report import PRIMARY_METRIC, EvaluationReport, as_probability, evaluate, score_metric
    from arkwright.evaluation.service import EvaluationService

_HOMES = {
    "EvaluationReport": "report",
    "EvaluationService": "service",
    "FeatureImportance": "importance",
    "Interval": "intervals",
    "METRICS": "metric",
    "MetricInfo": "metric",
    "PRIMARY_METRIC": "report",
    "as_probability": "report",
    "bootstrap": "intervals",
    "classification_metrics": "classification",
    "evaluate": "report",
    "permutation_importance": "importance",
    "regression_metrics": "regression",
    "score_metric": "report",
}

__all__ = [
    "METRICS",
    "PRIMARY_METRIC",
    "EvaluationReport",
    "EvaluationService",
    "FeatureImportance",
    "Interval",
    "MetricInfo",
    "as_probability",
    "bootstrap",
    "classification_metrics",
    "evaluate",
    "permutation_importance",
    "regression_metrics",
    "score_metric",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
