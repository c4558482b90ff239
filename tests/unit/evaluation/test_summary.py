"""The words for an analyst: right, complete, and with evidence for every number."""

import msgspec
import pytest

from arkwright.core.written_numbers import written
from arkwright.evaluation.evidence import check_numbers
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.recommendations import monitoring_of, recommendations_of
from arkwright.evaluation.summary import SECTION_TITLES, summary_of
from arkwright.evaluation.verdict import verdict_of
from tests.unit.evaluation import evaluated


def texts(document):
    return [item.text for item in summary_of(document)]


@pytest.mark.parametrize("document", evaluated.ALL, ids=lambda made: made.__name__)
@pytest.mark.parametrize(
    "words",
    [summary_of, recommendations_of, monitoring_of, lambda document: verdict_of(document).reasons],
    ids=["summary", "recommendations", "monitoring", "verdict"],
)
def test_every_number_in_every_sentence_can_be_looked_up(document, words):
    said = words(document())
    assert said
    assert check_numbers(document(), said) == ()


@pytest.mark.parametrize("section", [name for name in SECTION_TITLES if name != "performance"])
def test_a_section_that_was_not_computed_is_said_to_be_unknown_with_its_reason(section):
    document = msgspec.structs.replace(
        evaluated.binary(), **{section: None}, not_done={section: "The dataset version was deleted on 3 May."}
    )
    said = summary_of(document)
    assert f"Not known: {SECTION_TITLES[section]}. The dataset version was deleted on 3 May." in texts(document)
    assert check_numbers(document, (*said, *recommendations_of(document), *verdict_of(document).reasons)) == ()


def test_recall_and_precision_are_told_as_so_many_of_every_100():
    document = evaluated.binary()
    recall = document.performance.metrics["recall"]
    assert (
        f"Of every 100 rows whose 'y' is '>50K', it finds {100 * recall.value:.0f} "
        f"({100 * recall.low:.0f} to {100 * recall.high:.0f})." in texts(document)
    )


def test_the_groups_that_are_treated_differently_are_set_beside_each_other():
    document = evaluated.binary()
    rates = {
        group.group: group.metrics["selection_rate"].value for group in document.fairness.report.column("sex").groups
    }
    assert (
        f"By 'sex': of every 100 of 'Female', {100 * rates['Female']:.0f} get the favourable answer; of 'Male', "
        f"{100 * rates['Male']:.0f}. That is a larger difference than is accepted." in texts(document)
    )


def test_where_each_class_is_audited_in_turn_the_sentence_says_which_one_it_is_about():
    document = evaluated.unfair_multiclass()
    reason = verdict_of(document).reasons[0].text
    assert reason.startswith("Fairness (Fail) (favourable answer: '1'): group: the favourable outcome is given to")
    assert any(
        text.startswith("By 'group' (favourable answer: '1'): of every 100 of 'v', ") for text in texts(document)
    )


def test_the_columns_that_drive_the_answers_are_named_in_order_with_their_direction():
    (said,) = [text for text in texts(evaluated.binary()) if text.startswith("Its answers rest most on")]
    ranking = evaluated.binary().explanations.attributions.ranking
    places = [said.index(f"'{item.name}'") for item in ranking[:5]]
    assert places == sorted(places)
    assert "'education-num' (more of it, a higher score)" in said


def test_a_metric_that_is_not_computable_is_said_to_be_unknown_and_why():
    document = evaluated.binary()
    none = Interval(value=None, low=None, high=None, reason="there are no positive rows")
    metrics = dict.fromkeys(document.performance.metrics, none)
    document = msgspec.structs.replace(
        document, performance=msgspec.structs.replace(document.performance, metrics=metrics)
    )
    said = texts(document)
    assert "How many of the rows of '>50K' it finds is not known, because there are no positive rows." in said
    assert check_numbers(document, summary_of(document)) == ()


def test_the_mistake_of_several_classes_that_is_made_most_is_named():
    document = evaluated.multiclass()
    confusion = msgspec.structs.replace(document.performance.confusion, matrix=((70, 9, 1), (2, 70, 3), (5, 0, 80)))
    document = msgspec.structs.replace(
        document, performance=msgspec.structs.replace(document.performance, confusion=confusion)
    )
    assert "Its most frequent mistake is to take '1' for '2': 9 rows." in texts(document)


