"""What stands last: the definition of done, what was not done, and how to compute it again."""

from __future__ import annotations

from arkwright.evaluation.definition_of_done import DefinitionOfDone
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.report_page.layout import TITLES, Tone, absent, facts, mark, part, section, table
from arkwright.evaluation.report_page.markup import Html, element
from arkwright.evaluation.report_page.wording import capital, count, listed, plain

_STATUS: dict[str, tuple[str, Tone]] = {
    "met": ("Met", "good"),
    "not_met": ("Not met", "bad"),
    "unknown": ("Unknown", "unknown"),
}


def definition_of_done(document: ModelEvaluation) -> Html:
    """Return the eleven items."""
    found = document.definition_of_done
    if found is None:
        return absent(document, "definition_of_done")
    return section(document, "definition_of_done", *_done(found))


def _done(found: DefinitionOfDone) -> list[str]:
    lines = [
        [
            each.title,
            mark(*_STATUS[each.status]),
            listed(each.evidence, "none named"),
            each.reason,
            each.remedy,
        ]
        for each in found.items
    ]
    said = mark("Done", "good") if found.done else mark("Not done", "warning")
    return [
        element("p", said, f": {found.summary} ({found.percent_complete} %)"),
        element("p", "So it was at the time of the evaluation; ", element("code", "arkwright done"), " shows it now."),
        table(
            "Items",
            ["item", "status", "evidence", "reason", "what to do"],
            lines,
            pointers=[f"/definition_of_done/items/{at}" for at in range(len(lines))],
        ),
    ]


def not_done(document: ModelEvaluation) -> Html:
    """Return what is missing or incomplete, and why."""
    if not document.not_done:
        return section(document, "not_done", element("p", "Everything that was asked for was computed."))
    lines = [[TITLES.get(name, capital(plain(name))), why] for name, why in document.not_done.items()]
    return section(document, "not_done", table("Missing or incomplete", ["section", "why"], lines))


def appendix(document: ModelEvaluation) -> Html:
    """Return what is needed to compute the document again, and how to find a number in it."""
    software = [[name, version] for name, version in document.software.items()]
    sampled = [
        [TITLES.get(name, capital(plain(name))), count(n_rows)]
        for name, n_rows in document.data.rows_by_section.items()
    ]
    return section(
        document,
        "appendix",
        part(
            "To compute it again",
            element(
                "p",
                "The same model, data, software and seed give the same numbers; times and memory differ from one "
                "machine to the next.",
            ),
            facts(
                [
                    ("Seed", str(document.seed)),
                    ("Format of the document", element("code", document.format)),
                    ("Rows in the data", count(document.data.n_rows)),
                ]
            ),
            table("Software", ["package", "version"], software),
            table("Rows that each section rests on", ["section", "rows"], sampled, numeric=(1,)),
        ),
        part(
            "Where a number comes from",
            element(
                "p",
                "This page shows the JSON document of the evaluation. Links after a sentence lead to the place on this "
                "page that holds its numbers; the list below the sentences names the places in the document by JSON "
                "pointers (RFC 6901): the names of the fields from the document's root down, with slashes between "
                "them. So ",
                element("code", f"/performance/metrics/{document.performance.primary_metric}/value"),
                " is the value of the primary metric, and ",
                element("code", "jq '.performance.metrics'"),
                " prints all of them.",
            ),
        ),
    )
