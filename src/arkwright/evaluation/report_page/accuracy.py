"""How good it is: the metrics beside the trivial model's, by class, and where it is weak."""

from __future__ import annotations

from arkwright.evaluation.importance import FeatureImportance
from arkwright.evaluation.intervals import RESAMPLED, Interval
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.report import EvaluationReport, interval_words
from arkwright.evaluation.report_page.heat_chart import heat_chart
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import mark, part, section, table
from arkwright.evaluation.report_page.line_chart import Along, Curve, line_chart
from arkwright.evaluation.report_page.markup import Html, element
from arkwright.evaluation.report_page.wording import (
    capital,
    cell,
    count,
    interval,
    maybe,
    number,
    percent,
    plain,
    rows,
)

_MAX_CLASSES = 12
_BETTER = {"maximize": "higher", "minimize": "lower"}


def metric_name(name: str) -> str:
    """Return a metric's name as people write it in a sentence."""
    return METRICS[name].title if name in METRICS else plain(name)


def metric_title(name: str) -> str:
    """Return a metric's name as people write it in a table."""
    return capital(metric_name(name))


def performance(document: ModelEvaluation) -> Html:
    """Return the metrics and what they are made of."""
    report = document.performance
    beats = report.beats_baseline
    drawn = f" {RESAMPLED[report.resampling]}" if report.resampling is not None else ""
    parts = [
        element(
            "p", mark("Better than the trivial model", "good") if beats.met else mark("Not shown to be better", "bad")
        ),
        element("p", beats.detail),
        element(
            "p",
            f"The trivial model is the {beats.reference} model. Intervals hold the true value in "
            f"{percent(report.level)} of repetitions ({interval_words(report)}, {count(report.n_resamples)} "
            f"resamples{drawn}).",
            class_="note",
        ),
        _metrics(report),
        _metrics_chart(report),
        _folds(document),
    ]
    if report.per_class:
        parts.append(_classes(report))
    if report.confusion is not None:
        parts.append(_confusion(report))
    if report.residuals is not None:
        parts.append(_residuals(report))
    if report.importance and (document.explanations is None or not document.explanations.importance):
        parts.append(importance_chart("first-importance", report.importance, report.primary_metric))
    return section(document, "performance", *parts)


def _metrics(report: EvaluationReport) -> Html:
    lines, pointers = [], []
    for name, value in report.metrics.items():
        known = METRICS.get(name)
        trivial = report.reference.get(name)
        lines.append(
            [
                f"{metric_title(name)}{' (primary)' if name == report.primary_metric else ''}",
                interval(value),
                interval(trivial) if trivial is not None else "not measured",
                _BETTER[known.direction] if known else "not known",
            ]
        )
        pointers.append(f"/performance/metrics/{name}")
    headings = ["metric", "model (95 % interval)", "trivial model (95 % interval)", "better is"]
    return table(f"Metrics on {rows(report.n_rows)}", headings, lines, numeric=(1, 2), pointers=pointers)


def _metrics_chart(report: EvaluationReport) -> Html:
    shares = [
        name
        for name, value in report.metrics.items()
        if name in METRICS
        and METRICS[name].direction == "maximize"
        and (value.value is None or 0 <= value.value <= 1)
        and report.task != "regression"
    ]
    if not shares:
        return Html("")
    lines = [Row(metric_title(name), [report.metrics[name], report.reference.get(name)]) for name in shares]
    return interval_chart(
        "performance-chart",
        "Metrics between 0 and 1, higher is better",
        "Each metric of the model beside the trivial model's, with 95 % intervals.",
        lines,
        axis="value of the metric",
        series=("model", "trivial model"),
        ceiling=1.0,
    )


def _folds(document: ModelEvaluation) -> Html | None:
    found = document.fold_spread
    if found is None:
        return None
    lines = [
        ["mean over the folds", maybe(found.mean, reason=found.reason)],
        ["standard deviation over the folds", maybe(found.std, reason=found.reason)],
        ["standard error of the mean, corrected", maybe(found.corrected_error, reason=found.reason)],
        ["folds", count(found.n_folds)],
        ["folds without a value", count(found.n_undefined)],
    ]
    return part(
        "In cross-validation",
        table(
            f"{metric_title(document.performance.primary_metric)} over the folds of the training",
            ["what", "value"],
            lines,
            numeric=(1,),
        ),
        pointer="/fold_spread",
    )


