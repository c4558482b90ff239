"""The behaviour tests that were declared, and what failed them."""

from __future__ import annotations

from typing import Any

from arkwright.evaluation.behaviour import BehaviourResult
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.report_page.layout import Tone, absent, mark, more, section, table
from arkwright.evaluation.report_page.markup import Html, element
from arkwright.evaluation.report_page.wording import capital, cell, count, maybe, not_computable, percent, plain, rows

_STATUS: dict[str, Tone] = {"passed": "good", "failed": "bad", "not_run": "unknown"}


def behaviour(document: ModelEvaluation) -> Html:
    """Return every test with its outcome."""
    found = document.behaviour
    if found is None:
        return absent(document, "behaviour")
    lines = [
        [
            each.name,
            plain(each.type),
            mark(capital(plain(each.status)), _STATUS[each.status]),
            count(each.n_tested),
            count(each.n_failed),
            maybe(each.failure_rate, percent, each.reason),
            percent(each.allowed_failure_rate),
            each.detail,
        ]
        for each in found.results
    ]
    headings = ["test", "kind", "outcome", "rows tried", "rows failed", "failed", "allowed", "in words"]
    return section(
        document,
        "behaviour",
        element("p", mark("Passed", "good") if found.passed else mark("Not passed", "bad"), f": {found.detail}"),
        element("p", f"On {count(found.n_rows_used)} of {rows(found.n_rows)}, seed {found.seed}.", class_="note"),
        table(
            "Behaviour tests",
            headings,
            lines,
            numeric=(3, 4, 5, 6),
            pointers=[f"/behaviour/results/{at}" for at in range(len(lines))],
        ),
        *(_failures(each) for each in found.results if each.failures),
    )


def _failures(found: BehaviourResult) -> Html:
    none = "the model's answer is no number"
    lines = [
        [
            f"row {count(each.row)}",
            each.message,
            _cells(each.change) or "nothing",
            maybe(each.score_before, reason=none) if each.change else "not asked",
            maybe(each.score_after, reason=none),
        ]
        for each in found.failures
    ]
    inputs = [
        [f"row {count(each.row)}", _cells(each.inputs) or not_computable("there are no inputs")]
        for each in found.failures
    ]
    return more(
        f"Rows that failed: {found.name}",
        table(
            f"Worst rows of {found.name}",
            ["row", "what happened", "change", "score before", "score after"],
            lines,
            numeric=(3, 4),
        ),
        table(f"Inputs of these rows of {found.name}", ["row", "inputs"], inputs),
    )


def _cells(found: dict[str, Any]) -> str:
    return "; ".join(f"{name} = {cell(value)}" for name, value in found.items())
