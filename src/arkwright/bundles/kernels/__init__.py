"""The fitted transforms of one column each: plain state in, float64 out.

===================  =======================================================================
``Number``           a number as it is, NaN included
``ScaledNumber``     imputed, standardised, clipped, with a missing indicator
``CategoryCode``     a level's code, for learners that split on categories
``OneHot``           one column per frequent level, rare ones pooled
``MomentParts``      year, month, day, weekday, hour, day number
``ScaledMoment``     the same parts, imputed, standardised, clipped
``Chain``            a number through the steps of a fitted pipeline (:mod:`.steps`)
``NumberLevels``     a number that stands for a category, as a fitted encoder reads it
``Levels``           a text that stands for a category, as a fitted encoder reads it
``TermWeights``      a text's counted terms, one output for each
``TermScores``       what a text's terms add to a linear model's scores
===================  =======================================================================

The first six are fitted here, for AutoML; the others are compiled from a user's own fitted pipeline. Each has a
columnar path (``encode_column``) and a row path (``cell_writer``) that agree to the last bit.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt

from arkwright.bundles.cells import CellWriter, FloatArray
from arkwright.bundles.kernels.category import CategoryCode, OneHot
from arkwright.bundles.kernels.chain import Chain, NumberLevels
from arkwright.bundles.kernels.levels import Levels, LevelTable
from arkwright.bundles.kernels.moment import MomentParts, ScaledMoment
from arkwright.bundles.kernels.number import Number, ScaledNumber
from arkwright.bundles.kernels.steps import Step
from arkwright.bundles.kernels.tokens import TermScores, TermWeights, TextPlan

__all__ = [
    "CategoryCode",
    "Chain",
    "FittedKernel",
    "FoldKernel",
    "Kernel",
    "LevelTable",
    "Levels",
    "MomentParts",
    "Number",
    "NumberLevels",
    "OneHot",
    "ScaledMoment",
    "ScaledNumber",
    "Step",
    "TermScores",
    "TermWeights",
    "TextPlan",
]

FoldKernel = Number | ScaledNumber | CategoryCode | OneHot | MomentParts | ScaledMoment
"""The kernels that are fitted here."""

FittedKernel = FoldKernel | Chain | NumberLevels | Levels | TermWeights | TermScores
"""Every kernel a bundle can hold; the JSON member ``kernel`` tells them apart."""


class Kernel(Protocol):
    """What each of them can do."""

    @property
    def column(self) -> str:
        """The input column."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output columns."""
        ...

    @property
    def categorical(self) -> bool:
        """Whether the one output is a category's code and not a quantity."""
        ...

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """Return what the column is when a table does not have it."""
        ...

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Write the outputs of ``values`` (n_rows,) into ``out`` (n_rows, n_outputs), which holds zeros."""
        ...

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that writes the outputs of one JSON value from index ``at`` on, over zeros."""
        ...
