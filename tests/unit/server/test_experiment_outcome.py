"""An experiment from its definition to its outcome: stated, trained, evaluated, concluded, shown and logged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from arkwright.automl.logbook import KIND_TAG, SEARCH_KIND
from arkwright.core.context import system_context
from arkwright.core.errors import Unavailable
from arkwright.core.events import EVALUATION_FILED
from arkwright.evaluation import jobs
from arkwright.evaluation.material import NotComputed
from arkwright.kit.db import OutboxRow
from arkwright.tracking.ports import Trial
from tests.unit.server.conftest import ControlPlane, running_control_plane

TELCO = Path(__file__).parents[3] / "examples" / "telco_churn.csv"
pytestmark = pytest.mark.xdist_group("experiment outcome")
DEFINITION = {
    "hypothesis": "The contract tells who leaves.",
    "baseline_model": "churn@1",
    "guardrails": [{"metric": "recall", "tolerance": 0.9}],
    "success_criteria": [{"metric": "precision", "at_least": 0.99}],
    "minimum_improvement": 0.001,
}


@dataclass
class Lab:
    """The platform, the two experiments on it, and the versions that they left."""

    plane: ControlPlane
    first: dict[str, Any]
    second: dict[str, Any]

    def experiment(self, result: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.plane.client.get(f"/v1/experiments/{result['experiment_id']}").json()
        return found

    def evaluation(self, job_id: str) -> dict[str, Any]:
        job = self.plane.client.get(f"/v1/jobs/{job_id}").json()
        assert job["status"] == "succeeded", job["error"]
        found: dict[str, Any] = self.plane.client.get(f"/v1/evaluations/{job_id}").json()
        return found

    def evaluate(self, **body: Any) -> dict[str, Any]:
        started = self.plane.client.post("/v1/evaluations", json={"profile": "quick", **body})
        assert started.status_code == 202, started.text
        return self.evaluation(started.json()["job_id"])

    def deliver(self) -> None:
        while self.plane.platform.outbox.deliver_due():
            pass

    def again(self, status: str = "") -> None:
        """Make filed evaluations due: all of them as if they had never been delivered, or those that wait."""
        with self.plane.platform.database.write_global() as unit:
            for row in unit.session.query(OutboxRow).filter_by(type=EVALUATION_FILED):
                if not status:
                    row.status, row.delivered = "pending", []
                row.next_attempt_at = row.time

    def search_run(self, result: dict[str, Any]) -> Trial:
        platform = self.plane.platform
        with platform.database.read(system_context(platform.workspace_ids()[0])) as unit:
            tracking_id = platform.experiments.get(unit, result["experiment_id"]).tracking_experiment_id
        assert tracking_id
        (run,) = platform.tracking.list_trials("default", tracking_id, tags={KIND_TAG: SEARCH_KIND})
        return run


def train(plane: ControlPlane, dataset_id: str, **body: Any) -> dict[str, Any]:
    config = {"budget_seconds": 120, "hpo": {"max_trials": 2}, "cv": {"folds": 2}, "model_name": "churn"}
    config |= body.pop("config", {})
    created = plane.client.post(
        "/v1/experiments", json={"dataset_id": dataset_id, "target": "Churn", "config": config, **body}
    )
    assert created.status_code == 201, created.text
    started = plane.client.post(f"/v1/experiments/{created.json()['experiment_id']}/run")
    return plane.finished(started.json()["job_id"])


@pytest.fixture(scope="module")
def lab(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A first version that knows little, in production, and a second one, which states what it is to show."""
    real = jobs.section

    def section(name: Any, *rest: Any) -> Any:
        if name not in ("performance", "challenge"):
            raise NotComputed("Left out.")
        return real(name, *rest)

    home = tmp_path_factory.mktemp("outcome") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "section", section)
        with running_control_plane(migrated_sqlite, home, evaluate_after_training=True) as plane:
            # From here on a test says when events are delivered.
            plane.platform.outbox.stop()
            rows = TELCO.read_text(encoding="utf-8").splitlines(keepends=True)[:1501]
            upload = plane.upload("".join(rows).encode())
            ingest = plane.client.post("/v1/datasets/ingest", json={"source": {"upload_id": upload}, "name": "telco"})
            dataset = plane.finished(ingest.json()["job_id"])
            without = {"ignore_columns": ["Contract", "tenure", "TotalCharges", "InternetService"]}
            first = train(plane, str(dataset["dataset_id"]), config=without)
            promoted = plane.client.post("/v1/models/churn/versions/1/promote", json={"stage": "production"})
            assert promoted.status_code == 200, promoted.text
            second = train(plane, str(dataset["dataset_id"]), definition=DEFINITION)
            yield Lab(plane, first, second)


