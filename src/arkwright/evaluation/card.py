"""The model card of a version: the nine sections of Mitchell et al., filled in from its evaluation.

What the evaluation does not know, such as what the model is meant for, is given; what nobody said is called unstated.
Nothing is left out because it is unpleasant, and nothing is written that was not computed or given.

References
----------
Mitchell, Wu, Zaldivar, Barnes, Vasserman, Hutchinson, Spitzer, Raji & Gebru (2019), "Model Cards for Model Reporting",
FAT* '19.
"""

from __future__ import annotations

import msgspec

from arkwright.contracts.signature import Label, TaskType
from arkwright.core.structs import prepared
from arkwright.core.written_numbers import percentage
from arkwright.evaluation.fairness import ColumnFairness
from arkwright.evaluation.intervals import RESAMPLED, Interval
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.model_evaluation import DataUsed, GoNoGo, ModelEvaluation, Sentence
from arkwright.evaluation.report import interval_words

FORMAT = "arkwright.card/1"
_RATES = ("selection_rate", "tpr", "fpr", "accuracy")
_ERRORS = ("mae", "rmse", "mean_residual")
_FIGURES = {
    "selection_rate": "favourable answers given",
    "tpr": "found of those who should get one",
    "fpr": "given to those who should not",
    "accuracy": "right answers",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mean_residual": "mean of truth minus answer",
    "recall": "found",
    "precision": "right when called",
    "f1": "F1",
}
_BOTH = " & "


class IntendedUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the version is meant for, by whom, and what not; empty where nobody said."""

    primary_uses: tuple[str, ...] = ()
    primary_users: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()


class ModelDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is and where it comes from; ``created_at`` is the card's, in RFC 3339."""

    name: str
    version: str
    number: int
    model_version_id: str
    bundle_digest: str
    task: TaskType
    target: str
    classes: tuple[Label, ...]
    inputs: tuple[str, ...]
    learner: str
    description: str
    developers: tuple[str, ...]
    license: str
    contact: str
    created_at: str
    lineage: dict[str, str]


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """By which groups it may differ, and by which it was measured."""

    relevant: tuple[str, ...]
    evaluated: tuple[str, ...]
    reason: str = ""


class CardMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of the model beside the trivial model's."""

    name: str
    title: str
    value: Interval
    trivial: float | None


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """How good it is: the metrics, which decides, how cases are decided, and how sure the numbers are."""

    primary: str
    metrics: tuple[CardMetric, ...]
    decision_threshold: str
    uncertainty: str


class CardGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a table: a group, its size and its figures in the table's order."""

    group: str
    n_rows: int
    figures: tuple[Interval, ...]
    small: bool = False


class CardTable(msgspec.Struct, frozen=True, kw_only=True):
    """Groups beside each other; ``figures`` are the titles of the columns."""

    by: str
    figures: tuple[str, ...]
    groups: tuple[CardGroup, ...]


class Quantitative(msgspec.Struct, frozen=True, kw_only=True):
    """One factor at a time, and two together; the reasons say why there is none."""

    unitary: tuple[CardTable, ...]
    intersectional: tuple[CardTable, ...]
    unitary_reason: str = ""
    intersectional_reason: str = ""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model card; the sections have the names of the paper's, in its order."""

    model_details: ModelDetails
    intended_use: IntendedUse
    factors: Factors
    metrics: Measures
    evaluation_data: DataUsed
    training_data: dict[str, str]
    quantitative_analyses: Quantitative
    ethical_considerations: tuple[str, ...]
    caveats_and_recommendations: tuple[str, ...]
    verdict: GoNoGo
    summary: tuple[Sentence, ...]
    monitoring: tuple[str, ...]
    software: dict[str, str] = {}
    format: str = FORMAT


prepared(ModelCard)


