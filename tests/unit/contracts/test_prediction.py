"""Names of segments, samples and redacted values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import SegmentName, is_redacted, redacted, sampled
from arkwright.serving.traffic import unit_point


@given(st.from_regex(r"[a-z0-9_]{1,20}", fullmatch=True), st.integers(0, 2**45), st.integers(0, 10**7))
def test_a_segment_s_name_can_be_read_back(replica: str, start_ms: int, counter: int) -> None:
    name = SegmentName(replica=replica, start_ms=start_ms, counter=counter)
    assert SegmentName.parse(name.stem) == name


@pytest.mark.parametrize("stem", ["", "edge", "edge-1", "../edge-1-2", "edge-1-2.open", "edge-x-2", "edge-1-2\n"])
def test_what_is_no_segment_s_name_is_none(stem: str) -> None:
    assert SegmentName.parse(stem) is None


@pytest.mark.parametrize("kind", ["predictions", "outcomes"])
def test_a_name_says_what_the_segment_holds(kind):
    name = SegmentName(replica="outcomes", start_ms=7, counter=1, kind=kind)
    assert SegmentName.parse(name.stem) == name


@given(st.lists(st.text(alphabet="abcdef0123456789_", min_size=1), unique=True, max_size=20), st.floats(0, 100))
def test_a_larger_sample_holds_the_smaller_one(request_ids, percent):
    smaller = {each for each in request_ids if sampled(each, percent / 2)}
    assert smaller <= {each for each in request_ids if sampled(each, percent)}


def test_a_sample_is_as_large_as_it_says_in_every_arm():
    """The hash that samples is not the one that assigns arms: a canary is not sampled more or less than the rest."""
    ids = [f"req_{index:026d}" for index in range(40_000)]
    canary = [each for each in ids if unit_point("", "dep_1", each) < 0.1]
    for some in (ids, canary):
        share = sum(sampled(each, 25.0) for each in some) / len(some)
        assert abs(share - 0.25) < 0.03


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_a_redacted_value_says_that_it_is_one_and_nothing_else(value):
    hidden = redacted(value)
    assert is_redacted(hidden) == (value is not None)
    assert not is_redacted(value)
    assert hidden == redacted(value)


def test_values_that_a_model_takes_for_the_same_have_the_same_hash():
    assert redacted(3) == redacted(3.0) == redacted("3")
    assert redacted(True) == redacted("True")
    assert redacted(2.5) == redacted("2.5")
    assert redacted("a") != redacted("b")
