"""What the model withstands: noise, missing cells, extreme values, shifted populations, small changes, strange rows."""

from __future__ import annotations

from arkwright.evaluation.extreme_values import ExtremeValues
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.nearest_flips import NearestFlips
from arkwright.evaluation.out_of_distribution import OutOfDistribution
from arkwright.evaluation.perturbations import MissingPatterns, NoiseCurve
from arkwright.evaluation.rare_slices import RareSlices
from arkwright.evaluation.report_page.accuracy import metric_name, metric_title
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import Tone, absent, mark, missing, more, part, section, table
from arkwright.evaluation.report_page.line_chart import Along, Curve, line_chart
from arkwright.evaluation.report_page.markup import Html, element, paragraphs
from arkwright.evaluation.report_page.wording import (
    capital,
    cell,
    count,
    interval,
    listed,
    maybe,
    not_computable,
    number,
    percent,
    plain,
    rows,
)
from arkwright.evaluation.robustness import RobustnessReport
from arkwright.evaluation.shift import ShiftCase, ShiftTests
from arkwright.evaluation.skill import Degradation

_RATING: dict[str, Tone] = {"Acceptable": "good", "High": "warning", "Excessive": "bad", "Not computable": "unknown"}
_STRANGE = {
    "columns_permuted": "familiar values in combinations of chance",
    "out_of_range": "values far outside the data",
}
_RETAINED = "Skill kept: 100 % is the undisturbed model, 0 % a constant prediction."


def robustness(document: ModelEvaluation) -> Html:
    """Return the score, its parts and the tests behind them."""
    found = document.robustness
    if found is None:
        return absent(document, "robustness")
    clean = maybe(found.clean, reason="the metric is not defined on these rows")
    parts = [
        element(
            "p",
            f"Score: {_score(found.score)}. Sensitivity to disturbance: ",
            mark(found.rating, _RATING[found.rating]),
            ".",
        ),
        element(
            "p",
            f"On {count(found.n_rows)} of {rows(found.n_rows_available)}; undisturbed, the {metric_name(found.metric)} "
            f"is {clean}. The model was asked {count(found.n_calls)} times about {rows(found.n_rows_scored)}.",
            class_="note",
        ),
    ]
    parts += [*_words(found), _parts(found), *_tests(found)]
    if found.not_reached:
        parts.append(part("What there was no time for", paragraphs(found.not_reached)))
    return section(document, "robustness", *parts)


def _words(found: RobustnessReport) -> list[Html]:
    parts = []
    if found.n_rows_unusable:
        named = listed([count(row) for row in found.unusable_rows])
        parts.append(
            element(
                "p",
                mark("Rows without an answer", "warning"),
                f": {rows(found.n_rows_unusable)} left out, the first: {named}.",
            )
        )
    if found.catastrophic:
        parts.append(
            part("What made the model fail", paragraphs(found.catastrophic), pointer="/robustness/catastrophic")
        )
    if found.findings:
        parts.append(part("What was found", paragraphs(found.findings), pointer="/robustness/findings"))
    return parts


def _tests(found: RobustnessReport) -> list[Html]:
    parts = []
    if found.noise is not None:
        parts.append(_noise(found.noise))
    if found.missing is not None:
        parts.append(_missing(found.missing))
    if found.extremes is not None:
        parts.append(_extremes(found.extremes))
    if found.shift is not None:
        parts.append(_shift(found.shift))
    if found.rare is not None:
        parts.append(_rare(found.rare))
    if found.flips is not None:
        parts.append(_flips(found.flips))
    if found.out_of_distribution is not None:
        parts.append(_strange(found.out_of_distribution))
    return parts


def _score(found: Interval) -> str:
    return not_computable(found.reason) if found.value is None else f"{number(found.value)} of 10"


def _plain(value: float | None, reason: str) -> Interval:
    return Interval(value=value, low=None, high=None, reason=reason)


def _parts(found: RobustnessReport) -> Html:
    lines = [
        Row(capital(each.title), [_plain(each.value, each.reason)], note=each.reason or "part of the score")
        for each in found.parts
    ]
    return part(
        "Parts of the score",
        interval_chart(
            "robustness-parts",
            "How much is kept under each disturbance",
            "1: nothing is lost. 0: nothing is left. The score is their mean, from 1 to 10, lowered by failures.",
            lines,
            axis="share kept",
            ceiling=1.0,
            bars=True,
        )
        if lines
        else missing("the score", found.score.reason or "no part was tested"),
        pointer="/robustness/parts",
    )


