"""scikit-learn's soft votes and averages of several estimators on the same columns."""

from __future__ import annotations

from typing import Any

from arkwright.bundles.conversion.estimators import convert_estimator
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import AverageEvaluator, Member


def convert_voting(model: Any) -> AverageEvaluator:
    """Convert a ``VotingClassifier`` with ``voting="soft"``, or a ``VotingRegressor``.

    Raises
    ------
    NotCompilable
        If it counts votes, or one of its members is not compiled.
    """
    if getattr(model, "voting", "soft") != "soft":
        raise NotCompilable(
            "The VotingClassifier counts votes, which are no probabilities.", hint="Fit it with voting='soft'."
        )
    # A dropped member keeps its weight in the parameters; the fitted ones are counted.
    used = [name for name, member in model.estimators if member not in (None, "drop")]
    weights = dict(
        zip([name for name, _ in model.estimators], model.weights or [1.0] * len(model.estimators), strict=True)
    )
    total = float(sum(weights[name] for name in used))
    members = [
        Member(convert_estimator(fitted), float(weights[name]) / total)
        for name, fitted in zip(used, model.estimators_, strict=True)
    ]
    return AverageEvaluator(members)