def model_card(
    document: ModelEvaluation,
    *,
    created_at: str,
    intended_use: IntendedUse | None = None,
    developers: tuple[str, ...] = (),
    license: str = "",  # noqa: A002 - the field's word
    contact: str = "",
) -> ModelCard:
    """Fill in a card.

    Parameters
    ----------
    created_at
        When, in RFC 3339.
    license
        As an SPDX or Hugging Face identifier, such as ``apache-2.0``.
    """
    subject = document.subject
    return ModelCard(
        model_details=ModelDetails(
            name=subject.model_name,
            version=subject.version,
            number=subject.number,
            model_version_id=subject.model_version_id,
            bundle_digest=subject.bundle_digest,
            task=subject.task,
            target=subject.target,
            classes=subject.classes,
            inputs=subject.inputs,
            learner=subject.learner,
            description=subject.description,
            developers=developers,
            license=license,
            contact=contact,
            created_at=created_at,
            lineage=subject.lineage,
        ),
        intended_use=intended_use or IntendedUse(),
        factors=_factors(document),
        metrics=_measures(document),
        evaluation_data=document.data,
        training_data=_training(document),
        quantitative_analyses=_quantitative(document),
        ethical_considerations=_ethics(document),
        caveats_and_recommendations=_caveats(document),
        verdict=document.verdict,
        summary=document.summary,
        monitoring=tuple(item.text for item in document.monitoring),
        software=document.software,
    )


def _factors(document: ModelEvaluation) -> Factors:
    weak = document.weak_slices.slices if document.weak_slices else ()
    slices = [" and ".join(f"{each.column} is {each.level}" for each in item.conditions) for item in weak]
    audited = [column.column for column in _judged(document)]
    return Factors(
        relevant=tuple(dict.fromkeys((*document.data.sensitive, *slices))),
        evaluated=tuple(audited),
        reason="" if audited else _why_not(document),
    )


def _measures(document: ModelEvaluation) -> Measures:
    performance = document.performance
    threshold = {
        "binary": "A row is called positive from a score of one half on.",
        "multiclass": "The class with the highest score is the answer.",
        "regression": "The answer is a number; nothing is decided by a threshold.",
    }[document.subject.task]
    # None: from before that was written down, when classes kept their sizes.
    drawn = RESAMPLED[performance.resampling] if performance.resampling else "of the rows"
    choice = document.calibration.threshold if document.calibration else None
    if choice is not None:
        threshold = f"{threshold} {choice.detail}"
    elsewhere = document.fairness.at_threshold if document.fairness else None
    if elsewhere is not None and elsewhere.findings:
        threshold = f"{threshold} {elsewhere.detail}"
    return Measures(
        primary=performance.primary_metric,
        metrics=tuple(
            CardMetric(
                name=name,
                title=METRICS[name].title if name in METRICS else name,
                value=value,
                trivial=performance.reference[name].value if name in performance.reference else None,
            )
            for name, value in (*performance.metrics.items(), *_scaled_errors(document))
        ),
        decision_threshold=threshold,
        uncertainty=(
            f"Intervals hold the true value with {percentage(performance.level)} confidence: "
            f"{interval_words(performance)}, {performance.n_resamples:,} resamples {drawn}, seed {performance.seed}."
            f"{_scaled_uncertainty(document)}"
        ),
    )


def _scaled_errors(document: ModelEvaluation) -> list[tuple[str, Interval]]:
    """Return what a forecast adds to the metrics of a number."""
    found = document.forecast
    return [] if found is None else [(name, found.report.pooled[name]) for name in ("mase", "rmsse", "smape")]


def _scaled_uncertainty(document: ModelEvaluation) -> str:
    resampling = "none" if document.forecast is None else document.forecast.report.resampling
    drawn = {"series": "whole series", "blocks of steps": "blocks of neighbouring steps"}
    return f" Those of the scaled errors resample {drawn[resampling]}." if resampling in drawn else ""


def _training(document: ModelEvaluation) -> dict[str, str]:
    lineage = document.subject.lineage
    known = {key: value for key, value in lineage.items() if value}
    return known or {"origin": "Not stated: the bundle's manifest names no training data."}


