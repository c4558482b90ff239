"""One report: what the model withstands, its score, and what it means."""

import msgspec
import numpy as np
import pytest

from arkwright.core.errors import Invalid
from arkwright.evaluation.robustness import RobustnessReport, assess_robustness
from tests.unit.evaluation.robust_cases import (
    adult,
    constant_model,
    nan_model,
    one_column_model,
    picky_model,
    signature_of,
    two_columns,
)


def run(model, columns, truth, **given):
    return assess_robustness(model, signature_of(columns), columns, truth, seed=0, **given)


def part(report, name):
    return next(item.value for item in report.parts if item.name == name)


def test_adult_gets_a_whole_report_that_survives_json():
    predict, signature, train, holdout, truth = adult()
    report = assess_robustness(predict, signature, holdout, truth, seed=0, reference=train, max_rows=250)
    assert report.catastrophic == ()
    assert report.not_reached == ()
    values = [item.value for item in report.parts]
    assert all(0 < value <= 1 for value in values)
    assert report.score.value == pytest.approx(1 + 9 * np.mean(values))
    assert report.rating == "Acceptable"
    assert not any("rests on" in text for text in report.findings)
    assert set(report.important) == set(holdout)
    assert report.n_calls > 100
    assert len(report.findings) >= 8
    encoded = msgspec.json.encode(report)
    assert msgspec.json.decode(encoded, type=RobustnessReport) == report


def test_a_model_that_leans_on_one_column_scores_below_one_that_spreads_its_trust():
    rng = np.random.default_rng(0)
    whole = rng.normal(size=500)
    columns = {name: whole + 0.3 * rng.normal(size=500) for name in ("deciding", "second", "third", "fourth")}
    truth = (rng.random(500) < 1 / (1 + np.exp(-3 * whole))).astype(np.int64)

    def spread(rows):
        mean = np.mean([np.nan_to_num(rows[name]) for name in columns], axis=0)
        return 1 / (1 + np.exp(-3 * mean))[:, None]

    leaning, trusting = run(one_column_model, columns, truth), run(spread, columns, truth)
    assert leaning.important[0] == "deciding"
    assert part(leaning, "noise") < part(trusting, "noise")
    assert part(leaning, "missing") < part(trusting, "missing") - 0.1
    assert leaning.score.value < trusting.score.value
    assert any(
        "Without column 'deciding', the costliest to lose, 0 % of the skill" in text for text in leaning.findings
    )


def test_a_constant_model_has_no_score_because_it_has_nothing_to_lose():
    columns, truth = two_columns(240)
    report = run(constant_model, columns, truth)
    assert report.score.value is None
    assert "no skill to retain" in report.score.reason
    assert report.rating == "Not computable"
    assert report.catastrophic == ()
    assert report.flips.n_flipped == 0


def test_a_model_that_raises_on_an_unseen_category_is_catastrophic_and_does_not_crash():
    columns, truth = two_columns(240)
    report = run(picky_model, columns, truth)
    assert report.score.value <= 3
    assert report.rating == "Excessive"
    assert report.catastrophic[0].startswith(
        "With column 'colour' set to a category never seen before, the model raised ValueError: Found unknown"
    )
    assert report.findings[: len(report.catastrophic)] == report.catastrophic
    assert part(report, "noise") == part(run(one_column_model, columns, truth), "noise")


def test_a_model_that_answers_nan_for_some_rows_is_tested_on_the_others():
    columns, truth = two_columns(240)
    columns["deciding"][[3, 50]] = np.nan
    report = run(nan_model, columns, truth)
    assert report.unusable_rows == (3, 50)
    assert (report.n_rows, report.n_rows_unusable) == (238, 2)
    assert report.score.value == 1.0
    assert report.catastrophic[0] == (
        "On undisturbed rows the model answered NaN or infinity for 2 of 240 rows; 2 of 240 rows are left out."
    )
    assert "With column 'deciding' missing, the model answered NaN" in report.catastrophic[1]
    assert part(report, "shift") > 0.8


def test_one_row_that_raises_does_not_hide_the_rest():
    columns, truth = two_columns(240)
    columns["colour"][77] = "infrared"
    report = run(picky_model, columns, truth)
    assert report.unusable_rows == (77,)
    assert report.noise.points
    assert report.score.value == 1.0


def test_a_model_that_only_answers_nan_ends_in_a_report():
    columns, truth = two_columns(100)
    report = run(lambda rows: np.full((len(rows["idle"]), 1), np.nan), columns, truth)
    assert (report.score.value, report.n_rows, report.parts) == (1.0, 0, ())
    assert report.findings == report.catastrophic
    assert "100 of 100 rows are left out" in report.findings[0]


def test_more_rows_than_the_limit_are_sampled_and_it_is_said():
    columns, truth = two_columns(600)
    report = run(one_column_model, columns, truth, max_rows=150)
    assert (report.n_rows, report.n_rows_available) == (150, 600)
    assert "Measured on a seeded sample of 150 of 600 rows." in report.findings


