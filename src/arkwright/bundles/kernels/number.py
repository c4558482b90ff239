"""Numbers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import NAN, CellWriter, FloatArray, as_numbers, missing_column
from arkwright.bundles.kernels.scale import Scale


class Number(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="number"):
    """A number as it is; missing stays NaN, which trees split on."""

    column: str

    @classmethod
    def fit(cls, column: str, values: npt.NDArray[Any]) -> Number:  # noqa: ARG003 - nothing to learn
        """There is nothing to learn."""
        return cls(column=column)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The column itself."""
        return (self.column,)

    @property
    def categorical(self) -> bool:
        """It is a quantity."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All NaN."""
        return missing_column("numeric", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Copy the column."""
        out[:, 0] = as_numbers(values)

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that copies the cell."""

        def write(value: Any, out: list[float]) -> None:
            out[at] = NAN if value is None else float(value)

        return write


class ScaledNumber(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="scaled_number"):
    """A number imputed, standardised and clipped.

    ``indicator`` adds an output that is 1 where the cell was missing: only where the training fold had missing
    cells, as a weight for it could not have been learned otherwise.
    """

    column: str
    scale: Scale
    indicator: bool

    @classmethod
    def fit(cls, column: str, values: npt.NDArray[Any]) -> ScaledNumber:
        """Fit the scale, and see whether anything was missing."""
        numbers = as_numbers(values)
        return cls(column=column, scale=Scale.fit(numbers), indicator=bool(np.isnan(numbers).any()))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The column, and its indicator."""
        return (self.column, f"{self.column} is missing") if self.indicator else (self.column,)

    @property
    def categorical(self) -> bool:
        """It is a quantity."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All NaN."""
        return missing_column("numeric", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Scale the column."""
        numbers = as_numbers(values)
        missing = np.isnan(numbers)
        out[:, 0] = self.scale.apply(numbers, missing)
        if self.indicator:
            out[:, 1] = missing

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that scales the cell."""
        indicator, apply = self.indicator, self.scale.apply_one

        def write(value: Any, out: list[float]) -> None:
            number = NAN if value is None else float(value)
            out[at] = apply(number)
            if indicator and number != number:  # noqa: PLR0124 - NaN
                out[at + 1] = 1.0

        return write
