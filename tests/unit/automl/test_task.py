"""What a target column asks for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.automl.task import detect_task, encode_target
from arkwright.core.errors import Invalid


def text(*cells):
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column


def decide(values, column_type, **options):
    return detect_task("y", values, column_type=column_type, **options)


def test_two_texts_are_a_binary_task_with_the_affirmative_class_last():
    decision = decide(text(*["Yes"] * 30, *["No"] * 5), "text")
    assert (decision.task, decision.classes, decision.class_rows) == ("binary", ("No", "Yes"), (5, 30))
    assert "affirmative" in decision.positive_reason


@pytest.mark.parametrize(
    ("values", "column_type", "classes"),
    [
        (text(*[True] * 20, *[False] * 5), "boolean", (False, True)),
        (text(*["True"] * 20, *["False"] * 5), "boolean", (False, True)),
        (np.array([1.0] * 20 + [0.0] * 5), "integer", (0, 1)),
        (text(*[2] * 20, *[1] * 5), "integer", (2, 1)),
        (text(*["good"] * 20, *["bad"] * 5), "text", ("good", "bad")),
        (text(*["b"] * 12, *["a"] * 12), "text", ("a", "b")),
        (text(*["-1"] * 5, *["other"] * 20), "text", ("-1", "other")),
    ],
)
def test_the_positive_class_is_the_affirmative_else_the_rarer_else_the_last_and_keeps_its_type(
    values, column_type, classes
):
    decision = decide(values, column_type)
    assert decision.classes == classes
    assert [type(label) for label in decision.classes] == [type(label) for label in classes]


def test_a_named_positive_class_overrules_the_rule():
    decision = decide(text(*["Yes"] * 30, *["No"] * 5), "text", positive_class="No")
    assert decision.classes == ("Yes", "No")
    with pytest.raises(Invalid, match="'Maybe' does not occur"):
        decide(text(*["Yes"] * 30, *["No"] * 5), "text", positive_class="Maybe")


def test_three_texts_are_a_multiclass_task_in_order():
    decision = decide(text(*["b", "c", "a"] * 10), "text")
    assert (decision.task, decision.classes) == ("multiclass", ("a", "b", "c"))


def test_few_whole_numbers_are_classes_and_many_are_a_quantity():
    assert decide(np.arange(30.0) % 5, "integer").task == "multiclass"
    assert decide(np.arange(30.0) % 5, "number").classes == (0, 1, 2, 3, 4)
    assert decide(np.arange(60.0) % 20, "integer").task == "regression"
    assert decide(np.linspace(0, 1, 30), "number").task == "regression"


def test_the_request_overrules_the_rule_for_numbers():
    assert decide(np.arange(30.0) % 5, "integer", requested="regression").task == "regression"
    assert decide(np.arange(60.0) % 20, "integer", requested="classification").task == "multiclass"


@pytest.mark.parametrize(
    ("values", "column_type", "requested", "code"),
    [
        (text(*[None] * 30), "text", "auto", "target.all_missing"),
        (np.full(30, np.nan), "number", "auto", "target.all_missing"),
        (text(*["a"] * 30), "text", "auto", "target.constant"),
        (text(*["a"] * 29, "b"), "text", "auto", "target.rare_class"),
        (text(*["a", "b"] * 5), "text", "auto", "target.too_few_rows"),
        (text(*[f"id{i}" for i in range(30)]), "text", "auto", "target.too_many_classes"),
        (np.array([np.inf] + [1.0] * 30), "number", "auto", "target.infinite"),
        (np.array(["2026-01-01"] * 30, dtype="datetime64[us]"), "time", "auto", "target.time"),
        (text(*["a", "b"] * 20), "text", "regression", "target.not_numeric"),
        (text(*["a", "b", "c"] * 20), "text", "binary", "target.not_binary"),
        (np.linspace(0, 1, 30), "number", "classification", "target.fractions"),
        (text(*["a", "b", "c"] * 20), "text", "auto", None),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused_with_a_hint(values, column_type, requested, code):
    if code is None:
        assert decide(values, column_type, requested=requested).task == "multiclass"
        return
    with pytest.raises(Invalid) as refusal:
        decide(values, column_type, requested=requested)
    assert refusal.value.code == code
    assert refusal.value.hint
    assert "'y'" in refusal.value.detail


def test_numbers_that_were_read_as_text_get_a_hint_to_ingest_them_as_numbers():
    with pytest.raises(Invalid) as refusal:
        decide(text(*[str(i / 7) for i in range(50)]), "text")
    assert "'number'" in refusal.value.hint


def test_rows_without_a_target_are_counted_and_left_out():
    column = text("No", None, *["Yes", "No"] * 12)
    decision = decide(column, "text")
    rows, target = encode_target(column, decision)
    assert (decision.n_rows, decision.n_missing) == (25, 1)
    assert rows[:2].tolist() == [0, 2]
    assert target[:2].tolist() == [0.0, 1.0]


def test_large_integers_keep_every_digit():
    big = 2**60 + 1
    assert decide(text(*[big] * 12, *[3] * 10), "integer").classes == (big, 3)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=20, max_size=60))
def test_encoded_targets_decode_to_the_original_labels(cells):
    column = text(*cells)
    try:
        decision = decide(column, "text")
    except Invalid:
        return
    rows, target = encode_target(column, decision)
    assert [decision.classes[int(code)] for code in target] == [cells[row] for row in rows]
    assert len(rows) + decision.n_missing == len(cells)
