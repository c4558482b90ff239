"""The detector finds strange rows, lets familiar ones through, and admits what it cannot see."""

import msgspec
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from arkwright.evaluation.out_of_distribution import fit_detector, out_of_distribution
from tests.unit.evaluation.robust_cases import adult, one_column_model, picky_model, signature_of, two_columns


def twins(n_rows, seed):
    rng = np.random.default_rng(seed)
    deciding = rng.normal(size=n_rows)
    return {"deciding": deciding, "twin": deciding + 0.1 * rng.normal(size=n_rows)}


def test_the_distance_is_the_mean_over_the_ten_nearest_rows():
    reference = {"x": np.random.default_rng(0).normal(3, 5, size=200)}
    detector = fit_detector(signature_of(reference), reference, seed=0)
    points = np.array([0.0, 40.0])
    expected = [
        np.sort(np.abs(detector.reference[:, 0] - (x - detector.centres["x"][0]) / detector.centres["x"][1]))[
            :10
        ].mean()
        for x in points
    ]
    assert detector.reference.shape == (150, 2)
    assert detector.distances({"x": points}) == pytest.approx(expected)


def test_one_familiar_row_in_a_hundred_is_flagged():
    reference, fresh = twins(2000, 0), twins(5000, 1)
    detector = fit_detector(signature_of(reference), reference, seed=0)
    share = float((detector.distances(fresh) > detector.threshold).mean())
    assert 0.002 < share < 0.025


def test_a_broken_joint_is_seen_where_columns_go_together():
    reference, fresh = twins(800, 0), twins(400, 1)
    found = out_of_distribution(one_column_model, signature_of(reference), fresh, reference, seed=0)
    permuted, outside = found.strange
    assert permuted.kind == "columns_permuted"
    assert permuted.auc.value > 0.9
    assert permuted.auc.low <= permuted.auc.value <= permuted.auc.high
    assert outside.auc.value == 1.0
    assert outside.share_flagged.value == 1.0
    assert found.share_flagged.value < 0.04


def test_independent_columns_have_no_joint_to_break():
    columns, _ = two_columns(800, 0)
    fresh, _ = two_columns(400, 1)
    found = out_of_distribution(one_column_model, signature_of(columns), fresh, columns, seed=0)
    assert found.strange[0].auc.value == pytest.approx(0.5, abs=0.06)


def test_the_auc_is_that_of_scikit_learn():
    reference, fresh = twins(300, 0), twins(100, 1)
    signature = signature_of(reference)
    found = out_of_distribution(one_column_model, signature, fresh, reference, seed=5)
    detector = fit_detector(signature, reference, seed=5, max_rows=2000)
    rng = np.random.default_rng(5)
    permuted = {name: values[rng.permutation(100)] for name, values in fresh.items()}
    scores = np.concatenate((detector.distances(fresh), detector.distances(permuted)))
    assert found.strange[0].auc.value == pytest.approx(roc_auc_score(np.repeat([0, 1], 100), scores))


def test_unseen_and_missing_cells_are_farther_than_familiar_ones():
    columns, _ = two_columns()
    columns["when"] = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")[np.arange(600) % 2]
    detector = fit_detector(signature_of(columns), columns, seed=0)
    row = {name: np.repeat(values[:1], 4) for name, values in columns.items()}
    row["colour"][1] = "infrared"
    row["deciding"][2] = np.nan
    row["when"][3] = np.datetime64("2030-01-01")
    near, unseen, gone, later = detector.distances(row)
    assert min(unseen, gone, later) > near + 0.3


def test_values_of_any_size_have_a_finite_distance():
    reference = twins(800, 0)
    detector = fit_detector(signature_of(reference), reference, seed=0)
    far = detector.distances({"deciding": np.array([1e300, -np.inf]), "twin": np.array([-1e300, np.nan])})
    assert np.isfinite(far).all()
    assert (far > detector.threshold).all()


def test_confidence_is_told_for_familiar_and_for_strange_rows_of_adult():
    predict, signature, train, holdout, _ = adult()
    found = out_of_distribution(predict, signature, holdout, train, seed=0)
    probability = predict(holdout)[:, 0]
    assert found.confidence.value == pytest.approx(np.maximum(probability, 1 - probability).mean())
    permuted, outside = found.strange
    assert permuted.auc.value > 0.65
    assert outside.auc.value > 0.99
    assert outside.confidence.value > 0.99
    assert found.share_flagged.value < 0.05
    assert b"NaN" not in msgspec.json.encode(found)


def test_too_few_reference_rows_say_so():
    columns, _ = two_columns(100)
    few = {name: values[:39] for name, values in columns.items()}
    found = out_of_distribution(one_column_model, signature_of(columns), columns, few, seed=0)
    assert found.reason == "there are 39 reference rows, at least 40 are needed"
    assert found.strange == ()
    some = {name: values[:60] for name, values in columns.items()}
    found = out_of_distribution(one_column_model, signature_of(columns), columns, some, seed=0)
    assert found.threshold is None
    assert "fewer than 99" in found.share_flagged.reason
    assert found.strange[1].auc.value > 0.95


def test_a_model_that_fails_on_strange_rows_is_told_and_the_detector_is_still_judged():
    reference, fresh = twins(200, 0), twins(100, 1)

    def strict(rows):
        if np.abs(rows["deciding"]).max() > 5:
            raise ValueError("out of range")
        return one_column_model(rows)

    found = out_of_distribution(strict, signature_of(reference), fresh, reference, seed=0)
    assert found.strange[0].failure == ""
    assert found.strange[1].failure == "raised ValueError: out of range"
    assert found.strange[1].confidence.value is None
    assert found.strange[1].auc.value == 1.0


def test_a_regression_has_no_confidence_and_categories_out_of_range_are_known_ones():
    columns, _ = two_columns(300)
    found = out_of_distribution(picky_model, signature_of(columns, "regression"), columns, columns, seed=0)
    assert found.confidence.reason == "a regression says no probability"
    assert [item.failure for item in found.strange] == ["", ""]


def test_the_stop_names_the_strange_rows_left_out():
    columns, _ = two_columns(600)
    found = out_of_distribution(
        one_column_model, signature_of(columns), columns, columns, seed=0, should_stop=lambda: True
    )
    assert found.not_reached == ("strange rows: columns permuted", "strange rows: out of range")
    assert found.share_flagged.value is not None
