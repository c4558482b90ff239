"""Canaries of bad models, on a running platform: each is taken back by itself, and leaves the evidence.

The versions are put into the registry as they are, with an evaluation that speaks for them: what is wrong with them
shows only in production.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
import numpy as np
import pytest
from tests.conftest import EVALUATION, LINEAGE, small_bundle
from tests.e2e.casualties import SERVER, Predictions, kill_child
from tests.e2e.platform import running_platform

from arkwright.bundles import GeneralInput, GeneralModel, fit_baseline, load_bundle, write_general_bundle
from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.core.errors import Unavailable
from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings
from arkwright.registry import Stage
from arkwright.sdk import Client
from arkwright.server.composition import Platform
from arkwright.testing import InMemoryTracking
from arkwright.tracking.ports import TrialRecord

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("rollouts")]
PATIENCE_SECONDS = 60.0


@dataclass
class Running:
    """A platform with a model of several versions, by what is wrong with them."""

    state: RunningPlatform
    key: str
    client: Client
    http: httpx.Client
    versions: dict[str, str]
    truth: Callable[[dict[str, Any]], str]
    digests: dict[str, str]


def slow_model() -> Any:
    """Return a model that takes its time; its code travels in its pickle."""

    class Slow:
        def predict_proba(self, frame: Any) -> Any:
            import time

            import numpy as np

            time.sleep(0.25)
            return np.full((len(frame), 2), 0.5)

    return Slow()


def failing_model() -> Any:
    """Return a model that answers what it was tried with and nothing else."""

    class Failing:
        def predict_proba(self, frame: Any) -> Any:
            import numpy as np

            if (frame["tenure"] != 1.0).any():
                raise ValueError("no such customer")
            return np.full((len(frame), 2), 0.5)

    return Failing()


def pickled(folder: Path, like: Path, digest: str, model: Any, lineage: dict[str, str]) -> str:
    """Write a general bundle that takes the same rows as a compiled one; return its digest."""
    signature = load_bundle(like, digest).signature
    files = folder.with_name(f"{folder.name}-files")
    files.mkdir()
    (files / "model.pkl").write_bytes(cloudpickle.dumps(model))
    columns = {"tenure": np.array([1.0]), "contract": np.array(["month"], dtype=object)}
    inputs = (GeneralInput(name="tenure", dtype="float64"), GeneralInput(name="contract", dtype="text"))
    return write_general_bundle(
        folder,
        signature=signature,
        general=GeneralModel(
            loader="pickle", path="model.pkl", inputs=inputs, method="predict_proba", class_columns=(0, 1)
        ),
        model_folder=files,
        reason="It is made for a test.",
        baseline=fit_baseline(signature, columns, np.array([[0.5]])),
        example_rows=[{"tenure": 1.0, "contract": "month"}],
        learner="custom",
        lineage=lineage,
        environment={"python": "3.11"},
    )


def put_on_the_shelf(settings: Settings, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Store and register every version, and put the good one into production; return ids and digests."""
    tracking = InMemoryTracking()
    experiment = tracking.ensure_experiment("default", "churn")
    trial = TrialRecord(key="t1", experiment_id=experiment, name="t1", status="succeeded", started_at=datetime.now(UTC))
    lineage = {**LINEAGE, "run_id": tracking.log_trial("default", trial)}
    good = folder / "good"
    digests = {
        "good": small_bundle(good, weight=-0.5, lineage=lineage),
        "subtle": small_bundle(folder / "subtle", weight=-0.2, lineage=lineage),
        "better": small_bundle(folder / "better", weight=-0.51, lineage=lineage),
    }
    digests["slow"] = pickled(folder / "slow", good, digests["good"], slow_model(), lineage)
    digests["failing"] = pickled(folder / "failing", good, digests["good"], failing_model(), lineage)
    platform = Platform(settings, tracking=tracking)
    units = platform.database.bound(system_context(DEFAULT_WORKSPACE_ID))
    versions = {}
    with units.write() as unit:
        platform.registry.ensure(unit, "churn")
    for name, digest in digests.items():
        with units.write() as unit:
            platform.registry.bundles.save(DEFAULT_WORKSPACE_ID, folder / name, digest)
            platform.governance.file(unit, "evaluation", digest, EVALUATION)
        row = platform.registry.register(units, "churn", digest, workspace_name="default")
        stage = Stage.PRODUCTION if name == "good" else Stage.CANARY
        platform.registry.promote(units, "churn", row.id, stage)
        versions[name] = row.id
    platform.database.dispose()
    return versions, digests


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("rollouts")
    with running_platform(folder / "home", allow_pickled_models=True, evaluate_after_training=False) as (
        state,
        settings,
    ):
        versions, digests = put_on_the_shelf(settings, folder)
        predictor = load_bundle(folder / "good", digests["good"]).predictor
        key = Path(state.key_file).read_text().strip()
        with (
            Client(state.url, key) as client,
            httpx.Client(base_url=state.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as http,
        ):
            yield Running(
                state, key, client, http, versions, lambda row: str(predictor.predict_rows([row])[0]["label"]), digests
            )


def canary(running: Running, kind: str, **analysis: Any) -> str:
    """Deploy a canary with half of the requests."""
    strategy = {
        "type": "canary",
        "model_version_id": running.versions[kind],
        "steps": [50, 100],
        "pause_seconds": 1,
        "analysis": {"interval_seconds": 1, "min_requests": 20, **analysis},
    }
    created = running.client.deployments.create(
        model="churn", name=kind, strategy=strategy, slos={"latency_ms_p95": 120}
    )
    return str(running.client.deployments.wait_until_ready(created["id"])["id"])


def ask(running: Running, deployment_id: str, dice: random.Random) -> tuple[dict[str, Any], httpx.Response]:
    row = {"tenure": float(dice.randint(1, 70)), "contract": dice.choice(["month", "year"])}
    return row, running.http.post(f"/v1/inference/{deployment_id}:predict", json={"instances": [row]})


def tell(running: Running, deployment_id: str, asked: list[tuple[dict[str, Any], httpx.Response]]) -> None:
    """Say what became of predictions: what the good model says, but for one in ten."""
    outcomes = []
    for index, (row, answer) in enumerate(asked):
        actual = running.truth(row)
        if index % 10 == 0:
            actual = {"Yes": "No", "No": "Yes"}[actual]
        outcomes.append({"request_id": answer.json()["request_id"], "row": 0, "actual": actual})
    told = running.http.post(f"/v1/inference/{deployment_id}:feedback", json={"outcomes": outcomes})
    assert told.status_code == 202, told.text


def until_decided(running: Running, deployment_id: str, *, feedback: bool = False) -> Any:
    """Send requests to a deployment until its rollout has ended, and return how."""
    dice = random.Random(deployment_id)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        asked = [ask(running, deployment_id, dice) for _ in range(20)]
        if feedback:
            tell(running, deployment_id, [each for each in asked if each[1].status_code == 200])
        newest = running.client.deployments.rollouts(deployment_id)["rollouts"][0]
        if newest["state"] != "progressing":
            return newest
        assert time.monotonic() < deadline, newest["reason"]


def test_bad_canaries_are_taken_back_by_themselves_and_leave_the_evidence(running: Running) -> None:
    metrics = [{"name": "accuracy", "max_worse": 0.02, "min_outcomes": 50}]
    deployments = {
        "subtle": canary(running, "subtle", metrics=metrics),
        "slow": canary(running, "slow"),
        "failing": canary(running, "failing"),
    }
    with ThreadPoolExecutor(len(deployments)) as pool:
        deciding = {
            kind: pool.submit(until_decided, running, deployment_id, feedback=kind == "subtle")
            for kind, deployment_id in deployments.items()
        }
    ended = {kind: future.result() for kind, future in deciding.items()}
    assert {kind: rollout["state"] for kind, rollout in ended.items()} == dict.fromkeys(deployments, "rolled_back")
    assert "accuracy of canary" in ended["subtle"]["reason"]
    assert "slower than 120 ms" in ended["slow"]["reason"] or "fuse" in ended["slow"]["reason"]
    assert "failed" in ended["failing"]["reason"] or "fuse" in ended["failing"]["reason"]
    for kind, rollout in ended.items():
        evidence = running.client.evidence(running.digests[kind], kind="rollout")
        assert [each["id"] for each in evidence] == [rollout["evidence_id"]]
        body = evidence[0]["body"]
        assert (body["outcome"], body["deployment"]) == ("rolled_back", deployments[kind])
        assert body["windows"]["canary"]["requests"] > 0
        graph = running.client.lineage("deployment", deployments[kind])
        assert rollout["evidence_id"] in [node["id"] for node in graph["nodes"]]
        version = running.client.models.version("churn", running.versions[kind])
        assert (version["stage"], version["stage_comment"][:11]) == ("staged", "Rolled back")
        shown = running.client.deployments.get(deployments[kind])
        assert (shown["status"], shown["traffic_split"]) == ("ready", {"stable": 100.0})
    assert running.client.audit.verify()["intact"]


def test_a_good_canary_gets_everything_and_a_rollback_takes_a_second(running: Running) -> None:
    deployment_id = canary(running, "better")
    ended = until_decided(running, deployment_id)
    assert ended["state"] == "promoted", ended["reason"]
    assert running.client.models.version("churn", running.versions["better"])["stage"] == "production"
    dice = random.Random(5)
    assert answers_with(running, deployment_id, running.versions["better"], dice)
    running.client.deployments.roll_back(deployment_id, comment="For the test.")
    assert answers_with(running, deployment_id, running.versions["good"], dice)


def test_a_killed_control_plane_costs_no_request_and_the_rollout_goes_on_after_it(running: Running) -> None:
    for name in ("slow", "failing"):
        assert running.client.models.version("churn", running.versions[name])["stage"] == "staged"
    running.client.models.promote("churn", running.versions["subtle"], stage="canary")
    strategy = {
        "type": "canary",
        "model_version_id": running.versions["subtle"],
        "steps": [30, 60, 100],
        "pause_seconds": [1, None, None],
        "analysis": {"interval_seconds": 1, "min_requests": 20},
    }
    created = running.client.deployments.create(model="churn", name="survivor", strategy=strategy)
    deployment_id = str(running.client.deployments.wait_until_ready(created["id"])["id"])
    row = {"tenure": 5.0, "contract": "month"}
    with Predictions(running.state.url, running.key, deployment_id, row) as caller:
        killed = False
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert time.monotonic() < deadline
            try:
                newest = running.client.deployments.rollouts(deployment_id)["rollouts"][0]
            except Unavailable:
                continue
            if not killed and caller.answered:
                kill_child(running.state.pid, SERVER)
                killed = True
            elif newest["state"] == "paused":
                break
    assert caller.failures == []
    assert newest["step"] == 1
    assert running.client.deployments.get(deployment_id)["traffic_split"] == {"stable": 40.0, "canary": 60.0}
    running.client.deployments.abort(deployment_id)


def answers_with(running: Running, deployment_id: str, version_id: str, dice: random.Random) -> bool:
    """Ask until the version answers; every request on the way is answered."""
    wanted = running.client.models.version("churn", version_id)["semver"]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        _row, answer = ask(running, deployment_id, dice)
        assert answer.status_code == 200, answer.text
        if answer.json()["model_version"] == wanted:
            return True
    return False
