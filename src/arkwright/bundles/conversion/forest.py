"""scikit-learn's trees: decision trees, random forests, extra trees and gradient boosting.

Their cells are rounded to float32 and compared with a float64 threshold; leaves are averaged, or added up, in float64
and in order, as is done here: the answers are the library's to the last bit. With several jobs a forest adds its trees
up in the order in which they finish, which is why a tolerance is stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.conversion.thresholds import single_at_most
from arkwright.bundles.conversion.tree_text import Tree, single_leaf, write_model_text
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import LeavesEvaluator, Link, TreesEvaluator
from arkwright.bundles.evaluators.leaves import distinct_rows

_LINK_TOLERANCE = 1e-14
"""For the last bits of ``exp``, which two mathematical libraries may round differently."""

_ORDER_TOLERANCE = 1e-14
"""For sums of many trees in another order."""
MAX_REPEATED_CLASSES = 6
"""Up to so many classes each has trees of its own, which can be explained; beyond, leaves hold all of their shares."""


def convert_forest(model: Any) -> TreesEvaluator | LeavesEvaluator:
    """Convert a random forest, extra trees or a decision tree.

    Parameters
    ----------
    model
        A fitted ``RandomForest*``, ``ExtraTrees*``, ``DecisionTree*`` or ``ExtraTree*``, classifier or regressor.

    Raises
    ------
    NotCompilable
        If it has several targets, one class, or too many leaves.
    """
    if int(model.n_outputs_) != 1:
        raise NotCompilable("The forest predicts several targets at once.")
    members = [member.tree_ for member in getattr(model, "estimators_", [model])]
    tolerance = _ORDER_TOLERANCE if len(members) > 1 else 0.0
    if not hasattr(model, "classes_"):
        trees = [_tree(member, member.value[:, 0, 0]) for member in members]
        text = write_model_text(
            trees, n_features=int(model.n_features_in_), n_outputs=1, link="identity", average=len(trees) > 1
        )
        return TreesEvaluator(text, tolerance=tolerance)
    n_classes = len(model.classes_)
    if n_classes < 2:
        raise NotCompilable("The classifier was fitted on a single class.")
    n_features = int(model.n_features_in_)
    if n_classes > MAX_REPEATED_CLASSES:
        return _by_leaves(members, n_features)
    # A binary answer is the positive class's share alone.
    outputs = range(n_classes) if n_classes > 2 else (1,)
    trees = [_tree(member, _shares(member.value[:, 0, :])[:, output]) for member in members for output in outputs]
    text = write_model_text(
        trees, n_features=n_features, n_outputs=len(outputs), link="identity", average=len(members) > 1
    )
    return TreesEvaluator(text, tolerance=tolerance)


def _by_leaves(members: Sequence[Any], n_features: int) -> LeavesEvaluator:
    """Walk each tree once for all classes, and look the shares of its leaf up."""
    trees = [_tree(member, np.zeros(member.node_count)) for member in members]
    text = write_model_text(trees, n_features=n_features, n_outputs=1, link="identity")
    leaves = [_shares(member.value[:, 0, :])[tree.left < 0] for member, tree in zip(members, trees, strict=True)]
    starts = np.cumsum([0, *(len(shares) for shares in leaves[:-1])])
    values, rows = distinct_rows(np.concatenate(leaves))
    return LeavesEvaluator(text, starts, rows, values)


def convert_gradient_boosting(model: Any) -> TreesEvaluator:
    """Convert a ``GradientBoostingClassifier`` or ``GradientBoostingRegressor``.

    Raises
    ------
    NotCompilable
        If its first prediction comes from an estimator of the user's, or its loss has no probability.
    """
    loss = str(model.loss)
    classifier = hasattr(model, "classes_")
    n_outputs = int(model.n_trees_per_iteration_)
    if model.init is not None and not (isinstance(model.init, str) and model.init == "zero"):
        raise NotCompilable("The gradient boosting starts from an estimator of its own (init).")
    if classifier and loss != "log_loss":
        raise NotCompilable(f"The gradient boosting has the loss {loss!r}, which is not compiled.")
    link: Link = ("softmax" if n_outputs > 1 else "sigmoid") if classifier else "identity"
    # The starting value does not depend on the row: ask for it with any.
    start = np.zeros((1, n_outputs))
    if model.init is None:
        start = np.asarray(model._raw_predict_init(np.zeros((1, int(model.n_features_in_)), dtype=np.float32)))  # noqa: SLF001 - the only name it has
    trees: list[Tree] = [single_leaf(float(value)) for value in start[0]]
    rate = float(model.learning_rate)
    trees += [_tree(member.tree_, rate * member.tree_.value[:, 0, 0]) for member in model.estimators_.ravel()]
    text = write_model_text(trees, n_features=int(model.n_features_in_), n_outputs=n_outputs, link=link)
    return TreesEvaluator(text, tolerance=0.0 if link == "identity" else _LINK_TOLERANCE)


def _tree(tree: Any, values: Sequence[float] | FloatArray) -> Tree:
    inner = np.asarray(tree.children_left) >= 0
    return Tree(
        left=np.where(inner, tree.children_left, -1).astype(np.int64),
        right=np.where(inner, tree.children_right, -1).astype(np.int64),
        feature=np.where(inner, tree.feature, 0).astype(np.int64),
        threshold=single_at_most(tree.threshold),
        missing_left=np.asarray(tree.missing_go_to_left, dtype=np.bool_),
        value=np.asarray(values, dtype=np.float64),
        weight=np.asarray(tree.weighted_n_node_samples, dtype=np.float64),
    )


def _shares(values: FloatArray) -> FloatArray:
    """Return class shares: that is what a leaf holds since scikit-learn 1.3; counts before."""
    totals = values.sum(axis=1, keepdims=True)
    if np.allclose(totals, 1.0):
        return values
    shares: FloatArray = values / np.where(totals == 0.0, 1.0, totals)
    return shares
