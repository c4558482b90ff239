"""``arkwright apply``, and what ``arkwright deployment`` has for rollouts: endpoints that change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from arkwright.cli.console import Json, emit, facts, heading, moment, note, remarks, say, shown, table
from arkwright.cli.documents import read_mapping
from arkwright.cli.session import connect
from arkwright.core.errors import Conflict, Invalid
from arkwright.core.units import parse_duration_seconds

if TYPE_CHECKING:
    from arkwright.sdk import Client
    from arkwright.sdk.types import Deployment, DeploymentDiff, Rollout, RolloutHistory

DeploymentName = Annotated[str, typer.Argument(help="Id or name of a deployment.", metavar="DEPLOYMENT")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept in the history and the audit log.")]
_MARKS = {"met": "ok", "breached": "BREACHED", "open": "waiting"}
_STYLES = {"promoted": "green", "rolled_back": "bold red", "failed": "bold red", "paused": "yellow"}


def apply(
    file: Annotated[str, typer.Option("--file", "-f", help="A YAML or JSON file; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    _json: Json = False,
) -> None:
    """Create the deployment that a file describes, or bring it in line; the same file twice changes nothing."""
    resource = read_resource(file)
    with connect() as client:
        if dry_run:
            diff = client.deployments.diff(resource)
            emit(diff, lambda: _show_diff(diff, dry_run=True))
            return
        applied, diff = client.deployments.apply(resource)

    def render() -> None:
        _show_diff(diff, dry_run=False)
        say(f"{applied['name']} is {applied['status']} ({applied['id']}).", style="green")
        if diff["starts_rollout"]:
            note(f"Follow its rollout: arkwright deployment rollout {applied['id']} --watch")

    emit({"deployment": applied, "diff": diff}, render)


def show_rollout(
    deployment: DeploymentName,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it ends or is paused.")] = False,
    _json: Json = False,
) -> None:
    """Show how a deployment's rollout stands: its step, its conditions, its arms, and what happened."""
    with connect() as client:
        if watch:
            with RolloutProgress() as progress:
                client.deployments.wait_for_rollout(deployment, on_progress=progress)
        found = client.deployments.rollouts(deployment)
        events = client.deployments.events(deployment, limit=20)
    emit({**found, "events": events}, lambda: _show_history(found, events))


def promote(
    deployment: DeploymentName,
    arm: Annotated[str, typer.Option(help="Which arm, where there are several.")] = "",
    comment: Comment = "",
    _json: Json = False,
) -> None:
    """Give the candidate all of the traffic now, if the registry's gate agrees."""
    with connect() as client:
        found = client.deployments.promote(deployment, arm=arm, comment=comment)
    _answer(found)


def pause(deployment: DeploymentName, comment: Comment = "", _json: Json = False) -> None:
    """Hold the rollout at its step; a breach still takes it back."""
    with connect() as client:
        found = client.deployments.pause(deployment, comment=comment)
    _answer(found)


def resume(deployment: DeploymentName, comment: Comment = "", _json: Json = False) -> None:
    """Let the rollout go on: its pause is over, and a promotion that was refused is tried again."""
    with connect() as client:
        found = client.deployments.resume(deployment, comment=comment)
    _answer(found)


def roll_back(deployment: DeploymentName, comment: Comment = "", _json: Json = False) -> None:
    """Go back: out of the active rollout, or to the version that answered before the present one."""
    with connect() as client:
        found = client.deployments.roll_back(deployment, comment=comment)
        now = client.deployments.get(deployment)
    emit(found, lambda: say(f"{now['name']} answers with version {now['model_version']} ({now['semver']}).", "green"))


def abort(deployment: DeploymentName, comment: Comment = "", _json: Json = False) -> None:
    """Stop the rollout without a judgement: the candidate loses its traffic and keeps its stage."""
    with connect() as client:
        found = client.deployments.abort(deployment, comment=comment)
    _answer(found)


COMMANDS: dict[str, Callable[..., None]] = {
    "rollout": show_rollout,
    "promote": promote,
    "pause": pause,
    "resume": resume,
    "rollback": roll_back,
    "abort": abort,
}


