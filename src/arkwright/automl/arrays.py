"""A training table as arrays on disk, so that processes share it by memory map instead of by message.

Numbers and moments are ``.npy`` files as they are. A categorical column is an ``.npy`` of 32-bit positions into
its distinct texts (``-1`` for missing), which lie beside it as JSON: text arrays cannot be mapped, and a column
of a million cells has few distinct ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.structs import prepared

Columns = dict[str, npt.NDArray[Any]]

_INDEX = "columns.json"


class _StoredColumn(msgspec.Struct, frozen=True):
    name: str
    file: str
    texts: str = ""


def write_columns(folder: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Store a table; the index is written last, so that a half-stored one is none."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = []
    for position, (name, values) in enumerate(columns.items()):
        entry = _StoredColumn(name, f"c{position}.npy")
        if values.dtype == object:
            codes, texts = _positions(values)
            entry = _StoredColumn(name, entry.file, f"c{position}.json")
            (folder / entry.texts).write_bytes(msgspec.json.encode(texts))
            np.save(folder / entry.file, codes)
        else:
            np.save(folder / entry.file, values)
        stored.append(entry)
    write_atomically(folder / _INDEX, msgspec.json.encode(stored))


def read_columns(folder: Path, rows: npt.NDArray[np.int64], names: Sequence[str]) -> Columns:
    """Return some rows of some columns."""
    index = {
        entry.name: entry for entry in msgspec.json.decode((folder / _INDEX).read_bytes(), type=list[_StoredColumn])
    }
    columns: Columns = {}
    for name in names:
        entry = index[name]
        mapped = np.load(folder / entry.file, mmap_mode="r")
        values = np.asarray(mapped[rows])
        if entry.texts:
            texts: list[str | None] = msgspec.json.decode((folder / entry.texts).read_bytes())
            lookup = np.empty(len(texts) + 1, dtype=object)
            lookup[:-1] = texts
            lookup[-1] = None  # position -1
            values = lookup[values]
        columns[name] = values
    return columns


def save_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write an array so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        np.save(file, values)
    beside.replace(path)


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes so that a reader sees all of them or nothing."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)


def _positions(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int32], list[str]]:
    known: dict[str, int] = {}
    codes = np.fromiter(
        (-1 if cell is None else known.setdefault(str(cell), len(known)) for cell in values.tolist()),
        dtype=np.int32,
        count=values.size,
    )
    return codes, list(known)


prepared(list[_StoredColumn])
