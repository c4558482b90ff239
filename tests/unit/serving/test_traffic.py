"""Which arm answers a unit."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arkwright.serving.traffic import Split, unit_point

shares = st.lists(st.floats(0, 100), min_size=1, max_size=6)
UNITS = [f"user_{index}" for index in range(4_000)]


@given(shares, st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_two_data_planes_with_one_plan_agree_on_every_unit(given_shares, deployment_id, salt, unit):
    here, there = Split(given_shares, deployment_id, salt), Split(list(given_shares), deployment_id, salt)
    assert here.index(unit) == there.index(unit)
    assert 0 <= here.index(unit) < len(given_shares)


@given(shares, st.text(max_size=20))
def test_an_arm_without_traffic_answers_nothing(given_shares, unit):
    picked = Split(given_shares, "dep").index(unit)
    assert given_shares[picked] > 0 or sum(given_shares) == 0


def test_each_arm_gets_its_share():
    split = Split([70, 20, 10], "dep")
    picks = [split.index(f"req_{index}") for index in range(20_000)]
    assert abs(picks.count(0) / 20_000 - 0.7) < 0.015
    assert abs(picks.count(2) / 20_000 - 0.1) < 0.015


def test_two_deployments_split_their_traffic_independently():
    here, there = Split([50, 50], "dep_a"), Split([50, 50], "dep_b")
    both = sum(here.index(f"req_{index}") == there.index(f"req_{index}") for index in range(10_000))
    assert abs(both / 10_000 - 0.5) < 0.03


def test_a_new_salt_is_a_new_draw():
    here, there = Split([50, 50], "dep"), Split([50, 50], "dep", salt="again")
    both = sum(here.index(unit) == there.index(unit) for unit in UNITS)
    assert abs(both / len(UNITS) - 0.5) < 0.05


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_canary_that_grows_keeps_the_units_it_had(one, other):
    small, large = sorted((one, other))
    narrow, wide = Split([100 - small, small], "dep"), Split([100 - large, large], "dep")
    assert all(wide.index(unit) == 1 for unit in UNITS[:300] if narrow.index(unit) == 1)


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0, 50))
def test_changing_one_of_two_variants_leaves_the_units_of_the_other(first, before, after):
    old, new = Split([100 - first - before, before, first], "dep"), Split([100 - first - after, after, first], "dep")
    for unit in UNITS[:300]:
        assert (old.index(unit) == 2) == (new.index(unit) == 2)


@pytest.mark.parametrize(
    ("before", "after"), [((90, 10), (50, 50)), ((50, 50), (90, 10)), ((80, 10, 10), (40, 50, 10))]
)
def test_a_new_split_moves_no_more_units_than_it_must(before, after):
    old, new = Split(before, "dep"), Split(after, "dep")
    moved = sum(old.index(unit) != new.index(unit) for unit in UNITS) / len(UNITS)
    must = sum(max(0, later - earlier) for earlier, later in zip(before, after, strict=True)) / 100
    assert abs(moved - must) < 0.03


@given(shares)
def test_shares_count_by_their_ratio(given_shares):
    assume(all(share == 0 or share > 1e-6 for share in given_shares))
    doubled = Split([share * 2 for share in given_shares], "dep")
    assert all(Split(given_shares, "dep").index(unit) == doubled.index(unit) for unit in UNITS[:50])


def test_a_stratum_draws_its_units_by_themselves():
    points = [(unit_point("s", "dep", unit, "gold"), unit_point("s", "dep", unit, "basic")) for unit in UNITS]
    both = sum((gold < 0.5) == (basic < 0.5) for gold, basic in points)
    assert abs(both / len(UNITS) - 0.5) < 0.05
    assert all(0 <= gold < 1 for gold, _ in points)


def test_a_unit_that_is_no_valid_text_is_assigned_like_any_other():
    split = Split([50, 50], "dep")
    assert split.index("\ud800") == split.index("\ud800")
