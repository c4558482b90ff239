"""What a gate, a list or a terminal needs to know of an evaluation: the body of its evidence.

It repeats a few numbers of the document and cites the document, the report and the card by their hashes: whoever holds
the evidence can tell that a file is the one it is about.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from arkwright.contracts.signature import Label
from arkwright.core.structs import prepared
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ModelEvaluation

EVIDENCE_KIND = "model_evaluation"
"""The kind of evidence that cites an evaluation."""

_SHOWN: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "log_loss", "accuracy", "precision", "recall", "f1"),
    "multiclass": ("log_loss", "roc_auc_ovr", "accuracy", "f1_macro", "f1_weighted"),
    "regression": ("rmse", "mae", "r2", "mape"),
}


class DisparityHeadline(msgspec.Struct, frozen=True, kw_only=True):
    """One judged measure over the groups of one column; ``lowest`` and ``highest`` are the groups compared."""

    column: str
    measure: str
    title: str
    value: Interval
    threshold: float | None
    verdict: str
    lowest: str = ""
    highest: str = ""


class AuditedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparison of one column's groups ended in.

    ``favourable`` is the class that counted as the good one for people, as text; ``stated`` tells whether somebody said
    so. ``n_groups`` were large enough to be judged.
    """

    column: str
    favourable: str
    stated: bool
    status: str
    n_groups: int
    detail: str = ""


class ForecastHeadline(msgspec.Struct, frozen=True, kw_only=True):
    """The scaled errors of a forecast, and its error as a share of the seasonal naive forecast's on the same rows.

    ``drawn_at_random`` says that the rows lie between training rows, which flatters.
    """

    n_series: int
    season: int
    horizon: int
    metrics: dict[str, Interval]
    relative_mae: Interval
    drawn_at_random: bool = False


class RegulationHeadline(msgspec.Struct, frozen=True, kw_only=True):
    """What the regulatory flags ended in, for which purpose."""

    purpose: str
    status: str
    detail: str = ""


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """The most important findings.

    Attributes
    ----------
    decision, confidence, reasons
        The verdict, and what speaks for or against it in sentences.
    metrics
        The usual metrics of the task with their intervals.
    fairness
        Pass, Warning or Fail; None where no groups were compared. ``disparities`` are its judged measures, ``audited``
        what each column ended in, which later evaluations that leave the column out do not undo.
    forecast
        How good it is as a forecast; None where nobody asked.
    robustness, robustness_rating
        From 1 to 10, and its rating; None where it was not computed.
    latency_p95_ms
        Of one row, warm; None where it was not measured.
    done_percent
        Share of the definition of done that is met.
    compared_with, recommendation
        The version it was compared with, and PROMOTE, ITERATE or REJECT for the experiment.
    version_decision, canary_traffic_percent
        PROMOTE, CANARY, HOLD or REJECT for the way to production, and the share of the traffic for a canary.
    no_people
        Why nobody needs to be compared, as somebody stated it.
    not_done
        By section, why it was not computed.
    """

    model_name: str
    model_version_id: str
    version: str
    decision: Literal["go", "conditional", "no-go"]
    confidence: str
    reasons: tuple[str, ...]
    primary_metric: str
    metrics: dict[str, Interval]
    beats_baseline: bool
    fairness: str | None
    disparities: tuple[DisparityHeadline, ...]
    audited: tuple[AuditedColumn, ...]
    regulation: RegulationHeadline | None
    forecast: ForecastHeadline | None = None
    robustness: Interval | None
    robustness_rating: str
    latency_p95_ms: float | None
    done_percent: int | None
    behaviour_passed: bool | None
    compared_with: str
    recommendation: str
    version_decision: str
    canary_traffic_percent: int | None
    no_people: str
    data: str
    basis: str
    n_rows_used: int
    seed: int
    not_done: dict[str, str]


