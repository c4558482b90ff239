"""``arkwright dataset``: tables, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, cell_of, emit, facts, heading, moment, note, say, table
from arkwright.cli.session import connect
from arkwright.core.errors import Invalid

if TYPE_CHECKING:
    from arkwright.sdk.types import ColumnProfile, DatasetProfile

app = typer.Typer(help="Tables, and what is in them.")
Dataset = Annotated[str, typer.Argument(help="Id or name of a dataset.", metavar="DATASET")]
Version = Annotated[str, typer.Option(help="Number of the version; the newest by default.")]
Types = Annotated[
    list[str],
    typer.Option("--type", metavar="COLUMN=TYPE", help="Overrules inference; may be given several times."),
]
NaValues = Annotated[
    list[str], typer.Option("--na-values", metavar="TEXT", help="A text that means 'missing'; several times for more.")
]
_MAX_TOP_VALUES = 3
_SHOWN_ROWS = 3


@app.command("ls")
def list_datasets(_json: Json = False) -> None:
    """List datasets."""
    with connect() as client:
        found = client.datasets.list()
    columns: list[tuple[str, Any]] = [
        ("NAME", lambda dataset: dataset["name"]),
        ("VERSION", lambda dataset: dataset["latest_version"]),
        ("COLUMNS", lambda dataset: len(dataset["schema"])),
        ("CREATED (UTC)", lambda dataset: moment(dataset["created_at"])),
        ("ID", lambda dataset: dataset["id"]),
    ]
    emit(found, lambda: table(columns, found, empty="No datasets yet: `arkwright dataset ingest FILE` makes one."))


@app.command("show")
def show_dataset(dataset: Dataset, _json: Json = False) -> None:
    """Show a dataset, its versions and its first rows."""
    with connect() as client:
        found = client.datasets.get(dataset)
        versions = client.datasets.versions(dataset)
        preview = client.datasets.preview(dataset)
    columns: list[tuple[str, Any]] = [
        ("VERSION", lambda version: version["number"]),
        ("ROWS", lambda version: version["n_rows"]),
        ("FILE", lambda version: version["source"]["filename"]),
        ("CREATED (UTC)", lambda version: moment(version["created_at"])),
        ("FINGERPRINT", lambda version: version["fingerprint"][:23]),
        ("ID", lambda version: version["id"]),
    ]

    def render() -> None:
        facts({"name": found["name"], "id": found["id"], "created": moment(found["created_at"])})
        heading("Versions")
        table(columns, versions)
        heading("First rows")
        # Sideways: a table has more columns than a terminal is wide.
        rows = preview["rows"][:_SHOWN_ROWS]
        sideways: list[tuple[str, Any]] = [("COLUMN", cell_of("name")), ("TYPE", cell_of("type"))]
        sideways += [(f"ROW {number}", _value_in(row)) for number, row in enumerate(rows, start=1)]
        table(sideways, preview["schema"])

    emit({**found, "versions": versions, "preview": preview}, render)


@app.command("profile")
def show_profile(dataset: Dataset, version: Version = "latest", _json: Json = False) -> None:
    """Show what each column looks like."""
    with connect() as client:
        found = client.datasets.profile(dataset, version)
    emit(found, lambda: _show_profile(found))


@app.command("ingest")
def ingest(
    file: Annotated[str, typer.Argument(help="A CSV, Parquet or JSON lines file on this machine.")],
    name: Annotated[str, typer.Option(help="Name of the dataset; the file's by default.")] = "",
    file_format: Annotated[str, typer.Option("--format", help="csv, parquet or jsonl; recognised by default.")] = "",
    encoding: Annotated[str, typer.Option(help="Text encoding; UTF-8 by default.")] = "",
    column_type: Types = [],  # noqa: B006  (Typer never changes it)
    na_values: NaValues = [],  # noqa: B006
    _json: Json = False,
) -> None:
    """Read a table and keep it; the same table twice is the same version."""
    from arkwright.cli.progress import JobProgress

    types = pairs(column_type)
    with connect() as client:
        accepted = client.datasets.ingest(
            file, name=name, format=file_format, encoding=encoding, types=types, na_values=na_values
        )
        with JobProgress() as progress:
            job = client.jobs.wait(accepted["job_id"], on_progress=progress)
    result = job.get("result") or {}

    def render() -> None:
        what = "is new" if result["created"] else "was there already, with the same content"
        named = name or file.rsplit("/", 1)[-1].split(".", 1)[0]
        say(f"{named} version {result['number']} {what}: {result['n_rows']:,} rows.", style="green")
        show_warnings(result.get("warnings") or [])
        note(f"Look at it: arkwright dataset profile {result['dataset_id']}")

    emit(result, render)


def show_warnings(warnings: Sequence[dict[str, Any]]) -> None:
    """Write what a person should know about how a file was read."""
    for warning in warnings:
        note(f"Note: {warning['message']}", style="yellow")


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Read ``COLUMN=TYPE`` options.

    Examples
    --------
    >>> pairs(["SeniorCitizen=boolean", "a=b=text"])
    {'SeniorCitizen': 'boolean', 'a=b': 'text'}

    Raises
    ------
    Invalid
        If one has no column or no type.
    """
    found = {}
    for text in texts:
        column, _, kind = text.rpartition("=")
        if not column or not kind:
            raise Invalid(
                f"--type {text!r} does not say which column is of which type.",
                code="cli.type",
                hint="Write it as COLUMN=TYPE, such as --type SeniorCitizen=categorical.",
            )
        found[column] = kind
    return found


def _value_in(row: dict[str, Any]) -> Callable[[Any], object]:
    """Return how to read a column's cell in a row."""
    return lambda column: row.get(column["name"])


def _show_profile(profile: DatasetProfile) -> None:
    columns: list[tuple[str, Any]] = [
        ("COLUMN", lambda column: column["name"]),
        ("TYPE", lambda column: column["type"]),
        ("MISSING", lambda column: f"{column['missing_share']:.1%}"),
        ("DISTINCT", lambda column: column["n_unique"]),
        ("LOOKS LIKE", _looks),
        ("REMARKS", lambda column: column["flags"]),
    ]
    say(f"{profile['n_rows']:,} rows. {profile['note']}".strip())
    table(columns, profile["columns"])
    related = [pair for pair in profile["correlations"] if pair["flagged"]]
    if related:
        heading("Columns that say nearly the same")
        for pair in related:
            say(f"{pair['a']} and {pair['b']}: correlation {pair['correlation']:.3f}")


def _looks(column: ColumnProfile) -> str:
    number, moments = column["numeric"], column["time"]
    if number is not None:
        return f"{number['minimum']:.4g} to {number['maximum']:.4g}, mean {number['mean']:.4g}"
    if moments is not None:
        return f"{moments['minimum']} to {moments['maximum']}"
    shares = [f"{value['value']} {value['share']:.0%}" for value in column["top_values"][:_MAX_TOP_VALUES]]
    return ", ".join(shares)
