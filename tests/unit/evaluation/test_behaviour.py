"""Behaviour tests run against models: a constant one, an unfair one, sensible ones, and ones that do not answer."""

import csv
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.bundles import LightGBMEvaluator, ModelFailed, Predictor, fit_encoder
from arkwright.contracts import Column, Signature
from arkwright.core.errors import AdapterError, Invalid, Unavailable
from arkwright.evaluation.behaviour import BehaviourReport, BehaviourRunner, run_behaviour
from arkwright.evaluation.behaviour_spec import parse_behaviour

SPEC = (Column(name="gender", kind="categorical"), Column(name="tenure", kind="numeric"))
BINARY = Signature(task="binary", target="churn", columns=SPEC, classes=("No", "Yes"), identifiers=("customer",))
COLOURS = Signature(task="multiclass", target="colour", columns=SPEC, classes=("red", "green", "blue"))
PRICE = Signature(task="regression", target="price", columns=SPEC)
ROWS = {
    "gender": np.array(["F", "M", None, "F"], dtype=object),
    "tenure": np.array([1.0, 20.0, 40.0, np.nan]),
}
GENDER = {"name": "gender", "type": "invariance", "column": "gender", "tolerance": 0.01}
TENURE = {"name": "tenure", "type": "directional", "column": "tenure", "increase_by": 10, "expect": "decrease"}


def sensible(columns):
    return 1.0 / (1.0 + np.exp(0.1 * (np.nan_to_num(columns["tenure"], nan=30.0) - 30.0))).reshape(-1, 1)


def unfair(columns):
    return np.where(columns["gender"] == "F", 0.6, 0.4).reshape(-1, 1)


def constant(columns):
    return np.full((len(columns["tenure"]), 1), 0.3)


def run(predict, *tests, signature=BINARY, columns=ROWS, **options) -> BehaviourReport:
    spec = parse_behaviour(msgspec.yaml.encode({"tests": list(tests)}).decode())
    report = run_behaviour(spec, predict, signature, columns, **options)
    assert msgspec.json.decode(msgspec.json.encode(report))["passed"] == report.passed
    return report


def run_one(predict, test, **options):
    return run(predict, test, **options).results[0]


def test_a_constant_model_passes_invariance_and_fails_a_strict_direction():
    invariance, lenient, strict = run(
        constant,
        {**GENDER, "values": ["F", "M"], "tolerance": 0, "keep_label": True},
        TENURE,
        {**TENURE, "name": "strict", "strict": True},
    ).results
    assert (invariance.status, lenient.status, strict.status) == ("passed", "passed", "failed")
    assert (strict.n_tested, strict.n_failed, strict.failure_rate) == (3, 3, 1.0)  # a missing tenure has no longer one
    assert strict.failures[0].message == (
        "row 1: tenure 1 -> 11: the score goes from 0.3 to 0.3 (it must fall by more than 0)"
    )


def test_an_unfair_model_fails_invariance_and_the_failing_rows_are_shown_as_they_were():
    found = run_one(unfair, {**GENDER, "swap": ["F", "M"], "keep_label": True})
    assert (found.status, found.n_tested, found.n_failed) == ("failed", 3, 3)
    assert found.detail == "3 of 3 rows failed (100 %; 0 % are allowed)."
    first = found.failures[0]
    assert (first.row, first.inputs, first.change) == (1, {"gender": "F", "tenure": 1}, {"gender": "M"})
    assert (first.score_before, first.score_after, first.label_before, first.label_after) == (0.6, 0.4, "Yes", "No")
    assert first.message == (
        "row 1: gender 'F' -> 'M': the score goes from 0.6 to 0.4, the label from 'Yes' to 'No' "
        "(it may move by at most 0.01, the label must stay)"
    )
    assert [failure.row for failure in found.failures] == [1, 2, 4]


def test_every_value_is_tried_on_every_row_that_does_not_have_it():
    found = run_one(unfair, {**GENDER, "values": ["F", "M", None]})
    assert (found.n_tested, found.n_failed) == (4, 4)
    assert run_one(unfair, {**GENDER, "values": ["M", None]}).n_failed == 2  # M and missing are treated alike


def test_of_several_values_the_one_that_moves_the_score_most_is_shown():
    def three_ways(columns):
        return np.array([{"F": 0.5, "M": 0.6}.get(value, 0.9) for value in columns["gender"]]).reshape(-1, 1)

    found = run_one(three_ways, {**GENDER, "values": ["M", None, "F"]})
    assert found.failures[0].row == 1
    assert found.failures[0].change == {"gender": None}


