"""The rules for and against production, one by one."""

import msgspec
import pytest

from arkwright.evaluation.card import model_card
from arkwright.evaluation.card_text import render_card
from arkwright.evaluation.evidence import check_numbers
from arkwright.evaluation.headline import headline_of
from arkwright.evaluation.latency import check_latency
from arkwright.evaluation.recommendations import recommendations_of
from arkwright.evaluation.report_page import render_report
from arkwright.evaluation.verdict import verdict_of
from tests.unit.evaluation import evaluated


def changed(document, section, **fields):
    return msgspec.structs.replace(document, **{section: msgspec.structs.replace(getattr(document, section), **fields)})


def challenged(document, recommendation, version):
    section = evaluated.binary().challenge
    return msgspec.structs.replace(
        document,
        challenge=msgspec.structs.replace(
            section,
            recommendation=msgspec.structs.replace(section.recommendation, outcome=recommendation),
            version=msgspec.structs.replace(section.version, outcome=version),
        ),
    )


def not_beating(document):
    worse = msgspec.structs.replace(
        document.performance.beats_baseline, met=False, detail="The model does not clearly beat the majority class."
    )
    return changed(document, "performance", beats_baseline=worse)


def slow(document):
    single = document.operation.latency.single_row
    return changed(document, "operation", requirement=check_latency(single, 0.5))


def people_free(document):
    stated = changed(document, "data", no_people="every row is a pump", sensitive=())
    return msgspec.structs.replace(stated, fairness=None)


STOPS = {
    "rejected": (lambda document: challenged(document, "PROMOTE", "REJECT"), "the rules say REJECT"),
    "no better than trivial": (not_beating, "does not clearly beat the majority class"),
    "unfair": (
        lambda document: msgspec.structs.replace(document, fairness=evaluated.binary().fairness),
        "disparate impact ratio",
    ),
    "misbehaves": (
        lambda document: msgspec.structs.replace(document, behaviour=evaluated.binary().behaviour),
        "'sex does not matter' failed",
    ),
    "breaks": (
        lambda document: changed(document, "robustness", catastrophic=("With column 'x' missing, the model raised.",)),
        "It does not withstand bad input. With column 'x' missing, the model raised.",
    ),
    "slow": (slow, "at most 0.5 ms are allowed"),
}


def test_a_model_with_no_fault_may_go_and_the_reasons_say_what_speaks_for_it():
    verdict = verdict_of(evaluated.good())
    assert (verdict.decision, verdict.confidence) == ("go", "high")
    assert verdict.reasons[0].text.startswith("The model beats the majority class")


@pytest.mark.parametrize("name", STOPS)
def test_each_fault_that_stops_a_model_stops_it_and_is_the_first_reason(name):
    change, reason = STOPS[name]
    document = change(evaluated.good())
    verdict = verdict_of(document)
    assert verdict.decision == "no-go"
    assert reason in verdict.reasons[0].text
    assert check_numbers(document, verdict.reasons) == ()


def test_of_several_faults_the_weightiest_is_told_first():
    document = challenged(slow(not_beating(evaluated.good())), "REJECT", "REJECT")
    told = [reason.text for reason in verdict_of(document).reasons]
    assert "REJECT" in told[0]
    assert "does not clearly beat" in told[1]
    assert "too slow" in told[2]


