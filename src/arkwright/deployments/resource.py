"""The deployment as a resource, as it is kept in a repository, and the same as a plain request.

::

    apiVersion: arkwright/v1            # aiml024/v1 is read too
    kind: Deployment
    metadata: {name: churn-model}
    spec:
      modelVersionId: mv_123            # or model: telco-churn, to follow its production version
      strategy: {type: canary, traffic: {stable: 90, canary: 10}}
      autoscale: {minReplicas: 2, maxReplicas: 10, targetCPUUtilizationPercentage: 60}
      slos: {latencyMsP95: 500, errorRatePct: 1.0}

Without a strategy the version is pinned. With ``canary`` it gets the canary's share, and the model's production
version the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

API_VERSIONS = ("arkwright/v1", "aiml024/v1")
_SPEC = {"modelVersionId", "model", "strategy", "autoscale", "slos", "projectId"}
_AUTOSCALE = {
    "minReplicas": "min_replicas",
    "maxReplicas": "max_replicas",
    "targetCPUUtilizationPercentage": "target_cpu_utilization_percentage",
}
_SLOS = {"latencyMsP95": "latency_ms_p95", "errorRatePct": "error_rate_pct"}


def is_resource(body: object) -> bool:
    """Tell whether a request is written as a resource."""
    return isinstance(body, Mapping) and ("kind" in body or "apiVersion" in body)


def as_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource as the plain request that means the same.

    Examples
    --------
    >>> as_request({"apiVersion": "arkwright/v1", "kind": "Deployment", "metadata": {"name": "churn"},
    ...             "spec": {"modelVersionId": "mv_1", "strategy": {"type": "canary", "traffic": {"canary": 10}}}})
    {'name': 'churn', 'canary': {'model_version_id': 'mv_1', 'traffic_percent': 10}}

    Raises
    ------
    ValueError
        If it is no such resource; the message names the member.
    """
    _known(body, {"apiVersion", "kind", "metadata", "spec"}, "")
    if body.get("apiVersion") not in API_VERSIONS:
        raise ValueError(f"apiVersion must be {API_VERSIONS[0]!r}, not {body.get('apiVersion')!r}")
    if body.get("kind") != "Deployment":
        raise ValueError(f"kind must be 'Deployment', not {body.get('kind')!r}")
    metadata = _mapping(body, "metadata", {"name"})
    spec = _mapping(body, "spec", _SPEC)
    request: dict[str, Any] = {"name": metadata.get("name", "")}
    request.update(_subject(spec))
    for member, names in (("autoscale", _AUTOSCALE), ("slos", _SLOS)):
        if member in spec:
            given = _mapping(spec, member, set(names), "spec.")
            request[member] = {names[name]: value for name, value in given.items()}
    if "projectId" in spec:
        request["project_id"] = spec["projectId"]
    return request


def _subject(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what answers: a pinned version, a followed model, or a canary beside production."""
    named = {
        name: spec[key] for key, name in (("model", "model"), ("modelVersionId", "model_version_id")) if key in spec
    }
    if "strategy" not in spec:
        return named
    strategy = _mapping(spec, "strategy", {"type", "traffic"}, "spec.")
    if strategy.get("type") != "canary":
        raise ValueError(f"spec.strategy.type must be 'canary', not {strategy.get('type')!r}")
    if "model_version_id" not in named:
        raise ValueError("spec.modelVersionId is missing: a canary is a version")
    traffic = _mapping(strategy, "traffic", {"stable", "canary"}, "spec.strategy.")
    share = traffic.get("canary", 10)
    stable = traffic.get("stable", 100 - share if isinstance(share, int | float) else None)
    if not isinstance(share, int | float) or not isinstance(stable, int | float) or share + stable != 100:
        raise ValueError("spec.strategy.traffic: stable and canary must be numbers that add up to 100")
    version = named.pop("model_version_id")
    return {**named, "canary": {"model_version_id": version, "traffic_percent": share}}


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
