"""One evaluation of one model version: the document behind the report, the card and the evidence.

It is data only. Each section is what the noun file of its name answered; a section that was not computed is None, and
``not_done`` says why. Numbers are named by JSON pointers (RFC 6901) into this document wherever words are made of them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from arkwright.contracts.signature import Label, TaskType
from arkwright.evaluation.attribution_summary import GlobalAttributions, LocalExplanation
from arkwright.evaluation.behaviour import BehaviourReport
from arkwright.evaluation.calibration import (
    BrierDecomposition,
    CalibrationError,
    CalibrationLine,
    MulticlassCalibration,
    ReliabilityCurve,
)
from arkwright.evaluation.comparison import ModelComparison
from arkwright.evaluation.counterfactual import CounterfactualSearch
from arkwright.evaluation.decision import Recommendation, VersionDecision
from arkwright.evaluation.definition_of_done import DefinitionOfDone
from arkwright.evaluation.fairness import FairnessReport
from arkwright.evaluation.fairness_at_threshold import FairnessAtThreshold
from arkwright.evaluation.forecast_errors import ErrorDependence, ErrorGrowth, NaiveForecast, TimeSpan
from arkwright.evaluation.forecast_steps import Spacing
from arkwright.evaluation.forecasting import ForecastReport
from arkwright.evaluation.importance import GroupImportance
from arkwright.evaluation.intervals import FoldSpread, Interval
from arkwright.evaluation.latency import LatencyProfile, LatencyRequirement
from arkwright.evaluation.mitigation import MitigationReport
from arkwright.evaluation.optimisation_hints import OptimisationHints
from arkwright.evaluation.partial_dependence import PartialDependence, PartialDependenceOfTwo
from arkwright.evaluation.proxies import ProxyReport
from arkwright.evaluation.recalibration import CalibrationComparison
from arkwright.evaluation.regulation import RegulatoryReport
from arkwright.evaluation.report import EvaluationReport
from arkwright.evaluation.resources import CpuUse, InstanceRecommendation, MemoryUse, ModelSize
from arkwright.evaluation.robustness import RobustnessReport
from arkwright.evaluation.slices import WeakSlices
from arkwright.evaluation.thresholds import ThresholdChoice

FORMAT = "arkwright.evaluation/1"

SectionName = Literal[
    "performance",
    "weak_slices",
    "calibration",
    "fairness",
    "robustness",
    "operation",
    "explanations",
    "behaviour",
    "challenge",
    "forecast",
]
SECTIONS: tuple[SectionName, ...] = (
    "performance",
    "weak_slices",
    "calibration",
    "fairness",
    "robustness",
    "operation",
    "explanations",
    "behaviour",
    "challenge",
)
"""The sections in the order in which they are computed and read."""

ON_REQUEST: tuple[SectionName, ...] = ("forecast",)
"""Sections that are computed after the others where somebody asked for them; elsewhere nothing is said of them."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The model version that was evaluated.

    ``lineage`` is what the bundle's manifest says of its origin: run, dataset version, code, seed.
    """

    model_name: str
    model_version_id: str
    version: str
    number: int
    bundle_digest: str
    task: TaskType
    target: str
    inputs: tuple[str, ...]
    classes: tuple[Label, ...] = ()
    learner: str = ""
    description: str = ""
    lineage: dict[str, str] = {}


class DataUsed(msgspec.Struct, frozen=True, kw_only=True):
    """The rows it was evaluated on.

    Attributes
    ----------
    basis
        ``holdout``: rows that were kept out of training. ``given``: rows somebody gave; whether the model has seen them
        is not known. ``training``: the dataset version it was trained on, so that it has seen most of them.
    n_rows, n_rows_used
        In the data, and with a usable target.
    rows_by_section
        For a section that works on a sample, how many rows it took.
    no_people
        Why no groups of people need to be compared, as somebody stated it; empty where nobody did.
    """

    name: str
    basis: Literal["holdout", "given", "training"]
    n_rows: int
    n_rows_used: int
    dataset_version_id: str = ""
    fingerprint: str = ""
    sensitive: tuple[str, ...] = ()
    rows_by_section: dict[str, int] = {}
    no_people: str = ""
    notes: tuple[str, ...] = ()


class CalibrationSection(msgspec.Struct, frozen=True, kw_only=True):
    """Whether scores are probabilities, and which threshold to decide by.

    Here and in the next sections, ``notes`` say what was assumed, and why a part is missing.
    """

    curve: ReliabilityCurve | None = None
    error: CalibrationError | None = None
    brier: BrierDecomposition | None = None
    line: CalibrationLine | None = None
    multiclass: MulticlassCalibration | None = None
    methods: CalibrationComparison | None = None
    threshold: ThresholdChoice | None = None
    notes: tuple[str, ...] = ()


class FairnessSection(msgspec.Struct, frozen=True, kw_only=True):
    """For whom it works; ``status`` is the worst of fairness and regulation.

    ``at_threshold`` is the audit at the threshold that was chosen, where that decides otherwise than the one in use.
    """

    status: Literal["Pass", "Warning", "Fail"]
    report: FairnessReport
    proxies: tuple[ProxyReport, ...] = ()
    mitigation: tuple[MitigationReport, ...] = ()
    regulation: RegulatoryReport | None = None
    at_threshold: FairnessAtThreshold | None = None
    notes: tuple[str, ...] = ()


class OperationSection(msgspec.Struct, frozen=True, kw_only=True):
    """How fast, how large and how dear it is; measured on the machine that evaluated it."""

    latency: LatencyProfile
    requirement: LatencyRequirement
    size: ModelSize
    memory: MemoryUse
    cpu: CpuUse
    instance: InstanceRecommendation
    hints: OptimisationHints
    machine: str = ""
    notes: tuple[str, ...] = ()


class ExplanationSection(msgspec.Struct, frozen=True, kw_only=True):
    """Why it answers as it does."""

    attributions: GlobalAttributions | None = None
    importance: tuple[GroupImportance, ...] = ()
    dependence: tuple[PartialDependence, ...] = ()
    pairs: tuple[PartialDependenceOfTwo, ...] = ()
    examples: tuple[LocalExplanation, ...] = ()
    counterfactuals: tuple[CounterfactualSearch, ...] = ()
    notes: tuple[str, ...] = ()


class ChallengeSection(msgspec.Struct, frozen=True, kw_only=True):
    """The version beside another one, on the same rows; ``hypothesis`` is what it was meant to show, as stated.

    ``seen`` says why the other version may have been trained on these rows; empty where it was not.
    """

    baseline: Subject
    seen: str = ""
    hypothesis: str = ""
    comparison: ModelComparison
    recommendation: Recommendation
    version: VersionDecision
    notes: tuple[str, ...] = ()


class ForecastSection(msgspec.Struct, frozen=True, kw_only=True):
    """How good it is as a forecast of time-ordered rows.

    Attributes
    ----------
    time, series
        The columns that were named; ``series`` is empty where there is one series.
    season, horizon
        In steps, as they were given.
    first, last, n_steps
        The times that were evaluated.
    spacing, every
        How steps were counted, and how far apart two are; see :mod:`arkwright.evaluation.forecast_steps`.
    report
        The metrics. Of very many series the worst are listed.
    against_training
        ``1 - MASE``: the share by which it errs less than the seasonal naive forecast did in training.
    naive
        The seasonal naive forecast on the same rows.
    spans, growth
        The errors over time.
    bias
        Mean of truth less answer: above zero, answers are too low.
    dependence
        Whether errors repeat.
    history
        Where earlier values came from; empty where there were none.
    n_seen
        How many evaluated rows the history held too.
    drawn_at_random
        Whether the evaluated rows lie between training rows, which flatters a forecast.
    """

    time: str
    series: str = ""
    season: int
    horizon: int
    first: str
    last: str
    n_steps: int
    spacing: Spacing
    every: str = ""
    report: ForecastReport
    against_training: float | None = None
    naive: NaiveForecast
    spans: tuple[TimeSpan, ...] = ()
    growth: ErrorGrowth
    bias: Interval
    dependence: ErrorDependence
    history: str = ""
    n_seen: int = 0
    drawn_at_random: bool = False
    notes: tuple[str, ...] = ()


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence for people, and the JSON pointers of the numbers in it; ``points`` are listed below it."""

    text: str
    evidence: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