def test_a_label_that_stays_is_enough_where_only_the_label_must():
    def close(columns):
        return np.where(columns["gender"] == "F", 0.9, 0.6).reshape(-1, 1)

    test = {"name": "a", "type": "invariance", "column": "gender", "swap": ["F", "M"], "keep_label": True}
    assert run_one(close, test).status == "passed"
    assert run_one(unfair, test).status == "failed"


def test_noise_is_seeded_and_as_large_as_the_column_s_spread():
    def linear(columns):
        return columns["tenure"].reshape(-1, 1)

    values = np.random.default_rng(0).normal(100.0, 5.0, 4_000)
    columns = {"gender": np.full(4_000, "F", dtype=object), "tenure": values}
    test = {"name": "a", "type": "invariance", "column": "tenure", "noise": 0.1, "tolerance": 0.98}
    options = {"signature": PRICE, "columns": columns}
    found = run_one(linear, test, **options)
    assert found.failure_rate == pytest.approx(0.05, abs=0.01)  # 1.96 standard deviations of 0.5
    assert run_one(linear, test, **options) == found
    assert run_one(linear, test, seed=1, **options) != found


def test_noise_is_not_cut_off_in_a_column_of_whole_numbers():
    columns = {"gender": ROWS["gender"], "tenure": np.array([1, 2, 3, 4])}
    test = {"name": "a", "type": "invariance", "column": "tenure", "noise": 0.01, "tolerance": 0}
    found = run_one(lambda given: given["tenure"].reshape(-1, 1), test, signature=PRICE, columns=columns)
    assert (found.n_tested, found.n_failed) == (4, 4)
    assert found.failures[0].change["tenure"] != pytest.approx(found.failures[0].inputs["tenure"], abs=1e-12)


def test_a_direction_is_judged_with_its_tolerance():
    assert run_one(sensible, {**TENURE, "strict": True}).status == "passed"
    assert run_one(sensible, {**TENURE, "expect": "increase"}).n_failed == 3
    assert run_one(sensible, {**TENURE, "expect": "increase", "tolerance": 0.3}).status == "passed"
    assert run_one(sensible, {**TENURE, "strict": True, "tolerance": 0.3}).n_failed == 3
    assert run_one(sensible, {**TENURE, "increase_by": -10, "expect": "increase", "strict": True}).status == "passed"


def test_a_column_set_to_a_value_leaves_rows_alone_that_have_it():
    found = run_one(sensible, {**TENURE, "increase_by": None, "set_to": 40, "strict": True})
    assert found.n_tested == 3
    # The row without a tenure is read as 30: setting it to 40 lowers its score too.
    assert found.status == "passed"
    missing = run_one(sensible, {**TENURE, "increase_by": None, "set_to": None, "expect": "increase"}, columns=ROWS)
    assert (missing.n_tested, [failure.row for failure in missing.failures]) == (3, [1, 2])


def test_the_negative_class_may_be_named():
    assert run_one(sensible, {**TENURE, "class": "No", "expect": "increase", "strict": True}).status == "passed"


@pytest.mark.parametrize(("allowed", "status"), [(0.0, "failed"), (0.3, "failed"), (0.34, "passed")])
def test_a_share_of_failing_rows_may_be_allowed(allowed, status):
    def only_m(columns):
        return np.where(columns["tenure"] > 45, 0.9, 0.3).reshape(-1, 1)

    found = run_one(only_m, {**TENURE, "allowed_failure_rate": allowed})
    assert (found.n_failed, found.status) == (1, status)
    assert found.failure_rate == pytest.approx(1 / 3)


def colours(columns):
    red = np.where(columns["gender"] == "F", 0.5, 0.2)
    return np.column_stack((red, 0.7 - red, np.full(red.size, 0.3)))


def test_a_multiclass_model_is_judged_by_the_class_that_moves_or_the_one_named():
    swap = {**GENDER, "swap": ["F", "M"], "tolerance": 0.1}
    found = run_one(colours, swap, signature=COLOURS)
    assert found.n_failed == 3
    assert "the score of 'red' goes from 0.5 to 0.2, the label from 'red' to 'green'" in found.failures[0].message
    assert run_one(colours, {**swap, "class": "blue"}, signature=COLOURS).status == "passed"
    direction = {
        "name": "d",
        "type": "directional",
        "column": "gender",
        "set_to": "F",
        "expect": "increase",
        "strict": True,
    }
    assert run_one(colours, {**direction, "class": "red"}, signature=COLOURS).status == "passed"
    assert run_one(colours, {**direction, "class": "green"}, signature=COLOURS).status == "failed"


def price(columns):
    return np.nan_to_num(columns["tenure"]).reshape(-1, 1) * 3.0


def test_a_regression_model_is_judged_by_its_value():
    found = run_one(price, {**TENURE, "expect": "increase", "tolerance": 29.9, "strict": True}, signature=PRICE)
    assert found.status == "passed"
    found = run_one(price, TENURE, signature=PRICE)
    assert found.failures[0].message == (
        "row 1: tenure 1 -> 11: the value goes from 3 to 33 (it must not rise by more than 0)"
    )
    assert found.failures[0].label_before is None


