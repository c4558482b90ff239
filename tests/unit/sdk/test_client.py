"""The client against a real control plane and a real data plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pytest
from tests.unit.sdk.served_platform import Served

from arkwright.core.errors import Conflict, Invalid, NotAuthenticated, NotFound, PolicyRefused
from arkwright.sdk import Client, TrainedModel

pytestmark = pytest.mark.xdist_group("sdk")


@pytest.fixture(scope="package")
def trained(served: Served, small_path: Path) -> Iterator[TrainedModel]:
    """A model trained through the client, once for all tests here."""
    with Client(served.url, served.key) as client:
        told: list[str] = []
        model = client.train(
            small_path,
            target="Churn",
            budget="2m",
            name="churn",
            on_progress=lambda job: told.append(job["kind"]),
        )
        assert {kind.split(".")[0] for kind in told} == {"data", "automl"}
        yield model


@pytest.fixture(scope="package")
def telco_path() -> Path:
    return Path(__file__).parents[3] / "examples" / "telco_churn.csv"


@pytest.fixture(scope="package")
def small_path(telco_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough rows to learn from, few enough to be quick: budgets here are never used up."""
    path = tmp_path_factory.mktemp("data") / "small.csv"
    path.write_text("".join(telco_path.read_text().splitlines(keepends=True)[:1201]))
    return path


@pytest.fixture(scope="package")
def deployment(served: Served, trained: TrainedModel) -> dict[str, Any]:
    with Client(served.url, served.key) as client:
        trained.promote(comment="for the tests")
        return dict(client.deployments.wait_until_ready(client.deployments.create(model="churn", name="live")["id"]))


def row(client: Client, model: TrainedModel) -> dict[str, Any]:
    preview = client.datasets.preview(model.experiment["dataset_id"])
    return {name: value for name, value in preview["rows"][0].items() if name != "Churn"}


def test_the_key_says_who_is_calling(client: Client) -> None:
    assert client.whoami()["role"] == "admin"


def test_a_wrong_key_is_not_authenticated(served: Served) -> None:
    with Client(served.url, "ark_wrong") as stranger, pytest.raises(NotAuthenticated):
        stranger.models.list()


def test_the_home_is_enough_to_find_the_key(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    state = served.home / "run"
    state.mkdir(exist_ok=True)
    (state / "state.json").write_text(f'{{"url": "{served.url}"}}')
    with Client(home=served.home) as client:
        assert client.whoami()["role"] == "admin"


def test_the_same_table_twice_is_the_same_version_in_whatever_form(client: Client, telco_path: Path) -> None:
    first = client.jobs.wait(client.datasets.ingest(telco_path, name="forms")["job_id"])["result"]
    table = pa_csv.read_csv(telco_path, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True))
    again = client.jobs.wait(client.datasets.ingest(telco_path.read_bytes(), name="forms", format="csv")["job_id"])
    assert first is not None
    assert again["result"] is not None
    assert (first["created"], again["result"]["created"]) == (True, False)
    assert again["result"]["dataset_version_id"] == first["dataset_version_id"]
    in_memory = client.jobs.wait(client.datasets.ingest(table, name="in memory")["job_id"])["result"]
    assert in_memory is not None
    assert in_memory["n_rows"] == 7043


def test_a_dataset_can_be_looked_at(client: Client, trained: TrainedModel) -> None:
    dataset = client.datasets.get(trained.experiment["dataset_id"])
    assert dataset["name"] in [found["name"] for found in client.datasets.list()]
    assert [version["number"] for version in client.datasets.versions(dataset["name"])] == [1]
    profile = client.datasets.profile(dataset["id"])
    assert profile["n_rows"] == 1200
    assert len(client.datasets.preview(dataset["id"], 1)["rows"]) > 1


def test_a_bad_file_fails_the_job_with_the_problem_itself(client: Client) -> None:
    with pytest.raises(Invalid) as raised:
        client.jobs.wait(client.datasets.ingest(b"<!doctype html><p>no", name="page", format="csv")["job_id"])
    assert raised.value.hint


def test_a_training_ends_with_a_registered_evaluated_model(trained: TrainedModel) -> None:
    assert (trained.name, trained.number) == ("churn", 1)
    assert trained.leaderboard["chosen"] in [entry["name"] for entry in trained.leaderboard["entries"]]
    assert "Churn" in trained.recommendation
    assert trained.metrics["roc_auc"] > 0.7
    interval = trained.evaluation["metrics"]["roc_auc"]
    assert interval["low"] < interval["value"] < interval["high"]
    assert trained.evaluation["beats_baseline"]["met"] is True


def test_an_experiment_keeps_its_trials(client: Client, trained: TrainedModel) -> None:
    trials = client.experiments.trials(trained.experiment["id"])
    assert {trial["name"] for trial in trials} == {entry["name"] for entry in trained.leaderboard["entries"]}
    assert trained.experiment["id"] in [experiment["id"] for experiment in client.experiments.list()]


def test_a_target_that_is_no_column_is_refused(client: Client, trained: TrainedModel) -> None:
    with pytest.raises(Invalid, match="Churned"):
        client.experiments.create(dataset_id=trained.experiment["dataset_id"], target="Churned")


def test_a_promoted_model_answers_by_name_and_by_id(
    client: Client, trained: TrainedModel, deployment: dict[str, Any]
) -> None:
    instance = row(client, trained)
    by_id = client.predict(deployment["id"], instance)
    by_name = client.predict("live", [instance, instance])
    assert by_id["predictions"][0] == by_name["predictions"][1]
    assert by_id["predictions"][0]["customerID"] == instance["customerID"]
    assert 0.0 <= by_id["predictions"][0]["score"] <= 1.0


