"""Categories: text from a list of levels learned in training.

Levels are ordered by how often they occur, then by their text, so that the state does not depend on the order of
the rows.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import NAN, CellWriter, FloatArray, as_text, missing_column

MAX_CODES = 254
"""Levels with a code of their own: with the pooled one, LightGBM's default of 255 bins for a feature."""

MAX_ONE_HOT = 64
RARE_SHARE = 0.005
"""Below this share of the rows (and below two rows) a level has no one-hot column of its own."""

MAX_POOLED = 20_000
"""Rare levels remembered by name. Any past that are read as unseen, in training too."""

T = TypeVar("T")


class _Lookup(dict[Any, T]):
    """From a cell to what it stands for; the levels are the keys, and None is missing.

    Other types than text take the slow way once, through their text. Numbers cannot be keys: ``1 == True``.
    """

    def __init__(self, known: dict[Any, T], unseen: T) -> None:
        super().__init__(known)
        self._unseen = unseen

    def __missing__(self, value: object) -> T:
        return self._unseen if type(value) is str else self.get(as_text(value), self._unseen)

    def all_of(self, values: npt.NDArray[Any]) -> list[T]:
        """Look a whole column up."""
        return list(map(self.__getitem__, values.tolist()))


def _levels(values: npt.NDArray[Any]) -> list[tuple[str, int]]:
    counts = Counter(map(as_text, values.tolist()))
    present = [(level, n) for level, n in counts.items() if level is not None]
    return sorted(present, key=lambda item: (-item[1], item[0]))


class CategoryCode(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="category_code"):
    """A level's position in ``levels`` as a float, NaN for missing.

    A high-cardinality column keeps its ``MAX_CODES`` most frequent levels; the rest share the code after the last
    (``pooled``). A level that training never saw is read as pooled where there is such a code, as missing otherwise.
    """

    column: str
    levels: tuple[str, ...]
    pooled: bool

    @classmethod
    def fit(cls, column: str, values: npt.NDArray[Any]) -> CategoryCode:
        """Learn the levels."""
        levels = [level for level, _ in _levels(values)]
        return cls(column=column, levels=tuple(levels[:MAX_CODES]), pooled=len(levels) > MAX_CODES)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The column itself."""
        return (self.column,)

    @property
    def categorical(self) -> bool:
        """It is a code."""
        return True

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All None."""
        return missing_column("categorical", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Look the codes up."""
        out[:, 0] = self.codes().all_of(values)

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that looks one code up."""
        lookup = self.codes()

        def write(value: Any, out: list[float]) -> None:
            out[at] = lookup[value]

        return write

    def codes(self) -> _Lookup[float]:
        """Return the code of each level, and of whatever else a cell may hold."""
        codes: dict[Any, float] = {level: float(code) for code, level in enumerate(self.levels)}
        codes[None] = NAN
        return _Lookup(codes, float(len(self.levels)) if self.pooled else NAN)


class OneHot(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="one_hot"):
    """One output per frequent level, one for the ``pooled`` rare ones, one for missing where training had any.

    A level that training never saw is all zeros.
    """

    column: str
    levels: tuple[str, ...]
    pooled: tuple[str, ...]
    missing: bool

    @classmethod
    def fit(cls, column: str, values: npt.NDArray[Any]) -> OneHot:
        """Learn which levels are frequent and which are rare."""
        counted = _levels(values)
        least = max(2, math.ceil(RARE_SHARE * values.size))
        frequent = [level for level, n in counted[:MAX_ONE_HOT] if n >= least]
        rare = [level for level, _ in counted[len(frequent) :]]
        return cls(
            column=column,
            levels=tuple(frequent),
            pooled=tuple(rare[:MAX_POOLED]),
            missing=sum(n for _, n in counted) < values.size,
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """One name per level."""
        names = [f"{self.column} = {level}" for level in self.levels]
        if self.pooled:
            names.append(f"{self.column} is rare")
        if self.missing:
            names.append(f"{self.column} is missing")
        return tuple(names)

    @property
    def categorical(self) -> bool:
        """Its outputs are indicators, which are quantities."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All None."""
        return missing_column("categorical", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Set a one in each row's output, if it has one."""
        hot = np.array(self._lookup().all_of(values), dtype=np.intp)
        rows = np.flatnonzero(hot >= 0)
        out[rows, hot[rows]] = 1.0

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that sets a one."""
        lookup = self._lookup()

        def write(value: Any, out: list[float]) -> None:
            hot = lookup[value]
            if hot >= 0:
                out[at + hot] = 1.0

        return write

    def _lookup(self) -> _Lookup[int]:
        n_levels = len(self.levels)
        hot: dict[Any, int] = {level: index for index, level in enumerate(self.levels)}
        hot.update(dict.fromkeys(self.pooled, n_levels))
        hot[None] = n_levels + bool(self.pooled) if self.missing else -1
        return _Lookup(hot, -1)
