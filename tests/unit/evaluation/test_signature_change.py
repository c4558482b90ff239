"""What a new signature changes for callers."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column
from arkwright.evaluation.signature_change import schema_compatibility
from arkwright.registry import SemanticVersion, next_version


def signature(*columns, task="binary", target="churn", classes=("No", "Yes"), ignored=()):
    return Signature(task=task, target=target, columns=columns, classes=classes, ignored=ignored)


def column(name, kind="numeric", required=True):
    return Column(name=name, kind=kind, required=required)


OLD = signature(column("age"), column("plan", "categorical", required=False))

columns = st.lists(
    st.builds(column, st.sampled_from("abcd"), st.sampled_from(["numeric", "categorical"]), st.booleans()),
    unique_by=lambda item: item.name,
    max_size=4,
).map(tuple)
signatures = st.builds(
    lambda cols, task, target, ignored: signature(
        *cols, task=task[0], classes=task[1], target=target, ignored=tuple(ignored)
    ),
    columns,
    st.sampled_from(
        [
            ("binary", ("No", "Yes")),
            ("multiclass", ("a", "b", "c")),
            ("multiclass", ("c", "b", "a")),
            ("multiclass", ("a", "b", "d")),
            ("regression", ()),
        ]
    ),
    st.sampled_from(["y", "z"]),
    st.sets(st.sampled_from("abcd")).map(sorted),
)


@settings(max_examples=200, deadline=None)
@given(signatures, signatures, st.booleans())
def test_the_bump_is_the_registrys_and_every_breaking_bump_is_explained(old, new, same_learner):
    found = schema_compatibility(old, new, same_learner=same_learner)
    now = SemanticVersion(1, 2, 3)
    following = next_version(now, old, new, same_learner=same_learner)
    part = "major" if following.major > 1 else "minor" if following.minor > 2 else "patch"
    assert found.bump == part
    assert found.breaking == (part == "major")
    assert all(change.client_update for change in found.changes if change.breaking)
    assert (found.rollback == "high") == found.breaking


def test_the_same_signature_changes_nothing():
    found = schema_compatibility(OLD, OLD)
    assert (found.breaking, found.changes, found.bump, found.rollback) == (False, (), "patch", "low")
    assert schema_compatibility(OLD, OLD, same_learner=False).bump == "minor"


@pytest.mark.parametrize(
    ("new", "kind", "breaking", "bump"),
    [
        (signature(*OLD.columns, column("income")), "feature added", True, "major"),
        (signature(*OLD.columns, column("income", required=False)), "feature added", False, "minor"),
        (signature(OLD.columns[0]), "feature removed", True, "major"),
        (signature(OLD.columns[0], ignored=("plan",)), "feature removed", False, "minor"),
        (signature(column("age", "categorical"), OLD.columns[1]), "feature type", True, "major"),
        (signature(OLD.columns[0], column("plan", "categorical")), "feature now required", True, "major"),
        (signature(column("age", required=False), OLD.columns[1]), "feature now optional", False, "patch"),
        (signature(*OLD.columns, target="fraud"), "target", True, "major"),
    ],
)
def test_each_kind_of_change_is_named_and_weighed(new, kind, breaking, bump):
    found = schema_compatibility(OLD, new)
    assert [change.kind for change in found.changes] == [kind]
    assert (found.breaking, found.bump) == (breaking, bump)
    assert bool(found.client_updates) == breaking
    assert msgspec.json.encode(found)


def test_the_fields_say_which_features_and_classes():
    new = signature(
        column("age", "categorical"),
        column("income"),
        column("city", required=False),
        classes=("No", "Maybe"),
        target="x",
    )
    found = schema_compatibility(OLD, new)
    assert found.features_added_required == ("income",)
    assert found.features_added_optional == ("city",)
    assert found.features_removed == ("plan",)
    assert found.type_changes == {"age": ("numeric", "categorical")}
    assert (found.classes_added, found.classes_removed) == (("Maybe",), ("Yes",))
    assert found.target_changed
    assert found.output_changed
    assert "Send 'income' (numeric)." in found.client_updates
    assert "Stop sending 'plan'." in found.client_updates


def test_a_binary_model_whose_positive_class_moved_breaks_who_reads_the_score():
    found = schema_compatibility(OLD, signature(*OLD.columns, classes=("Yes", "No")))
    assert found.classes_reordered
    assert (found.breaking, found.bump) == (True, "major")
    assert found.client_updates == ("Read the score as the probability of 'No'.",)


def test_an_added_optional_column_makes_the_way_back_harder_not_hard():
    found = schema_compatibility(OLD, signature(*OLD.columns, column("income", required=False)))
    assert found.rollback == "medium"
    assert "refused by the old one" in found.rollback_reason
