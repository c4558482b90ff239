"""What changes for callers when one model signature replaces another.

A change is *breaking* if a request that suited the old version could be refused by the new one, or would be answered in
another shape or meaning. Which part of the semantic version that bumps is the registry's rule
(:func:`arkwright.registry.next_version`); here the changes are named.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column, Label
from arkwright.registry import SemanticVersion, next_version

ChangeKind = Literal[
    "task",
    "target",
    "class added",
    "class removed",
    "class order",
    "feature added",
    "feature removed",
    "feature type",
    "feature now required",
    "feature now optional",
]
Bump = Literal["major", "minor", "patch"]
Level = Literal["low", "medium", "high"]


class SchemaChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change, whether it breaks callers, and what they have to do (empty if nothing)."""

    kind: ChangeKind
    name: str
    detail: str
    breaking: bool
    client_update: str = ""


class SchemaCompatibility(msgspec.Struct, frozen=True, kw_only=True):
    """The changes between two signatures and what follows from them.

    Parameters
    ----------
    breaking
        Whether any change is.
    features_removed
        No longer read; such a column is still accepted, and then not breaking, where the new signature ignores it.
    type_changes
        Feature to (old kind, new kind).
    classes_reordered
        The same classes in another order. Of a binary model that turns the score into that of the other class.
    output_changed
        Whether the shape or meaning of an answer changed: task, target or classes.
    bump
        Part of the semantic version that rises.
    rollback
        How hard it is to go back once callers have moved: ``high`` if they had to change for the new version,
        ``medium`` if requests the new version allows would be refused by the old one, else ``low``.
    client_updates
        What callers must do before the new version serves, one sentence each.
    """

    breaking: bool
    changes: tuple[SchemaChange, ...]
    features_added_required: tuple[str, ...]
    features_added_optional: tuple[str, ...]
    features_removed: tuple[str, ...]
    type_changes: dict[str, tuple[str, str]]
    now_required: tuple[str, ...]
    now_optional: tuple[str, ...]
    classes_added: tuple[Label, ...]
    classes_removed: tuple[Label, ...]
    classes_reordered: bool
    target_changed: bool
    task_changed: bool
    output_changed: bool
    bump: Bump
    rollback: Level
    rollback_reason: str
    client_updates: tuple[str, ...]


def schema_compatibility(old: Signature, new: Signature, *, same_learner: bool = True) -> SchemaCompatibility:
    """Name every change between two signatures.

    Parameters
    ----------
    same_learner
        Whether the same learning algorithm was used; another one bumps the minor part.

    Examples
    --------
    >>> old = Signature(task="regression", target="y", columns=(Column(name="a", kind="numeric"),))
    >>> new = Signature(task="regression", target="y", columns=(*old.columns, Column(name="b", kind="numeric")))
    >>> found = schema_compatibility(old, new)
    >>> found.breaking, found.features_added_required, found.bump
    (True, ('b',), 'major')
    """
    changes = (*_output_changes(old, new), *_input_changes(old, new))
    breaking = any(change.breaking for change in changes)
    # Going back is the same change the other way round.
    back = any(change.breaking for change in (*_output_changes(new, old), *_input_changes(new, old)))
    rollback, rollback_reason = _rollback(breaking=breaking, back=back)

    def named(kind: ChangeKind) -> tuple[str, ...]:
        return tuple(change.name for change in changes if change.kind == kind)

    required = {column.name for column in new.columns if column.required}
    before, after = _by_name(old), _by_name(new)
    kinds = {change.kind for change in changes}
    return SchemaCompatibility(
        breaking=breaking,
        changes=changes,
        features_added_required=tuple(name for name in named("feature added") if name in required),
        features_added_optional=tuple(name for name in named("feature added") if name not in required),
        features_removed=named("feature removed"),
        type_changes={name: (before[name].kind, after[name].kind) for name in named("feature type")},
        now_required=named("feature now required"),
        now_optional=named("feature now optional"),
        classes_added=tuple(label for label in new.classes if label not in old.classes),
        classes_removed=tuple(label for label in old.classes if label not in new.classes),
        classes_reordered="class order" in kinds,
        target_changed="target" in kinds,
        task_changed="task" in kinds,
        output_changed=bool(kinds & {"task", "target", "class added", "class removed", "class order"}),
        bump="major" if breaking else _bump(old, new, same_learner=same_learner),
        rollback=rollback,
        rollback_reason=rollback_reason,
        client_updates=tuple(change.client_update for change in changes if change.client_update),
    )


