"""One registry for every kind of model: versions, stages, promotion, rollback.

A version is a bundle's digest with a number, a semantic version and a stage. The stage lives here and nowhere
else; MLflow's aliases are projected from it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.registry.bundle_store import BundleStore
    from arkwright.registry.errors import UNDER_EVALUATION
    from arkwright.registry.import_service import ImportRequest, ImportService
    from arkwright.registry.names import check_model_name
    from arkwright.registry.promotion import AliasProjection
    from arkwright.registry.semver import SemanticVersion, next_version
    from arkwright.registry.service import RegistryService, production_line
    from arkwright.registry.stages import Stage, check_transition, parse_stage

_HOMES = {
    "UNDER_EVALUATION": "errors",
    "AliasProjection": "promotion",
    "BundleStore": "bundle_store",
    "ImportRequest": "import_service",
    "ImportService": "import_service",
    "RegistryService": "service",
    "SemanticVersion": "semver",
    "Stage": "stages",
    "check_model_name": "names",
    "check_transition": "stages",
    "next_version": "semver",
    "parse_stage": "stages",
    "production_line": "service",
}

__all__ = [
    "UNDER_EVALUATION",
    "AliasProjection",
    "BundleStore",
    "ImportRequest",
    "ImportService",
    "RegistryService",
    "SemanticVersion",
    "Stage",
    "check_model_name",
    "check_transition",
    "next_version",
    "parse_stage",
    "production_line",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
