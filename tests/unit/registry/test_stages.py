"""The state machine and the version numbers are pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import Column, Signature
from arkwright.core.errors import Conflict, Invalid
from arkwright.registry import SemanticVersion, Stage, check_transition, next_version, parse_stage
from arkwright.registry.semver import breaks_callers

ONE = SemanticVersion(1, 4, 2)


def signature(*columns: Column, task: str = "binary", classes: tuple[str, ...] = ("a", "b")) -> Signature:
    return Signature(task=task, target="y", columns=columns, classes=classes)  # type: ignore[arg-type]


AGE = Column(name="age", kind="numeric")
CITY = Column(name="city", kind="categorical")


@pytest.mark.parametrize(
    ("text", "stage"),
    [("Production", Stage.PRODUCTION), ("staging", Stage.STAGED), ("None", Stage.STAGED), ("canary", Stage.CANARY)],
)
def test_aliases_are_read_in_any_case(text: str, stage: Stage) -> None:
    assert parse_stage(text) is stage


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid) as problem:
        parse_stage("live")
    assert "production" in (problem.value.hint or "")


def test_deprecated_is_the_end() -> None:
    for stage in Stage:
        with pytest.raises(Conflict):
            check_transition(Stage.DEPRECATED, stage)


def test_only_an_archived_version_can_be_deprecated() -> None:
    for stage in Stage:
        if stage is Stage.ARCHIVED:
            check_transition(stage, Stage.DEPRECATED)
        else:
            with pytest.raises(Conflict):
                check_transition(stage, Stage.DEPRECATED)


@pytest.mark.parametrize(
    ("old", "new", "same_learner", "expected"),
    [
        (signature(AGE), signature(AGE), True, "1.4.3"),
        (signature(AGE), signature(AGE), False, "1.5.0"),
        (signature(AGE), signature(AGE, CITY), True, "2.0.0"),
        (signature(AGE), signature(AGE, Column(name="city", kind="categorical", required=False)), True, "1.5.0"),
        (signature(AGE), signature(Column(name="age", kind="categorical")), True, "2.0.0"),
        (signature(AGE), signature(AGE, classes=("a", "c")), True, "2.0.0"),
        (signature(AGE, CITY), signature(AGE), True, "2.0.0"),
    ],
)
def test_the_signature_decides_what_is_bumped(
    old: Signature, new: Signature, same_learner: bool, expected: str
) -> None:
    assert str(next_version(ONE, old, new, same_learner=same_learner)) == expected


def test_a_column_that_is_ignored_from_now_on_breaks_nobody() -> None:
    old, new = signature(AGE, CITY), Signature(task="binary", target="y", columns=(AGE,), classes=("a", "b"),
                                               ignored=("city",))  # fmt: skip
    assert not breaks_callers(old, new)


@given(st.booleans(), st.lists(st.sampled_from([AGE, CITY]), unique=True))
def test_a_new_version_is_always_newer(same_learner: bool, columns: list[Column]) -> None:
    new = signature(*columns)
    assert next_version(ONE, signature(AGE), new, same_learner=same_learner) > ONE


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "a.b.c", ""])
def test_what_is_no_semantic_version_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        SemanticVersion.parse(text)
