"""How many numbers a fitted model decides with.

A tree counts a threshold for each split and a value for each leaf; a linear model a coefficient for each feature and an
intercept, for each output. So a boosted model and a linear one can be set side by side.
"""

from __future__ import annotations

import re

from arkwright.bundles.evaluators.average import AverageEvaluator
from arkwright.bundles.evaluators.ports import Evaluator

_LEAVES = re.compile(rb"^num_leaves=(\d+)\s*$", re.MULTILINE)


def count_fitted_numbers(evaluator: Evaluator) -> int:
    """Return how many numbers were fitted.

    Examples
    --------
    >>> from arkwright.bundles.evaluators.linear import LinearEvaluator
    >>> count_fitted_numbers(LinearEvaluator([2.0, -1.0], 0.5, "identity"))
    3
    """
    if isinstance(evaluator, AverageEvaluator):
        return sum(count_fitted_numbers(member.evaluator) for member in evaluator.members)
    if evaluator.kind == "linear":
        return evaluator.n_outputs * (evaluator.n_features + 1)
    trees = b"\n".join(text for name, text in sorted(evaluator.dump().files.items()) if name.endswith(".txt"))
    leaves = [int(found) for found in _LEAVES.findall(trees)]
    # Where the trees are shared by the classes, a leaf holds a value for each of them.
    values = evaluator.n_outputs if evaluator.kind == "leaves" else 1
    return sum((n - 1) + n * values for n in leaves) if leaves else evaluator.n_outputs
