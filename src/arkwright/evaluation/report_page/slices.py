"""Where it is weak: slices that a search found, those that are merely harder, and those that somebody declared."""

from __future__ import annotations

from collections.abc import Sequence

from arkwright.core.written_numbers import counted
from arkwright.evaluation.declared_slices import SliceRow, SliceTable
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.report_page.accuracy import metric_name, metric_title
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import Tone, absent, mark, missing, part, section, table
from arkwright.evaluation.report_page.markup import Html, element, join, paragraphs
from arkwright.evaluation.report_page.wording import (
    count,
    interval,
    maybe,
    not_computable,
    number,
    percent,
    plain,
    probability,
    rows,
)
from arkwright.evaluation.slices import WeakSlice, WeakSlices

_NO_TRIVIAL = "its own trivial model loses nothing"
_UNKNOWN = Interval(value=None, low=None, high=None, reason="it was not measured")


def weak_slices(document: ModelEvaluation) -> Html:
    """Return the groups of rows on which the model is worse."""
    found = document.weak_slices
    if found is None:
        return absent(document, "weak_slices")
    parts = [missing("the search", found.reason)] if found.reason else [*_searched(found)]
    if found.declared is not None:
        parts.append(_declared(found.declared))
    if found.left_out and not found.reason:
        left = [element("li", f"{name}: {why}") for name, why in found.left_out.items()]
        parts.append(part("Columns that were not searched", element("ul", *left)))
    return section(document, "weak_slices", join(parts))


def slice_name(found: WeakSlice) -> str:
    """Return a slice's conditions in words."""
    return " and ".join(f"{each.column} = {each.level}" for each in found.conditions)


def _searched(found: WeakSlices) -> list[Html]:
    loss, excess = plain(found.loss), found.judged_by == "excess"
    worse = f"more {loss} than the model expects of itself" if excess else f"a higher {loss}"
    told = (
        f"{counted(found.n_tested, 'group')} of rows, each of at least {rows(found.min_rows)}, were tested on "
        f"{rows(found.n_rows)}; {count(found.n_significant)} have {worse}, compared with the rest and beyond chance, "
        f"counting all tests (false discovery rate {percent(found.alpha)}). The mean {loss} of all rows is "
        f"{maybe(found.overall, reason='there are no rows')}; less is better."
    )
    parts = [element("p", told)]
    if excess:
        parts.append(
            element(
                "p",
                f"A group whose outcome is less certain has a higher {loss} under a perfect model too. So groups are "
                f"compared by the excess: the {loss} less what the model's own scores lead to expect, which is 0 on "
                "average where they are right. Skill: how much less is lost than by always giving the group's own "
                "shares of the outcomes.",
                class_="note",
            )
        )
    if not found.slices:
        parts.append(element("p", mark("No weak slice found", "good")))
    else:
        parts += [
            _slices("Weakest groups of rows", found, found.slices, "/weak_slices/slices"),
            _chart(found, found.slices),
            element("p", "Effect: in units of the spread; 0.2 is small, 0.5 medium, 0.8 large.", class_="note"),
        ]
    if found.harder:
        parts.append(
            part(
                "Harder groups of rows",
                element(
                    "p",
                    f"The {loss} is higher here as well, and the model's own scores say so: by the columns it reads, "
                    "the outcome is less certain. Columns that tell more of these rows would help.",
                ),
                _slices("Groups that are harder", found, found.harder, "/weak_slices/harder"),
                pointer="/weak_slices/harder",
            )
        )
    return parts


def _slices(caption: str, found: WeakSlices, shown: Sequence[WeakSlice], pointer: str) -> Html:
    loss, excess = plain(found.loss), found.judged_by == "excess"
    headings = ["group", "rows", f"mean {loss} (95 % interval)", f"mean {loss} of the rest"]
    headings += ["expected by the model", "excess (95 % interval)", "excess of the rest"] if excess else []
    headings += ["trivial model of the group", "skill", "effect", "adjusted p"]
    lines = []
    for each in shown:
        line = [
            slice_name(each),
            f"{count(each.n_rows)} ({percent(each.share)})",
            interval(each.loss),
            number(each.rest),
        ]
        if excess:
            line += [maybe(each.expected), interval(each.excess or _UNKNOWN), maybe(each.rest_excess)]
        line += [
            maybe(each.trivial, reason="it was not measured"),
            maybe(each.skill, percent, _NO_TRIVIAL),
            maybe(each.effect, reason="it varies on neither side"),
            probability(each.adjusted_p),
        ]
        lines.append(line)
    pointers = [f"{pointer}/{at}" for at in range(len(lines))]
    return table(caption, headings, lines, numeric=range(1, len(headings)), pointers=pointers)


