"""Errors that only a data plane makes."""

from __future__ import annotations

from typing import ClassVar

from arkwright.core.errors import ArkwrightError, Invalid, Unavailable


class UnsupportedMediaType(Invalid):
    """The body is not JSON by its own word."""

    code = "unsupported_media_type"
    title = "The content type is not supported"
    status = 415


class MethodNotAllowed(ArkwrightError):
    """The path exists, for another method."""

    code = "method_not_allowed"
    title = "The method is not allowed here"
    status: ClassVar[int] = 405
    exit_code: ClassVar[int] = 2


class NotOnADataPlane(ArkwrightError):
    """It is the control plane that does this."""

    code = "not_on_a_data_plane"
    title = "A data plane does not do this"
    status: ClassVar[int] = 501
    exit_code: ClassVar[int] = 2


class TooManyRequests(Unavailable):
    """One caller has more requests in flight than its share."""

    code = "too_many_requests"
    title = "Too many requests at once"
    status = 429


class RequestTimeout(ArkwrightError):
    """The client took too long to send its body."""

    code = "request_timeout"
    title = "The request was too slow"
    status: ClassVar[int] = 408
    exit_code: ClassVar[int] = 2
