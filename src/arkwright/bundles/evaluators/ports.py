"""What every evaluator can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self

from arkwright.bundles.cells import FloatArray

Link = Literal["identity", "sigmoid", "softmax", "ovr", "exp", "other"]
"""From the raw scores to the answer: as they are, one probability (sigmoid), probabilities over the classes (softmax,
or ovr: a sigmoid for each class, scaled to sum to 1 where the library does so), or the exponential of a value."""


@dataclass(frozen=True)
class EvaluatorState:
    """An evaluator as it is stored: small parameters as JSON, the rest as files of its own."""

    params: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class Evaluator(Protocol):
    """A fitted estimator without the library that fitted it."""

    kind: ClassVar[str]

    @property
    def tolerance(self) -> float:
        """How far its scores may lie from the library's, relative to the larger of 1 and the scores' magnitude.

        0 where the same machine code computes both.
        """
        ...

    @property
    def link(self) -> Link:
        """From the raw scores, which contributions add up to, to the scores."""
        ...

    @property
    def n_features(self) -> int:
        """Length of the vector it takes."""
        ...

    @property
    def n_outputs(self) -> int:
        """Number of scores it gives."""
        ...

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        ...

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix of shape (n_rows, n_features); returns (n_rows, n_outputs)."""
        ...

    def contributions_row(self, vector: list[float]) -> list[list[float]]:
        """Say what each feature added to the raw scores of one vector.

        Returns
        -------
        list of list of float
            One list per output, of length ``n_features + 1``: the last entry is the expected raw score, and the
            sum of the list is the raw score.

        Raises
        ------
        ContributionsUnavailable
            If this model's scores are not a sum of features' shares.
        """
        ...

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Say the same for the rows of a matrix; returns (n_rows, n_outputs, n_features + 1)."""
        ...

    def dump(self) -> EvaluatorState:
        """Return what ``load`` needs."""
        ...

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """Rebuild from what ``dump`` returned.

        Raises
        ------
        ValueError, TypeError, KeyError, EvaluatorFailed
            If it is something else: the bundle reports it as corrupt.
        """
        ...
