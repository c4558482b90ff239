"""A float64 comparison decides what a comparison of rounded numbers decided."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arkwright.bundles.conversion.thresholds import single_at_most, single_below

numbers = st.floats(allow_nan=False) | st.floats(allow_nan=False, width=32)
LARGEST = float(np.finfo(np.float32).max)
TINIEST = 1.401298464324817e-45


def rounded(value):
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(value)


def probes(threshold, moved):
    """Return numbers around the threshold and around where it was moved to."""
    found = [0.0, -0.0, 5e-324, LARGEST, -LARGEST, np.inf, -np.inf, 1e300, -1e300, threshold, moved]
    single = rounded(threshold)
    with np.errstate(over="ignore", under="ignore"):
        found += [
            float(single),
            float(np.nextafter(single, np.float32(9))),
            float(np.nextafter(single, np.float32(-9))),
        ]
        found += [float(np.nextafter(value, side)) for value in list(found) for side in (np.inf, -np.inf)]
    return found


@settings(deadline=None)
@given(numbers, st.lists(numbers, max_size=5))
@example(LARGEST, [2.0**128 - 2.0**103])
@example(-LARGEST, [])
@example(np.inf, [])
@example(-np.inf, [])
@example(TINIEST, [TINIEST / 2])
@example(1.0, [1.0 + 2**-24])
@example(1.0 + 2**-23, [1.0 + 3 * 2**-24])
def test_at_most_decides_as_the_rounded_number_does(threshold, others):
    moved = float(single_at_most([threshold])[0])
    for value in [*probes(threshold, moved), *others]:
        assert (value <= moved) == (float(rounded(value)) <= threshold), value


@settings(deadline=None)
@given(st.floats(allow_nan=False, width=32).filter(lambda number: number > -np.inf), st.lists(numbers, max_size=5))
@example(LARGEST, [])
@example(-LARGEST, [])
@example(0.0, [5e-324, 1e-46])
@example(-0.0, [])
@example(TINIEST, [])
@example(np.inf, [])
def test_below_decides_as_the_rounded_number_does(threshold, others):
    moved = float(single_below([threshold])[0])
    for value in [*probes(threshold, moved), *others]:
        assert (value <= moved) == bool(rounded(value) < np.float32(threshold)), value
