from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import Baseline, NumericBaseline
from arkwright.monitoring.alerts import AlertState, alert_message, decide_alert, recommended_action
from arkwright.monitoring.report import DriftReport, drift_report

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=6)

UNIFORM = NumericBaseline(
    edges=(0.25, 0.5, 0.75),
    shares=(0.25,) * 4,
    quantiles=tuple(np.linspace(0.0, 1.0, 1001).tolist()),
    missing_share=0.0,
    mean=0.5,
    std=0.29,
    minimum=0.0,
    maximum=1.0,
)
BASELINE = Baseline(n_rows=5000, features={"x": UNIFORM}, prediction=UNIFORM)


def uniform(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=1000)


GREEN = drift_report(BASELINE, {"x": uniform(1)}, uniform(2))
RED = msgspec.structs.replace(GREEN, status="RED", data_drift="significant")
YELLOW = msgspec.structs.replace(GREEN, status="YELLOW", data_drift="moderate")
UNKNOWN = msgspec.structs.replace(GREEN, status="UNKNOWN")


def opened(severity: str = "critical", status: str = "open", recovered_at: datetime | None = None) -> AlertState:
    return AlertState(
        severity=severity,
        action_required="INVESTIGATE" if severity == "critical" else "MONITOR",
        status=status,
        count=3,
        first_seen=NOW,
        last_seen=NOW,
        recovered_at=recovered_at,
    )


@pytest.mark.parametrize(
    ("report", "severity", "action"), [(RED, "critical", "INVESTIGATE"), (YELLOW, "warning", "MONITOR")]
)
def test_a_first_breach_raises_an_alert_and_tells(report: DriftReport, severity: str, action: str) -> None:
    decision = decide_alert(report, None, NOW)
    assert (decision.outcome, decision.notify) == ("raised", True)
    assert decision.state == AlertState(
        severity=severity, action_required=action, status="open", count=1, first_seen=NOW, last_seen=NOW
    )


@pytest.mark.parametrize("report", [GREEN, UNKNOWN])
def test_no_breach_raises_nothing(report: DriftReport) -> None:
    assert decide_alert(report, None, NOW).outcome == "nothing"


def test_a_repeat_counts_and_tells_nobody() -> None:
    decision = decide_alert(RED, opened(), LATER)
    assert (decision.outcome, decision.notify) == ("updated", False)
    assert decision.state is not None
    assert (decision.state.count, decision.state.first_seen, decision.state.last_seen) == (4, NOW, LATER)


def test_a_repeat_leaves_an_acknowledged_alert_acknowledged() -> None:
    decision = decide_alert(RED, opened(status="acknowledged"), LATER)
    assert decision.state is not None
    assert decision.state.status == "acknowledged"


def test_getting_worse_opens_an_acknowledged_alert_again_and_tells() -> None:
    decision = decide_alert(RED, opened("warning", "acknowledged"), LATER)
    assert decision.notify
    assert decision.state is not None
    assert (decision.state.severity, decision.state.status) == ("critical", "open")
    assert decision.state.action_required == "INVESTIGATE"


def test_severity_does_not_fall_while_an_alert_is_unresolved() -> None:
    decision = decide_alert(YELLOW, opened("critical"), LATER)
    assert decision.state is not None
    assert decision.state.severity == "critical"


def test_green_marks_it_recovered_and_leaves_it_open() -> None:
    decision = decide_alert(GREEN, opened(), LATER)
    assert (decision.outcome, decision.notify) == ("recovered", False)
    assert decision.state is not None
    assert (decision.state.status, decision.state.recovered_at, decision.state.count) == ("open", LATER, 3)


def test_green_again_changes_nothing() -> None:
    assert decide_alert(GREEN, opened(recovered_at=NOW), LATER).outcome == "nothing"


def test_too_small_a_window_is_no_recovery() -> None:
    assert decide_alert(UNKNOWN, opened(), LATER).outcome == "nothing"


def test_coming_back_after_recovery_tells_again_and_is_the_same_alert() -> None:
    decision = decide_alert(RED, opened(status="acknowledged", recovered_at=NOW), LATER)
    assert (decision.outcome, decision.notify) == ("updated", True)
    assert decision.state is not None
    assert (decision.state.status, decision.state.recovered_at, decision.state.count) == ("open", None, 4)


def test_after_it_was_resolved_a_breach_is_a_new_alert() -> None:
    decision = decide_alert(RED, opened(status="resolved"), LATER)
    assert decision.state is not None
    assert (decision.outcome, decision.state.count, decision.state.first_seen) == ("raised", 1, LATER)


@given(st.lists(st.sampled_from([GREEN, YELLOW, RED, UNKNOWN]), max_size=30))
def test_any_run_of_reports_has_at_most_one_alert_and_tells_once_an_episode(reports: list[DriftReport]) -> None:
    state: AlertState | None = None
    raised = told = breaches = 0
    for step, report in enumerate(reports):
        decision = decide_alert(report, state, NOW + timedelta(hours=step))
        raised += decision.outcome == "raised"
        told += decision.notify
        breaches += report.status in ("RED", "YELLOW")
        state = decision.state
    assert raised == (breaches > 0)
    assert told <= breaches
    if state is not None:
        assert state.count == breaches
        assert state.severity == ("critical" if RED in reports else "warning")


def test_the_decision_matrix_is_the_documents() -> None:
    levels = ("none", "moderate", "significant")
    table = [[recommended_action(drift, drop) for drop in levels] for drift in levels]
    assert table == [
        ["NO_ACTION", "INVESTIGATE", "RETRAIN_URGENT"],
        ["MONITOR", "RETRAIN", "RETRAIN_URGENT"],
        ["INVESTIGATE", "RETRAIN_URGENT", "RETRAIN_URGENT"],
    ]


def test_the_message_says_what_drifted_and_how() -> None:
    values = uniform(1) / 2
    values[:100] = np.nan
    report = drift_report(BASELINE, {"x": values}, uniform(2))
    message = alert_message(report, "telco-churn 1.0.0")
    assert message.startswith("telco-churn 1.0.0: 1 of 1 features drifted significantly")
    assert "- x: significant (PSI " in message
    assert "mean 0.5 -> 0.2" in message
    assert "missing 0.0% -> 10.0%" in message
