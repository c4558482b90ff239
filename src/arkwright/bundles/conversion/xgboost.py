"""XGBoost's trees, from its JSON model: ``gbtree`` and ``dart``, numbers, missing cells and categories.

XGBoost rounds cells to float32 and compares those, which is reproduced exactly; it also adds its trees up in float32,
which is not: here the sum is rounded once, at the end, so scores differ by what its own roundings lose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from arkwright.bundles.conversion.thresholds import single_below
from arkwright.bundles.conversion.tree_text import MAX_CODE, Tree, single_leaf, write_model_text
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import Link, TreesEvaluator

_LINKS: dict[str, Link] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}
_TOLERANCE = 2e-6
_TOLERANCE_BEHIND_EXP = 1e-5
"""An exponential turns an error of the sum into a relative one: it is the larger, the larger the sum."""
_TOLERANCE_ROUNDS = 50
"""Roundings of float32 add up like a random walk: beyond so many rounds the tolerance grows with their root."""
_COPY_SHARE = 1e-4
"""Of a branch's rows, how many count for its copy for missing: enough to tell its leaves apart, too few to matter."""


def convert_xgboost(model: Any) -> TreesEvaluator:
    """Convert an ``XGBClassifier``, ``XGBRegressor`` or ``Booster``.

    Raises
    ------
    NotCompilable
        If it is a linear booster, has vectors for leaves, another mark for missing than NaN, or an objective without
        a known link.
    """
    if not hasattr(model, "get_booster"):
        return convert_xgboost_json(bytes(model.save_raw("json")))
    missing = getattr(model, "missing", None)
    if missing is not None and not math.isnan(missing):
        raise NotCompilable(
            f"The XGBoost model takes {missing!r} for missing.",
            hint="Fit it with missing=nan and missing cells as NaN.",
        )
    booster = model.get_booster()
    # The estimators stop at the best round, where there is one.
    best = booster.attributes().get("best_iteration")
    return convert_xgboost_json(bytes(booster.save_raw("json")), n_rounds=None if best is None else int(best) + 1)


def convert_xgboost_json(data: bytes, *, n_rounds: int | None = None) -> TreesEvaluator:
    """Convert the JSON that ``Booster.save_raw("json")`` returns.

    Parameters
    ----------
    data
        The model. Categorical features hold the codes it was fitted with.
    n_rounds
        How many rounds count; all by default.

    Raises
    ------
    NotCompilable
        As ``convert_xgboost``.
    """
    learner = json.loads(data)["learner"]
    parameters = learner["learner_model_param"]
    objective = str(learner["objective"]["name"])
    if objective not in _LINKS:
        raise NotCompilable(f"The XGBoost objective {objective!r} is not compiled.")
    if int(parameters.get("num_target", "1")) > 1:
        raise NotCompilable("The XGBoost model predicts several targets at once.")
    booster = learner["gradient_booster"]
    if booster["name"] not in ("gbtree", "dart"):
        raise NotCompilable(f"The XGBoost booster {booster['name']!r} has no trees.")
    n_outputs = max(1, int(parameters["num_class"]))
    factors = booster.get("weight_drop")
    stored = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    n_features = int(parameters["num_feature"])
    link = _LINKS[objective]

    n_trees = len(stored["trees"])
    if n_rounds is not None:
        per_round = n_outputs * int(stored["gbtree_model_param"].get("num_parallel_tree", "1"))
        n_trees = min(n_trees, n_rounds * per_round)
    by_output: list[list[Tree]] = [[single_leaf(start)] for start in _starts(parameters["base_score"], n_outputs, link)]
    for index in range(n_trees):
        factor = np.float32(1.0 if factors is None else factors[index])
        by_output[int(stored["tree_info"][index])].append(_tree(stored["trees"][index], factor))
    # Several parallel trees of one class come in a row: rounds have one of each.
    longest = max(map(len, by_output))
    trees = [
        own[position] if position < len(own) else single_leaf(0.0) for position in range(longest) for own in by_output
    ]
    text = write_model_text(trees, n_features=n_features, n_outputs=n_outputs, link=link)
    tolerance = _TOLERANCE_BEHIND_EXP if link == "exp" else _TOLERANCE
    return TreesEvaluator(text, tolerance=tolerance * math.sqrt(max(1.0, longest / _TOLERANCE_ROUNDS)))


