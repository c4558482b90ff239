"""From a vector of float64 to scores, one file per kind of model.

``EVALUATORS`` maps the ``kind`` in a bundle's ``estimator.json`` to the class that reads it. Scores have one column
for regression (the value) and binary classification (the probability of the positive class), and one per class for
multiclass.
"""

from __future__ import annotations

from arkwright.bundles.evaluators.constant import ConstantEvaluator
from arkwright.bundles.evaluators.lightgbm import LightGBMEvaluator
from arkwright.bundles.evaluators.linear import LinearEvaluator
from arkwright.bundles.evaluators.ports import Evaluator, EvaluatorState

__all__ = [
    "EVALUATORS",
    "ConstantEvaluator",
    "Evaluator",
    "EvaluatorState",
    "LightGBMEvaluator",
    "LinearEvaluator",
]

EVALUATORS: dict[str, type[Evaluator]] = {
    ConstantEvaluator.kind: ConstantEvaluator,
    LightGBMEvaluator.kind: LightGBMEvaluator,
    LinearEvaluator.kind: LinearEvaluator,
}
