"""Whether the trees in an object that somebody else stored point where trees may point.

scikit-learn walks its trees without checking an index, so a file with a wrong one reads memory that is not its own. A
pickle can do worse by itself; a skops file cannot, once this is ruled out. Children come after their parents in every
tree that scikit-learn grows, which also rules out walking in circles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.errors import NotCompilable

_MAX_OBJECTS = 1_000_000


def check_trees(model: Any) -> None:
    """Check every tree of scikit-learn below an object.

    Raises
    ------
    NotCompilable
        If a tree points outside its nodes, its features or its categories.
    """
    waiting: list[tuple[Any, int | None]] = [(model, None)]
    seen: set[int] = set()
    while waiting:
        thing, width = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if len(seen) > _MAX_OBJECTS:
            raise _refused("has more parts than can be checked")
        own = getattr(thing, "n_features_in_", None)
        width = int(own) if isinstance(own, int | np.integer) else width
        if type(thing).__name__ == "Tree" and hasattr(thing, "children_left"):
            _check_tree(thing, width)
        elif type(thing).__name__ == "TreePredictor" and hasattr(thing, "nodes"):
            _check_predictor(thing, width)
        else:
            waiting.extend((part, width) for part in _parts(thing))


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple | set):
        yield from thing
    elif isinstance(thing, np.ndarray):
        if thing.dtype == object:
            yield from thing.ravel().tolist()
    elif type(thing).__module__.partition(".")[0] == "sklearn":
        yield from getattr(thing, "__dict__", {}).values()


def _check_tree(tree: Any, width: int | None) -> None:
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    inner = left != -1
    if ((right != -1) != inner).any():
        raise _refused("has a node with one child")
    _check(left[inner], right[inner], np.flatnonzero(inner), left.size)
    _check_features(np.asarray(tree.feature)[inner], int(tree.n_features) if width is None else width)
    if width is not None and int(tree.n_features) != width:
        raise _refused("was grown on another number of features")


def _check_predictor(predictor: Any, width: int | None) -> None:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    _check(nodes["left"][inner], nodes["right"][inner], np.flatnonzero(inner), nodes.size)
    # A model with categories walks columns that it reorders itself: as many, and no more.
    _check_features(nodes["feature_idx"][inner], width)
    categorical = inner & (nodes["is_categorical"] != 0)
    bitsets = nodes["bitset_idx"][categorical]
    if categorical.any() and int(bitsets.max()) >= len(predictor.raw_left_cat_bitsets):
        raise _refused("points outside its categories")


def _check(left: npt.NDArray[Any], right: npt.NDArray[Any], parents: npt.NDArray[np.intp], n_nodes: int) -> None:
    for children in (left.astype(np.int64), right.astype(np.int64)):
        if ((children <= parents) | (children >= n_nodes)).any():
            raise _refused("points outside its nodes")


def _check_features(features: npt.NDArray[Any], width: int | None) -> None:
    if features.size and (width is None or int(features.min()) < 0 or int(features.max()) >= width):
        raise _refused("points outside its features")


def _refused(problem: str) -> NotCompilable:
    return NotCompilable(
        f"A tree of the model {problem}: the file was damaged or made to do harm.",
        code="model.tree_bounds",
        hint="Store the model again with the library that trained it.",
    )
