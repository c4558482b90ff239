"""The deployment as a resource, as it is kept in a repository, and the same as a plain request.

::

    apiVersion: arkwright/v1            # aiml024/v1 is read too
    kind: Deployment
    metadata: {name: churn-model}
    spec:
      modelVersionId: mv_123            # or model: telco-churn and version: 2; model alone follows production
      strategy: {type: canary, traffic: {stable: 90, canary: 10}}
      autoscale: {minReplicas: 2, maxReplicas: 10, targetCPUUtilizationPercentage: 60}
      slos: {latencyMsP95: 500, errorRatePct: 1.0}

Without a strategy the version is pinned. With ``canary``, ``shadow`` or ``blueGreen`` it is the candidate beside the
model's production version; with ``ab`` each arm names its own. Durations are written ``60s``, ``5m``, ``1h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.core.units import parse_duration_seconds

DEFAULT_STEPS = (10.0, 100.0)
DEFAULT_PAUSE_SECONDS = 300.0
# 95th percentiles in ms: what an endpoint of a class promises unless it says otherwise.
LATENCY_CLASSES = {"tabular-fast": 120.0, "standard": 500.0, "vision": 800.0, "llm": 3000.0}
API_VERSIONS = ("arkwright/v1", "aiml024/v1")
TYPES = {
    "pinned": "pinned",
    "canary": "canary",
    "shadow": "shadow",
    "bluegreen": "blue_green",
    "blue_green": "blue_green",
    "ab": "ab",
    "a/b": "ab",
}
_TOP = {"apiVersion", "kind", "metadata", "spec"}
_SUBJECT = {"modelVersionId": "model_version_id", "model": "model", "version": "version"}
_AUTOSCALE = {
    "minReplicas": "min_replicas",
    "maxReplicas": "max_replicas",
    "targetCPUUtilizationPercentage": "target_cpu_utilization_percentage",
}
_SLOS = {
    "class": "latency_class",
    "latencyMsP95": "latency_ms_p95",
    "latencyMsP99": "latency_ms_p99",
    "errorRatePct": "error_rate_pct",
}
_LIMITS = {
    "requestsPerSecond": "requests_per_second",
    "burst": "burst",
    "timeoutMs": "timeout_ms",
    "maxRows": "max_rows",
}
_LOG = {"samplePercent": "sample_percent", "redact": "redact"}
_FALLBACK = {"previous": "previous", "constant": "constant"}
_PARTS = {"autoscale": _AUTOSCALE, "slos": _SLOS, "limits": _LIMITS, "log": _LOG, "fallback": _FALLBACK}
_SPEC = {*_SUBJECT, *_PARTS, "strategy", "projectId", "cacheSeconds"}
_ANALYSIS = {
    "interval": "interval_seconds",
    "minRequests": "min_requests",
    "maxErrorRatePct": "max_error_rate_pct",
    "latencyMsP95": "latency_ms_p95",
    "latencyMsP99": "latency_ms_p99",
    "minAgreementPct": "min_agreement_pct",
    "maxScoreDifference": "max_score_difference",
    "confidence": "confidence",
}
_METRIC = {
    "name": "name",
    "maxWorse": "max_worse",
    "minOutcomes": "min_outcomes",
    "higherIsBetter": "higher_is_better",
}
_ARM = {"name": "name", "percent": "percent", "modelVersionId": "model_version_id", "version": "version"}
_PLAIN = {"percent": "percent", "unit": "unit", "salt": "salt", "autoPromote": "auto_promote"}
_DEFAULT = object()  # a step that states no pause of its own
_STRATEGY = {"type", "traffic", "steps", "pause", "percent", "arms", "unit", "salt", "analysis", "autoPromote"}


def is_resource(body: object) -> bool:
    """Tell whether a request is written as a resource."""
    return isinstance(body, Mapping) and ("kind" in body or "apiVersion" in body)


def as_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource as the plain request that means the same.

    Examples
    --------
    >>> request = as_request({"apiVersion": "arkwright/v1", "kind": "Deployment", "metadata": {"name": "churn"},
    ...     "spec": {"modelVersionId": "mv_1", "strategy": {"type": "canary", "traffic": {"canary": 5},
    ...                                                     "steps": [50, 100], "pause": "5m"}}})
    >>> request["strategy"]
    {'type': 'canary', 'steps': [5, 50, 100], 'pause_seconds': 300.0, 'model_version_id': 'mv_1'}

    Raises
    ------
    ValueError
        If it is no such resource; the message names the member.
    """
    _known(body, _TOP, "")
    if body.get("apiVersion") not in API_VERSIONS:
        raise ValueError(f"apiVersion must be {API_VERSIONS[0]!r}, not {body.get('apiVersion')!r}")
    if body.get("kind") != "Deployment":
        raise ValueError(f"kind must be 'Deployment', not {body.get('kind')!r}")
    metadata = _mapping(body, "metadata", {"name"})
    spec = _mapping(body, "spec", _SPEC)
    request: dict[str, Any] = {"name": metadata.get("name", "")}
    request.update(_subject(spec))
    for member, names in _PARTS.items():
        if member in spec:
            given = _mapping(spec, member, set(names), "spec.")
            request[member] = {names[name]: value for name, value in given.items()}
    for member, name in (("projectId", "project_id"), ("cacheSeconds", "cache_seconds")):
        if member in spec:
            request[name] = spec[member]
    return request


