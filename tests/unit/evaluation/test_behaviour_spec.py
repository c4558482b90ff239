"""Behaviour tests in YAML: what is read, and what a message about a bad one says."""

import msgspec
import pytest

from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.behaviour_spec import (
    Directional,
    Invariance,
    MinimumFunctionality,
    class_index,
    filled,
    parse_behaviour,
    problems,
)

SPEC = """
tests:
  - name: gender does not matter
    type: invariance
    column: gender
    values: [Female, Male, null]
    tolerance: 0.02
    keep_label: true
  - name: a longer tenure keeps customers
    type: directional
    column: tenure
    increase_by: 12
    expect: decrease
    strict: true
    allowed_failure_rate: 0.05
  - name: a plain case
    type: minimum_functionality
    defaults: {gender: Female, partner: No, joined: 2026-01-01}
    rows:
      - {given: {tenure: 1}, label: Yes}
      - {given: {tenure: 70, gender: Male}, at_most: 0.3, class: Yes}
"""
SIGNATURE = Signature(
    task="binary",
    target="churn",
    columns=(
        Column(name="gender", kind="categorical"),
        Column(name="tenure", kind="numeric"),
        Column(name="partner", kind="categorical"),
        Column(name="joined", kind="time"),
    ),
    classes=("No", "Yes"),
    identifiers=("customer",),
)
INVARIANCE = {"name": "a", "type": "invariance", "column": "gender", "swap": ["F", "M"], "tolerance": 0.1}
DIRECTIONAL = {"name": "a", "type": "directional", "column": "tenure", "increase_by": 1, "expect": "increase"}
ROW = {"given": {"gender": "F", "tenure": 1, "partner": "No", "joined": None}, "label": "Yes"}
FUNCTION = {"name": "a", "type": "minimum_functionality", "rows": [ROW]}


def written(*tests):
    return msgspec.yaml.encode({"tests": list(tests)}).decode()


def errors_of(*tests):
    with pytest.raises(Invalid) as refused:
        parse_behaviour(written(*tests), source="model.behaviour.yaml")
    assert refused.value.detail.startswith("model.behaviour.yaml: tests[0]")
    assert refused.value.hint
    return {each["field"]: each["message"] for each in refused.value.errors}


def test_the_three_kinds_are_read_and_fit_their_model():
    invariance, directional, function = parse_behaviour(SPEC).tests
    assert isinstance(invariance, Invariance)
    assert invariance.values == ("Female", "Male", None)
    assert isinstance(directional, Directional)
    assert (directional.increase_by, directional.strict, directional.allowed_failure_rate) == (12.0, True, 0.05)
    assert isinstance(function, MinimumFunctionality)
    assert [problems(test, SIGNATURE) for test in (invariance, directional, function)] == [[], [], []]


def test_yes_no_and_dates_are_text_and_true_is_a_boolean():
    function = parse_behaviour(SPEC).tests[2]
    assert filled(function)[0] == {"gender": "Female", "partner": "No", "joined": "2026-01-01", "tenure": 1}
    assert function.rows[0].label == "Yes"
    text = "tests: [{name: a, type: invariance, column: vip, swap: [true, off], keep_label: true}]"
    assert parse_behaviour(text).tests[0].swap == (True, "off")


def test_a_row_s_own_cells_go_before_the_defaults():
    assert filled(parse_behaviour(SPEC).tests[2])[1]["gender"] == "Male"