def test_a_wrong_field_is_named(client: Client, trained: TrainedModel, deployment: dict[str, Any]) -> None:
    instance = {**row(client, trained), "tenure": "twelve"}
    with pytest.raises(Invalid) as raised:
        client.predict(deployment["id"], [instance])
    assert raised.value.errors[0]["field"] == "instances[0].tenure"


def test_a_model_with_nothing_in_production_cannot_be_deployed(client: Client) -> None:
    client.models.create("never trained")
    with pytest.raises(Conflict, match="never trained"):
        client.deployments.create(model="never trained")
    with pytest.raises(NotFound):
        client.deployments.create(model="nowhere")


def test_a_version_that_was_not_promoted_is_refused_with_every_unmet_condition(
    client: Client, trained: TrainedModel
) -> None:
    client.models.create("copy")
    staged = client.models.create_version("copy", trained.version["bundle_digest"])
    assert staged["stage"] == "staged"
    with pytest.raises(PolicyRefused) as refused:
        client.deployments.create(model_version_id=staged["id"], name="too early")
    assert refused.value.unmet


def test_a_closed_client_says_so(served: Served) -> None:
    with Client(served.url, served.key) as client:
        pass
    with pytest.raises(Conflict, match="closed"):
        client.models.list()


def test_a_file_can_be_scored_without_a_deployment(
    client: Client, deployment: dict[str, Any], telco_path: Path, tmp_path: Path
) -> None:
    assert deployment["status"] == "ready"
    uploaded = client.datasets.upload(telco_path)
    job = client.jobs.wait(client.batches.create(model="churn", upload_id=uploaded["upload_id"])["job_id"])
    assert client.batches.output(job["id"], tmp_path / "out.csv") > 0
    assert (tmp_path / "out.csv").read_text().count("\n") == 7044
    client.batches.output(job["id"], tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes()[:4] == b"PAR1"


def test_a_few_rows_travel_in_the_request_and_are_scored_as_a_job(
    client: Client, deployment: dict[str, Any], telco_path: Path, tmp_path: Path
) -> None:
    import csv

    assert deployment["status"] == "ready"
    with telco_path.open() as stream:
        found = [row for row, _ in zip(csv.DictReader(stream), range(3), strict=False)]
    rows = [{**row, "tenure": int(row["tenure"])} for row in found]
    job = client.jobs.wait(client.batches.create_from_rows(rows, model="churn", with_scores=True)["job_id"])
    client.batches.output(job["id"], tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["customerID"] for line in lines] == [row["customerID"] for row in rows]
    assert all(line["predicted_score"] == line["predicted_score_Yes"] for line in lines)


def test_a_batch_without_a_table_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(Invalid, match="one model and one table"):
        client.batches.create(model="churn")


def test_every_deployment_is_watched(client: Client, deployment: dict[str, Any]) -> None:
    monitors = client.monitors.list(deployment["id"])
    changed = client.monitors.create("live", config={"max_rows": 500})
    assert [monitor["id"] for monitor in monitors] in ([], [changed["id"]])
    client.jobs.wait(client.monitors.run("live", max_rows=100)["job_id"])
    assert client.monitors.report("live")["deployment_id"] == deployment["id"]
    assert len(client.monitors.reports("live")) == 1
    assert client.alerts.list(deployment="live") == []
    with pytest.raises(NotFound):
        client.alerts.acknowledge("alert_00000000000000000000000000")


def test_what_happened_to_a_model_is_on_record(
    client: Client, trained: TrainedModel, deployment: dict[str, Any]
) -> None:
    assert [change["to_stage"] for change in client.models.history("churn")][-1] == "production"
    graph = client.lineage("model_version", trained.version["id"])
    assert {"dataset_version", "deployment"} <= {node["entity_type"] for node in graph["nodes"]}
    assert deployment["id"] in [node["id"] for node in graph["nodes"]]
    verdict = client.audit.verify()
    assert verdict["intact"]
    entries = client.audit.list(limit=None)
    assert len(entries) >= verdict["n_entries"]
    assert client.audit.list(action="deployment.create")[0]["entity_id"] == deployment["id"]
    with pytest.raises(Conflict, match="no earlier production version"):
        client.models.rollback("churn")


def test_a_key_can_be_made_used_and_revoked(served: Served, client: Client) -> None:
    created = client.api_keys.create("nightly", expires_at=datetime.now(UTC) + timedelta(days=1))
    with Client(served.url, created["secret"]) as nightly:
        assert nightly.whoami()["actor_id"] == created["id"]
        assert client.api_keys.revoke(created["id"])["revoked_at"]
        with pytest.raises(NotAuthenticated):
            nightly.whoami()
    assert created["id"] in [key["id"] for key in client.api_keys.list()]


def test_a_login_link_leads_to_this_platform(served: Served, client: Client) -> None:
    assert client.login_link().startswith(f"{served.url}/login?token=")


def test_the_default_project_is_there(client: Client) -> None:
    assert [project["name"] for project in client.projects.list()] == ["default"]


def test_jobs_are_listed_newest_first_with_their_logs(client: Client, trained: TrainedModel) -> None:
    everything = client.jobs.list()
    assert [job["id"] for job in everything] == sorted((job["id"] for job in everything), reverse=True)
    jobs = client.jobs.list(kind="automl.train.v1", subject_id=trained.experiment["id"])
    assert [job["status"] for job in jobs] == ["succeeded"]
    lines = client.jobs.logs(jobs[0]["id"])
    assert any("customerID" in line["message"] for line in lines)
    assert client.jobs.logs(jobs[0]["id"], after=lines[0]["seq"]) == lines[1:]
    with pytest.raises(Conflict):
        client.jobs.cancel(jobs[0]["id"])


def test_a_model_by_a_name_that_does_not_exist_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound, match="no/where"):
        client.models.get("no/where")
