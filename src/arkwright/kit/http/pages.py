"""Cursor pages: ``?limit=&cursor=`` in, ``{items, next_cursor}`` out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from arkwright.core.errors import Invalid

_Item = TypeVar("_Item")
_Row = TypeVar("_Row")

MAX_LIMIT = 200
_MAX_DIGITS = 18  # fits 64 bits

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at the most.")]
PageCursor = Annotated[str, Query(description="The ``next_cursor`` of the page before.")]


class Page(BaseModel, Generic[_Item]):
    """A page of a list; ``next_cursor`` is null on the last one."""

    items: list[_Item]
    next_cursor: str | None = None


def read_cursor(cursor: str) -> str:
    """Return the key a cursor stands for; empty for the first page.

    Raises
    ------
    Invalid
        If the cursor was not made here.
    """
    if not cursor:
        return ""
    try:
        key = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        key = ""
    if not key or not key.isprintable():
        raise _not_ours()
    return key


def read_number_cursor(cursor: str) -> int | None:
    """Return the number a cursor of a numbered list stands for; None for the first page.

    Raises
    ------
    Invalid
        If the cursor was not made here.
    """
    key = read_cursor(cursor)
    if key and (len(key) > _MAX_DIGITS or not key.isdigit()):
        raise _not_ours()
    return int(key) if key else None


def page_of(
    rows: Sequence[_Row], limit: int, key: Callable[[_Row], str], render: Callable[[_Row], _Item]
) -> Page[_Item]:
    """Build a page from up to ``limit + 1`` rows; the extra one only tells that there is more.

    Parameters
    ----------
    key
        The sort key of a row, from which the next page continues.
    render
        A row's wire shape.
    """
    shown = rows[:limit]
    more = len(rows) > limit
    cursor = base64.urlsafe_b64encode(key(shown[-1]).encode("ascii")).decode("ascii") if more else None
    return Page(items=[render(row) for row in shown], next_cursor=cursor)


def _not_ours() -> Invalid:
    return Invalid(
        "The cursor is not one of ours.",
        code="cursor.invalid",
        hint="Pass next_cursor back unchanged, or leave it out for the first page.",
    )
