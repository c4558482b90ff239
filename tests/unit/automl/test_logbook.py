"""Trials in the logbook."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from arkwright.automl.logbook import JOB_TAG, KIND_TAG, TRIAL_KIND, Logbook
from arkwright.automl.search import Trial
from arkwright.automl.training import Candidate
from arkwright.core.errors import Unavailable
from arkwright.testing import InMemoryTracking

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
SCORED = Trial(
    candidate=Candidate(name="boosted", learner="lightgbm", params={"num_leaves": 8}),
    status="succeeded",
    score=0.8,
    score_std=0.01,
    fold_scores=(0.79, 0.81),
    rounds=12,
)


def open_logbook(store):
    return Logbook(
        store, "default", "churn exp_1", job_id="job_1", started_at=MOMENT, created_by="ada", tags={"a": "1"}
    )


def write(logbook, trial=SCORED):
    return logbook.write(trial, metric="roc_auc", started_at=MOMENT, ended_at=MOMENT)


def trials(store, logbook):
    return store.list_trials("default", logbook.experiment_id, tags={KIND_TAG: TRIAL_KIND, JOB_TAG: "job_1"})


def test_a_trial_is_one_nested_run_with_its_parameters_scores_and_folds():
    store = InMemoryTracking()
    logbook = open_logbook(store)
    run_id = write(logbook)
    (trial,) = trials(store, logbook)
    assert trial.run_id == run_id
    assert trial.parent_run_id == logbook.parent_run_id
    assert trial.params == {"learner": "lightgbm", "num_leaves": "8"}
    assert trial.metrics["roc_auc"] == 0.8
    assert trial.metrics["rounds"] == 12
    assert store.metric_series("default", run_id, "roc_auc_by_fold") == (0.79, 0.81)


def test_writing_twice_is_writing_once_even_from_another_process():
    store = InMemoryTracking()
    assert write(open_logbook(store)) == write(open_logbook(store))


def test_a_failed_trial_carries_its_error_and_no_score():
    store = InMemoryTracking()
    logbook = open_logbook(store)
    write(logbook, Trial(candidate=SCORED.candidate, status="failed", error="ValueError: bad"))
    (trial,) = trials(store, logbook)
    assert trial.status == "failed"
    assert trial.tags["arkwright.error"] == "ValueError: bad"
    assert "roc_auc" not in trial.metrics


def test_a_logbook_that_does_not_answer_is_no_reason_to_stop():
    class Away(InMemoryTracking):
        def ensure_workspace(self, workspace):
            raise Unavailable("not yet")

    logbook = open_logbook(Away())
    assert logbook.try_write(SCORED, metric="roc_auc", started_at=MOMENT, ended_at=MOMENT) == ""
    with pytest.raises(Unavailable):
        write(logbook)


def test_the_parent_run_says_what_is_searched_for_and_that_it_runs():
    store = InMemoryTracking()
    logbook = open_logbook(store)
    logbook.params["hypothesis"] = "Fewer false alarms."
    logbook.open()
    parent = store.get_trial("default", logbook.parent_run_id)
    assert parent.params == {"hypothesis": "Fewer false alarms."}
    assert (parent.status, parent.tags["status"]) == ("running", "running")


def test_closing_ends_the_parent_run_with_the_holdouts_metrics():
    store = InMemoryTracking()
    logbook = open_logbook(store)
    write(logbook)
    logbook.close(chosen="boosted", metrics={"roc_auc": 0.77, "mape": None}, ended_at=MOMENT, cancelled=False)
    parent = store.get_trial("default", logbook.parent_run_id)
    assert (parent.status, parent.tags["status"]) == ("succeeded", "succeeded")
    assert parent.metrics == {"holdout_roc_auc": 0.77}
    assert parent.tags["arkwright.chosen"] == "boosted"