def start(client: Client, model: str, version: str, name: str, strategy: dict[str, Any]) -> Deployment:
    """Put a version beside what answers: on the deployment of that name, or on a new one.

    A canary must have passed the gate into the stage ``canary``; a version that is still staged is sent through it.
    """
    candidate = client.models.version(model, version)
    if candidate["stage"] == "staged" and strategy["type"] != "shadow":
        candidate = client.models.promote(model, version, stage="canary", comment=f"For a {strategy['type']} rollout.")
    wanted = {**strategy, "model_version_id": candidate["id"]}
    known = client.deployments.find(name or model)
    if known is None:
        return client.deployments.create(model=model, name=name, strategy=wanted)
    return client.deployments.update(known["id"], revision=known["revision"], strategy=wanted)


def strategy_of(
    kind: str,
    *,
    steps: str = "",
    pause: str = "",
    percent: float | None = None,
    min_requests: int | None = None,
    metrics: list[str] | None = None,
    auto_promote: bool = True,
) -> dict[str, Any]:
    """Return the strategy that command-line options describe.

    Examples
    --------
    >>> strategy_of("canary", steps="10,50,100", pause="60s", metrics=["accuracy:0.02"])["analysis"]
    {'metrics': [{'name': 'accuracy', 'max_worse': 0.02}]}
    """
    strategy: dict[str, Any] = {"type": kind, "auto_promote": auto_promote}
    if steps:
        strategy["steps"] = [_number(step, "--steps") for step in steps.split(",")]
    if pause:
        pauses = [_pause(part) for part in pause.split(",")]
        strategy["pause_seconds"] = pauses if len(pauses) > 1 else pauses[0]
    if percent is not None:
        strategy["percent"] = percent
    analysis: dict[str, Any] = {}
    if min_requests is not None:
        analysis["min_requests"] = min_requests
    if metrics:
        analysis["metrics"] = [_metric(text) for text in metrics]
    if analysis:
        strategy["analysis"] = analysis
    return strategy


def read_resource(file: str) -> dict[str, Any]:
    """Read a YAML or JSON document that describes a deployment, from a file or from standard input."""
    return read_mapping(
        file,
        problem="does not describe one deployment",
        hint="Write one document with apiVersion, kind: Deployment, metadata and spec; docs/rollouts.md has some.",
    )


