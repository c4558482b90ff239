"""The findings are sentences that say which column, how much, and what happened."""

import numpy as np
import pytest

from arkwright.evaluation.robustness import assess_robustness
from tests.unit.evaluation.robust_cases import one_column_model, signature_of, two_columns


def report_of(model, columns, truth, **given):
    return assess_robustness(model, signature_of(columns), columns, truth, seed=0, **given)


def test_many_columns_with_the_same_failure_are_one_sentence():
    columns, truth = two_columns(120)
    columns |= {f"text {place}": columns["colour"] for place in range(4)}

    def strict(rows):
        for name in columns:
            if rows[name].dtype == object and (set(rows[name]) - {"red", "green", "blue", None}):
                raise ValueError(f"unknown value in {name}")
        return one_column_model(rows)

    report = report_of(strict, columns, truth, important=("deciding", "colour"))
    assert report.catastrophic == (
        (
            "With one of the columns 'colour', 'text 0', 'text 1' and 2 more set to a category never seen before, "
            "the model raised ValueError: unknown value in colour."
        ),
        (
            "With one of the columns 'colour', 'text 0', 'text 1' and 2 more set to empty text, "
            "the model raised ValueError: unknown value in colour."
        ),
    )


def test_a_robust_part_is_said_to_be_robust():
    columns, truth = two_columns(240)
    columns["deciding"] = np.where(columns["deciding"] > 0, 100.0, -100.0)
    columns["flag"] = np.where(truth == 1, "yes", "no").astype(object)
    report = report_of(lambda rows: np.where(rows["flag"] == "yes", 0.9, 0.1)[:, None], columns, truth)
    assert "Noise of up to 1 standard deviation of a column leaves 100 % of the skill." in report.findings
    assert "The model answered all 16 cases of unexpected values." in report.findings
    assert "Without column 'flag', the costliest to lose, 0 % of the skill is left." in report.findings


def test_a_rare_level_that_does_worse_is_named_and_one_that_does_not_is_not():
    columns, truth = two_columns(1000)
    columns["colour"][:40], columns["colour"][40:80] = "ultraviolet", "infrared"
    columns["deciding"][:40] *= -1
    report = report_of(one_column_model, columns, truth)
    rare = [text for text in report.findings if text.startswith("The rare")]
    assert len(rare) == 1
    assert rare[0].startswith("The rare level 'ultraviolet' of 'colour' (40 rows) does worse: area under the ROC curve")


def test_a_regression_that_runs_away_is_said_to():
    columns = {"x": np.random.default_rng(0).normal(size=200)}
    report = assess_robustness(
        lambda rows: np.nan_to_num(rows["x"])[:, None],
        signature_of(columns, "regression"),
        columns,
        columns["x"],
        seed=0,
    )
    assert "Predictions run away, far outside what was ever observed, with column 'x' out of range." in report.findings


@pytest.mark.parametrize("text", ["skill is left", "calibration error", "get another label", "AUC of"])
def test_each_part_has_a_sentence(text):
    columns, truth = two_columns(300)
    assert any(text in finding for finding in report_of(one_column_model, columns, truth).findings)
