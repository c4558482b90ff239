"""scikit-learn's HistGradientBoosting: numbers, missing cells and categories, all in float64.

The trees add up in the library's order, so raw scores are its own to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.conversion.tree_text import MAX_CODE, Tree, single_leaf, write_model_text
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import Link, TreesEvaluator

_LINK_TOLERANCE = 1e-14
"""For the last bits of ``exp``, which two mathematical libraries may round differently."""
_WORD_BITS = 32


def convert_hist_gradient_boosting(model: Any, *, category_positions: bool = False) -> TreesEvaluator:
    """Convert a ``HistGradientBoostingClassifier`` or ``HistGradientBoostingRegressor``.

    Parameters
    ----------
    model
        Fitted. Its categorical features hold whole numbers from 0 on, as an ordinal encoder gives them; a category
        that it has not seen counts as missing, as in the library.
    category_positions
        The vector will hold each category's place in the sorted list of those that the model saw, instead of the
        category itself: for models fitted on text.

    Raises
    ------
    NotCompilable
        If a category is no such number, or the loss has a link of its own.
    """
    columns, known = _columns(model, category_positions=category_positions)
    n_outputs = int(model.n_trees_per_iteration_)
    trees = [single_leaf(float(value)) for value in np.ravel(model._baseline_prediction)]  # noqa: SLF001 - its name
    for round_of in model._predictors:  # noqa: SLF001 - the only place the trees are in
        trees.extend(_tree(member, columns, known) for member in round_of)
    link = _link(model, n_outputs)
    text = write_model_text(trees, n_features=int(model.n_features_in_), n_outputs=n_outputs, link=link)
    return TreesEvaluator(text, tolerance=0.0 if link == "identity" else _LINK_TOLERANCE)


def _link(model: Any, n_outputs: int) -> Link:
    if hasattr(model, "classes_"):
        return "softmax" if n_outputs > 1 else "sigmoid"
    name = type(model._loss.link).__name__  # noqa: SLF001 - the only name it has
    if name not in ("IdentityLink", "LogLink"):
        raise NotCompilable(f"The gradient boosting's loss has the link {name}, which is not compiled.")
    return "exp" if name == "LogLink" else "identity"


def _columns(model: Any, *, category_positions: bool) -> tuple[npt.NDArray[np.int64], dict[int, npt.NDArray[np.int64]]]:
    """Return the vector's column of each feature that the trees name, and the codes of those with categories."""
    n_features = int(model.n_features_in_)
    if model.is_categorical_ is None:
        return np.arange(n_features), {}
    # The trees see the categorical features first.
    categorical = np.flatnonzero(model.is_categorical_)
    columns = np.concatenate((categorical, np.flatnonzero(~model.is_categorical_)))
    encoder = model._preprocessor.named_transformers_["encoder"]  # noqa: SLF001 - the only place the categories are in
    known = {}
    for position, categories in enumerate(encoder.categories_):
        present = [value for value in categories.tolist() if value is not None and value == value]  # noqa: PLR0124 - not NaN
        codes = range(len(present)) if category_positions else _codes(present, int(categorical[position]))
        known[position] = np.array(codes, dtype=np.int64)
    return columns, known


def _codes(categories: Sequence[Any], column: int) -> list[int]:
    codes = []
    for value in categories:
        if isinstance(value, str) or int(value) != value or not 0 <= value <= MAX_CODE:
            raise NotCompilable(
                f"Feature {column} has the category {value!r}; whole numbers from 0 to {MAX_CODE} are compiled.",
                hint="Encode categories with OrdinalEncoder before the gradient boosting.",
            )
        codes.append(int(value))
    return codes


def _tree(predictor: Any, columns: npt.NDArray[np.int64], known: dict[int, npt.NDArray[np.int64]]) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(np.bool_)
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    right = np.where(leaf, -1, nodes["right"].astype(np.int64))
    missing_left = nodes["missing_go_to_left"].astype(np.bool_)
    left_codes = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(np.bool_) & ~leaf).tolist():
        codes = known[int(nodes["feature_idx"][node])]
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        places = np.arange(codes.size)
        chosen = (bits[places // _WORD_BITS] >> (places % _WORD_BITS).astype(np.uint32)) & 1 == 1
        if missing_left[node]:
            # Missing and unseen go with those that are not listed: list the others, and swap the sides.
            chosen = ~chosen
            left[node], right[node] = right[node], left[node]
        left_codes[node] = codes[chosen].tolist()
    return Tree(
        left=left,
        right=right,
        feature=np.where(leaf, 0, columns[np.where(leaf, 0, nodes["feature_idx"])]),
        threshold=nodes["num_threshold"].astype(np.float64),
        missing_left=missing_left,
        value=nodes["value"].astype(np.float64),
        weight=nodes["count"].astype(np.float64),
        left_codes=left_codes,
    )