def _effect(found: Degradation) -> list[str]:
    if found.failure:
        return [mark(f"The model {found.failure}", "bad"), ""]
    return [interval(found.metric), interval(found.retained, as_percent=True)]


def _noise(found: NoiseCurve) -> Html:
    if not found.points:
        why = found.reason or "there was no time for it"
        return part("Noise", missing("the curve", why), pointer="/robustness/noise")
    names = [percent(point.fraction) for point in found.points]
    along = Along(
        "noise in standard deviations of each column",
        names,
        joined=True,
        notes={metric_title(found.metric): [_effect(point.effect)[0] for point in found.points]},
    )
    return part(
        "Noise",
        line_chart(
            "noise-chart",
            "Skill kept under noise",
            f"{_RETAINED} Noise is added to {listed(found.columns)}; the intervals are of {found.n_repeats} draws.",
            along,
            [Curve("skill kept", [point.effect.retained for point in found.points])],
            axis="skill kept",
            as_percent=True,
            floor=0.0,
            ceiling=1.0,
        ),
        pointer="/robustness/noise",
    )


def _missing(found: MissingPatterns) -> Html:
    if not found.cases:
        why = found.reason or "there was no time for it"
        return part("Missing cells", missing("the test", why), pointer="/robustness/missing")
    lines = [[_missing_name(each.pattern, each.column, each.share), *_effect(each.effect)] for each in found.cases]
    drawn = [Row(str(line[0]), [each.effect.retained]) for line, each in zip(lines, found.cases, strict=True)]
    left = f" Not tested: {listed(found.columns_left_out)}." if found.columns_left_out else ""
    return part(
        "Missing cells",
        interval_chart(
            "missing-chart",
            "Skill kept with cells taken away",
            f"{_RETAINED} The column that matters most: {found.most_important or 'not known'}.{left}",
            drawn,
            axis="skill kept",
            as_percent=True,
            ceiling=1.0,
            bars=True,
        ),
        more(
            "The metric itself",
            table(
                "With cells taken away",
                ["what is missing", metric_title(found.metric), "skill kept"],
                lines,
                numeric=(1, 2),
            ),
        ),
        pointer="/robustness/missing",
    )


def _missing_name(pattern: str, column: str | None, share: float) -> str:
    if pattern == "column":
        return f"all of {column}"
    return f"{percent(share)} of {'all cells' if pattern == 'cells' else column or 'the most important column'}"


def _extremes(found: ExtremeValues) -> Html:
    if not found.cases:
        why = found.reason or "there was no time for it"
        return part("Extreme and unknown values", missing("the test", why), pointer="/robustness/extremes")
    survived = maybe(found.share_survived, percent, found.reason)
    unusable = "the model gave no usable answer"
    lines = []
    for each in found.cases:
        if each.failure:
            outcome = mark(f"The model {each.failure}", "bad")
        elif each.runaway:
            outcome = mark("Prediction far outside the target's range", "bad")
        else:
            outcome = mark("Answers", "good")
        flipped = each.share_flipped
        lines.append(
            [
                f"{each.column}: {plain(each.kind)}",
                cell(each.value),
                maybe(each.mean_move, reason=unusable),
                maybe(each.max_move, reason=unusable),
                maybe(flipped, percent, unusable if each.failure else "a number has no label"),
                outcome,
            ]
        )
    left = f" Not tested: {listed(found.columns_left_out)}." if found.columns_left_out else ""
    return part(
        "Extreme and unknown values",
        element(
            "p", f"{survived} of {count(len(found.cases))} cases got a usable answer, on {rows(found.n_rows)}.{left}"
        ),
        more(
            "Every case",
            table(
                "One column set to one value in every row",
                [
                    "column and value",
                    "value",
                    "mean move of the score",
                    "largest move",
                    "labels that change",
                    "outcome",
                ],
                lines,
                numeric=(2, 3, 4),
            ),
        ),
        pointer="/robustness/extremes",
    )


def _shift(found: ShiftTests) -> Html:
    title = "Shifted populations"
    if not found.cases:
        why = found.clean.reason or "nothing could be shifted"
        return part(title, missing("the test", why), pointer="/robustness/shift")
    drawn = [Row(_shift_name(each), [each.effect.retained]) for each in found.cases]
    lines = [
        [
            _shift_name(each),
            f"{_amount(each, each.before)} to {_amount(each, each.after)}",
            *_effect(each.effect),
            interval(each.calibration_error),
            number(each.effective_rows),
        ]
        for each in found.cases
    ]
    headings = ["shift", "from, to", metric_title(found.metric), "skill kept", "calibration error", "effective rows"]
    return part(
        title,
        element(
            "p",
            f"Unshifted: {metric_name(found.metric)} {interval(found.clean)}, calibration error "
            f"{interval(found.clean_calibration_error)}.",
        ),
        interval_chart(
            "shift-chart",
            "Skill kept when the population shifts",
            f"{_RETAINED} Rows are weighted so that a mean or a share moves.",
            drawn,
            axis="skill kept",
            as_percent=True,
            ceiling=1.0,
        ),
        more("Every shift", table("Rows weighted to another population", headings, lines, numeric=(1, 2, 3, 4, 5))),
        pointer="/robustness/shift",
    )