def _output_changes(old: Signature, new: Signature) -> list[SchemaChange]:
    changes: list[SchemaChange] = []

    def add(kind: ChangeKind, name: str, detail: str, update: str, *, breaking: bool = True) -> None:
        changes.append(SchemaChange(kind=kind, name=name, detail=detail, breaking=breaking, client_update=update))

    if old.task != new.task:
        add("task", new.task, f"The task is {new.task}, was {old.task}.", "Read answers of another shape.")
    if old.target != new.target:
        detail = f"The model predicts {new.target!r}, predicted {old.target!r}."
        add("target", new.target, detail, f"Use the answer as {new.target!r}.")
    for label in new.classes:
        if label not in old.classes:
            add("class added", str(label), f"The class {label!r} is new.", f"Expect the label {label!r}.")
    for label in old.classes:
        if label not in new.classes:
            add("class removed", str(label), f"The class {label!r} is gone.", f"Do not wait for the label {label!r}.")
    if not changes and old.classes != new.classes:
        order = ", ".join(str(label) for label in new.classes)
        if new.task == "binary":
            detail = f"The positive class is {new.classes[1]!r}, was {old.classes[1]!r}: scores are of the other class."
            add("class order", order, detail, f"Read the score as the probability of {new.classes[1]!r}.")
        else:
            add("class order", order, f"The classes come in another order: {order}.", "", breaking=False)
    return changes


def _input_changes(old: Signature, new: Signature) -> list[SchemaChange]:
    before, after = _by_name(old), _by_name(new)
    tolerated = set(new.ignored) | set(new.identifiers)
    changes: list[SchemaChange] = []

    def add(kind: ChangeKind, name: str, detail: str, update: str, *, breaking: bool) -> None:
        changes.append(SchemaChange(kind=kind, name=name, detail=detail, breaking=breaking, client_update=update))

    for name, column in after.items():
        known = before.get(name)
        if known is None:
            need = "must" if column.required else "may"
            detail = f"A request {need} carry the new column {name!r} ({column.kind})."
            update = f"Send {name!r} ({column.kind})." if column.required else ""
            add("feature added", name, detail, update, breaking=column.required)
            continue
        if known.kind != column.kind:
            detail = f"{name!r} is {column.kind}, was {known.kind}."
            add("feature type", name, detail, f"Send {name!r} as {column.kind}.", breaking=True)
        if column.required and not known.required:
            add("feature now required", name, f"{name!r} must be sent.", f"Always send {name!r}.", breaking=True)
        if known.required and not column.required:
            add("feature now optional", name, f"{name!r} may be left out.", "", breaking=False)
    for name in before:
        if name not in after:
            refused = name not in tolerated
            detail = f"{name!r} is no longer read" + (" and a request that carries it is refused." if refused else ".")
            add("feature removed", name, detail, f"Stop sending {name!r}." if refused else "", breaking=refused)
    return changes


def _rollback(*, breaking: bool, back: bool) -> tuple[Level, str]:
    if breaking:
        return "high", "Callers must change for the new version, and change back with it."
    if back:
        return "medium", "Callers that use what only the new version allows would be refused by the old one."
    return "low", "Both versions take the same requests and give the same kind of answer: switch the traffic back."


def _bump(old: Signature, new: Signature, *, same_learner: bool) -> Bump:
    now = SemanticVersion(1, 0, 0)
    following = next_version(now, old, new, same_learner=same_learner)
    if following.major != now.major:
        return "major"
    return "minor" if following.minor != now.minor else "patch"


def _by_name(signature: Signature) -> dict[str, Column]:
    return {column.name: column for column in signature.columns}
