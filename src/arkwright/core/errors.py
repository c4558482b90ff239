"""The one error tree.

::

    ArkwrightError            500  exit 1   something the caller can be told about
    ├── Invalid               422  exit 2   the input is wrong; says what, where, what to do
    │   └── PayloadTooLarge   413  exit 2
    ├── NotAuthenticated      401  exit 3   no credential, or one that is unknown or expired
    ├── NotPermitted          403  exit 3   a known actor may not do this
    ├── NotFound              404  exit 4
    │   └── Gone              410  exit 4   it was there, and was kept as long as the settings say
    ├── Conflict              409  exit 5   the state does not allow it (stage, duplicate, in flight)
    │   └── PreconditionFailed 412 exit 5   somebody changed it since the caller read it
    ├── PolicyRefused         409  exit 6   a gate said no; ``unmet`` lists each condition
    ├── Unavailable           503  exit 7   try again later; ``retry_after_seconds`` says when
    └── AdapterError          502  exit 8   an external system failed

One handler (``kit.http``) turns them into ``application/problem+json``; the SDK raises the
same class back from the wire; the CLI prints title, detail and hint and exits with ``exit_code``.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ArkwrightError(Exception):
    """An error with a message a person can act on.

    Parameters
    ----------
    detail
        What was wrong with which thing, in one or two sentences.
    code
        Stable, dotted, lower-case identifier such as ``dataset.empty``; defaults to the class's.
    hint
        What to do about it.
    errors
        Field-level problems, each a mapping with ``field`` and ``message``.
    """

    code: str = "internal"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.hint = hint
        self.errors = errors or []

    def extra(self) -> dict[str, Any]:
        """Members this class adds to the problem document."""
        return {}


class Invalid(ArkwrightError):
    """The input is wrong."""

    code = "invalid"
    title = "The input is not valid"
    status = 422
    exit_code = 2


class PayloadTooLarge(Invalid):
    """The body exceeds a stated limit."""

    code = "payload_too_large"
    title = "The request is too large"
    status = 413


class NotAuthenticated(ArkwrightError):
    """There is no valid credential."""

    code = "not_authenticated"
    title = "Sign in first"
    status = 401
    exit_code = 3


class NotPermitted(ArkwrightError):
    """The actor is known and may not do this."""

    code = "not_permitted"
    title = "Not permitted"
    status = 403
    exit_code = 3


class NotFound(ArkwrightError):
    """The thing does not exist in this workspace."""

    code = "not_found"
    title = "Not found"
    status = 404
    exit_code = 4


class Gone(NotFound):
    """The thing was there and is no longer kept."""

    code = "gone"
    title = "No longer kept"
    status = 410


class Conflict(ArkwrightError):
    """The state of the thing does not allow the request."""

    code = "conflict"
    title = "The state does not allow this"
    status = 409
    exit_code = 5


class PreconditionFailed(Conflict):
    """The thing is not what the caller last saw (``If-Match``)."""

    code = "precondition_failed"
    title = "It has changed since you read it"
    status = 412


class PolicyRefused(ArkwrightError):
    """A policy gate refused; ``unmet`` holds one sentence per condition."""

    code = "policy_refused"
    title = "Refused by policy"
    status = 409
    exit_code = 6

    def __init__(
        self,
        detail: str,
        *,
        unmet: list[str] | None = None,
        code: str | None = None,
        hint: str | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail, code=code, hint=hint, errors=errors)
        self.unmet = unmet or []

    def extra(self) -> dict[str, Any]:
        """Return the unmet conditions."""
        return {"unmet": self.unmet}


class Unavailable(ArkwrightError):
    """Something needed is not ready; try again."""

    code = "unavailable"
    title = "Not available right now"
    status = 503
    exit_code = 7

    def __init__(
        self,
        detail: str,
        *,
        retry_after_seconds: int = 5,
        code: str | None = None,
        hint: str | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail, code=code, hint=hint, errors=errors)
        self.retry_after_seconds = retry_after_seconds

    def extra(self) -> dict[str, Any]:
        """Return when to try again."""
        return {"retry_after_seconds": self.retry_after_seconds}


class AdapterError(ArkwrightError):
    """An external system failed or answered nonsense."""

    code = "adapter"
    title = "An external system failed"
    status = 502
    exit_code = 8
