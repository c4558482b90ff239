"""What is wrong with a request's shape, in words: which field, what it holds, and what is expected there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import counted

_WHERE = {"query": "query parameter", "path": "part of the path", "header": "header", "cookie": "cookie"}
_LONGEST = 60
_FIXED = {
    "missing": "it is required",
    "extra_forbidden": "there is no such field here: check its spelling, or leave it out",
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "dict_type": "an object of names and values",
    "model_type": "an object of names and values",
    "model_attributes_type": "an object of names and values",
    "datetime_parsing": "a moment such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "a moment such as 2026-01-31T12:00:00Z",
    "datetime_type": "a moment such as 2026-01-31T12:00:00Z",
    "string_unicode": "a text in Unicode",
}
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_pattern_mismatch": "a text like {pattern}",
    "literal_error": "one of {expected}",
    "enum": "one of {expected}",
}
_CHARACTERS, _ENTRIES = ("character", "characters"), ("entry", "entries")
_LENGTHS = {
    "string_too_long": ("a text of at most {}", "max_length", _CHARACTERS),
    "string_too_short": ("a text of at least {}", "min_length", _CHARACTERS),
    "too_long": ("at most {}", "max_length", _ENTRIES),
    "too_short": ("at least {}", "min_length", _ENTRIES),
}


def malformed(found: Sequence[Mapping[str, Any]]) -> Invalid:
    """Return the error for a request that does not have the shape its path takes.

    Parameters
    ----------
    found
        What pydantic found, each with ``type``, ``loc``, ``msg``, and perhaps ``ctx`` and ``input``.
    """
    if not found or found[0]["type"] == "json_invalid":
        why = found[0].get("ctx", {}).get("error", "") if found else ""
        return Invalid(
            f"The body is no JSON{f': {why}' if why else ''}.",
            code="request.invalid",
            hint="Send the body as a JSON object, such as {}, with the header content-type: application/json.",
            errors=[{"field": "body", "message": "is no JSON"}],
        )
    fields = [{"field": _field(item["loc"]), "message": _message(item)} for item in found]
    return Invalid(
        f"{fields[0]['field']}: {fields[0]['message']}.",
        code="request.invalid",
        errors=fields,
        hint=_hint(found[0]),
    )


def expected(item: Mapping[str, Any]) -> str:
    """Say what a field must be; empty where only the message tells.

    Examples
    --------
    >>> expected({"type": "literal_error", "ctx": {"expected": "'quick' or 'full'"}})
    "one of 'quick' or 'full'"
    >>> expected({"type": "value_error"})
    ''
    """
    kind, bounds = item["type"], item.get("ctx", {})
    if kind in _LENGTHS:
        template, bound, (one, many) = _LENGTHS[kind]
        return template.format(counted(bounds[bound], one, many))
    if kind in _BOUNDS:
        return _BOUNDS[kind].format_map(bounds)
    return _FIXED.get(kind, "")


def _hint(item: Mapping[str, Any]) -> str:
    field, wanted = _field(item["loc"]), expected(item)
    where = _WHERE.get(str(item["loc"][0]) if item["loc"] else "", "field")
    named = "body" if field == "body" else f"{where} {field!r}"
    if item["type"] == "missing":
        return f"Send the {named}: {wanted}."
    if item["type"] == "extra_forbidden":
        return f"Mend the {named}: {wanted}."
    if wanted:
        sent = item.get("input")
        # A value that is shown may be a secret; a choice among words is none.
        choice = item["type"] in ("literal_error", "enum") and isinstance(sent, str) and len(sent) <= _LONGEST
        return f"Expected for the {named}: {wanted}; it was {repr(sent) if choice else _shown(sent)}."
    return f"Mend the {named}: {_message(item)}."


def _message(item: Mapping[str, Any]) -> str:
    return str(item["msg"]).removeprefix("Value error, ").removesuffix(".")


def _shown(value: object) -> str:
    """Show a value that may be large or secret only as far as it tells what it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        text = str(value) if not isinstance(value, int) or value.bit_length() < 100 else "a very large number"
        return text[:_LONGEST]
    if isinstance(value, str):
        return f"a text of {counted(len(value), *_CHARACTERS)}" if value else "an empty text"
    return {"dict": "an object", "list": "a list"}.get(type(value).__name__, "something else")


def _field(location: Sequence[int | str]) -> str:
    parts = location[1:] if location and location[0] in ("body", *_WHERE) else location
    return ".".join(str(part) for part in parts) or "body"