def _quantitative(document: ModelEvaluation) -> Quantitative:
    columns = _judged(document)
    regression = document.subject.task == "regression"
    by_class = () if regression else _by_class(document)
    unitary = tuple(_table(column, regression=regression) for column in columns if not _is_pair(column, columns))
    pairs = tuple(_table(column, regression=regression) for column in columns if _is_pair(column, columns))
    return Quantitative(
        unitary=(*by_class, *unitary),
        intersectional=pairs,
        unitary_reason="" if unitary else _why_not(document),
        intersectional_reason="" if pairs else "No two sensitive columns were combined.",
    )


def _by_class(document: ModelEvaluation) -> tuple[CardTable, ...]:
    names = ("recall", "precision", "f1")
    rows = tuple(
        CardGroup(
            group=str(item.label),
            n_rows=item.n_rows,
            figures=tuple(_alone(getattr(item, name), item.n_rows) for name in names),
        )
        for item in document.performance.per_class
    )
    titles = tuple(_FIGURES[name] for name in names)
    return (CardTable(by=f"class of {document.subject.target}", figures=titles, groups=rows),) if rows else ()


def _alone(value: float, n_rows: int) -> Interval:
    if not n_rows:
        return Interval(value=None, low=None, high=None, reason="no row has this class")
    return Interval(value=value, low=None, high=None)


def _table(column: ColumnFairness, *, regression: bool) -> CardTable:
    names = _ERRORS if regression else _RATES
    shown = [name for name in names if column.groups and name in column.groups[0].metrics]
    rows = tuple(
        CardGroup(
            group=group.group,
            n_rows=group.n_rows,
            figures=tuple(group.metrics[name] for name in shown),
            small=group.small,
        )
        for group in column.groups
    )
    answer = "" if column.outcome in ("favourable", "value") else f" (favourable answer: {column.outcome})"
    return CardTable(by=f"{column.column}{answer}", figures=tuple(_FIGURES[name] for name in shown), groups=rows)


def _ethics(document: ModelEvaluation) -> tuple[str, ...]:
    section = document.fairness
    if section is None and document.data.no_people:
        return (f"No groups of people were compared; it was stated that none need to be: {document.data.no_people}",)
    if section is None:
        return (f"Whether it treats groups of people alike is not known. {_why_not(document)}",)
    # First of all: it is what every rate after it is about.
    said = [item.text for item in section.report.assumptions]
    said.append(f"The fairness section ends in {section.status}.")
    if section.at_threshold is not None:
        said += [section.at_threshold.detail, *(item.text for item in section.at_threshold.findings)]
    said += [item.text for item in section.report.findings()]
    said += [text for report in section.proxies for text in report.findings]
    regulation = section.regulation
    if regulation is not None:
        said += [f"{flag.regulation} {flag.article}: {flag.title}. {flag.why}" for flag in regulation.flags]
        said.append(regulation.disclaimer)
    return tuple(dict.fromkeys(said))


def _caveats(document: ModelEvaluation) -> tuple[str, ...]:
    caveats = [*document.data.notes]
    if document.data.basis == "training":
        caveats.append("It was evaluated on the data it was trained on: the numbers flatter it.")
    if document.data.basis == "given":
        caveats.append("It was evaluated on rows that somebody gave; whether it was trained on them is not known.")
    caveats += [
        f"Not computed, or not in full ({name.replace('_', ' ')}): {why}" for name, why in document.not_done.items()
    ]
    if document.robustness is not None:
        caveats += [*document.robustness.catastrophic, *document.robustness.findings]
    return (*dict.fromkeys(caveats), *(item.text for item in document.recommendations))


def _judged(document: ModelEvaluation) -> list[ColumnFairness]:
    return [column for column in document.fairness.report.columns if column.judged] if document.fairness else []


def _is_pair(column: ColumnFairness, columns: list[ColumnFairness]) -> bool:
    names = {each.column for each in columns}
    return any(column.column == f"{one}{_BOTH}{two}" for one in names for two in names)


def _why_not(document: ModelEvaluation) -> str:
    return document.not_done.get("fairness") or "No sensitive column was audited."