def function(*rows):
    return {"name": "plain", "type": "minimum_functionality", "defaults": {"gender": "F"}, "rows": list(rows)}


def test_inline_rows_need_no_table_and_say_what_should_have_been():
    found = run_one(
        sensible,
        function(
            {"given": {"tenure": 1}, "label": "Yes"},
            {"given": {"tenure": 90}, "label": "Yes", "at_least": 0.5},
            {"given": {"tenure": 90}, "at_least": 0.9, "class": "No"},
            {"given": {"tenure": 1}, "at_most": 0.2},
        ),
        columns=None,
    )
    assert (found.n_tested, found.n_failed, found.failure_rate) == (4, 2, 0.5)
    assert [failure.message for failure in found.failures] == [
        "row 2: the label is 'No' and should be 'Yes'; the score is 0.002473 and should be at least 0.5",
        "row 4: the score is 0.9478 and should be at most 0.2",
    ]
    assert found.failures[0].inputs == {"gender": "F", "tenure": 90}


def test_inline_rows_of_a_multiclass_and_a_regression_model():
    rows = (
        {"given": {"tenure": 1}, "label": "red", "at_least": 0.5},
        {"given": {"tenure": 1}, "at_most": 0.2, "class": "blue"},
    )
    found = run_one(colours, function(*rows), signature=COLOURS, columns=None)
    assert [failure.message for failure in found.failures] == ["row 2: the score is 0.3 and should be at most 0.2"]
    found = run_one(
        price, function({"given": {"tenure": 2}, "at_least": 6, "at_most": 6}), signature=PRICE, columns=None
    )
    assert found.status == "passed"


def test_a_score_that_is_no_number_is_a_failing_row():
    def broken(columns):
        return np.where(columns["tenure"] > 25, np.nan, 0.3).reshape(-1, 1)

    found = run_one(broken, {**TENURE, "tolerance": 1})
    assert (found.n_tested, found.n_failed) == (3, 2)
    assert found.failures[0].score_after is None
    assert "goes from 0.3 to no number" in found.failures[0].message
    only_label = {"name": "a", "type": "invariance", "column": "tenure", "values": [99], "keep_label": True}
    assert run_one(broken, only_label).n_failed == 4
    inline = run_one(broken, function({"given": {"tenure": 40}, "at_most": 1}))
    assert inline.failures[0].message == "row 1: the score is not a number"


def test_a_model_that_cannot_answer_fails_its_test_and_not_the_run():
    def refusing(columns):
        if (columns["gender"] == "X").any():
            raise ModelFailed("gender X is not known")
        return constant(columns)

    first, second = run(refusing, {**GENDER, "values": ["X"]}, {**TENURE}).results
    assert (first.status, first.failure_rate) == ("failed", None)
    assert first.detail == "The model could not answer: gender X is not known"
    assert second.status == "passed"
    shaped = run_one(lambda columns: np.zeros((1, 5)), TENURE)
    assert "scores of shape (1, 5)" in shaped.detail


@pytest.mark.parametrize(
    ("test", "columns", "reason"),
    [
        ({**GENDER, "swap": ["X", "Y"]}, ROWS, "no row has 'X' or 'Y' in the column 'gender'"),
        ({**GENDER, "values": ["F"]}, {**ROWS, "gender": np.full(4, "F", dtype=object)}, "every row has that value"),
        (TENURE, {**ROWS, "tenure": np.full(4, np.nan)}, "no row has a number in the column 'tenure'"),
        (
            {"name": "n", "type": "invariance", "column": "tenure", "noise": 1, "tolerance": 1},
            {**ROWS, "tenure": np.ones(4)},
            "does not vary",
        ),
        (TENURE, {name: values[:0] for name, values in ROWS.items()}, "no row has a number"),
    ],
)
def test_a_test_that_finds_nothing_to_try_is_not_passed(test, columns, reason):
    report = run(constant, test, columns=columns)
    assert report.results[0].status == "not_run"
    assert report.results[0].failure_rate is None
    assert reason in report.results[0].reason
    assert not report.passed
    assert report.detail == "0 of 1 behaviour test passed, 0 failed, 1 had no row to try."


def test_a_column_the_model_does_not_read_cannot_move_it():
    found = run_one(unfair, {**GENDER, "column": "customer", "swap": ["a", "b"]})
    assert (found.status, found.n_tested, found.reason) == ("passed", 4, "the model does not read this column")


