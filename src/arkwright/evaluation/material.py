"""What a version is examined with and how: the rows, the model, and how many of the rows each section takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from arkwright.bundles import Predictor
from arkwright.contracts import Signature
from arkwright.contracts.signature import ColumnKind, Label, TaskType
from arkwright.core.errors import AdapterError, ArkwrightError, Invalid, Unavailable
from arkwright.evaluation.classification import classification_replicates
from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.declared_slices import DeclaredSlice
from arkwright.evaluation.forecast_timeline import Timeline
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.model_evaluation import SectionName, Subject
from arkwright.evaluation.personal_columns import Semantics
from arkwright.evaluation.regression import regression_metrics
from arkwright.evaluation.regulation import Purpose
from arkwright.evaluation.report import PRIMARY_METRIC
from arkwright.evaluation.resources import InstanceType
from arkwright.evaluation.retraining import KeptTraining
from arkwright.evaluation.scored_table import Columns, Predict, n_rows_of, sample_rows, take
from arkwright.evaluation.thresholds import Costs
from arkwright.evaluation.training_effort import TrainingEffort

Profile = Literal["quick", "full"]
Given = ParamSpec("Given")
Part = TypeVar("Part")

ALL = 2**62
ROWS: dict[Profile, dict[SectionName, int]] = {
    "full": {
        "performance": ALL,
        "weak_slices": 200_000,
        "calibration": 100_000,
        "fairness": 200_000,
        "robustness": 2_000,
        "operation": 10_000,
        "explanations": 5_000,
        "behaviour": 10_000,
        "challenge": 200_000,
        "forecast": ALL,
    },
    "quick": {
        "performance": ALL,
        "weak_slices": 20_000,
        "calibration": 20_000,
        "fairness": 50_000,
        "robustness": 500,
        "operation": 1_000,
        "explanations": 500,
        "behaviour": 1_000,
        "challenge": 20_000,
        "forecast": ALL,
    },
}
"""At most so many rows, by section. Metrics are computed on all rows; the rest asks about means and shares, which a
seeded sample of this size tells well enough, or asks the model many times for each row."""

RESAMPLES: dict[Profile, int] = {"full": DEFAULT_RESAMPLES, "quick": 200}


NOT_COMPUTED = "not computed."
"""How a note about a missing part begins, after the part's name."""


class NotComputed(Invalid):
    """A section cannot be computed; ``detail`` says why in words for a reader."""

    code = "evaluation.not_computed"


@dataclass(frozen=True)
class Baseline:
    """The version to compare with: it answers the same rows; ``seen`` says why it may have been trained on them.

    ``effort`` is what its training took, None where that is not known.
    """

    subject: Subject
    signature: Signature
    predict: Predict
    sizes: Mapping[str, int] = field(default_factory=dict)
    predictor: Predictor | None = None
    seen: str = ""
    effort: TrainingEffort | None = None


