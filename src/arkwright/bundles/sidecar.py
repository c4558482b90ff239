"""Keep long lists out of JSON.

A fitted state is plain JSON; a list of numbers or of texts past a few hundred items moves into a NumPy array beside
it, and ``{"$array": name}`` stands in its place. Kernels know nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_INLINE = 256
"""Longest list that stays in the JSON."""

Arrays = dict[str, npt.NDArray[Any]]


def move_out(state: Any) -> tuple[Any, Arrays]:
    """Return the state without its long lists, and the arrays that hold them.

    Texts become UTF-8 bytes and end offsets: NumPy's own text arrays would need as much room for each item as for
    the longest, and drop trailing NUL characters.

    Examples
    --------
    >>> state, arrays = move_out({"levels": ["a"] * 300, "scale": 2.0})
    >>> state, sorted(arrays)
    ({'levels': {'$array': 'a0'}, 'scale': 2.0}, ['a0.ends', 'a0.utf8'])
    >>> move_in(state, arrays) == {"levels": ["a"] * 300, "scale": 2.0}
    True
    """
    arrays: Arrays = {}
    return _move_out(state, arrays), arrays


def move_in(state: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Put the lists back.

    Raises
    ------
    KeyError
        If an array is not there.
    """
    if isinstance(state, dict):
        if "$array" in state:
            return _list_of(state["$array"], arrays)
        return {key: move_in(value, arrays) for key, value in state.items()}
    if isinstance(state, list):
        return [move_in(value, arrays) for value in state]
    return state


def _move_out(state: Any, arrays: Arrays) -> Any:
    if isinstance(state, dict):
        return {key: _move_out(value, arrays) for key, value in state.items()}
    if not isinstance(state, list | tuple):
        return state
    if len(state) > MAX_INLINE:
        name = f"a{len({key.partition('.')[0] for key in arrays})}"
        if all(type(item) is float for item in state):
            arrays[name] = np.array(state, dtype=np.float64)
            return {"$array": name}
        if all(type(item) is str for item in state):
            encoded = [item.encode("utf-8", "surrogatepass") for item in state]
            arrays[f"{name}.utf8"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
            arrays[f"{name}.ends"] = np.cumsum([len(item) for item in encoded], dtype=np.int64)
            return {"$array": name}
    return [_move_out(value, arrays) for value in state]


def _list_of(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
    if name in arrays:
        numbers: list[Any] = arrays[name].tolist()
        return numbers
    text, ends = arrays[f"{name}.utf8"].tobytes(), arrays[f"{name}.ends"].tolist()
    starts = [0, *ends[:-1]]
    return [text[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]
