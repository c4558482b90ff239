"""The whole journey in a few minutes: from a CSV file to a monitored prediction, and back again.

``make demo`` runs it. It starts a platform of its own in the background, on a free port, with its data in ``--home``,
and does everything through the Python SDK. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from arkwright.core.errors import ArkwrightError, Unavailable
from arkwright.front import start_background, stop
from arkwright.kit.settings import load_settings
from arkwright.sdk import Client, TrainedModel

DATA = Path(__file__).parent / "telco_churn.csv"
MODEL = "telco-churn"
N_STEPS = 9
N_PREDICTIONS = 400
_ROWS_A_REQUEST = 50
_PATIENCE_SECONDS = 60.0
_LINEAGE = ("dataset_version", "experiment", "trial", "model_version", "deployment")
_METRICS = ("roc_auc", "pr_auc", "log_loss", "accuracy", "f1", "recall", "precision")

console = Console(highlight=False, emoji=False)


class Journey:
    """The nine steps; what one finds out, the next ones use."""

    def __init__(self, client: Client, budget_seconds: float) -> None:
        self.client = client
        self.budget_seconds = budget_seconds
        self.started = time.monotonic()
        self.n_predicted = 3

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[None]:
        """Announce a step, and say how long it took."""
        console.print(f"\n[bold cyan]{number}/{N_STEPS}[/] [bold]{title}[/]")
        begun = time.monotonic()
        yield
        console.print(f"[dim]{time.monotonic() - begun:.1f} s[/]")

    def wait(self, job_id: str, title: str) -> dict[str, Any]:
        """Wait for a job behind a progress bar, and return its result."""
        with progress_bar() as bar:
            task = bar.add_task(title, total=1.0, news="")
            job = self.client.jobs.wait(
                job_id, on_progress=lambda job: bar.update(task, completed=job["progress"], news=news_of(job))
            )
            bar.update(task, completed=1.0, news="")
        return job.get("result") or {}

    def ingest(self) -> str:
        """Send the file, and look at what came in."""
        accepted = self.client.datasets.ingest(DATA, name="telco_churn")
        result = self.wait(accepted["job_id"], "Reading")
        known = "new" if result["created"] else "known already: same content, same version"
        console.print(
            f"{DATA.name}: {result['n_rows']:,} rows, version {result['number']} ({known}), "
            f"fingerprint {result['fingerprint'][:19]}…"
        )
        for warning in result["warnings"]:
            console.print(f"  [yellow]•[/] {warning['message']}", markup=True)
        profile = self.client.datasets.profile(result["dataset_id"], result["number"])
        flagged = [column["name"] for column in profile["columns"] if column["flags"]]
        console.print(f"  {len(profile['columns'])} columns profiled, {len(flagged)} with remarks")
        return str(result["dataset_id"])

    def train(self, dataset_id: str, title: str, budget_seconds: float, ignore: list[str]) -> TrainedModel:
        """Search, refit, evaluate and register within a hard budget."""
        training = self.client.start_training(
            dataset_id, target="Churn", budget=budget_seconds, name=MODEL, ignore=ignore
        )
        with progress_bar() as bar:
            task = bar.add_task(title, total=1.0, news="")
            model = training.wait(
                on_progress=lambda job: bar.update(task, completed=job["progress"], news=news_of(job))
            )
            bar.update(task, completed=1.0, news="")
        return model

    def predict(self, deployment_id: str, rows: list[dict[str, Any]]) -> None:
        """Score rows, fifty a request, as an application would, and wait until they are in the log."""
        for start in range(0, len(rows), _ROWS_A_REQUEST):
            self.client.predict(deployment_id, rows[start : start + _ROWS_A_REQUEST])
            self.n_predicted += len(rows[start : start + _ROWS_A_REQUEST])
        begun = time.monotonic()
        # A data plane writes to its own disk first, so that it waits for nobody; the log arrives seconds later.
        with console.status("Waiting for the prediction log"):
            while self.client.deployments.metrics(deployment_id)["n_rows"] < self.n_predicted:
                if time.monotonic() - begun > _PATIENCE_SECONDS:
                    raise Unavailable("The predictions do not appear in the log.", code="demo.log")
                time.sleep(0.2)

    def monitor(self, deployment_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Compare the latest predictions with the training data; return the report and the open alerts."""
        accepted = self.client.monitors.run(deployment_id, max_rows=N_PREDICTIONS)
        self.client.jobs.wait(accepted["job_id"])
        alerts = self.client.alerts.list(status="open", deployment=deployment_id)
        return dict(self.client.monitors.report(deployment_id)), [dict(alert) for alert in alerts]

    def wait_for_version(self, deployment_id: str, semver: str, row: dict[str, Any]) -> float:
        """Return after how many seconds a deployment answers with a version."""
        begun = time.monotonic()
        while self.client.predict(deployment_id, row)["model_version"] != semver:
            if time.monotonic() - begun > _PATIENCE_SECONDS:
                raise Unavailable(f"Version {semver} does not answer.", code="demo.version")
            time.sleep(0.1)
        return time.monotonic() - begun