@pytest.mark.parametrize(
    ("test", "field", "message"),
    [
        ({**INVARIANCE, "tolerance": "much"}, "tests[0].tolerance", "expected `float | null`, got `str`"),
        (
            {**INVARIANCE, "tolerence": 1},
            "tests[0].tolerence",
            "is not a field of this kind of test: did you mean 'tolerance'?",
        ),
        (
            {**INVARIANCE, "tolerance": None},
            "tests[0].tolerance",
            "is missing: say how far the score may move, or give keep_label: true",
        ),
        ({**INVARIANCE, "tolerance": -1}, "tests[0].tolerance", "must be a number of 0 or more"),
        ({**INVARIANCE, "tolerance": float("nan")}, "tests[0].tolerance", "must be a number of 0 or more"),
        ({**INVARIANCE, "noise": 0.1}, "tests[0].values", "give exactly one of values, swap and noise"),
        ({**INVARIANCE, "swap": None}, "tests[0].values", "give exactly one of values, swap and noise"),
        ({**INVARIANCE, "swap": ["F", "F"]}, "tests[0].swap", "needs two values that differ"),
        ({**INVARIANCE, "swap": ["F"]}, "tests[0].swap", "expected `array` of length 2, got 1"),
        ({**INVARIANCE, "swap": None, "values": []}, "tests[0].values", "is empty: give at least one value"),
        (
            {**INVARIANCE, "swap": None, "noise": 0},
            "tests[0].noise",
            "must be a number above 0, in standard deviations of the column",
        ),
        ({**INVARIANCE, "allowed_failure_rate": 5}, "tests[0].allowed_failure_rate", "must lie between 0 and 1"),
        (
            {**INVARIANCE, "type": "invariant"},
            "tests[0].type",
            "invalid value 'invariant': use invariance, directional or minimum_functionality",
        ),
        ({**INVARIANCE, "name": ""}, "tests[0].name", "expected `str` of length >= 1"),
        ({"name": "a", "type": "invariance", "swap": [1, 2]}, "tests[0]", "object missing required field `column`"),
        ({**DIRECTIONAL, "set_to": 1}, "tests[0].increase_by", "give either increase_by or set_to"),
        ({**DIRECTIONAL, "increase_by": None}, "tests[0].increase_by", "give either increase_by or set_to"),
        ({**DIRECTIONAL, "increase_by": 0}, "tests[0].increase_by", "must be a number other than 0"),
        ({**DIRECTIONAL, "expect": "up"}, "tests[0].expect", "invalid enum value 'up'"),
        ({**FUNCTION, "rows": []}, "tests[0].rows", "is empty: give at least one row"),
        (
            {**FUNCTION, "rows": [{"given": {}}]},
            "tests[0].rows[0].label",
            "is missing: give a label, at_least or at_most",
        ),
        (
            {**FUNCTION, "rows": [{**ROW, "at_least": 0.9, "at_most": 0.1}]},
            "tests[0].rows[0].at_least",
            "is above at_most (0.9 > 0.1)",
        ),
        (
            {**FUNCTION, "rows": [{**ROW, "at_lest": 1}]},
            "tests[0].rows[0].at_lest",
            "is not a field of this kind of test: did you mean 'at_least'?",
        ),
        ("a text", "tests[0]", "expected `object`, got `str`"),
    ],
)
def test_a_bad_test_is_named_by_field_with_what_to_do(test, field, message):
    assert errors_of(test) == {field: message}


def test_every_bad_field_of_every_test_is_listed_at_once():
    found = errors_of(
        {**INVARIANCE, "tolerance": -1, "swap": [1, 1]}, DIRECTIONAL, {**FUNCTION, "name": "b", "rows": []}
    )
    assert set(found) == {"tests[0].tolerance", "tests[0].swap", "tests[1].name", "tests[2].rows"}
    assert found["tests[1].name"] == "'a' is used twice: names tell tests apart"