class GoNoGo(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it may go to production.

    Attributes
    ----------
    decision
        ``go``; ``conditional``: after the named points were looked at; ``no-go``.
    confidence
        How much the decision rests on: ``high``, ``medium`` or ``low``; ``confidence_reason`` says why.
    reasons
        What speaks for or against it, the weightiest first.
    """

    decision: Literal["go", "conditional", "no-go"]
    confidence: Literal["high", "medium", "low"]
    confidence_reason: str
    reasons: tuple[Sentence, ...]


class ModelEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found out about a version.

    Attributes
    ----------
    verdict, summary, recommendations, monitoring
        Made from the sections by rule: may it go, what an analyst should know, what to do next, what to watch.
    fold_spread
        The primary metric over the folds of the training's cross-validation, where there was one.
    not_done
        By section, why it is None or incomplete.
    seed, software
        With the data's fingerprint, what is needed to compute it again.
    """

    subject: Subject
    data: DataUsed
    performance: EvaluationReport
    verdict: GoNoGo
    summary: tuple[Sentence, ...]
    recommendations: tuple[Sentence, ...] = ()
    monitoring: tuple[Sentence, ...] = ()
    weak_slices: WeakSlices | None = None
    calibration: CalibrationSection | None = None
    fairness: FairnessSection | None = None
    robustness: RobustnessReport | None = None
    operation: OperationSection | None = None
    explanations: ExplanationSection | None = None
    behaviour: BehaviourReport | None = None
    challenge: ChallengeSection | None = None
    forecast: ForecastSection | None = None
    definition_of_done: DefinitionOfDone | None = None
    fold_spread: FoldSpread | None = None
    not_done: dict[str, str] = {}
    seed: int = 0
    software: dict[str, str] = {}
    format: str = FORMAT