class RolloutProgress:
    """Follows a rollout on standard error: a line for each piece of news."""

    def __init__(self) -> None:
        self._console = remarks()
        self._said = ""
        self._status: Any = None

    def __enter__(self) -> Self:
        """Start drawing, on a terminal."""
        if self._console.is_terminal:
            self._status = self._console.status("Waiting for the first look.")
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop drawing."""
        if self._status is not None:
            self._status.stop()

    def __call__(self, rollout: Rollout) -> None:
        """Show where a rollout is."""
        split = ", ".join(f"{arm} {share:g} %" for arm, share in rollout["traffic_split"].items())
        seen = ", ".join(f"{arm['arm']} {arm['requests']:,} requests" for arm in rollout["arms"])
        text = f"{rollout['strategy']} step {rollout['step'] + 1} of {len(rollout['steps'])}, {split}"
        if self._status is not None:
            self._status.update(f"{text} | {seen} | {rollout['reason']}")
        news = f"{rollout['state']}: {text}"
        if news != self._said:
            self._said = news
            self._console.print(f"{news}. {rollout['reason']}", soft_wrap=True, markup=False)


def _answer(found: RolloutHistory) -> None:
    newest = found["rollouts"][0]
    emit(found, lambda: say(f"The rollout is {newest['state']}. {newest['reason']}", _STYLES.get(newest["state"], "")))


def _show_history(found: RolloutHistory, events: list[Any]) -> None:
    if not found["rollouts"]:
        say("It has had no rollout: arkwright deploy MODEL --canary VERSION starts one.", style="dim")
        return
    _show(found["rollouts"][0])
    heading("What happened")
    table(
        [
            ("TIME (UTC)", lambda event: moment(event["created_at"])),
            ("WHAT", lambda event: event["action"]),
            ("TRAFFIC", lambda event: ", ".join(f"{arm} {share:g} %" for arm, share in event["traffic_split"].items())),
            ("BY", lambda event: event["actor_id"]),
            ("WHY", lambda event: event["reason"]),
        ],
        events,
    )


def _show(rollout: Rollout) -> None:
    facts(
        {
            "rollout": rollout["id"],
            "strategy": rollout["strategy"],
            "state": rollout["state"],
            "because": rollout["reason"],
            "candidate": f"{rollout['candidate_semver']} beside {rollout['baseline_semver']}",
            "step": f"{rollout['step'] + 1} of {len(rollout['steps'])}",
            "traffic": ", ".join(f"{arm} {share:g} %" for arm, share in rollout["traffic_split"].items()),
            "started": moment(rollout["started_at"]),
            "decided": moment(rollout["decided_at"]) if rollout["decided_at"] else "",
            "evidence": rollout["evidence_id"],
        }
    )
    if rollout["conditions"]:
        heading("Conditions")
        table(
            [
                ("CONDITION", lambda finding: f"{finding['arm']}: {finding['name']}"),
                ("STATUS", lambda finding: _MARKS.get(finding["status"], finding["status"])),
                ("VALUE", lambda finding: finding["value"]),
                ("LIMIT", lambda finding: finding["threshold"]),
                ("SEEN", lambda finding: finding["n"]),
                ("NEEDED", lambda finding: finding["needed"]),
            ],
            rollout["conditions"],
        )
    heading("Arms in this step")
    table(
        [
            ("ARM", lambda arm: arm["arm"]),
            ("VERSION", lambda arm: arm["semver"]),
            ("REQUESTS", lambda arm: arm["requests"]),
            ("FAILED %", lambda arm: arm["error_rate_pct"]),
            ("P50 MS", lambda arm: arm["latency_ms_p50"]),
            ("P95 MS", lambda arm: arm["latency_ms_p95"]),
            ("P99 MS", lambda arm: arm["latency_ms_p99"]),
            ("MEAN SCORE", lambda arm: arm["mean_score"]),
            ("SHIFT", lambda arm: None if arm["arm"] == "stable" else arm["score_shift"]),
            ("AGREES %", lambda arm: arm["agreement_pct"]),
        ],
        rollout["arms"],
    )


def _show_diff(diff: DeploymentDiff, *, dry_run: bool) -> None:
    if diff["deployment_id"] is None:
        say(f"{'Would create' if dry_run else 'Created'} the deployment {diff['name'] or '(named after its model)'}:")
    elif not diff["changes"]:
        say(f"{diff['name']} is as it should be; nothing to change.", style="dim")
    else:
        say(f"{'Would change' if dry_run else 'Changed'} {diff['name']}:")
    for change in diff["changes"]:
        before, after = change["before"], change["after"]
        if before is not None:
            say(f"- {change['field']}: {shown(before)}", style="red")
        if after is not None:
            say(f"+ {change['field']}: {shown(after)}", style="green")
    if dry_run and diff["starts_rollout"]:
        say("A rollout would start.", style="yellow")


def _pause(text: str) -> float | None:
    if text.strip() == "manual":
        return None
    return 0.0 if text.strip() in ("0", "0s") else parse_duration_seconds(text)


def _metric(text: str) -> dict[str, Any]:
    name, colon, allowed = text.partition(":")
    if not name or not colon:
        raise Invalid(f"{text!r} is no limit on a metric.", code="cli.metric", hint="Write it as accuracy:0.02.")
    return {"name": name, "max_worse": _number(allowed, "--metric")}


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid(f"{option}: {text!r} is no number.", code="cli.number", hint="Write 10,50,100.") from None


def one_of(chosen: dict[str, str]) -> tuple[str, str] | None:
    """Return the one strategy that was chosen and its version, or None.

    Raises
    ------
    Conflict
        If there is more than one.
    """
    given = [(kind, version) for kind, version in chosen.items() if version]
    if len(given) > 1:
        raise Conflict(
            "A deployment has one rollout at a time.",
            code="cli.strategies",
            hint=f"Choose one of {', '.join('--' + kind.replace('_', '-') for kind, _ in given)}.",
        )
    return given[0] if given else None