def headline_of(document: ModelEvaluation, *, favourable: Label | None = None) -> Headline:
    """Take the headline from a document.

    Parameters
    ----------
    favourable
        The class that was said to be good for people; None if nobody said.
    """
    performance, fairness, challenge = document.performance, document.fairness, document.challenge
    shown = dict.fromkeys((performance.primary_metric, *_SHOWN[performance.task]))
    operation, robustness = document.operation, document.robustness
    return Headline(
        model_name=document.subject.model_name,
        model_version_id=document.subject.model_version_id,
        version=document.subject.version,
        decision=document.verdict.decision,
        confidence=document.verdict.confidence,
        reasons=tuple(text for reason in document.verdict.reasons for text in (reason.text, *reason.points)),
        primary_metric=performance.primary_metric,
        metrics={name: performance.metrics[name] for name in shown if name in performance.metrics},
        beats_baseline=performance.beats_baseline.met,
        fairness=fairness.status if fairness else None,
        disparities=tuple(
            DisparityHeadline(
                column=column.column,
                measure=item.name,
                title=item.title,
                value=item.value,
                threshold=item.threshold,
                verdict=item.verdict,
                lowest=item.lowest,
                highest=item.highest,
            )
            for column in (fairness.report.columns if fairness else ())
            if column.judged
            for item in column.disparities
            if item.threshold is not None
        ),
        audited=_audited(document, favourable),
        regulation=_regulation(document),
        forecast=_forecast(document),
        robustness=robustness.score if robustness else None,
        robustness_rating=robustness.rating if robustness else "",
        latency_p95_ms=operation.latency.single_row.p95.value_ms if operation else None,
        done_percent=document.definition_of_done.percent_complete if document.definition_of_done else None,
        behaviour_passed=document.behaviour.passed if document.behaviour else None,
        compared_with=f"{challenge.baseline.model_name} {challenge.baseline.version}" if challenge else "",
        recommendation=challenge.recommendation.outcome if challenge else "",
        version_decision=challenge.version.outcome if challenge else "",
        canary_traffic_percent=challenge.version.canary_traffic_percent if challenge else None,
        no_people=document.data.no_people,
        data=document.data.name,
        basis=document.data.basis,
        n_rows_used=document.data.n_rows_used,
        seed=document.seed,
        not_done=dict(document.not_done),
    )


def _audited(document: ModelEvaluation, favourable: Label | None) -> tuple[AuditedColumn, ...]:
    if document.fairness is None:
        return ()
    subject = document.subject
    assumed = str(subject.classes[-1]) if subject.task == "binary" else ""
    answer = assumed if favourable is None else str(favourable)
    return tuple(
        AuditedColumn(
            column=column.column,
            favourable=answer if column.outcome == "favourable" else column.outcome,
            stated=favourable is not None or subject.task == "regression",
            status=column.status,
            n_groups=sum(not group.small for group in column.groups),
            detail=next((item.text for item in column.findings if item.severity == "fail"), ""),
        )
        for column in document.fairness.report.columns
        if column.judged
    )


def _forecast(document: ModelEvaluation) -> ForecastHeadline | None:
    found = document.forecast
    if found is None:
        return None
    return ForecastHeadline(
        n_series=found.report.n_series,
        season=found.season,
        horizon=found.horizon,
        metrics={name: found.report.pooled[name] for name in ("mase", "rmsse", "smape", "mae", "rmse")},
        relative_mae=found.naive.relative_mae,
        drawn_at_random=found.drawn_at_random,
    )


def _regulation(document: ModelEvaluation) -> RegulationHeadline | None:
    found = document.fairness.regulation if document.fairness else None
    if found is None:
        return None
    # Of the three only the ECOA forbids to decide by a column at all.
    concerns = sorted(
        (flag for flag in found.flags if flag.severity == "concern"), key=lambda x: x.regulation != "ECOA"
    )
    detail = next((f"{flag.regulation} {flag.article}: {flag.title}. {flag.why}" for flag in concerns), "")
    return RegulationHeadline(purpose=found.purpose, status=found.status, detail=detail)


prepared(Headline)
