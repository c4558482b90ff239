"""Errors on the wire: RFC 9457 ``application/problem+json``, and back again.

Members beyond the standard's: ``code`` (stable), ``hint`` (what to do), ``errors`` (field by field),
``request_id``, and what the error's class adds (``unmet``, ``retry_after_seconds``).
"""

from __future__ import annotations

from typing import Any

from arkwright.core import errors as tree
from arkwright.core.errors import ArkwrightError

CONTENT_TYPE = "application/problem+json"
_TYPE_BASE = "https://arkwright.dev/problems/"
_CLASSES: tuple[type[ArkwrightError], ...] = (
    tree.PolicyRefused,
    tree.PayloadTooLarge,
    tree.PreconditionFailed,
    tree.Invalid,
    tree.NotAuthenticated,
    tree.NotPermitted,
    tree.Gone,
    tree.NotFound,
    tree.Conflict,
    tree.Unavailable,
    tree.AdapterError,
)


def problem_document(error: ArkwrightError, request_id: str = "") -> dict[str, Any]:
    """Return the problem document of an error."""
    document: dict[str, Any] = {
        "type": _TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if error.hint:
        document["hint"] = error.hint
    if error.errors:
        document["errors"] = error.errors
    if request_id:
        document["request_id"] = request_id
    return {**document, **error.extra()}


def error_from_document(document: dict[str, Any]) -> ArkwrightError:
    """Return the error a problem document stands for, of the same class as it was raised with."""
    detail = str(document.get("detail") or document.get("title") or "The server gave no reason.")
    common: dict[str, Any] = {
        "code": document.get("code"),
        "hint": document.get("hint"),
        "errors": document.get("errors"),
    }
    status = document.get("status")
    if "unmet" in document:
        return tree.PolicyRefused(detail, unmet=list(document["unmet"]), **common)
    if status == tree.Unavailable.status:
        return tree.Unavailable(detail, retry_after_seconds=int(document.get("retry_after_seconds", 5)), **common)
    for candidate in _CLASSES[1:]:
        if candidate.status == status:
            return candidate(detail, **common)
    if isinstance(status, int) and 400 <= status < 500:
        return tree.Invalid(detail, **common)
    return ArkwrightError(detail, **common)
