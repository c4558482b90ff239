"""Feedback: what became of earlier predictions, told to ``POST /v1/inference/{deployment_id}:feedback``.

``{"outcomes": [{"request_id": "req_...", "row": 0, "actual": "Yes"}]}`` is answered with 202 once the outcomes are on
this data plane's disk. Nobody needs to know whether the request was sampled, which arm answered it, or whether it was
ever logged: outcomes without a prediction are left over when they are joined. Telling an outcome twice changes nothing,
telling another one corrects it.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.serving.asgi import Scope
from arkwright.serving.auth import Principal
from arkwright.serving.log import LoggedOutcomes, Outcome, PredictionLog
from arkwright.serving.state import LiveEndpoint

MAX_OUTCOMES = 5_000

_MAX_ERRORS = 20
_SLICE = 500
_MAX_ROW = 2**31 - 1
_MAX_NAMED_CLASSES = 10
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
_AT = re.compile(r" - at `\$\.?(.*)`$")
_HINT = 'Send {"outcomes": [{"request_id": "req_...", "row": 0, "actual": ...}]}, with content type application/json.'


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    actual: Any
    row: int = 0


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    outcomes: list[_Given]


_decode = msgspec.json.Decoder(_Body).decode


class FeedbackHandler:
    """Takes outcomes over.

    Parameters
    ----------
    log
        Where they are appended.
    now
        Seconds since the epoch.
    """

    def __init__(self, log: PredictionLog, now: Callable[[], float] = time.time) -> None:
        self._log = log
        self._now = now

    async def __call__(
        self,
        _scope: Scope,
        body: bytes,
        _principal: Principal,
        live: LiveEndpoint,
    ) -> dict[str, Any]:
        """Check and keep outcomes, all of them or none; return how many.

        Raises
        ------
        Invalid
            With one entry in ``errors`` for each outcome that cannot be taken, up to 20.
        PayloadTooLarge
            If there are more than ``MAX_OUTCOMES``.
        Unavailable
            If they cannot be written now.
        """
        given = decode_outcomes(body)
        reader = OutcomeReader([arm.bundle.signature for arm in live.arms])
        outcomes: list[Outcome] = []
        errors: list[dict[str, Any]] = []
        for index, each in enumerate(given):
            try:
                outcomes.append(reader.read(each.request_id, each.row, each.actual))
            except _Fault as fault:
                errors.append({"field": f"outcomes[{index}].{fault.field}", "message": fault.message})
                if len(errors) >= _MAX_ERRORS:
                    break
            if index % _SLICE == _SLICE - 1:
                # Hand the event loop over: there may be predictions to make.
                await asyncio.sleep(0)
        if errors:
            raise Invalid(
                f"{errors[0]['field']} {errors[0]['message']}.",
                code="feedback.invalid",
                hint=f"{_HINT} Nothing of this request was kept.",
                errors=errors,
            )
        endpoint = live.endpoint
        done = self._log.append_outcomes(
            LoggedOutcomes(endpoint.workspace_id, endpoint.deployment_id, self._now(), outcomes)
        )
        await asyncio.wrap_future(done)
        return {"accepted": len(outcomes), "deployment_id": endpoint.deployment_id}


def decode_outcomes(body: bytes) -> list[_Given]:
    """Return what a body tells.

    Raises
    ------
    Invalid
        If it is not JSON, not of that shape, or tells nothing.
    PayloadTooLarge
        If it tells more than ``MAX_OUTCOMES``.
    """
    try:
        given = _decode(body).outcomes
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error
    if not given:
        raise Invalid("The list 'outcomes' is empty.", code="feedback.empty", hint=_HINT)
    if len(given) > MAX_OUTCOMES:
        raise PayloadTooLarge(
            f"The request has {len(given)} outcomes; at most {MAX_OUTCOMES} are taken in one request.",
            code="feedback.too_many",
            hint="Split it; `arkwright deployment feedback` does that with a file.",
        )
    return given


class OutcomeReader:
    """Reads outcomes in the types of a deployment's models.

    Parameters
    ----------
    signatures
        Of the arms that answer: a class that any of them knows is taken.
    """

    def __init__(self, signatures: list[Signature]) -> None:
        self._regression = signatures[0].task == "regression"
        self._classes = tuple(dict.fromkeys(str(label) for each in signatures for label in each.classes))
        self._known = frozenset(self._classes)

    def read(self, request_id: str, row: int, actual: Any) -> Outcome:
        """Return an outcome as it is logged."""
        if not _REQUEST_ID.fullmatch(request_id):
            raise _Fault("request_id", "is no request id: 1 to 128 letters, digits and _.:-")
        if not 0 <= row <= _MAX_ROW:
            raise _Fault("row", "is no index of a row, counted from 0")
        if self._regression:
            return Outcome(request_id, row, value=_number(actual))
        text = _text(actual)
        if text not in self._known:
            shown = ", ".join(repr(label) for label in self._classes[:_MAX_NAMED_CLASSES])
            more = ", ..." if len(self._classes) > _MAX_NAMED_CLASSES else ""
            raise _Fault("actual", f"is none of the model's classes: {shown}{more}")
        return Outcome(request_id, row, label=text)


class _Fault(Exception):
    """One member of one outcome is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def _number(actual: Any) -> float:
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        raise _Fault("actual", "must be a number")
    try:
        number = float(actual)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Fault("actual", "must be a finite number")
    return number


def _text(actual: Any) -> str:
    if isinstance(actual, float) and actual.is_integer():
        return str(int(actual))
    if actual is None or not isinstance(actual, str | int | float):
        raise _Fault("actual", "must be a text, a number or a boolean")
    return str(actual)


def _malformed(error: Exception) -> Invalid:
    if isinstance(error, RecursionError):
        return Invalid("The body is nested too deeply.", code="json.malformed", hint=_HINT)
    if isinstance(error, UnicodeDecodeError):
        return Invalid("The body is not UTF-8.", code="json.malformed", hint=_HINT)
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(f"The body is not JSON: {text}.", code="json.malformed", hint=_HINT)
    found = _AT.search(text)
    where = found[1] if found else ""
    message = _AT.sub("", text).replace("`", "'")
    return Invalid(
        f"The body does not have the shape of feedback: {message}{f' at {where}' if where else ''}.",
        code="feedback.malformed",
        hint=_HINT,
        errors=[{"field": where or "body", "message": message}],
    )