def test_the_experiment_says_what_it_is_to_show_on_which_data(lab: Lab) -> None:
    found = lab.experiment(lab.second)
    version = lab.plane.client.get("/v1/models/churn/versions/1").json()
    assert found["definition"] == {
        "hypothesis": "The contract tells who leaves.",
        "baseline_model": "churn 1.0.0",
        "baseline_version_id": version["id"],
        "baseline_stated": True,
        "primary_metric": "roc_auc",
        "guardrails": [{"metric": "recall", "tolerance": 0.9}],
        "success_criteria": [{"metric": "precision", "at_least": 0.99, "at_most": None}],
        "margin": 0.0,
        "minimum_improvement": 0.001,
        "dataset": "telco",
        "dataset_version": 1,
        "dataset_version_id": found["dataset_version_id"],
    }


def test_the_evaluation_after_the_training_is_judged_by_it_and_says_where_it_is_from(lab: Lab) -> None:
    document = lab.evaluation(lab.second["evaluation_job_id"])
    said = f"Definition stated in experiment {lab.second['experiment_id']}: "
    (note,) = [each for each in document["data"]["notes"] if each.startswith(said)]
    assert note.endswith("hypothesis, guardrails, success criteria, minimum improvement, baseline.")
    challenge = document["challenge"]
    assert challenge["hypothesis"] == "The contract tells who leaves."
    assert challenge["baseline"]["version"] == "1.0.0"
    rules = {rule["name"]: rule for rule in challenge["recommendation"]["rules"]}
    assert rules["success criteria"]["applies"]
    assert "1 guardrail metric holds" in rules["guardrail loss not excluded"]["detail"]
    resources = {item["name"]: item for item in challenge["recommendation"]["trade_offs"]}
    assert resources["Training time"]["baseline"] > 0 < resources["Training time"]["candidate"]
    assert resources["Complexity"]["candidate"] > 1


def test_the_outcome_is_on_the_experiment_and_on_its_run_in_the_logbook(lab: Lab) -> None:
    lab.deliver()
    found = lab.experiment(lab.second)
    outcome = found["outcome"]
    recommendation = lab.evaluation(lab.second["evaluation_job_id"])["challenge"]["recommendation"]
    assert outcome["status"] == recommendation["status"] == "iterate"
    assert outcome["comparison_summary"] == recommendation["comparison_summary"]
    assert outcome["statistical_significance"] == recommendation["statistical_significance"]
    assert outcome["recommendation_rationale"].startswith(recommendation["rationale"])
    assert (outcome["baseline_model"], found["outcome_note"], found["status"]) == ("churn 1.0.0", "", "succeeded")
    evaluations = lab.plane.client.get(
        "/v1/evaluations", params={"model_version_id": lab.second["model_version_id"]}
    ).json()["items"]
    assert outcome["evaluation_id"] in {each["id"] for each in evaluations}
    run = lab.search_run(lab.second)
    assert run.params["hypothesis"] == "The contract tells who leaves."
    assert run.params["dataset_version"] == "telco version 1"
    assert run.tags["status"] == "iterate"
    assert run.tags["recommendation_rationale"] == outcome["recommendation_rationale"]
    assert run.tags["evaluation_id"] == outcome["evaluation_id"]
    assert float(run.tags["statistical_significance"]) == pytest.approx(outcome["statistical_significance"], rel=1e-5)
    audit = lab.plane.client.get("/v1/auditlogs", params={"entity_id": lab.second["experiment_id"]}).json()
    assert "experiment.conclude" in {entry["action"] for entry in audit["items"]}


def test_a_first_model_has_nothing_to_be_compared_with_and_that_is_said(lab: Lab) -> None:
    lab.deliver()
    found = lab.experiment(lab.first)
    assert (found["outcome"], found["outcome_note"]) == (None, "There is no version to compare with.")
    assert (found["definition"]["baseline_model"], found["definition"]["hypothesis"]) == ("", "")
    assert lab.search_run(lab.first).tags["status"] == "succeeded"


def test_a_later_evaluation_takes_it_over_and_what_it_states_itself_stands(lab: Lab) -> None:
    document = lab.evaluate(
        model_version_id=lab.second["model_version_id"],
        success_criteria=[{"metric": "precision", "at_least": 0.01}],
        seed=7,
    )
    (note,) = [each for each in document["data"]["notes"] if each.startswith("Definition stated in experiment")]
    assert note.endswith("hypothesis, guardrails, minimum improvement, baseline.")
    rules = {rule["name"]: rule for rule in document["challenge"]["recommendation"]["rules"]}
    assert not rules["success criteria"]["applies"]
    # It is the newest, and wins; the same event again changes nothing.
    for _ in range(2):
        lab.deliver()
        lab.again()
    lab.deliver()
    outcome = lab.experiment(lab.second)["outcome"]
    assert outcome["status"] == document["challenge"]["recommendation"]["status"]
    assert outcome["rule"] == document["challenge"]["recommendation"]["rule"] != "success criteria"


