"""The fairness audit against fairlearn, published figures and tables made by hand."""

import csv
import gzip
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.disparity import Rules
from arkwright.evaluation.fairness import (
    audit_binary,
    audit_multiclass,
    audit_regression,
    sensitive_groups,
)
from arkwright.evaluation.groups import binned

DATA = os.environ.get("ARKWRIGHT_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="ARKWRIGHT_TEST_DATA names no folder with the public data sets")


def table(name, n_rows=None, seed=0):
    with gzip.open(Path(DATA) / name, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if n_rows is not None:
        picked = np.random.default_rng(seed).permutation(len(rows))[:n_rows]
        rows = [rows[index] for index in picked]
    return {key: np.array([row[key] for row in rows], dtype=object) for key in rows[0]}


def cells(**groups):
    """Rows from (hits, misses, false alarms, passed) by group."""
    truth, called, labels = [], [], []
    for label, (hits, misses, alarms, passed) in groups.items():
        truth += [1] * (hits + misses) + [0] * (alarms + passed)
        called += [1] * hits + [0] * misses + [1] * alarms + [0] * passed
        labels += [label] * (hits + misses + alarms + passed)
    return np.array(truth), np.array(called, dtype=float), labels


def value(column, name):
    return column.disparity(name).value.value


def test_a_table_made_by_hand_gives_the_rates_and_measures_worked_out_on_paper():
    truth, called, sex = cells(f=(20, 20, 10, 50), m=(45, 5, 15, 35))
    report = audit_binary(truth, called, {"sex": sex}, n_resamples=50)
    female, male = report.columns[0].groups
    rates = {name: item.value for name, item in female.metrics.items()}
    assert rates["base_rate"] == 0.4
    assert rates["selection_rate"] == 0.3
    assert rates["tpr"] == 0.5
    assert rates["fnr"] == 0.5
    assert rates["fpr"] == pytest.approx(10 / 60)
    assert rates["precision"] == pytest.approx(2 / 3)
    assert rates["accuracy"] == 0.7
    assert rates["mean_error"] == pytest.approx(0.1)
    assert (female.n_rows, female.n_positive, female.n_negative, female.share) == (100, 40, 60, 0.5)
    assert male.metrics["selection_rate"].value == 0.6
    column = report.column("sex")
    assert value(column, "disparate_impact_ratio") == 0.5
    assert value(column, "demographic_parity_difference") == pytest.approx(0.3)
    assert value(column, "equal_opportunity_difference") == pytest.approx(0.4)
    assert value(column, "equalized_odds_difference") == pytest.approx(0.4)
    assert value(column, "fnr_ratio") == pytest.approx(0.1 / 0.5)
    assert column.disparity("equalized_odds_difference").metric == "tpr"
    assert report.status == "Fail"


def test_the_measures_agree_with_fairlearn():
    metrics = pytest.importorskip("fairlearn.metrics")
    rng = np.random.default_rng(3)
    truth, score = rng.integers(0, 2, 900), rng.random(900)
    race = rng.choice(["a", "b", "c"], size=900, p=[0.5, 0.3, 0.2])
    score = np.clip(score + 0.2 * (race == "a"), 0, 1)
    called, weights = (score >= 0.4).astype(int), rng.random(900)
    column = audit_binary(truth, score, {"race": race}, threshold=0.4, weights=weights, n_resamples=20).column("race")
    for name, theirs in (
        ("disparate_impact_ratio", metrics.demographic_parity_ratio),
        ("demographic_parity_difference", metrics.demographic_parity_difference),
        ("equal_opportunity_difference", metrics.equal_opportunity_difference),
        ("equalized_odds_difference", metrics.equalized_odds_difference),
    ):
        expected = theirs(truth, called, sensitive_features=race, sample_weight=weights)
        assert value(column, name) == pytest.approx(expected, abs=1e-12), name
    frame = metrics.MetricFrame(
        metrics={
            "selection_rate": metrics.selection_rate,
            "fpr": metrics.false_positive_rate,
            "fnr": metrics.false_negative_rate,
        },
        y_true=truth,
        y_pred=called,
        sensitive_features=race,
        sample_params={name: {"sample_weight": weights} for name in ("selection_rate", "fpr", "fnr")},
    )
    for group in column.groups:
        for name in ("selection_rate", "fpr", "fnr"):
            assert group.metrics[name].value == pytest.approx(frame.by_group.loc[group.group, name], abs=1e-12)


def test_the_calibration_error_of_a_group_is_the_weighted_gap_over_ten_bins():
    rng = np.random.default_rng(5)
    score = rng.random(400)
    truth = (rng.random(400) < score**2).astype(int)
    group = audit_binary(truth, score, {"all": ["x"] * 400}, n_resamples=20).columns[0].groups[0]
    bins = np.minimum((score * 10).astype(int), 9)
    gaps = [abs(score[bins == b].mean() - truth[bins == b].mean()) * (bins == b).mean() for b in range(10)]
    assert group.metrics["ece"].value == pytest.approx(sum(gaps))
    assert group.metrics["mean_error"].high < 0


@needs_data
def test_compas_shows_the_error_rates_that_propublica_published():
    # Larson, Mattu, Kirchner & Angwin (2016), "How We Analyzed the COMPAS Recidivism Algorithm": of those who did not
    # reoffend 44.85 % of black and 23.45 % of white defendants were labelled higher risk; of those who did, 27.99 %
    # and 47.72 % were labelled lower risk.
    data = table("compas/compas_two_years.csv.gz")
    truth, decile = data["two_year_recid"].astype(int), data["decile_score"].astype(float)
    report = audit_binary(truth, decile / 10, {"race": data["race"]}, threshold=0.5, n_resamples=200)
    column = report.column("race")
    groups = {group.group: group for group in column.groups}
    for race, fpr, fnr in (("African-American", 0.4485, 0.2799), ("Caucasian", 0.2345, 0.4772)):
        assert groups[race].metrics["fpr"].value == pytest.approx(fpr, abs=5e-5)
        assert groups[race].metrics["fnr"].value == pytest.approx(fnr, abs=5e-5)
    assert column.disparity("demographic_parity_difference").verdict == "not met"
    assert groups["Native American"].small
    assert report.status == "Fail"


@needs_data
def test_adult_disadvantages_women_and_the_figures_are_fairlearn_s():
    metrics = pytest.importorskip("fairlearn.metrics")
    from sklearn.linear_model import LogisticRegression

    data = table("adult/adult_train.csv.gz", n_rows=4000)
    numbers = ("age", "education-num", "capital-gain", "hours-per-week")
    single = (data["marital-status"] == "Never-married").astype(float)
    features = np.column_stack([*(data[name].astype(float) for name in numbers), single])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    truth = (data["class"] == ">50K").astype(int)
    model = LogisticRegression(max_iter=1000).fit(features, truth)
    score = model.predict_proba(features)[:, 1]
    sensitive = {"sex": data["sex"], "race": data["race"], "age": binned(data["age"].astype(float), edges=[25, 40, 60])}
    report = audit_binary(
        truth, score, sensitive, intersections=[("sex", "race")], rules=Rules(include_small=True), n_resamples=200
    )
    for name in ("sex", "race"):
        expected = metrics.demographic_parity_ratio(truth, score >= 0.5, sensitive_features=data[name].astype(str))
        assert value(report.column(name), "disparate_impact_ratio") == pytest.approx(expected, abs=1e-12)
        expected = metrics.equalized_odds_difference(truth, score >= 0.5, sensitive_features=data[name].astype(str))
        assert value(report.column(name), "equalized_odds_difference") == pytest.approx(expected, abs=1e-12)
    impact = report.column("sex").disparity("disparate_impact_ratio")
    assert (impact.lowest, impact.highest, impact.verdict) == ("Female", "Male", "not met")
    assert impact.value.high < 0.8
    assert report.status == "Fail"
    assert any("Female" in finding.text for finding in report.findings() if finding.severity == "fail")
    assert {column.column for column in report.columns} == {"sex", "race", "age", "sex & race"}


def test_turning_the_favourable_class_round_turns_the_rates_round():
    truth, called, sex = cells(f=(20, 20, 10, 50), m=(45, 5, 15, 35))
    group = audit_binary(truth, called, {"sex": sex}, favourable=0, n_resamples=20).columns[0].groups[0]
    assert group.metrics["selection_rate"].value == 0.7
    assert group.metrics["tpr"].value == pytest.approx(50 / 60)
    assert group.metrics["fpr"].value == 0.5


def test_a_missing_value_is_a_group_of_its_own():
    truth, called, sex = cells(f=(20, 20, 10, 50), m=(45, 5, 15, 35))
    sex = [None if index % 4 == 0 else label for index, label in enumerate(sex)]
    assert [group.group for group in audit_binary(truth, called, {"sex": sex}, n_resamples=20).columns[0].groups] == [
        "f",
        "m",
        "(missing)",
    ]


def test_a_small_group_is_shown_and_flagged_and_left_out_of_the_comparison_unless_asked_for():
    truth, called, sex = cells(f=(40, 0, 0, 60), m=(40, 0, 0, 60), x=(0, 0, 0, 6))
    column = audit_binary(truth, called, {"sex": sex}, n_resamples=50).columns[0]
    small = column.groups[2]
    assert small.small
    assert small.note == "6 rows, fewer than 30"
    impact = column.disparity("disparate_impact_ratio")
    assert impact.value.value == 1.0
    assert impact.left_out == ("x",)
    assert column.status == "Warning"
    [unjudged] = [finding for finding in column.findings if finding.severity == "warning"]
    assert "too small to be judged by any measure: x (6 rows, fewer than 30)" in unjudged.text
    assert any(finding.kind == "small group" and finding.group == "x" for finding in column.findings)
    with_small = audit_binary(truth, called, {"sex": sex}, rules=Rules(include_small=True), n_resamples=50).columns[0]
    assert value(with_small, "disparate_impact_ratio") == 0.0
    assert with_small.disparity("disparate_impact_ratio").left_out == ()


def test_a_group_with_few_positives_is_left_out_of_rates_over_positives_only():
    truth, called, sex = cells(f=(30, 10, 10, 50), m=(30, 10, 10, 50), x=(0, 5, 30, 30))
    column = audit_binary(truth, called, {"sex": sex}, n_resamples=50).columns[0]
    assert column.disparity("equal_opportunity_difference").left_out == ("x",)
    assert column.disparity("demographic_parity_difference").left_out == ()
    assert "5 rows with the favourable outcome" in column.groups[2].note


def test_a_group_without_positives_says_why_it_has_no_true_positive_rate():
    truth, called, sex = cells(f=(20, 20, 20, 40), m=(0, 0, 20, 20))
    group = audit_binary(truth, called, {"sex": sex}, n_resamples=20).columns[0].groups[1]
    for name in ("tpr", "fnr"):
        assert group.metrics[name].value is None
        assert group.metrics[name].reason == "no row of the group has the favourable outcome in truth"
    assert group.metrics["fpr"].value == 0.5


def test_a_group_of_one_has_values_without_intervals():
    truth, called, sex = cells(f=(20, 20, 20, 40), m=(1, 0, 0, 0))
    rate = audit_binary(truth, called, {"sex": sex}, n_resamples=20).columns[0].groups[1].metrics["selection_rate"]
    assert (rate.value, rate.low, rate.high, rate.reason) == (1.0, None, None, "one row has no interval")


def test_a_constant_score_that_selects_nobody_has_no_impact_ratio_and_warns():
    report = audit_binary([0, 1] * 50, [0.3] * 100, {"sex": ["f", "m"] * 25 + ["m", "f"] * 25}, n_resamples=50)
    impact = report.columns[0].disparity("disparate_impact_ratio")
    assert impact.verdict == "not computable"
    assert impact.value.reason == "every group has a selection rate of 0"
    assert value(report.columns[0], "demographic_parity_difference") == 0.0


def test_one_group_alone_cannot_be_compared():
    report = audit_binary([0, 1] * 50, [0.0, 1.0] * 50, {"sex": ["f"] * 100}, n_resamples=20)
    impact = report.columns[0].disparity("disparate_impact_ratio")
    assert impact.verdict == "not computable"
    assert report.status == "Warning"


def test_a_disparity_on_few_rows_warns_and_on_many_fails():
    few = audit_binary(*rows_with_selection(10, 14), n_resamples=400)
    many = audit_binary(*rows_with_selection(300, 420), n_resamples=400)
    for report in (few, many):
        assert report.columns[0].disparity("disparate_impact_ratio").verdict == "not met"
    assert few.status == "Warning"
    assert "Chance may explain it" in few.findings()[0].text
    assert many.status == "Fail"
    assert many.columns[0].disparity("disparate_impact_ratio").beyond_chance == ("f", "m")


def rows_with_selection(female, male):
    n_rows = male * 3
    called = [1] * female + [0] * (n_rows - female) + [1] * male + [0] * (n_rows - male)
    # Calibrated in each group: the score is 0 or 1 and nearly always right.
    truth = np.array(called)
    return truth, np.array(called, dtype=float), {"sex": ["f"] * n_rows + ["m"] * n_rows}


def test_a_small_extreme_group_does_not_hide_a_sure_difference_between_large_ones():
    truth, called, race = cells(a=(400, 0, 0, 600), b=(250, 0, 0, 750), c=(9, 0, 0, 31))
    impact = audit_binary(truth, called, {"race": race}, n_resamples=400).columns[0].disparity("disparate_impact_ratio")
    assert impact.lowest == "c"
    assert impact.beyond_chance == ("b", "a")


def test_equal_treatment_passes():
    truth, called, sex = cells(f=(400, 0, 0, 600), m=(410, 0, 0, 590))
    report = audit_binary(truth, called, {"sex": sex}, n_resamples=200)
    assert report.status == "Pass"
    assert report.findings() == ()


def test_when_groups_are_alike_the_audit_seldom_finds_a_difference_beyond_chance():
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = (rng.random(600) < 0.3).astype(int)
        race = rng.choice(["a", "b", "c", "d", "e"], size=600)
        column = audit_binary(truth, truth.astype(float), {"race": race}, n_resamples=100, seed=seed).columns[0]
        found += bool(column.disparity("demographic_parity_difference").beyond_chance)
    # 5 % in all over the ten pairs of groups, so about 3 of 60; 11 would be a one-in-ten-thousand accident.
    assert found < 11


def test_the_interval_of_a_difference_between_two_groups_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        sex = np.repeat(["f", "m"], 250)
        called = (rng.random(500) < np.where(sex == "f", 0.3, 0.5)).astype(float)
        column = audit_binary(called.astype(int), called, {"sex": sex}, n_resamples=200, seed=seed).columns[0]
        found = column.disparity("demographic_parity_difference").value
        covered += found.low <= 0.2 <= found.high
    assert 88 <= covered <= 99


def test_a_group_scored_too_high_is_named_as_a_systematic_bias():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.2, 0.8, 4000)
    sex = np.repeat(["f", "m"], 2000)
    truth = (rng.random(4000) < score - 0.1 * (sex == "f")).astype(int)
    column = audit_binary(truth, score, {"sex": sex}, n_resamples=200).columns[0]
    [bias] = [finding for finding in column.findings if finding.kind == "systematic bias"]
    assert bias.group == "f"
    assert "too high by 0." in bias.text
    assert column.disparity("worst_group_ece").beyond_chance == ("f",)


@pytest.mark.parametrize(("n_groups", "n_rows"), [(2, 40), (8, 100), (20, 60)])
def test_groups_that_a_calibrated_model_treats_alike_seldom_fail_however_small_they_are(n_groups, n_rows):
    failed = 0
    for seed in range(30):
        rng = np.random.default_rng((seed, n_groups))
        score = rng.uniform(0.05, 0.95, n_groups * n_rows)
        truth = (rng.random(score.size) < score).astype(int)
        group = np.repeat([f"g{index}" for index in range(n_groups)], n_rows)
        failed += audit_binary(truth, score, {"group": group}, n_resamples=50, seed=seed).status == "Fail"
    # The gates share 5 %, so about 1 or 2 of 30; 8 would be a one-in-ten-thousand accident.
    assert failed < 8


def test_a_calibrated_small_group_is_told_what_error_chance_alone_would_give_it():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.05, 0.95, 80)
    truth = (rng.random(80) < score).astype(int)
    column = audit_binary(truth, score, {"sex": np.repeat(["f", "m"], 40)}, n_resamples=100).columns[0]
    worst = column.disparity("worst_group_ece")
    assert (worst.verdict, worst.beyond_chance, worst.value.low) == ("not met", (), 0.0)
    assert 0.08 < worst.by_chance < 0.2
    [found] = [finding for finding in column.findings if finding.measure == "worst_group_ece"]
    assert found.severity == "warning"
    assert f"A calibrated model would show about {worst.by_chance:.2g} in such a group." in found.text


