"""``arkwright predict`` and ``arkwright batch``: rows in, predictions out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, cell_of, emit, note, say, table
from arkwright.cli.session import connect
from arkwright.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from arkwright.sdk import Client

_BLANK_CELLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")


class OnError(StrEnum):
    """What becomes of a row with a cell that is not what the model takes."""

    FAIL = "fail"
    KEEP = "keep"


def predict(
    deployment: Annotated[str, typer.Argument(help="Id or name of a deployment.", metavar="DEPLOYMENT")],
    row: Annotated[
        list[str],
        typer.Option("--row", "-r", metavar="JSON", help="A row as a JSON object, or several as a list."),
    ] = [],  # noqa: B006
    file: Annotated[
        str, typer.Option("--file", "-f", help="Rows in a .json, .jsonl or .csv file; - reads JSON from stdin.")
    ] = "",
    rows: Annotated[int | None, typer.Option(min=1, help="Only this many of the file's first rows.")] = None,
    _json: Json = False,
) -> None:
    """Score rows with a deployment."""
    if bool(row) == bool(file):
        raise Invalid(
            "There is nothing to predict." if not row else "Rows were given twice.",
            code="cli.rows",
            hint="""Give either --row '{"tenure": 12, ...}' or --file rows.json.""",
        )
    with connect() as client:
        if row:
            instances = [item for text in row for item in _parse(text, "--row")]
        else:
            instances = list(rows_of(file, client, deployment))[:rows]
        answer = client.predict(deployment, instances)
    predictions = answer["predictions"]

    def render() -> None:
        names = list(dict.fromkeys(name for prediction in predictions for name in prediction))
        table([(name, cell_of(name)) for name in names], predictions)
        note(f"Version {answer['model_version']} ({answer['arm']}), {answer['latency_ms']:.2f} ms.")

    emit(answer, render)


def batch(
    model: Annotated[str, typer.Argument(help="Name or id of a model: its production version scores.")],
    file: Annotated[str, typer.Argument(help="A CSV, Parquet or JSON lines file on this machine.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where the result goes: .parquet, .csv or .jsonl; FILE.scored.parquet if left out."
        ),
    ] = None,
    version: Annotated[str, typer.Option(help="Score with this version of the model instead.")] = "",
    scores: Annotated[bool, typer.Option("--scores", help="Add a column with the score of every class.")] = False,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="What a cell does that is not what the model takes: end the batch, or leave its row unscored."
        ),
    ] = OnError.FAIL,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
    _json: Json = False,
) -> None:
    """Score a whole file, without a deployment: each row comes out once, in order, with its prediction."""
    from arkwright.cli.progress import JobProgress

    output = output or Path(f"{Path(file).name.split('.', 1)[0]}.scored.parquet")
    if output.exists() and not force:
        raise Invalid(
            f"The file {str(output)!r} is there already.", code="file.exists", hint="Give another --output, or --force."
        )
    if not output.resolve().parent.is_dir():
        raise NotFound(
            f"There is no folder {str(output.resolve().parent)!r}.", code="file.not_found", hint="Make it first."
        )
    with connect() as client:
        subject = {"model_version_id": client.models.version(model, version)["id"]} if version else {"model": model}
        uploaded = client.datasets.upload(file)
        accepted = client.batches.create(
            upload_id=uploaded["upload_id"], with_scores=scores, on_error=on_error.value, **subject
        )
        with JobProgress() as progress:
            job = client.jobs.wait(accepted["job_id"], on_progress=progress)
        size_bytes = client.batches.output(accepted["job_id"], output)
    result = {**(job.get("result") or {}), "job_id": job["id"], "output": str(output), "size_bytes": size_bytes}

    def render() -> None:
        n_rows = result.get("n_rows")
        what = f"{n_rows:,} rows" if isinstance(n_rows, int) else "The rows"
        say(f"{what} with their predictions are in {output}.", style="green")
        if n_failed := result.get("n_failed"):
            note(f"{n_failed:,} of them have none: prediction_error says why.")

    emit(result, render)


def typed_cells(row: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return a CSV row's cells in the kinds that a model takes: numbers as numbers, blank cells as null.

    A number that cannot be read stays text, so that the platform says which field it is.

    Examples
    --------
    >>> typed_cells({"tenure": "12", "Contract": "One year", "charge": " "}, {"tenure": "numeric", "charge": "numeric"})
    {'tenure': 12.0, 'Contract': 'One year', 'charge': None}
    """
    cells: dict[str, Any] = {}
    for name, text in row.items():
        if text is None or text.strip() in _BLANK_CELLS:
            cells[name] = None
        elif kinds.get(name) == "numeric":
            cells[name] = _number(text)
        else:
            cells[name] = text
    return cells


def rows_of(file: str, client: Client, deployment: str) -> Sequence[Any]:
    """Read the rows of a file, or of standard input, as a deployment takes them."""
    if file == "-":
        return _parse(sys.stdin.read(), "standard input")
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"There is no file {file!r}.", code="file.not_found", hint="Check the path.") from None
    except UnicodeDecodeError as error:
        raise Invalid(
            f"The file {file!r} is not UTF-8 (byte {error.start}).", code="file.encoding", hint="Convert it to UTF-8."
        ) from None
    if path.suffix.lower() != ".csv":
        return _parse(text, file)
    import csv

    found = client.deployments.get(deployment)
    version = client.models.version(found["model_id"], found["model_version"] or 0)
    kinds = {column["name"]: column["kind"] for column in version["signature"]["columns"]}
    return [typed_cells(row, kinds) for row in csv.DictReader(text.splitlines(keepends=True))]


def _parse(text: str, where: str) -> Sequence[Any]:
    """Read one JSON object, a list of them, JSON lines, or a request's body."""
    import json

    try:
        document = json.loads(text)
    except ValueError as error:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            raise Invalid(
                f"{where} is not JSON: {error}.",
                code="cli.json",
                hint="""Quote it for the shell: --row '{"tenure": 12, "Contract": "Two year"}'.""",
            ) from None
    if isinstance(document, dict) and isinstance(document.get("instances"), list):
        document = document["instances"]
    return document if isinstance(document, list) else [document]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
