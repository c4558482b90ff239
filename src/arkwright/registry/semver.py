"""Semantic versions of models, and which part a new version bumps.

MAJOR when a caller would break (an input became required or changed its kind, an output changed), MINOR when inputs
were added as optional or removed, or another learner answers, PATCH when the same recipe was trained on other data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid


@dataclass(frozen=True, order=True, slots=True)
class SemanticVersion:
    """``major.minor.patch``."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> SemanticVersion:
        """Read ``1.2.3``.

        Raises
        ------
        Invalid
            If the text is something else.
        """
        found = re.fullmatch(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})", text)
        if found is None:
            raise Invalid(f"{text!r} is not a semantic version.", code="semver.invalid", hint="Write it as 1.2.3.")
        return cls(*(int(part) for part in found.groups()))


def next_version(
    previous: SemanticVersion | None, old: Signature | None, new: Signature, *, same_learner: bool
) -> SemanticVersion:
    """Return the version that follows.

    Parameters
    ----------
    previous, old
        The newest version so far and its signature; None for the first.
    new
        The new version's signature.
    same_learner
        Whether the same learning algorithm was used.

    Examples
    --------
    >>> signature = Signature(task="regression", target="y", columns=())
    >>> str(next_version(None, None, signature, same_learner=True))
    '1.0.0'
    >>> str(next_version(SemanticVersion(1, 0, 0), signature, signature, same_learner=False))
    '1.1.0'
    """
    if previous is None or old is None:
        return SemanticVersion(1, 0, 0)
    if breaks_callers(old, new):
        return SemanticVersion(previous.major + 1, 0, 0)
    if not same_learner or {column.name for column in old.columns} != {column.name for column in new.columns}:
        return SemanticVersion(previous.major, previous.minor + 1, 0)
    return SemanticVersion(previous.major, previous.minor, previous.patch + 1)


def breaks_callers(old: Signature, new: Signature) -> bool:
    """Tell whether a request that suited ``old`` could be refused, or answered differently shaped, by ``new``."""
    if (old.task, old.target, set(old.classes)) != (new.task, new.target, set(new.classes)):
        return True
    if new.task == "binary" and old.classes != new.classes:
        return True  # the score is the second class's: with the two swapped, it means the opposite
    before = {column.name: column for column in old.columns}
    for column in new.columns:
        known = before.get(column.name)
        if known is None and column.required:
            return True
        if known is not None and (known.kind != column.kind or (column.required and not known.required)):
            return True
    accepted = {column.name for column in new.columns} | set(new.ignored) | set(new.identifiers)
    return any(name not in accepted for name in before)
