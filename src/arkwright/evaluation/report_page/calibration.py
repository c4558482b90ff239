"""Whether a score can be read as a probability, and from which score on to decide."""

from __future__ import annotations

from arkwright.evaluation.calibration import BrierDecomposition, CalibrationError, ReliabilityCurve
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.recalibration import CalibrationComparison
from arkwright.evaluation.report_page.layout import absent, mark, missing, part, section, table
from arkwright.evaluation.report_page.line_chart import Along, Curve, line_chart
from arkwright.evaluation.report_page.markup import Html, element
from arkwright.evaluation.report_page.wording import (
    cell,
    count,
    given,
    interval,
    maybe,
    not_computable,
    number,
    percent,
    plain,
    probability,
    rows,
)
from arkwright.evaluation.thresholds import ThresholdChoice, ThresholdPoint

_CURVE_POINTS = 41
_METHODS = {"none": "as it is", "platt": "Platt (logistic)", "isotonic": "isotonic"}
_NOBODY = "no row is called positive at this threshold"
_NO_POSITIVE = "there are no positive rows"


def calibration(document: ModelEvaluation) -> Html:
    """Return the calibration of the scores and the choice of a threshold."""
    found = document.calibration
    if found is None:
        return absent(document, "calibration")
    parts = []
    if found.error is not None:
        parts.append(_error(found.error, "/calibration/error"))
    if found.curve is not None:
        parts.append(_curve(found.curve))
    if found.brier is not None:
        parts.append(_brier(found.brier))
    if found.line is not None:
        lines = [
            ["slope", interval(found.line.slope), "1; below: scores are too extreme"],
            ["intercept", interval(found.line.intercept), "0"],
            ["intercept with the slope held at 1", interval(found.line.in_the_large), "0; below: scores are too high"],
        ]
        note = f"{rows(found.line.n_moved)} with a score of nearly 0 or 1 moved a little to be computable."
        parts.append(
            part(
                "Line of calibration",
                table(
                    "Logistic line through the outcomes",
                    ["part", "value (95 % interval)", "perfect"],
                    lines,
                    numeric=(1,),
                ),
                element("p", note, class_="note") if found.line.n_moved else None,
                pointer="/calibration/line",
            )
        )
    if found.multiclass is not None:
        several = found.multiclass
        classes = document.subject.classes
        by_class = [
            [
                cell(classes[each.code]) if each.code < len(classes) else f"class {each.code}",
                count(each.n_rows),
                maybe(each.ece, reason=each.reason),
            ]
            for each in several.classes
        ]
        mean = maybe(several.class_wise, reason="no class has rows")
        parts.append(
            part(
                "Over the classes",
                _error(several.top_label, "/calibration/multiclass/top_label", of="of the class called"),
                element("p", f"Mean calibration error over the classes: {mean}."),
                table("Calibration error by class", ["class", "rows", "calibration error"], by_class, numeric=(1, 2)),
                pointer="/calibration/multiclass",
            )
        )
    if found.methods is not None:
        parts.append(_methods(found.methods))
    if found.threshold is not None:
        parts.append(_threshold(found.threshold))
    return section(document, "calibration", *parts)


def _error(found: CalibrationError, pointer: str, *, of: str = "") -> Html:
    agrees = found.p_value >= 0.05
    said = mark("Agrees with perfect calibration", "good") if agrees else mark("Scores are off", "warning")
    lines = [
        ["expected calibration error (ECE)", interval(found.ece), f"{number(found.expected_if_calibrated)} on average"],
        ["largest error of a bin", number(found.mce), ""],
        ["p-value of perfect calibration", probability(found.p_value), "below 0.05: scores are off"],
    ]
    caption = f"Calibration error{f' {of}' if of else ''} on {rows(found.n_rows)}, {found.n_bins} bins"
    return part(
        f"How far scores {of or 'are'} from probabilities" if not of else f"Scores {of}",
        element("p", said),
        table(caption, ["measure", "value (95 % interval)", "if calibrated"], lines, numeric=(1,)),
        pointer=pointer,
        level=4 if of else 3,
    )


def _curve(found: ReliabilityCurve) -> Html:
    filled = [each for each in found.bins if each.mean_score is not None]
    if not filled:
        return part("Reliability curve", missing("the curve", "no bin has rows"), pointer="/calibration/curve")
    along = Along(
        "mean score",
        [number(each.mean_score or 0.0) for each in filled],
        [each.mean_score or 0.0 for each in filled],
        notes={
            "scores from": [number(each.low) for each in filled],
            "to": [number(each.high) for each in filled],
            "rows": [count(each.n_rows) for each in filled],
        },
    )
    empty = len(found.bins) - len(filled)
    return part(
        "Reliability curve",
        line_chart(
            "reliability-chart",
            "Scores against what happened",
            "Of the rows with about the same score, the share that was positive. On the dashed line, scores are "
            "probabilities; below it, scores are too high."
            + (f" {empty} of {len(found.bins)} bins have no rows and are left out." if empty else ""),
            along,
            [Curve("share that was positive", [each.observed for each in filled])],
            axis="share that was positive",
            floor=0.0,
            ceiling=1.0,
            diagonal="perfect calibration",
        ),
        pointer="/calibration/curve",
    )