@dataclass(frozen=True)
class Material:
    """What a version is examined with.

    Attributes
    ----------
    signature, predict
        Of the version. ``predict`` scores a table of inputs: shape (n, 1) for binary (P(positive)) and regression,
        (n, n_classes) for multiclass.
    columns
        The inputs of the evaluated rows, each of shape (n_rows,). More columns do no harm.
    truth
        Class codes in the order of the signature's classes, or values, shape (n_rows,); only rows with a usable target.
    reference_scores
        What the trivial model answers for these rows, or one row of it for all.
    sensitive
        Columns that say who a row is about, each of shape (n_rows,); they need not be inputs.
    slice_columns
        Columns that the declared slices go by, each of shape (n_rows,); they need not be inputs.
    training
        Rows the model was trained on (a sample will do); what is usual is learnt from them.
    retraining
        Such rows with their outcome, and the learner, where it can be trained again.
    predictor
        Of a compiled bundle; None for a model that runs in a process of its own.
    load
        Loads the model from nothing and returns its ``predict``: for the cold start.
    sizes
        Bytes by file of the bundle.
    learner
        The learning algorithm, as the subject names it.
    effort
        What its training took; None where that is not known.
    behaviour
        The text of the behaviour tests (YAML), or empty.
    baseline
        The version to compare with.
    timeline
        Where the rows are in time, for those who asked to see a forecast in them.
    purpose, solely_automated, gives_reasons, semantics
        What is known of its use, for the regulatory flags.
    prices
        Machines and what they cost; empty: the example prices, and a note says so.
    machine
        Where it is measured, in words.
    """

    signature: Signature
    predict: Predict
    columns: Columns
    truth: npt.NDArray[Any]
    reference_scores: FloatArray
    sensitive: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    slice_columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    training: Columns | None = None
    retraining: KeptTraining | None = None
    predictor: Predictor | None = None
    load: Callable[[], Predict] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    learner: str = ""
    effort: TrainingEffort | None = None
    behaviour: str = ""
    baseline: Baseline | None = None
    timeline: Timeline | None = None
    purpose: Purpose = "unknown"
    solely_automated: bool | None = None
    gives_reasons: bool | None = None
    semantics: Mapping[str, Semantics] | None = None
    prices: tuple[InstanceType, ...] = ()
    machine: str = ""

    @property
    def inputs(self) -> dict[str, npt.NDArray[Any]]:
        """Those of the columns that the model reads, in the signature's order; an absent optional one is empty."""
        return _inputs(self.signature, self.columns, int(self.truth.size))

    @property
    def background(self) -> dict[str, npt.NDArray[Any]]:
        """The training rows' inputs; those of the evaluated rows where no training rows are known."""
        if self.training is None:
            return self.inputs
        return _inputs(self.signature, self.training, n_rows_of(self.training))


