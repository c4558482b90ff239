"""Write trees as a LightGBM model text.

A :class:`Tree` is what every library's trees are reduced to; the text is what one fast engine reads. A numeric node
sends ``x <= threshold`` left and has a side for missing; a category node sends a set of codes left and everything
else, missing included, right.

References
----------
The text format is that of ``LGBM_BoosterSaveModelToString``, version v4 (LightGBM 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import Link

MAX_LEAVES = 8_000_000
"""Of all trees together: a text of about a gigabyte."""
MAX_CODE = (1 << 16) - 1
"""Largest category code: a set of codes is stored as one bit per code up to the largest."""
_TOTAL_COUNT = 1 << 30
_OBJECTIVES: dict[Link, str] = {
    "identity": "",
    "sigmoid": "objective=binary sigmoid:1",
    "softmax": "objective=multiclass num_class:{n_outputs}",
    "ovr": "objective=multiclassova num_class:{n_outputs} sigmoid:1",
    "exp": "objective=poisson",
}
_CATEGORY, _MISSING_LEFT, _MISSING_RIGHT = 1, 2 | 8, 8  # decision_type: bit 0, bit 1 and missing type NaN in bits 2-3


@dataclass(frozen=True, slots=True)
class Tree:
    """A binary tree by its nodes; node 0 is the root, and a leaf's ``left`` is negative.

    Attributes
    ----------
    left, right, feature
        Children and the column of the split, of shape (n_nodes,).
    threshold
        A number goes left if it is at most that.
    missing_left
        Whether missing goes left, at nodes that split a number.
    value
        What a leaf adds.
    weight
        Training rows of a leaf, weighted or not: contributions need their shares.
    left_codes
        For nodes that split categories: the codes that go left.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    missing_left: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    left_codes: Mapping[int, Sequence[int]] = field(default_factory=dict)


def single_leaf(value: float, weight: float = 1.0) -> Tree:
    """Return the tree that adds the same to every row."""
    none = np.array([-1], dtype=np.int64)
    return Tree(
        left=none,
        right=none,
        feature=np.array([0], dtype=np.int64),
        threshold=np.zeros(1),
        missing_left=np.zeros(1, dtype=np.bool_),
        value=np.array([value], dtype=np.float64),
        weight=np.array([weight], dtype=np.float64),
    )


def write_model_text(
    trees: Sequence[Tree], *, n_features: int, n_outputs: int, link: Link, average: bool = False
) -> str:
    """Write trees as the text of a model.

    Parameters
    ----------
    trees
        By round, and within a round one per output.
    n_features
        Length of the vector.
    n_outputs
        One, or the number of classes.
    link
        From the sum of the trees to the scores.
    average
        Divide the sum by the number of rounds.

    Raises
    ------
    NotCompilable
        If there are too many leaves, too large codes, or values that are not finite.
    ValueError
        If the arrays are not trees.
    """
    if not trees or len(trees) % n_outputs:
        raise ValueError(f"{len(trees)} trees do not make rounds of {n_outputs}")
    n_leaves = sum(int(np.count_nonzero(tree.left < 0)) for tree in trees)
    if n_leaves > MAX_LEAVES:
        raise NotCompilable(
            f"The model has {n_leaves:,} leaves, more than the {MAX_LEAVES:,} that are compiled.",
            hint="Fit fewer or smaller trees (max_leaf_nodes, max_depth, min_samples_leaf).",
        )
    blocks = [_tree_text(index, tree, n_features) for index, tree in enumerate(trees)]
    header = [
        "tree",
        "version=v4",
        f"num_class={n_outputs}",
        f"num_tree_per_iteration={n_outputs}",
        "label_index=0",
        f"max_feature_idx={n_features - 1}",
        _OBJECTIVES[link].format(n_outputs=n_outputs),
        "average_output" if average else "",
        "feature_names=" + " ".join(f"f{index}" for index in range(n_features)),
        "feature_infos=" + " ".join(["none"] * n_features),
        "tree_sizes=" + _numbers(len(block) for block in blocks),
    ]
    return "\n".join(filter(None, header)) + "\n\n" + "".join(blocks) + "end of trees\n"


