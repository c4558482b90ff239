from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.monitoring.stability import (
    drift_level,
    expected_psi,
    kl_divergence,
    population_stability_index,
    psi_noise_bound,
    smoothed_shares,
)

shares = st.lists(st.floats(0.001, 1.0), min_size=2, max_size=20)


def test_psi_matches_a_hand_calculation() -> None:
    expected = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.3 - 0.2) * np.log(0.3 / 0.2)
    assert population_stability_index([0.5, 0.3, 0.2], [0.4, 0.3, 0.3]) == pytest.approx(expected, rel=1e-12)


@given(shares, st.data())
def test_psi_is_not_negative_symmetric_and_the_sum_of_both_divergences(
    reference: list[float], data: st.DataObject
) -> None:
    current = data.draw(st.lists(st.floats(0.001, 1.0), min_size=len(reference), max_size=len(reference)))
    there, back = population_stability_index(reference, current), population_stability_index(current, reference)
    assert there >= 0
    assert there == pytest.approx(back, abs=1e-12)
    # Exact only while the floor of 0.0001 does not bite, which shares of at least 0.001 in 20 leave room for.
    if min(np.array(reference) / sum(reference)) > 1e-4 and min(np.array(current) / sum(current)) > 1e-4:
        assert there == pytest.approx(kl_divergence(reference, current) + kl_divergence(current, reference), abs=1e-9)


@given(shares)
def test_psi_of_a_distribution_with_itself_is_zero_whatever_its_scale(reference: list[float]) -> None:
    assert population_stability_index(reference, [share * 7 for share in reference]) == pytest.approx(0, abs=1e-12)


def test_an_empty_cell_gives_a_large_finite_psi() -> None:
    assert 4 < population_stability_index([0.5, 0.5], [1.0, 0.0]) < 5


@pytest.mark.parametrize(
    ("expected", "actual"),
    [([], []), ([0.5, 0.5], [1.0]), ([0.0, 0.0], [0.5, 0.5]), ([-0.1, 1.1], [0.5, 0.5]), ([np.nan, 1], [0.5, 0.5])],
)
def test_what_is_no_distribution_is_refused(expected: list[float], actual: list[float]) -> None:
    with pytest.raises(Invalid) as refused:
        population_stability_index(expected, actual)
    assert refused.value.code == "monitoring.shares"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("psi", "level"),
    [
        (0.0, "none"),
        (0.0999, "none"),
        (0.1, "moderate"),
        (0.2499, "moderate"),
        (0.25, "significant"),
        (9.0, "significant"),
    ],
)
def test_the_thresholds_are_a_tenth_and_a_quarter(psi: float, level: str) -> None:
    assert drift_level(psi) == level


@given(st.floats(0, 5), st.floats(0, 5))
def test_what_noise_can_explain_is_no_drift(psi: float, bound: float) -> None:
    if psi <= bound:
        assert drift_level(psi, bound) == "none"
    else:
        assert drift_level(psi, bound) == drift_level(psi)


@pytest.mark.parametrize(("n_cells", "n_current"), [(3, 50), (10, 50), (10, 200), (20, 100), (20, 1000)])
def test_the_noise_bound_holds_in_simulation(n_cells: int, n_current: int) -> None:
    """One in a thousand windows without drift may exceed it; four in a thousand is the most we accept."""
    generator = np.random.default_rng(7)
    n_reference, rounds = 4000, 4000
    truth = np.full(n_cells, 1 / n_cells)
    bound = psi_noise_bound(n_cells, n_reference, n_current, 0.001)
    reference = generator.multinomial(n_reference, truth, rounds)
    current = generator.multinomial(n_current, truth, rounds)
    psi = np.array(
        [
            population_stability_index(smoothed_shares(then), smoothed_shares(now))
            for then, now in zip(reference, current, strict=True)
        ]
    )
    assert (psi > bound).mean() <= 0.004
    assert psi.mean() == pytest.approx(expected_psi(n_cells, n_reference, n_current), rel=0.25)


def test_the_noise_bound_shrinks_with_the_window_and_a_single_cell_has_none() -> None:
    bounds = [psi_noise_bound(10, 5000, n, 0.001) for n in (50, 500, 5000)]
    assert bounds == sorted(bounds, reverse=True)
    assert psi_noise_bound(1, 5000, 50, 0.001) == 0.0