def test_those_who_should_get_the_favourable_outcome_and_do_not_fail_the_model_in_one_group():
    # As many are called in both groups, of f the wrong ones: 0.45 lower in TPR.
    truth, called, sex = cells(f=(45, 55, 45, 55), m=(90, 10, 0, 100))
    column = audit_binary(truth, called, {"sex": sex}, rules=Rules(gates={"equal_opportunity_difference"})).columns[0]
    assert value(column, "equal_opportunity_difference") == pytest.approx(0.45)
    assert column.disparity("equal_opportunity_difference").beyond_chance == ("f", "m")
    assert column.status == "Fail"
    assert "equal_opportunity_difference" in {
        item.name for item in audit_binary(truth, called, {"sex": sex}).columns[0].disparities if item.gated
    }


def test_a_difference_that_is_certain_and_exceeds_the_threshold_only_perhaps_is_a_warning():
    truth, called, sex = cells(f=(264, 136, 80, 320), m=(316, 84, 80, 320))
    gate = Rules(gates={"equal_opportunity_difference"})
    column = audit_binary(truth, called, {"sex": sex}, n_resamples=400, rules=gate).columns[0]
    found = column.disparity("equal_opportunity_difference")
    assert found.value.value == pytest.approx(0.13)
    assert 0.05 < found.value.low < 0.1
    assert found.beyond_chance == ()
    assert column.status == "Warning"


