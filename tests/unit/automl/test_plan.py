"""What a training decides before it trains."""

import msgspec
import numpy as np
import pytest

from arkwright.automl.plan import Request, TrainingPlan, default_model_name, make_plan, wants_balance
from arkwright.core.errors import Invalid
from arkwright.features import FeatureDecision

COLUMNS = (
    FeatureDecision(name="id", kind="identifier", used=False, reason="each row has its own value"),
    FeatureDecision(name="age", kind="numeric", used=True, reason="numbers"),
    FeatureDecision(name="same", kind="constant", used=False, reason="every row has the same value"),
)


def labels(n=60):
    column = np.empty(n, dtype=object)
    column[:] = ["Yes" if row % 3 == 0 else "No" for row in range(n)]
    return column


def test_the_signature_echoes_identifiers_and_ignores_the_rest():
    signature = make_plan(Request(target="churn", column_type="text"), COLUMNS, labels()).plan.signature
    assert [column.name for column in signature.columns] == ["age"]
    assert signature.identifiers == ("id",)
    assert signature.ignored == ("same", "churn")
    assert signature.classes == ("No", "Yes")


def test_the_plan_survives_json():
    plan = make_plan(Request(target="churn", column_type="text"), COLUMNS, labels()).plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=TrainingPlan) == plan
    assert plan.n_training + plan.n_holdout == plan.n_rows == 60


def test_set_aside_columns_and_decisions_are_said():
    notes = make_plan(Request(target="churn", column_type="text"), COLUMNS, labels()).plan.notes
    assert any("Set aside 'id' (identifier)" in note for note in notes)
    assert any(note.startswith("Task: binary") for note in notes)
    assert any(note.startswith("Positive class: 'Yes'") for note in notes)


def test_a_table_without_usable_columns_is_refused_with_the_reasons():
    with pytest.raises(Invalid, match="No column is left") as refusal:
        make_plan(Request(target="churn", column_type="text"), COLUMNS[::2], labels())
    assert "each row has its own value" in refusal.value.hint


def test_an_unknown_imbalance_method_is_refused():
    assert wants_balance({"method": "none"}) is False
    with pytest.raises(Invalid, match="'smote' is not available"):
        wants_balance({"method": "smote"})


@pytest.mark.parametrize(("name", "expected"), [("...", "model"), ("generate", "model"), ("a/b", "a-b")])
def test_model_names_are_made_to_fit(name, expected):
    assert default_model_name(name) == expected
