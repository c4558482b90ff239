"""Evaluating a bundle and filing the report."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from arkwright.core.context import Actor, Context
from arkwright.core.errors import NotPermitted
from arkwright.evaluation import EvaluationReport, EvaluationService


def holdout(n_rows=60):
    rng = np.random.default_rng(0)
    tenure = rng.integers(0, 70, n_rows).astype(float)
    contract = np.array(["month", "year"], dtype=object)[rng.integers(0, 2, n_rows)]
    return {"tenure": tenure, "contract": contract}, (tenure < 30).astype(float)


@pytest.fixture
def bundle(shelf):
    return shelf.bundles.load(shelf.units._context.workspace_id, shelf.stored(evaluation=None))


def run(shelf, bundle, units=None, **options):
    columns, truth = holdout()
    service = EvaluationService(shelf.governance)
    return service.evaluate_and_file(units or shelf.units, bundle, columns, truth, np.array([0.4]), seed=1, **options)


def test_the_report_is_filed_as_evidence_about_the_bundle(shelf, bundle):
    evidence_id, report = run(shelf, bundle)
    with shelf.units.read() as unit:
        (evidence,) = shelf.governance.evidence(unit, bundle.digest, "evaluation")
    assert evidence.id == evidence_id
    assert msgspec.convert(evidence.body, EvaluationReport) == report
    assert report.n_rows == 60
    assert {item.name for item in report.importance} == {"tenure", "contract"}


def test_the_same_evaluation_twice_is_one_piece_of_evidence(shelf, bundle):
    assert run(shelf, bundle)[0] == run(shelf, bundle)[0]


def test_importance_ends_with_its_time_and_the_report_goes_on(shelf, bundle):
    _, report = run(shelf, bundle, importance_seconds=0.0)
    assert report.importance == ()
    assert report.metrics["roc_auc"].value is not None


def test_an_actor_without_a_role_may_not_evaluate(shelf, bundle):
    guest = Context(Actor("guest", "user", "guest"), shelf.units._context.workspace_id)
    with pytest.raises(NotPermitted):
        run(shelf, bundle, units=shelf.database.bound(guest))
