"""LightGBM boosters: the library that fitted them answers, so scores equal ``Booster.predict`` bit for bit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.evaluators.lightgbm_library import Booster
from arkwright.bundles.evaluators.ports import EvaluatorState, Link

_FILE = "model.txt"
_LINKS: dict[str, Link] = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "ovr",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "cross_entropy_lambda": "other",
}


class LightGBMEvaluator:
    """A booster read from its model text.

    Parameters
    ----------
    model_text
        What ``lightgbm.Booster.model_to_string()`` returned.
    n_threads
        OpenMP threads for a matrix. One is right beside other work; a row always uses the caller's thread alone.

    Notes
    -----
    Safe to use from several threads. A number within 1e-35 of zero counts as zero, as in LightGBM itself.
    """

    kind: ClassVar[str] = "lightgbm"
    tolerance: ClassVar[float] = 0.0

    def __init__(self, model_text: str, *, n_threads: int = 1) -> None:
        self._model_text = model_text
        self._n_threads = n_threads
        self._booster = Booster(model_text, every_cell=False, n_threads=n_threads)
        self.n_features = self._booster.n_features
        self.n_outputs = self._booster.n_outputs
        self.link: Link = link_of(model_text)

    def __reduce__(self) -> Any:
        return functools.partial(type(self), n_threads=self._n_threads), (self._model_text,)

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        return self._booster.scores_row(vector)

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix."""
        return self._booster.scores_matrix(X)

    def contributions_row(self, vector: list[float]) -> list[list[float]]:
        """Return the Shapley values of each feature for the raw score (log-odds and the like), by path coverage."""
        return self._booster.contributions_row(vector)

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Return the same for the rows of a matrix."""
        return self._booster.contributions_matrix(X)

    def dump(self) -> EvaluatorState:
        """Return the model text as a file."""
        return EvaluatorState(files={_FILE: self._model_text.encode()})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:  # noqa: ARG003 - there are none
        """Read the model text."""
        return cls(files[_FILE].decode())


def link_of(model_text: str) -> Link:
    """Return what a model text says about the way from the raw score to the answer.

    Examples
    --------
    >>> link_of("objective=binary sigmoid:1"), link_of("tree")
    ('sigmoid', 'identity')
    """
    for line in model_text.split("\nTree=", 1)[0].splitlines():
        if line.startswith("objective="):
            words = line.removeprefix("objective=").split()
            if words[:1] == ["regression"] and "sqrt" in words:
                return "other"
            return _LINKS.get(words[0], "identity") if words else "identity"
    return "identity"
