"""The fairness section: which outcome people want, as it was named, and what is said where nobody named one."""

import dataclasses

import numpy as np
import pytest

from arkwright.contracts import Column, Signature
from arkwright.evaluation.examine_fairness import examine_fairness, favourable_code
from arkwright.evaluation.material import Material, NotComputed, Options
from arkwright.evaluation.retraining import KeptTraining

OPTIONS = Options(profile="quick", n_resamples=50)


def material(classes=(0, 1), n_rows=400):
    rng = np.random.default_rng(0)
    score = rng.uniform(0.0, 1.0, n_rows)
    signature = Signature(task="binary", target="y", columns=(Column(name="x", kind="numeric"),), classes=classes)
    return Material(
        signature,
        lambda given: given["x"][:, None],
        {"x": score},
        (rng.random(n_rows) < score).astype(np.int64),
        np.array([[0.5]]),
        sensitive={"sex": np.repeat(np.array(["f", "m"], dtype=object), n_rows // 2)},
    )


@pytest.mark.parametrize("named", [0, "0"])
def test_the_favourable_class_may_be_written_as_text(named):
    assert favourable_code(material().signature, dataclasses.replace(OPTIONS, favourable=named)) == 0


def test_a_class_that_is_a_number_is_not_the_boolean_that_python_takes_for_it():
    with pytest.raises(NotComputed, match="True is none of the model's"):
        examine_fairness(material(), dataclasses.replace(OPTIONS, favourable=True))


def test_that_nobody_named_the_favourable_outcome_is_a_warning_that_decides_no_status():
    assumed = examine_fairness(material(("refused", "granted")), OPTIONS)
    [finding] = assumed.report.assumptions
    assert (finding.severity, finding.kind) == ("warning", "assumption")
    assert finding.text.startswith("Nobody stated which outcome is favourable. granted, the positive class, was taken")
    assert finding in assumed.report.findings()
    named = examine_fairness(material(("refused", "granted")), dataclasses.replace(OPTIONS, favourable="granted"))
    assert named.report.assumptions == ()
    assert assumed.status == named.status


FULL = Options(n_resamples=50, favourable="granted")


def kept(learn, **sensitive):
    rng = np.random.default_rng(1)
    score = rng.uniform(0.0, 1.0, 300)
    truth = (rng.random(300) < score).astype(np.int64)
    return KeptTraining({"x": score}, truth, learn, sensitive)


def reweighing(found):
    return next(effect for effect in found.mitigation[0].effects if effect.strategy == "reweighing")


@pytest.mark.parametrize("favourable", ["granted", "refused"])
def test_reweighing_is_measured_with_the_version_s_own_learner_where_it_can_be_trained_again(favourable):
    asked = []

    def learn(columns, truth, weights, scored):
        asked.append((truth.size, None if weights is None else weights.size, len(scored["x"])))
        return scored["x"][:, None]

    sex = np.repeat(np.array(["f", "m"], dtype=object), 150)
    given = dataclasses.replace(material(("refused", "granted")), retraining=kept(learn, sex=sex))
    effect = reweighing(examine_fairness(given, dataclasses.replace(FULL, favourable=favourable)))
    assert asked == [(300, None, 400), (300, 300, 400)]
    assert effect.reference == "the same learner, trained again on 300 of its training rows"
    # This learner heeds no weights: nothing changes, and its calls are those of the model itself.
    assert effect.accuracy_change.value == 0.0
    assert effect.benefit == 0.0


def test_a_sensitive_column_that_was_not_kept_of_the_training_is_tried_with_a_small_model_and_said_so():
    given = dataclasses.replace(material(("refused", "granted")), retraining=kept(lambda *_: 1 / 0))
    found = examine_fairness(given, FULL)
    assert reweighing(found).reference == "a small model"
    assert any(note.startswith("Mitigation for sex: the rows kept of the training") for note in found.notes)