def _shift_name(found: ShiftCase) -> str:
    what = found.along if found.level is None else f"{found.along} = {found.level}"
    return f"{what} {'more' if found.after > found.before else 'less'} ({_amount(found, found.after)})"


def _amount(found: ShiftCase, value: float) -> str:
    return percent(value) if found.kind in {"category", "label"} else number(value)


def _rare(found: RareSlices) -> Html:
    title = "Rare classes and levels"
    if not found.slices:
        why = found.reason or f"no class and no level has fewer than {percent(found.max_share)} of the rows"
        return part(title, element("p", f"None to show: {why}.", class_="note"), pointer="/robustness/rare")
    lines = [
        [
            f"{each.column} = {each.level}",
            f"{count(each.n_rows)} ({percent(each.share)})",
            metric_title(each.metric),
            interval(each.value),
            maybe(each.overall, reason="it is not defined over all rows"),
        ]
        for each in found.slices
    ]
    left = f" {count(found.n_left_out)} more are not shown." if found.n_left_out else ""
    return part(
        title,
        more(
            f"{count(len(found.slices))} rare groups",
            table(
                f"Groups of at most {percent(found.max_share)} of the rows",
                ["group", "rows", "metric", "value (95 % interval)", "over all rows"],
                lines,
                numeric=(1, 3, 4),
            ),
        ),
        element("p", left, class_="note") if left else None,
        pointer="/robustness/rare",
    )


def _flips(found: NearestFlips) -> Html:
    title = "Smallest changes that turn an answer"
    if found.reason:
        return part(title, missing("the search", found.reason), pointer="/robustness/flips")
    lines = [
        [
            f"row {count(each.row)}",
            f"{cell(each.before)} to {cell(each.after)}",
            number(each.distance),
            "; ".join(f"{change.column}: {cell(change.before)} to {cell(change.after)}" for change in each.changes),
        ]
        for each in found.examples
    ]
    return part(
        title,
        element(
            "p",
            f"{count(found.n_flipped)} of {rows(found.n_rows)} flip when at most {found.max_columns} columns change; "
            f"the median distance is {interval(found.median_distance)}, in standard deviations of the columns.",
        ),
        interval_chart(
            "flips-chart",
            "Rows that flip within a distance",
            "The fewer rows flip within a small distance, the less an answer hangs on details.",
            [Row(f"within {number(each.within)}", [each.share]) for each in found.shares],
            axis="share of rows",
            as_percent=True,
            ceiling=1.0,
            bars=True,
        )
        if found.shares
        else None,
        table("The nearest flips", ["row", "answer", "distance", "what changes"], lines, numeric=(2,)),
        paragraphs(found.failures),
        pointer="/robustness/flips",
    )


def _strange(found: OutOfDistribution) -> Html:
    title = "Rows unlike the data"
    if found.reason:
        return part(title, missing("the test", found.reason), pointer="/robustness/out_of_distribution")
    own = [
        "familiar rows",
        "the ones compared with",
        interval(found.share_flagged, as_percent=True),
        interval(found.confidence, as_percent=True),
        interval(found.share_confident, as_percent=True),
    ]
    lines = [own]
    lines += [
        [
            _STRANGE.get(each.kind, plain(each.kind)),
            interval(each.auc),
            interval(each.share_flagged, as_percent=True),
            mark(f"The model {each.failure}", "bad") if each.failure else interval(each.confidence, as_percent=True),
            interval(each.share_confident, as_percent=True),
        ]
        for each in found.strange
    ]
    return part(
        title,
        element(
            "p",
            f"A detector fitted on {rows(found.n_reference)} is judged on {count(found.n_rows)} others. It should flag "
            "strange rows, and the model should be less confident on them.",
        ),
        table(
            "The detector and the model's confidence",
            [
                "rows",
                "detector's AUC (0.5 is blind)",
                "flagged",
                "model's confidence",
                "rows answered with 90 % or more",
            ],
            lines,
            numeric=(1, 2, 3, 4),
        ),
        pointer="/robustness/out_of_distribution",
    )
