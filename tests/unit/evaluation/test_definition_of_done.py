"""The eleven items of the definition of done, with and without evidence."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.definition_of_done import (
    ITEMS,
    Fact,
    ScopeOutcome,
    check_definition_of_done,
    fact_of_tests,
    shown_facts,
)

# The list in the requirements, "Definition of Done (ML Model)".
REQUIRED = [
    "Data validation schemas defined and enforced",
    "Feature engineering code tested and versioned",
    "Experiment tracked with all parameters and metrics",
    "Model evaluated on multiple metrics (not just accuracy)",
    "Fairness assessed across protected groups",
    "Model registered with signature and artifacts",
    "Inference endpoint tested under load",
    "Drift detection configured",
    "Monitoring dashboards created",
    "Rollback procedure documented",
    "All tests passing (unit, model, integration)",
]
ALL = {key: Fact(met=True, evidence=("evd_1",)) for key in ITEMS}


def test_the_items_are_those_of_the_requirements_in_their_order():
    assert [item.title for item in check_definition_of_done({}).items] == REQUIRED


def test_a_model_with_evidence_for_every_item_is_done():
    found = check_definition_of_done(ALL)
    assert (found.done, found.percent_complete, found.n_met) == (True, 100, 11)
    assert all(item.evidence == ("evd_1",) and not item.remedy for item in found.items)


def test_nothing_known_is_nothing_met_and_each_item_says_what_to_do():
    found = check_definition_of_done({})
    assert (found.done, found.percent_complete, found.n_unknown) == (False, 0, 11)
    assert {item.reason for item in found.items} == {"nothing is known about it"}
    assert all(item.remedy for item in found.items)


def test_a_claim_without_evidence_is_unknown_and_not_met():
    found = check_definition_of_done({**ALL, "rollback": Fact(met=True, evidence=(" ",), reason="the team says so")})
    item = next(item for item in found.items if item.key == "rollback")
    assert item.status == "unknown"
    assert item.reason == "it is said to hold and no evidence is named (the team says so)"
    assert (found.percent_complete, found.done) == (90, False)


def test_what_does_not_hold_keeps_its_reason_and_evidence():
    fact = Fact(met=False, evidence=("evd_9",), reason="disparate impact of sex is 0.62")
    item = next(item for item in check_definition_of_done({"fairness": fact}).items if item.key == "fairness")
    assert (item.status, item.evidence, item.reason) == ("not_met", ("evd_9",), "disparate impact of sex is 0.62")


@given(
    st.dictionaries(
        st.sampled_from(sorted(ITEMS)),
        st.builds(Fact, met=st.none() | st.booleans(), evidence=st.lists(st.text(max_size=3), max_size=2).map(tuple)),
    )
)
def test_counts_add_up_and_only_evidence_makes_an_item_met(facts):
    found = check_definition_of_done(facts)
    assert found.n_met + found.n_not_met + found.n_unknown == 11
    assert found.done == (found.percent_complete == 100) == (found.n_met == 11)
    for item in found.items:
        assert (item.status == "met") == bool(facts.get(item.key, Fact(met=None)).met and item.evidence)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_a_fact_about_no_item_is_refused_with_what_was_probably_meant():
    with pytest.raises(Invalid) as refused:
        check_definition_of_done({"rollbacks": Fact(met=True)})
    assert refused.value.hint == "Did you mean 'rollback'?"
    with pytest.raises(Invalid) as refused:
        check_definition_of_done({"zzz": Fact(met=True)})
    assert "data_schema" in refused.value.hint


PASSED = ScopeOutcome(passed=True, evidence="ev_1")
FAILED = ScopeOutcome(passed=False, evidence="ev_2", reason="one of two fails")
SKIPPED = ScopeOutcome(passed=None, evidence="ev_3")


@pytest.mark.parametrize(
    ("outcomes", "met", "reason"),
    [
        ({"unit": [PASSED], "model": [PASSED], "integration": [PASSED]}, True, ""),
        ({"unit": [PASSED], "model": [FAILED]}, False, "failing: model; not run: integration; one of two fails"),
        ({"unit": [PASSED]}, None, "not run: model, integration"),
        ({"unit": [PASSED], "model": [PASSED], "integration": [SKIPPED]}, None, "not run: integration"),
        ({"unit": [PASSED], "model": [PASSED, FAILED], "integration": [PASSED]}, False,
         "failing: model; one of two fails"),
    ],
)  # fmt: skip
def test_the_tests_are_passing_only_if_every_kind_ran_and_passed(outcomes, met, reason):
    fact = fact_of_tests(outcomes)
    assert (fact.met, fact.reason) == (met, reason)
    assert fact.evidence == tuple(dict.fromkeys(each.evidence for found in outcomes.values() for each in found))


def test_people_who_need_no_comparison_count_only_where_none_was_made():
    shown = {"n_metrics": 2, "metrics_in": "ev_1", "fairness_in": "ev_1", "no_people": "pumps", "no_people_in": "ev_2"}
    assert shown_facts(fairness=None, **shown)["fairness"].evidence == ("ev_2",)
    assert shown_facts(fairness="Fail", **shown)["fairness"].reason == "the outcome is Fail"
    assert shown_facts(fairness=None, **{**shown, "no_people": ""}, why_not="left out")["fairness"].met is None
