"""``arkwright load-test``: an endpoint at an arrival rate, and the outcome as evidence about what answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from arkwright.cli.console import Json, emit, facts, note, remarks, say
from arkwright.cli.predictions import rows_of
from arkwright.cli.session import connect
from arkwright.core.errors import ArkwrightError, Invalid, NotFound

if TYPE_CHECKING:
    from arkwright.contracts import LoadTestReport, LoadVerdict
    from arkwright.sdk import Client
    from arkwright.sdk.load_test import LoadNews
    from arkwright.sdk.types import Deployment

_STYLES = {"passed": "bold green", "failed": "bold red", "inconclusive": "bold yellow"}
_MOST_ROWS = 1000


def load_test(
    target: Annotated[
        str, typer.Argument(help="Id or name of a deployment, or of the model it serves.", metavar="DEPLOYMENT|MODEL")
    ],
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second, one row in each.")] = 50.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 10.0,
    p95_limit_ms: Annotated[float, typer.Option(min=0.001, help="Most that the 95th percentile may be.")] = 100.0,
    max_errors: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of the requests that may fail, such as 0.001.")
    ] = 0.0,
    file: Annotated[
        str,
        typer.Option("--file", "-f", help="Rows in a .json, .jsonl or .csv file; else rows kept out of training."),
    ] = "",
    keep: Annotated[bool, typer.Option("--record/--no-record", help="File the outcome as evidence.")] = True,
    _json: Json = False,
) -> None:
    """Send predictions to an endpoint at a steady rate, and say whether it kept up."""
    from arkwright.contracts import judge_load

    with connect() as client:
        deployment = _endpoint(client, target)
        rows, rows_from = _rows(client, deployment, file)
        with LoadProgress() as progress:
            report = client.deployments.load_test(
                deployment["id"],
                rows,
                rate=rate,
                seconds=seconds,
                p95_limit_ms=p95_limit_ms,
                max_error_share=max_errors,
                rows_from=rows_from,
                on_progress=progress,
            )
        verdict = judge_load(report)
        code = 0 if verdict.outcome == "passed" else 1
        try:
            filed, why_not = _file(client, deployment, report, verdict) if keep else (None, "It was not asked for.")
        except ArkwrightError as error:
            # What was measured is shown all the same: measuring it again takes as long.
            filed, why_not, code = None, f"{error.detail} {error.hint or ''}".strip(), error.exit_code
    document = {
        "outcome": verdict.outcome,
        "reasons": list(verdict.reasons),
        "report": {name: getattr(report, name) for name in report.__struct_fields__},
        "attestation": filed,
        "not_filed": why_not,
    }
    emit(document, lambda: _show(deployment, report, verdict, filed, why_not))
    if code:
        raise typer.Exit(code)


class LoadProgress:
    """How a load test stands, on standard error: one line that changes on a terminal, a line for each tenth else."""

    def __init__(self) -> None:
        self._console = remarks()
        self._status: Any = None
        self._said = 0

    def __enter__(self) -> Self:
        """Start drawing, on a terminal."""
        if self._console.is_terminal:
            self._status = self._console.status("Sending.")
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop drawing."""
        if self._status is not None:
            self._status.stop()

    def __call__(self, news: LoadNews) -> None:
        """Show how it stands."""
        counted = ", ".join(f"{status}: {count:,}" for status, count in sorted(news.statuses.items()))
        text = f"{news.sent:,} of {news.total:,} sent; {counted or 'no answer yet'}"
        tenth = 10 * news.sent // news.total
        if self._status is not None:
            self._status.update(text)
        elif tenth > self._said:
            self._said = tenth
            self._console.print(text, soft_wrap=True, markup=False)


def _endpoint(client: Client, target: str) -> Deployment:
    """Return the deployment of a name, or the one that serves a model of that name."""
    found = client.deployments.find(target)
    if found is None:
        serving = [
            each
            for each in client.deployments.list()
            if target in (each["model_name"], each["model_id"]) and each["status"] != "stopped"
        ]
        if len(serving) > 1:
            raise Invalid(
                f"{len(serving)} deployments serve the model {target!r}.",
                code="cli.deployment",
                hint=f"Name one of them: {', '.join(each['name'] for each in serving)}.",
            )
        if not serving:
            raise NotFound(
                f"There is no deployment {target!r}, and none that serves a model of that name.",
                code="deployment.not_found",
                hint=f"`arkwright deploy {target}` makes one; `arkwright deployment ls` lists them.",
            )
        found = serving[0]
    return client.deployments.wait_until_ready(found["id"])


def _rows(client: Client, deployment: Deployment, file: str) -> tuple[list[Any], str]:
    if file:
        return list(rows_of(file, client, deployment["id"]))[:_MOST_ROWS], file
    version = deployment["model_version_id"]
    kept = client.evaluations.kept_rows(deployment["model_id"], version or "", limit=_MOST_ROWS)
    return kept, "the rows that were kept out of its training"


def _file(
    client: Client, deployment: Deployment, report: LoadTestReport, verdict: LoadVerdict
) -> tuple[dict[str, Any] | None, str]:
    """File the outcome about the version that answered; where that cannot be, say why."""
    if verdict.outcome == "inconclusive":
        return None, "It shows nothing of the endpoint."
    answered = list(report.versions) or [deployment["semver"] or ""]
    if len(answered) > 1:
        return None, f"Several versions answered: {', '.join(answered)}."
    version = client.models.version(deployment["model_id"], answered[0])
    return client.evaluations.attest_load_test(version["model_id"], version["id"], report), ""


def _show(
    deployment: Deployment, report: LoadTestReport, verdict: LoadVerdict, filed: dict[str, Any] | None, why_not: str
) -> None:
    say(f"{deployment['name']}: {verdict.outcome}", style=_STYLES[verdict.outcome])
    for reason in verdict.reasons:
        say(f"  - {reason}")
    late, busy = f"{report.client_late_share:.1%}", f"{report.client_cpu_share:.0%}"
    facts(
        {
            "asked for": f"{report.rate_per_second:g} a second for {report.seconds:g} s",
            "answered": f"{report.achieved_per_second:.4g} a second",
            "by status": ", ".join(f"{status}: {count:,}" for status, count in report.statuses.items()),
            "p50": f"{report.p50_ms:.3g} ms",
            "p95": f"{report.p95_ms:.3g} ms (at most {report.p95_limit_ms:g} ms)",
            "p99": f"{report.p99_ms:.3g} ms",
            "slowest": f"{report.max_ms:.3g} ms",
            "rows": f"{report.n_rows:,} different ones: {report.rows}",
            "version": ", ".join(f"{name}: {count:,}" for name, count in report.versions.items()),
            "this client": f"{late} sent late, {busy} of the processor it can use",
            "filed as": filed["id"] if filed else f"nothing. {why_not}",
        }
    )
    if deployment["cache_seconds"]:
        note(f"It keeps answers for {deployment['cache_seconds']:g} s: rows that were sent again cost it less.")
