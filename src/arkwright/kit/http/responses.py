"""Answers that are the same everywhere: problems, and 202 for long work."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from arkwright.core.errors import ArkwrightError, Invalid, NotAuthenticated, NotFound, Unavailable
from arkwright.core.problems import CONTENT_TYPE, problem_document
from arkwright.kit.db import database_problem
from arkwright.kit.http.malformed import malformed
from arkwright.kit.logging import get_logger

_log = get_logger(__name__)


class Accepted(BaseModel):
    """The answer to long work: where to look for it."""

    job_id: str
    status: str = "queued"


def accepted(response: Response, job_id: str) -> None:
    """Set the status and the ``Location`` of a job."""
    response.status_code = 202
    response.headers["Location"] = f"/v1/jobs/{job_id}"


class ProblemResponse(JSONResponse):
    """A problem document with the headers its class calls for.

    Text that is no Unicode (a lone surrogate in a JSON string, echoed) is replaced rather than refused.
    """

    media_type = CONTENT_TYPE

    def __init__(self, error: ArkwrightError, request_id: str, status: int | None = None) -> None:
        document: dict[str, Any] = problem_document(error, request_id)
        if status is not None:
            document["status"] = status
        headers = {}
        if isinstance(error, Unavailable):
            headers["Retry-After"] = str(error.retry_after_seconds)
        if isinstance(error, NotAuthenticated):
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(document, status_code=document["status"], headers=headers)

    def render(self, content: Any) -> bytes:
        """Return the document as JSON in UTF-8."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="replace")


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of an application as a problem document."""

    @app.exception_handler(ArkwrightError)
    def _known(request: Request, error: ArkwrightError) -> JSONResponse:
        return _respond(request, error)

    @app.exception_handler(SQLAlchemyError)
    def _refused(request: Request, error: SQLAlchemyError) -> JSONResponse:
        problem = database_problem(error)
        if problem is None:
            raise error
        return _respond(request, problem)

    @app.exception_handler(RequestValidationError)
    def _malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        return _respond(request, malformed(error.errors()))

    @app.exception_handler(HTTPException)
    def _framework(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            hint = "Check the path: /docs lists those there are."
            return _respond(request, NotFound(f"There is nothing at {request.url.path}.", hint=hint))
        allowed = (error.headers or {}).get("Allow") or (error.headers or {}).get("allow")
        problem = Invalid(
            f"{request.method} {request.url.path}: {error.detail}.",
            code=f"http.{error.status_code}",
            hint=f"Send {allowed} to this path." if allowed else "/docs says what this path takes.",
        )
        answer = _respond(request, problem, status=error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error("request failed", path=request.url.path, exc_info=error)
        problem = ArkwrightError(
            "The platform failed on this request; it is a defect, not your mistake.",
            hint="The log has the details under this request id.",
        )
        answer = _respond(request, problem)
        # This handler stands outside the middleware that adds the id to every other answer.
        answer.headers["X-Request-Id"] = getattr(request.state, "request_id", "")
        return answer


def _respond(request: Request, error: ArkwrightError, status: int | None = None) -> JSONResponse:
    return ProblemResponse(error, getattr(request.state, "request_id", ""), status)
