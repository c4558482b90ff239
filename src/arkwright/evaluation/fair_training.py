"""Training that is fairer: weights for the rows, or a constraint on the whole.

References
----------
Kamiran & Calders (2012), "Data preprocessing techniques for classification without discrimination", KAIS 33.
Agarwal, Beygelzimer, Dudík, Langford & Wallach (2018), "A Reductions Approach to Fair Classification", ICML.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Unavailable
from arkwright.evaluation.group_thresholds import BOUND, Objective
from arkwright.evaluation.groups import GroupValues, groups_of
from arkwright.evaluation.metric import FloatArray


def reweighing_weights(truth: npt.NDArray[Any], sensitive: GroupValues) -> FloatArray:
    """Return training weights under which outcome and group are independent.

    A row of group g with outcome y weighs P(g) P(y) / P(g, y): more than 1 where the pair is rarer than it would be if
    the outcome had nothing to do with the group. The weights of each group sum to its size.

    Returns
    -------
    ndarray of shape (n_rows,)

    Examples
    --------
    >>> reweighing_weights(np.array([1, 1, 1, 0]), ["m", "m", "f", "f"]).tolist()
    [0.75, 0.75, 1.5, 0.5]
    """
    groups = groups_of(sensitive)
    outcomes = np.unique(np.asarray(truth), return_inverse=True)[1]
    n_outcomes = int(outcomes.max(initial=0)) + 1
    cell = groups.codes * n_outcomes + outcomes
    together = np.bincount(cell, minlength=len(groups.labels) * n_outcomes)
    expected = groups.sizes()[groups.codes] * np.bincount(outcomes)[outcomes] / outcomes.size
    return np.asarray(expected / together[cell], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ConstrainedModel:
    """A weighted vote of models, trained under a fairness constraint; it does not need the attribute to predict."""

    centre: FloatArray
    spread: FloatArray
    models: tuple[Any, ...]
    shares: tuple[float, ...]

    def predict(self, features: FloatArray) -> FloatArray:
        """Return, for each row, the share of the vote that says class 1; shape ``(n_rows,)``.

        fairlearn decides by lot with these odds. Calling 1 from one half on is the same for equal people every time;
        the constraint then holds only as far as it is measured to.
        """
        scaled = (features - self.centre) / self.spread
        votes = [share * model.predict(scaled) for model, share in zip(self.models, self.shares, strict=True)]
        return np.asarray(np.clip(np.sum(votes, axis=0), 0.0, 1.0), dtype=np.float64)


def constrained_training(
    features: FloatArray,
    truth: npt.NDArray[Any],
    sensitive: GroupValues,
    *,
    objective: Objective,
    bound: float = BOUND,
    estimator: Any = None,
    max_iter: int = 30,
) -> ConstrainedModel:
    """Train under a fairness constraint with fairlearn's exponentiated gradient.

    Parameters
    ----------
    features
        Numbers without NaN, shape ``(n_rows, n_features)``; standardised inside.
    estimator
        A scikit-learn classifier that takes ``sample_weight``; a logistic regression by default.
    max_iter
        Rounds of reweighting and training.

    Raises
    ------
    Unavailable
        If fairlearn is not installed.
    """
    try:
        reductions = importlib.import_module("fairlearn.reductions")
    except ImportError as error:
        raise Unavailable(
            "training under a fairness constraint needs fairlearn, which is not installed",
            code="evaluation.fairlearn_missing",
            hint="pip install 'arkwright[fairness]'",
        ) from error
    groups = groups_of(sensitive)
    moments = {
        "demographic_parity": reductions.DemographicParity,
        "equal_opportunity": reductions.TruePositiveRateParity,
        "equalized_odds": reductions.EqualizedOdds,
    }
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    # difference_bound is about each group against all rows; half of it bounds two groups against each other.
    constraint = moments[objective](difference_bound=max(bound / 2.0, 1e-3))
    solver = reductions.ExponentiatedGradient(estimator or small_model(), constraint, max_iter=max_iter)
    scaled, outcome = (features - centre) / spread, np.asarray(truth).astype(np.int64)
    # One thread: the models are small, and many threads on a busy machine wait for each other.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        solver.fit(scaled, outcome, sensitive_features=groups.codes)
    used = [(int(index), float(share)) for index, share in solver.weights_.items() if share > 0]
    return ConstrainedModel(
        centre=centre,
        spread=spread,
        models=tuple(solver.predictors_[index] for index, _ in used),
        shares=tuple(share for _, share in used),
    )


def small_model() -> Any:
    """Return an untrained logistic regression."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(max_iter=1000)
