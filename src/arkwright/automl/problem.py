"""The problem a search works on, written into a folder that all its processes read.

::

    problem.json     what is asked (:class:`Problem`)
    columns/         the inputs, all rows (:mod:`arkwright.automl.arrays`)
    target.npy       codes or values, one per row
    folds.npy        fold number of each row, -1 for the holdout
    encoded/         what encoders fitted on one training fold made of it, per fold and layout
    trials/<name>/   out-of-fold scores and the models of the folds
    refit/<name>/    the model fitted on all rows but the holdout
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.automl.arrays import Columns, read_columns, save_array, write_atomically, write_columns
from arkwright.automl.learners import Question
from arkwright.automl.learners.ports import FloatArray
from arkwright.automl.splits import HOLDOUT, FoldNumbers
from arkwright.contracts import Column
from arkwright.contracts.signature import TaskType
from arkwright.core.structs import prepared


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked.

    Parameters
    ----------
    columns
        The model's inputs.
    metric, direction
        What candidates are compared by.
    balanced
        Weigh rows so that every class counts the same.
    """

    task: TaskType
    n_classes: int
    columns: tuple[Column, ...]
    metric: str
    direction: str
    n_folds: int
    seed: int
    balanced: bool = False

    @property
    def question(self) -> Question:
        """The part that learners need."""
        return Question(task=self.task, n_classes=self.n_classes, metric=self.metric, seed=self.seed)


@dataclass(frozen=True)
class ProblemFolder:
    """A problem on disk."""

    path: Path

    def write(
        self,
        problem: Problem,
        columns: Mapping[str, npt.NDArray[Any]],
        target: FloatArray,
        folds: FoldNumbers,
    ) -> None:
        """Store a problem."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_columns(self.path / "columns", {column.name: columns[column.name] for column in problem.columns})
        save_array(self.path / "target.npy", target)
        save_array(self.path / "folds.npy", folds)
        write_atomically(self.path / "problem.json", msgspec.json.encode(problem))

    def problem(self) -> Problem:
        """Read what is asked."""
        return msgspec.json.decode((self.path / "problem.json").read_bytes(), type=Problem)

    def target(self) -> FloatArray:
        """Map the target."""
        return np.asarray(np.load(self.path / "target.npy", mmap_mode="r"))

    def folds(self) -> FoldNumbers:
        """Map the fold numbers."""
        return np.asarray(np.load(self.path / "folds.npy", mmap_mode="r"))

    def inputs(self, rows: npt.NDArray[np.int64]) -> Columns:
        """Return the inputs of some rows."""
        return read_columns(self.path / "columns", rows, [column.name for column in self.problem().columns])

    def training_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows that are not held out."""
        return np.flatnonzero(self.folds() != HOLDOUT)

    def holdout_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows that no fold sees."""
        return np.flatnonzero(self.folds() == HOLDOUT)


def balanced_weights(y: FloatArray, n_classes: int) -> FloatArray:
    """Return row weights under which every class that occurs has the same total, with mean one.

    Examples
    --------
    >>> balanced_weights(np.array([0.0, 0.0, 0.0, 1.0]), 2)
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    codes = y.astype(np.int64)
    counts = np.bincount(codes, minlength=n_classes)
    present = np.count_nonzero(counts)
    weights: FloatArray = y.size / (present * np.maximum(counts, 1))[codes]
    return weights


prepared(Problem)
