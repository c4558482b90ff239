"""Holdout and folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.automl.splits import HOLDOUT, assign_rows
from arkwright.core.errors import Invalid


def test_a_fifth_is_held_out_and_the_folds_are_of_equal_size():
    folds = assign_rows(1003, n_folds=5, seed=0)
    assert np.count_nonzero(folds == HOLDOUT) == 201
    sizes = np.bincount(folds[folds >= 0])
    assert sizes.max() - sizes.min() <= 1


def test_stratified_parts_keep_the_class_shares():
    codes = (np.random.default_rng(0).random(5000) < 0.1).astype(float)
    folds = assign_rows(codes.size, n_folds=5, seed=0, codes=codes)
    for part in range(-1, 5):
        assert codes[folds == part].mean() == pytest.approx(codes.mean(), abs=0.002)


def test_the_seed_alone_decides():
    first = assign_rows(200, n_folds=5, seed=3)
    assert (first == assign_rows(200, n_folds=5, seed=3)).all()
    assert (first != assign_rows(200, n_folds=5, seed=4)).any()


def test_more_folds_than_rows_are_refused():
    with pytest.raises(Invalid, match="cannot be split into 10 folds"):
        assign_rows(8, n_folds=10, seed=0)


@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=6),
    st.integers(2, 5),
    st.integers(0, 1000),
)
def test_every_training_part_of_every_fold_knows_every_class(class_sizes, n_folds, seed):
    codes = np.repeat(np.arange(len(class_sizes)), class_sizes).astype(float)
    if codes.size < 20:
        return
    folds = assign_rows(codes.size, n_folds=n_folds, seed=seed, codes=codes)
    assert set(np.unique(folds)) <= set(range(-1, n_folds))
    for fold in range(n_folds):
        assert set(codes[(folds >= 0) & (folds != fold)]) == set(codes)
