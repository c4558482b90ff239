"""How a row becomes a vector of float64.

An :class:`Encoder` is a fitted plan of one kernel per column. Two layouts: ``tree`` leaves numbers and missing cells
as they are and turns categories into codes; ``linear`` imputes, standardises and one-hot encodes. A table and a row
take two paths through the same state and agree to the last bit, which is what makes it safe to train on one and
serve on the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.kernels import (
    CategoryCode,
    FittedKernel,
    FoldKernel,
    Kernel,
    MomentParts,
    Number,
    OneHot,
    ScaledMoment,
    ScaledNumber,
)
from arkwright.bundles.sidecar import Arrays, move_in, move_out
from arkwright.contracts import Column
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared

Layout = Literal["tree", "linear"]

_KERNELS: dict[Layout, dict[str, type[FoldKernel]]] = {
    "tree": {"numeric": Number, "categorical": CategoryCode, "time": MomentParts},
    "linear": {"numeric": ScaledNumber, "categorical": OneHot, "time": ScaledMoment},
}


def fit_encoder(columns_spec: Sequence[Column], columns: Columns, *, layout: Layout) -> Encoder:
    """Fit an encoder on a training fold.

    Parameters
    ----------
    columns_spec
        The model's inputs, as in ``Signature.columns``.
    columns
        The fold: arrays of shape (n_rows,).
    layout
        ``tree`` or ``linear``.

    Raises
    ------
    Invalid
        If the fold lacks one of the columns.

    Examples
    --------
    >>> fold = {"age": np.array([30.0, np.nan]), "plan": np.array(["basic", "pro"], dtype=object)}
    >>> spec = [Column(name="age", kind="numeric"), Column(name="plan", kind="categorical")]
    >>> encoder = fit_encoder(spec, fold, layout="tree")
    >>> encoder.encode_columns(fold)
    array([[30.,  0.],
           [nan,  1.]])
    >>> encoder.encode_row({"age": 41, "plan": "never seen"})
    [41.0, nan]
    """
    absent = [column.name for column in columns_spec if column.name not in columns]
    if absent:
        raise Invalid(
            f"The training table has no column {absent[0]!r}.",
            code="encoder.column_missing",
            hint=f"It has: {', '.join(sorted(columns))}.",
        )
    kernels = _KERNELS[layout]
    return Encoder(tuple(kernels[column.kind].fit(column.name, columns[column.name]) for column in columns_spec))


class Encoder:
    """A fitted plan: one kernel per input column, in order.

    Attributes
    ----------
    kernels
        The fitted transforms.
    feature_names
        Name of each output, for people: not every learner's own naming rules are met.
    source_columns
        The input column of each output.
    categorical_feature
        Indices of the outputs that are category codes, as LightGBM's ``categorical_feature`` takes them.
    """

    def __init__(self, kernels: tuple[FittedKernel, ...]) -> None:
        self.kernels = kernels
        names: list[str] = []
        sources: list[str] = []
        codes: list[int] = []
        writers = []
        self._spans: list[tuple[Kernel, slice]] = []
        for kernel in kernels:
            at = len(names)
            names.extend(kernel.outputs)
            sources.extend([kernel.column] * len(kernel.outputs))
            if kernel.categorical:
                codes.append(at)
            writers.append((kernel.column, kernel.cell_writer(at)))
            self._spans.append((kernel, slice(at, len(names))))
        self.feature_names = tuple(names)
        self.source_columns = tuple(sources)
        self.categorical_feature = tuple(codes)
        self._writers = tuple(writers)
        self._zeros = [0.0] * len(names)

    def __reduce__(self) -> tuple[type[Encoder], tuple[tuple[FittedKernel, ...]]]:
        return Encoder, (self.kernels,)

    @property
    def n_outputs(self) -> int:
        """Length of the vector."""
        return len(self.feature_names)

    def encode_columns(self, columns: Columns) -> FloatArray:
        """Encode a table; a column it lacks counts as missing in every row.

        Returns
        -------
        FloatArray
            Of shape (n_rows, n_outputs), C-contiguous.
        """
        n_rows = next((values.size for values in columns.values()), 0)
        encoded = np.zeros((n_rows, self.n_outputs))
        for kernel, span in self._spans:
            values: npt.NDArray[Any] | None = columns.get(kernel.column)
            kernel.encode_column(kernel.missing_column(n_rows) if values is None else values, encoded[:, span])
        return encoded

    def encode_row(self, row: Mapping[str, Any]) -> list[float]:
        """Encode one row of JSON values that passed validation; an absent key counts as missing."""
        vector = self._zeros.copy()
        get = row.get
        for column, write in self._writers:
            write(get(column), vector)
        return vector

    def to_json(self) -> tuple[dict[str, Any], Arrays]:
        """Return the state as plain JSON, with the arrays that are too long for it."""
        state, arrays = move_out({"kernels": msgspec.to_builtins(self.kernels)})
        return state, arrays

    @classmethod
    def from_json(cls, state: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] | None = None) -> Encoder:
        """Rebuild an encoder from what ``to_json`` returned.

        Raises
        ------
        msgspec.ValidationError, KeyError
            If it is something else.
        """
        return cls(msgspec.convert(move_in(state["kernels"], arrays or {}), tuple[FittedKernel, ...]))


prepared(tuple[FittedKernel, ...])