def test_a_selection_rate_whose_interval_reaches_into_what_is_accepted_says_so():
    column = audit_binary(*rows_with_selection(300, 400), n_resamples=400).columns[0]
    assert column.disparity("disparate_impact_ratio").beyond_chance == ("f", "m")
    [text] = [finding.text for finding in column.findings if finding.measure == "disparate_impact_ratio"]
    assert "That the groups differ is beyond chance; that it is by more than is accepted is not." in text


def test_equalised_odds_are_judged_by_the_rate_that_is_known_where_it_alone_misses_the_threshold():
    # f has no row with the favourable outcome, so no TPR; its FPR is 0.6, that of m 0.1.
    truth, called, sex = cells(f=(0, 0, 60, 40), m=(40, 10, 5, 45))
    odds = audit_binary(truth, called, {"sex": sex}, n_resamples=100).columns[0].disparity("equalized_odds_difference")
    assert (odds.verdict, odds.metric) == ("not met", "fpr")
    assert odds.value.value == pytest.approx(0.5)
    truth, called, sex = cells(f=(0, 0, 10, 90), m=(40, 10, 5, 45))
    column = audit_binary(truth, called, {"sex": sex}, n_resamples=100).columns[0]
    assert column.disparity("equalized_odds_difference").verdict == "not computable"
    [note] = [finding for finding in column.findings if "equalised odds" in finding.text]
    assert (note.severity, note.kind) == ("note", "disparity")
    assert "only 1 of 2 groups is large enough and has a true positive rate" in note.text


