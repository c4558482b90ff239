"""The text that is written is the tree that was meant, and what is no tree is refused."""

from __future__ import annotations

import numpy as np
import pytest

from arkwright.bundles import NotCompilable, TreesEvaluator
from arkwright.bundles.conversion import tree_text
from arkwright.bundles.conversion.tree_text import MAX_CODE, Tree, single_leaf, write_model_text


def tree_of(left=(1, -1, -1), right=(2, -1, -1), threshold=0.5, value=(0.0, 10.0, 20.0), *, feature=0, **others):
    n_nodes = len(left)
    settings = {"missing_left": np.zeros(n_nodes, dtype=bool), "weight": np.ones(n_nodes), **others}
    return Tree(
        left=np.array(left),
        right=np.array(right),
        feature=np.full(n_nodes, feature),
        threshold=np.full(n_nodes, float(threshold)),
        value=np.array(value, dtype=np.float64),
        **settings,
    )


def scores(tree, *cells, **settings):
    keywords = {"n_features": 1, "n_outputs": 1, "link": "identity", **settings}
    evaluator = TreesEvaluator(write_model_text([tree], **keywords))
    return [evaluator.scores_row([cell])[0] for cell in cells]


def test_a_number_goes_left_up_to_its_threshold_and_missing_has_a_side():
    assert scores(tree_of(), 0.5, np.nextafter(0.5, 1), np.nan, -np.inf) == [10.0, 20.0, 20.0, 10.0]
    assert scores(tree_of(missing_left=np.ones(3, dtype=bool)), np.nan) == [10.0]


def test_an_infinite_threshold_splits_missing_from_everything_else():
    assert scores(tree_of(threshold=np.inf), 1e308, np.inf, -np.inf, np.nan) == [10.0, 10.0, 10.0, 20.0]


def test_listed_codes_go_left_and_everything_else_right():
    tree = tree_of(left_codes={0: [0, 31, 32, 40, 64]})
    listed = [0.0, 31.0, 32.0, 40.0, 64.0]
    others = [1.0, 33.0, 63.0, 65.0, 1e6, -1.0, 1e300, np.nan]
    assert scores(tree, *listed) == [10.0] * 5
    assert scores(tree, *others) == [20.0] * 8
    assert scores(tree_of(left_codes={0: []}), 0.0) == [20.0]


def test_a_single_leaf_answers_alone():
    assert scores(single_leaf(3.25), 0.0, np.nan) == [3.25, 3.25]


def test_every_bit_of_a_value_is_kept():
    value = np.random.default_rng(0).normal(size=40) * 10.0 ** np.random.default_rng(1).integers(-300, 300, 40)
    for one in value.tolist():
        assert scores(tree_of(threshold=one, value=(0.0, one, -one)), one, np.nextafter(one, np.inf)) == [one, -one]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1, 0, -1), (2, 2, -1)),  # a loop
        ((1, -1, -1), (1, -1, -1)),  # two parents for one child
        ((1, -1, -1), (7, -1, -1)),  # a child that does not exist
        ((-1, -1, -1), (-1, -1, -1)),  # nodes that hang from nothing
        ((1, -1, 4, 3, -1), (2, -1, 3, 4, -1)),  # a leaf with two parents
        ((-1, 2, 1), (-1, 1, 2)),  # a loop of its own
        ((1, -1, -1, 5, -1, 3, -1), (2, -1, -1, 4, -1, 6, -1)),  # a loop beside the tree
    ],
)
def test_what_is_no_tree_is_refused(left, right):
    with pytest.raises(ValueError, match="node"):
        scores(tree_of(left, right), 0.0)


def test_a_feature_beyond_the_vector_is_refused():
    with pytest.raises(ValueError, match="beyond the 1 of the vector"):
        scores(tree_of(feature=1), 0.0)


def test_incomplete_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds of 2"):
        write_model_text([tree_of()], n_features=1, n_outputs=2, link="softmax")


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(NotCompilable, match="not a finite number"):
        scores(tree_of(value=(0.0, np.nan, 1.0)), 0.0)


@pytest.mark.parametrize("code", [-1, MAX_CODE + 1])
def test_codes_without_end_are_refused(code):
    with pytest.raises(NotCompilable, match="codes are compiled from 0"):
        scores(tree_of(left_codes={0: [code]}), 0.0)


def test_too_many_leaves_are_refused(monkeypatch):
    monkeypatch.setattr(tree_text, "MAX_LEAVES", 1)
    with pytest.raises(NotCompilable, match="2 leaves, more than the 1"):
        scores(tree_of(), 0.0)


def test_fractions_of_rows_count_in_contributions():
    tree = tree_of(weight=np.array([0.0, 0.25, 0.75]))
    evaluator = TreesEvaluator(write_model_text([tree], n_features=1, n_outputs=1, link="identity"))
    assert evaluator.contributions_row([0.0])[0] == pytest.approx([-7.5, 17.5])