def test_a_baseline_that_cannot_be_compared_with_any_more_is_left_out_and_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lab.plane.platform.experiments.definition_of

    def gone(unit: Any, experiment_id: str) -> Any:
        stated = real(unit, experiment_id)
        return type(stated)(hypothesis=stated.hypothesis, baseline_version_id="mv_00000000000000000000000000")

    monkeypatch.setattr(lab.plane.platform.experiments, "definition_of", gone)
    document = lab.evaluate(model_version_id=lab.second["model_version_id"], seed=8)
    assert any("the baseline that the experiment states: There is no" in each for each in document["data"]["notes"])
    assert document["challenge"]["baseline"]["version"] == "1.0.0"


def test_a_baseline_that_is_not_in_production_any_more_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = SimpleNamespace(id="mv_00000000000000000000000000", semver="9.0.0")
    monkeypatch.setattr(lab.plane.platform.registry, "production_of", lambda *_: newer)
    job = lab.plane.client.post(
        "/v1/evaluations", json={"model_version_id": lab.second["model_version_id"], "seed": 10}
    )
    monkeypatch.undo()
    document = lab.evaluation(job.json()["job_id"])
    said = "The baseline is the one that the experiment states; in production is version 9.0.0."
    assert said in document["data"]["notes"]
    assert document["challenge"]["baseline"]["version"] == "1.0.0"


def test_a_logbook_that_is_away_fails_no_evaluation_and_is_told_later(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.deliver()

    def away(*_args: Any, **_named: Any) -> None:
        raise Unavailable("The tracking server does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(lab.plane.platform.tracking, "update_trial", away)
        document = lab.evaluate(model_version_id=lab.second["model_version_id"], seed=9)
        lab.deliver()
        outcome = lab.experiment(lab.second)["outcome"]
    assert outcome["recommendation_rationale"].startswith(document["challenge"]["recommendation"]["rationale"])
    assert lab.search_run(lab.second).tags["evaluation_id"] != outcome["evaluation_id"]
    with lab.plane.platform.database.write_global() as unit:
        for row in unit.session.query(OutboxRow).filter_by(status="pending"):
            row.next_attempt_at = row.time
    lab.deliver()
    assert lab.search_run(lab.second).tags["evaluation_id"] == outcome["evaluation_id"]


def test_an_outcome_that_could_not_be_written_down_at_once_is_still_shown_in_the_logbook(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.deliver()
    platform, expected = lab.plane.platform, lab.experiment(lab.second)["outcome"]
    platform.tracking.update_trial(
        "default", lab.search_run(lab.second).run_id, tags={"evaluation_id": "", "status": ""}
    )
    with platform.database.write(system_context(platform.workspace_ids()[0])) as unit:
        platform.experiments.get(unit, lab.second["experiment_id"]).outcome = None
    lab.again()

    def away(*_args: Any, **_named: Any) -> None:
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(platform.experiments, "conclude", away)
        lab.deliver()
    assert lab.experiment(lab.second)["outcome"] is None
    lab.again("pending")
    lab.deliver()
    assert lab.experiment(lab.second)["outcome"] == expected
    tags = lab.search_run(lab.second).tags
    assert (tags["evaluation_id"], tags["status"]) == (expected["evaluation_id"], expected["status"])


@pytest.mark.parametrize(
    ("definition", "status", "words"),
    [
        ({"guardrails": [{"metric": "recal"}]}, 422, "no one task has"),
        ({"success_criteria": [{"metric": "recall"}]}, 422, "at_least"),
        ({"baseline_model": "nobody@1"}, 404, "nobody"),
        ({"minimum_improvement": -1}, 422, "minimum_improvement"),
        ({"primary_metric": "f1"}, 422, "primary_metric"),
    ],
    ids=["metric", "no-bound", "baseline", "negative", "unknown-field"],
)
def test_what_cannot_be_judged_is_refused_at_once(
    lab: Lab, definition: dict[str, Any], status: int, words: str
) -> None:
    dataset_id = lab.experiment(lab.first)["dataset_id"]
    refused = lab.plane.client.post(
        "/v1/experiments", json={"dataset_id": dataset_id, "target": "Churn", "definition": definition}
    )
    assert refused.status_code == status, refused.text
    assert words in refused.text