def test_a_small_group_of_two_columns_together_is_a_note_and_of_one_column_a_warning():
    truth = np.tile([0, 1], 200)
    sex, race = np.repeat(["f", "m"], 200), np.tile(["a"] * 38 + ["b"] * 2, 10)
    report = audit_binary(
        truth, truth.astype(float), {"sex": sex, "race": race}, intersections=[("sex", "race")], n_resamples=50
    )
    unjudged = {
        column.column: {finding.severity for finding in column.findings if "too small to be judged" in finding.text}
        for column in report.columns
    }
    assert unjudged == {"sex": set(), "race": {"warning"}, "sex & race": {"note"}}
    assert [column.status for column in report.columns] == ["Pass", "Warning", "Pass"]


def test_a_predicted_number_that_is_far_too_low_for_one_group_fails():
    rng = np.random.default_rng(4)
    truth, sex = rng.normal(50, 10, 400), np.repeat(["f", "m"], 200)
    predicted = truth + rng.normal(0, 1, 400) - 3.0 * (sex == "f")
    report = audit_regression(truth, predicted, {"sex": sex}, n_resamples=200)
    assert report.status == "Fail"
    [found] = [finding for finding in report.findings() if finding.severity == "fail"]
    assert found.measure == "standardized_residual_difference"