def test_a_stop_returns_what_was_measured_and_names_the_rest():
    columns, truth = two_columns(200)
    nothing = run(one_column_model, columns, truth, should_stop=lambda: True)
    assert nothing.score.value is None
    assert nothing.score.reason == "no part was reached"
    assert len(nothing.not_reached) == 7

    left = iter(range(1000))
    some = run(one_column_model, columns, truth, important=("deciding",), should_stop=lambda: next(left) > 10)
    assert some.noise is not None
    assert some.flips is None
    assert "small changes that flip the label" in some.not_reached
    assert next(item for item in some.parts if item.name == "flips").reason == "the tests were stopped before it"
    assert some.score.value is not None


def test_a_regression_is_scored_without_labels():
    columns, _ = two_columns(240)
    truth = 2 * columns["deciding"] + 0.1 * columns["idle"]
    report = assess_robustness(
        lambda rows: 2 * np.clip(np.nan_to_num(rows["deciding"]), -4, 4)[:, None],
        signature_of(columns, "regression"),
        columns,
        truth,
        seed=0,
    )
    assert report.metric == "rmse"
    assert part(report, "flips") is None
    assert part(report, "extremes") == 1.0
    assert 1 < report.score.value < 10


@pytest.mark.parametrize("n_rows", [1, 2, 12])
def test_a_handful_of_rows_is_no_reason_to_crash(n_rows):
    columns, truth = two_columns(n_rows)
    report = run(one_column_model, columns, truth)
    assert report.n_rows == n_rows
    assert b"NaN" not in msgspec.json.encode(report)


def test_rows_of_one_class_have_no_score_and_a_reason():
    columns, truth = two_columns(100)
    report = run(one_column_model, columns, np.zeros_like(truth))
    assert report.clean is None
    assert "not defined" in report.score.reason


def test_many_classes_are_scored():
    rng = np.random.default_rng(0)
    columns = {"deciding": rng.normal(size=300), "idle": rng.normal(size=300)}
    truth = np.digitize(columns["deciding"], [-0.5, 0.5])

    def model(rows):
        x = np.nan_to_num(rows["deciding"])
        z = np.clip(np.column_stack((-3 * x - 1.5, np.zeros_like(x), 3 * x - 1.5)), -50, 50)
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    report = assess_robustness(
        model, signature_of(columns, "multiclass", ("low", "middle", "high")), columns, truth, seed=0
    )
    assert report.metric == "log_loss"
    assert report.catastrophic == ()
    assert 1 < report.score.value < 10


def test_the_same_seed_gives_the_same_bytes():
    columns, truth = two_columns(150)
    assert msgspec.json.encode(run(one_column_model, columns, truth)) == msgspec.json.encode(
        run(one_column_model, columns, truth)
    )


def test_bad_input_is_refused_before_the_model_is_asked():
    columns, truth = two_columns(50)
    with pytest.raises(Invalid, match="none of the model's classes"):
        run(one_column_model, columns, np.full(50, 7))
    with pytest.raises(Invalid, match="'idle'"):
        assess_robustness(
            one_column_model,
            signature_of(columns),
            {"deciding": columns["deciding"], "colour": columns["colour"]},
            truth,
            seed=0,
        )


def test_labels_that_an_extreme_value_turns_cost_the_score_although_the_model_answers():
    columns, truth = two_columns(240)
    report = run(one_column_model, columns, truth)
    assert report.extremes.share_survived == 1.0
    kept = [1.0 - case.share_flipped for case in report.extremes.cases]
    assert part(report, "extremes") == pytest.approx(np.mean(kept))
    assert 0.5 < part(report, "extremes") < 0.95


def test_a_shift_of_labels_is_measured_by_what_it_changes():
    columns, truth = two_columns(400)
    report = run(one_column_model, columns, truth)
    assert (report.metric, report.shift.metric) == ("roc_auc", "log_loss")
    labels = [case.effect.metric.value for case in report.shift.cases if case.kind == "label"]
    assert np.ptp(labels) > 0.01


def test_a_score_says_how_many_parts_it_rests_on():
    columns, _ = two_columns(240)
    truth = 2 * columns["deciding"] + 0.1 * columns["idle"]

    def model(rows):
        return 2 * np.clip(np.nan_to_num(rows["deciding"]), -4, 4)[:, None]

    report = assess_robustness(model, signature_of(columns, "regression"), columns, truth, seed=0)
    n_known = sum(item.value is not None for item in report.parts)
    assert n_known < 6
    told = next(text for text in report.findings if text.startswith("The score rests on"))
    assert told.startswith(f"The score rests on {n_known} of 6 parts. Not computable: ")
    assert "small changes that flip the label (" in told


def test_scores_that_rank_well_and_are_no_probabilities_have_no_shift_part_and_a_reason():
    columns, truth = two_columns(300)
    report = run(lambda rows: 0.001 * one_column_model(rows), columns, truth)
    assert report.score.value is not None
    shift = next(item for item in report.parts if item.name == "shift")
    assert shift.value is None
    assert shift.reason.startswith("the model has no skill to retain: log loss")
    assert any("another population (the model has no skill" in text for text in report.findings)
