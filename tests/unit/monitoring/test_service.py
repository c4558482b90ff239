"""From logged predictions to reports and alerts, through the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from tests.unit.monitoring.conftest import Watched, customers
from tests.unit.shelf import Shelf

from arkwright.access import AuditTrail
from arkwright.core.context import Actor, Context
from arkwright.core.errors import Conflict, Invalid, NotFound, NotPermitted
from arkwright.core.events import ALERT_RAISED, DEPLOYMENT_CHANGED, DEPLOYMENT_CREATED, Event
from arkwright.kit.db import OutboxRow
from arkwright.kit.jobs import JobRow
from arkwright.monitoring.payloads import MonitorConfig
from arkwright.monitoring.tables import AlertRow, DriftReportRow, MonitorRow
from arkwright.registry import Stage


def created(watched: Watched, event_type: str = DEPLOYMENT_CREATED, **data: str) -> Event:
    return Event("evt_1", event_type, watched.deployment_id, watched.context.workspace_id, watched.clock.now(), data)


@pytest.fixture
def monitored(watched: Watched) -> Watched:
    watched.watch.handle(created(watched))
    return watched


def alerts_of(watched: Watched) -> list[AlertRow]:
    with watched.database.read(watched.context) as unit:
        return list(unit.session.scalars(select(AlertRow).order_by(AlertRow.id)))


def events_of(watched: Watched) -> list[OutboxRow]:
    with watched.database.read_global() as unit:
        return list(unit.session.scalars(select(OutboxRow).where(OutboxRow.type == ALERT_RAISED)))


def result_of(job: JobRow) -> dict[str, object]:
    assert job.status == "succeeded", job.error
    assert job.result is not None
    return job.result


def test_every_new_deployment_gets_one_monitor_however_often_it_is_announced(watched: Watched) -> None:
    for _ in range(2):
        watched.watch.handle(created(watched))
    with watched.database.read(watched.context) as unit:
        (monitor,) = watched.monitoring.list(unit, "churn")
    assert (monitor.monitor_type, monitor.status) == ("drift", "active")
    assert monitor.config == {"schedule": "0 */6 * * *", "max_rows": 10_000, "window_hours": 168}


def test_a_stopped_deployments_monitor_rests(monitored: Watched) -> None:
    monitored.watch.handle(created(monitored, DEPLOYMENT_CHANGED, status="stopped"))
    with monitored.database.read(monitored.context) as unit:
        (monitor,) = monitored.monitoring.list(unit, monitored.deployment_id)
    assert monitor.status == "stopped"
    monitored.clock.advance(86_400)
    assert monitored.scheduler.tick() == []


def test_ordinary_traffic_gives_a_green_report_and_no_alert(monitored: Watched) -> None:
    monitored.predict(customers(600, seed=1))
    result = result_of(monitored.run())
    assert (result["status"], result["n_rows"], result["alert"]) == ("GREEN", 600, "nothing")
    assert alerts_of(monitored) == []


def test_redacted_categories_are_compared_by_hash_and_redacted_numbers_not_at_all(monitored: Watched) -> None:
    monitored.predict(customers(400, seed=1), redact=("tenure", "contract"))
    monitored.run()
    (report,) = monitored.client.get("/v1/monitoring/churn/reports").json()["items"]
    assert [feature["feature"] for feature in report["features"]] == ["contract"]
    assert report["features"][0]["unexpected_share"] == 0
    assert report["status"] == "GREEN"


def test_shifted_traffic_gives_a_red_report_and_one_critical_alert(monitored: Watched) -> None:
    monitored.predict(customers(600, seed=1, shift=40))
    result = result_of(monitored.run())
    assert (result["status"], result["alert"], result["recommended_action"]) == ("RED", "raised", "INVESTIGATE")
    (alert,) = alerts_of(monitored)
    assert alert.id == result["alert_id"]
    assert (alert.severity, alert.status, alert.count, alert.model_name) == ("critical", "open", 1, "churn")
    assert alert.drift_summary["data_drift_level"] == "significant"
    assert alert.drift_summary["top_drifted_features"] == ["tenure"]
    assert alert.message.startswith("churn 1.0.0: 1 of 2 features drifted significantly in 600 predictions: tenure")


def test_repeats_update_the_alert_and_tell_once(monitored: Watched) -> None:
    for seed in range(3):
        monitored.predict(customers(300, seed=seed, shift=40))
        monitored.clock.advance(3600)
        monitored.run()
    (alert,) = alerts_of(monitored)
    assert alert.count == 3
    assert alert.last_seen - alert.first_seen == timedelta(hours=2)
    assert len(events_of(monitored)) == 1


def test_recovery_is_marked_and_a_relapse_continues_the_same_alert(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    monitored.run()
    monitored.clock.advance(3600)
    monitored.predict(customers(300, seed=2))
    assert result_of(monitored.run(max_rows=300))["alert"] == "recovered"
    (alert,) = alerts_of(monitored)
    assert (alert.status, alert.recovered_at) == ("open", monitored.clock.now())
    monitored.clock.advance(3600)
    monitored.predict(customers(300, seed=3, shift=40))
    monitored.run(max_rows=300)
    (alert,) = alerts_of(monitored)
    assert (alert.count, alert.recovered_at) == (2, None)
    assert len(events_of(monitored)) == 2


def test_after_it_is_resolved_the_next_breach_raises_a_new_alert(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    alert_id = result_of(monitored.run())["alert_id"]
    with monitored.database.write(monitored.context) as unit:
        monitored.monitoring.resolve(unit, str(alert_id), "new tariff, expected")
    second = result_of(monitored.run())
    assert (second["alert"], second["alert_id"] == alert_id) == ("raised", False)
    assert [alert.status for alert in alerts_of(monitored)] == ["resolved", "open"]


def test_a_job_that_runs_again_after_its_commit_changes_nothing(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    first = monitored.run()
    with monitored.database.write(monitored.context) as unit:
        monitor = unit.session.scalar(select(MonitorRow))
        assert monitor is not None
        model = monitored.monitoring._deployments.baseline_of(unit, monitored.deployment_id)
        from arkwright.monitoring import drift_report

        other = drift_report(model.baseline, customers(300, seed=5), customers(300, seed=5)["tenure"] / 200)
        kept = monitored.monitoring.keep(unit, monitor.id, first.id, model, other)
    assert kept.report.id == result_of(first)["report_id"]
    assert kept.report.status == "RED"
    (alert,) = alerts_of(monitored)
    assert alert.count == 1
    with monitored.database.read(monitored.context) as unit:
        assert len(unit.session.scalars(select(DriftReportRow)).all()) == 1


def test_too_few_predictions_are_unknown_and_raise_nothing(monitored: Watched) -> None:
    monitored.predict(customers(20, seed=1, shift=200))
    result = result_of(monitored.run())
    assert (result["status"], result["alert"]) == ("UNKNOWN", "nothing")
    assert str(result["summary"]).startswith("Not enough rows: 20 predictions")


def test_a_deployment_that_nobody_called_has_an_empty_report(monitored: Watched) -> None:
    result = result_of(monitored.run())
    assert (result["status"], result["n_rows"]) == ("UNKNOWN", 0)


def test_rows_of_other_versions_do_not_count(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40), version_id="mv_old")
    monitored.predict(customers(300, seed=2))
    result = result_of(monitored.run())
    assert (result["status"], result["n_rows"]) == ("GREEN", 300)


def test_a_window_can_be_narrowed_for_one_run(monitored: Watched) -> None:
    monitored.predict(customers(2000, seed=1))
    monitored.clock.advance(7200)
    monitored.predict(customers(200, seed=2, shift=40))
    assert result_of(monitored.run(max_rows=200))["status"] == "RED"
    assert result_of(monitored.run(window_hours=1))["n_rows"] == 200
    assert result_of(monitored.run())["n_rows"] == 2200


def test_a_trend_is_measured_from_the_last_report_with_enough_rows(monitored: Watched) -> None:
    trends = []
    for shift in (0, 5, 40, 40, 0):
        monitored.predict(customers(400, seed=3, shift=shift))
        monitored.clock.advance(3600)
        monitored.run(max_rows=400)
    with monitored.database.read(monitored.context) as unit:
        trends = [row.body["trend"] for row in monitored.monitoring.reports(unit, "churn", limit=10)]
    assert trends[::-1] == [None, "increasing", "increasing", "stable", "decreasing"]


def test_due_monitors_are_submitted_once_by_the_clock(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1))
    assert monitored.scheduler.tick() == []
    monitored.clock.at = datetime(2026, 1, 2, 6, 0, 30, tzinfo=UTC)
    assert len(monitored.scheduler.tick()) == 1
    assert monitored.scheduler.tick() == []


def test_a_disabled_monitor_is_not_due_and_needs_a_reason(monitored: Watched) -> None:
    with monitored.database.write(monitored.context) as unit, pytest.raises(Invalid, match="needs a reason"):
        monitored.monitoring.configure(unit, "churn", MonitorConfig(), enabled=False, reason=" ")
    with monitored.database.write(monitored.context) as unit:
        monitored.monitoring.configure(unit, "churn", MonitorConfig(), enabled=False, reason="load test")
    monitored.clock.advance(86_400)
    assert monitored.scheduler.tick() == []
    with monitored.database.read(monitored.context) as unit:
        (entry, *_) = AuditTrail().page(unit, limit=1, before_seq=None, action="monitor.configure")
    assert entry.metadata_json["reason"] == "load test"


def test_old_reports_go_unless_an_alert_cites_them(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    cited = result_of(monitored.run())["report_id"]
    monitored.clock.advance(3600)
    monitored.predict(customers(300, seed=2))
    monitored.run(max_rows=300)
    monitored.clock.advance(31 * 86_400)
    latest = result_of(monitored.run())["report_id"]
    with monitored.database.read(monitored.context) as unit:
        kept = {row.id for row in monitored.monitoring.reports(unit, "churn", limit=10)}
    assert kept == {cited, latest}


def test_acknowledging_is_audited_and_twice_is_once(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    alert_id = str(result_of(monitored.run())["alert_id"])
    with monitored.database.write(monitored.context) as unit:
        monitored.monitoring.acknowledge(unit, alert_id, "on it")
        again = monitored.monitoring.acknowledge(unit, alert_id)
        assert (again.status, again.acknowledged_by, again.comment) == ("acknowledged", "user_test", "on it")
        actions = [row.action for row in AuditTrail().page(unit, limit=20, before_seq=None, entity_id=alert_id)]
    assert actions == ["alert.acknowledge", "alert.raised"]
    with monitored.database.write(monitored.context) as unit:
        monitored.monitoring.resolve(unit, alert_id)
    with monitored.database.write(monitored.context) as unit, pytest.raises(Conflict, match="resolved"):
        monitored.monitoring.acknowledge(unit, alert_id)


def test_the_audit_chain_holds_after_all_that(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    monitored.run()
    with monitored.database.read(monitored.context) as unit:
        assert AuditTrail().verify(unit).intact


def test_a_monitor_has_one_unresolved_alert_of_a_kind_even_for_the_database(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    monitored.run()
    (alert,) = alerts_of(monitored)
    values = {column.key: getattr(alert, column.key) for column in AlertRow.__mapper__.columns}
    with pytest.raises(IntegrityError), monitored.database.write(monitored.context) as unit:
        unit.session.add(AlertRow(**{**values, "id": "alert_second"}))


def test_what_does_not_exist_is_not_found(monitored: Watched) -> None:
    with monitored.database.write(monitored.context) as unit:
        for call in (
            lambda: monitored.monitoring.run_now(unit, "nobody"),
            lambda: monitored.monitoring.list(unit, "nobody"),
            lambda: monitored.monitoring.report(unit, "churn", "latest"),
            lambda: monitored.monitoring.alert(unit, "alert_nobody"),
            lambda: monitored.monitoring.resolve(unit, "alert_nobody"),
        ):
            with pytest.raises(NotFound):
                call()


def test_a_deployment_that_has_no_monitor_yet_gets_one_when_it_is_run(watched: Watched) -> None:
    with watched.database.write(watched.context) as unit:
        watched.monitoring.run_now(unit, "churn")
        assert len(watched.monitoring.list(unit, "churn")) == 1


def test_only_those_with_a_role_may_look_or_act(monitored: Watched) -> None:
    stranger = Context(Actor("user_2", "user", "guest"), monitored.context.workspace_id)
    with monitored.database.write(stranger) as unit:
        for call in (
            lambda: monitored.monitoring.list(unit, "churn"),
            lambda: monitored.monitoring.run_now(unit, "churn"),
            lambda: monitored.monitoring.alerts(unit, limit=1),
            lambda: monitored.monitoring.resolve(unit, "alert_1"),
            lambda: monitored.monitoring.traffic(unit, "churn", 1),
            lambda: monitored.monitoring.configure(unit, "churn", MonitorConfig()),
        ):
            with pytest.raises(NotPermitted):
                call()


def test_another_workspace_sees_nothing(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    alert_id = str(result_of(monitored.run())["alert_id"])
    elsewhere = Context(Actor("user_3", "user"), "ws_other")
    with monitored.database.read(elsewhere) as unit:
        assert monitored.monitoring.alerts(unit, limit=10) == []
        with pytest.raises(NotFound):
            monitored.monitoring.alert(unit, alert_id)


def test_a_relapse_takes_the_acknowledgement_back(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    alert_id = str(result_of(monitored.run())["alert_id"])
    with monitored.database.write(monitored.context) as unit:
        monitored.monitoring.acknowledge(unit, alert_id)
    for seed, shift in ((2, 0), (3, 40)):
        monitored.clock.advance(3600)
        monitored.predict(customers(300, seed=seed, shift=shift))
        monitored.run(max_rows=300)
    (alert,) = alerts_of(monitored)
    assert (alert.status, alert.acknowledged_by, alert.acknowledged_at) == ("open", None, None)


def test_alerts_are_found_by_severity(monitored: Watched) -> None:
    monitored.predict(customers(300, seed=1, shift=40))
    monitored.run()
    with monitored.database.read(monitored.context) as unit:
        assert len(monitored.monitoring.alerts(unit, limit=5, severity="critical")) == 1
        assert monitored.monitoring.alerts(unit, limit=5, severity="warning") == []
        (newest,) = monitored.monitoring.alerts(unit, limit=5)
        assert monitored.monitoring.alerts(unit, limit=5, before=newest.id) == []


def test_a_model_with_nothing_in_production_fails_the_run_and_says_what_to_do(monitored: Watched, shelf: Shelf) -> None:
    with monitored.database.read(monitored.context) as unit:
        version = shelf.registry.version_by_id(unit, monitored.version_id)
    shelf.promote(version, Stage.ARCHIVED)
    job = monitored.run()
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["hint"]) == (
        "monitoring.nothing_served",
        "Promote a version of it first; then there is something to watch.",
    )
