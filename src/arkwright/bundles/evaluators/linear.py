"""Linear models: a weighted sum and a link."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.evaluators.ports import EvaluatorState

Link = Literal["identity", "sigmoid", "softmax"]

_FILE = "linear.npz"
_BLOCK_ROWS = 4096  # keeps a block's columns in the processor's cache


class LinearEvaluator:
    """``link(intercept + coef @ x)``.

    Parameters
    ----------
    coef
        Shape (n_outputs, n_features), or (n_features,) for one output.
    intercept
        Shape (n_outputs,), or a number for one output.
    link
        ``identity`` (regression), ``sigmoid`` (binary, one output) or ``softmax`` (one output per class).

    Notes
    -----
    Both paths add the terms in the order of the features, one rounding at a time, and take ``exp`` from NumPy, so a
    row's scores do not depend on whether it came alone. A matrix product would add in an order of its own choosing.

    Examples
    --------
    >>> LinearEvaluator([2.0, -1.0], 0.5, "identity").scores_row([1.0, 3.0])
    [-0.5]
    """

    kind: ClassVar[str] = "linear"
    tolerance: ClassVar[float] = 1e-12

    def __init__(self, coef: npt.ArrayLike, intercept: npt.ArrayLike, link: Link) -> None:
        self._coef: FloatArray = np.atleast_2d(np.array(coef, dtype=np.float64))
        self._intercept: FloatArray = np.atleast_1d(np.array(intercept, dtype=np.float64))
        if self._intercept.shape != self._coef.shape[:1]:
            raise ValueError(f"{self._coef.shape[0]} rows of coefficients, {self._intercept.shape} intercepts")
        if link != "softmax" and self._coef.shape[0] != 1:
            raise ValueError(f"link {link} has one output, not {self._coef.shape[0]}")
        self.link = link
        self._rows = list(zip(self._coef.tolist(), self._intercept.tolist(), strict=True))

    def __reduce__(self) -> Any:
        return type(self), (self._coef, self._intercept, self.link)

    @property
    def n_features(self) -> int:
        """Length of the vector."""
        return int(self._coef.shape[1])

    @property
    def n_outputs(self) -> int:
        """One, or the number of classes."""
        return int(self._coef.shape[0])

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        totals = []
        for coefficients, total in self._rows:
            # Not sum(): from Python 3.12 on it compensates, which the columnar path does not.
            for coefficient, value in zip(coefficients, vector, strict=True):
                total += coefficient * value  # noqa: PLW2901 - the running total
            totals.append(total)
        if self.link == "identity":
            return totals
        if self.link == "sigmoid":
            power = float(np.exp(-abs(totals[0])))
            return [1.0 / (1.0 + power) if totals[0] >= 0 else power / (1.0 + power)]
        highest = max(totals)
        powers = [float(np.exp(total - highest)) for total in totals]
        whole = 0.0
        for power in powers:
            whole += power
        return [power / whole for power in powers]

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix."""
        scores = np.empty((X.shape[0], self.n_outputs))
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            block = np.ascontiguousarray(X[start : start + _BLOCK_ROWS].T)
            for output, (coefficients, intercept) in enumerate(self._rows):
                total = np.full(block.shape[1], intercept)
                for coefficient, values in zip(coefficients, block, strict=True):
                    total += coefficient * values
                scores[start : start + _BLOCK_ROWS, output] = total
        if self.link == "sigmoid":
            return _sigmoid(scores)
        return _softmax(scores) if self.link == "softmax" else scores

    def dump(self) -> EvaluatorState:
        """Arrays into one npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, coef=self._coef, intercept=self._intercept)
        return EvaluatorState(params={"link": self.link}, files={_FILE: buffer.getvalue()})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """Rebuild."""
        with np.load(io.BytesIO(files[_FILE]), allow_pickle=False) as arrays:
            return cls(arrays["coef"], arrays["intercept"], params["link"])


def _sigmoid(totals: FloatArray) -> FloatArray:
    powers = np.exp(-np.abs(totals))
    scores: FloatArray = np.where(totals >= 0, 1.0, powers) / (1.0 + powers)
    return scores


def _softmax(totals: FloatArray) -> FloatArray:
    powers = np.exp(totals - totals.max(axis=1, keepdims=True))
    whole = np.zeros(totals.shape[0])
    for column in powers.T:
        whole += column
    scores: FloatArray = powers / whole[:, None]
    return scores
