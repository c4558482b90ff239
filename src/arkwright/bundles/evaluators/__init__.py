"""From a vector of float64 to scores, one file per kind of model.

``EVALUATORS`` maps the ``kind`` in a bundle's ``estimator.json`` to the class that reads it. Scores have one column
for regression (the value) and binary classification (the probability of the positive class), and one per class for
multiclass.

A new learner arrives with its evaluator in one of two ways:

1. *It can be said with the kinds below*: trees of any library as :class:`TreesEvaluator` (or :class:`LeavesEvaluator`),
   sums with a link as
   :class:`LinearEvaluator`, several models as :class:`AverageEvaluator`. Then it needs a function in
   ``bundles/conversion/`` from the fitted estimator to one of them, and a line in ``conversion/estimators.py``. Nothing
   changes where bundles are served, and older data planes serve it too.
2. *It cannot*: then it needs a file here with a class that has the members of :class:`Evaluator`, a ``kind`` of its
   own, and a line in ``EVALUATORS``. The class must answer a vector and a matrix alike to the last bit, keep its state
   as JSON and files without pickle, refuse a state it does not understand with ``ValueError``, ``TypeError`` or
   ``KeyError``, survive ``pickle`` (processes are sent evaluators), and be safe to call from several threads. It may
   import NumPy and a native library through ``ctypes``, not the library that trained the model.

Either way ``tests/unit/bundles`` compares it with its library over missing, unseen and extreme cells, and
``measure_parity`` compares it again for each model that is registered: beyond ``tolerance`` the model is served by the
general path instead.
"""

from __future__ import annotations

from arkwright.bundles.evaluators.average import AverageEvaluator, Member
from arkwright.bundles.evaluators.constant import ConstantEvaluator
from arkwright.bundles.evaluators.leaves import LeavesEvaluator
from arkwright.bundles.evaluators.lightgbm import LightGBMEvaluator
from arkwright.bundles.evaluators.linear import LinearEvaluator
from arkwright.bundles.evaluators.ports import Evaluator, EvaluatorState, Link
from arkwright.bundles.evaluators.trees import TreesEvaluator

__all__ = [
    "EVALUATORS",
    "AverageEvaluator",
    "ConstantEvaluator",
    "Evaluator",
    "EvaluatorState",
    "LeavesEvaluator",
    "LightGBMEvaluator",
    "LinearEvaluator",
    "Link",
    "Member",
    "TreesEvaluator",
]

EVALUATORS: dict[str, type[Evaluator]] = {
    AverageEvaluator.kind: AverageEvaluator,
    ConstantEvaluator.kind: ConstantEvaluator,
    LeavesEvaluator.kind: LeavesEvaluator,
    LightGBMEvaluator.kind: LightGBMEvaluator,
    LinearEvaluator.kind: LinearEvaluator,
    TreesEvaluator.kind: TreesEvaluator,
}
