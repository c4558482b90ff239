"""The trivial model: class shares, or the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from arkwright.automl.learners.ports import EncodedRows, FloatArray, Question, Stop
from arkwright.bundles import ConstantEvaluator


@dataclass(frozen=True)
class FittedConstant:
    """The same scores for every row."""

    answer: FloatArray
    n_features: int
    rounds: int = 0
    stopped: bool = False

    def scores(self, X: FloatArray) -> FloatArray:
        """Return the scores once per row."""
        return np.tile(self.answer, (X.shape[0], 1))

    def evaluator(self) -> ConstantEvaluator:
        """Return the bundle's evaluator."""
        return ConstantEvaluator(self.answer.tolist(), n_features=self.n_features)


def constant_scores(question: Question, y: FloatArray, weight: FloatArray | None = None) -> FloatArray:
    """Return what the trivial model answers: P(positive), the class shares, or the mean; shape (n_outputs,).

    Examples
    --------
    >>> constant_scores(Question("binary", 2, "roc_auc", 0), np.array([0.0, 0.0, 0.0, 1.0]))
    array([0.25])
    """
    if question.task == "multiclass":
        shares = np.bincount(y.astype(np.int64), weights=weight, minlength=question.n_classes)
        return np.asarray(shares / shares.sum(), dtype=np.float64)
    return np.array([np.average(y, weights=weight)])


class ConstantLearner:
    """The majority class's probabilities, or the mean: the least a model must beat."""

    def fit(
        self,
        train: EncodedRows,
        question: Question,
        params: Mapping[str, Any],  # noqa: ARG002 - it has none
        *,
        validation: EncodedRows | None = None,  # noqa: ARG002 - there is nothing to decide
        rounds: int | None = None,  # noqa: ARG002
        stop: Stop,  # noqa: ARG002 - it takes no time
    ) -> FittedConstant:
        """Count, or average."""
        return FittedConstant(constant_scores(question, train.y, train.weight), train.X.shape[1])
