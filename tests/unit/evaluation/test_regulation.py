"""Which regulation may ask what of a model."""

import msgspec
import numpy as np
import pytest

from arkwright.core.errors import Invalid
from arkwright.evaluation.fairness import audit_binary
from arkwright.evaluation.regulation import overall_status, regulatory_flags


def audit(*, fair):
    called = np.tile([1, 0], 200).astype(float)
    sex = ["f", "f", "m", "m"] * 100 if fair else ["m", "f"] * 200
    return audit_binary(called.astype(int), called, {"sex": sex}, n_resamples=50)


def found(report, regulation, article):
    return [flag for flag in report.flags if flag.regulation == regulation and article in flag.article]


def test_a_prohibited_basis_among_the_inputs_of_a_credit_model_fails():
    report = regulatory_flags(inputs=["income", "sex", "maritalStatus"], purpose="credit", gives_reasons=True)
    [flag] = found(report, "ECOA", "1002.4(a), 1002.6(b)")
    assert flag.severity == "concern"
    assert flag.columns == ("sex", "maritalStatus")
    assert report.status == "Fail"


def test_age_is_allowed_under_conditions_and_only_asked_about():
    report = regulatory_flags(inputs=["age", "income"], purpose="credit", gives_reasons=True, regulations=["ECOA"])
    [flag] = report.flags
    assert (flag.article, flag.severity) == ("12 CFR 1002.6(b)(2)", "check")
    assert "62" in flag.why
    assert report.status == "Warning"


def test_credit_law_is_silent_about_a_model_of_something_else():
    assert regulatory_flags(inputs=["sex"], purpose="employment", regulations=["ECOA"]).flags == ()
    undeclared = regulatory_flags(inputs=["sex"], regulations=["ECOA"])
    assert all(flag.severity == "check" for flag in undeclared.flags)
    assert undeclared.flags[0].why.startswith("If the model decides about credit: ")
    assert undeclared.status == "Warning"


def test_a_refusal_without_reasons_is_a_concern_for_credit():
    report = regulatory_flags(inputs=["income"], purpose="credit", gives_reasons=False, regulations=["ECOA"])
    [flag] = report.flags
    assert ("1002.9" in flag.article, flag.severity) == (True, "concern")


def test_special_categories_are_flagged_as_inputs_and_more_mildly_when_only_held_for_the_audit():
    report = regulatory_flags(inputs=["income", "religion"], sensitive=["race", "sex"], purpose="other")
    [used] = found(report, "GDPR", "Art. 9(1), 22(4)")
    [held] = found(report, "GDPR", "Art. 9(2)")
    assert (used.columns, used.severity) == (("religion",), "concern")
    assert (held.columns, held.severity) == (("race",), "check")


def test_a_decision_without_a_person_calls_for_the_safeguards_of_article_22_and_for_the_duties_of_admt():
    alone = regulatory_flags(inputs=["income"], purpose="employment", solely_automated=True)
    assert found(alone, "GDPR", "22(1)")[0].severity == "concern"
    assert found(alone, "CCPA", "7220")[0].severity == "concern"
    undeclared = regulatory_flags(inputs=["income"], purpose="employment")
    assert found(undeclared, "GDPR", "22(1)")[0].severity == "check"
    accompanied = regulatory_flags(inputs=["income"], purpose="employment", solely_automated=False)
    assert found(accompanied, "GDPR", "22(1)") == []
    assert found(accompanied, "CCPA", "7220") == []


def test_sensitive_personal_information_in_california_includes_citizenship_and_not_sex():
    report = regulatory_flags(inputs=["citizenship", "sex"], purpose="other", regulations=["CCPA"])
    [flag] = report.flags
    assert flag.columns == ("citizenship",)


def test_a_failed_audit_is_cited_and_a_passed_one_is_not():
    unfair = regulatory_flags(
        inputs=["income"], sensitive=["sex"], purpose="credit", gives_reasons=True, fairness=audit(fair=False)
    )
    assert found(unfair, "ECOA", "1002.4(a)")[0].columns == ("sex",)
    assert found(unfair, "GDPR", "5(1)(a)")[0].columns == ("sex",)
    assert found(unfair, "CCPA", "7152")
    assert unfair.status == "Fail"
    fair = regulatory_flags(
        inputs=["income"], sensitive=["sex"], purpose="credit", gives_reasons=True, fairness=audit(fair=True)
    )
    assert found(fair, "ECOA", "1002.4(a)") == found(fair, "GDPR", "5(1)(a)") == []


def test_unequal_outcomes_alone_are_to_be_looked_at_and_no_breach_of_credit_law_since_the_rule_of_2026():
    report = regulatory_flags(
        inputs=["income"], sensitive=["sex"], purpose="credit", gives_reasons=True, fairness=audit(fair=False)
    )
    [flag] = [flag for flag in report.flags if flag.title == "Unequal outcomes on a prohibited basis"]
    assert (flag.article, flag.severity) == ("12 CFR 1002.4(a), 1002.6(a)", "check")
    assert "21 July 2026" in flag.why
    assert "under revision" not in flag.why
    # The audit failed all the same, and that is what the version is judged by.
    assert report.status == "Fail"


def test_people_are_told_the_logic_also_where_the_data_came_from_somebody_else():
    report = regulatory_flags(inputs=["income"], purpose="credit", solely_automated=True, gives_reasons=False)
    [flag] = found(report, "GDPR", "15(1)(h)")
    assert flag.article == "Art. 13(2)(f), 14(2)(g), 15(1)(h)"
    assert "C-203/22" in flag.why


def test_proxies_of_a_protected_attribute_are_to_be_justified():
    report = regulatory_flags(
        inputs=["zip", "income"], sensitive=["race"], purpose="credit", proxies={"race": ["zip"], "luck": ["income"]}
    )
    assert [flag.columns for flag in found(report, "ECOA", "1002.4(a)")] == [("zip",)]
    assert any("C-184/20" in flag.why and flag.columns == ("zip",) for flag in report.flags)


def test_criminal_records_need_a_law_that_allows_them():
    report = regulatory_flags(inputs=["priors_count"], purpose="other", regulations=["GDPR"])
    assert found(report, "GDPR", "Art. 10")[0].columns == ("priors_count",)


def test_a_model_of_nothing_personal_passes_and_still_says_that_this_is_no_legal_advice():
    report = regulatory_flags(inputs=["temperature"], purpose="other")
    assert (report.flags, report.status) == ((), "Pass")
    assert "not legal advice" in report.disclaimer


def test_every_flag_names_an_article_a_reason_and_something_to_do():
    report = regulatory_flags(
        inputs=["sex", "race", "age", "priors_count", "ssn"], sensitive=["religion"], proxies={"religion": ["race"]},
        purpose="credit", solely_automated=True, gives_reasons=False, fairness=audit(fair=False),
    )  # fmt: skip
    assert {flag.regulation for flag in report.flags} == {"GDPR", "CCPA", "ECOA"}
    for flag in report.flags:
        assert flag.article
        assert flag.title
        assert flag.why[0].isupper()
        assert flag.action.endswith(".")
    msgspec.json.encode(report)


def test_the_overall_status_is_the_graver_one():
    quiet = regulatory_flags(inputs=["temperature"], purpose="other")
    assert overall_status(audit(fair=True), quiet) == "Pass"
    assert overall_status(audit(fair=False), quiet) == "Fail"


def test_a_regulation_without_rules_is_refused():
    with pytest.raises(Invalid, match="no rules for 'HIPAA'"):
        regulatory_flags(inputs=["x"], regulations=["HIPAA"])
