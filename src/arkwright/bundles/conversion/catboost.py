"""CatBoost's trees, from its JSON export: symmetric and other trees, numbers, missing cells, one-hot categories.

CatBoost rounds cells to float32 and asks ``x > border``, which is reproduced exactly. Statistics of categories (CTRs)
are not compiled: such a model is refused, and served by the general path.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from arkwright.bundles.conversion.thresholds import single_at_most
from arkwright.bundles.conversion.tree_text import Tree, single_leaf, write_model_text
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import Link, TreesEvaluator

_LINKS: dict[str, Link] = {
    "Logloss": "sigmoid",
    "CrossEntropy": "sigmoid",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "ovr",
    "Expectile": "identity",
    "Huber": "identity",
    "Lq": "identity",
    "MAE": "identity",
    "MAPE": "identity",
    "Quantile": "identity",
    "RMSE": "identity",
    "Poisson": "exp",
    "Tweedie": "exp",
}
_TOLERANCE = 1e-12
"""CatBoost adds its trees up in float64, in blocks of its own choosing."""
MAX_DEPTH = 16
"""Of a symmetric tree, whose leaves double with each level: CatBoost's own limit."""


@dataclass(frozen=True)
class CategoryTexts:
    """What the entries of the vector that are category codes stand for.

    Attributes
    ----------
    texts
        By the place of the feature in the vector: the text that CatBoost saw, by code.
    missing_text
        The text it saw where the vector has NaN: for missing and for unseen.
    """

    texts: Mapping[int, Sequence[str]] = field(default_factory=dict)
    missing_text: str | None = None


def convert_catboost(model: Any, *, pool: Any | None = None, categories: CategoryTexts | None = None) -> TreesEvaluator:
    """Convert a ``CatBoostClassifier``, ``CatBoostRegressor`` or ``CatBoost``.

    Parameters
    ----------
    model
        Fitted.
    pool
        The ``catboost.Pool`` it was fitted on: needed where it splits categories, whose texts it stores as hashes.
    categories
        Needed where it splits categories.

    Raises
    ------
    NotCompilable
        If it uses statistics of categories, texts or embeddings, or an objective without a known link.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json", pool=pool)
        return convert_catboost_json(path.read_bytes(), categories=categories, n_features=len(model.feature_names_))


def convert_catboost_json(
    data: bytes, *, categories: CategoryTexts | None = None, n_features: int = 0
) -> TreesEvaluator:
    """Convert what ``save_model(..., format="json")`` wrote.

    Parameters
    ----------
    data
        The export.
    categories
        Needed where it splits categories.
    n_features
        Length of the vector, where it is longer than the features that the export lists.

    Raises
    ------
    NotCompilable
        As ``convert_catboost``.
    """
    stored = json.loads(data)
    features = _features(stored["features_info"], categories or CategoryTexts(), n_features)
    loss = _loss(stored)
    if loss not in _LINKS:
        raise NotCompilable(f"The CatBoost objective {loss!r} is not compiled.")
    scale, biases = stored["scale_and_bias"]
    starts = np.atleast_1d(np.array(biases, dtype=np.float64))
    n_outputs = int(starts.size)
    if _LINKS[loss] in ("sigmoid", "identity", "exp") and n_outputs != 1:
        raise NotCompilable("The CatBoost model predicts several targets at once.")
    trees = [single_leaf(float(start)) for start in starts]
    if "oblivious_trees" in stored:
        for tree in stored["oblivious_trees"]:
            trees.extend(_symmetric(tree, features, n_outputs, float(scale)))
    else:
        for tree in stored["trees"]:
            trees.extend(_nested(tree, features, n_outputs, float(scale)))
    text = write_model_text(trees, n_features=features.n_features, n_outputs=n_outputs, link=_LINKS[loss])
    return TreesEvaluator(text, tolerance=_TOLERANCE)


@dataclass(frozen=True)
class _Features:
    """The vector's place of each feature, the side of missing, and the hashes of each category's codes."""

    n_features: int
    floats: Mapping[int, tuple[int, bool]]
    categorical: Mapping[int, int]
    hashes: Mapping[int, Sequence[int | None]]
    missing_hash: int | None


@dataclass(frozen=True)
class _Split:
    """A question: false goes left and true goes right, except that ``codes`` go to ``codes_left``'s side."""

    column: int
    threshold: float = 0.0
    missing_left: bool = True
    codes: tuple[int, ...] | None = None
    swapped: bool = False


def _features(info: Mapping[str, Any], categories: CategoryTexts, n_features: int) -> _Features:
    for kind in ("text_features", "embedding_features"):
        if info.get(kind):
            raise NotCompilable(f"The CatBoost model has {kind.replace('_', ' ')}.")
    floats, categorical = info.get("float_features", []), info.get("categorical_features", [])
    by_text = {entry["value"]: int(entry["hash"]) for entry in info.get("cat_features_hash", [])}
    places = {int(item["feature_index"]): int(item["flat_feature_index"]) for item in categorical}
    return _Features(
        n_features=max(n_features, *(1 + int(item["flat_feature_index"]) for item in [*floats, *categorical])),
        floats={
            int(item["feature_index"]): (
                int(item["flat_feature_index"]),
                item.get("nan_value_treatment", "AsIs") != "AsTrue",
            )
            for item in floats
        },
        categorical=places,
        # A text without a hash was not in training: no split asks for it.
        hashes={place: [by_text.get(text) for text in texts] for place, texts in categories.texts.items()}
        if by_text
        else {},
        missing_hash=by_text.get(categories.missing_text) if categories.missing_text is not None else None,
    )


