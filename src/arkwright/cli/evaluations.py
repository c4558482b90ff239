"""``arkwright evaluate`` and ``arkwright evaluation``: how good, how sure, for whom, how robust, how fast, and why."""

from __future__ import annotations

import csv
import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, facts, heading, moment, note, say, table
from arkwright.cli.documents import read_mapping, read_text
from arkwright.cli.session import connect
from arkwright.core.errors import Invalid, NotFound
from arkwright.core.written_numbers import counted, written

if TYPE_CHECKING:
    from arkwright.sdk import Client
    from arkwright.sdk.types import Evaluation

app = typer.Typer(help="What is known of a version: verdicts, reports and cards.")
Report = Annotated[Path | None, typer.Option("--report", metavar="OUT.html", help="Save the report here.")]
Card = Annotated[Path | None, typer.Option("--card", metavar="OUT.md", help="Save the model card here.")]
Signed = Annotated[
    Path | None,
    typer.Option("--signed-card", metavar="OUT.json", help="Save the signed card here, for `arkwright card verify`."),
]
_STYLES = {"go": "bold green", "conditional": "bold yellow", "no-go": "bold red"}
_VERDICTS = ("go", "conditional", "no-go")


class FailOn(StrEnum):
    """From which verdict on the exit code is 1."""

    NEVER = "never"
    NO_GO = "no-go"
    CONDITIONAL = "conditional"


class Profile(StrEnum):
    """How much is looked at."""

    QUICK = "quick"
    FULL = "full"


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A model: its newest version. MODEL@2 or MODEL@1.0.1 is one version, MODEL:production a stage's.",
            metavar="MODEL[@VERSION|:STAGE]",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE|DATASET[@VERSION]",
            help="Rows with the true outcome; left out, those that were kept out of its training.",
        ),
    ] = "",
    sensitive: Annotated[
        list[str], typer.Option("--sensitive", "-s", metavar="COLUMN,...", help="Columns to compare groups by.")
    ] = [],  # noqa: B006
    bins: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN=18,30,50", help="Edges of a number's groups, or how many groups; once for each column."
        ),
    ] = [],  # noqa: B006
    against: Annotated[
        str, typer.Option(metavar="VERSION", help="Compare with this version; by default the one in production.")
    ] = "",
    behaviour: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Behaviour tests (YAML) to run as well.")
    ] = None,
    profile: Annotated[Profile, typer.Option(help="quick takes fewer rows and resamples.")] = Profile.FULL,
    cost_fp: Annotated[float | None, typer.Option(min=0, help="What a wrong 'yes' costs.")] = None,
    cost_fn: Annotated[float | None, typer.Option(min=0, help="What a wrong 'no' costs, in the same unit.")] = None,
    semantics: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN=KIND",
            help="What a column holds about people: sex, race, age, 'marital status', none, ...; once for each column.",
        ),
    ] = [],  # noqa: B006
    purpose: Annotated[
        str, typer.Option(help="credit, employment, housing, education, 'health care', insurance or other.")
    ] = "unknown",
    time: Annotated[
        str, typer.Option(metavar="COLUMN", help="Score the rows as a forecast: the column that says when a row is.")
    ] = "",
    series: Annotated[str, typer.Option(metavar="COLUMN", help="The column that tells series apart.")] = "",
    season: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Steps in a season: 12 for months, 1 (none) by default.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many steps ahead the answers are made; 1 by default.")
    ] = None,
    history: Annotated[
        str,
        typer.Option(
            metavar="FILE|DATASET[@VERSION]",
            help="Earlier values of the series; left out, the data the model was trained on.",
        ),
    ] = "",
    spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="More settings (YAML): hypothesis, guardrails, success_criteria, slices, card, ..."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and resamples.")] = 0,
    report: Report = None,
    card: Card = None,
    signed_card: Signed = None,
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 1 from this verdict on, for scripts.")] = FailOn.NEVER,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Leave once it has started.")] = True,
    _json: Json = False,
) -> None:
    """Evaluate a model version: a verdict with its reasons, a report and a model card."""
    from arkwright.cli.progress import JobProgress

    name, version = split_address(model)
    given = {
        "sensitive": _names(sensitive), "sensitive_bins": read_bins(bins), "profile": profile.value,
        "purpose": purpose, "seed": seed,
    }  # fmt: skip
    # What is said on the command line goes before what is said in the file; a default says nothing.
    said = {name: value for name, value in given.items() if value != _UNSAID[name]}
    wanted: dict[str, Any] = (_settings_in(spec) if spec is not None else {}) | said
    if behaviour is not None:
        wanted["behaviour"] = read_text(behaviour)
    wanted |= _meanings(wanted, read_semantics(semantics))
    wanted |= _costs(false_positive=cost_fp, false_negative=cost_fn)
    wanted |= _forecast(wanted, time=time, series=series, season=season, horizon=horizon, history=history)
    for target in (report, card, signed_card):
        _check_folder(target)
    with connect() as client:
        if history:
            wanted["forecast"]["history"] = _data(client, history)
        if against:
            wanted["baseline"] = client.models.version(name, against)["id"]
        if data:
            wanted["data"] = _data(client, data)
        accepted = client.evaluations.create(model=name, version=version, **wanted)
        if not wait:
            emit(accepted, lambda: note(f"It goes on. Wait for it: arkwright job wait {accepted['job_id']}"))
            return
        with JobProgress() as progress:
            client.jobs.wait(accepted["job_id"], on_progress=progress)
        found = client.evaluations.get(accepted["job_id"])
        _save(client, found, report, card, signed_card)
    emit(found, lambda: _show(found, report, card, signed_card))
    if fail_on is not FailOn.NEVER and _VERDICTS.index(found["decision"]) >= _VERDICTS.index(fail_on.value):
        raise typer.Exit(1)


