"""The typed columns a model takes and what it answers."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnKind = Literal["numeric", "categorical", "time"]
TaskType = Literal["binary", "multiclass", "regression"]
Label = str | int | bool


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One input column.

    ``kind`` says what a request may carry: ``numeric`` a JSON number or null, ``categorical`` a JSON
    string or null (booleans and integers are read as their text), ``time`` an RFC 3339 date or
    date-time string or null. ``required`` columns must be present, though they may be null.
    """

    name: str
    kind: ColumnKind
    required: bool = True


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What goes in and what comes out.

    Parameters
    ----------
    task
        ``binary``, ``multiclass`` or ``regression``.
    target
        Name of the predicted column.
    columns
        The model's inputs, in the order the encoder reads them.
    classes
        Class labels, in the type the data has them (text, integer or boolean), in the order of the
        score columns; for ``binary`` the second is the positive
        one. Empty for ``regression``.
    identifiers
        Columns that are no inputs and are echoed with each prediction when a request carries them.
    ignored
        Columns of the training table that a request may carry and the model does not read
        (constants, set-aside columns, the target itself): accepted silently, never an error.
    """

    task: TaskType
    target: str
    columns: tuple[Column, ...]
    classes: tuple[Label, ...] = ()
    identifiers: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
