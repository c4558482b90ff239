"""``arkwright monitor`` and ``arkwright alert``: drift, and who looked at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, heading, moment, note, say, table
from arkwright.cli.session import connect
from arkwright.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkwright.sdk.types import Alert, DriftReportDetail

monitors = typer.Typer(help="Drift of a deployment's inputs and predictions.")
alerts = typer.Typer(help="What the monitors raised.")
Deployment = Annotated[str, typer.Argument(help="Id or name of a deployment.", metavar="DEPLOYMENT")]
AlertId = Annotated[str, typer.Argument(help="The alert's id, alert_...", metavar="ALERT")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="What there is to say about it.")]
_STYLES = {"RED": "bold red", "YELLOW": "yellow", "GREEN": "green"}


@monitors.command("ls")
def list_monitors(deployment: Deployment, _json: Json = False) -> None:
    """List a deployment's monitors."""
    with connect() as client:
        found = client.monitors.list(deployment)
    columns: list[tuple[str, Any]] = [
        ("ID", lambda monitor: monitor["id"]),
        ("TYPE", lambda monitor: monitor["type"]),
        ("STATUS", lambda monitor: monitor["status"]),
        ("SCHEDULE (UTC)", lambda monitor: monitor["config"].get("schedule")),
        ("LAST RUN (UTC)", lambda monitor: moment(monitor["last_run_at"])),
    ]
    emit(found, lambda: table(columns, found, empty="It has no monitor."))


@monitors.command("run")
def run_monitor(
    deployment: Deployment,
    rows: Annotated[int | None, typer.Option(min=1, help="Look at this many of the latest predictions.")] = None,
    hours: Annotated[float | None, typer.Option(min=0, help="Look back this many hours.")] = None,
    _json: Json = False,
) -> None:
    """Compare the latest predictions with the training data now."""
    from arkwright.cli.progress import JobProgress

    with connect() as client:
        accepted = client.monitors.run(deployment, max_rows=rows, window_hours=hours)
        with JobProgress() as progress:
            client.jobs.wait(accepted["job_id"], on_progress=progress)
        report = client.monitors.report(deployment)
        raised = client.alerts.list(status="open", deployment=deployment)
    emit({"report": report, "alerts": raised}, lambda: _show_run(report, raised))


@monitors.command("reports")
def list_reports(
    deployment: Deployment,
    limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 20,
    _json: Json = False,
) -> None:
    """List a deployment's drift reports, newest first."""
    with connect() as client:
        found = client.monitors.reports(deployment, limit=limit)
    columns: list[tuple[str, Any]] = [
        ("ID", lambda report: report["id"]),
        ("TIME (UTC)", lambda report: moment(report["created_at"])),
        ("STATUS", lambda report: report["status"]),
        ("ROWS", lambda report: report["n_rows"]),
        ("SCORE", lambda report: report["drift_score"]),
        ("TOP FEATURES", lambda report: report["top_features"][:3]),
    ]
    emit(found, lambda: table(columns, found, empty="No reports yet: `arkwright monitor run` makes one."))


@monitors.command("show")
def show_report(
    deployment: Deployment,
    report: Annotated[str, typer.Argument(help="A report's id; the newest by default.")] = "latest",
    _json: Json = False,
) -> None:
    """Show a drift report, feature by feature."""
    with connect() as client:
        found = client.monitors.report(deployment, report)
    emit(found, lambda: show_drift(found))


@alerts.command("ls")
def list_alerts(
    status: Annotated[str, typer.Option(help="open, acknowledged or resolved; empty: all.")] = "",
    deployment: Annotated[str, typer.Option(help="Only of this deployment.")] = "",
    _json: Json = False,
) -> None:
    """List alerts, newest first."""
    with connect() as client:
        found = client.alerts.list(status=status, deployment=deployment)
    emit(found, lambda: show_alerts(found))


@alerts.command("ack")
def acknowledge_alert(alert: AlertId, comment: Comment = "", _json: Json = False) -> None:
    """Say that somebody is looking at it."""
    with connect() as client:
        changed = client.alerts.acknowledge(_full_id(client, alert), comment=comment)
    emit(changed, lambda: say(f"{changed['id']} is {changed['status']}."))


@alerts.command("resolve")
def resolve_alert(alert: AlertId, comment: Comment = "", _json: Json = False) -> None:
    """Close it; the next breach raises a new one."""
    with connect() as client:
        changed = client.alerts.resolve(_full_id(client, alert), comment=comment)
    emit(changed, lambda: say(f"{changed['id']} is {changed['status']}."))


def show_alerts(found: Sequence[Alert]) -> None:
    """Write alerts as a table."""
    columns: list[tuple[str, Any]] = [
        ("ID", lambda alert: alert["id"]),
        ("SEVERITY", lambda alert: alert["severity"]),
        ("STATUS", lambda alert: alert["status"]),
        ("MODEL", lambda alert: f"{alert['model_name']} {alert['semver']}"),
        ("TO DO", lambda alert: alert["action_required"]),
        ("SINCE (UTC)", lambda alert: moment(alert["first_seen"])),
        ("SUMMARY", lambda alert: alert["summary"]),
    ]
    table(columns, found, empty="No alerts.")


def show_drift(report: DriftReportDetail, *, limit: int = 10) -> None:
    """Write a drift report: its verdict and its most drifted features."""
    say(f"{report['status']}: {report['summary']}", style=_STYLES.get(report["status"], ""))
    if not report["enough_rows"]:
        return
    columns: list[tuple[str, Any]] = [
        ("FEATURE", lambda feature: feature["feature"]),
        ("DRIFT", lambda feature: feature["level"]),
        ("PSI", lambda feature: feature["psi"]),
        ("TEST", lambda feature: feature["test"]),
        ("P (ADJUSTED)", lambda feature: feature["p_value_adjusted"]),
        ("MISSING THEN", lambda feature: f"{feature['missing_share_reference']:.1%}"),
        ("MISSING NOW", lambda feature: f"{feature['missing_share_current']:.1%}"),
    ]
    table(columns, [*report["features"][:limit], report["prediction"]])


def _show_run(report: DriftReportDetail, raised: Sequence[Alert]) -> None:
    show_drift(report)
    if raised:
        heading("Open alerts")
        show_alerts(raised)
        note(f"Look into it, then: arkwright alert ack {raised[0]['id']}")


def _full_id(client: Any, alert: str) -> str:
    """Return the id of the one open or acknowledged alert whose id ends so: ids are long, their ends are not."""
    from arkwright.core.ids import is_id

    if is_id("alert", alert):
        return alert
    matching = [item["id"] for item in client.alerts.list() if item["id"].endswith(alert)]
    if not matching:
        raise NotFound(f"There is no alert {alert!r}.", code="alert.not_found", hint="List them: arkwright alert ls.")
    if len(matching) > 1:
        raise Invalid(f"{len(matching)} alerts end in {alert!r}.", code="cli.ambiguous", hint="Give the whole id.")
    return str(matching[0])
