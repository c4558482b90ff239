"""What a training is going to do, decided from the dataset version before anything is trained.

The plan is JSON, so that a training that was interrupted goes on with the very same one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.automl.objective import resolve_objective
from arkwright.automl.problem import Problem
from arkwright.automl.splits import FoldNumbers, assign_rows, default_folds
from arkwright.automl.task import ColumnType, RequestedTask, TaskDecision, detect_task, encode_target
from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.features import FeatureDecision

_BALANCED = {"class_weight", "balanced"}


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a training needs to know besides the rows themselves.

    Parameters
    ----------
    columns
        What became of every column but the target, and why.
    n_rows, n_training, n_holdout
        Rows with a target, and how they were split.
    notes
        Sentences for a person about what was decided.
    """

    decision: TaskDecision
    columns: tuple[FeatureDecision, ...]
    problem: Problem
    n_rows: int
    n_training: int
    n_holdout: int
    notes: tuple[str, ...]

    @property
    def signature(self) -> Signature:
        """The signature of the model to come."""
        aside = [column for column in self.columns if not column.used]
        return Signature(
            task=self.decision.task,
            target=self.decision.target,
            columns=self.problem.columns,
            classes=self.decision.classes,
            identifiers=tuple(column.name for column in aside if column.kind == "identifier"),
            ignored=(
                *(column.name for column in aside if column.kind != "identifier"),
                self.decision.target,
            ),
        )


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the experiment asks for, defaults filled in later."""

    target: str
    column_type: ColumnType
    task: RequestedTask = "auto"
    objective: str = ""
    folds: int | None = None
    stratified: bool | None = None
    seed: int = 42
    balanced: bool = False
    positive_class: Label | None = None


@dataclass(frozen=True)
class PlannedRows:
    """A plan, and what it says about each row: those that have a target, its number, and the fold."""

    plan: TrainingPlan
    rows: npt.NDArray[np.int64]
    target: npt.NDArray[np.float64]
    folds: FoldNumbers


def make_plan(request: Request, columns: Sequence[FeatureDecision], labels: npt.NDArray[Any]) -> PlannedRows:
    """Decide task, objective, inputs, holdout and folds.

    Parameters
    ----------
    labels
        The target column, every row of the dataset.

    Raises
    ------
    Invalid
        If the target, the objective or the columns make training impossible.
    """
    decision = detect_task(
        request.target,
        labels,
        column_type=request.column_type,
        requested=request.task,
        positive_class=request.positive_class,
    )
    used = [column for column in columns if column.used]
    if not used:
        reasons = "; ".join(f"{column.name}: {column.reason}" for column in columns[:5])
        raise Invalid(
            f"No column is left to predict {request.target!r} from.",
            code="experiment.no_features",
            hint=f"Every column was set aside ({reasons}). Override one with config.feature_types.",
        )
    objective = resolve_objective(request.objective, decision.task)
    rows, target = encode_target(labels, decision)
    n_folds = request.folds or default_folds(rows.size)
    stratify = decision.task != "regression" and request.stratified is not False
    folds = assign_rows(rows.size, n_folds=n_folds, seed=request.seed, codes=target if stratify else None)
    plan = TrainingPlan(
        decision=decision,
        columns=tuple(columns),
        problem=Problem(
            task=decision.task,
            n_classes=len(decision.classes),
            columns=tuple(column.column for column in used),
            metric=objective.metric.name,
            direction=objective.metric.direction,
            n_folds=n_folds,
            seed=request.seed,
            balanced=request.balanced and decision.task != "regression",
        ),
        n_rows=int(rows.size),
        n_training=int(np.count_nonzero(folds >= 0)),
        n_holdout=int(np.count_nonzero(folds < 0)),
        notes=tuple(_notes(decision, columns, request)),
    )
    return PlannedRows(plan, rows, target, folds)


def wants_balance(imbalance: Mapping[str, Any]) -> bool:
    """Read ``config.imbalance``.

    Raises
    ------
    Invalid
        If it asks for a method that this engine does not have.

    Examples
    --------
    >>> wants_balance({"method": "class_weight"}), wants_balance({})
    (True, False)
    """
    unknown = sorted(imbalance.keys() - {"method"})
    if unknown:
        raise Invalid(
            f"The imbalance setting {unknown[0]!r} is not known.",
            code="experiment.imbalance",
            hint="Write config.imbalance as {'method': 'class_weight'}, or leave it out.",
        )
    method = imbalance.get("method")
    if method in (None, "none"):
        return False
    if isinstance(method, str) and method in _BALANCED:
        return True
    raise Invalid(
        f"The imbalance method {method!r} is not available.",
        code="experiment.imbalance",
        hint="Use 'class_weight', which makes every class count the same, or 'none'.",
    )


def default_model_name(experiment_name: str) -> str:
    """Return a name the registry takes, as close to the experiment's as possible.

    Examples
    --------
    >>> default_model_name("telco/churn: Churn")
    'telco-churn- Churn'
    """
    cleaned = re.sub(r"[^A-Za-z0-9._ -]", "-", experiment_name).lstrip("._- ").rstrip()[:120]
    return cleaned if cleaned and cleaned != "generate" else "model"


def _notes(decision: TaskDecision, columns: Sequence[FeatureDecision], request: Request) -> list[str]:
    notes = [f"Task: {decision.task}, because {decision.reason}."]
    if decision.task == "binary":
        notes.append(f"Positive class: {decision.classes[1]!r}, because {decision.positive_reason}.")
    if decision.n_missing:
        notes.append(f"{decision.n_missing} rows have no value of {decision.target!r} and were left out.")
    notes.extend(
        f"Set aside {column.name!r} ({column.kind}): {column.reason}." for column in columns if not column.used
    )
    if request.balanced and decision.task == "regression":
        notes.append("imbalance.method has no meaning for a regression and was not used.")
    return notes


prepared(TrainingPlan)
