"""``arkwright deployment feedback``: a file of what became of predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, heading, note, say, table
from arkwright.cli.leaderboard import interval
from arkwright.cli.session import connect
from arkwright.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from arkwright.sdk import Client
    from arkwright.sdk.types import DeploymentMetrics

_NEEDED = ("request_id", "actual")
_HINT = "It needs the columns request_id and actual, and row where requests had several."


def feedback(
    deployment: Annotated[str, typer.Argument(help="Id or name of a deployment.", metavar="DEPLOYMENT")],
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file with the columns request_id, row and actual.")],
    _json: Json = False,
) -> None:
    """Tell a deployment what became of its predictions, so that its metrics say how good they were."""
    with connect() as client:
        outcomes = list(_outcomes(file, numbers=_answers_with_numbers(client, deployment)))
        taken = client.deployments.feedback(deployment, outcomes)

    def render() -> None:
        say(f"{taken:,} outcomes were taken.", style="green")
        note(f"See what they say: arkwright deployment metrics {deployment}")

    emit({"accepted": taken}, render)


def show_quality(found: DeploymentMetrics) -> None:
    """Write how good the answers were, where feedback says it."""
    if not found["n_outcomes"]:
        note("How good they were is not known: tell it with `arkwright deployment feedback`.")
        return
    lines = [
        {**metric, "arm": arm["arm"], "semver": arm["semver"], "n": arm["n_outcomes"]}
        for arm in found["quality"]
        for metric in arm["metrics"]
    ]
    heading("How good they were")
    columns: list[tuple[str, Any]] = [
        ("ARM", lambda line: line["arm"]),
        ("VERSION", lambda line: line["semver"]),
        ("OUTCOMES", lambda line: line["n"]),
        ("METRIC", lambda line: line["name"]),
        ("VALUE", lambda line: line["value"]),
        ("95 % INTERVAL", interval),
    ]
    table(columns, lines, empty="None of the outcomes belongs to a logged prediction.")
    if found["n_unmatched"]:
        note(
            f"{found['n_unmatched']:,} of {found['n_outcomes']:,} outcomes belong to no logged prediction of that time."
        )


def _answers_with_numbers(client: Client, deployment: str) -> bool:
    found = client.deployments.get(deployment)
    version = client.models.version(found["model_id"], found["model_version"] or 1)
    return bool(version["signature"]["task"] == "regression")


def _outcomes(file: Path, *, numbers: bool) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        raise NotFound(
            f"The file {str(file)!r} cannot be read.",
            code="file.not_found",
            hint="Give the path of a CSV or Parquet file.",
        )
    lines = _parquet_lines(file) if file.suffix == ".parquet" else _csv_lines(file)
    for number, line in lines:
        yield _outcome(line, f"Line {number} of {file.name!r}", numbers=numbers)


def _csv_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import csv

    with file.open(encoding="utf-8-sig", newline="") as stream:
        table = csv.DictReader(stream)
        try:
            _check_columns(file, table.fieldnames or ())
            for line in table:
                yield table.line_num, line
        except (UnicodeDecodeError, csv.Error) as error:
            raise Invalid(
                f"The file {file.name!r} is no CSV in UTF-8: {error}.", code="feedback.csv", hint=_HINT
            ) from error


def _parquet_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise Invalid(f"The file {file.name!r} is no Parquet: {error}.", code="feedback.parquet", hint=_HINT) from error
    with table:
        names = table.schema_arrow.names
        _check_columns(file, names)
        lines = (
            line
            for batch in table.iter_batches(columns=[name for name in (*_NEEDED, "row") if name in names])
            for line in batch.to_pylist()
        )
        yield from enumerate(lines, 1)


def _check_columns(file: Path, names: Collection[str]) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise Invalid(f"The file {file.name!r} has no column {missing[0]!r}.", code="feedback.columns", hint=_HINT)


def _outcome(line: dict[str, Any], where: str, *, numbers: bool) -> dict[str, Any]:
    request_id, actual, row = ("" if line.get(name) is None else str(line[name]).strip() for name in (*_NEEDED, "row"))
    row = row or "0"
    if not request_id or not actual:
        raise Invalid(f"{where} has no {'actual' if request_id else 'request_id'}.", code="feedback.blank", hint=_HINT)
    if not row.isdecimal():
        raise Invalid(f"{where}: the row {row!r} is no whole number from 0 up.", code="feedback.row", hint=_HINT)
    if not numbers:
        return {"request_id": request_id, "row": int(row), "actual": actual}
    try:
        return {"request_id": request_id, "row": int(row), "actual": float(actual)}
    except ValueError:
        raise Invalid(
            f"{where}: {actual!r} is no number, and the model answers with numbers.",
            code="feedback.number",
            hint="Write it with a point: 12.5.",
        ) from None
