"""The version as a forecast: scaled errors, the naive forecast beside it, and the errors over time and by series."""

from __future__ import annotations

from arkwright.core.written_numbers import counted
from arkwright.evaluation.forecast_errors import Change, ErrorDependence, NaiveForecast, Outcome
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ForecastSection, ModelEvaluation
from arkwright.evaluation.report_page.accuracy import metric_title
from arkwright.evaluation.report_page.layout import Tone, absent, facts, mark, more, part, section, table
from arkwright.evaluation.report_page.line_chart import Along, Curve, line_chart
from arkwright.evaluation.report_page.markup import Html, element
from arkwright.evaluation.report_page.wording import (
    capital,
    count,
    interval,
    maybe,
    number,
    plain,
    probability,
    rows,
)

_NAMES = {
    "mase": "MASE: mean absolute error, scaled",
    "rmsse": "RMSSE: root mean squared error, scaled",
    "smape": "sMAPE: symmetric mean absolute percentage error, from 0 to 2",
    "mae": "MAE: mean absolute error",
    "rmse": "RMSE: root mean squared error",
}
_OUTCOME: dict[Outcome, Tone] = {
    "better": "good",
    "worse": "bad",
    "no clear difference": "note",
    "not computable": "unknown",
}
_CHANGE: dict[Change, Tone] = {
    "grows": "warning",
    "falls": "good",
    "no clear change": "note",
    "not computable": "unknown",
}


def forecast(document: ModelEvaluation) -> Html:
    """Return the section; nothing where nobody asked for it."""
    found = document.forecast
    if found is None:
        return absent(document, "forecast") if "forecast" in document.not_done else Html("")
    return section(
        document,
        "forecast",
        element("p", mark("Flattered", "warning"), ": the rows lie between rows it was trained on.")
        if found.drawn_at_random
        else None,
        _what(found),
        _metrics(found),
        _naive(found.naive, found.report.n_series),
        _over_time(found),
        _repeating(found.bias, found.dependence, found.season),
        _series(found),
    )


def _what(found: ForecastSection) -> Html:
    apart = found.every or {"text": "not known: times are texts", "uneven": "not even: a step is a row"}.get(
        found.spacing, ""
    )
    return facts(
        [
            ("Time", f"{found.time}, from {found.first} to {found.last}"),
            ("Series", f"{count(found.report.n_series)}, told apart by {found.series}" if found.series else "one"),
            ("Steps", f"{count(found.n_steps)} evaluated; apart: {apart}"),
            ("Season", counted(found.season, "step") if found.season > 1 else "none"),
            ("Answers are made", f"{counted(found.horizon, 'step')} ahead"),
            ("Training values", found.history or "none at hand"),
        ]
    )


def _metrics(found: ForecastSection) -> Html:
    report = found.report
    lines = [
        [_NAMES.get(name, metric_title(name)), interval(value), count(report.n_defined[name])]
        for name, value in report.pooled.items()
    ]
    drawn = {
        "series": "Intervals resample whole series, which takes them as independent of each other.",
        "blocks of steps": f"Intervals resample blocks of {count(report.block_steps)} neighbouring steps.",
        "none": "There are too few series and steps to resample, so there are no intervals.",
    }[report.resampling]
    return part(
        "Metrics of the forecast",
        element(
            "p",
            "Each is the mean over series; lower is better. A scaled error of 1 is what repeating the season before "
            f"got wrong in training; errors in the target's unit only say something of series that share it. {drawn}",
            class_="note",
        ),
        table(
            f"Errors on {rows(report.n_rows)}",
            ["metric", "value (95 % interval)", "series that have it"],
            lines,
            numeric=(1, 2),
            pointers=[f"/forecast/report/pooled/{name}" for name in report.pooled],
        ),
        pointer="/forecast/report",
    )


