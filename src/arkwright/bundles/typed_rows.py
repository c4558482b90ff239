"""One row of a request, from its bytes to a vector in one typed pass: what a signature and an encoder are compiled to.

The decoder is a :mod:`msgspec` struct with a field for each column, so that parsing, the check of types and the look-up
of cells are one step in C; the encoder is a function generated for the bundle, which holds no text but our own. Both do
what :class:`~arkwright.bundles.validation.InstanceValidator` and :meth:`~arkwright.bundles.encoder.Encoder.encode_row`
do, for the bodies that nearly every request has. Any other body is *declined* and takes the general way, which finds
the words for what is wrong with it, or accepts what is unusual: a declined body costs time and never changes an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from arkwright.bundles.cells import NAN, parse_moment
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.kernels import (
    CategoryCode,
    Chain,
    FittedKernel,
    Kernel,
    Levels,
    MomentParts,
    Number,
    NumberLevels,
    OneHot,
    ScaledMoment,
    ScaledNumber,
    TermScores,
    TermWeights,
)
from arkwright.bundles.kernels.steps import for_row
from arkwright.contracts import Signature

_BLANKS = b" \t\r\n"
_NOTHING: dict[str, Any] = {}
_N_OBJECTS = 2  # the body and its row; a brace in a text only costs the general way
_MAX_BLANKS = 8  # for each name: a text with many more is not worth keeping as it is
# msgspec looks a name up from where the last one was found: columns in another order cost the square of their number.
_MAX_COLUMNS = 256
_KINDS: dict[str, tuple[type, ...]] = {
    "numeric": (Chain, Number, NumberLevels, ScaledNumber),
    "categorical": (CategoryCode, Levels, OneHot, TermScores, TermWeights),
    "time": (MomentParts, ScaledMoment),
}
_UNFIT = re.compile(r'[\\"\x00-\x1f]').search
# The general way takes no greater integers, and a struct's field cannot tell them from floats.
_LARGEST = 2.0**1023
_TYPES: dict[str, Any] = {
    "numeric": Annotated[float, msgspec.Meta(gt=-_LARGEST, lt=_LARGEST)] | None,
    "categorical": str | None,
    "time": str | None,
}

Encode = Callable[[Any], list[float]]


class TypedRow(msgspec.Struct, frozen=True, gc=False):
    """A row that was read.

    Attributes
    ----------
    vector
        As ``Encoder.encode_row`` returns it.
    echoed
        The identifiers that the row carried, which are repeated with its prediction.
    text
        The row as it was sent, if it holds each of the model's inputs and nothing else, in one line; empty otherwise.
    """

    vector: list[float]
    echoed: dict[str, Any]
    text: bytes


class RowReader:
    """Reads bodies of the form ``{"instances": [{...}]}``.

    Parameters
    ----------
    signature
        What a row may hold.
    kernels
        Of the fitted encoder.
    n_outputs
        Length of the vector.

    Examples
    --------
    >>> from arkwright.contracts import Column
    >>> columns = (Column(name="age", kind="numeric"), Column(name="plan", kind="categorical"))
    >>> signature = Signature(task="regression", target="y", columns=columns, identifiers=("id",))
    >>> kernels = (Number(column="age"), CategoryCode(column="plan", levels=("basic", "pro"), pooled=False))
    >>> reader = RowReader(signature, kernels, n_outputs=2)
    >>> reader.read(b'{"instances": [{"age": 41, "plan": "pro", "id": 7}]}')
    TypedRow(vector=[41.0, 1.0], echoed={'id': 7}, text=b'')
    >>> reader.read(b'{"instances": [{"age": "old", "plan": "pro"}]}') is None
    True
    """

    def __init__(self, signature: Signature, kernels: tuple[FittedKernel, ...], n_outputs: int) -> None:
        self._decode: Callable[[bytes], Any]
        inputs = [column.name for column in signature.columns]
        extras = list(dict.fromkeys((*signature.identifiers, *signature.ignored, signature.target)))
        extras = [name for name in extras if name not in inputs]
        places = {name: f"f{place}" for place, name in enumerate((*inputs, *extras))}
        required: list[Any] = [(places[one.name], _TYPES[one.kind]) for one in signature.columns if one.required]
        optional: list[Any] = [
            (places[one.name], _TYPES[one.kind] | msgspec.UnsetType, msgspec.UNSET)
            for one in signature.columns
            if not one.required
        ]
        riding: list[Any] = [(places[name], Any, msgspec.UNSET) for name in extras]
        # A signature that does not fit a struct has every body declined.
        if not _fits(signature, kernels, len(places)):
            self._decode = _decline
            return
        row = msgspec.defstruct(
            "Row",
            [*required, *optional, *riding],
            rename={place: name for name, place in places.items()},
            forbid_unknown_fields=True,
            gc=False,
        )
        body = msgspec.defstruct("Body", [("instances", list[row])], forbid_unknown_fields=True, gc=False)  # type: ignore[valid-type]
        self._decode = msgspec.json.Decoder(body).decode
        self._n_required = len(required) + 1  # the names that every body has: these, and "instances"
        # Where no input may be absent, this many names are the inputs and nothing else.
        self._n_plain = -1 if optional else self._n_required
        self._optional = tuple(field for field, *_ in optional)
        self._riding = tuple((places[name], name, name in signature.identifiers) for name in extras)
        # An encoder need not look at every column, and a moment is to be one all the same.
        looked_at = {kernel.column for kernel in kernels if isinstance(kernel, MomentParts | ScaledMoment)}
        times = [one.name for one in signature.columns if one.kind == "time" and one.name not in looked_at]
        self._unread_times = tuple(places[name] for name in times)
        self._encode = _generate(kernels, places, set(self._optional), n_outputs)

    def read(self, body: bytes) -> TypedRow | None:
        """Return the one row of a body, or None if the body must take the general way."""
        if body.count(b"{") != _N_OBJECTS:
            return None
        try:
            (row,) = self._decode(body).instances
            vector = self._encode(row)
            for field in self._unread_times:
                _check_moment(getattr(row, field))
        except (msgspec.MsgspecError, ValueError, RecursionError, CellRefused):
            return None
        # More names than values: one came twice, or a text looks like one.
        dense = body.translate(None, _BLANKS)
        n_names = dense.count(b'":')
        if n_names == self._n_plain:
            # All inputs are there, so nothing else is.
            plain = len(body) - len(dense) <= _MAX_BLANKS * n_names and b"\n" not in body and b"\r" not in body
            return TypedRow(vector, _NOTHING, body[body.index(b"[") + 1 : body.rindex(b"]")] if plain else b"")
        return self._with_others(row, vector, n_names)

    def _with_others(self, row: Any, vector: list[float], n_names: int) -> TypedRow | None:
        """Return a row that may lack optional columns, and have some that are no inputs."""
        n_names -= self._n_required
        for field in self._optional:
            n_names -= getattr(row, field) is not msgspec.UNSET
        echoed: dict[str, Any] = {}
        for field, name, repeated in self._riding:
            value = getattr(row, field)
            if value is not msgspec.UNSET:
                n_names -= 1
                if repeated:
                    echoed[name] = value
        return TypedRow(vector, echoed, b"") if n_names == 0 else None


def _fits(signature: Signature, kernels: tuple[FittedKernel, ...], n_places: int) -> bool:
    """Tell whether a struct can stand for a signature's rows, and each kernel reads what its column holds."""
    kinds = {column.name: column.kind for column in signature.columns}
    known = (*kinds, *signature.identifiers, *signature.ignored, signature.target)
    return (
        n_places <= _MAX_COLUMNS
        and len(kinds) == len(signature.columns)
        and kinds.keys().isdisjoint(signature.identifiers)
        and not any(_UNFIT(name) for name in known)
        and all(isinstance(kernel, _KINDS.get(kinds.get(kernel.column, ""), ())) for kernel in kernels)
    )