def run(client: Client, budget_seconds: float) -> None:
    """Go the whole way."""
    journey = Journey(client, budget_seconds)
    with journey.step(2, "Ingest a table"):
        dataset_id = journey.ingest()

    with journey.step(3, f"Train, with a hard limit of {budget_seconds:g} s"):
        model = journey.train(dataset_id, "Training", budget_seconds, ignore=[])
        show_leaderboard(model)

    with journey.step(4, "Evaluate on rows that no candidate had seen"):
        show_evaluation(model.evaluation)

    with journey.step(5, "Register and promote, through a gate"):
        version = model.promote(comment="the demo's first version")
        console.print(
            f"{MODEL} version {version['version']} ({version['semver']}) passed the gate and is in "
            f"[green]{version['stage']}[/]; bundle {version['bundle_digest'][:19]}…"
        )

    with journey.step(6, "Deploy and predict"):
        for old in client.deployments.list():
            if old["name"] == MODEL and old["status"] != "stopped":
                client.deployments.delete(old["id"])
        deployment = model.deploy(MODEL)
        rows = rows_for(version["signature"])
        console.print(f"{deployment['name']} is [green]{deployment['status']}[/] at {deployment['endpoint_url']}")
        show_predictions(client.predict(deployment["id"], rows[:3]))

    with journey.step(7, "Watch it: first as usual, then the customers change"):
        journey.predict(deployment["id"], rows[:N_PREDICTIONS])
        report, calm = journey.monitor(deployment["id"])
        show_drift(report, calm)
        journey.predict(deployment["id"], [shifted(row) for row in rows[:N_PREDICTIONS]])
        report, alerts = journey.monitor(deployment["id"])
        show_drift(report, alerts)

    with journey.step(8, "Try another model, and roll it back"):
        drifted = [name for name in report["top_features"] if name == "MonthlyCharges"] or report["top_features"][:1]
        other = journey.train(dataset_id, "Retraining", budget_seconds / 2, ignore=drifted)
        promoted = other.promote(comment=f"without {drifted[0]}")
        seconds = journey.wait_for_version(deployment["id"], promoted["semver"], rows[0])
        console.print(f"version {promoted['semver']} (without {drifted[0]}) answers after {seconds:.1f} s, no restart")
        restored = client.models.rollback(MODEL, comment="the first one was better")
        seconds = journey.wait_for_version(deployment["id"], restored["semver"], rows[0])
        console.print(f"rolled back: version {restored['semver']} answers again after {seconds:.1f} s")

    with journey.step(9, "Prove it"):
        graph = client.lineage("model_version", version["id"])
        kinds = {node["entity_type"] for node in graph["nodes"]}
        console.print(f"lineage: {' → '.join(kind for kind in _LINEAGE if kind in kinds)}")
        verdict = client.audit.verify()
        state = "[green]intact[/]" if verdict["intact"] else "[bold red]broken[/]"
        console.print(f"audit chain: {state}, {verdict['n_entries']} entries, head {verdict['head'][:16]}…")
    show_summary(journey, model, client.deployments.metrics(deployment["id"]), (len(calm), len(alerts)))


def rows_for(signature: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the file's rows as a model takes them: numbers as numbers, blank cells as null."""
    kinds = {column["name"]: column["kind"] for column in signature["columns"]}
    wanted = [*kinds, *signature.get("identifiers", [])]
    with DATA.open(encoding="utf-8", newline="") as file:
        return [{name: cell(row[name], kinds.get(name, "")) for name in wanted} for row in csv.DictReader(file)]


def cell(text: str, kind: str) -> str | float | None:
    """Return a cell of the file."""
    if not text.strip():
        return None
    return float(text) if kind == "numeric" else text


def shifted(row: dict[str, Any]) -> dict[str, Any]:
    """Return a customer of another market: dearer, newer, without a contract."""
    changed = dict(row)
    if changed.get("MonthlyCharges") is not None:
        changed["MonthlyCharges"] *= 1.6
    if changed.get("tenure") is not None:
        changed["tenure"] = float(int(changed["tenure"] / 4))
    if "Contract" in changed:
        changed["Contract"] = "Month-to-month"
    return changed


def progress_bar() -> Progress:
    """Return a bar with room for news."""
    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[news]}[/]"),
        console=console,
    )


def news_of(job: Any) -> str:
    """Return what a job says, with the best candidate so far if it names one."""
    best, score = job["data"].get("best"), job["data"].get("best_score")
    told = f"  best {best} {score:.4f}" if best and score is not None else ""
    return f"{job['message']}{told}".replace("[", "(").replace("]", ")")