@pytest.mark.parametrize("text", ["", "[]", "tests: []", "tests: 3", "other: []", "tests: [1]\nother: 2"])
def test_what_is_no_list_of_tests_is_refused(text):
    with pytest.raises(Invalid, match="expected a mapping with the one key 'tests'"):
        parse_behaviour(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests: [\n  {name: a", "model.behaviour.yaml is not valid YAML in line 2"),
        ("tests: []\ntests: []", "the key 'tests' is given twice"),
        ("tests: [{name: !!python/name:os.system x}]", "could not determine a constructor"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text, said):
    with pytest.raises(Invalid) as refused:
        parse_behaviour(text, source="model.behaviour.yaml")
    assert said in refused.value.detail


def test_anchors_and_merged_mappings_are_read():
    text = """
    tests:
      - name: a
        type: minimum_functionality
        defaults: &base {gender: F}
        rows: [{given: {<<: *base, tenure: 1}, label: a}]
    """
    assert parse_behaviour(text).tests[0].rows[0].given == {"gender": "F", "tenure": 1}


@pytest.mark.parametrize(
    ("test", "place", "message"),
    [
        (
            {**INVARIANCE, "column": "gendre"},
            "column",
            "'gendre' is not a column of this model: did you mean 'gender'?",
        ),
        ({**INVARIANCE, "column": "tenure"}, "swap[0]", 'is the text "F": expected a number or null'),
        (
            {**INVARIANCE, "swap": None, "noise": 1},
            "noise",
            "the column 'gender' is categorical: only a numeric one can be shifted",
        ),
        ({**INVARIANCE, "class": "Maybe"}, "class", "'Maybe' is not a class of this model: use one of 'No', 'Yes'"),
        (
            {**DIRECTIONAL, "column": "customer"},
            "column",
            "the model does not read 'customer', so its score cannot move with it",
        ),
        (
            {**DIRECTIONAL, "column": "joined"},
            "increase_by",
            "the column 'joined' is time: only a numeric one can be shifted",
        ),
        (
            {**FUNCTION, "rows": [{**ROW, "label": "Maybe"}]},
            "rows[0].label",
            "'Maybe' is not a class of this model: use one of 'No', 'Yes'",
        ),
        (
            {**FUNCTION, "rows": [{**ROW, "given": {**ROW["given"], "tenure": "long"}}]},
            "rows[0].tenure",
            'is the text "long": expected a number or null',
        ),
        (
            {**FUNCTION, "rows": [{**ROW, "given": {**ROW["given"], "tenor": 1}}]},
            "rows[0].tenor",
            "is not a column of this model: did you mean 'tenure'?",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_named(test, place, message):
    (parsed,) = parse_behaviour(written(test)).tests
    assert problems(parsed, SIGNATURE)[0] == (place, message)


def test_labels_and_scores_are_asked_of_the_task_that_has_them():
    regression = msgspec.structs.replace(SIGNATURE, task="regression", classes=())
    three = msgspec.structs.replace(SIGNATURE, task="multiclass", classes=("a", "b", "Yes"))
    label, keep, direction, bound = parse_behaviour(
        written(
            FUNCTION,
            {**INVARIANCE, "name": "b", "keep_label": True},
            {**DIRECTIONAL, "name": "c"},
            {**FUNCTION, "name": "d", "rows": [{"given": ROW["given"], "at_least": 0.1}]},
        )
    ).tests
    assert problems(label, regression)[0][1].startswith("a regression model has no classes")
    assert problems(keep, regression) == [("keep_label", "a regression model has no labels: give a tolerance")]
    assert problems(direction, three)[0][1] == "is missing: say whose probability moves, one of 'a', 'b', 'Yes'"
    assert problems(bound, three)[0][1] == "is missing: say whose probability, one of 'a', 'b', 'Yes'"
    assert problems(bound, regression) == problems(label, three) == []


def test_a_class_is_found_by_its_value_before_its_text():
    mixed = msgspec.structs.replace(SIGNATURE, task="multiclass", classes=("1", 1, True))
    assert [class_index(mixed, label) for label in ("1", 1, True, "True", 2)] == [0, 1, 2, 2, None]


@pytest.mark.parametrize(
    "text",
    [
        "tests: !!int foo",
        "tests: !!float foo",
        "tests: !!timestamp foo",
        "tests: !!bool foo",
        "tests: 0x_",
        "tests: " + "9" * 5_000,
        "[" * 5_000,
        "{a: " * 3_000,
        "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: &c {<<: [*b, *b]}\ntests: []",
        "a: &a [1]\ntests: [" + ", ".join(["*a"] * 200) + "]",
    ],
    ids=["int", "float", "timestamp", "bool", "hex", "digits", "brackets", "braces", "nested aliases", "many aliases"],
)
def test_yaml_that_makes_a_reader_stumble_is_refused_at_once(text):
    with pytest.raises(Invalid) as refused:
        parse_behaviour(text, source="model.behaviour.yaml")
    assert refused.value.code in {"behaviour.not_yaml", "behaviour.not_a_spec"}
    assert refused.value.hint
