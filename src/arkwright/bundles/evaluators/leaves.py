"""Forests of many classes: each tree is walked once, and its leaf holds the shares of all classes."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.errors import ContributionsUnavailable
from arkwright.bundles.evaluators.lightgbm_library import Booster
from arkwright.bundles.evaluators.ports import EvaluatorState, Link

_TREES, _LEAVES = "trees.txt", "leaves.npz"
_BLOCK_ROWS = 4096


class LeavesEvaluator:
    """The mean, over the trees, of the row of ``values`` that a leaf stands for.

    Parameters
    ----------
    model_text
        The trees, one per round; what their leaves add does not matter.
    starts
        Where the leaves of each tree begin in ``rows``, of shape (n_trees,).
    rows
        Which row of ``values`` each leaf stands for, of shape (n_leaves,).
    values
        Class shares, of shape (n_distinct, n_outputs): most leaves of a forest are alike.

    Notes
    -----
    A forest of 26 classes written as trees of one class each would be walked 26 times, and be 26 times as large.
    """

    kind: ClassVar[str] = "leaves"
    tolerance: ClassVar[float] = 1e-14  # a library with several jobs adds the trees up in another order
    link: ClassVar[Link] = "identity"

    def __init__(
        self,
        model_text: str,
        starts: npt.ArrayLike,
        rows: npt.ArrayLike,
        values: npt.ArrayLike,
        *,
        n_threads: int = 1,
    ) -> None:
        self._model_text = model_text
        self._n_threads = n_threads
        self._booster = Booster(model_text, every_cell=True, n_threads=n_threads)
        self.n_features = self._booster.n_features
        self._starts: npt.NDArray[np.int64] = np.array(starts, dtype=np.int64)
        self._rows: npt.NDArray[np.int32] = np.array(rows, dtype=np.int32)
        self._values: FloatArray = np.array(values, dtype=np.float64, ndmin=2)
        self._check()

    def _check(self) -> None:
        n_trees = self._booster.leaves_matrix(np.zeros((1, self.n_features))).shape[1]
        if self._starts.shape != (n_trees,) or self._rows.ndim != 1 or self._values.ndim != 2:
            raise ValueError(f"{n_trees} trees, and starts of shape {self._starts.shape}")
        within = self._rows.size and self._rows.min() >= 0 and self._rows.max() < len(self._values)
        if not within or self._starts[0] != 0 or (np.diff(self._starts) < 1).any():
            raise ValueError("a leaf stands for no row of the values")
        if self._starts[-1] >= self._rows.size:
            raise ValueError("a tree begins beyond the last leaf")

    def __reduce__(self) -> Any:
        rebuild = functools.partial(type(self), n_threads=self._n_threads)
        return rebuild, (self._model_text, self._starts, self._rows, self._values)

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return int(self._values.shape[1])

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        if len(vector) != self.n_features:
            raise ValueError(f"the trees take {self.n_features} features, the row has {len(vector)}")
        scores: list[float] = self._block(np.array([vector], dtype=np.float64))[0].tolist()
        return scores

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix."""
        scores = np.empty((X.shape[0], self.n_outputs))
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            scores[start : start + _BLOCK_ROWS] = self._block(X[start : start + _BLOCK_ROWS])
        return scores

    def _block(self, X: FloatArray) -> FloatArray:
        leaves = self._booster.leaves_matrix(X).astype(np.int64)
        rows = self._rows[leaves + self._starts]
        # One tree after the other, as the library adds them up.
        if len(rows) == 1:
            totals: FloatArray = np.add.reduce(self._values[rows[0]], axis=0)[None]
        else:
            totals = np.zeros((len(rows), self.n_outputs))
            for column in rows.T:
                totals += self._values[column]
        totals /= self._starts.size
        return totals

    def contributions_row(self, vector: list[float]) -> list[list[float]]:  # noqa: ARG002 - there are none
        """Refuse.

        Raises
        ------
        ContributionsUnavailable
            Always: the library explains trees of one output.
        """
        raise self._no_contributions()

    def contributions_matrix(self, X: FloatArray) -> FloatArray:  # noqa: ARG002 - there are none
        """Refuse, as ``contributions_row`` does."""
        raise self._no_contributions()

    def _no_contributions(self) -> ContributionsUnavailable:
        return ContributionsUnavailable(
            f"A forest of {self.n_outputs} classes is compiled in a form that has no contributions.",
            hint="Explain a boosted model of the same data, or a forest of fewer classes.",
        )

    def dump(self) -> EvaluatorState:
        """Return the trees as text and the leaves as arrays."""
        buffer = io.BytesIO()
        np.savez(buffer, starts=self._starts, rows=self._rows, values=self._values)
        return EvaluatorState(files={_TREES: self._model_text.encode(), _LEAVES: buffer.getvalue()})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:  # noqa: ARG003 - there are none
        """Rebuild."""
        with np.load(io.BytesIO(files[_LEAVES]), allow_pickle=False) as arrays:
            return cls(files[_TREES].decode(), arrays["starts"], arrays["rows"], arrays["values"])


def distinct_rows(values: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """Return the distinct rows of a matrix, and for each row which of them it is.

    Examples
    --------
    >>> distinct, which = distinct_rows(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> distinct[which].tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    >>> len(distinct)
    2
    """
    # Sorting one number per row is quick, sorting rows is not. Whether two rows share a number by chance is checked.
    factors = np.random.default_rng(0).integers(1, 1 << 63, values.shape[1], dtype=np.uint64)
    marks = (np.ascontiguousarray(values).view(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
    _, first, which = np.unique(marks, return_index=True, return_inverse=True)
    distinct = values[first]
    if not np.array_equal(distinct[which], values):
        return values, np.arange(len(values), dtype=np.int32)
    return distinct, which.astype(np.int32)
