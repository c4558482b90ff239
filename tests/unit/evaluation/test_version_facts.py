"""What is known of a version beside its evaluation, from a manifest, attestations and deployments made up."""

from datetime import UTC, datetime

import pytest

from arkwright.evaluation.attestation import (
    FiledAttestation,
    attest_dashboard,
    attest_rollback,
    attest_tests,
    slot_of,
)
from arkwright.evaluation.definition_of_done import ScopeOutcome
from arkwright.evaluation.ports import ServingDeployment
from arkwright.evaluation.version_facts import (
    Fallback,
    attested_facts,
    dashboard_fact,
    drift_fact,
    rollback_fact,
)

GOOD = '<testsuite><testcase name="a"/></testsuite>'
BAD = '<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>'
ENDPOINT = ServingDeployment(
    "dep_1", "churn", monitor_id="mon_1", monitor_status="active", monitor_schedule="0 */6 * * *"
)


def attested(**contents):
    filed = {}
    for name, content in contents.items():
        each = FiledAttestation(
            id=f"ev_{name}", content=content, counts=True, bundle_digest="sha256:1", created_by="user_1",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        filed[slot_of(content)] = each
    return filed


def test_a_version_that_serves_nowhere_is_not_watched():
    fact = drift_fact([])
    assert (fact.met, fact.evidence) == (False, ())
    assert "no deployment answers with it" in fact.reason


@pytest.mark.parametrize(
    ("changes", "met", "words"),
    [
        ({}, True, "by the monitor of 'churn' (0 */6 * * *, UTC)"),
        ({"monitor_status": "disabled", "monitor_reason": "No labels."}, False, "is disabled: No labels."),
        ({"monitor_id": "", "monitor_status": ""}, False, "'churn' has no monitor yet"),
    ],
    ids=["active", "disabled", "none yet"],
)
def test_drift_detection_is_a_monitor_that_is_on(changes, met, words):
    fact = drift_fact([ENDPOINT._replace(**changes)])
    assert fact.met is met
    assert words in fact.reason


def test_one_deployment_that_is_watched_is_enough():
    off = ENDPOINT._replace(deployment_id="dep_2", monitor_id="mon_2", monitor_status="disabled")
    assert drift_fact([off, ENDPOINT]).evidence == ("mon_1",)


def test_the_platform_s_figures_are_no_dashboard():
    assert dashboard_fact({}, []).met is None
    fact = dashboard_fact({}, [ENDPOINT])
    assert fact.met is None
    assert fact.reason.endswith("/v1/deployments/dep_1/metrics")
    named = dashboard_fact(attested(board=attest_dashboard("https://g/d", "Churn")), [ENDPOINT])
    assert (named.met, named.evidence, named.reason) == (True, ("ev_board", "https://g/d"), "Churn")


def test_there_is_a_way_back_by_a_version_or_by_a_procedure():
    assert rollback_fact({}, None, [ENDPOINT]).met is None
    other = rollback_fact({}, Fallback("mv_1", "1.0.0"), [])
    assert (other.met, other.evidence) == (True, ("mv_1", "docs/rollouts.md"))
    back = rollback_fact({}, None, [ENDPOINT._replace(back_to="1.0.0", back_to_id="mv_1")])
    assert (back.met, back.evidence) == (True, ("mv_1", "docs/rollouts.md"))
    assert "`arkwright deployment rollback churn` puts version 1.0.0 back" in back.reason
    procedure = rollback_fact(attested(back=attest_rollback("Call the desk.")), None, [])
    assert (procedure.met, procedure.evidence, procedure.reason) == (True, ("ev_back",), "Call the desk.")


def test_tests_come_from_reports_and_from_the_behaviour_tests_of_an_evaluation():
    reports = attested(unit=attest_tests("unit", [GOOD]), integration=attest_tests("integration", [GOOD]))
    assert attested_facts(reports)["tests"].reason == "not run: model"
    passed = attested_facts(reports, ScopeOutcome(passed=True, evidence="ev_eval"))["tests"]
    assert (passed.met, passed.evidence) == (True, ("ev_unit", "ev_eval", "ev_integration"))
    scopes = ("unit", "model", "integration")
    model = attested(**{scope: attest_tests(scope, [GOOD]) for scope in scopes})
    assert attested_facts(model)["tests"].met is True
    undone = attested_facts(model, ScopeOutcome(passed=False, evidence="ev_eval"))["tests"]
    assert undone.met is False


def test_a_report_with_a_failing_test_undoes_the_item_and_names_it():
    fact = attested_facts(attested(unit=attest_tests("unit", [GOOD, BAD])))["tests"]
    assert fact.met is False
    assert "failing: unit" in fact.reason
    assert fact.reason.endswith("1 of 3 unit tests fail: b")


def test_without_reports_nothing_is_known_of_tests_and_load():
    facts = attested_facts({})
    assert (facts["tests"].met, facts["load_tested"].met) == (None, None)