def _starts(text: str, n_outputs: int, link: Link) -> list[float]:
    """Return the raw score without trees, per output: it is stored as a probability, or as a value."""
    stored = [float(part) for part in text.strip("[]").split(",")]
    starts = []
    for value in stored * n_outputs if len(stored) == 1 else stored:
        if link == "sigmoid":
            starts.append(
                math.log(value) - math.log1p(-value) if 0.0 < value < 1.0 else math.copysign(16.0, value - 0.5)
            )
        elif link == "exp":
            starts.append(math.log(value))
        else:
            starts.append(value)
    return starts


def _tree(stored: Mapping[str, Any], factor: np.float32) -> Tree:
    if int(stored["tree_param"].get("size_leaf_vector", "1")) > 1:
        raise NotCompilable("The XGBoost trees have vectors for leaves (multi_strategy='multi_output_tree').")
    left = np.array(stored["left_children"], dtype=np.int64)
    right = np.array(stored["right_children"], dtype=np.int64)
    feature = np.array(stored["split_indices"], dtype=np.int64)
    conditions = np.array(stored["split_conditions"], dtype=np.float64).astype(np.float32)
    missing_left = np.array(stored["default_left"], dtype=np.bool_)
    weight = np.array(stored["sum_hessian"], dtype=np.float64)
    threshold = single_below(conditions)
    value = (conditions * factor).astype(np.float64)
    left_codes: dict[int, list[int]] = {}
    apart: set[int] = set()
    for node, start, size in zip(
        stored["categories_nodes"], stored["categories_segments"], stored["categories_sizes"], strict=True
    ):
        left_codes[node] = _codes(stored["categories"][start : start + size])
        # The listed ones go right in XGBoost and the others left; missing has a side of its own.
        left[node], right[node] = right[node], left[node]
        if not missing_left[node]:
            apart.add(node)
    tree = Tree(left, right, feature, threshold, missing_left, value, weight, left_codes)
    deleted = int(stored["tree_param"].get("num_deleted", "0"))
    return _rebuilt(tree, apart) if apart or deleted else tree


def _rebuilt(tree: Tree, apart: set[int]) -> Tree:
    """Return the tree without deleted nodes, and with a node for missing above each of ``apart``.

    A category node has missing on the side of what is not listed. Where it belongs to the listed ones, a node that
    splits missing from everything else goes before it, with a copy of the listed side for missing.
    """
    left_of, right_of, value_of = tree.left.tolist(), tree.right.tolist(), tree.value
    sources: list[int] = []
    sides: list[list[int]] = []
    splits_missing: list[bool] = []
    shares: list[float] = []
    # A node to copy, whether it stands behind its node for missing, its share of rows, and where its number goes.
    waiting: list[tuple[int, bool, float, int, int]] = [(0, False, 1.0, -1, 0)]
    while waiting:
        node, behind, share, parent, side = waiting.pop()
        number = len(sources)
        sources.append(node)
        shares.append(share)
        sides.append([-1, -1])
        if parent >= 0:
            sides[parent][side] = number
        before = node in apart and not behind
        splits_missing.append(before)
        if before:
            # The rows are counted on the other side, so that a feature's contribution stays what it was.
            waiting += [(left_of[node], False, share * _COPY_SHARE, number, 1), (node, True, share, number, 0)]
        elif left_of[node] >= 0:
            waiting += [(right_of[node], False, share, number, 1), (left_of[node], False, share, number, 0)]
    order = np.array(sources, dtype=np.int64)
    children = np.array(sides, dtype=np.int64)
    missing = np.array(splits_missing, dtype=np.bool_)
    return Tree(
        left=children[:, 0],
        right=children[:, 1],
        feature=tree.feature[order],
        threshold=np.where(missing, np.inf, tree.threshold[order]),
        missing_left=np.where(missing, False, tree.missing_left[order]),
        value=value_of[order],
        weight=tree.weight[order] * np.array(shares),
        left_codes={
            number: tree.left_codes[node]
            for number, (node, before) in enumerate(zip(sources, splits_missing, strict=True))
            if node in tree.left_codes and not before
        },
    )


def _codes(categories: list[int]) -> list[int]:
    if categories and not (min(categories) >= 0 and max(categories) <= MAX_CODE):
        raise NotCompilable(f"An XGBoost category has a code beyond {MAX_CODE}.")
    return categories
