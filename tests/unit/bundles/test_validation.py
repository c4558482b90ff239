"""A request that does not fit is told which field, what was wrong and what was expected."""

from __future__ import annotations

import pytest

from arkwright.bundles import InstanceValidator, PredictionInvalid, check_columns
from arkwright.contracts import Column, Signature

SIGNATURE = Signature(
    task="binary",
    target="Churn",
    columns=(
        Column(name="tenure", kind="numeric"),
        Column(name="Contract", kind="categorical"),
        Column(name="joined", kind="time"),
        Column(name="note", kind="categorical", required=False),
    ),
    classes=("No", "Yes"),
    identifiers=("customerID",),
    ignored=("constant",),
)
A_MOMENT = "expected an RFC 3339 date or date-time such as 2026-03-01 or 2026-03-01T09:30:00Z, or null"
GOOD = {"tenure": 12, "Contract": "One year", "joined": "2024-05-01"}


def refusal(*rows):
    with pytest.raises(PredictionInvalid) as caught:
        InstanceValidator(SIGNATURE).check(list(rows))
    assert caught.value.code == "prediction.invalid"
    assert caught.value.status == 422
    return caught.value


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        GOOD | {"tenure": 1.5, "note": "hello"},
        GOOD | {"tenure": None, "Contract": None, "joined": None, "note": None},
        GOOD | {"Contract": True},
        GOOD | {"Contract": 3},
        GOOD | {"customerID": "x", "constant": [1], "Churn": "Yes"},
        GOOD | {"joined": "2024-05-01T10:30:00.25+02:00"},
        GOOD | {"joined": "2024-05-01 10:30:00Z"},
        GOOD | {"tenure": -(2**60)},
    ],
)
def test_what_fits_passes_and_is_returned_as_it_is(row):
    assert InstanceValidator(SIGNATURE).check([GOOD, row]) == [GOOD, row]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"tenure": "12"}, "tenure", 'is the text "12": expected a number or null'),
        ({"tenure": True}, "tenure", "is the boolean true: expected a number or null"),
        ({"tenure": [1]}, "tenure", "is a list: expected a number or null"),
        ({"tenure": float("inf")}, "tenure", "is infinite: expected a number or null"),
        ({"tenure": float("nan")}, "tenure", "is NaN: expected a number or null"),
        ({"tenure": 10**400}, "tenure", "is an integer too large for a float64: expected a number or null"),
        ({"Contract": 1.5}, "Contract", "is the number 1.5: expected text or null"),
        ({"Contract": {}}, "Contract", "is an object: expected text or null"),
        ({"note": 10.0**30}, "note", "is the number 1e+30: expected text or null"),
        (
            {"joined": "yesterday"},
            "joined",
            f'is the text "yesterday": {A_MOMENT}',
        ),
        (
            {"joined": 20240501},
            "joined",
            f"is the number 20240501: {A_MOMENT}",
        ),
        ({"tenur": 3}, "tenur", "is not a column of this model: did you mean 'tenure'?"),
        ({"zzz": 3}, "zzz", "is not a column of this model: leave it out"),
    ],
)
def test_each_wrong_field_is_named_with_what_was_expected(change, field, message):
    error = refusal(GOOD, GOOD, GOOD, GOOD | change)
    assert error.errors == [{"field": f"instances[3].{field}", "message": message}]
    assert error.detail == f"instances[3].{field} {message}."
    assert error.hint == "The model takes: tenure (number), Contract (text), joined (time), note (text)."


@pytest.mark.parametrize("text", ["20240501", "2024-W18-3", "0001-01-01T00:00:00+10:00", "2024-13-01", ""])
def test_dates_of_other_forms_are_refused(text):
    assert refusal(GOOD | {"joined": text}).errors[0]["field"] == "instances[0].joined"


def test_a_required_column_must_be_present_and_an_optional_one_need_not():
    error = refusal({"Contract": "One year", "joined": None})
    assert error.errors == [
        {"field": "instances[0].tenure", "message": "is missing: expected a number or null"},
    ]


def test_an_instance_must_be_an_object():
    assert refusal(GOOD, [1, 2]).errors == [
        {"field": "instances[1]", "message": "is a list: expected an object with one member per column"}
    ]


@pytest.mark.parametrize(("instances", "found"), [([], "an empty list"), (None, "null"), ({}, "an object")])
def test_instances_must_be_a_list_with_something_in_it(instances, found):
    with pytest.raises(PredictionInvalid, match=f"instances is {found}: expected a list of one or more rows") as caught:
        InstanceValidator(SIGNATURE).check(instances)
    assert caught.value.errors[0]["field"] == "instances"


def test_a_flood_of_errors_is_counted_and_the_first_are_listed():
    error = refusal(*[{"tenure": "x"}] * 100)
    assert len(error.errors) == 20
    assert "There are 300 such problems; the first 20 are listed." in error.detail


def test_a_long_value_is_shortened_in_the_message():
    assert len(refusal(GOOD | {"tenure": "9" * 10_000}).errors[0]["message"]) < 100


def test_subclasses_of_the_json_types_are_as_good(churn):
    class Text(str):
        __slots__ = ()

    row = GOOD | {"Contract": Text("One year"), "tenure": churn[1]["tenure"][0]}
    assert InstanceValidator(SIGNATURE).check([row]) == [row]


def test_a_table_is_checked_by_column(column_of):
    table = {
        "tenure": column_of("categorical", ["1", "2"]),
        "Contract": column_of("categorical", ["a"]),
        "extra": column_of("numeric", [1.0, 2.0]),
    }
    with pytest.raises(PredictionInvalid) as caught:
        check_columns(SIGNATURE, table)
    assert caught.value.errors == [
        {"field": "tenure", "message": "holds object: expected number"},
        {"field": "Contract", "message": "has shape (1,): expected (2,)"},
        {"field": "joined", "message": "is missing from the table"},
    ]
