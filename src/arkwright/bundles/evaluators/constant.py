"""The same scores for every row: the trivial model that others are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.evaluators.ports import EvaluatorState, Link


class ConstantEvaluator:
    """Class shares (binary: the positive class's alone) or the mean, whatever the row.

    Examples
    --------
    >>> ConstantEvaluator([0.27], n_features=3).scores_row([1.0, 2.0, 3.0])
    [0.27]
    """

    kind: ClassVar[str] = "constant"
    tolerance: ClassVar[float] = 0.0
    link: ClassVar[Link] = "identity"

    def __init__(self, scores: Sequence[float], *, n_features: int) -> None:
        self._scores = [float(score) for score in scores]
        self.n_features = n_features

    def __reduce__(self) -> Any:
        return type(self).load, (self.dump().params, {})

    @property
    def n_outputs(self) -> int:
        """Number of scores."""
        return len(self._scores)

    def scores_row(self, vector: list[float]) -> list[float]:  # noqa: ARG002 - that is the point
        """Return the scores."""
        return self._scores.copy()

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Return the scores once per row."""
        return np.tile(np.array(self._scores), (X.shape[0], 1))

    def contributions_row(self, vector: list[float]) -> list[list[float]]:  # noqa: ARG002 - that is the point
        """Return nothing for each feature, then the score."""
        return [[0.0] * self.n_features + [score] for score in self._scores]

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Return the same for every row of a matrix."""
        shares = np.zeros((X.shape[0], self.n_outputs, self.n_features + 1))
        shares[:, :, -1] = self._scores
        return shares

    def dump(self) -> EvaluatorState:
        """Everything fits into JSON."""
        return EvaluatorState(params={"scores": self._scores, "n_features": self.n_features})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:  # noqa: ARG003 - there are none
        """Rebuild from ``params``."""
        return cls(params["scores"], n_features=params["n_features"])
