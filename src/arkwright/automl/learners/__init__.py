"""The registry of learners.

A learner is named where it lives (``module:class``) and loaded when it is first used, so that neither LightGBM
nor scikit-learn is imported by code that only plans, ranks or tells about learners.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from arkwright.automl.learners.ports import EncodedRows, FittedModel, Learner, Question
from arkwright.bundles import Layout

CONSTANT = "constant"


@dataclass(frozen=True)
class LearnerInfo:
    """What there is to know about a learner without loading it.

    Parameters
    ----------
    home
        ``module:class``.
    title
        What it is, for a person.
    layout
        How its input is to be encoded.
    interruptible
        Whether its training ends when it is asked to; one that does not gets only a share of the time.
    """

    home: str
    title: str
    layout: Layout
    interruptible: bool = True


LEARNERS: dict[str, LearnerInfo] = {
    CONSTANT: LearnerInfo(
        home="arkwright.automl.learners.constant:ConstantLearner",
        title="the trivial model",
        layout="tree",
    ),
    "linear": LearnerInfo(
        home="arkwright.automl.learners.linear:LinearLearner",
        title="a linear model: quick, and its weights can be read",
        layout="linear",
        interruptible=False,
    ),
    "lightgbm": LearnerInfo(
        home="arkwright.automl.learners.boosting:BoostingLearner",
        title="gradient-boosted decision trees (LightGBM)",
        layout="tree",
    ),
}

__all__ = [
    "CONSTANT",
    "LEARNERS",
    "EncodedRows",
    "FittedModel",
    "Learner",
    "LearnerInfo",
    "Question",
    "load_learner",
]


def load_learner(name: str) -> Learner:
    """Return the learner of that name.

    Raises
    ------
    KeyError
        If there is none.

    Examples
    --------
    >>> type(load_learner("constant")).__name__
    'ConstantLearner'
    """
    module, _, learner = LEARNERS[name].home.partition(":")
    made: Learner = getattr(importlib.import_module(module), learner)()
    return made
