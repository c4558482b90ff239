"""What a learner is: something that turns an encoded training set into a model a bundle can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from arkwright.bundles import Evaluator
from arkwright.contracts.signature import TaskType

FloatArray = npt.NDArray[np.float64]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class EncodedRows:
    """Rows as an encoder wrote them.

    Parameters
    ----------
    X
        Shape (n_rows, n_outputs); NaN for missing where the layout keeps it.
    y
        Class codes or values, shape (n_rows,).
    weight
        Weight of each row, or None for equal ones.
    categorical
        Indices of the columns of ``X`` that are category codes.
    cache
        A folder where a learner may keep what it derived from these rows for the next candidate; None for none.
    """

    X: FloatArray
    y: FloatArray
    weight: FloatArray | None = None
    categorical: tuple[int, ...] = ()
    cache: Path | None = None


@dataclass(frozen=True)
class Question:
    """What is to be learned: the task, how many classes, the metric to make better, and the seed."""

    task: TaskType
    n_classes: int
    metric: str
    seed: int

    @property
    def n_outputs(self) -> int:
        """Columns of the scores: one per class for multiclass, otherwise one."""
        return self.n_classes if self.task == "multiclass" else 1


class FittedModel(Protocol):
    """A trained model, still in the hands of the library that trained it."""

    @property
    def rounds(self) -> int:
        """Boosting rounds or optimiser iterations that are in the model."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether training was cut short by its ``stop``."""
        ...

    def scores(self, X: FloatArray) -> FloatArray:
        """Return the library's own scores, shape (n_rows, n_outputs)."""
        ...

    def evaluator(self) -> Evaluator:
        """Return what a bundle serves, free of the library that trained it."""
        ...


class Learner(Protocol):
    """A family of models.

    ``fit`` must give the same model for the same arguments unless ``stop`` cut it short.
    """

    def fit(
        self,
        train: EncodedRows,
        question: Question,
        params: Mapping[str, Any],
        *,
        validation: EncodedRows | None = None,
        rounds: int | None = None,
        stop: Stop,
    ) -> FittedModel:
        """Train.

        Parameters
        ----------
        validation
            Rows to decide by when to stop; None to train for ``rounds``.
        rounds
            How long to train where there is no validation part; learners that need no such number ignore it.
        stop
            Polled while training; when true, return what there is.
        """
        ...
