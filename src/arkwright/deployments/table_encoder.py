"""Encoding and scoring a table at once, with a compiled model.

The scores are those of ``Predictor.predict_columns``, to the last bit. Each text of a coded column is encoded once.
Trees of few leaves are evaluated by look-ups (:mod:`arkwright.bundles.evaluators.leaf_masks`), in less than half of the
library's time; everything else by its evaluator, a block of vectors at a time that stays in the processor's cache, rows
that are alike one after the other (:mod:`.row_order`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles import Predictor
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.evaluators.bins import Codes
from arkwright.bundles.evaluators.leaf_masks import LeafMasks, Words, leaf_masks
from arkwright.bundles.kernels import FittedKernel
from arkwright.deployments.row_order import most_split, order_by

Array = npt.NDArray[Any]

# A block of vectors of about a megabyte.
_BLOCK_CELLS, _LEAST_BLOCK_ROWS, _MOST_BLOCK_ROWS = 1 << 17, 256, 8192
_WORTH_ROWS = 8192
"""Fewer are scored before the tables of masks are made."""
_JOINED_BYTES = 1 << 18
"""A table of several features' codes together: a few of them stay in the processor's second cache."""
_MOST_TABLE_BYTES = 1 << 23
_LOOKUPS_PER_LEVEL = 12
"""Look-ups that take less time than a level of the trees: of 8 to 64 leaves, twice as many were as slow."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of text as codes: ``texts[codes]``; the last text is None, for missing."""

    codes: npt.NDArray[np.intp]
    texts: Array

    def decoded(self) -> Array:
        """Return one object for each row."""
        found: Array = self.texts[self.codes]
        return found


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell that is not what the model takes; its row is counted from 0."""

    row: int
    message: str


Columns = Mapping[str, Coded | Array]
Scored = tuple[npt.NDArray[np.float64], list[BadCell]]


class TableEncoder:
    """Encodes and scores tables; made once for a model."""

    def __init__(self, predictor: Predictor) -> None:
        self._encoder, self._evaluator = predictor.encoder, predictor.evaluator
        width = max(1, self._encoder.n_outputs)
        self._block_rows = min(_MOST_BLOCK_ROWS, max(_LEAST_BLOCK_ROWS, _BLOCK_CELLS // width))
        self._keys = most_split(self._evaluator.dump().files, self._encoder.source_columns)

    def scores(self, columns: Columns, n_rows: int) -> Scored:
        """Score a table.

        Returns
        -------
        tuple
            The scores, and the cells that the encoder refuses: their rows' scores mean nothing.
        """
        masks = self._masks if n_rows >= _WORTH_ROWS else None
        found = None if masks is None else self._by_masks(masks, columns, n_rows)
        return self._by_vectors(columns, n_rows) if found is None else found

    def _by_masks(self, masks: LeafMasks, columns: Columns, n_rows: int) -> Scored | None:
        """Score by look-ups, or return None if these columns take too many of them or too large tables."""
        bad: list[BadCell] = []
        tables: list[Words] = []
        for kernel, used in self._used:
            values = columns[kernel.column]
            if not isinstance(values, Coded):
                tables += [masks.table(feature) for feature in used.values()]
                continue
            few = _look_up(kernel, values, bad)
            if values.texts.size * masks.row_bytes > _MOST_TABLE_BYTES:
                return None
            if used:
                words = (masks.table(feature)[masks.codes(feature, few[:, at])] for at, feature in used.items())
                tables.append(functools.reduce(np.bitwise_and, words))
        groups = _groups([len(table) for table in tables], _JOINED_BYTES // masks.row_bytes)
        if len(groups) > _LOOKUPS_PER_LEVEL * masks.depth:
            return None
        joined = [functools.reduce(_pairs, [tables[number] for number in group]) for group in groups]
        scores = np.empty((n_rows, self._evaluator.n_outputs))
        for start in range(0, n_rows, _MOST_BLOCK_ROWS):
            rows = slice(start, min(start + _MOST_BLOCK_ROWS, n_rows))
            codes = self._codes(masks, columns, rows, bad)
            of_groups = []
            for group in groups:
                found = codes[group[0]]
                for number in group[1:]:
                    found = found * len(tables[number]) + codes[number]
                of_groups.append(found)
            scores[rows] = masks.scores(list(zip(of_groups, joined, strict=True)))
        return scores, bad

    def _codes(self, masks: LeafMasks, columns: Columns, rows: slice, bad: list[BadCell]) -> list[Codes]:
        """Return some rows' codes for each table, and add the cells that the encoder refuses."""
        codes: list[Codes] = []
        for kernel, used in self._used:
            values = columns[kernel.column]
            if isinstance(values, Coded):
                codes += [values.codes[rows]] if used else []
                continue
            cells = np.zeros((rows.stop - rows.start, len(kernel.outputs)))
            refused = _encode_column(kernel, values[rows], cells)
            bad += [BadCell(rows.start + place, message) for place, message in refused.items()]
            codes += [masks.codes(feature, cells[:, at]) for at, feature in used.items()]
        return codes

    @functools.cached_property
    def _masks(self) -> LeafMasks | None:
        return leaf_masks(self._evaluator)

    @functools.cached_property
    def _used(self) -> list[tuple[FittedKernel, dict[int, int]]]:
        """The kernels, with the feature that each output is that some tree splits on."""
        features = frozenset(self._masks.features) if self._masks else frozenset()
        found, before = [], 0
        for kernel in self._encoder.kernels:
            width = len(kernel.outputs)
            found.append((kernel, {at: before + at for at in range(width) if before + at in features}))
            before += width
        return found

    def _by_vectors(self, columns: Columns, n_rows: int) -> Scored:
        keys = [columns[name] for name in self._keys]
        order = order_by((key.codes if isinstance(key, Coded) else key for key in keys), n_rows)
        bad: list[BadCell] = []
        looked_up: list[Array | None] = []
        for kernel in self._encoder.kernels:
            values = columns[kernel.column]
            looked_up.append(_look_up(kernel, values, bad) if isinstance(values, Coded) else None)
        scores = np.empty((n_rows, self._evaluator.n_outputs))
        block = np.empty((min(self._block_rows, n_rows), self._encoder.n_outputs))
        for start in range(0, n_rows, self._block_rows):
            rows = order[start : start + self._block_rows]
            part = block[: rows.size]
            part.fill(0.0)
            at = 0
            for kernel, few in zip(self._encoder.kernels, looked_up, strict=True):
                values, width = columns[kernel.column], len(kernel.outputs)
                span = part[:, at : at + width]
                if few is not None and isinstance(values, Coded):
                    span[:] = few[values.codes[rows]]
                elif not isinstance(values, Coded):
                    refused = _encode_column(kernel, values[rows], span)
                    bad += [BadCell(int(rows[place]), message) for place, message in refused.items()]
                at += width
            scores[rows] = self._evaluator.scores_matrix(part)
        return scores, bad


