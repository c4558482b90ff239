"""Long lists leave the JSON and come back equal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.bundles.sidecar import move_in, move_out

floats = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4)
texts = st.lists(st.text(max_size=3), max_size=4)
leaves = st.none() | st.booleans() | st.integers() | floats | texts
states = st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6)


@given(states, st.integers(1, 300))
def test_what_moves_out_moves_back_in(state, repeat):
    long = {"state": state, "floats": [0.1] * repeat, "texts": ["ä", "", "b\0"] * repeat, "mixed": [1, "a"] * repeat}
    rest, arrays = move_out(long)
    assert move_in(json.loads(json.dumps(rest)), arrays) == long


def test_a_missing_array_is_named():
    state, _ = move_out({"texts": ["a"] * 300})
    with pytest.raises(KeyError, match="a0"):
        move_in(state, {})
