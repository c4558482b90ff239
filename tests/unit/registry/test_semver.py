"""Which part of a version a change bumps."""

from __future__ import annotations

import pytest

from arkwright.contracts import Column, Signature
from arkwright.registry import SemanticVersion, next_version


def signature(task="binary", classes=("No", "Yes"), columns=("a", "b"), **changes):
    spec = tuple(Column(name=name, kind="numeric") for name in columns)
    return Signature(**{"task": task, "target": "y", "columns": spec, "classes": classes, **changes})


@pytest.mark.parametrize(
    ("old", "new", "bumped"),
    [
        (signature(), signature(), "1.2.4"),
        (signature(), signature(columns=("a",), ignored=("b",)), "1.3.0"),
        (signature(), signature(columns=("a", "b", "c")), "2.0.0"),
        (signature(), signature(target="z"), "2.0.0"),
        (signature(), signature(classes=("Yes", "No")), "2.0.0"),
        (
            signature(task="multiclass", classes=("x", "y", "z")),
            signature(task="multiclass", classes=("z", "y", "x")),
            "1.2.4",
        ),
    ],
)
def test_a_change_that_callers_feel_is_a_major_one(old, new, bumped):
    assert str(next_version(SemanticVersion(1, 2, 3), old, new, same_learner=True)) == bumped