def _check_moment(value: Any) -> None:
    if isinstance(value, str):
        parse_moment(value)


def _decline(_body: bytes) -> Any:
    raise ValueError


def _generate(kernels: tuple[FittedKernel, ...], places: dict[str, str], optional: set[str], n_outputs: int) -> Encode:
    """Return the encoder of a row's struct, as one function without a call for the usual cells."""
    known: dict[str, Any] = {"zeros": [0.0] * n_outputs, "unset": msgspec.UNSET}
    lines = ["def encode(row):", " out = zeros.copy()"]
    at = 0
    read: set[str] = set()
    for index, kernel in enumerate(kernels):
        cell = places[kernel.column]
        if cell not in read:
            read.add(cell)
            lines.append(f" {cell} = row.{cell}")
            if cell in optional:
                lines.append(f" if {cell} is unset: {cell} = None")
        lines += [f" {line}" for line in _cell_code(kernel, at, cell, str(index), known)]
        at += len(kernel.outputs)
    lines.append(" return out")
    # The source is made of our own words, indices and these names; what the bundle holds comes in as constants.
    exec("\n".join(lines), known)  # noqa: S102
    encode: Encode = known["encode"]
    return encode


def _cell_code(kernel: FittedKernel, at: int, cell: str, suffix: str, known: dict[str, Any]) -> list[str]:
    """Return the lines that write a cell's outputs, and put the constants they need under names of their own."""
    write, missing, apply, table = (f"{word}{suffix}" for word in ("write", "missing", "apply", "table"))
    general: Kernel = kernel
    known[write] = general.cell_writer(at)
    plain = [f"{write}({cell}, out)"]
    if isinstance(kernel, Number):
        known[missing] = NAN
        return [f"out[{at}] = {missing} if {cell} is None else {cell}"]
    if isinstance(kernel, Chain):
        known[apply] = for_row(kernel.steps, kernel.column)
        try:
            known[missing] = known[apply](NAN)
        except (CellRefused, ArithmeticError):
            return plain
        value = cell if all(step.op == "fill" for step in kernel.steps) else f"{apply}({cell})"
        return [f"out[{at}] = {missing} if {cell} is None else {value}"]
    if isinstance(kernel, CategoryCode):
        known[table] = kernel.codes()
        return [f"out[{at}] = {table}[{cell}]"]
    if isinstance(kernel, Levels) and (hot := kernel.hot_cells(at)) is not None:
        known[table] = hot
        look = [f"if {cell} in {table}:", f" hot = {table}[{cell}]", " if hot: out[hot[0]] = hot[1]"]
        return [*look, f"else: {plain[0]}"]
    return plain
