"""Logistic and ridge regression, through scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from arkwright.automl.learners.ports import EncodedRows, FloatArray, Question, Stop
from arkwright.bundles import LinearEvaluator

_MAX_ITERATIONS = 500


@dataclass(frozen=True)
class FittedLogistic:
    """A logistic regression; classes that the training rows lack get probability zero, or nearly."""

    model: LogisticRegression
    question: Question
    stopped: bool = False

    @property
    def rounds(self) -> int:
        """Iterations of the optimiser."""
        return int(np.max(self.model.n_iter_))

    def scores(self, X: FloatArray) -> FloatArray:
        """Return scikit-learn's probabilities."""
        probability = self.model.predict_proba(X)
        if self.question.task == "binary":
            return np.ascontiguousarray(probability[:, 1:])
        full = np.zeros((X.shape[0], self.question.n_classes))
        full[:, self.model.classes_.astype(np.int64)] = probability
        return full

    def evaluator(self) -> LinearEvaluator:
        """Return the bundle's evaluator."""
        if self.question.task == "binary":
            return LinearEvaluator(self.model.coef_, self.model.intercept_, "sigmoid")
        coef = np.zeros((self.question.n_classes, self.model.coef_.shape[1]))
        # exp(-800) is zero in float64: a class that was never seen gets no probability.
        intercept = np.full(self.question.n_classes, -800.0)
        seen = self.model.classes_.astype(np.int64)
        if seen.size == 2:
            coef[seen[1]], intercept[seen[0]], intercept[seen[1]] = self.model.coef_[0], 0.0, self.model.intercept_[0]
        else:
            coef[seen], intercept[seen] = self.model.coef_, self.model.intercept_
        return LinearEvaluator(coef, intercept, "softmax")


@dataclass(frozen=True)
class FittedRidge:
    """A ridge regression."""

    model: Ridge
    rounds: int = 1
    stopped: bool = False

    def scores(self, X: FloatArray) -> FloatArray:
        """Return scikit-learn's predictions."""
        return np.asarray(self.model.predict(X), dtype=np.float64)[:, None]

    def evaluator(self) -> LinearEvaluator:
        """Return the bundle's evaluator."""
        return LinearEvaluator(self.model.coef_, self.model.intercept_, "identity")


class LinearLearner:
    """A weighted sum: logistic regression for classes, ridge for numbers.

    Parameters of ``params``: ``C``, the inverse of the logistic penalty (default 1); ``alpha``, the ridge penalty
    (default 1). Both see standardised columns.
    """

    def fit(
        self,
        train: EncodedRows,
        question: Question,
        params: Mapping[str, Any],
        *,
        validation: EncodedRows | None = None,  # noqa: ARG002 - the penalty does what early stopping would
        rounds: int | None = None,  # noqa: ARG002
        stop: Stop,  # noqa: ARG002 - scikit-learn cannot be interrupted; whoever started the process ends it
    ) -> FittedLogistic | FittedRidge:
        """Train."""
        if question.task == "regression":
            ridge = Ridge(alpha=float(params.get("alpha", 1.0)), solver="cholesky")
            return FittedRidge(ridge.fit(train.X, train.y, sample_weight=train.weight))
        model = LogisticRegression(C=float(params.get("C", 1.0)), max_iter=_MAX_ITERATIONS, random_state=question.seed)
        with warnings.catch_warnings():
            # Where it stands after 500 iterations is good enough to be compared by its score.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return FittedLogistic(model.fit(train.X, train.y, sample_weight=train.weight), question)
