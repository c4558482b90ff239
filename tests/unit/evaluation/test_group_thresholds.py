"""Thresholds per group: alike within the bound, and as accurate as that allows."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.group_thresholds import OBJECTIVES, choose_thresholds
from arkwright.evaluation.groups import groups_of


def rates(truth, called, groups):
    found = []
    for code in range(len(groups.labels)):
        rows = groups.codes == code
        found.append(
            (
                called[rows].mean(),
                called[rows & (truth == 1)].mean() if (rows & (truth == 1)).any() else None,
                called[rows & (truth == 0)].mean() if (rows & (truth == 0)).any() else None,
            )
        )
    return found


def spread(found, part):
    known = [item[part] for item in found if item[part] is not None]
    return max(known) - min(known) if known else 0.0


PARTS = {"demographic_parity": (0,), "equal_opportunity": (1,), "equalized_odds": (1, 2)}

rows_of_two_groups = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.sampled_from([0.1, 0.3, 0.5, 0.7])), min_size=4, max_size=30
)


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(max_examples=30)
@given(rows_of_two_groups, st.sampled_from([0.0, 0.1, 0.3]))
def test_the_rates_lie_within_the_bound_and_no_pair_of_thresholds_does_better(objective, rows, bound):
    labels, truth, score = (np.array(part) for part in zip(*rows, strict=True))
    groups = groups_of(labels)
    chosen = choose_thresholds(truth, score, labels, objective=objective, bound=bound)
    called = chosen.called(score, groups)
    found = rates(truth, called, groups)
    for part in PARTS[objective]:
        assert spread(found, part) <= bound + 1e-9
    assert chosen.accuracy == pytest.approx((called == truth).mean())
    assert chosen.disparity == pytest.approx(max(spread(found, part) for part in PARTS[objective]))
    if objective == "equalized_odds":
        return  # its square is tried on a grid, so that a better pair can lie between two points
    best = 0.0
    for limits in itertools.product([0.1, 0.3, 0.5, 0.7, 2.0], repeat=len(groups.labels)):
        other = score >= np.array(limits)[groups.codes]
        if all(spread(rates(truth, other, groups), part) <= bound + 1e-9 for part in PARTS[objective]):
            best = max(best, (other == truth).mean())
    assert chosen.accuracy == pytest.approx(best)


def test_a_group_that_was_not_there_to_choose_from_gets_the_other_threshold():
    chosen = choose_thresholds([0, 1], [0.2, 0.8], ["a", "a"], objective="demographic_parity")
    assert chosen.called(np.array([0.6, 0.6]), groups_of(["b", "b"]), otherwise=0.7).tolist() == [False, False]


def test_a_group_without_positives_does_not_bind_the_others():
    truth, score = np.array([0, 1, 1, 0, 0]), np.array([0.1, 0.8, 0.9, 0.3, 0.4])
    chosen = choose_thresholds(truth, score, ["a", "a", "a", "b", "b"], objective="equal_opportunity", bound=0.0)
    assert chosen.accuracy == 1.0
    assert chosen.groups[1].tpr is None


def test_a_bound_that_is_no_difference_of_rates_is_refused():
    with pytest.raises(Invalid, match="bound of 2"):
        choose_thresholds([0, 1], [0.2, 0.8], ["a", "b"], objective="equal_opportunity", bound=2)