def test_a_group_with_more_errors_is_named_with_their_kind():
    truth, called, sex = cells(f=(100, 100, 10, 190), m=(190, 10, 10, 190))
    column = audit_binary(truth, called, {"sex": sex}, n_resamples=200).columns[0]
    [errors] = [finding for finding in column.findings if finding.kind == "error distribution"]
    assert errors.group == "f"
    assert "27.5 % of the rows are called wrong, 16.2 % of all rows" in errors.text
    assert "wrongly refused to 50.0 %" in errors.text


groups_and_rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])),
    min_size=1,
    max_size=80,
)


def figures(report, names=None):
    """Everything but the names, by group in the order of first appearance."""
    column = report.columns[0]
    renamed = names or {}
    by_group = {renamed.get(group.group, group.group): group for group in column.groups}
    return (
        report.status,
        {name: (group.n_rows, group.metrics) for name, group in by_group.items()},
        [(item.name, item.value, item.verdict) for item in column.disparities],
    )


@settings(max_examples=25)
@given(groups_and_rows)
def test_renaming_the_groups_changes_no_number(rows):
    labels, truth, score = ([row[part] for row in rows] for part in range(3))
    renamed = [{"a": "z", "b": "y", "c": "x"}[label] for label in labels]
    rules = Rules(include_small=True)
    before = audit_binary(truth, score, {"g": labels}, n_resamples=10, rules=rules)
    after = audit_binary(truth, score, {"g": renamed}, n_resamples=10, rules=rules)
    assert figures(before) == figures(after, {"z": "a", "y": "b", "x": "c"})


