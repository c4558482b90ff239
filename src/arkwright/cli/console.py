"""What people and programs see: results on standard output, remarks and progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from arkwright.core.written_numbers import written

if TYPE_CHECKING:
    from rich.console import Console

# Wide enough that no id or path is cut where no terminal says how wide it is.
_PIPE_WIDTH = 240
_SENTENCE = 24
_LEAST_SENTENCE = 16
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


@dataclass
class Output:
    """How this invocation answers."""

    json: bool = False


OUTPUT = Output()


def _remember(value: bool) -> bool:
    OUTPUT.json = value
    return value


Json = Annotated[
    bool, typer.Option("--json", help="Answer with one JSON document on standard output.", callback=_remember)
]


def results() -> Console:
    """Return the console for results."""
    return _console(sys.stdout)


def remarks() -> Console:
    """Return the console for remarks and progress."""
    return _console(sys.stderr)


def emit(document: Any, render: Callable[[], None]) -> None:
    """Answer with a document: as JSON where that was asked for, else as ``render`` shows it."""
    if OUTPUT.json:
        print_json(document)
    else:
        render()


def print_json(document: Any) -> None:
    """Write a document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def say(text: str = "", style: str = "") -> None:
    """Write a line to standard output; not under ``--json``."""
    if not OUTPUT.json:
        results().print(plain(text), style=style or None, soft_wrap=True)


def note(text: str, style: str = "dim") -> None:
    """Write a remark to standard error."""
    remarks().print(plain(text), style=style or None, soft_wrap=True)


def heading(text: str) -> None:
    """Write a heading."""
    say()
    say(text, style="bold")


Column = tuple[str, Callable[[Any], object]]


def table(columns: Sequence[Column], rows: Iterable[Any], *, empty: str = "None.") -> None:
    """Write rows as a table.

    Parameters
    ----------
    columns
        A header, and how to read a cell from a row. Numbers stand to the right.
    empty
        What to say when there are no rows.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    values = [[read(row) for _, read in columns] for row in rows]
    if not values:
        say(empty, style="dim")
        return
    cells = [[shown(value) for value in row] for row in values]
    drawn = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for index, (header, _) in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or row[index] is None for row in values)
        # An id or a moment that is cut in two is of no use; sentences make room for them.
        sentences = any(" " in row[index] and len(row[index]) > _SENTENCE for row in cells)
        drawn.add_column(
            header,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=not sentences,
            min_width=_LEAST_SENTENCE if sentences else None,
        )
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    results().print(drawn)


def cell_of(name: str) -> Callable[[Any], object]:
    """Return how to read one key of a row."""

    def read(row: Mapping[str, Any]) -> object:
        return row.get(name)

    return read


def facts(pairs: Mapping[str, object]) -> None:
    """Write names and values, one a line; values that are None or empty are left out."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs.items():
        if value not in (None, ""):
            drawn.add_row(name, Text(shown(value)))
    results().print(drawn)


def shown(value: object) -> str:
    """Render a cell.

    Examples
    --------
    >>> shown(None), shown(0.84651), shown(1234), shown(True), shown(["a", "b"])
    ('-', '0.8465', '1,234', 'yes', 'a, b')
    """
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return written(value)
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value)
    return plain(str(value))


def moment(text: object) -> str:
    """Render an RFC 3339 moment as people write it, to the second, in UTC.

    Examples
    --------
    >>> moment("2026-01-02T03:04:05.678Z")
    '2026-01-02 03:04:05'
    """
    return str(text).replace("T", " ")[:19] if text else "-"


def plain(text: str) -> str:
    r"""Return text without control characters: a column's name must not be able to steer the terminal.

    Examples
    --------
    >>> plain("a\x1b[31mb")
    'a[31mb'
    """
    return text.translate(_CONTROL)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    terminal = stream.isatty()
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=None if terminal else _PIPE_WIDTH)