@app.command("ls")
def list_evaluations(
    model: Annotated[str, typer.Argument(help="Name or id of a model.", metavar="MODEL")],
    version: Annotated[str, typer.Argument(help="Number, semantic version or id; the newest if left out.")] = "",
    _json: Json = False,
) -> None:
    """List a version's evaluations, newest first."""
    with connect() as client:
        release = client.models.version(model, version) if version else client.models.versions(model, limit=1)[0]
        found = client.evaluations.list(release["id"])
    columns: list[tuple[str, Any]] = [
        ("CREATED (UTC)", lambda item: moment(item["created_at"])),
        ("VERDICT", lambda item: item["decision"]),
        ("DATA", lambda item: item["data"]),
        ("ROWS", lambda item: item["n_rows_used"]),
        ("FAIRNESS", lambda item: item["fairness"]),
        ("PROFILE", lambda item: item["profile"]),
        ("ID", lambda item: item["id"]),
    ]
    emit(found, lambda: table(columns, found, empty=f"None yet: arkwright evaluate {release['model_name']}"))


@app.command("show")
def show_evaluation(
    evaluation: Annotated[str, typer.Argument(help="Id of an evaluation (ev_...) or of its job.", metavar="ID")],
    report: Report = None,
    card: Card = None,
    signed_card: Signed = None,
    _json: Json = False,
) -> None:
    """Show an evaluation, and save its report and its card."""
    for target in (report, card, signed_card):
        _check_folder(target)
    with connect() as client:
        found = client.evaluations.get(evaluation)
        _save(client, found, report, card, signed_card)
    emit(found, lambda: _show(found, report, card, signed_card))


def split_address(text: str) -> tuple[str, str]:
    """Return a model's name and which of its versions is meant: a number, a semantic version, a stage, or any.

    Examples
    --------
    >>> split_address("churn@2"), split_address("churn:production"), split_address("churn")
    (('churn', '2'), ('churn', 'production'), ('churn', ''))

    Raises
    ------
    Invalid
        If it names no model, or a mark is followed by no version.
    """
    mark = next((mark for mark in ("@", ":") if mark in text), "")
    name, _, version = text.partition(mark) if mark else (text, "", "")
    if not name.strip() or (mark and not version.strip()):
        what = "no version" if name.strip() else "no model"
        raise Invalid(
            f"{text!r} names {what}.",
            code="cli.address",
            hint="Write a model's name for its newest version, NAME@2 for one version, or NAME:production for a stage.",
        )
    return name, version


def read_bins(texts: list[str]) -> dict[str, list[float] | int]:
    """Read how numbers are cut into groups: edges, or one whole number of groups.

    Examples
    --------
    >>> read_bins(["age=18,30", "income=4"])
    {'age': [18.0, 30.0], 'income': 4}

    Raises
    ------
    Invalid
        If a text is not ``COLUMN=NUMBERS``.
    """
    found: dict[str, list[float] | int] = {}
    for text in texts:
        name, _, listed = text.partition("=")
        try:
            edges = [float(each) for each in listed.split(",")]
        except ValueError:
            edges = []
        if not name or not edges or not all(map(math.isfinite, edges)):
            raise Invalid(
                f"{text!r} does not say how a number is cut into groups.",
                code="cli.bins",
                hint="Write --bins age=18,30,50 (the edges), or --bins age=4 (how many groups).",
            )
        found[name] = int(edges[0]) if len(edges) == 1 and edges[0].is_integer() else edges
    return found