def _brier(found: BrierDecomposition) -> Html:
    lines = [
        ["Brier score", number(found.brier), "the mean squared error of the scores; less is better"],
        ["= reliability", number(found.reliability), "how far scores are from what happened; less is better"],
        ["\u2212 resolution", number(found.resolution), "how well scores tell rows apart; more is better"],
        ["+ uncertainty", number(found.uncertainty), "of the outcome itself; no model changes it"],
        ["+ within bins", number(found.within_bin), "what the bins hide"],
    ]
    return part(
        "Brier score, taken apart",
        table(f"Murphy's decomposition with {found.n_bins} bins", ["part", "value", "meaning"], lines, numeric=(1,)),
        pointer="/calibration/brier",
    )


def _methods(found: CalibrationComparison) -> Html:
    if found.reason:
        return part("Recalibration", missing("the comparison", found.reason), pointer="/calibration/methods")
    lines = [
        [
            f"{_METHODS[each.method]}{' (recommended)' if each.method == found.recommended else ''}",
            number(each.brier),
            number(each.log_loss),
            number(each.ece),
            interval(each.improvement) if each.method != "none" else "the one compared with",
        ]
        for each in found.methods
    ]
    headings = ["method", "Brier score", "log loss", "calibration error", "fall of the Brier score (95 % interval)"]
    return part(
        "Recalibration",
        element("p", found.detail),
        table(f"Recalibrated on {found.n_folds} folds, judged on the others", headings, lines, numeric=(1, 2, 3, 4)),
        pointer="/calibration/methods",
    )


def _threshold(found: ThresholdChoice) -> Html:
    costs = found.costs
    wanted = f" of {given(found.target)}" if found.target is not None else ""
    gains = [
        f"a hit gains {given(costs.true_positive_benefit)}" if costs.true_positive_benefit else "",
        f"a correct refusal gains {given(costs.true_negative_benefit)}" if costs.true_negative_benefit else "",
    ]
    said = (
        f"Chosen for {plain(found.objective)}{wanted}, on {rows(found.n_rows)}. A false alarm costs "
        f"{given(costs.false_positive)}, a miss {given(costs.false_negative)}"
        f"{''.join(f', {gain}' for gain in gains if gain)}."
    )
    cross = maybe(found.cross_fitted_cost, reason=found.cross_fitted_reason)
    never = not_computable("for these costs one answer for everybody is always cheapest")
    facts = [
        ["threshold", interval(found.threshold)],
        [
            "threshold by theory, right if scores are calibrated",
            never if found.theoretical is None else number(found.theoretical),
        ],
        ["expected cost of a row", interval(found.expected_cost)],
        ["saved against a threshold of one half, on the rows that chose it", interval(found.cost_saved)],
        ["expected cost with the threshold chosen on other rows", cross],
        ["saved with the threshold chosen on other rows", interval(found.cross_fitted_saved)],
    ]
    both = [
        [f"{name} ({number(point.threshold)})", *_outcome(point)]
        for name, point in (("chosen", found.chosen), ("one half", found.at_half))
    ]
    headings = [
        "threshold",
        "hits",
        "false alarms",
        "correct refusals",
        "misses",
        "precision",
        "recall",
        "called positive",
        "cost of a row",
    ]
    return part(
        "Threshold",
        element("p", mark("Met", "good") if found.met else mark("Not met", "warning"), f": {found.detail}"),
        element("p", said, class_="note"),
        table("The choice", ["what", "value (95 % interval)"], facts, numeric=(1,)),
        table("What the thresholds do", headings, both, numeric=range(1, 9)),
        _cost_curve(found),
        pointer="/calibration/threshold",
    )


def _outcome(point: ThresholdPoint) -> list[str]:
    return [
        count(point.true_positives),
        count(point.false_positives),
        count(point.true_negatives),
        count(point.false_negatives),
        maybe(point.precision, percent, _NOBODY),
        maybe(point.recall, percent, _NO_POSITIVE),
        percent(point.selection_rate),
        number(point.expected_cost),
    ]


def _cost_curve(found: ThresholdChoice) -> Html:
    points = [point for point in found.curve if 0 <= point.threshold <= 1]
    if len(points) > _CURVE_POINTS:
        kept = {round(at * (len(points) - 1) / (_CURVE_POINTS - 1)) for at in range(_CURVE_POINTS)}
        chosen = found.chosen.threshold
        points = [point for at, point in enumerate(points) if at in kept or point.threshold == chosen]
    if len(points) < 2:
        return missing("the curve of costs", "all rows have the same score")
    along = Along(
        "threshold",
        [number(point.threshold) for point in points],
        [point.threshold for point in points],
        notes={
            "precision": [maybe(point.precision, percent, _NOBODY) for point in points],
            "recall": [maybe(point.recall, percent, _NO_POSITIVE) for point in points],
            "called positive": [percent(point.selection_rate) for point in points],
        },
    )
    value = found.threshold.value
    return line_chart(
        "cost-chart",
        "Expected cost by threshold",
        "What a row costs on average if rows with at least this score are called positive.",
        along,
        [Curve("expected cost", [Interval(value=point.expected_cost, low=None, high=None) for point in points])],
        axis="expected cost of a row",
        marked=(f"chosen: {number(value)}", value) if value is not None and 0 <= value <= 1 else None,
    )
