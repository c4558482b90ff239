"""The parts a page is made of: sections, tables, lists of facts, marks of good and bad."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from arkwright.core.written_numbers import counted
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.report_page.markup import Html, anchor, element
from arkwright.evaluation.report_page.wording import capital, not_computable

Tone = Literal["good", "warning", "bad", "unknown", "note"]
_SIGNS: dict[Tone, str] = {"good": "\u2714", "warning": "\u25b2", "bad": "\u2716", "unknown": "?", "note": "\u2139"}

TITLES = {
    "verdict": "Verdict",
    "summary": "In plain words",
    "subject": "Model and data",
    "performance": "Performance",
    "weak_slices": "Weak slices",
    "calibration": "Calibration and threshold",
    "fairness": "Fairness",
    "robustness": "Robustness",
    "operation": "Operation",
    "explanations": "Explanations",
    "behaviour": "Behaviour tests",
    "challenge": "Challenger against baseline",
    "forecast": "As a forecast",
    "definition_of_done": "Definition of done",
    "not_done": "What was not done",
    "appendix": "Appendix",
}
"""The sections of the page in their order, by the names of the document's fields."""


def mark(text: str, tone: Tone) -> Html:
    """Return a word with a sign and a colour, so that neither carries the meaning alone."""
    return element("span", element("span", f"{_SIGNS[tone]} ", aria_hidden="true"), text, class_=f"mark {tone}")


def section(document: ModelEvaluation, key: str, *children: str | None) -> Html:
    """Return a section of the page, with what is missing in it and on how many rows it rests."""
    notes = []
    if key in document.data.rows_by_section:
        used, there = document.data.rows_by_section[key], document.data.n_rows_used
        told = f"{used:,} of {counted(there, 'row')}" if used < there else counted(used, "row")
        notes.append(element("p", f"Rests on {told}.", class_="note"))
    if key in document.not_done:
        notes.append(element("p", mark("Incomplete", "warning"), f": {document.not_done[key]}", class_="note"))
    return element(
        "section",
        element("h2", TITLES[key], id=f"{key}-title"),
        *notes,
        *children,
        _remarks(getattr(getattr(document, key, None), "notes", ()), document.not_done.get(key, "")),
        id=key,
        aria_labelledby=f"{key}-title",
    )


def _remarks(notes: Sequence[str], said: str) -> Html | None:
    """Return what was assumed; what the section's head says already is left out."""
    left = [element("li", note) for note in notes if note not in said]
    return part("Remarks", element("ul", *left)) if left else None


def absent(document: ModelEvaluation, key: str) -> Html:
    """Return a section that was not computed, and why."""
    reason = document.not_done.get(key) or "it was not asked for"
    return element(
        "section",
        element("h2", TITLES[key], id=f"{key}-title"),
        element("p", mark("Not computed", "unknown"), f", because {reason.rstrip('.')}.", class_="note"),
        id=key,
        aria_labelledby=f"{key}-title",
    )


def part(title: str, *children: str | None, pointer: str = "", level: Literal[3, 4] = 3) -> Html:
    """Return a part of a section under a heading of its own."""
    heading = element(f"h{level}", title, id=anchor(pointer) if pointer else None)
    return element("div", heading, *children, class_="part")


def table(
    caption: str,
    headings: Sequence[str],
    body: Iterable[Sequence[str | None]],
    *,
    numeric: Iterable[int] = (),
    pointers: Sequence[str] = (),
) -> Html:
    """Return a table whose first column names the rows.

    Parameters
    ----------
    caption
        What it shows.
    headings
        One a column.
    body
        Cells, text or markup.
    numeric
        Columns set flush right, by number.
    pointers
        By row, the JSON pointer of what it shows.
    """
    right = set(numeric)
    lines = []
    for index, line in enumerate(body):
        first, *others = line
        cells = [element("th", first or "", scope="row")]
        cells += [
            element("td", each or "", class_="why" if _is_reason(each) else "n" if at in right else None)
            for at, each in enumerate(others, 1)
        ]
        lines.append(element("tr", *cells, id=anchor(pointers[index]) if index < len(pointers) else None))
    if not lines:
        return Html("")
    head = [
        element("th", heading, scope="col", class_="n" if at in right else None) for at, heading in enumerate(headings)
    ]
    whole = element(
        "table", element("caption", caption), element("thead", element("tr", *head)), element("tbody", *lines)
    )
    return scrolling(f"Table: {caption}", whole)


def _is_reason(cell: str | None) -> bool:
    return cell is not None and len(cell) > 24 and cell.startswith("not ")


def scrolling(label: str, child: str) -> Html:
    """Return something wide that scrolls by itself on a narrow screen, with the keyboard too."""
    return element("div", child, class_="scroll", role="group", tabindex="0", aria_label=label)


def facts(pairs: Iterable[tuple[str, str | None]]) -> Html:
    """Return names and what they are; pairs without a text are left out."""
    lines = [element("div", element("dt", name), element("dd", text)) for name, text in pairs if text]
    return element("dl", *lines) if lines else Html("")


def more(summary: str, *children: str | None) -> Html:
    """Return something to open; it is open in print."""
    return element("details", element("summary", summary), *children)


def missing(what: str, reason: str) -> Html:
    """Return a paragraph in the place of a figure that could not be computed."""
    return element("p", capital(what), " is ", not_computable(reason), ".", class_="note")


def only_first(n_shown: int, n_all: int, what: str) -> Html | None:
    """Say that a list was cut; None if it was not."""
    if n_shown >= n_all:
        return None
    return element("p", f"The first {n_shown:,} of {n_all:,} {what} are shown; the JSON holds all.", class_="note")
