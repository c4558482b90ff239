"""Numbers through the fitted steps of a pipeline, and numbers that stand for a category."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import NAN, CellWriter, FloatArray, as_numbers, missing_column
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.kernels.levels import UNKNOWN_MESSAGE, LevelTable
from arkwright.bundles.kernels.steps import MISSING_MESSAGE, Step, apply_to_column, for_row


class Chain(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="chain"):
    """A number through ``steps``."""

    column: str
    name: str
    steps: tuple[Step, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """One."""
        return (self.name,)

    @property
    def categorical(self) -> bool:
        """It is a quantity."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All NaN."""
        return missing_column("numeric", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Apply the steps to the column."""
        out[:, 0] = apply_to_column(self.steps, as_numbers(values), self.column)

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that applies the steps to the cell."""
        apply = for_row(self.steps, self.column)

        def write(value: Any, out: list[float]) -> None:
            out[at] = apply(NAN if value is None else float(value))

        return write


class NumberLevels(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="number_levels"):
    """A number, through ``steps``, that stands for a category: ``table`` says what each known one becomes."""

    column: str
    steps: tuple[Step, ...]
    levels: tuple[float, ...]
    table: LevelTable

    @property
    def outputs(self) -> tuple[str, ...]:
        """As the table names them."""
        return self.table.names

    @property
    def categorical(self) -> bool:
        """Its outputs are read as quantities."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All NaN."""
        return missing_column("numeric", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Look the column up."""
        numbers = apply_to_column(self.steps, as_numbers(values), self.column)
        missing = np.isnan(numbers)
        if self.table.missing is None and missing.any():
            raise CellRefused(self.column, MISSING_MESSAGE)
        indices = self._indices()
        found = np.array([indices.get(number, -1) for number in numbers.tolist()], dtype=np.intp)
        if self.table.unseen is None and (unseen := (found < 0) & ~missing).any():
            raise CellRefused(self.column, UNKNOWN_MESSAGE.format(repr(float(numbers[unseen.argmax()]))))
        self.table.write_column(found, missing, out)

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that looks the cell up."""
        column, apply, indices = self.column, for_row(self.steps, self.column), self._indices()
        write_level, to = self.table.level_writer(at), at + len(self.table.names)
        unseen, missing = self.table.unseen_outputs, self.table.missing_outputs

        def write(value: Any, out: list[float]) -> None:
            number = apply(NAN if value is None else float(value))
            if number == number:  # noqa: PLR0124 - not NaN
                index = indices.get(number, -1)
                if index >= 0:
                    write_level(index, out)
                elif unseen is None:
                    raise CellRefused(column, UNKNOWN_MESSAGE.format(repr(number)))
                else:
                    out[at:to] = unseen
            elif missing is None:
                raise CellRefused(column, MISSING_MESSAGE)
            else:
                out[at:to] = missing

        return write

    def _indices(self) -> dict[float, int]:
        return {level: index for index, level in enumerate(self.levels)}
