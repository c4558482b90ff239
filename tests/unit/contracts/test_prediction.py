"""A segment's name says who wrote it, when that process started, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import SegmentName


@given(st.from_regex(r"[a-z0-9_]{1,20}", fullmatch=True), st.integers(0, 2**45), st.integers(0, 10**7))
def test_a_segment_s_name_can_be_read_back(replica: str, start_ms: int, counter: int) -> None:
    name = SegmentName(replica=replica, start_ms=start_ms, counter=counter)
    assert SegmentName.parse(name.stem) == name


@pytest.mark.parametrize("stem", ["", "edge", "edge-1", "../edge-1-2", "edge-1-2.open", "edge-x-2", "edge-1-2\n"])
def test_what_is_no_segment_s_name_is_none(stem: str) -> None:
    assert SegmentName.parse(stem) is None