@settings(max_examples=25)
@given(groups_and_rows, st.floats(0.01, 100))
def test_scaling_the_weights_changes_nothing(rows, scale):
    labels, truth, score = ([row[part] for row in rows] for part in range(3))
    weights = np.linspace(1, 2, len(rows))
    rules = Rules(include_small=True)
    one = audit_binary(truth, score, {"g": labels}, weights=weights, n_resamples=10, rules=rules).columns[0]
    other = audit_binary(truth, score, {"g": labels}, weights=scale * weights, n_resamples=10, rules=rules).columns[0]
    for left, right in zip(one.groups, other.groups, strict=True):
        for name, found in left.metrics.items():
            assert (found.value is None) == (right.metrics[name].value is None)
            if found.value is not None:
                assert found.value == pytest.approx(right.metrics[name].value, abs=1e-9)


@settings(max_examples=25)
@given(groups_and_rows)
def test_any_rows_give_rates_between_0_and_1_or_a_reason_and_can_be_written_as_json(rows):
    labels, truth, score = ([row[part] for row in rows] for part in range(3))
    report = audit_binary(truth, score, {"g": labels}, n_resamples=10)
    for group in report.columns[0].groups:
        for name, found in group.metrics.items():
            assert found.value is None or -1 <= found.value <= 1
            assert found.value is not None or found.reason, name
    for item in report.columns[0].disparities:
        assert (item.value.value is None) == (item.verdict == "not computable")
    assert b"NaN" not in msgspec.json.encode(report)


