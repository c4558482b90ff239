"""Experiments over HTTP, as documented."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from arkwright.automl import ExperimentService
from arkwright.automl.routes import router
from arkwright.kit.http import install_problem_handlers

ROWS = [{"x": row, "z": row * 7 % 11, "y": "yes" if row % 5 > 1 else "no"} for row in range(120)]


@pytest.fixture
def client(lab):
    app = FastAPI()
    app.state.database = lab.database
    app.state.services = {ExperimentService: lab.experiments}
    app.state.authenticate = lambda _secret, _request_id: lab.context
    install_problem_handlers(app)
    app.include_router(router)
    with TestClient(app, headers={"Authorization": "Bearer good"}) as opened:
        yield opened


def test_an_experiment_is_created_run_and_read(lab, client):
    body = {
        "task_type": "classification",
        "objective": "maximize_f1",
        "dataset_id": lab.ingest(ROWS, "table"),
        "target": "y",
        "config": {
            "cv": {"type": "stratified_kfold", "folds": 3, "seed": 42},
            "hpo": {"sampler": "bayes", "trials": 2, "early_stopping": "ASHA"},
            "imbalance": {"method": "class_weight"},
            "constraints": {"latency_ms_p95": 500, "max_cost_per_hour": 10},
        },
    }
    created = client.post("/v1/experiments", json=body)
    assert created.status_code == 201, created.text
    experiment_id = created.json()["experiment_id"]
    assert created.json()["status"] == "created"
    assert created.json()["leaderboard_url"] == f"/ui/experiments/{experiment_id}"
    assert len(created.json()["notes"]) == 3

    started = client.post(f"/v1/experiments/{experiment_id}/run")
    assert started.status_code == 202
    assert started.headers["Location"] == f"/v1/jobs/{started.json()['job_id']}"

    found = client.get(f"/v1/experiments/{experiment_id}").json()
    assert (found["status"], found["task_type"]) == ("succeeded", "binary")
    trials = client.get(f"/v1/experiments/{experiment_id}/trials").json()
    assert sorted(trial["name"] for trial in trials) == ["baseline", "lightgbm-default"]
    assert all(trial["metrics"]["f1"] >= 0 for trial in trials)
    board = client.get(f"/v1/experiments/{experiment_id}/leaderboard").json()
    assert (board["metric"], board["direction"]) == ("f1", "maximize")
    assert board["chosen"] == board["entries"][0]["name"]
    assert board["recommendation"]
    assert [item["id"] for item in client.get("/v1/experiments").json()["items"]] == [experiment_id]

    assert client.post(f"/v1/experiments/{experiment_id}/run").status_code == 409
    assert client.post(f"/v1/experiments/{experiment_id}/cancel").status_code == 409


def test_an_unknown_experiment_and_an_unknown_setting_are_problems(lab, client):
    missing = client.get("/v1/experiments/exp_nope")
    assert (missing.status_code, missing.json()["code"]) == (404, "experiment.not_found")
    wrong = client.post("/v1/experiments", json={"dataset_id": "ds_1", "target": "y", "config": {"budget": 1}})
    assert wrong.status_code == 422
