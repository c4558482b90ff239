"""What a search is to make better: ``maximize_f1``, ``minimize_rmse`` and their like (AML-01)."""

from __future__ import annotations

from dataclasses import dataclass

from arkwright.contracts.signature import TaskType
from arkwright.core.errors import Invalid
from arkwright.evaluation import METRICS, PRIMARY_METRIC, MetricInfo

_METRICS: dict[TaskType, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "pr_auc",
        "log_loss",
        "f1",
        "accuracy",
        "precision",
        "recall",
        "f1_macro",
        "f1_weighted",
        "precision_macro",
        "recall_macro",
    ),
    "multiclass": (
        "log_loss",
        "accuracy",
        "f1_macro",
        "f1_weighted",
        "precision_macro",
        "recall_macro",
        "roc_auc_ovr",
        "pr_auc_ovr",
    ),
    "regression": ("rmse", "mae", "r2", "mse", "mape"),
}

_ALIASES = {
    "auc": "roc_auc",
    "roc_auc_score": "roc_auc",
    "average_precision": "pr_auc",
    "auc_pr": "pr_auc",
    "logloss": "log_loss",
    "balanced_accuracy": "recall_macro",
    "precision_recall_auc": "pr_auc",
}

_MULTICLASS_FORM = {
    "roc_auc": "roc_auc_ovr",
    "pr_auc": "pr_auc_ovr",
    "f1": "f1_macro",
    "precision": "precision_macro",
    "recall": "recall_macro",
}


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and the direction that is better.

    Examples
    --------
    >>> resolve_objective("maximize_f1", "multiclass").name
    'maximize_f1_macro'
    """

    metric: MetricInfo

    @property
    def name(self) -> str:
        """As it is written in a request: ``maximize_roc_auc``."""
        return f"{self.metric.direction}_{self.metric.name}"


def resolve_objective(text: str | None, task: TaskType) -> Objective:
    """Read an objective, or return the task's default.

    ``maximize_f1``, ``f1`` and ``maximise_F1`` are the same; in a multiclass task metrics of one positive class
    mean their average over classes.

    Raises
    ------
    Invalid
        If there is no such metric for the task, or the direction is the wrong one.

    Examples
    --------
    >>> [resolve_objective(None, task).name for task in ("binary", "multiclass", "regression")]
    ['maximize_roc_auc', 'minimize_log_loss', 'minimize_rmse']
    """
    if not text:
        return Objective(METRICS[PRIMARY_METRIC[task]])
    direction, name = split_objective(text)
    if task == "multiclass":
        name = _MULTICLASS_FORM.get(name, name)
    if name not in _METRICS[task]:
        raise Invalid(
            f"The objective {text!r} does not fit a {task} task.",
            code="objective.unknown",
            hint="Use one of " + ", ".join(Objective(METRICS[known]).name for known in _METRICS[task]) + ".",
        )
    metric = METRICS[name]
    if direction and direction != metric.direction:
        raise Invalid(
            f"The objective {text!r} would make the model worse: {metric.title} is to be {metric.direction}d.",
            code="objective.direction",
            hint=f"Use {Objective(metric).name!r}.",
        )
    return Objective(metric)


def split_objective(text: str) -> tuple[str, str]:
    """Return the direction, empty if none was written, and the metric's canonical name.

    Examples
    --------
    >>> split_objective("maximise_AUC"), split_objective("rmse")
    (('maximize', 'roc_auc'), ('', 'rmse'))
    """
    words = text.strip().lower().replace("-", "_").replace(" ", "_")
    direction = ""
    for prefix, meaning in (("maximi", "maximize"), ("minimi", "minimize")):
        if words.startswith(prefix):
            direction, words = meaning, words.split("_", 1)[1] if "_" in words else ""
    return direction, _ALIASES.get(words, words)
