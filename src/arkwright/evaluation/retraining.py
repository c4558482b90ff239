"""Training the learner of a version again, on rows that were kept of its training; the composition root says how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import Columns
from arkwright.kit.db import UnitOfWork


class Learn(Protocol):
    """A learner with its parameters."""

    def __call__(
        self, columns: Columns, truth: npt.NDArray[Any], weights: FloatArray | None, scored: Columns
    ) -> FloatArray:
        """Train on some rows, and return the scores of others as a predictor does, shape ``(n, k)``.

        Parameters
        ----------
        truth
            Class codes in the order of the signature's classes, or values.
        weights
            How much each row counts; None for what the training itself gave them.
        """
        ...


class Retraining(Protocol):
    """What an evaluation asks of whoever trains models."""

    def learner_of(self, unit: UnitOfWork, lineage: Mapping[str, str], signature: Signature) -> Learn | None:
        """Return the learner of a bundle with this lineage; None where it cannot be trained again."""
        ...


class NoRetraining:
    """Nothing can be trained again: for an evaluation without a training room."""

    def learner_of(
        self,
        unit: UnitOfWork,  # noqa: ARG002
        lineage: Mapping[str, str],  # noqa: ARG002
        signature: Signature,  # noqa: ARG002
    ) -> Learn | None:
        """Return nothing."""
        return None


@dataclass(frozen=True)
class KeptTraining:
    """Rows that were kept of a training, and the learner.

    Attributes
    ----------
    columns, truth
        Inputs and class codes, each of shape (n_rows,).
    sensitive
        By name, the columns that say who a row is about, where they were kept.
    """

    columns: Columns
    truth: npt.NDArray[Any]
    learn: Learn
    sensitive: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