def _loss(stored: Mapping[str, Any]) -> str:
    parameters = stored["model_info"].get("params", {})
    if isinstance(parameters, str):
        parameters = json.loads(parameters)
    return str(parameters.get("loss_function", {}).get("type", ""))


def _split(stored: Mapping[str, Any], features: _Features) -> _Split:
    kind = stored["split_type"]
    if kind == "FloatFeature":
        column, missing_left = features.floats[int(stored["float_feature_index"])]
        return _Split(column, float(single_at_most([stored["border"]])[0]), missing_left)
    if kind != "OneHotFeature":
        raise NotCompilable(
            "The CatBoost model uses statistics of its categories (CTRs).",
            hint="Fit it with one_hot_max_size at least as large as the categories, or encode them before.",
        )
    column = features.categorical[int(stored["cat_feature_index"])]
    if column not in features.hashes:
        raise NotCompilable(
            f"The CatBoost model asks for categories of feature {column}, whose texts are not known.",
            hint="Export the model with the pool it was fitted on, and say what the codes stand for.",
        )
    wanted = int(stored["value"]) & 0xFFFFFFFF
    found = [code for code, known in enumerate(features.hashes[column]) if known == wanted]
    if features.missing_hash == wanted:
        # Missing is on the side of what is not listed: list the others.
        others = tuple(code for code in range(len(features.hashes[column])) if code not in found)
        return _Split(column, codes=others)
    return _Split(column, codes=tuple(found), swapped=True)


def _symmetric(stored: Mapping[str, Any], features: _Features, n_outputs: int, scale: float) -> list[Tree]:
    splits = [_split(item, features) for item in stored["splits"]]
    if len(splits) > MAX_DEPTH:
        raise NotCompilable(f"A CatBoost tree is {len(splits)} levels deep, more than {MAX_DEPTH}.")
    # Question i gives bit i of a leaf's number: ask the last one first, and leaves come in their order.
    asked = splits[::-1]
    depth, n_inner = len(splits), (1 << len(splits)) - 1
    inner = np.arange(n_inner)
    level = np.repeat(np.arange(depth), 1 << np.arange(depth))
    swapped = np.array([split.swapped for split in asked], dtype=np.int64)[level]
    nothing, no_side = np.zeros(1 << depth), np.zeros(1 << depth, dtype=np.bool_)
    sides = np.array([split.missing_left for split in asked], dtype=np.bool_)[level]
    values = np.array(stored["leaf_values"], dtype=np.float64).reshape(-1, n_outputs) * scale
    none = np.full(1 << depth, -1)
    return [
        Tree(
            left=np.concatenate((2 * inner + 1 + swapped, none)),
            right=np.concatenate((2 * inner + 2 - swapped, none)),
            feature=np.concatenate((np.array([s.column for s in asked], dtype=np.int64)[level], none)),
            threshold=np.concatenate((np.array([s.threshold for s in asked], dtype=np.float64)[level], nothing)),
            missing_left=np.concatenate((sides, no_side)),
            value=np.concatenate((np.zeros(n_inner), values[:, output])),
            weight=np.concatenate((np.zeros(n_inner), np.array(stored["leaf_weights"], dtype=np.float64))),
            left_codes={node: codes for node in range(n_inner) if (codes := asked[int(level[node])].codes) is not None},
        )
        for output in range(n_outputs)
    ]


def _nested(stored: Mapping[str, Any], features: _Features, n_outputs: int, scale: float) -> list[Tree]:
    sides: list[list[int]] = []
    splits: list[_Split] = []
    values: list[list[float]] = []
    weights: list[float] = []
    waiting: list[tuple[Mapping[str, Any], int, int]] = [(stored, -1, 0)]
    while waiting:
        node, parent, side = waiting.pop()
        number = len(sides)
        if parent >= 0:
            sides[parent][side] = number
        sides.append([-1, -1])
        if "split" in node:
            split = _split(node["split"], features)
            first, second = ("right", "left") if split.swapped else ("left", "right")
            waiting += [(node[second], number, 1), (node[first], number, 0)]
            values.append([0.0] * n_outputs)
            weights.append(0.0)
        else:
            split = _Split(0)
            value = node["value"]
            values.append([float(item) for item in (value if isinstance(value, list) else [value])])
            weights.append(float(node.get("weight", 0.0)))
        splits.append(split)
    children, found = np.array(sides, dtype=np.int64), np.array(values, dtype=np.float64) * scale
    return [
        Tree(
            left=children[:, 0],
            right=children[:, 1],
            feature=np.array([split.column for split in splits], dtype=np.int64),
            threshold=np.array([split.threshold for split in splits], dtype=np.float64),
            missing_left=np.array([split.missing_left for split in splits], dtype=np.bool_),
            value=found[:, output],
            weight=np.array(weights, dtype=np.float64),
            left_codes={number: split.codes for number, split in enumerate(splits) if split.codes is not None},
        )
        for output in range(n_outputs)
    ]