def test_a_long_table_is_sampled_and_says_so_and_rows_keep_their_numbers():
    n_rows = 1_000
    columns = {"gender": np.full(n_rows, "F", dtype=object), "tenure": np.arange(float(n_rows))}
    report = run(constant, {**TENURE, "strict": True}, columns=columns, max_rows=50, n_examples=3)
    assert (report.n_rows, report.n_rows_used, report.results[0].n_tested) == (1_000, 50, 50)
    assert report.detail.endswith("They were tried on a sample of 50 of 1,000 rows.")
    assert len(report.results[0].failures) == 3
    for failure in report.results[0].failures:
        assert failure.inputs["tenure"] == failure.row - 1


def test_tests_that_do_not_fit_the_model_are_refused_together_before_any_is_run():
    asked = []
    with pytest.raises(Invalid) as refused:
        run(asked.append, {**GENDER, "column": "sex", "swap": ["F", "M"]}, {**TENURE, "class": "Maybe"})
    assert [each["field"] for each in refused.value.errors] == ["tests[0].column", "tests[1].class"]
    assert asked == []


def test_a_table_that_lacks_a_column_or_is_not_there_is_refused():
    with pytest.raises(Invalid, match="The table lacks the column 'tenure'"):
        run(constant, TENURE, columns={"gender": ROWS["gender"]})
    (test,) = parse_behaviour(msgspec.yaml.encode({"tests": [TENURE]}).decode()).tests
    with pytest.raises(Invalid, match="no table was given"):
        BehaviourRunner(constant, BINARY).run(test)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_failures_are_counted_as_by_hand(shifts, tolerance, allowed):
    """A row's score is 0 before and its shift after: it fails if that is more than the tolerance."""
    after = np.array(shifts)
    columns = {"gender": np.full(after.size, "F", dtype=object), "tenure": np.arange(float(after.size))}

    def predict(given):
        moved = given["gender"] == "M"
        return np.where(moved, after[given["tenure"].astype(int)], 0.0).reshape(-1, 1)

    test = {**GENDER, "values": ["M"], "tolerance": tolerance, "allowed_failure_rate": allowed}
    found = run_one(predict, test, signature=PRICE, columns=columns)
    expected = int((after > tolerance).sum())
    assert (found.n_tested, found.n_failed) == (after.size, expected)
    assert found.status == ("passed" if expected / after.size <= allowed else "failed")


def test_a_real_churn_model_passes_what_it_learned_and_fails_what_it_did_not():
    import lightgbm

    with (Path(__file__).parents[3] / "examples" / "telco_churn.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    contract = np.array([row["Contract"] for row in rows], dtype=object)
    tenure = np.array([float(row["tenure"]) for row in rows])
    spec = (Column(name="Contract", kind="categorical"), Column(name="tenure", kind="numeric"))
    signature = Signature(task="binary", target="Churn", columns=spec, classes=("No", "Yes"))
    columns = {"Contract": contract, "tenure": tenure}
    encoder = fit_encoder(spec, columns, layout="tree")
    target = np.array([row["Churn"] == "Yes" for row in rows], dtype=np.float64)
    data = lightgbm.Dataset(
        encoder.encode_columns(columns), target, categorical_feature=list(encoder.categorical_feature)
    )
    booster = lightgbm.train({"objective": "binary", "num_threads": 1, "verbosity": -1}, data, num_boost_round=20)
    predictor = Predictor(signature, encoder, LightGBMEvaluator(booster.model_to_string()))
    report = run(
        predictor.predict_columns,
        {
            "name": "two years bind",
            "type": "directional",
            "column": "Contract",
            "set_to": "Two year",
            "expect": "decrease",
            "strict": True,
            "allowed_failure_rate": 0.05,
        },
        {
            "name": "contracts do not matter",
            "type": "invariance",
            "column": "Contract",
            "values": ["Two year", "Month-to-month"],
            "tolerance": 0.05,
        },
        {
            "name": "a new monthly customer leaves",
            "type": "minimum_functionality",
            "rows": [{"given": {"Contract": "Month-to-month", "tenure": 1}, "at_least": 0.5}],
        },
        signature=signature,
        columns=columns,
    )
    assert [result.status for result in report.results] == ["passed", "failed", "passed"]
    assert report.n_rows == len(rows)


@pytest.mark.parametrize("outage", [Unavailable, AdapterError], ids=["unavailable", "adapter"])
@pytest.mark.parametrize(
    "test",
    [
        {**GENDER, "values": ["F"]},
        {
            "name": "row",
            "type": "minimum_functionality",
            "rows": [{"given": {"gender": "F", "tenure": 1}, "label": "No"}],
        },
    ],
    ids=["change", "rows"],
)
def test_an_outage_is_no_finding_about_the_model(outage, test):
    def away(columns):
        raise outage("the model's process is not there")

    with pytest.raises(outage, match="is not there"):
        run(away, test)
