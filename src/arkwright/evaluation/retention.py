"""How long an evaluation's files are kept, and what is said of those that were removed.

A report, its document and the card's page are kept for as long as the settings say from when they were filed: by
default 180 days (15,552,000 s), and a comparison with another version, which is a section of the same files, 90 days
(7,776,000 s). Where both apply the longer does. What was promised when it was filed is kept, also where the setting was
made shorter since. Nothing else goes: the evidence with its verdict, its numbers and the digests of all files stays,
and so do the card's text and the signed card, which cites the report by its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from arkwright.core.clock import isoformat
from arkwright.core.errors import Gone
from arkwright.core.structs import prepared

EXPIRY_KIND = "evaluation_expiry"
"""The kind of evidence that says which files of an evaluation were removed, and when."""

FileName = Literal["document", "report", "card", "card_page", "envelope"]
REMOVED: tuple[FileName, ...] = ("document", "report", "card_page")
"""The files that go; the card's text and its signature stay."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days files are kept; 0: for ever. No file goes before ``evaluation_days`` have passed."""

    evaluation_days: int = 180
    comparison_days: int = 90

    def until(self, filed_at: datetime, *, compared: bool) -> datetime | None:
        """Return until when the files of an evaluation are kept; None: for ever.

        Parameters
        ----------
        compared
            Whether a comparison with another version is in them.

        Examples
        --------
        >>> filed = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Retention().until(filed, compared=True)
        datetime.datetime(2026, 6, 30, 0, 0, tzinfo=datetime.timezone.utc)
        >>> Retention(comparison_days=0).until(filed, compared=True) is None
        True
        """
        applying = (self.evaluation_days, self.comparison_days) if compared else (self.evaluation_days,)
        return None if 0 in applying else filed_at + timedelta(days=max(applying))

    def of(self, body: Mapping[str, Any], filed_at: datetime) -> datetime | None:
        """Return until when the files that a piece of evidence cites are kept: the later of promise and setting."""
        now = self.until(filed_at, compared=bool(body.get("compared_with")))
        promised = promised_until(body)
        return now if now is None or promised is None else max(now, promised)


class Expiry(msgspec.Struct, frozen=True, kw_only=True):
    """That the files of an evaluation were removed; the body of evidence about its bundle.

    ``sha256`` is what each removed file had.
    """

    evaluation_id: str
    kept_until: str
    removed_at: str
    sha256: dict[str, str]


def promised_until(body: Mapping[str, Any]) -> datetime | None:
    """Return until when an evaluation's files were promised to be kept when it was filed; None: nothing was said."""
    text = body.get("kept_until")
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def files_removed(evaluation_id: str, kept_until: str, removed_at: str, sha256: str) -> Gone:
    """Return the error for a file that was kept long enough."""
    when = f", removed on {_day(removed_at)}" if removed_at else " and removed since"
    return Gone(
        f"This file of the evaluation {evaluation_id} was kept until {_day(kept_until)}{when}; the evidence and its "
        f"digests remain (sha256:{sha256}).",
        code="evaluation.removed",
        hint=f"GET /v1/evaluations/{evaluation_id}/summary has the verdict and the numbers, /card and /card.json the "
        "model card; evaluate the version again for a new report.",
    )


def filed_until(retention: Retention, made_at: str, *, compared: bool) -> str | None:
    """Return, as text, until when the files of an evaluation made at that moment will be kept."""
    until = retention.until(datetime.fromisoformat(made_at), compared=compared)
    return None if until is None else isoformat(until)


def _day(moment: str) -> str:
    return moment.partition("T")[0]


prepared(Retention, Expiry)
