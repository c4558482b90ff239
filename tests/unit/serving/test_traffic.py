"""Which arm answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkwright.serving.traffic import choose_arm

shares = st.lists(st.floats(0, 100), min_size=1, max_size=4)


@given(shares, st.text(max_size=20), st.text(max_size=20))
def test_the_same_request_always_goes_to_the_same_arm(given_shares, deployment_id, request_id):
    first = choose_arm(given_shares, deployment_id, request_id)
    assert first == choose_arm(given_shares, deployment_id, request_id)
    assert 0 <= first < len(given_shares)


@given(shares, st.text(max_size=20))
def test_an_arm_without_traffic_answers_nothing(given_shares, request_id):
    picked = choose_arm(given_shares, "dep", request_id)
    assert given_shares[picked] > 0 or sum(given_shares) == 0


def test_each_arm_gets_its_share():
    picks = [choose_arm([70, 20, 10], "dep", f"req_{index}") for index in range(20_000)]
    assert abs(picks.count(0) / 20_000 - 0.7) < 0.015
    assert abs(picks.count(2) / 20_000 - 0.1) < 0.015


def test_two_deployments_split_their_traffic_independently():
    both = sum(
        choose_arm([50, 50], "dep_a", f"req_{index}") == choose_arm([50, 50], "dep_b", f"req_{index}")
        for index in range(10_000)
    )
    assert abs(both / 10_000 - 0.5) < 0.03