def _naive(found: NaiveForecast, n_series: int) -> Html:
    title, pointer = "Beside the seasonal naive forecast", "/forecast/naive"
    before = f"the value of {counted(found.lag, 'step')} before"
    if not found.n_rows:
        return part(
            title, element("p", f"It repeats {before}. It is not computable, because {found.reason}."), pointer=pointer
        )
    pairs = [
        ("Mean absolute error", found.model_mae, found.mae),
        ("Root mean squared error", found.model_rmse, found.rmse),
    ]
    lines = [[name, maybe(ours), maybe(theirs)] for name, ours, theirs in pairs]
    tests = [
        [
            f"{capital(each.loss)} error",
            number(each.test.mean_difference),
            maybe(each.test.statistic, reason=each.test.reason),
            maybe(each.p_adjusted, probability, each.test.reason),
            count(each.test.n_steps),
            counted(each.test.horizon, "step"),
            mark(capital(each.outcome), _OUTCOME[each.outcome]),
        ]
        for each in found.tests
    ]
    over = f", the geometric mean over {count(found.n_series)} series" if n_series > 1 else ""
    return part(
        title,
        element("p", f"It repeats {before}, on the {rows(found.n_rows)} for which that is known."),
        element("p", f"The model's mean absolute error as a share of its{over}: {interval(found.relative_mae)}."),
        table("Both on the same rows", ["error", "model", "seasonal naive"], lines, numeric=(1, 2)),
        table(
            "Diebold-Mariano tests",
            ["loss", "naive less model", "statistic", "adjusted p", "steps", "dependent over", "the model is"],
            tests,
            numeric=(1, 2, 3, 4, 5),
        ),
        element(
            "p",
            "With the small-sample correction of Harvey, Leybourne and Newbold; p is adjusted for both losses (Holm).",
            class_="note",
        ),
        pointer=pointer,
    )


def _over_time(found: ForecastSection) -> Html:
    growth, spans = found.growth, found.spans
    curves = [Curve("model", [_plain(each.mae) for each in spans])]
    if any(each.naive_mae is not None for each in spans):
        curves.append(Curve("seasonal naive", [_plain(each.naive_mae) for each in spans]))
    return part(
        "Errors over time",
        element(
            "p",
            "From the earlier half of the steps to the later one, which begins at ",
            f"{growth.later_from or 'no time that is known'}, the mean absolute error: ",
            mark(capital(growth.outcome), _CHANGE[growth.outcome]),
            f". Later as a share of earlier: {interval(growth.ratio)}.",
        ),
        line_chart(
            "forecast-chart",
            "Mean absolute error over time",
            "Each point is a span of neighbouring steps and stands where it begins; lower is better.",
            Along(
                "from",
                [each.first for each in spans],
                notes={
                    "to": [each.last for each in spans],
                    "rows": [count(each.n_rows) for each in spans],
                    "mean of truth minus answer": [number(each.bias) for each in spans],
                },
                joined=True,
            ),
            curves,
            axis="mean absolute error",
            floor=0.0,
        ),
        pointer="/forecast/growth",
    )


def _plain(value: float | None) -> Interval:
    if value is None:
        return Interval(value=None, low=None, high=None, reason="the value before is not known for some of the rows")
    return Interval(value=value, low=None, high=None)


def _repeating(bias: Interval, found: ErrorDependence, season: int) -> Html:
    none = "too few rows have that step before them"
    tested = f"not tested, because {found.reason}"
    if found.p_value is not None:
        least = f"(least adjusted p: {probability(found.p_value)})"
        tested = f"{count(found.n_dependent)} of {count(found.n_tested)} series {least}"
    return part(
        "Do the errors repeat",
        facts(
            [
                ("Mean of truth minus answer", f"{interval(bias)}; above zero, answers are too low"),
                ("Autocorrelation at the step before", maybe(found.lag_1, reason=none)),
                (
                    "Autocorrelation at the season before",
                    maybe(found.lag_season, reason=none) if season > 1 else None,
                ),
                ("Errors depend on each other (Ljung-Box)", tested),
            ]
        ),
        pointer="/forecast/dependence",
    )


def _series(found: ForecastSection) -> Html | None:
    report = found.report
    if report.n_series == 1:
        return None
    names = list(report.pooled)
    lines = [
        [str(each.series), count(each.n_rows), *(_cell(each.metrics[name]) for name in names)] for each in report.series
    ]
    of = f" of {count(report.n_series)}" if len(lines) < report.n_series else ""
    return part(
        "Series by series",
        more(
            f"{count(len(lines))}{of} series",
            table(
                "Errors by series",
                ["series", "rows", *(_NAMES.get(name, plain(name)).partition(":")[0] for name in names)],
                lines,
                numeric=range(1, len(names) + 2),
            ),
        ),
        pointer="/forecast/report/series",
    )


def _cell(found: Interval) -> str:
    """Write a number and its bounds; why there are none stands once above the table."""
    if found.value is not None and found.low is None:
        return number(found.value)
    return interval(found)
