"""Experiments: what may be asked for, and what state they are in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from arkwright.automl.payloads import CreateExperiment, ExperimentConfig
from arkwright.core.context import Actor, Context
from arkwright.core.errors import Conflict, Invalid, NotFound, NotPermitted
from arkwright.kit.jobs.tables import JobRow

ROWS = [{"x": row, "kind": "ab"[row % 2], "y": "yes" if row % 3 else "no"} for row in range(40)]


@pytest.fixture
def dataset(lab):
    return lab.ingest(ROWS, "table")


def create(lab, dataset, **wanted):
    request = CreateExperiment(**{"dataset_id": dataset, "target": "y", **wanted})
    with lab.database.write(lab.context) as unit:
        return lab.experiments.create(unit, request)


def test_a_new_experiment_waits_to_be_run(lab, dataset):
    row = create(lab, dataset, objective="maximize_f1", task_type="classification")
    assert (row.status, row.name, row.summary) == ("created", "table-y", {})
    assert row.config["hpo"]["max_trials"] == 200


def test_the_documented_body_is_taken_and_its_other_spellings_mean_the_same():
    documented = ExperimentConfig.model_validate(
        {
            "cv": {"type": "stratified_kfold", "folds": 5, "seed": 42},
            "hpo": {"sampler": "bayes", "trials": 200, "early_stopping": "ASHA"},
            "imbalance": {"method": "class_weight"},
            "constraints": {"latency_ms_p95": 500, "max_cost_per_hour": 10},
        }
    )
    other = ExperimentConfig.model_validate({"hpo": {"algorithm": "bayes", "max_trials": 200}})
    assert documented.hpo.sampler == other.hpo.sampler == "bayes"
    assert documented.hpo.max_trials == other.hpo.max_trials == 200
    with pytest.raises(ValidationError):
        ExperimentConfig.model_validate({"budget": 60})


@pytest.mark.parametrize(
    ("wanted", "kind", "code"),
    [
        ({"target": "nope"}, Invalid, "experiment.target"),
        ({"objective": "minimize_rmse", "task_type": "binary"}, Invalid, "objective.unknown"),
        ({"objective": "maximize_profit"}, Invalid, "objective.unknown"),
        ({"config": {"imbalance": {"method": "smote"}}}, Invalid, "experiment.imbalance"),
        ({"config": {"ignore_columns": ["nope"]}}, Invalid, "features.unknown_column"),
        ({"config": {"feature_types": {"x": "picture"}}}, Invalid, "features.kind_unknown"),
        ({"dataset_id": "ds_00000000000000000000000000"}, NotFound, None),
        ({"dataset_version": 7}, NotFound, None),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_runs(lab, dataset, wanted, kind, code):
    with pytest.raises(kind) as refusal:
        create(lab, dataset, **wanted)
    assert code is None or refusal.value.code == code
    assert refusal.value.hint


def test_an_actor_without_a_role_may_do_nothing(lab, dataset):
    guest = Context(Actor("guest", "user", "guest"), lab.context.workspace_id)
    with lab.database.write(guest) as unit, pytest.raises(NotPermitted):
        lab.experiments.create(unit, CreateExperiment(dataset_id=dataset, target="y"))


def submit_without_running(lab, row):
    """Queue the experiment's job and let nobody work on it."""
    lab.jobs.queue.enqueue = lambda *_: None
    with lab.database.write(lab.context) as unit:
        return lab.experiments.run(unit, row.id).id


def test_an_experiment_that_waits_can_be_cancelled_and_run_again(lab, dataset):
    row = create(lab, dataset)
    submit_without_running(lab, row)
    with lab.database.write(lab.context) as unit:
        assert lab.experiments.cancel(unit, row.id).status == "cancelled"
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.get(unit, row.id).status == "cancelled"
    with lab.database.write(lab.context) as unit, pytest.raises(Conflict, match="cancelled, not running"):
        lab.experiments.cancel(unit, row.id)
    submit_without_running(lab, row)
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.get(unit, row.id).status == "running"


def test_a_running_experiment_cannot_be_started_twice(lab, dataset):
    row = create(lab, dataset)
    submit_without_running(lab, row)
    with lab.database.write(lab.context) as unit, pytest.raises(Conflict) as refusal:
        lab.experiments.run(unit, row.id)
    assert refusal.value.code == "experiment.started"


def test_an_experiment_whose_job_died_without_a_word_has_failed_and_can_be_run_again(lab, dataset):
    row = create(lab, dataset)
    job_id = submit_without_running(lab, row)
    with lab.database.write(lab.context) as unit:
        unit.session.get(JobRow, (lab.context.workspace_id, job_id)).status = "failed"
    with lab.database.read(lab.context) as unit:
        found = lab.experiments.get(unit, row.id)
        assert lab.experiments.status(unit, found) == "failed"
    submit_without_running(lab, row)


def test_a_job_that_is_not_the_experiments_any_more_changes_nothing(lab, dataset):
    row = create(lab, dataset)
    submit_without_running(lab, row)
    with lab.database.write(lab.context) as unit:
        ended = lab.experiments.end(unit, row.id, "job_of_before", "succeeded", {"task": "binary"})
        assert (ended.status, ended.task_type) == ("running", "auto")


def test_there_are_no_trials_before_the_logbook_knows_the_experiment(lab, dataset):
    row = create(lab, dataset)
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.trials(unit, row.id) == []
        assert lab.experiments.progress(unit, row) == {}
        with pytest.raises(NotFound, match="exp_"):
            lab.experiments.get(unit, "exp_00000000000000000000000000")
