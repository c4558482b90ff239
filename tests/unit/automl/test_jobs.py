"""The training job, end to end in one process: from a dataset to a registered version."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from arkwright.automl import packaging, publication
from arkwright.automl.jobs import TrainJob
from arkwright.automl.logbook import KIND_TAG, SEARCH_KIND
from arkwright.automl.packaging import PackagingFailed
from arkwright.core.errors import NotFound
from arkwright.kit.jobs import WorkerStopping
from arkwright.kit.jobs.execution import Execution
from arkwright.registry import Stage

FAST = {"hpo": {"max_trials": 3}}


def test_a_churn_table_becomes_a_registered_version(lab, telco_rows):
    job = lab.train(lab.ingest(telco_rows(600), "telco"), "Churn", config={"imbalance": {"method": "class_weight"}})
    assert job.status == "succeeded", job.error
    result = job.result
    with lab.database.read(lab.context) as unit:
        experiment = lab.experiments.get(unit, result["experiment_id"])
        version = lab.registry.version_by_id(unit, result["model_version_id"])
        (evidence,) = lab.governance.evidence(unit, result["bundle_digest"], "evaluation")
        trials = lab.experiments.trials(unit, experiment.id)
    bundle = lab.registry.bundles.load(lab.context.workspace_id, result["bundle_digest"])

    assert experiment.status == "succeeded"
    assert experiment.task_type == "binary"
    summary = experiment.summary
    assert summary["chosen"] == summary["leaderboard"][0]["name"] != "baseline"
    assert "customerID" in [column["name"] for column in summary["columns"] if not column["used"]]
    assert {trial.name for trial in trials} == {entry["name"] for entry in summary["leaderboard"]}
    assert all("roc_auc" in trial.metrics for trial in trials)
    assert version.bundle_digest == bundle.digest
    assert version.number == 1
    assert version.metrics["roc_auc"] > 0.75
    assert evidence.body["beats_baseline"]["met"]
    assert evidence.body["importance"]
    assert evidence.body["n_rows"] == 120
    assert bundle.signature.identifiers == ("customerID",)
    assert bundle.predictor.predict_rows(bundle.example_rows)[0]["label"] in {"Yes", "No"}
    assert bundle.manifest.lineage["run_id"] == result["run_id"]
    promoted = lab.registry.promote(
        lab.database.bound(lab.context), result["model_id"], "1", Stage.PRODUCTION, comment="test"
    )
    assert promoted.stage == "production"


def test_a_regression_is_trained_and_beats_the_mean(lab):
    rng = np.random.default_rng(0)
    rows = [
        {"size": size, "where": where, "price": round(3 * size + 50 * (where == "centre") + rng.normal(), 3)}
        for size, where in zip(
            rng.integers(20, 200, 300).tolist(), rng.choice(["centre", "edge"], 300).tolist(), strict=True
        )
    ]
    job = lab.train(lab.ingest(rows), "price", config=FAST)
    assert job.status == "succeeded", job.error
    assert job.result["metric"] == "rmse"
    assert job.result["metrics"]["r2"] > 0.9
    assert job.result["beats_baseline"]["met"]


def test_an_unusable_target_fails_the_job_and_the_experiment_with_the_reason(lab):
    job = lab.train(lab.ingest([{"x": row, "y": "same"} for row in range(30)]), "y")
    assert job.status == "failed"
    assert job.error["code"] == "target.constant"
    with lab.database.read(lab.context) as unit:
        row = lab.experiments.get(unit, job.subject_id)
    assert row.status == "failed"
    assert row.summary["problem"]["code"] == "target.constant"


def test_a_cancelled_search_keeps_the_best_so_far_and_says_so(lab, telco_rows):
    def cancel_after_the_first_real_candidate(job):
        if job._progress.data.get("best") == "lightgbm-default" and not job.cancel_requested():
            job._cancel.set()

    lab.watchers.append(cancel_after_the_first_real_candidate)
    job = lab.train(lab.ingest(telco_rows(300), "telco"), "Churn")
    assert job.status == "cancelled"
    assert job.result["cancelled_early"]
    assert job.result["chosen"] == "lightgbm-default"
    assert "cancelled early" in job.result["recommendation"]
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.get(unit, job.subject_id).status == "cancelled"
        assert lab.registry.version_by_id(unit, job.result["model_version_id"]).number == 1


def test_a_training_that_leaves_no_model_is_not_running_for_ever_in_the_logbook(lab, telco_rows, monkeypatch):
    refused = PackagingFailed("no")
    monkeypatch.setattr(publication, "package", Mock(side_effect=refused))
    job = lab.train(lab.ingest(telco_rows(300), "telco"), "Churn", config={"hpo": {"max_trials": 1}})
    assert (job.status, job.error["code"]) == ("failed", "experiment.not_packaged")
    with lab.database.read(lab.context) as unit:
        row = lab.experiments.get(unit, job.subject_id)
    (run,) = lab.tracking.list_trials("default", row.tracking_experiment_id, tags={KIND_TAG: SEARCH_KIND})
    assert (run.status, run.tags["status"]) == ("failed", "failed")


def test_a_search_that_was_deleted_from_the_logbook_does_not_hide_why_the_training_failed(lab, telco_rows, monkeypatch):
    monkeypatch.setattr(publication, "package", Mock(side_effect=PackagingFailed("no")))
    monkeypatch.setattr(lab.tracking, "update_trial", Mock(side_effect=NotFound("There is no such run.")))
    job = lab.train(lab.ingest(telco_rows(300), "telco"), "Churn", config={"hpo": {"max_trials": 1}})
    assert (job.status, job.error["code"]) == ("failed", "experiment.not_packaged")


def test_trials_wait_for_a_logbook_that_is_still_warming_up(lab, telco_rows):
    lab.tracking.asleep = 2
    job = lab.train(lab.ingest(telco_rows(300), "telco"), "Churn", config=FAST)
    assert job.status == "succeeded", job.error
    with lab.database.read(lab.context) as unit:
        trials = lab.experiments.trials(unit, job.subject_id)
    assert sorted(trial.name for trial in trials) == ["baseline", "lightgbm-default", "logistic"]


def test_when_the_winner_fails_parity_the_next_best_is_taken_and_it_is_said(lab, telco_rows, monkeypatch):
    refused = []

    def refuse_the_first(predictor, columns, scores):
        record = measure(predictor, columns, scores)
        if refused:
            return record
        refused.append(True)
        return type(record)(n_rows=record.n_rows, max_abs_difference=0.5, tolerance=0.0)

    measure = packaging.measure_parity
    monkeypatch.setattr(packaging, "measure_parity", refuse_the_first)
    job = lab.train(lab.ingest(telco_rows(300), "telco"), "Churn", config=FAST)
    assert job.status == "succeeded", job.error
    assert "scored better but could not be packaged" in job.result["recommendation"]
    board = [entry["name"] for entry in job.data["leaderboard"]]
    assert job.result["chosen"] == board[1]


@pytest.mark.parametrize("moment", ["Trying logistic.", "Fitting", "Registering"])
def test_a_training_that_dies_goes_on_from_its_last_finished_step(lab, telco_rows, moment):
    dataset = lab.ingest(telco_rows(300), "telco")
    checkpoints: dict[str, object] = {}
    ran: list[str] = []

    def checkpoint(name, work):
        if name not in checkpoints:
            ran.append(name)
            checkpoints[name] = work()
        return checkpoints[name]

    def die_once(job):
        if job._progress.message.startswith(moment) and die_once in lab.watchers:
            lab.watchers.remove(die_once)
            raise job.interrupt(WorkerStopping())

    lab.watchers.append(die_once)
    train = lab.jobs.queue._jobs[TrainJob.kind]
    execution = Execution(lab.database, retry_delays_seconds=())
    lab.jobs.queue._execution = _Replay(execution, checkpoint)
    with pytest.raises(WorkerStopping):
        lab.train(dataset, "Churn", config=FAST)
    with lab.database.read(lab.context) as unit:
        (row, *_) = lab.jobs.list(unit, limit=1)
    finished = list(checkpoints)
    execution.run(train, lab.context.workspace_id, row.id, checkpoint)

    job = lab.job(row.id)
    assert job.status == "succeeded", job.error
    assert job.attempt == 2
    assert all(ran.count(name) == 1 for name in finished)
    with lab.database.read(lab.context) as unit:
        trials = lab.experiments.trials(unit, job.subject_id)
        versions = lab.registry.versions(unit, job.result["model_id"], limit=10)
        evidence = lab.governance.evidence(unit, job.result["bundle_digest"], "evaluation")
        kept = lab.governance.evidence(unit, job.result["bundle_digest"], "evaluation_data")
        assert lab.experiments.get(unit, job.subject_id).status == "succeeded"
    assert sorted(trial.name for trial in trials) == ["baseline", "lightgbm-default", "logistic"]
    assert len(versions) == 1
    assert len(evidence) == len(kept) == 1


class _Replay:
    """An execution whose steps are remembered from one attempt to the next."""

    def __init__(self, execution, checkpoint):
        self._execution, self._checkpoint = execution, checkpoint

    def run(self, job, workspace_id, job_id, _checkpoint):
        self._execution.run(job, workspace_id, job_id, self._checkpoint)
