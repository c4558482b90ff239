"""Fairness at the threshold that was chosen: what changes, and that nobody moves there unseen."""

import dataclasses

import msgspec
import numpy as np
import pytest

from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.card import model_card
from arkwright.evaluation.examination import section
from arkwright.evaluation.fairness import audit_binary, audit_binary_at
from arkwright.evaluation.fairness_at_threshold import compare_thresholds
from arkwright.evaluation.material import Material, Options
from arkwright.evaluation.model_evaluation import FairnessSection
from arkwright.evaluation.recommendations import recommendations_of
from arkwright.evaluation.report_page import render_report
from arkwright.evaluation.summary import summary_of
from arkwright.evaluation.thresholds import Costs
from arkwright.evaluation.verdict import verdict_of
from tests.unit.evaluation import evaluated

N = 2_000
OPTIONS = Options(profile="quick", n_resamples=100, favourable="granted")
DEAR = dataclasses.replace(OPTIONS, costs=Costs(false_negative=5.0))


def people():
    """Alike above one half; below it, many of one group lie between 0.2 and one half, and few of the other."""
    rng = np.random.default_rng(0)
    sex = np.where(np.arange(N) % 2 == 0, "f", "m").astype(object)
    sure = np.arange(N) % 4 < 2
    between = rng.random(N) < np.where(sex == "m", 0.5, 0.1)
    score = np.where(sure, 0.9, np.where(between, 0.25, 0.05))
    return sex, score, (rng.random(N) < score).astype(np.int64)


def material():
    sex, score, truth = people()
    signature = Signature(
        task="binary", target="y", columns=(Column(name="x", kind="numeric"),), classes=("refused", "granted")
    )
    return Material(
        signature, lambda given: given["x"][:, None], {"x": score}, truth, np.array([[0.5]]), sensitive={"sex": sex}
    )


def audits(thresholds=(0.5, 0.2), **options):
    sex, score, truth = people()
    return audit_binary_at(truth, score, {"sex": sex}, thresholds, n_resamples=100, **options)


def examined(options):
    given = material()
    return section("fairness", given, options, {"calibration": section("calibration", given, options)})


def test_an_audit_at_two_thresholds_is_that_at_each():
    sex, score, truth = people()
    for threshold, found in zip((0.5, 0.2), audits(), strict=True):
        alone = audit_binary(truth, score, {"sex": sex}, threshold=threshold, n_resamples=100)
        assert found.threshold == alone.threshold == threshold
        assert found.status == alone.status
        for one, other in zip(found.column("sex").disparities, alone.column("sex").disparities, strict=True):
            assert (one.name, one.verdict) == (other.name, other.verdict)
            assert one.value.value == pytest.approx(other.value.value)
            assert (one.value.low, one.value.high) == pytest.approx((other.value.low, other.value.high))


def test_a_column_that_would_come_to_fail_is_a_finding_with_the_measure_that_fails():
    found = compare_thresholds(*audits())
    assert (found.usual, found.threshold, found.status) == (0.5, 0.2, "Fail")
    first = found.changes[0]
    assert (first.column, first.fails_before, first.fails_after, first.change) == ("sex", False, True, "worse")
    [finding] = found.findings
    assert (finding.severity, finding.kind, finding.column) == ("warning", "threshold", "sex")
    assert finding.text.startswith("At a score of 0.2 the audit would fail, which it does not today. Do not move")
    assert "disparate impact ratio" in finding.text
    assert "come to fail: disparate impact ratio of sex" in found.detail


def test_the_other_way_round_it_is_good_news_and_no_warning():
    found = compare_thresholds(*audits((0.2, 0.5)))
    assert [item.severity for item in found.findings] == ["note"]
    assert "would not fail, which it does today" in found.findings[0].text
    assert "no longer fail: " in found.detail


def test_a_measure_that_fails_and_cannot_be_computed_at_the_other_threshold_is_not_said_to_be_mended():
    found = compare_thresholds(*audits((0.2, 0.95)))  # nobody has a score of 0.95
    [ratio] = [each for each in found.changes if each.measure == "disparate_impact_ratio"]
    assert (ratio.fails_before, ratio.after.value, ratio.change) == (True, None, "not computable")
    mended = found.detail.partition("no longer fail: ")[2].partition(";")[0]
    assert "disparate impact ratio" not in mended
    assert "cannot be computed there: disparate impact ratio of sex" in found.detail


def test_a_favourable_negative_class_is_judged_at_both_thresholds_too():
    usual, other = audits(favourable=0)
    assert usual.column("sex").groups[0].metrics["selection_rate"].value > (
        other.column("sex").groups[0].metrics["selection_rate"].value
    )