def read_semantics(texts: list[str]) -> dict[str, str]:
    """Read what columns hold about people; a name may hold an equals sign, a kind does not.

    Examples
    --------
    >>> read_semantics(["geschlecht=sex", "a=b=none"])
    {'geschlecht': 'sex', 'a=b': 'none'}

    Raises
    ------
    Invalid
        If a text is not ``COLUMN=KIND``, or one column is said to be two things.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, kind = (part.strip() for part in text.rpartition("="))
        if not name or not kind:
            raise Invalid(
                f"{text!r} does not say what a column holds about people.",
                code="cli.semantics",
                hint="Write --semantics COLUMN=KIND, such as --semantics geschlecht=sex or --semantics shade=none.",
            )
        if found.setdefault(name, kind) != kind:
            raise Invalid(
                f"The column {name!r} is said to hold {found[name]} and {kind}.",
                code="cli.semantics",
                hint="Say one of the two.",
            )
    return found


def _meanings(wanted: dict[str, Any], said: dict[str, str]) -> dict[str, Any]:
    """Add what the command line says of columns to what the file says of others."""
    stated = wanted.get("semantics")
    return {"semantics": {**(stated if isinstance(stated, dict) else {}), **said}} if said else {}


def _costs(**given: float | None) -> dict[str, Any]:
    """Return what wrong decisions cost, 1 where only the other cost was said; nothing where neither was."""
    said = {name: cost for name, cost in given.items() if cost is not None}
    if not all(map(math.isfinite, said.values())):
        raise Invalid("A cost is a number.", code="cli.costs", hint="Give what one wrong decision costs.")
    return {"costs": dict.fromkeys(given, 1.0) | said} if said else {}


def _forecast(wanted: dict[str, Any], **given: str | int | None) -> dict[str, Any]:
    """Return the forecast's options: what is said on the command line goes before what the file of settings states."""
    said = {name: value for name, value in given.items() if value not in ("", None)}
    stated = wanted.get("forecast")
    found = {**(stated if isinstance(stated, dict) else {}), **said}
    if said and "time" not in found:
        raise Invalid(
            "A forecast needs a column that says when a row is.", code="cli.forecast", hint="Name it: --time COLUMN."
        )
    return {"forecast": found} if said else {}


def _names(texts: list[str]) -> list[str]:
    # As a line of CSV: a name that holds a comma is quoted.
    return [name.strip() for row in csv.reader(texts, skipinitialspace=True) for name in row if name.strip()]


def _data(client: Client, text: str) -> dict[str, str] | str:
    """Return a file's name, or which dataset version is meant."""
    from arkwright.core.ids import is_id

    if Path(text).expanduser().is_file() or is_id("dataset_version", text):
        return text
    name, _, version = text.partition("@")
    try:
        versions = client.datasets.versions(name)
    except (NotFound, Invalid):
        raise NotFound(
            f"{text!r} is no file on this machine and no dataset of the platform.",
            code="cli.data",
            hint="Check the path; `arkwright dataset ls` lists the datasets.",
        ) from None
    for found in versions:
        if version in ("", str(found["number"])):
            return {"dataset_version_id": found["id"]}
    raise NotFound(
        f"The dataset {name!r} has no version {version}.",
        code="dataset.version_not_found",
        hint=f"`arkwright dataset show {name}` lists its versions.",
    )


_UNSAID: dict[str, Any] = {"sensitive": [], "sensitive_bins": {}, "profile": "full", "purpose": "unknown", "seed": 0}


def _settings_in(path: Path) -> dict[str, Any]:
    """Read settings as ``POST /v1/evaluations`` takes them."""
    found = read_mapping(
        path, problem="holds no settings", hint="Write settings as `name: value`; docs/evaluation.md shows them."
    )
    taken = sorted({"model", "model_version_id", "version", "data", "baseline"} & found.keys())
    if taken:
        raise Invalid(
            f"The file {str(path)!r} sets {taken[0]!r}, which the command line says.",
            code="cli.spec",
            hint="Leave it out of the file: the model, its data and the other version are arguments.",
        )
    return found


def _check_folder(target: Path | None) -> None:
    if target is not None and not target.expanduser().resolve().parent.is_dir():
        raise NotFound(
            f"There is no folder {str(target.resolve().parent)!r}.", code="file.not_found", hint="Make it first."
        )
    if target is not None and target.expanduser().is_dir():
        raise Invalid(
            f"{str(target)!r} is a folder, and a file is to be written.",
            code="file.folder",
            hint=f"Name the file in it, such as {str(target / 'report.html')!r}.",
        )


def _save(client: Client, found: Evaluation, report: Path | None, card: Path | None, signed: Path | None) -> None:
    if report is not None:
        client.evaluations.report(found["id"], report.expanduser())
    if card is not None:
        client.evaluations.card(found["id"], card.expanduser())
    if signed is not None:
        import json

        envelope = client.evaluations.signed_card(found["id"])
        signed.expanduser().write_text(json.dumps(envelope, indent=2) + "\n", encoding="utf-8")


