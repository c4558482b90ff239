"""Why it answers as it does: over all rows, along single columns, and for single rows."""

from __future__ import annotations

from collections.abc import Sequence

from arkwright.evaluation.attribution_summary import GlobalAttributions, LocalExplanation, OutputAttribution
from arkwright.evaluation.counterfactual import CounterfactualSearch
from arkwright.evaluation.importance import GroupImportance
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.partial_dependence import GridPoint, PartialDependence, PartialDependenceOfTwo
from arkwright.evaluation.report_page.accuracy import metric_name
from arkwright.evaluation.report_page.attribution_chart import beeswarm, waterfall
from arkwright.evaluation.report_page.heat_chart import heat_chart
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import absent, more, only_first, part, section, table
from arkwright.evaluation.report_page.line_chart import Along, Curve, line_chart
from arkwright.evaluation.report_page.markup import Html, element, join
from arkwright.evaluation.report_page.wording import (
    cell,
    count,
    given,
    interval,
    listed,
    maybe,
    number,
    percent,
    rows,
)

_MAX_COLUMNS = 20
_SWARM_COLUMNS = 8
_SWARM_POINTS = 60
_MAX_CURVES = 8
_MAX_PAIRS = 4
_MAX_OUTPUTS = 4
_ICE_LINES = 15
_MAX_EXAMPLES = 5
_WATERFALL_SHARES = 9
_METHODS = {
    "trees": "exact (paths through the trees)",
    "linear": "exact (linear model)",
    "sum": "exact (sum of the members')",
    "constant": "exact (the model is constant)",
    "sampled": "sampled",
}


def explanations(document: ModelEvaluation) -> Html:
    """Return everything that was found out about the reasons of answers."""
    found = document.explanations
    if found is None:
        return absent(document, "explanations")
    parts = []
    if found.attributions is not None:
        parts.append(_attributions(found.attributions))
    if found.importance:
        parts.append(_importance(found.importance, document.performance.primary_metric))
    if found.dependence:
        shown = found.dependence[:_MAX_CURVES]
        parts.append(
            part(
                "Along one column",
                element(
                    "p",
                    "The mean score if every row had this value, all else as it is (partial dependence), with the "
                    "lines of single rows behind it.",
                ),
                *(_dependence(each, at) for at, each in enumerate(shown)),
                only_first(len(shown), len(found.dependence), "columns"),
                pointer="/explanations/dependence",
            )
        )
    if found.pairs:
        pairs = found.pairs[:_MAX_PAIRS]
        parts.append(
            part(
                "Two columns together",
                *(_pair(each, at) for at, each in enumerate(pairs)),
                only_first(len(pairs), len(found.pairs), "pairs"),
                pointer="/explanations/pairs",
            )
        )
    if found.examples:
        examples = found.examples[:_MAX_EXAMPLES]
        parts.append(
            part(
                "Single rows",
                *(_example(each, at) for at, each in enumerate(examples)),
                only_first(len(examples), len(found.examples), "rows"),
                pointer="/explanations/examples",
            )
        )
    if found.counterfactuals:
        searches = found.counterfactuals[:_MAX_EXAMPLES]
        parts.append(
            part(
                "What would have to be different",
                *(_counterfactuals(document, each, at) for at, each in enumerate(searches)),
                only_first(len(searches), len(found.counterfactuals), "searches"),
                pointer="/explanations/counterfactuals",
            )
        )
    return section(document, "explanations", *parts)


def _attributions(found: GlobalAttributions) -> Html:
    gap = maybe(found.largest_gap, reason=found.gap_reason)
    told = (
        f"Shapley values of {rows(found.n_rows)}, {_METHODS.get(found.method, found.method)}, on the model's raw scale "
        f"({found.scale}). The largest difference between a score and what its shares add up to: {gap}."
    )
    if found.sampled_because:
        told += f" Sampled because {found.sampled_because.rstrip('.')}."
    if found.sampling_error is not None:
        told += f" Sampling error of a share: {number(found.sampling_error)}."
    shown = found.ranking[:_MAX_COLUMNS]
    outputs = found.outputs[:_MAX_OUTPUTS]
    return part(
        "What matters to the model",
        element("p", told, class_="note"),
        interval_chart(
            "shap-chart",
            "Mean absolute share of each column",
            "How much a column moves the raw score, up or down, on average over the rows.",
            [Row(each.name, [each.mean_absolute]) for each in shown],
            axis=f"mean absolute share of the raw score ({found.scale})",
            bars=True,
        ),
        only_first(len(shown), len(found.ranking), "columns"),
        *(_output(each, at, len(found.outputs), found.scale) for at, each in enumerate(outputs)),
        only_first(len(outputs), len(found.outputs), "outputs"),
        pointer="/explanations/attributions",
    )


