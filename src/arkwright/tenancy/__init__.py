"""Workspaces, projects, users and the secrets they sign in with.

Secrets (API keys, sessions, one-time links) are 256 random bits; only their SHA-256 is stored.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.tenancy.first_start import bootstrap
    from arkwright.tenancy.projects import require_project
    from arkwright.tenancy.secrets import hash_secret, new_secret
    from arkwright.tenancy.service import TenancyService

_HOMES = {
    "TenancyService": "service",
    "bootstrap": "first_start",
    "hash_secret": "secrets",
    "new_secret": "secrets",
    "require_project": "projects",
}

__all__ = ["TenancyService", "bootstrap", "hash_secret", "new_secret", "require_project"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