@dataclass(frozen=True)
class Options:
    """How it is examined.

    Attributes
    ----------
    profile
        ``quick`` takes fewer rows and resamples and leaves out what takes long; ``full`` does everything.
    n_resamples
        Wanted bootstrap resamples, None: by profile; fewer are drawn where rows are very many.
    primary_metric
        None: the task's own.
    costs
        What a wrong decision costs; None: the threshold of Youden is named, and both errors cost the same.
    favourable
        The class that is good for the person; None: the positive class of a binary model, none of a multiclass one.
    latency_limit_ms, wanted_per_second
        What is asked of it in operation.
    sensitive_bins
        By numeric sensitive column, the edges of its groups, or how many quantile groups; quartiles by default.
    limits
        What counterfactuals may not change. Sensitive columns are always fixed.
    slices
        Rows that are to be measured by themselves.
    hypothesis, guardrails, criteria, margin, minimum_improvement
        For the comparison with a baseline: see :mod:`arkwright.evaluation.decision`.
    max_rows
        By section, instead of :data:`ROWS`.
    """

    seed: int = 0
    profile: Profile = "full"
    n_resamples: int | None = None
    primary_metric: str | None = None
    costs: Costs | None = None
    favourable: Label | None = None
    latency_limit_ms: float | None = None
    wanted_per_second: float = 10.0
    sensitive_bins: Mapping[str, Sequence[float] | int] = field(default_factory=dict)
    limits: tuple[ColumnLimit, ...] = ()
    slices: tuple[DeclaredSlice, ...] = ()
    hypothesis: str = ""
    guardrails: tuple[Guardrail, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    margin: float = 0.0
    minimum_improvement: float = 0.0
    max_rows: Mapping[SectionName, int] = field(default_factory=dict)

    @property
    def resamples(self) -> int:
        """How many bootstrap resamples to ask for."""
        return self.n_resamples or RESAMPLES[self.profile]

    def metric_of(self, signature: Signature) -> str:
        """Return the primary metric of a model.

        Raises
        ------
        NotComputed
            If the one asked for is none of its task's.
        """
        metric = self.primary_metric or PRIMARY_METRIC[signature.task]
        known = metrics_of_task(signature.task)
        if metric not in known:
            raise NotComputed(
                f"{metric!r} is not a metric of a {signature.task} problem.", hint=f"It has: {', '.join(known)}."
            )
        return metric


@dataclass(frozen=True)
class Sample:
    """The rows a section works on: which of the material's they are, and their cells, truth and scores."""

    rows: npt.NDArray[np.intp]
    inputs: dict[str, npt.NDArray[Any]]
    truth: npt.NDArray[Any]
    scores: FloatArray


class Parts:
    """The parts of one section, each on its own: what one cannot do is noted, and the others go on."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def take(self, what: str, part: Callable[Given, Part], *args: Given.args, **kwargs: Given.kwargs) -> Part | None:
        """Return a part, or None with a note where what it was given does not allow it."""
        try:
            return part(*args, **kwargs)
        except (Unavailable, AdapterError):
            raise  # worth another attempt, and says nothing about the model
        except ArkwrightError as error:
            self.notes.append(f"{what}: {NOT_COMPUTED} {error.detail}")
            return None


def rows_used(name: SectionName, material: Material, options: Options) -> int:
    """Answer how many rows a section works on: all, or a seeded sample of so many.

    Examples
    --------
    >>> from arkwright.contracts import Signature
    >>> many = Material(Signature(task="regression", target="y", columns=()), lambda t: np.zeros((1, 1)), {},
    ...     np.zeros(1_000_000), np.zeros((1, 1)))
    >>> [rows_used(name, many, Options()) for name in ("performance", "fairness", "robustness")]
    [1000000, 200000, 2000]
    """
    limit = options.max_rows.get(name, ROWS[options.profile][name])
    if name == "challenge" and material.timeline is not None:
        limit = ALL  # a step between two that are left out would count as their neighbour
    return int(min(material.truth.size, limit))


def sample_of(name: SectionName, material: Material, options: Options) -> Sample:
    """Score the rows of a section.

    Raises
    ------
    NotComputed
        If there is no row, or an answer is not a finite number.
    """
    if material.truth.size == 0:
        raise NotComputed("There is no row to evaluate on.", hint="Give rows with a usable target.")
    rows = sample_rows(material.truth.size, rows_used(name, material, options), seed=options.seed)
    whole = rows.size == material.truth.size
    inputs = material.inputs if whole else take(material.inputs, rows)
    return Sample(rows, inputs, material.truth[rows], scores_on(material.predict, inputs, rows))


def scores_on(predict: Predict, inputs: Columns, rows: npt.NDArray[np.intp], *, who: str = "The model") -> FloatArray:
    """Score rows and refuse answers that are no numbers, naming the rows.

    Raises
    ------
    NotComputed
        If an answer is not a finite number.
    """
    scores = np.asarray(predict(inputs), dtype=np.float64)
    scores = scores.reshape(len(scores), -1)
    broken = ~np.isfinite(scores).all(axis=1)
    if broken.any():
        raise NotComputed(
            f"{who} answers no finite number for {int(broken.sum()):,} of {rows.size:,} rows, the first of them row "
            f"{int(rows[np.argmax(broken)]):,} (counted from 0).",
            hint="Find out which input makes it do so: leave such rows out, or fill the input.",
        )
    return scores


def metrics_of_task(task: TaskType) -> tuple[str, ...]:
    """Name the metrics a report of the task has.

    Examples
    --------
    >>> metrics_of_task("regression")[:2]
    ('rmse', 'mae')
    """
    if task == "regression":
        line = np.array([0.0, 1.0])
        return tuple(regression_metrics(line, line))
    n_classes = 2 if task == "binary" else 3
    codes = np.arange(n_classes, dtype=np.int64)
    return tuple(classification_replicates(codes, np.eye(n_classes))(np.ones(n_classes)))


def _inputs(signature: Signature, columns: Columns, n_rows: int) -> dict[str, npt.NDArray[Any]]:
    absent = [column.name for column in signature.columns if column.required and column.name not in columns]
    if absent:
        raise Invalid(
            f"The data has no column {', '.join(map(repr, absent))}, which the model reads.",
            code="evaluation.missing_column",
            hint="Give the rows with every required column of the model's signature.",
        )
    empty: dict[ColumnKind, npt.NDArray[Any]] = {
        "numeric": np.full(n_rows, np.nan),
        "categorical": np.full(n_rows, None, dtype=object),
        "time": np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]"),
    }
    found = {column.name: np.asarray(columns.get(column.name, empty[column.kind])) for column in signature.columns}
    uneven = [name for name, values in found.items() if values.shape != (n_rows,)]
    if uneven:
        raise Invalid(
            f"Column {uneven[0]!r} has shape {found[uneven[0]].shape} for {n_rows:,} rows.",
            code="evaluation.rows",
            hint="Give one cell per row in every column, and one true value per row.",
        )
    return found