def test_audits_of_other_columns_are_not_compared():
    sex, score, truth = people()
    usual, other = audits()
    stranger = audit_binary(truth, score, {"city": sex}, threshold=0.2, n_resamples=50)
    with pytest.raises(Invalid, match="not of the same columns"):
        compare_thresholds(usual, stranger)
    with pytest.raises(Invalid, match="not of the same columns"):
        compare_thresholds(usual, msgspec.structs.replace(other, threshold=None))


def test_the_section_audits_at_one_half_and_at_the_threshold_that_costs_choose():
    found = examined(DEAR)
    assert found.report.threshold == 0.5
    assert found.report.status != "Fail"
    assert found.at_threshold.threshold == pytest.approx(0.25)
    assert found.at_threshold.status == "Fail"
    assert [item.severity for item in found.at_threshold.findings] == ["warning"]
    # What it does today is what it is judged by.
    assert found.status != "Fail"


def test_where_no_threshold_is_chosen_or_it_calls_the_same_rows_there_is_no_second_audit():
    assert section("fairness", material(), OPTIONS).at_threshold is None
    assert examined(dataclasses.replace(OPTIONS, costs=Costs())).at_threshold is None


def test_a_threshold_that_nobody_asked_for_and_that_is_not_advised_makes_a_note():
    given = material()
    calibration = section("calibration", given, DEAR)
    idle = msgspec.structs.replace(
        calibration.threshold, cross_fitted_saved=msgspec.structs.replace(calibration.threshold.cost_saved, low=-1.0)
    )
    done = {"calibration": msgspec.structs.replace(calibration, threshold=idle)}
    found = section("fairness", given, OPTIONS, done)
    assert [item.severity for item in found.at_threshold.findings] == ["note"]


def document():
    given = material()
    calibration = section("calibration", given, DEAR)
    fairness = section("fairness", given, DEAR, {"calibration": calibration})
    return msgspec.structs.replace(evaluated.good(), fairness=fairness, calibration=calibration)


def test_verdict_recommendation_card_and_report_say_not_to_move_the_threshold():
    found = document()
    verdict = verdict_of(found)
    [told] = [item for item in verdict.reasons if item.text.startswith("Fairness at another threshold")]
    assert verdict.decision == "conditional"
    assert told.evidence == ("/fairness/at_threshold/findings/0/text",)
    [advice] = [item.text for item in recommendations_of(found) if item.text.startswith("Do not move the threshold to")]
    assert "fairness would fail there for 'sex' and does not today" in advice
    assert not any("not from one half" in item.text for item in recommendations_of(found))
    card = model_card(found, created_at="2026-01-01T00:00:00Z")
    assert found.fairness.at_threshold.detail in card.ethical_considerations
    assert found.fairness.at_threshold.detail in card.metrics.decision_threshold
    page = " ".join(render_report(found).split())
    assert "At the threshold that was chosen, 0.25" in page
    assert "Fails the model" in page


def test_without_a_finding_the_threshold_is_recommended_as_before():
    found = document()
    quiet = msgspec.structs.replace(found.fairness.at_threshold, findings=())
    found = msgspec.structs.replace(found, fairness=msgspec.structs.replace(found.fairness, at_threshold=quiet))
    assert any("not from one half" in item.text for item in recommendations_of(found))
    assert not any("another threshold" in item.text for item in verdict_of(found).reasons)


def test_an_assumed_favourable_outcome_comes_first_on_the_card_and_in_the_report_and_is_told_in_plain_words():
    given = material()
    fairness = section("fairness", given, dataclasses.replace(OPTIONS, favourable=None))
    found = msgspec.structs.replace(evaluated.good(), fairness=fairness)
    text = fairness.report.assumptions[0].text
    assert text.startswith("Nobody stated which outcome is favourable. granted, the positive class,")
    card = model_card(found, created_at="2026-01-01T00:00:00Z")
    assert card.ethical_considerations[0] == text
    page = " ".join(render_report(found).split())
    start = page.index('id="fairness-title"')
    assert 0 < page.index("Nobody stated which outcome is favourable", start) < page.index("Status: ", start)
    assert any(item.text == text for item in summary_of(found))


def test_a_section_of_before_the_second_audit_can_still_be_read():
    body = msgspec.to_builtins(examined(OPTIONS))
    del body["at_threshold"]
    del body["report"]["threshold"]
    assert msgspec.convert(body, FairnessSection).at_threshold is None
