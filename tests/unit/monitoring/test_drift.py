from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import CategoricalBaseline, NumericBaseline
from arkwright.monitoring.drift import MINIMUM_ROWS, MISSING, OTHER, categorical_cells, compare_feature, numeric_cells


def numeric_baseline(values: np.ndarray, n_bins: int = 10) -> NumericBaseline:
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, present, side="left")
    shares = np.bincount(bins, minlength=edges.size + 1) / present.size
    return NumericBaseline(
        edges=tuple(edges.tolist()),
        shares=tuple(shares.tolist()),
        quantiles=tuple(np.quantile(present, np.linspace(0, 1, 1001)).tolist()),
        missing_share=float(np.isnan(values).mean()),
        mean=float(present.mean()),
        std=float(present.std()),
        minimum=float(present.min()),
        maximum=float(present.max()),
    )


REFERENCE = np.random.default_rng(0).normal(size=5000)
BASELINE = numeric_baseline(REFERENCE)
PLANS = CategoricalBaseline(shares={"month": 0.55, "year": 0.25, "two years": 0.2}, missing_share=0.0)


def plans(generator: np.random.Generator, n: int, shares: tuple[float, ...] = (0.55, 0.25, 0.2)) -> np.ndarray:
    return generator.choice(np.array(["month", "year", "two years"], dtype=object), n, p=shares)


def test_the_same_distribution_does_not_drift() -> None:
    result = compare_feature("x", BASELINE, 5000, np.random.default_rng(1).normal(size=2000))
    assert result.level == "none"
    assert result.enough_rows
    assert result.p_value > 0.01


@pytest.mark.parametrize(("shift", "level"), [(0.1, "none"), (0.4, "moderate"), (0.8, "significant")])
def test_a_shifted_mean_drifts_by_how_far_it_shifted(shift: float, level: str) -> None:
    result = compare_feature("x", BASELINE, 5000, np.random.default_rng(2).normal(shift, 1, 5000))
    assert result.level == level
    assert result.test == "ks"
    assert result.mean_current == pytest.approx(shift, abs=0.05)


def test_a_changed_mix_of_categories_drifts() -> None:
    result = compare_feature("plan", PLANS, 5000, plans(np.random.default_rng(3), 1000, (0.2, 0.2, 0.6)))
    assert result.level == "significant"
    assert result.test == "chi_square"
    assert result.p_value < 1e-10


def test_a_column_that_goes_missing_drifts_though_its_values_do_not() -> None:
    values = np.random.default_rng(4).normal(size=1000)
    values[:300] = np.nan
    result = compare_feature("x", BASELINE, 5000, values)
    assert result.level == "significant"
    assert result.missing_share_change == pytest.approx(0.3)
    assert result.p_value > 0.001


def test_a_column_that_is_all_missing_drifts() -> None:
    result = compare_feature("x", BASELINE, 5000, np.full(500, np.nan))
    assert (result.level, result.mean_current, result.p_value) == ("significant", None, 1.0)


def test_categories_never_seen_share_a_cell_and_are_counted() -> None:
    values = plans(np.random.default_rng(5), 1000)
    values[:200] = [f"new {i}" for i in range(200)]
    result = compare_feature("plan", PLANS, 5000, values)
    assert result.level == "significant"
    assert result.unexpected_share == pytest.approx(0.2)
    other = next(cell for cell in result.cells if cell.label == OTHER)
    assert (other.reference_share, other.current_share) == (0.0, pytest.approx(0.2))


def test_categories_the_baseline_pooled_are_not_taken_for_new_ones() -> None:
    baseline = CategoricalBaseline(shares={"a": 0.9}, other_share=0.1, missing_share=0.0)
    values = np.array((["a"] * 90 + [f"rare {i}" for i in range(10)]) * 10, dtype=object)
    result = compare_feature("city", baseline, 5000, values)
    assert (result.level, result.unexpected_share) == ("none", 0.0)


def test_values_outside_the_training_range_are_counted() -> None:
    values = np.concatenate([REFERENCE[:900], np.full(100, 1e9)])
    assert compare_feature("x", BASELINE, 5000, values).unexpected_share == pytest.approx(0.1)


def test_a_window_below_the_minimum_never_drifts_and_says_it_is_too_small() -> None:
    result = compare_feature("x", BASELINE, 5000, np.full(MINIMUM_ROWS - 1, 9.0))
    assert result.psi > 1
    assert result.level == "none"
    assert not result.enough_rows


def test_an_empty_window_gives_zeros_and_no_drift() -> None:
    numeric = compare_feature("x", BASELINE, 5000, np.array([], dtype=np.float64))
    text = compare_feature("plan", PLANS, 5000, np.array([], dtype=object))
    assert (numeric.psi, numeric.level, numeric.n) == (0.0, "none", 0)
    assert (text.psi, text.level, text.n) == (0.0, "none", 0)


def test_a_feature_with_a_single_value_does_not_drift_while_it_stays_so() -> None:
    baseline = numeric_baseline(np.full(100, 3.0))
    assert compare_feature("x", baseline, 100, np.full(100, 3.0)).level == "none"


def test_a_value_on_an_edge_belongs_to_the_bin_below() -> None:
    table = numeric_cells(BASELINE, 5000, np.array([BASELINE.edges[0]]))
    assert table.current_counts.tolist()[0] == 1.0


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False), max_size=60), st.floats(0, 0.5))
def test_every_row_is_in_exactly_one_numeric_cell(values: list[float], missing_share: float) -> None:
    baseline = NumericBaseline(
        edges=(-1.0, 0.0, 1.0), shares=(0.25,) * 4, quantiles=(-2.0, 2.0), missing_share=missing_share,
        mean=0.0, std=1.0, minimum=-2.0, maximum=2.0,
    )  # fmt: skip
    table = numeric_cells(baseline, 1000, np.array(values, dtype=np.float64))
    assert table.current_counts.sum() == len(values)
    assert table.reference_counts.sum() == pytest.approx(1000)
    assert (MISSING in table.labels) == (missing_share > 0 or any(np.isnan(values)))


@given(st.lists(st.sampled_from(["month", "year", "two years", "weekly", "never", None]), max_size=200))
def test_every_row_is_in_exactly_one_categorical_cell(values: list[str | None]) -> None:
    table = categorical_cells(PLANS, 5000, values)
    assert table.current_counts.sum() == len(values)
    assert table.reference_counts.sum() == pytest.approx(5000)
    assert len(set(table.labels)) == len(table.labels)


def test_false_alarms_stay_rare_in_small_windows() -> None:
    """Windows without drift: at 50, 100 and 300 rows, with 20 features to be wrong about."""
    generator = np.random.default_rng(6)
    alarms = 0
    rounds = 700
    for n in (50, 100, 300):
        for _ in range(rounds):
            numeric = compare_feature("x", BASELINE, 5000, generator.normal(size=n), n_features=20)
            text = compare_feature("plan", PLANS, 5000, plans(generator, n), n_features=20)
            alarms += (numeric.level != "none") + (text.level != "none")
    assert alarms <= 2


def test_without_the_rule_a_small_window_would_have_alarmed_often() -> None:
    generator = np.random.default_rng(6)
    psi = [compare_feature("x", BASELINE, 5000, generator.normal(size=50)).psi for _ in range(200)]
    assert np.mean(np.array(psi) >= 0.1) > 0.5


def test_a_plain_drift_is_found_in_sixty_rows() -> None:
    values = np.random.default_rng(8).normal(3.0, 1.0, 60)
    assert compare_feature("x", BASELINE, 5000, values, n_features=20).level == "significant"