WARNINGS = {
    "canary": (lambda document: challenged(document, "PROMOTE", "CANARY"), "the rules say CANARY"),
    "an experiment without an improvement": (
        lambda document: challenged(document, "ITERATE", "CANARY"),
        "the rules say CANARY",
    ),
    "held": (lambda document: challenged(document, "REJECT", "HOLD"), "the rules say HOLD"),
    "judged on its training data": (
        lambda document: changed(document, "data", basis="training"),
        "It was judged on the data it was trained on",
    ),
    "the other has seen the rows": (
        lambda document: changed(
            challenged(document, "PROMOTE", "PROMOTE"), "challenge", seen="It may have seen them."
        ),
        "The comparison is not fair to it: It may have seen them.",
    ),
    "rejected for one that has seen the rows": (
        lambda document: changed(challenged(document, "REJECT", "REJECT"), "challenge", seen="It may have seen them."),
        "The comparison is not fair to it",
    ),
    "people after all": (
        lambda document: people_free(changed(document, "subject", inputs=("mileage", "sex"))),
        "It was stated that no people are concerned (every row is a pump), yet it has the column 'sex'.",
    ),
    "perhaps unfair": (lambda document: changed(document, "fairness", status="Warning"), "ends in Warning"),
    "sensitive": (lambda document: changed(document, "robustness", rating="High"), "sensitivity to bad input is High"),
    "weak": (
        lambda document: msgspec.structs.replace(document, weak_slices=evaluated.binary().weak_slices),
        "It works less well where 'marital-status' is 'Married-civ-spouse'",
    ),
    "miscalibrated": (
        lambda document: msgspec.structs.replace(document, calibration=evaluated.multiclass().calibration),
        "must not be read as probabilities",
    ),
    "not examined": (
        lambda document: msgspec.structs.replace(
            document, fairness=None, not_done={"fairness": "No column was named."}
        ),
        "Not known: whether it treats groups of people alike. No column was named.",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_each_doubt_makes_the_verdict_conditional_and_is_the_first_reason(name):
    change, reason = WARNINGS[name]
    document = change(evaluated.good())
    verdict = verdict_of(document)
    assert verdict.decision == "conditional"
    assert reason in verdict.reasons[0].text
    assert check_numbers(document, verdict.reasons) == ()


def test_a_small_weakness_of_a_slice_is_no_condition():
    found = evaluated.binary().weak_slices
    small = tuple(msgspec.structs.replace(item, effect=0.3) for item in found.slices)
    document = msgspec.structs.replace(evaluated.good(), weak_slices=msgspec.structs.replace(found, slices=small))
    assert verdict_of(document).decision == "go"


def test_what_an_experiment_came_to_does_not_decide_about_production():
    verdict = verdict_of(challenged(evaluated.good(), "REJECT", "PROMOTE"))
    assert verdict.decision == "go"
    assert not any("REJECT" in reason.text for reason in verdict.reasons)


def test_where_no_people_are_concerned_fairness_is_not_asked_for_and_the_reason_is_told():
    document = people_free(changed(evaluated.good(), "subject", inputs=("mileage",)))
    verdict = verdict_of(document)
    assert (verdict.decision, verdict.confidence) == ("go", "high")
    assert any("it was stated that none need to be: every row is a pump." in each.text for each in verdict.reasons)
    assert check_numbers(document, verdict.reasons) == ()


def test_the_data_it_was_trained_on_is_said_before_other_doubts():
    document = changed(changed(evaluated.good(), "data", basis="training"), "fairness", status="Warning")
    assert "trained on" in verdict_of(document).reasons[0].text


def test_calibration_is_not_asked_of_a_number():
    assert not any("probabilities" in reason.text for reason in verdict_of(evaluated.regression()).reasons)


@pytest.mark.parametrize(
    ("change", "confidence", "why"),
    [
        (lambda document: changed(document, "data", n_rows_used=999), "medium", "few rows"),
        (lambda document: changed(document, "data", n_rows_used=99), "low", "very few rows"),
        (lambda document: changed(document, "data", basis="given"), "medium", "may have seen the rows"),
        (lambda document: changed(document, "data", basis="training"), "low", "trained on the data"),
        (
            lambda document: changed(
                document,
                "performance",
                beats_baseline=msgspec.structs.replace(document.performance.beats_baseline, low=0.05, high=0.55),
            ),
            "medium",
            "known only roughly",
        ),
        (
            lambda document: changed(
                document,
                "performance",
                beats_baseline=msgspec.structs.replace(document.performance.beats_baseline, low=None, high=None),
            ),
            "medium",
            "is not known",
        ),
        (lambda document: msgspec.structs.replace(document, operation=None), "medium", "not all was examined"),
        (
            lambda document: msgspec.structs.replace(document, operation=None, fairness=None, robustness=None),
            "low",
            "how fast and how large",
        ),
        (lambda document: changed(changed(document, "data", basis="given"), "data", n_rows_used=500), "low", ", and "),
    ],
)
def test_the_confidence_falls_with_what_the_verdict_rests_on(change, confidence, why):
    verdict = verdict_of(change(evaluated.good()))
    assert verdict.confidence == confidence
    assert why in verdict.confidence_reason


def test_the_verdict_does_not_depend_on_words_that_are_already_there():
    document = evaluated.binary()
    again = msgspec.structs.replace(document, verdict=verdict_of(document), summary=verdict_of(document).reasons)
    assert verdict_of(again) == verdict_of(document)


def rejected_for(n):
    document = challenged(evaluated.good(), "REJECT", "REJECT")
    version = msgspec.structs.replace(
        document.challenge.version,
        rationale="It is not fair enough.",
        findings=tuple(f"Disparate impact ratio by group {n} is 0.{n}." for n in range(n)),
    )
    return changed(document, "challenge", version=version)


def test_a_rejection_is_told_in_one_sentence_and_what_it_rests_on_in_a_list():
    document = rejected_for(3)
    reason = verdict_of(document).reasons[0]
    assert reason.text == "Compared with version 1.1.0, the rules say REJECT. It is not fair enough."
    assert reason.points == document.challenge.version.findings
    assert check_numbers(document, [reason]) == ()
    headline = headline_of(msgspec.structs.replace(document, verdict=verdict_of(document)))
    assert headline.reasons[:4] == (reason.text, *reason.points)


def test_of_many_findings_the_first_are_listed_and_how_many_there_are_is_said():
    document = rejected_for(9)
    reason = verdict_of(document).reasons[0]
    assert reason.points == (
        *document.challenge.version.findings[:5],
        "There are 9 findings in all; the comparison lists every one.",
    )
    assert check_numbers(document, [reason]) == ()
    assert check_numbers(document, [msgspec.structs.replace(reason, points=("There are 8 findings.",))]) != ()
    card = render_card(
        model_card(
            msgspec.structs.replace(document, verdict=verdict_of(document)), created_at="2026-01-01T00:00:00.000000Z"
        )
    )
    assert (
        "- Compared with version 1.1.0, the rules say REJECT. It is not fair enough.\n"
        "  - Disparate impact ratio by group 0 is 0.0.\n" in card
    )
    page = render_report(msgspec.structs.replace(document, verdict=verdict_of(document)))
    assert "<ul><li>Disparate impact ratio by group 0 is 0.0.</li>" in page


def test_the_better_version_is_to_be_kept():
    said = [item.text for item in recommendations_of(rejected_for(1))]
    assert said[0] == "Keep version 1.1.0 where it is: this one is no replacement for it."