def _tree_text(index: int, tree: Tree, n_features: int) -> str:
    levels = _levels(tree)
    leaf = tree.left < 0
    if not np.isfinite(tree.value[leaf]).all():
        raise NotCompilable(f"Tree {index} has a leaf whose value is not a finite number.")
    inner = ~leaf
    features = tree.feature[inner]
    if features.size and not (features.min() >= 0 and features.max() < n_features):
        raise ValueError(f"tree {index} splits a feature beyond the {n_features} of the vector")
    lines = [f"Tree={index}", f"num_leaves={int(leaf.sum())}", f"num_cat={len(tree.left_codes)}"]
    if features.size:
        # Inner nodes and leaves are numbered apart; a child that is a leaf is the complement of its number.
        number = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(inner) - 1)
        counts = _counts(tree, leaf, levels)
        thresholds = tree.threshold.copy()  # infinity is read back, and splits missing from everything else
        decisions = np.where(tree.missing_left, _MISSING_LEFT, _MISSING_RIGHT)
        boundaries, words = [0], []
        for position, (node, codes) in enumerate(sorted(tree.left_codes.items())):
            thresholds[node], decisions[node] = position, _CATEGORY
            words.append(_bitset(codes))
            boundaries.append(boundaries[-1] + words[-1].size)
        lines += [
            "split_feature=" + _numbers(features),
            "threshold=" + _numbers(thresholds[inner]),
            "decision_type=" + _numbers(decisions[inner]),
            "left_child=" + _numbers(number[tree.left[inner]]),
            "right_child=" + _numbers(number[tree.right[inner]]),
            "leaf_value=" + _numbers(tree.value[leaf]),
            "leaf_count=" + _numbers(counts[leaf]),
            "internal_count=" + _numbers(counts[inner]),
        ]
        if words:
            lines += ["cat_boundaries=" + _numbers(boundaries), "cat_threshold=" + _numbers(np.concatenate(words))]
    else:
        lines += ["leaf_value=" + _numbers(tree.value)]
    return "\n".join([*lines, "is_linear=0", "shrinkage=1", "", "", ""])


def _numbers(values: Any) -> str:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return " ".join(map(repr, listed))


def _levels(tree: Tree) -> list[npt.NDArray[np.int64]]:
    """Return the inner nodes by depth, and make sure that every node hangs from the root exactly once."""
    inner = tree.left >= 0
    children = np.concatenate((tree.left[inner], tree.right[inner]))
    if not np.array_equal(np.sort(children), np.arange(1, tree.left.size)):
        raise ValueError("a node of the tree has no parent or two, or a child that is no node")
    levels, frontier = [], np.zeros(1, dtype=np.int64)
    while frontier.size:
        levels.append(frontier[inner[frontier]])
        frontier = np.concatenate((tree.left[levels[-1]], tree.right[levels[-1]]))
    if sum(level.size for level in levels) != np.count_nonzero(inner):
        raise ValueError("a node of the tree is its own ancestor")
    return levels


def _counts(tree: Tree, leaf: npt.NDArray[np.bool_], levels: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return whole numbers of rows: a node's is the sum of its children's, and none is 0."""
    weights = np.where(leaf, np.nan_to_num(tree.weight, nan=0.0, posinf=0.0, neginf=0.0), 0.0).clip(min=0.0)
    total = float(weights.sum())
    whole = total < _TOTAL_COUNT and bool((weights == np.rint(weights)).all()) and bool((weights[leaf] >= 1).all())
    scale = 1.0 if whole or total == 0.0 else _TOTAL_COUNT / total
    counts: npt.NDArray[np.int64] = np.where(leaf, np.maximum(1, np.rint(weights * scale)), 0).astype(np.int64)
    for inner in reversed(levels):
        counts[inner] = counts[tree.left[inner]] + counts[tree.right[inner]]
    return counts


def _bitset(codes: Sequence[int]) -> npt.NDArray[np.uint32]:
    """Return one bit per code, in words of 32."""
    chosen = np.array(sorted(codes), dtype=np.int64)
    if chosen.size and not (chosen[0] >= 0 and chosen[-1] <= MAX_CODE):
        raise NotCompilable(f"A category has the code {chosen[-1]}; codes are compiled from 0 to {MAX_CODE}.")
    words = np.zeros((int(chosen[-1]) // 32 + 1) if chosen.size else 1, dtype=np.uint32)
    np.bitwise_or.at(words, chosen // 32, np.left_shift(np.uint32(1), (chosen % 32).astype(np.uint32)))
    return words
