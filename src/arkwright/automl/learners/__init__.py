"""The registry of learners.

A learner is named where it lives (``module:class``) and loaded when it is first used, so that neither LightGBM
nor scikit-learn is imported by code that only wants to know which learners there are.
"""

from __future__ import annotations

import importlib

from arkwright.automl.learners.ports import EncodedRows, FittedModel, Learner, Question

LEARNERS: dict[str, str] = {
    "constant": "arkwright.automl.learners.constant:ConstantLearner",
    "linear": "arkwright.automl.learners.linear:LinearLearner",
    "lightgbm": "arkwright.automl.learners.boosting:BoostingLearner",
}

__all__ = ["LEARNERS", "EncodedRows", "FittedModel", "Learner", "Question", "load_learner"]


def load_learner(name: str) -> Learner:
    """Return the learner of that name.

    Raises
    ------
    KeyError
        If there is none.

    Examples
    --------
    >>> load_learner("constant").title
    'majority class or mean'
    """
    module, _, learner = LEARNERS[name].partition(":")
    made: Learner = getattr(importlib.import_module(module), learner)()
    return made
