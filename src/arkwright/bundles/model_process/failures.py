"""What a caller is told when a model's process refuses, is late, dies or fails."""

from __future__ import annotations

from typing import Any

from arkwright.bundles.errors import ModelFailed
from arkwright.bundles.model_process.frames import ProtocolError, Refused
from arkwright.bundles.validation import MAX_ERRORS
from arkwright.core.errors import Invalid, Unavailable


def refusal(answer: Refused) -> Invalid:
    """Return the error of a child that does not serve its model."""
    return Invalid(answer.detail, code=answer.code, hint=answer.hint or None)


def slow_start(seconds: float) -> Unavailable:
    """Return the error of a child that says neither yes nor no."""
    return Unavailable(
        f"The model was not loaded within {seconds:g} s.",
        code="model.slow_start",
        hint="See whether it loads at all, and what it waits for, with the library it was saved with.",
        retry_after_seconds=10,
    )


def ended(how: str, error: Exception | None = None) -> Unavailable:
    """Return the error of a child that is gone."""
    said = f" ({error})" if isinstance(error, ProtocolError) else ""
    return Unavailable(
        f"The model's process {how}{said}.",
        code="model.ended",
        hint="Signal 9 is mostly the kernel's, for want of memory. The process is started again by itself.",
        retry_after_seconds=3,
    )


def failure_of(failures: dict[int, str], place: str, first: int = 0) -> ModelFailed:
    """Return the error of rows that the model failed for.

    Parameters
    ----------
    failures
        What the model said, by position.
    place
        How a position is written, such as ``instances[{}]``.
    first
        Added to the positions.

    Examples
    --------
    >>> failure_of({2: "ValueError: no"}, "instances[{}]").detail
    'instances[2] made the model raise ValueError: no.'
    """
    errors: list[dict[str, Any]] = [
        {"field": place.format(index + first), "message": f"made the model raise {said}"}
        for index, said in sorted(failures.items())[:MAX_ERRORS]
    ]
    more = "" if len(failures) == 1 else f" {len(failures)} rows failed in all."
    return ModelFailed(
        f"{errors[0]['field']} {errors[0]['message'].rstrip('.')}.{more}",
        errors=errors,
        hint="The error is the model's own: see what it expects of these rows, or whether it runs at all.",
    )
