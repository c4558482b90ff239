"""The fairness section: which outcome people want, as it was named, and what is said where nobody named one."""

import dataclasses

import numpy as np
import pytest

from arkwright.contracts import Column, Signature
from arkwright.evaluation.examine_fairness import examine_fairness, favourable_code
from arkwright.evaluation.material import Material, NotComputed, Options

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