def show_leaderboard(model: TrainedModel) -> None:
    """Print the candidates, and which columns were set aside."""
    aside = [
        f"{column['name']} ({column['kind']})"
        for column in model.experiment["summary"].get("columns", [])
        if column.get("kind") in ("identifier", "constant", "text", "all_missing", "ignored")
    ]
    if aside:
        console.print(f"  set aside: {', '.join(aside)}")
    board = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name, justify in (
        ("", "left"),
        ("candidate", "left"),
        ("out of fold", "right"),
        ("±", "right"),
        ("s", "right"),
    ):
        board.add_column(name, justify=justify)  # type: ignore[arg-type]
    for entry in model.leaderboard["entries"]:
        chosen = entry["name"] == model.leaderboard["chosen"]
        board.add_row(
            "[green]→[/]" if chosen else "",
            f"[bold]{entry['name']}[/]" if chosen else entry["name"],
            number(entry.get("score")),
            number(entry.get("score_std")),
            f"{entry['seconds']:.1f}" if entry.get("seconds") else "-",
        )
    console.print(board)
    short = (model.experiment["summary"].get("final") or {}).get("note")
    if short:
        console.print(f"  [yellow]•[/] {short}; give it a larger --budget")
    console.print(f"  [italic]{model.recommendation}[/]")


def show_evaluation(report: dict[str, Any]) -> None:
    """Print the holdout's metrics with their intervals, beside the trivial model's."""
    shown = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("metric", "model", "95 % interval", report["beats_baseline"]["reference"]):
        shown.add_column(name, justify="left" if name == "metric" else "right")
    for name in _METRICS:
        metric = report["metrics"].get(name)
        if metric:
            interval = f"{number(metric['low'])} to {number(metric['high'])}"
            shown.add_row(name, number(metric["value"]), interval, number(report["reference"][name]["value"]))
    console.print(f"{report['n_rows']:,} rows of the holdout:")
    console.print(shown)
    console.print(f"  [italic]{report['beats_baseline']['detail']}[/]")


def show_drift(report: dict[str, Any], alerts: list[dict[str, Any]]) -> None:
    """Print what the monitor found."""
    style = {"RED": "bold red", "YELLOW": "yellow", "GREEN": "green"}.get(report["status"], "dim")
    console.print(f"[{style}]{report['status']}[/] {report['summary']}")
    for alert in alerts:
        console.print(
            f"  [bold red]alert[/] {alert['severity']}: {alert['action_required']} "
            f"[dim](arkwright alert ack {alert['id']})[/]"
        )


def show_predictions(answer: Any) -> None:
    """Print what the endpoint answered."""
    for prediction in answer["predictions"]:
        console.print(
            f"  {prediction.get('customerID', '')}  churns: [bold]{prediction['label']}[/] "
            f"(probability {prediction['score']:.2f})"
        )
    console.print(f"  version {answer['model_version']}, {answer['latency_ms']:.2f} ms at the server")


def show_summary(journey: Journey, model: TrainedModel, traffic: Any, alerts: tuple[int, int]) -> None:
    """Print the journey on one panel."""
    metric = model.evaluation["primary_metric"]
    value = model.evaluation["metrics"][metric]
    entries = model.leaderboard["entries"]
    latency = traffic["latency"] or {}
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim")
    lines.add_column()
    lines.add_row("model", f"{model.name} {model.version['semver']}, the best of {len(entries)} candidates")
    lines.add_row("holdout", f"{metric} {value['value']:.3f}, 95 % interval {value['low']:.3f} to {value['high']:.3f}")
    lines.add_row("served", f"{traffic['n_rows']:,} rows, p95 {latency.get('p95_ms', 0):.2f} ms a request")
    lines.add_row("watched", f"alerts: {alerts[0]} for the usual customers, {alerts[1]} for the changed ones")
    lines.add_row("undone", "a second version, without a restart")
    lines.add_row("took", f"{time.monotonic() - journey.started:.0f} s")
    console.print()
    title = "[bold]From a CSV to a monitored prediction[/]"
    console.print(Panel(lines, title=title, border_style="green", expand=False))


def number(value: float | None) -> str:
    """Return a metric as people read it."""
    return "-" if value is None else f"{value:.4f}"


def main() -> int:
    """Start a platform, go the way, stop it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--home", type=Path, default=Path("arkwright-data/demo"), help="where the data goes")
    parser.add_argument("--budget", type=float, default=45.0, help="seconds for the first training")
    arguments = parser.parse_args()
    settings = load_settings(home=arguments.home, port=0)
    console.print("[bold]Arkwright[/]: from raw data to a governed, monitored model in production.")
    console.print(f"\n[bold cyan]1/{N_STEPS}[/] [bold]Start the platform[/]")
    try:
        begun = time.monotonic()
        state = start_background(settings)
        console.print(f"up at {state.url} after {time.monotonic() - begun:.1f} s, data in {state.home}")
        with Client(home=settings.home) as client:
            run(client, arguments.budget)
    except ArkwrightError as error:
        console.print(f"[bold red]{error.title}:[/] {error.detail}")
        if error.hint:
            console.print(f"[bold]What to do:[/] {error.hint}")
        return error.exit_code
    except KeyboardInterrupt:
        console.print("\nInterrupted.")
        return 130
    finally:
        stop(settings)
    console.print("\nThe platform has stopped. Start it again on the same data, and look around:")
    console.print(f"  .venv/bin/arkwright up --home {arguments.home}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