def _groups(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Put tables together, the smallest first, as long as the product of their sizes is at most ``most``.

    Examples
    --------
    >>> _groups([90, 3, 5, 4], 30)
    [[1, 3], [2], [0]]
    """
    groups: list[list[int]] = []
    product = most + 1
    for number in sorted(range(len(sizes)), key=sizes.__getitem__):
        product *= sizes[number]
        if product > most:
            groups.append([])
            product = sizes[number]
        groups[-1].append(number)
    return groups


def _pairs(first: Words, second: Words) -> Words:
    """Return what each pair of a code of the first table and one of the second stands for."""
    found: Words = (first[:, None, :] & second[None, :, :]).reshape(-1, first.shape[1])
    return found


def _look_up(kernel: FittedKernel, values: Coded, bad: list[BadCell]) -> Array:
    """Encode the texts of a coded column, and add the cells of those that are refused."""
    few = np.zeros((values.texts.size, len(kernel.outputs)))
    for position, message in _encode_column(kernel, values.texts, few).items():
        bad += [BadCell(int(row), message) for row in np.flatnonzero(values.codes == position)]
    return few


def _encode_column(kernel: FittedKernel, values: Array, out: npt.NDArray[np.float64], at: int = 0) -> dict[int, str]:
    """Encode a column; return the positions of the cells that the kernel refuses, with what it says."""
    try:
        kernel.encode_column(values, out)
    except CellRefused as error:
        if values.size == 1:
            return {at: f"the column {error.column!r} {error.message}"}
        half = values.size // 2
        found = _encode_column(kernel, values[:half], out[:half], at)
        return found | _encode_column(kernel, values[half:], out[half:], at + half)
    return {}