def _show(found: Evaluation, report: Path | None, card: Path | None, signed: Path | None) -> None:
    say(f"{found['model_name']} {found['version']}: {found['decision']}", style=_STYLES[found["decision"]])
    note(f"Confidence: {found['confidence']}. On {counted(found['n_rows_used'], 'row')}: {found['data']}.")
    for reason in found["reasons"]:
        say(f"  - {reason}")
    _show_metrics(found)
    if dict(found).get("forecast"):
        _show_forecast(dict(found)["forecast"])
    if found["disparities"]:
        _show_fairness(found)
    heading("The rest")
    robustness = found["robustness"] or {}
    compared = found["compared_with"]
    p95 = found["latency_p95_ms"]
    facts(
        {
            "robustness": _of_ten(robustness, found["robustness_rating"]),
            "one row, p95": None if p95 is None else f"{written(p95, 3)} ms",
            "definition of done": None if found["done_percent"] is None else f"{found['done_percent']} %",
            "behaviour tests": {None: None, True: "passed", False: "failed"}[found["behaviour_passed"]],
            f"against {compared}": _compared(found) if compared else None,
            "no people": found["no_people"] or None,
            "report": _kept(dict(found)),
        }
    )
    for section, reason in found["not_done"].items():
        note(f"{section.replace('_', ' ')}: {reason}")
    _show_files(found, {"report": report, "card": card, "signed card": signed})


def _show_metrics(found: Evaluation) -> None:
    from arkwright.cli.leaderboard import interval

    heading("Metrics")
    metrics = found["metrics"]
    columns: list[tuple[str, Any]] = [
        ("", lambda name: "→" if name == found["primary_metric"] else " "),
        ("METRIC", lambda name: name),
        ("VALUE", lambda name: metrics[name]["value"]),
        ("95 % INTERVAL", lambda name: interval(metrics[name])),
    ]
    table(columns, list(metrics))


def _show_forecast(found: Any) -> None:
    from arkwright.cli.leaderboard import interval

    n_series = "one series" if found["n_series"] == 1 else f"{found['n_series']:,} series"
    heading(f"As a forecast: {n_series}, season of {found['season']}, {found['horizon']} ahead")
    values = {**found["metrics"], "error as a share of the seasonal naive one": found["relative_mae"]}
    columns: list[tuple[str, Any]] = [
        ("METRIC", lambda name: name),
        ("VALUE", lambda name: values[name]["value"]),
        ("95 % INTERVAL", lambda name: interval(values[name])),
    ]
    table(columns, list(values))
    for reason in dict.fromkeys(each["reason"] for each in values.values() if each["value"] is None):
        note(f"Not computable: {reason}.")
    if found["drawn_at_random"]:
        note("The rows lie between rows it was trained on, which flatters a forecast: give later rows with --data.")


def _show_fairness(found: Evaluation) -> None:
    from arkwright.cli.leaderboard import interval

    heading(f"Fairness: {found['fairness']}")
    columns: list[tuple[str, Any]] = [
        ("COLUMN", lambda item: item["column"]),
        ("MEASURE", lambda item: item["title"]),
        ("VALUE", lambda item: item["value"]["value"]),
        ("95 % INTERVAL", lambda item: interval(item["value"])),
        ("LIMIT", lambda item: item["threshold"]),
        ("", lambda item: item["verdict"]),
        ("BETWEEN", lambda item: " and ".join(each for each in (item["lowest"], item["highest"]) if each)),
    ]
    table(columns, found["disparities"])


def _kept(found: dict[str, Any]) -> str | None:
    """Say until when the report is kept, and whether it is gone."""
    until, removed = found.get("kept_until"), found.get("removed_at")
    if removed:
        return f"removed on {moment(removed)} (UTC); the card is still there"
    return f"kept until {moment(until)} (UTC)" if until else None


def _compared(found: Evaluation) -> str:
    """Say what the experiment came to, and how the version may approach production."""
    share = found["canary_traffic_percent"]
    canary = "" if share is None else f" with {share} % of the traffic"
    said = found["version_decision"]
    return f"{found['recommendation']}; for production {said}{canary}" if said else found["recommendation"]


def _of_ten(robustness: dict[str, Any], rating: str) -> str | None:
    value = robustness.get("value")
    if value is None:
        return f"not computed: {robustness['reason']}" if robustness.get("reason") else None
    return f"{value:.1f} of 10 ({rating.lower()} risk)" if rating else f"{value:.1f} of 10"


def _show_files(found: Evaluation, saved: dict[str, Path | None]) -> None:
    say()
    for name, path in saved.items():
        if path is not None:
            say(f"The {name} is in {path}.", style="green")
    offered = [("card", "md")] if dict(found).get("removed_at") else [("report", "html"), ("card", "md")]
    missing = [f"--{name} {name}.{ending}" for name, ending in offered if not saved[name]]
    if missing:
        note(f"To save what is not yet: arkwright evaluation show {found['id']} {' '.join(missing)}")
