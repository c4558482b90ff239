from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import Baseline, CategoricalBaseline, NumericBaseline
from arkwright.core.errors import Invalid
from arkwright.monitoring.report import DriftReport, drift_report, drift_trend

GRID = np.linspace(0.0, 1.0, 1001)
UNIFORM = NumericBaseline(
    edges=(0.25, 0.5, 0.75),
    shares=(0.25,) * 4,
    quantiles=tuple(GRID.tolist()),
    missing_share=0.0,
    mean=0.5,
    std=0.29,
    minimum=0.0,
    maximum=1.0,
)
COLOURS = CategoricalBaseline(shares={"red": 0.5, "blue": 0.5}, missing_share=0.0)
BASELINE = Baseline(n_rows=5000, features={"x": UNIFORM, "y": UNIFORM, "colour": COLOURS}, prediction=UNIFORM)


def window(n: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "x": generator.uniform(size=n),
        "y": generator.uniform(size=n),
        "colour": generator.choice(np.array(["red", "blue"], dtype=object), n),
    }


def test_unchanged_traffic_is_green() -> None:
    report = drift_report(BASELINE, window(), np.random.default_rng(9).uniform(size=1000))
    assert report.status == "GREEN"
    assert (report.n_significant, report.n_moderate, report.data_drift) == (0, 0, "none")
    assert report.summary.startswith("None of 3 features drifted in 1000 predictions.")
    assert report.drift_score < 0.01


def test_a_significantly_shifted_feature_is_red_and_named_first() -> None:
    columns = window()
    columns["y"] = columns["y"] / 2
    report = drift_report(BASELINE, columns, np.random.default_rng(9).uniform(size=1000))
    assert report.status == "RED"
    assert report.features[0].feature == report.top_features[0] == "y"
    assert report.n_significant == 1
    assert "1 of 3 features drifted significantly" in report.summary
    assert f"y (PSI {report.features[0].psi:.2f})" in report.summary


def test_a_moderately_shifted_feature_is_yellow() -> None:
    columns = window()
    columns["colour"] = np.array(["red"] * 680 + ["blue"] * 320, dtype=object)
    report = drift_report(BASELINE, columns, np.random.default_rng(9).uniform(size=1000))
    assert (report.status, report.data_drift, report.n_moderate) == ("YELLOW", "moderate", 1)


def test_a_report_with_both_levels_counts_them_apart() -> None:
    columns = window()
    columns["colour"] = np.array(["red"] * 680 + ["blue"] * 320, dtype=object)
    columns["x"] = columns["x"] / 2
    report = drift_report(BASELINE, columns, np.random.default_rng(9).uniform(size=1000))
    assert report.summary.startswith("2 of 3 features drifted (1 significantly, 1 moderately) in 1000 predictions: x ")


def test_drifted_predictions_alone_are_red() -> None:
    report = drift_report(BASELINE, window(), np.random.default_rng(9).uniform(size=1000) ** 3)
    assert (report.status, report.data_drift, report.prediction_drift) == ("RED", "none", "significant")
    assert "predictions drifted significantly" in report.summary


def test_too_small_a_window_is_unknown_however_odd_it_looks() -> None:
    columns = {"x": np.full(20, 9.0), "y": np.full(20, 9.0), "colour": np.array(["green"] * 20, dtype=object)}
    report = drift_report(BASELINE, columns, np.full(20, 0.99), previous_score=0.0)
    assert (report.status, report.enough_rows, report.trend) == ("UNKNOWN", False, None)
    assert report.summary == "Not enough rows: 20 predictions in the window, 50 are needed to judge drift."


def test_an_empty_window_is_unknown() -> None:
    empty = {"x": np.array([]), "y": np.array([]), "colour": np.array([], dtype=object)}
    report = drift_report(BASELINE, empty, np.array([]))
    assert (report.status, report.n_rows, report.confidence) == ("UNKNOWN", 0, None)


def test_confidence_is_compared_for_binary_models_only() -> None:
    columns, scores = window(), np.full(1000, 0.55)
    confidence = drift_report(BASELINE, columns, scores).confidence
    assert confidence is not None
    assert confidence.low_share_current == 1.0
    assert confidence.low_share_reference == pytest.approx(0.2, abs=0.01)
    assert confidence.mean_current == pytest.approx(0.55)
    assert drift_report(BASELINE, columns, scores, task="regression").confidence is None


def test_a_multiclass_models_labels_are_compared_as_categories() -> None:
    baseline = Baseline(n_rows=5000, features={"x": UNIFORM}, prediction=COLOURS)
    labels = np.array(["red"] * 900 + ["blue"] * 100, dtype=object)
    report = drift_report(baseline, {"x": window()["x"]}, labels, task="multiclass")
    assert (report.prediction.test, report.prediction_drift) == ("chi_square", "significant")


def test_p_values_are_corrected_over_features_and_predictions() -> None:
    report = drift_report(BASELINE, window(seed=3), np.random.default_rng(9).uniform(size=1000))
    results = [*report.features, report.prediction]
    assert all(result.p_value <= result.p_value_adjusted <= 1 for result in results)
    smallest = min(results, key=lambda result: result.p_value)
    assert smallest.p_value_adjusted == pytest.approx(min(1.0, 4 * smallest.p_value))


def test_a_column_the_baseline_has_must_be_there() -> None:
    columns = window()
    del columns["y"]
    with pytest.raises(Invalid, match="'y'") as refused:
        drift_report(BASELINE, columns, np.zeros(1000))
    assert refused.value.code == "monitoring.column_missing"


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(Invalid, match="1000 rows, the predictions have 5"):
        drift_report(BASELINE, window(), np.zeros(5))


def test_the_order_of_the_rows_does_not_matter() -> None:
    columns, predictions = window(300), np.random.default_rng(1).uniform(size=300)
    order = np.random.default_rng(2).permutation(300)
    shuffled = {name: values[order] for name, values in columns.items()}
    first, second = drift_report(BASELINE, columns, predictions), drift_report(BASELINE, shuffled, predictions[order])
    assert [(result.feature, result.psi) for result in first.features] == [
        (result.feature, pytest.approx(result.psi)) for result in second.features
    ]


def test_a_report_survives_the_way_through_json() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    report = drift_report(
        BASELINE, window(), np.random.default_rng(9).uniform(size=1000), window_start=moment, previous_score=0.5
    )
    assert msgspec.json.decode(msgspec.json.encode(report), type=DriftReport) == report
    assert report.trend == "decreasing"


@given(st.floats(0, 5), st.floats(0, 5))
def test_trends_are_antisymmetric_where_both_ways_count(one: float, other: float) -> None:
    opposite = {"increasing": "decreasing", "decreasing": "increasing", "stable": "stable"}
    there, back = drift_trend(one, other), drift_trend(other, one)
    assert there is not None
    assert back is not None
    if "stable" not in (there, back):
        assert there == opposite[back]


def test_false_alarms_over_whole_reports_stay_rare() -> None:
    """Each report asks about four distributions; over 400 reports of 60 to 400 rows at most one may be wrong."""
    generator = np.random.default_rng(11)
    alarms = 0
    for round_ in range(400):
        n = int(generator.integers(60, 400))
        report = drift_report(BASELINE, window(n, seed=round_), generator.uniform(size=n))
        alarms += report.status != "GREEN"
    assert alarms <= 2