def test_the_same_input_gives_the_same_bytes():
    truth, called, sex = cells(f=(20, 20, 10, 50), m=(45, 5, 15, 35))
    one, other = (msgspec.json.encode(audit_binary(truth, called, {"sex": sex}, seed=7)) for _ in range(2))
    assert one == other


def test_a_row_of_weight_two_counts_as_two_rows():
    truth, called, sex = cells(f=(20, 20, 10, 50), m=(45, 5, 15, 35))
    twice = np.concatenate([np.arange(truth.size), np.arange(30)])
    weights = np.where(np.arange(truth.size) < 30, 2.0, 1.0)
    labels = np.array(sex)
    copied = audit_binary(truth[twice], called[twice], {"sex": labels[twice]}, n_resamples=20).columns[0]
    weighed = audit_binary(truth, called, {"sex": labels}, weights=weights, n_resamples=20).columns[0]
    for one, other in zip(copied.groups, weighed.groups, strict=True):
        for name in one.metrics:
            assert one.metrics[name].value == pytest.approx(other.metrics[name].value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"score": [0.1, float("nan")]}, "not probabilities, the first in row 1"),
        ({"truth": [0, 2]}, "neither 0 nor 1, the first in row 1"),
        ({"sensitive": {"sex": ["f"]}}, "column 'sex' has 1 values for 2 scored rows"),
        ({"sensitive": {}}, "no sensitive column"),
        ({"intersections": [("sex", "race")]}, "column 'race'"),
        ({"weights": [1.0]}, "do not fit 2 rows"),
        ({"weights": [1.0, -1.0]}, "at least 0"),
        ({"rules": Rules(thresholds={"luck": 0.1})}, "no fairness measure 'luck'"),
    ],
)
def test_what_cannot_be_audited_is_refused_by_name(arguments, said):
    given_ = {"truth": [0, 1], "score": [0.1, 0.9], "sensitive": {"sex": ["f", "m"]}} | arguments
    with pytest.raises(Invalid, match=said):
        audit_binary(given_.pop("truth"), given_.pop("score"), given_.pop("sensitive"), **given_)


def test_a_sensitive_column_that_the_data_lacks_is_named_with_those_there_are():
    with pytest.raises(Invalid, match="no column 'race'") as problem:
        sensitive_groups({"sex": np.array(["f"]), "age": np.array([30])}, ["sex", "race"])
    assert "age, sex" in problem.value.hint


def test_thresholds_and_gates_can_be_set():
    truth, called, sex = cells(f=(380, 0, 0, 620), m=(410, 0, 0, 590))
    strict = Rules(thresholds={"demographic_parity_difference": 0.01}, gates=("equal_opportunity_difference",))
    report = audit_binary(truth, called, {"sex": sex}, rules=strict, n_resamples=100)
    parity = report.columns[0].disparity("demographic_parity_difference")
    assert (parity.verdict, parity.threshold, parity.gated) == ("not met", 0.01, False)
    assert report.status == "Warning"


