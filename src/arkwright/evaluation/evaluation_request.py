"""What an evaluation is asked to look at, and what can be refused before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np

from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.declared_slices import DeclaredSlice, check_slices
from arkwright.evaluation.errors import columns_unknown, target_missing
from arkwright.evaluation.forecast_timeline import ForecastRequest, check_forecast
from arkwright.evaluation.groups import MAX_GROUPS
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
    limits: tuple[ColumnLimit, ...] = ()
    slices: tuple[DeclaredSlice, ...] = ()
    forecast: ForecastRequest | None = None
    no_people: str = ""
    hypothesis: str = ""
    guardrails: tuple[Guardrail, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    margin: float = 0.0
    minimum_improvement: float = 0.0
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
        If the target, a required input, or a column that was named (sensitive, of a slice, of a forecast) is missing.
    """
    if signature.target not in columns:
        raise target_missing(signature.target, columns)
    if signature.target in request.sensitive:
        raise Invalid(
            f"{signature.target!r} is what the model predicts: comparing groups by it says nothing of fairness.",
            code="evaluation.sensitive_target",
            hint="Name the columns that say who a row is about.",
        )
    unknown = [name for name in request.sensitive if name not in columns]
    if unknown:
        raise columns_unknown(unknown, columns)
    unknown = [name for each in request.slices for name in each.where if name not in columns]
    if unknown:
        raise columns_unknown(list(dict.fromkeys(unknown)), columns, "slice")
    unknown = [name for name in (request.forecast.columns if request.forecast else ()) if name not in columns]
    if unknown:
        raise columns_unknown(unknown, columns, "forecast")
    check_semantics(request, signature, columns)
    missing = [column.name for column in signature.columns if column.required and column.name not in columns]
    if missing:
        raise columns_unknown(missing, columns, "input")


def check_semantics(request: EvaluationRequest, signature: Signature, columns: Sequence[str]) -> None:
    """Check that what was said of a column is said of one there is: a misspelt name would go unnoticed.

    Raises
    ------
    Invalid
        If neither the data nor the model has such a column.
    """
    known = {*columns, *(column.name for column in signature.columns)}
    unknown = [name for name in request.semantics if name not in known]
    if unknown:
        raise columns_unknown(unknown, known, "semantics")


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
        listed = bins if isinstance(bins, list) else []
        rising = all(map(math.isfinite, listed)) and all(low < high for low, high in pairwise(listed))
        if not (2 <= bins <= MAX_GROUPS if isinstance(bins, int) else 0 < len(bins) < MAX_GROUPS and rising):
            raise Invalid(
                f"The bins of {name!r} cannot be used.",
                code="evaluation.bins",
                hint=f"Give rising edges, such as [18, 30, 50], or a number of groups from 2 to {MAX_GROUPS}.",
            )
    favourable_class(request.favourable, signature)
    if request.no_people and request.sensitive:
        raise Invalid(
            "Sensitive columns are named, and it is stated that no people are concerned.",
            code="evaluation.no_people",
            hint="Say one of the two.",
        )
    _check_limits(request, signature)
    if request.costs is not None and signature.task != "binary":
        raise Invalid(
            "Costs of wrong decisions are for models of two classes.",
            code="evaluation.costs",
            hint="Leave the costs out.",
        )
    check_metrics(request, signature)
    check_slices(request.slices)
    if request.forecast is not None:
        check_forecast(request.forecast, signature)
    if request.behaviour:
        _check_behaviour(request.behaviour, signature)


def _check_behaviour(text: str, signature: Signature) -> None:
    from arkwright.evaluation.behaviour_spec import parse_behaviour, problems  # noqa: PLC0415 - needs a YAML reader

    errors = [
        {"field": f"tests[{place}]{f'.{field}' if field else ''}", "message": message}
        for place, test in enumerate(parse_behaviour(text).tests)
        for field, message in problems(test, signature)
    ]
    if errors:
        raise Invalid(
            f"The behaviour tests do not fit the model: {errors[0]['field']} {errors[0]['message']}.",
            code="behaviour.unfit",
            hint="A test that cannot run would pass unseen; mend it or leave it out.",
            errors=errors[:20],
        )


def favourable_class(wanted: Label | None, signature: Signature) -> Label | None:
    """Return the model's class that is meant: the same value, or else the one that is written the same way.

    Examples
    --------
    >>> favourable_class("1", Signature(task="binary", target="y", columns=(), classes=(0, 1)))
    1

    Raises
    ------
    Invalid
        If it is no class of the model.
    """
    if wanted is None:
        return None
    # 1 == True in Python, and a class 1 is not a class true.
    same = [label for label in signature.classes if type(label) is type(wanted) and label == wanted]
    same += [label for label in signature.classes if str(label) == str(wanted)]
    if not same:
        raise Invalid(
            f"{wanted!r} is no class of the model.",
            code="evaluation.favourable",
            hint=f"Its classes are: {', '.join(str(label) for label in signature.classes) or 'none'}.",
        )
    return same[0]


def _check_limits(request: EvaluationRequest, signature: Signature) -> None:
    kinds = {column.name: column.kind for column in signature.columns}
    named = [limit.name for limit in request.limits]
    unknown = [name for name in (*named, *request.immutable) if name not in kinds]
    if unknown:
        raise columns_unknown(unknown, list(kinds), "input")
    for limit in request.limits:
        problem = ""
        numeric = limit.direction != "any" or limit.low is not None or limit.high is not None
        if named.count(limit.name) > 1:
            problem = "it has more than one"
        elif kinds[limit.name] == "categorical" and numeric:
            problem = "a category neither rises nor falls; name the levels it may have"
        elif kinds[limit.name] != "categorical" and limit.levels:
            problem = "levels are for categories; give low, high or a direction"
        elif limit.low is not None and limit.high is not None and limit.low > limit.high:
            problem = "low is above high"
        if problem:
            raise Invalid(
                f"The limit of {limit.name!r} cannot be used: {problem}.",
                code="evaluation.limits",
                hint='Write it as {"name": "age", "direction": "up"}, or with fixed, low and high, or levels.',
            )


def check_metrics(request: EvaluationRequest, signature: Signature) -> None:
    """Check that every metric that is named is one of the model's.

    Raises
    ------
    Invalid
        If one is not.
    """
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
