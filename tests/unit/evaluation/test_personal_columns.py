"""What a column holds about people, by its name or by the user's word."""

import pytest

from arkwright.evaluation.personal_columns import PROHIBITED_BASES, SPECIAL_CATEGORIES, recognise


@pytest.mark.parametrize(
    ("column", "meaning"),
    [
        ("sex", "sex"), ("Gender", "sex"), ("applicantGender", "sex"), ("race", "race"),
        ("native-country", "national origin"),
        ("marital_status", "marital status"), ("age", "age"), ("date_of_birth", "age"), ("dob", "age"),
        ("age_cat", "age"),
        ("religion", "religion"), ("sexual_orientation", "sexual orientation"), ("priors_count", "criminal record"),
        ("juv_fel_count", "criminal record"), ("latitude", "precise location"), ("ssn", "government id"),
        ("union_membership", "union membership"), ("foreign_worker", "citizenship"), ("disability", "health"),
    ],
)  # fmt: skip
def test_common_names_are_recognised(column, meaning):
    assert recognise([column]) == {column: meaning}


@pytest.mark.parametrize(
    "column", ["mileage", "package", "sexton", "usage", "trace", "credit_union", "average", "balance"]
)
def test_names_that_only_contain_such_a_word_are_not(column):
    assert recognise([column]) == {}


def test_the_user_s_word_goes_before_the_name():
    assert recognise(["age", "x7"], {"age": "none", "x7": "religion"}) == {"x7": "religion"}


def test_sex_age_and_marital_status_are_prohibited_bases_and_no_special_categories():
    assert {"sex", "age", "marital status"} <= PROHIBITED_BASES
    assert not {"sex", "age", "marital status"} & SPECIAL_CATEGORIES


def test_the_age_of_a_thing_is_nobodys_age():
    assert recognise(["housing_median_age", "VehicleAge", "account age"]) == {}
    assert recognise(["age", "customer_age"]) == {"age": "age", "customer_age": "age"}
