"""JSON values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.kit.jobs.values import json_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_survives_strict_json_unchanged(value: object) -> None:
    plain = json_value(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert json_value(plain) == plain


@given(st.floats())
def test_only_numbers_that_are_not_finite_are_lost(number: float) -> None:
    assert json_value(number) == (number if math.isfinite(number) else None)


@pytest.mark.parametrize("value", [object(), {1: "x"}, b"bytes", {"when": np.datetime64("2026-01-01")}, {1, 2}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        json_value(value)
