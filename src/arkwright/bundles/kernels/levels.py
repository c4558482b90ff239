"""Text that stands for a category, as fitted encoders read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import NAN, CellWriter, FloatArray, as_text, missing_column
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.kernels.steps import MISSING_MESSAGE

UNKNOWN_MESSAGE = "is {}, which training never saw, and the model's encoder refuses unknown categories"
_SHOWN = 60
_UNSEEN, _MISSING = -1, -2


class LevelTable(msgspec.Struct, frozen=True, kw_only=True):
    """What the known levels become: ``base`` in every output but, for level i, ``values[i]`` in output ``hot[i]``.

    Parameters
    ----------
    hot
        -1 for a level that is ``base`` throughout.
    unseen, missing
        The outputs of an unknown and of a missing cell; None where the encoder refuses it.

    Notes
    -----
    A None among the numbers is NaN, which JSON does not have.
    """

    names: tuple[str, ...]
    base: tuple[float | None, ...]
    hot: tuple[int, ...]
    values: tuple[float | None, ...]
    unseen: tuple[float | None, ...] | None
    missing: tuple[float | None, ...] | None

    @property
    def unseen_outputs(self) -> tuple[float, ...] | None:
        """What an unknown cell becomes."""
        return None if self.unseen is None else as_floats(self.unseen)

    @property
    def missing_outputs(self) -> tuple[float, ...] | None:
        """What a missing cell becomes."""
        return None if self.missing is None else as_floats(self.missing)

    def level_writer(self, at: int) -> Callable[[int, list[float]], None]:
        """Return a function that writes the outputs of a known level from index ``at`` on, over zeros."""
        hot, values, base, to = self.hot, as_floats(self.values), as_floats(self.base), at + len(self.base)
        if not any(base):

            def write(index: int, out: list[float]) -> None:
                if hot[index] >= 0:
                    out[at + hot[index]] = values[index]

            return write

        def write_over(index: int, out: list[float]) -> None:
            out[at:to] = base
            if hot[index] >= 0:
                out[at + hot[index]] = values[index]

        return write_over

    def write_column(self, found: npt.NDArray[np.intp], missing: npt.NDArray[np.bool_], out: FloatArray) -> None:
        """Write the outputs of a column's levels; ``found`` is -1 for unseen and missing cells."""
        out[:] = as_floats(self.base)
        hot, values = np.array(self.hot, dtype=np.intp), np.array(as_floats(self.values))
        known = np.flatnonzero(found >= 0)
        known = known[hot[found[known]] >= 0]
        out[known, hot[found[known]]] = values[found[known]]
        if self.unseen is not None:
            out[(found < 0) & ~missing] = self.unseen_outputs
        if self.missing is not None:
            out[missing] = self.missing_outputs


def as_floats(values: tuple[float | None, ...]) -> tuple[float, ...]:
    """Put NaN where a None stands for it."""
    return tuple(NAN if value is None else value for value in values)


class Levels(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="levels"):
    """A text that stands for a category: ``table`` says what each known one becomes."""

    column: str
    levels: tuple[str, ...]
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
        """All None."""
        return missing_column("categorical", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Look the column up."""
        cells = values.tolist()
        found = np.array(list(map(_Places(self.levels).__getitem__, cells)), dtype=np.intp)
        missing = found == _MISSING
        if self.table.missing is None and missing.any():
            raise CellRefused(self.column, MISSING_MESSAGE)
        if self.table.unseen is None and (unseen := found == _UNSEEN).any():
            raise CellRefused(self.column, UNKNOWN_MESSAGE.format(_shown(cells[int(unseen.argmax())])))
        self.table.write_column(found, missing, out)

    def hot_cells(self, at: int) -> dict[str, tuple[int, float] | None] | None:
        """Return where each level puts which number, None for nowhere; None where a level takes more than that."""
        if any(self.table.base) or None in self.table.base:
            return None
        cells = zip(self.levels, self.table.hot, as_floats(self.table.values), strict=True)
        return {level: (at + place, value) if place >= 0 else None for level, place, value in cells}

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that looks the cell up."""
        column, places, write_level = self.column, _Places(self.levels), self.table.level_writer(at)
        to, unseen, missing = at + len(self.table.names), self.table.unseen_outputs, self.table.missing_outputs

        def write(value: Any, out: list[float]) -> None:
            place = places[value]
            if place >= 0:
                write_level(place, out)
            elif place == _MISSING:
                if missing is None:
                    raise CellRefused(column, MISSING_MESSAGE)
                out[at:to] = missing
            elif unseen is None:
                raise CellRefused(column, UNKNOWN_MESSAGE.format(_shown(value)))
            else:
                out[at:to] = unseen

        # Most levels of most encoders set one output over zeros, or none: that is the quick way.
        hot = self.hot_cells(at)
        if hot is None:
            return write

        def write_hot(value: Any, out: list[float]) -> None:
            if value not in hot:
                write(value, out)
            elif (cell := hot[value]) is not None:
                out[cell[0]] = cell[1]

        return write_hot


class _Places(dict[Any, int]):
    """From a cell to the place of its level; other cells than texts take the slow way, through their text."""

    def __init__(self, levels: tuple[str, ...]) -> None:
        super().__init__({level: index for index, level in enumerate(levels)})
        self[None] = _MISSING

    def __missing__(self, value: object) -> int:
        return _UNSEEN if type(value) is str else self.get(as_text(value), _UNSEEN)


def _shown(value: object) -> str:
    text = as_text(value)
    return repr(text if text is None or len(text) <= _SHOWN else text[:_SHOWN] + "…")