def _output(found: OutputAttribution, at: int, n_outputs: int, scale: str) -> Html:
    of = f" for {cell(found.output)}" if n_outputs > 1 or cell(found.output) != "value" else ""
    columns = found.columns[:_SWARM_COLUMNS]
    lines = [
        [each.name, interval(each.mean_absolute), number(each.mean), interval(each.direction)]
        for each in found.columns[:_MAX_COLUMNS]
    ]
    levels = [
        [f"{column.name} = {cell(level.level)}", count(level.n_rows), number(level.mean)]
        for column in columns
        for level in column.levels[:10]
    ]
    return join(
        [
            beeswarm(
                f"swarm-{at}",
                f"Shares of single rows{of}",
                "One point for a row: to the right, the column raises the score. The shape and colour tell where the "
                "row's value lies among the column's numbers; categories are all drawn as the middle third.",
                columns,
                axis=f"share of the raw score ({scale})",
                n_points=_SWARM_POINTS,
            ),
            more(
                f"Direction of each column{of}",
                table(
                    f"Columns{of}: direction near +1, more of it raises the score; near \u22121, it lowers it",
                    ["column", "mean absolute share", "mean share", "direction"],
                    lines,
                    numeric=(1, 2, 3),
                ),
                table(
                    f"Categories{of}, up to ten of each column",
                    ["category", "rows", "mean share"],
                    levels,
                    numeric=(1, 2),
                ),
            ),
        ]
    )


def _importance(found: Sequence[GroupImportance], metric: str) -> Html:
    once = "one repeat has no spread"
    lines = [
        Row(
            " + ".join(each.names),
            [Interval(value=each.mean, low=each.low, high=each.high, reason="" if each.low is not None else once)],
            note=""
            if each.association is None
            else f"shuffled together: associated at least {number(each.association)}",
        )
        for each in found[:_MAX_COLUMNS]
    ]
    members = [
        [f"{member.name} (of {listed(each.names)})", number(member.mean), number(member.std)]
        for each in found
        if len(each.names) > 1
        for member in each.members
    ]
    return part(
        "What the model relies on",
        interval_chart(
            "importance-chart",
            "Permutation importance",
            f"Loss in {metric_name(metric)} when a column's values are shuffled among the rows. Columns that go with "
            "each other are shuffled together: alone, each can seem unimportant because the other stands in for it.",
            lines,
            axis=f"loss in {metric_name(metric)}",
            bars=True,
        ),
        only_first(min(len(found), _MAX_COLUMNS), len(found), "groups of columns"),
        table("Members of the groups, shuffled alone", ["column", "loss", "spread"], members, numeric=(1, 2)),
        pointer="/explanations/importance",
    )


def _point(point: GridPoint) -> str:
    return f"{cell(point.value)}*" if point.thin else cell(point.value)


def _dependence(found: PartialDependence, at: int) -> Html:
    numbers = [point.value for point in found.grid if isinstance(point.value, (int, float))]
    along = Along(
        found.name,
        [_point(point) for point in found.grid],
        numbers if found.kind == "numeric" and len(numbers) == len(found.grid) and len(numbers) > 1 else None,
        notes={"rows near it": [f"{count(point.n_rows)} ({percent(point.share)})" for point in found.grid]},
    )
    notes = f"On {count(found.n_rows)} of {rows(found.n_table_rows)}."
    if any(point.thin for point in found.grid):
        notes += " A star in the table marks a value with fewer than ten rows behind it."
    if found.rows_beyond_grid:
        notes += f" {rows(found.rows_beyond_grid)} with rarer values are left out."
    one = len(found.curves) == 1
    drawn = []
    for order, curve in enumerate(found.curves[:_MAX_OUTPUTS]):
        of = "" if one and cell(curve.output) == "value" else f" of {cell(curve.output)}"
        drawn.append(
            line_chart(
                f"dependence-{at}-{order}",
                f"Score{of} along {found.name}",
                notes,
                along,
                [Curve("mean score", curve.mean)],
                axis=f"score{of}",
                thin=curve.ice[:_ICE_LINES],
            )
        )
    return join([*drawn, only_first(len(drawn), len(found.curves), "outputs")])


