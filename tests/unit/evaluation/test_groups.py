"""Groups from labels, bins and pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.groups import MISSING, binned, groups_of, intersect


def labels_of(groups):
    return [groups.labels[code] for code in groups.codes]


def test_every_way_of_writing_a_missing_value_is_one_group_and_it_comes_last():
    groups = groups_of(np.array(["b", None, float("nan"), "", "  ", "a"], dtype=object))
    assert groups.labels == ("a", "b", MISSING)
    assert groups.sizes().tolist() == [1, 1, 4]


def test_numbers_stand_in_the_order_of_their_size_and_whole_ones_lose_the_point():
    assert groups_of(np.array([10.0, 9.0, 2.5])).labels == ("2.5", "9", "10")
    assert groups_of(np.array([True, False])).labels == ("False", "True")


def test_a_number_with_many_values_is_refused_with_the_way_out():
    with pytest.raises(Invalid, match=r"column 'age' has 101 distinct values") as problem:
        groups_of(np.arange(101), column="column 'age'")
    assert "binned" in problem.value.hint


def test_a_value_on_an_edge_belongs_to_the_group_above():
    assert labels_of(binned([24.9, 25, 40, None], edges=[25, 40])) == ["< 25", "25 to < 40", ">= 40", MISSING]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=60), st.integers(2, 6))
def test_quantile_bins_hold_every_row_and_rise_with_the_value(values, quantiles):
    groups = binned(values, quantiles=quantiles)
    assert len(groups.codes) == len(values)
    assert (groups.sizes() > 0).all()
    present = sorted((value, code) for value, code in zip(values, groups.codes, strict=True) if value is not None)
    assert [code for _, code in present] == sorted(code for _, code in present)


@pytest.mark.parametrize("edges", [[], [2, 1], [1, 1], [float("nan")]])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(Invalid, match="do not rise"):
        binned([1, 2], edges=edges)


def test_text_cannot_be_binned():
    with pytest.raises(Invalid, match="not numbers"):
        binned(["young", "old"])


def test_an_intersection_names_both_and_leaves_out_pairs_without_rows():
    both = intersect(groups_of(["F", "M", "F"]), binned([20, 70, 20], edges=[40]))
    assert labels_of(both) == ["F & < 40", "M & >= 40", "F & < 40"]
    assert len(both.labels) == 2


def test_too_many_pairs_are_refused():
    one, other = groups_of(np.arange(121) % 11), groups_of(np.arange(121) // 11)
    with pytest.raises(Invalid, match="121 groups"):
        intersect(one, other)


def test_taking_rows_drops_labels_without_any():
    assert groups_of(["a", "b", "c"]).take(np.array([0, 2])).labels == ("a", "c")
