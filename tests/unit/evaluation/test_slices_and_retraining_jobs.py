"""Through the job: slices as they were declared, the threshold that costs choose, and the version's own learner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from arkwright.automl import TrialRetraining
from arkwright.core.context import system_context
from tests.unit.evaluation.evaluated_platform import SENSITIVE, Evaluated, compute_only

_SLICES = [
    {"name": "young women", "where": {"sex": "Female", "age": {"high": 30}}},
    {"name": "long schooling", "where": {"education-num": {"low": 13}}},
    {"name": "nobody", "where": {"sex": "Other"}},
]


@pytest.fixture(scope="module")
def document(adult: Evaluated) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patched:
        compute_only(patched, "performance", "weak_slices", "calibration", "fairness")
        costs = {"false_positive": 1.0, "false_negative": 5.0}
        yield adult.evaluate(**SENSITIVE, profile="full", costs=costs, slices=_SLICES, favourable=">50K")[1]


def test_declared_slices_may_go_by_columns_that_are_no_inputs(document: dict[str, Any]) -> None:
    young, schooled, nobody = document["weak_slices"]["declared"]["slices"]
    assert young["where"] == "sex is Female and age < 30"
    assert young["n_rows"] > 0
    assert schooled["difference"]["value"] is not None
    assert nobody["reason"] == "no row is like that"


def test_fairness_is_audited_at_one_half_and_at_the_threshold_of_the_costs(document: dict[str, Any]) -> None:
    elsewhere = document["fairness"]["at_threshold"]
    assert document["fairness"]["report"]["threshold"] == elsewhere["usual"] == 0.5
    assert elsewhere["threshold"] == document["calibration"]["threshold"]["threshold"]["value"] < 0.5
    assert elsewhere["detail"].startswith("At a score of ")


def test_reweighing_is_measured_with_the_learner_that_was_trained(document: dict[str, Any]) -> None:
    for report in document["fairness"]["mitigation"]:
        effect = next(each for each in report["effects"] if each["strategy"] == "reweighing")
        assert effect["reference"].startswith("the same learner, trained again on ")
        # As good as the version itself, which saw the same rows.
        assert effect["accuracy_before"] == pytest.approx(
            document["performance"]["metrics"]["accuracy"]["value"], abs=0.06
        )


def test_a_slice_by_an_unknown_column_is_refused_before_the_start(adult: Evaluated) -> None:
    answer = adult.start(slices=[{"name": "a", "where": {"gender": "Female"}}])
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "evaluation.slice_unknown"
    for where in ({}, {"age": {}}, {"age": {"low": 3, "high": 2}}, {"age": {"from": 2}}, {"age": {"low": "x"}}):
        answer = adult.start(slices=[{"name": "a", "where": where}])
        assert answer.status_code == 422, (where, answer.text)


def test_the_learner_is_found_again_by_the_bundle_s_lineage_and_answers_as_it_did(adult: Evaluated) -> None:
    platform = adult.plane.platform
    workspace_id = platform.workspace_ids()[0]
    bundle = platform.registry.bundles.load(workspace_id, adult.training["bundle_digest"])
    retraining = TrialRetraining(platform.experiments)
    with platform.database.read(system_context(workspace_id, "test")) as unit:
        learn = retraining.learner_of(unit, bundle.manifest.lineage, bundle.signature)
        assert retraining.learner_of(unit, {}, bundle.signature) is None
        other = {**bundle.manifest.lineage, "job_id": "job_of_another_run"}
        assert retraining.learner_of(unit, other, bundle.signature) is None
        trivial = {**bundle.manifest.lineage, "trial": "baseline"}
        assert retraining.learner_of(unit, trivial, bundle.signature) is None
    assert learn is not None
    assert learn.rounds == int(bundle.manifest.lineage["rounds"])
    columns = {
        column.name: np.linspace(20, 60, 200) if column.kind == "numeric" else np.array(["a", "b"] * 100, dtype=object)
        for column in bundle.signature.columns
    }
    truth = (np.arange(200) >= 100).astype(np.int64)
    plain = learn(columns, truth, None, columns)
    assert plain.shape == (200, 1)
    assert np.array_equal(plain, learn(columns, truth, np.ones(200), columns))
    heavy = learn(columns, truth, np.where(truth == 1, 10.0, 1.0), columns)
    assert heavy.mean() > plain.mean()