def _chart(found: WeakSlices, shown: Sequence[WeakSlice]) -> Html:
    loss = plain(found.loss)
    if found.judged_by == "excess":
        return interval_chart(
            "slices-chart",
            f"Excess {loss} in the weakest groups",
            "The line is what a model has whose scores are right. The worst of many looks worse than it is.",
            [Row(slice_name(each), [each.excess]) for each in shown if each.excess is not None],
            axis=f"mean {loss} less what the model expects",
            reference=("as expected", 0.0),
        )
    return interval_chart(
        "slices-chart",
        f"Mean {loss} in the weakest groups",
        "The line is the mean of all rows. The worst of many looks worse than it is.",
        [Row(slice_name(each), [each.loss]) for each in shown],
        axis=f"mean {loss}",
        reference=("all rows", found.overall) if found.overall is not None else None,
    )


def _declared(found: SliceTable) -> Html:
    name = metric_name(found.metric)
    measured = [(at, each) for at, each in enumerate(found.slices) if not each.reason]
    without = [f"{each.name} ({each.where}): {not_computable(each.reason)}." for each in found.slices if each.reason]
    shown = [metric for metric in found.overall if metric != found.metric]
    compared = table(
        f"Declared slices beside all other rows: {name}",
        ["slice", "which rows", "rows", "in the slice", "in the rest", "difference", "adjusted p", "beyond chance"],
        [[each.name, *_compared(each, found.metric)] for _, each in measured],
        numeric=(2, 3, 4, 5, 6),
        pointers=[f"/weak_slices/declared/slices/{at}" for at, _ in measured],
    )
    others = table(
        "Declared slices: other metrics (95 % interval)",
        ["slice", *(metric_title(metric) for metric in shown), "mean loss", "expected by the model", "skill"],
        [
            [each.name, *(interval(each.metrics.get(metric, _UNKNOWN)) for metric in shown), *_losses(each)]
            for _, each in measured
        ],
        numeric=range(1, len(shown) + 4),
    )
    return part(
        "Declared slices",
        element(
            "p",
            f"Of all {rows(found.n_rows)} together, the {name} is "
            f"{maybe(found.overall.get(found.metric), reason='it is not defined on these rows')}. The differences of "
            f"{counted(len(found.slices), 'slice')} are tested at once (Holm).",
        ),
        compared,
        paragraphs(without),
        others,
        element(
            "p",
            "Metrics that depend on how common the outcomes are differ between slices where that differs, under a "
            "perfect model too: the expected loss and the skill allow for it.",
            class_="note",
        ),
        pointer="/weak_slices/declared",
    )


def _compared(each: SliceRow, metric: str) -> list[str]:
    verdict: tuple[str, Tone] = ("No difference shown", "good")
    if each.adjusted_p is None:
        verdict = ("Not tested", "unknown")
    elif each.worse(metric):
        verdict = ("Worse", "bad")
    elif each.differs():
        verdict = ("Better", "good")
    small = ", small" if each.small else ""
    return [
        each.where,
        f"{count(each.n_rows)} ({percent(each.share)}{small})",
        interval(each.metrics.get(metric, _UNKNOWN)),
        interval(each.rest or _UNKNOWN),
        interval(each.difference or _UNKNOWN),
        maybe(each.adjusted_p, probability, "there is no difference to test"),
        mark(*verdict),
    ]


def _losses(each: SliceRow) -> list[str]:
    return [
        maybe(each.loss, reason="it was not measured"),
        maybe(each.expected, reason="a predicted number says nothing of its error"),
        maybe(each.skill, percent, _NO_TRIVIAL),
    ]
