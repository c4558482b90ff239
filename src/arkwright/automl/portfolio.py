"""The candidates, in the order they are tried: a small fixed list of strong settings.

The trivial model comes first, so that there is always something; then LightGBM as it comes, which ends when it is
asked to and is good everywhere; then the linear model, which wins on small, additive data; then LightGBM settings
that differ where it matters: how fine the trees are, how strongly they are held back, how categories are split.

References
----------
Feurer et al. (2022), "Auto-Sklearn 2.0", JMLR 23: portfolios beat meta-learned warm starts at short budgets.
Erickson et al. (2025), "TabArena": few strong settings of boosted trees, tried in a fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arkwright.automl.learners import CONSTANT
from arkwright.automl.training import Candidate
from arkwright.contracts.signature import TaskType

BASELINE = "baseline"
_MANY_ROWS = 100_000

_LINEAR: dict[TaskType, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "binary": (("logistic", {"C": 1.0}), ("logistic-strong", {"C": 0.05})),
    "multiclass": (("logistic", {"C": 1.0}), ("logistic-strong", {"C": 0.05})),
    "regression": (("ridge", {"alpha": 1.0}), ("ridge-strong", {"alpha": 30.0})),
}

_HELD_BACK: Mapping[str, Any] = {"bagging_fraction": 0.8, "bagging_freq": 1}

_BOOSTED: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("lightgbm-default", {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20}),
    (
        "lightgbm-slow",
        {
            "learning_rate": 0.03,
            "num_leaves": 31,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.7,
            "lambda_l2": 1.0,
            **_HELD_BACK,
        },
    ),
    (
        "lightgbm-shallow",
        {
            "learning_rate": 0.08,
            "num_leaves": 4,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.4,
            "lambda_l2": 5.0,
            "cat_smooth": 20.0,
            "cat_l2": 20.0,
            "patience": 100,
            **_HELD_BACK,
        },
    ),
    (
        "lightgbm-small",
        {
            "learning_rate": 0.05,
            "num_leaves": 8,
            "min_data_in_leaf": 30,
            "feature_fraction": 0.6,
            "lambda_l2": 5.0,
            "cat_smooth": 20.0,
            "cat_l2": 20.0,
            **_HELD_BACK,
        },
    ),
    (
        "lightgbm-wide",
        {
            "learning_rate": 0.03,
            "num_leaves": 96,
            "min_data_in_leaf": 10,
            "feature_fraction": 0.5,
            "lambda_l2": 1.0,
            **_HELD_BACK,
        },
    ),
    (
        "lightgbm-extra",
        {
            "learning_rate": 0.05,
            "num_leaves": 31,
            "min_data_in_leaf": 20,
            "extra_trees": True,
            "feature_fraction": 0.7,
            "lambda_l2": 2.0,
        },
    ),
)


def candidates_for(task: TaskType, n_rows: int = 0) -> tuple[Candidate, ...]:
    """Return the candidates for a task, best bets early.

    On many rows the linear model comes last: its one-hot columns take long to write, and trees win there.

    Examples
    --------
    >>> [candidate.name for candidate in candidates_for("regression")][:3]
    ['baseline', 'lightgbm-default', 'ridge']
    """
    linear = [Candidate(name=name, learner="linear", params=dict(params)) for name, params in _LINEAR[task]]
    boosted = [Candidate(name=name, learner="lightgbm", params=dict(params)) for name, params in _BOOSTED]
    trivial = Candidate(name=BASELINE, learner=CONSTANT)
    if n_rows > _MANY_ROWS:
        return (trivial, *boosted, *linear)
    return (trivial, boosted[0], linear[0], *boosted[1:], *linear[1:])
