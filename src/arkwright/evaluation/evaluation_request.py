"""What an evaluation is asked to look at, and what can be refused before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np

from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.errors import columns_unknown, target_missing
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.personal_columns import Semantics
from arkwright.evaluation.regulation import Purpose
from arkwright.evaluation.report import PRIMARY_METRIC, score_metric
from arkwright.evaluation.thresholds import Costs


class CardStatements(msgspec.Struct, frozen=True, kw_only=True):
    """What only people can say of a model, for its card; empty where nobody said."""

    primary_uses: tuple[str, ...] = ()
    primary_users: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    developers: tuple[str, ...] = ()
    license: str = ""
    contact: str = ""


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation to be computed; see :class:`arkwright.evaluation.payloads.CreateEvaluation`.

    A version is named by ``model_version_id``, or by ``model`` and ``version`` (a number, a semantic version, an id, a
    stage, or empty for the newest). Without data the rows that were kept at its training are taken.
    """

    model_version_id: str = ""
    model: str = ""
    version: str = ""
    dataset_version_id: str = ""
    upload_id: str = ""
    sensitive: tuple[str, ...] = ()
    sensitive_bins: dict[str, list[float] | int] = {}
    profile: Literal["quick", "full"] = "full"
    baseline_version_id: str = ""
    behaviour: str = ""
    costs: Costs | None = None
    favourable: Label | None = None
    primary_metric: str = ""
    latency_limit_ms: float | None = None
    wanted_per_second: float = 10.0
    purpose: Purpose = "unknown"
    solely_automated: bool | None = None
    gives_reasons: bool | None = None
    semantics: dict[str, Semantics] = {}
    immutable: tuple[str, ...] = ()
    hypothesis: str = ""
    guardrails: tuple[Guardrail, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    stated: CardStatements = CardStatements()
    seed: int = 0
    notes: tuple[str, ...] = ()


def question_of(signature: Signature) -> tuple[Any, ...]:
    """Return what must be the same of two versions that are compared."""
    return signature.task, signature.target, signature.classes


def metrics_of(signature: Signature) -> list[str]:
    """Return the names of the metrics that a report of such a model has.

    Examples
    --------
    >>> metrics_of(Signature(task="regression", target="y", columns=()))
    ['mse', 'rmse', 'mae', 'r2', 'mape']
    """
    n = max(len(signature.classes), 2)
    scores = np.eye(n) if signature.task == "multiclass" else np.linspace(0.1, 0.9, n)[:, None]

    def has(name: str) -> bool:
        try:
            score_metric(signature.task, name, np.arange(n, dtype=np.float64), scores)
        except KeyError:
            return False
        return True

    return [name for name in METRICS if has(name)]


def check_columns(request: EvaluationRequest, signature: Signature, columns: Sequence[str]) -> None:
    """Check that data with these columns has what the evaluation needs.

    Raises
    ------
    Invalid
        If the target, a sensitive column or a required input is missing.
    """
    if signature.target not in columns:
        raise target_missing(signature.target, columns)
    unknown = [name for name in request.sensitive if name not in columns]
    if unknown:
        raise columns_unknown(unknown, columns)
    missing = [column.name for column in signature.columns if column.required and column.name not in columns]
    if missing:
        raise columns_unknown(missing, columns, "input")


def check_options(request: EvaluationRequest, signature: Signature) -> None:
    """Check what can be checked without the rows.

    Raises
    ------
    Invalid
        If an option does not fit the model, or cannot be used at all.
    """
    if signature.task not in PRIMARY_METRIC:
        raise Invalid(
            f"There is no evaluation of {signature.task!r} models yet.",
            code="evaluation.task",
            hint=f"What can be evaluated is {', '.join(PRIMARY_METRIC)}.",
        )
    strangers = sorted(set(request.sensitive_bins) - set(request.sensitive))
    if strangers:
        raise Invalid(
            f"There are bins for {strangers[0]!r}, which is not among the sensitive columns.",
            code="evaluation.bins",
            hint="Name it among them, or leave its bins out.",
        )
    for name, bins in request.sensitive_bins.items():
        rising = isinstance(bins, list) and all(low < high for low, high in pairwise(bins))
        if not (bins >= 2 if isinstance(bins, int) else bins and rising):
            raise Invalid(
                f"The bins of {name!r} cannot be used.",
                code="evaluation.bins",
                hint="Give rising edges, such as [18, 30, 50], or a number of groups from 2.",
            )
    if request.favourable is not None and str(request.favourable) not in {str(label) for label in signature.classes}:
        raise Invalid(
            f"{request.favourable!r} is no class of the model.",
            code="evaluation.favourable",
            hint=f"Its classes are: {', '.join(str(label) for label in signature.classes) or 'none'}.",
        )
    if request.costs is not None and signature.task != "binary":
        raise Invalid(
            "Costs of wrong decisions are for models of two classes.",
            code="evaluation.costs",
            hint="Leave the costs out.",
        )
    _check_metrics(request, signature)
    if request.behaviour:
        from arkwright.evaluation.behaviour_spec import parse_behaviour  # noqa: PLC0415 - needs a YAML reader

        parse_behaviour(request.behaviour)


def _check_metrics(request: EvaluationRequest, signature: Signature) -> None:
    known = metrics_of(signature)
    asked = [request.primary_metric, *(each.metric for each in request.guardrails)]
    asked += [each.metric for each in request.criteria]
    for metric in filter(None, asked):
        if metric not in known:
            raise Invalid(
                f"{metric!r} is no metric of a {signature.task} model.",
                code="evaluation.metric",
                hint=f"Its metrics are: {', '.join(known)}.",
            )


prepared(EvaluationRequest)
