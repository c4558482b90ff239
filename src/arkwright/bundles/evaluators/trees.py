"""Tree ensembles of other libraries, run by LightGBM's library from a model text of our own.

``arkwright.bundles.conversion`` writes the text from the trees of scikit-learn, XGBoost or CatBoost, with thresholds
moved so that a comparison of float64 numbers decides what the library decided in its own precision. No compiler, and
not a line of those libraries, is needed where it is served.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.evaluators.lightgbm import link_of
from arkwright.bundles.evaluators.lightgbm_library import Booster
from arkwright.bundles.evaluators.ports import EvaluatorState, Link

_FILE = "trees.txt"


class TreesEvaluator:
    """Converted trees.

    Parameters
    ----------
    model_text
        As ``conversion.tree_text.write_model_text`` returns it.
    tolerance
        How far its scores may lie from those of the library that fitted the trees: see ``Evaluator.tolerance``.
    n_threads
        OpenMP threads for a matrix.

    Notes
    -----
    Safe to use from several threads. Unlike a native booster's, its small numbers count as they are: 1e-40 is
    greater than 0.
    """

    kind: ClassVar[str] = "trees"

    def __init__(self, model_text: str, *, tolerance: float = 0.0, n_threads: int = 1) -> None:
        if not 0.0 <= tolerance < 1.0:
            raise ValueError(f"a tolerance lies between 0 and 1, this is {tolerance}")
        self._model_text = model_text
        self._n_threads = n_threads
        self._booster = Booster(model_text, every_cell=True, n_threads=n_threads)
        self.tolerance = tolerance
        self.n_features = self._booster.n_features
        self.n_outputs = self._booster.n_outputs
        self.link: Link = link_of(model_text)

    def __reduce__(self) -> Any:
        rebuild = functools.partial(type(self), tolerance=self.tolerance, n_threads=self._n_threads)
        return rebuild, (self._model_text,)

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        return self._booster.scores_row(vector)

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix."""
        return self._booster.scores_matrix(X)

    def contributions_row(self, vector: list[float]) -> list[list[float]]:
        """Return the Shapley values of each feature for the raw score, by the share of training rows on each path."""
        return self._booster.contributions_row(vector)

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Return the same for the rows of a matrix."""
        return self._booster.contributions_matrix(X)

    def dump(self) -> EvaluatorState:
        """Return the model text as a file."""
        return EvaluatorState(params={"tolerance": self.tolerance}, files={_FILE: self._model_text.encode()})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """Read the model text."""
        return cls(files[_FILE].decode(), tolerance=float(params["tolerance"]))