def _pair(found: PartialDependenceOfTwo, at: int) -> Html:
    first, second = found.names
    drawn = []
    for order, each in enumerate(found.interactions[:_MAX_OUTPUTS]):
        alone = len(found.interactions) == 1 and cell(each.output) == "value"
        of = "" if alone else f" of {cell(each.output)}"
        drawn.append(
            heat_chart(
                f"pair-{at}-{order}",
                f"Mean score{of} by {first} and {second}",
                f"Friedman's H, 0 if the two effects add up and 1 if neither exists without the other: "
                f"{maybe(each.h.value, reason=each.h.reason)}. The second line in a cell is its number of rows.",
                (first, [_point(point) for point in found.grids[0]]),
                (second, [_point(point) for point in found.grids[1]]),
                each.mean,
                notes=[[count(n) for n in line] for line in found.n_rows_in_cell],
            )
        )
    return join([*drawn, only_first(len(drawn), len(found.interactions), "outputs")])


def _example(found: LocalExplanation, at: int) -> Html:
    title = f"Row {count(found.row)}: score {number(found.score)}"
    if cell(found.output) != "value":
        title += f" for {cell(found.output)}"
    return waterfall(
        f"example-{at}",
        title,
        "From the mean over all rows (base), each column's value moves the raw score up (to the right) or down.",
        found,
        n_shares=_WATERFALL_SHARES,
    )


def _counterfactuals(document: ModelEvaluation, found: CounterfactualSearch, at: int) -> Html:
    wanted = _wanted(document, found)
    if not found.found:
        return part(
            f"Search {at + 1}: {wanted}",
            element("p", f"Nothing was found, because {found.reason.rstrip('.')}.", class_="note"),
            pointer=f"/explanations/counterfactuals/{at}",
            level=4,
        )
    lines = [
        [
            f"way {order + 1}",
            "; ".join(f"{change.name}: {cell(change.before)} to {cell(change.after)}" for change in each.changes),
            listed([number(score) for score in each.scores]),
            number(each.distance),
            number(each.nearest_distance),
        ]
        for order, each in enumerate(found.found)
    ]
    return part(
        f"Search {at + 1}: {wanted}",
        element("p", f"The row scores {listed([number(score) for score in found.scores])}."),
        table(
            f"Changes that reach it (search {at + 1}), the cheapest first",
            ["way", "what changes", "new score", "distance", "distance to the nearest real row"],
            lines,
            numeric=(2, 3, 4),
        ),
        element(
            "p",
            f"{count(found.n_with_outcome)} of {rows(found.n_data)} have the outcome. Changed rows lie no further than "
            f"{number(found.plausible_distance)} from a real one.",
            class_="note",
        ),
        pointer=f"/explanations/counterfactuals/{at}",
        level=4,
    )


def _wanted(document: ModelEvaluation, found: CounterfactualSearch) -> str:
    want, subject = found.wanted, document.subject
    if subject.task == "multiclass" and want.output < len(subject.classes):
        who = f"score of {cell(subject.classes[want.output])}"
    elif subject.task == "binary" and len(subject.classes) == 2:
        who = f"score of {cell(subject.classes[1])}"
    else:
        who = "score"
    bounds = [
        f"at least {given(want.at_least)}" if want.at_least is not None else "",
        f"at most {given(want.at_most)}" if want.at_most is not None else "",
        "the highest of all" if want.most_probable else "",
    ]
    return f"{who} {listed([bound for bound in bounds if bound], 'as it is')}"