def _subject(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what answers: a pinned version, a followed model, or a candidate beside production."""
    named = {name: str(spec[key]) for key, name in _SUBJECT.items() if key in spec}
    if "strategy" not in spec:
        return named
    strategy = _strategy(_mapping(spec, "strategy", _STRATEGY, "spec."))
    if strategy["type"] in ("pinned", "ab"):
        return {**named, **({} if strategy["type"] == "pinned" else {"strategy": strategy})}
    if "model_version_id" in named:
        strategy["model_version_id"] = named.pop("model_version_id")
    elif "version" in named:
        strategy["version"] = named.pop("version")
    else:
        raise ValueError("spec.modelVersionId is missing: a candidate is a version")
    return {**named, "strategy": strategy}


def _strategy(given: Mapping[str, Any]) -> dict[str, Any]:
    kind = TYPES.get(str(given.get("type", "")).lower())
    if kind is None:
        raise ValueError(
            f"spec.strategy.type must be canary, shadow, blueGreen, ab or pinned, not {given.get('type')!r}"
        )
    strategy: dict[str, Any] = {"type": kind, **_stepwise(given)}
    strategy |= {name: given[member] for member, name in _PLAIN.items() if member in given}
    if "arms" in given:
        strategy["arms"] = [
            {name: str(value) if name == "version" else value for name, value in arm.items()}
            for arm in _renamed_list(given["arms"], _ARM, "spec.strategy.arms")
        ]
    if "analysis" in given:
        strategy["analysis"] = _analysis(given)
    return strategy


def _stepwise(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps and their pauses, as far as they are given."""
    steps, pauses = _steps(given)
    if "traffic" in given:
        first = _canary_share(given)
        if not steps or steps[0] != first:
            steps = [first, *(steps or [100])]
            pauses = [_DEFAULT, *(pauses or [_DEFAULT])]
    found: dict[str, Any] = {"steps": steps} if steps else {}
    if "pause" in given:
        found["pause_seconds"] = _pause(given["pause"])
    elif any(pause is not _DEFAULT for pause in pauses):
        found["pause_seconds"] = [DEFAULT_PAUSE_SECONDS if pause is _DEFAULT else pause for pause in pauses]
    return found


def _steps(given: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the shares, and the pauses of those steps that state one."""
    found = given.get("steps", [])
    if not isinstance(found, list) or (not found and "steps" in given):
        raise ValueError("spec.strategy.steps must be a list of one step or more")
    shares: list[Any] = []
    pauses: list[Any] = []
    for index, step in enumerate(found):
        if isinstance(step, Mapping):
            where = f"spec.strategy.steps[{index}]."
            _known(step, {"percent", "pause"}, where)
            if "percent" not in step:
                raise ValueError(f"{where}percent is missing")
            shares.append(step["percent"])
            pauses.append(_duration(step["pause"], f"{where}pause") if "pause" in step else _DEFAULT)
        else:
            shares.append(step)
            pauses.append(_DEFAULT)
    return shares, pauses


def _canary_share(given: Mapping[str, Any]) -> int | float:
    traffic = _mapping(given, "traffic", {"stable", "canary"}, "spec.strategy.")
    share = traffic.get("canary", 10)
    stable = traffic.get("stable", 100 - share if isinstance(share, int | float) else None)
    if not isinstance(share, int | float) or not isinstance(stable, int | float) or share + stable != 100:
        raise ValueError("spec.strategy.traffic: stable and canary must be numbers that add up to 100")
    return share


def _analysis(given: Mapping[str, Any]) -> dict[str, Any]:
    found = _mapping(given, "analysis", {*_ANALYSIS, "metrics"}, "spec.strategy.")
    analysis = {name: found[key] for key, name in _ANALYSIS.items() if key in found}
    if "interval_seconds" in analysis:
        analysis["interval_seconds"] = _duration(analysis["interval_seconds"], "spec.strategy.analysis.interval")
    if "metrics" in found:
        analysis["metrics"] = _renamed_list(found["metrics"], _METRIC, "spec.strategy.analysis.metrics")
    return analysis


def _pause(value: object) -> float | list[float | None] | None:
    where = "spec.strategy.pause"
    if isinstance(value, list):
        return [_duration(each, where) for each in value]
    return _duration(value, where)


def _duration(value: object, where: str) -> float | None:
    """Read a duration in seconds; ``manual`` and null are None, a pause that somebody ends."""
    if value is None or value == "manual":
        return None
    if value in (0, "0", "0s"):
        return 0.0
    try:
        return parse_duration_seconds(value)  # type: ignore[arg-type]
    except Invalid as error:
        raise ValueError(f"{where}: {error.detail}") from error


def _renamed_list(found: object, names: Mapping[str, str], where: str) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        raise ValueError(f"{where} must be a list")  # noqa: TRY004 - pydantic reads ValueError
    for index, item in enumerate(found):
        if not isinstance(item, Mapping):
            raise ValueError(f"{where}[{index}] must be an object")  # noqa: TRY004 - pydantic reads ValueError
        _known(item, set(names), f"{where}[{index}].")
    return [{names[name]: value for name, value in item.items()} for item in found]


def _mapping(body: Mapping[str, Any], member: str, known: set[str], where: str = "") -> Mapping[str, Any]:
    found = body.get(member, {})
    if not isinstance(found, Mapping):
        raise ValueError(f"{where}{member} must be an object")  # noqa: TRY004 - pydantic reads ValueError
    _known(found, known, f"{where}{member}.")
    return found


def _known(found: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(str(name) for name in set(found) - known)
    if unknown:
        raise ValueError(f"{where}{unknown[0]} is not known; there are {', '.join(sorted(known))}")