def _classes(report: EvaluationReport) -> Html:
    lines = [
        [cell(each.label), count(each.n_rows), *(number(value) for value in (each.precision, each.recall, each.f1))]
        for each in report.per_class
    ]
    shown = report.per_class[:_MAX_CLASSES]
    drawn = [
        Row(
            cell(each.label),
            [Interval(value=value, low=None, high=None) for value in (each.precision, each.recall, each.f1)],
        )
        for each in shown
    ]
    return part(
        "By class",
        table("By class", ["class", "rows", "precision", "recall", "F1"], lines, numeric=(1, 2, 3, 4)),
        interval_chart(
            "classes-chart",
            "Precision, recall and F1 by class",
            "Precision: how many of those called so are. Recall: how many of those that are so are called so.",
            drawn,
            axis="share",
            series=("precision", "recall", "F1"),
            ceiling=1.0,
        )
        if len(report.per_class) <= _MAX_CLASSES
        else None,
        pointer="/performance/per_class",
    )


def _confusion(report: EvaluationReport) -> Html:
    confusion = report.confusion
    if confusion is None:
        return Html("")
    names = [cell(label) for label in confusion.labels]
    totals = [sum(line) for line in confusion.matrix]
    shares = [
        [value / total if total else 0.0 for value in line]
        for line, total in zip(confusion.matrix, totals, strict=True)
    ]
    if len(names) > _MAX_CLASSES:
        lines = [[name, *(count(value) for value in line)] for name, line in zip(names, confusion.matrix, strict=True)]
        shown = table("Rows of each class (down) and what they were called (across)", ["class", *names], lines)
    else:
        shown = heat_chart(
            "confusion-chart",
            "Confusion matrix",
            "Rows of each class and what the model called them; the percentage and the shade are of the class's rows.",
            ("in truth", names),
            ("called", names),
            confusion.matrix,
            write=count,
            shade=shares,
            notes=[
                [percent(share) if total else "no rows" for share in line]
                for line, total in zip(shares, totals, strict=True)
            ],
        )
    return part("What is taken for what", shown, pointer="/performance/confusion")


def _residuals(report: EvaluationReport) -> Html:
    found = report.residuals
    if found is None:
        return Html("")
    names = [f"{float(name) * 100:g} %" if _is_share(name) else name for name in found.quantiles]
    values = [Interval(value=value, low=None, high=None) for value in found.quantiles.values()]
    lines = [
        ["mean error (truth minus prediction)", number(found.mean), "above zero: predicts too low on average"],
        ["spread (standard deviation)", number(found.std), "in the unit of the target"],
        ["skewness", number(found.skewness), "0: errors are symmetric"],
        [
            "correlation of the size of errors with the prediction",
            number(found.spread_correlation),
            "far above 0: large predictions miss by more",
        ],
        ["rows with a target of zero", count(found.n_zero_targets), "left out of the percentage error"],
    ]
    return part(
        "Errors",
        table(f"Errors of {report.target}", ["measure", "value", "meaning"], lines, numeric=(1,)),
        line_chart(
            "residuals-chart",
            "Errors from the lowest to the highest",
            "Truth minus prediction at shares of the rows: half of the rows have an error below that at 50 %.",
            Along("share of rows with a smaller error", names),
            [Curve("error", values)],
            axis=f"error, in the unit of {report.target}",
            floor=0.0,
        ),
        pointer="/performance/residuals",
    )


def _is_share(name: str) -> bool:
    return name.replace(".", "", 1).isdigit() and float(name) <= 1


def importance_chart(key: str, found: tuple[FeatureImportance, ...], metric: str) -> Html:
    """Return how much the metric loses when a column is shuffled."""
    lines = [
        Row(each.name, [Interval(value=each.mean, low=each.low, high=each.high, reason="one repeat has no spread")])
        for each in found[:20]
    ]
    return interval_chart(
        key,
        "Permutation importance",
        f"Loss in {metric_name(metric)} when a column's values are shuffled among the rows: the more, the more the "
        "model relies on it.",
        lines,
        axis=f"loss in {metric_name(metric)}",
        bars=True,
    )
