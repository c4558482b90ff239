"""Which inputs give an attribute away."""

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
from arkwright.evaluation.proxies import correlation_ratio, cramers_v, find_proxies

DATA = os.environ.get("ARKWRIGHT_TEST_DATA")


def codes(size, n_codes, seed):
    return np.random.default_rng(seed).integers(0, n_codes, size)


def test_cramers_v_without_correction_would_be_scipy_s_and_the_correction_is_bergsma_s():
    from scipy.stats import contingency

    one = codes(300, 4, 0)
    other = np.where(codes(300, 2, 1) == 0, one % 3, codes(300, 3, 2))
    table = contingency.crosstab(one, other).count
    plain = contingency.association(table, method="cramer")
    n, rows, columns = 300, 4, 3
    phi = plain**2 * 2
    expected = np.sqrt((phi - 3 * 2 / (n - 1)) / (min(rows - 9 / (n - 1), columns - 4 / (n - 1)) - 1))
    assert cramers_v(one, other) == pytest.approx(expected)
    assert cramers_v(one, other) < plain


def test_the_correlation_ratio_is_that_of_an_analysis_of_variance():
    from scipy.stats import f_oneway

    values, groups = np.random.default_rng(0).normal(size=200), codes(200, 3, 1)
    values = values + groups
    f = f_oneway(*(values[groups == code] for code in range(3))).statistic
    plain = f * 2 / (f * 2 + 197)
    assert correlation_ratio(values, groups) == pytest.approx(np.sqrt(1 - (1 - plain) * 199 / 197))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=60))
def test_cramers_v_lies_in_0_to_1_is_symmetric_and_knows_no_names(pairs):
    one, other = np.array(pairs).T
    found = cramers_v(one, other)
    if np.isnan(found):
        assert min(np.unique(one).size, np.unique(other).size) == 1 or one.size <= 5
    else:
        assert 0 <= found <= 1
        assert found == pytest.approx(cramers_v(other, one), abs=1e-6)
        assert found == pytest.approx(cramers_v(10 - 2 * one, other), abs=1e-6)


def people(n_rows=1500, seed=0):
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n_rows)
    return sex, {
        "relationship": np.where(rng.random(n_rows) < 0.9, np.where(sex == "m", "husband", "wife"), "other"),
        "height": rng.normal(np.where(sex == "m", 178, 166), 7),
        "shoes": np.round(rng.normal(np.where(sex == "m", 43, 41), 2.5)),
        "luck": rng.normal(size=n_rows),
        "city": rng.choice(["a", "b", "c"], n_rows),
        "maiden_year": np.where((sex == "f") & (rng.random(n_rows) < 0.9), 1990.0, np.nan),
        "constant": np.ones(n_rows),
        "name": np.array([f"n{index}" for index in range(n_rows)]),
    }


def test_proxies_are_ranked_by_how_much_they_tell():
    sex, columns = people()
    report = find_proxies(columns, sex, attribute="sex")
    found = {item.column: item for item in report.columns}
    assert found["relationship"].level == "strong"
    assert found["height"].level == "strong"
    assert found["height"].auc == pytest.approx(0.89, abs=0.03)
    assert found["shoes"].level in ("weak", "moderate")
    assert found["luck"].level == found["city"].level == "none"
    assert [item.column for item in report.columns[:2]] == ["relationship", "maiden_year"]
    assert report.joint_level == "strong"
    assert {"relationship", "height", "maiden_year"} <= set(report.proxies())
    assert any("relationship is a strong proxy of sex" in text for text in report.findings)
    msgspec.json.encode(report)


def test_a_column_that_is_missing_for_one_group_only_is_a_proxy_by_its_gaps():
    sex, columns = people()
    item = find_proxies({"maiden_year": columns["maiden_year"]}, sex, attribute="sex", joint=False).columns[0]
    assert (item.measure, item.level) == ("missingness", "strong")


def test_what_cannot_be_compared_says_why():
    sex, columns = people()
    report = find_proxies({name: columns[name] for name in ("constant", "name")}, sex, attribute="sex", joint=False)
    reasons = {item.column: item.reason for item in report.columns}
    assert "single value" in reasons["constant"]
    assert reasons["name"].startswith("1,500 distinct values")
    assert report.joint_auc.reason == "the joint model was not asked for"


def test_inputs_that_know_nothing_predict_no_better_than_chance():
    sex, columns = people(3000)
    auc = find_proxies({"luck": columns["luck"], "city": columns["city"]}, sex, attribute="sex").joint_auc
    assert auc.low < 0.5 < auc.high + 0.02


def test_the_attribute_among_the_inputs_is_named_as_such_and_not_used_to_predict_itself():
    sex, columns = people()
    report = find_proxies({"sex": sex, "luck": columns["luck"]}, sex, attribute="sex")
    assert report.columns[0].level == "the attribute itself"
    assert report.joint_auc.value < 0.6


def test_rows_without_the_attribute_are_left_out():
    sex, columns = people(200)
    known = np.where(np.arange(200) < 50, "", sex)
    assert find_proxies({"luck": columns["luck"]}, known, attribute="sex", joint=False).n_rows == 150


def test_an_attribute_with_one_value_has_no_proxies_and_says_so():
    report = find_proxies({"x": np.arange(100.0)}, ["f"] * 100, attribute="sex")
    assert report.columns[0].reason == "the attribute has a single value on these rows"
    assert report.joint_auc.reason == "fewer than two groups have 30 rows"


def test_columns_of_another_length_are_refused():
    with pytest.raises(Invalid, match="column 'x' has 2 rows and 'sex' 3"):
        find_proxies({"x": np.zeros(2)}, ["f", "m", "f"], attribute="sex")


@pytest.mark.skipif(not DATA, reason="ARKWRIGHT_TEST_DATA names no folder with the public data sets")
def test_on_adult_relationship_and_marital_status_stand_in_for_sex():
    with gzip.open(Path(DATA) / "adult/adult_train.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[:4000]
    names = ("relationship", "marital-status", "occupation", "education", "hours-per-week")
    columns = {name: np.array([row[name] for row in rows]) for name in names}
    columns["hours-per-week"] = columns["hours-per-week"].astype(float)
    report = find_proxies(columns, [row["sex"] for row in rows], attribute="sex", joint=False)
    assert report.proxies() == ("relationship", "marital-status", "occupation")
    assert report.columns[0].level == "strong"