def test_several_classes_are_audited_for_the_favourable_ones_and_each_against_the_rest():
    rng = np.random.default_rng(1)
    truth, sex = rng.integers(0, 3, 600), np.repeat(["f", "m"], 300)
    probability = rng.dirichlet([1, 1, 1], 600)
    probability[:300] = probability[:300] * [0.1, 1, 1]
    probability /= probability.sum(axis=1, keepdims=True)
    report = audit_multiclass(
        truth,
        probability,
        {"sex": sex},
        labels=["grant", "review", "refuse"],
        favourable=["grant", "review"],
        n_resamples=50,
    )
    assert [(item.outcome, item.judged) for item in report.columns] == [
        ("favourable", True),
        ("grant", False),
        ("review", False),
        ("refuse", False),
    ]
    called = np.isin(probability.argmax(axis=1), [0, 1])
    rates = [group.metrics["selection_rate"].value for group in report.columns[0].groups]
    assert rates == pytest.approx([called[:300].mean(), called[300:].mean()])
    grant = report.column("sex", "grant").disparity("disparate_impact_ratio")
    assert (grant.lowest, grant.verdict) == ("f", "not met")
    alone = audit_multiclass(truth, probability, {"sex": sex}, labels=["grant", "review", "refuse"], n_resamples=50)
    assert all(item.judged for item in alone.columns)


def test_a_class_the_model_never_saw_is_refused():
    with pytest.raises(Invalid, match="no column in the probabilities"):
        audit_multiclass([0, 3], [[0.5, 0.5], [0.5, 0.5]], {"sex": ["f", "m"]}, labels=["a", "b"])


def test_the_errors_of_a_predicted_number_are_compared_by_group():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    sex, truth = np.repeat(["f", "m"], 400), rng.normal(50, 10, 800)
    predicted = truth + np.where(sex == "f", rng.normal(4, 3, 800), rng.normal(0, 1, 800))
    report = audit_regression(truth, predicted, {"sex": sex}, n_resamples=200)
    column = report.columns[0]
    for group, rows in zip(column.groups, (slice(0, 400), slice(400, 800)), strict=True):
        assert group.metrics["mae"].value == pytest.approx(metrics.mean_absolute_error(truth[rows], predicted[rows]))
        expected = metrics.root_mean_squared_error(truth[rows], predicted[rows])
        assert group.metrics["rmse"].value == pytest.approx(expected)
        assert group.metrics["mean_residual"].value == pytest.approx(np.mean(truth[rows] - predicted[rows]))
        assert group.n_positive is None
    assert column.disparity("mae_ratio").verdict == "not met"
    assert column.disparity("mean_prediction_difference").verdict == "not judged"
    # Predicted too high by more than a fifth of the spread of the residuals, beyond chance.
    assert column.disparity("standardized_residual_difference").beyond_chance == ("f", "m")
    assert report.status == "Fail"
    [bias] = [finding for finding in column.findings if finding.kind == "systematic bias" and finding.group == "f"]
    assert "too high" in bias.text


def test_perfect_predictions_have_no_ratio_of_errors_and_say_why():
    report = audit_regression(np.arange(80.0), np.arange(80.0), {"sex": ["f", "m"] * 40}, n_resamples=20)
    ratio = report.columns[0].disparity("mae_ratio")
    assert (ratio.verdict, ratio.value.reason) == ("not computable", "every group has a mean absolute error of 0")
    assert report.columns[0].disparity("standardized_residual_difference").value.reason == "all residuals are equal"


def test_a_prediction_that_is_no_number_is_refused():
    with pytest.raises(Invalid, match="1 predictions are not finite, the first in row 1"):
        audit_regression([1.0, 2.0], [1.0, float("nan")], {"sex": ["f", "m"]})
