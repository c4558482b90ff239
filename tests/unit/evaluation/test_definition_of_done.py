"""The eleven items of the definition of done, with and without evidence."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.definition_of_done import ITEMS, Fact, check_definition_of_done, fact_of_tests

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
    unknown = {item.key for item in found.items if item.reason == "nothing is known about it" and item.remedy}
    rest = [item for item in found.items if item.key not in unknown]
    assert [item.key for item in rest] == ["load_tested", "drift_detection", "dashboards"]
    assert all("an evaluation " in item.reason and item.remedy for item in rest)


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


@pytest.mark.parametrize(
    ("outcomes", "met", "reason"),
    [
        ({"unit": True, "model": True, "integration": True}, True, ""),
        ({"unit": True, "model": False}, False, "failing: model; not run: integration"),
        ({"unit": True}, None, "not run: model, integration"),
    ],
)
def test_the_tests_are_passing_only_if_every_kind_ran_and_passed(outcomes, met, reason):
    fact = fact_of_tests(outcomes, "run_1")
    assert (fact.met, fact.reason, fact.evidence) == (met, reason, ("run_1",))
