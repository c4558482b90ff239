"""Linear models: a weighted sum and a link."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar, Self, get_args

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.evaluators.ports import EvaluatorState, Link

_FILE = "linear.npz"
_BLOCK_ROWS = 4096  # keeps a block's columns in the processor's cache
_PER_CLASS = {"softmax", "ovr"}


class LinearEvaluator:
    """``link(intercept + coef @ x)``.

    Parameters
    ----------
    coef
        Shape (n_outputs, n_features), or (n_features,) for one output.
    intercept
        Shape (n_outputs,), or a number for one output.
    link
        ``identity`` or ``exp`` (regression), ``sigmoid`` (binary, one output), ``softmax`` or ``ovr`` (one output per
        class; ovr is one sigmoid per class, scaled to sum to 1).
    mean
        Mean of each feature over the training rows, for contributions; 0 where it is not known.

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

    def __init__(
        self, coef: npt.ArrayLike, intercept: npt.ArrayLike, link: Link, *, mean: npt.ArrayLike | None = None
    ) -> None:
        self._coef: FloatArray = np.atleast_2d(np.array(coef, dtype=np.float64))
        self._intercept: FloatArray = np.atleast_1d(np.array(intercept, dtype=np.float64))
        self._mean: FloatArray | None = None if mean is None else np.array(mean, dtype=np.float64)
        if self._coef.ndim != 2:
            raise ValueError(f"coefficients have two dimensions, these have {self._coef.ndim}")
        if self._intercept.shape != self._coef.shape[:1]:
            raise ValueError(f"{self._coef.shape[0]} rows of coefficients, {self._intercept.shape} intercepts")
        if self._mean is not None and self._mean.shape != self._coef.shape[1:]:
            raise ValueError(f"{self._coef.shape[1]} features, means of shape {self._mean.shape}")
        if link not in get_args(Link) or link == "other":
            raise ValueError(f"no linear model has the link {link!r}")
        if link not in _PER_CLASS and self._coef.shape[0] != 1:
            raise ValueError(f"link {link} has one output, not {self._coef.shape[0]}")
        self.link: Link = link
        self._rows = list(zip(self._coef.tolist(), self._intercept.tolist(), strict=True))

    def __reduce__(self) -> Any:
        state = self.dump()
        return type(self).load, (state.params, state.files)

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
        totals = self._totals(vector)
        if self.link == "identity":
            return totals
        if self.link == "sigmoid":
            return [_sigmoid_of(totals[0])]
        if self.link == "exp":
            return [float(np.exp(totals[0]))]
        if self.link == "ovr":
            shares = [_sigmoid_of(total) for total in totals]
        else:
            highest = max(totals)
            shares = [float(np.exp(total - highest)) for total in totals]
        whole = 0.0
        for share in shares:
            whole += share
        # Each of many sigmoids can round to 0; then no class is likelier than another.
        return [share / whole for share in shares] if whole != 0.0 else [1.0 / len(shares)] * len(shares)

    def _totals(self, vector: list[float]) -> list[float]:
        totals = []
        for coefficients, total in self._rows:
            # Not sum(): from Python 3.12 on it compensates, which the columnar path does not.
            for coefficient, value in zip(coefficients, vector, strict=True):
                total += coefficient * value  # noqa: PLW2901 - the running total
            totals.append(total)
        return totals

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
        if self.link == "identity":
            return scores
        if self.link == "sigmoid":
            return _sigmoid(scores)
        if self.link == "exp":
            powers: FloatArray = np.exp(scores)
            return powers
        if self.link == "ovr":
            return _scaled(_sigmoid(scores))
        return _scaled(np.exp(scores - scores.max(axis=1, keepdims=True)))

    def contributions_row(self, vector: list[float]) -> list[list[float]]:
        """Return ``coef * (x - mean)`` per feature, then the raw score at the mean.

        With the training means these are the Shapley values of a model whose features do not depend on each other;
        without them the mean counts as 0, and the last entry is the intercept.
        """
        means = [0.0] * self.n_features if self._mean is None else self._mean.tolist()
        answers = []
        for coefficients, intercept in self._rows:
            triples = list(zip(coefficients, vector, means, strict=True))
            shares = [coefficient * (value - mean) for coefficient, value, mean in triples]
            expected = intercept
            for coefficient, _, mean in triples:
                expected += coefficient * mean
            answers.append([*shares, expected])
        return answers

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Return the same for the rows of a matrix."""
        shares = np.empty((X.shape[0], self.n_outputs, self.n_features + 1))
        mean = np.zeros(self.n_features) if self._mean is None else self._mean
        centred = X - mean
        for output, (coefficients, intercept) in enumerate(self._rows):
            shares[:, output, :-1] = self._coef[output] * centred
            for coefficient, value in zip(coefficients, mean.tolist(), strict=True):
                intercept += coefficient * value  # noqa: PLW2901 - in the order of `contributions_row`
            shares[:, output, -1] = intercept
        return shares

    def dump(self) -> EvaluatorState:
        """Arrays into one npz file."""
        arrays = {"coef": self._coef, "intercept": self._intercept}
        if self._mean is not None:
            arrays["mean"] = self._mean
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own option
        return EvaluatorState(params={"link": self.link}, files={_FILE: buffer.getvalue()})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """Rebuild."""
        with np.load(io.BytesIO(files[_FILE]), allow_pickle=False) as arrays:
            return cls(arrays["coef"], arrays["intercept"], params["link"], mean=arrays.get("mean"))


def _sigmoid_of(total: float) -> float:
    power = float(np.exp(-abs(total)))
    return 1.0 / (1.0 + power) if total >= 0 else power / (1.0 + power)


def _sigmoid(totals: FloatArray) -> FloatArray:
    powers = np.exp(-np.abs(totals))
    scores: FloatArray = np.where(totals >= 0, 1.0, powers) / (1.0 + powers)
    return scores


def _scaled(shares: FloatArray) -> FloatArray:
    """Return rows that sum to 1."""
    whole = np.zeros(shares.shape[0])
    for column in shares.T:
        whole += column
    empty = whole == 0.0
    whole[empty] = 1.0
    scores: FloatArray = shares / whole[:, None]
    scores[empty] = 1.0 / shares.shape[1]
    return scores