def test_rows_that_somebody_gave_are_not_called_unseen():
    said = texts(evaluated.multiclass())
    assert "It was checked on 240 rows that somebody gave; whether it was trained on that data is not known." in said


def test_a_number_is_explained_by_how_far_it_misses():
    (said,) = [text for text in texts(evaluated.regression()) if text.startswith("On average")]
    mae, trivial = (getattr(evaluated.regression().performance, key)["mae"].value for key in ("metrics", "reference"))
    assert f"misses the true 'price' by {written(mae)} (" in said
    assert said.endswith(f"always answering the average misses it by {written(trivial)}.")


def test_the_best_mitigation_is_recommended_with_what_it_costs():
    document = evaluated.binary()
    effect = document.fairness.mitigation[0].effects[0]
    measure = "demographic_parity_difference"
    assert effect.objective == "demographic_parity"
    first = next(item.text for item in recommendations_of(document) if item.text.startswith("Try "))
    assert first.startswith("Try thresholds for 'sex' (demographic parity)")
    assert f"from {written(effect.before[measure])} to {written(effect.after[measure])}" in first
    assert f"from {100 * effect.accuracy_before:.0f} % to {100 * effect.accuracy_after:.0f} %" in first


def test_a_model_without_faults_has_no_fault_to_mend():
    said = [item.text for item in recommendations_of(evaluated.good())]
    assert [text for text in said if "Try" in text or "Collect" in text or "Find out" in text] == []


def test_the_columns_that_matter_most_and_the_gates_are_to_be_watched():
    said = [item.text for item in monitoring_of(evaluated.binary())]
    ranking = evaluated.binary().explanations.attributions.ranking
    assert said[0].startswith(f"Drift of '{ranking[0].name}', '{ranking[1].name}'")
    assert any("of 'sex': the disparate impact ratio" in text and "above 0.8 is accepted" in text for text in said)


def calibrated(value, p_value):
    document = evaluated.binary()
    found = document.calibration.error
    ece = Interval(value=value, low=max(0.0, value - 0.04), high=value + 0.04)
    error = msgspec.structs.replace(found, ece=ece, p_value=p_value)
    calibration = msgspec.structs.replace(document.calibration, error=error)
    return msgspec.structs.replace(document, calibration=calibration)


@pytest.mark.parametrize(
    ("value", "p_value", "words"),
    [
        (0.12, 0.001, "Do not read its scores as probabilities"),
        (0.12, 0.06, "Whether its scores can be read as probabilities is not known"),
        (0.12, None, "Whether its scores can be read as probabilities is not known"),
        (0.01, 0.5, "Its scores can be read as probabilities"),
    ],
)
def test_scores_that_may_be_far_off_are_not_called_probabilities(value, p_value, words):
    document = calibrated(value, p_value)
    said = [item for item in summary_of(document) if "as probabilities" in item.text]
    assert [item.text.startswith(words) for item in said] == [True]
    assert check_numbers(document, said) == ()


def test_what_to_watch_does_not_call_every_low_window_more_than_chance():
    (said,) = [item.text for item in monitoring_of(evaluated.binary()) if "on labelled rows" in item.text]
    assert "more than chance" not in said
    assert "where the whole interval of a window lies below" in said


def test_another_threshold_is_recommended_only_for_what_it_saves_on_other_rows():
    document = evaluated.binary()
    threshold = document.calibration.threshold

    def advised(low):
        saved = Interval(value=0.02, low=low, high=0.05)
        changed = msgspec.structs.replace(
            threshold, cost_saved=Interval(value=0.02, low=0.01, high=0.05), cross_fitted_saved=saved
        )
        calibration = msgspec.structs.replace(document.calibration, threshold=changed)
        said = recommendations_of(msgspec.structs.replace(document, calibration=calibration))
        return [item.text for item in said if item.text.startswith("Decide from a score of")]

    assert advised(-0.01) == []
    assert "on rows that did not choose them" in advised(0.005)[0]
