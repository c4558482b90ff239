"""What every evaluator can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

from arkwright.bundles.cells import FloatArray


@dataclass(frozen=True)
class EvaluatorState:
    """An evaluator as it is stored: small parameters as JSON, the rest as files of its own."""

    params: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class Evaluator(Protocol):
    """A fitted estimator without the library that fitted it.

    ``tolerance`` is how far its scores may lie from that library's, relative to the larger of 1 and the scores'
    magnitude: 0 where the same machine code computes both.
    """

    kind: ClassVar[str]
    tolerance: ClassVar[float]

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

    def dump(self) -> EvaluatorState:
        """Return what ``load`` needs."""
        ...

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """Rebuild from what ``dump`` returned."""
        ...
