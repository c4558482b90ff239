"""``kill -9`` of every process, again and again, while tables are ingested, models trained and promoted."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.e2e import consistency
from tests.e2e.casualties import MLFLOW, SERVER, WORKER, Predictions, descendants_of, kill_child, wait_until_gone

from arkwright.core.errors import Conflict, Unavailable
from arkwright.front import RunningPlatform, start_background, status, stop
from arkwright.front.home import is_held
from arkwright.kit.settings import Settings, load_settings
from arkwright.sdk import Client
from arkwright.serving.log import FLUSH_SECONDS

pytestmark = [
    pytest.mark.platform,
    pytest.mark.slow,
    pytest.mark.xdist_group("crash"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes in /proc"),
]
TABLE = Path(__file__).parents[2] / "examples" / "telco_churn.csv"
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
MODEL = "churn"
N_ROWS = 1500
N_CANDIDATES = 3
# Generous: a worker that is killed again and again spends it on starting over. The search ends with its candidates.
BUDGET_SECONDS = 60
PATIENCE_SECONDS = 90.0
# Half of what each child gets: ten kills in the course of two trainings. The worker's cost the most time.
CHILDREN_DIE = {
    "ingest": {WORKER: 2, SERVER: 1, MLFLOW: 1},
    "train": {WORKER: 2, SERVER: 3, MLFLOW: 3},
    "promote": {WORKER: 1, SERVER: 1, MLFLOW: 1},
}
# Six times at work and, after four of these, once more on the way up.
FRONT_DIES = {"ingest": {"front": 2}, "train": {"front": 2}, "promote": {"front": 2}}
DIES_ON_THE_WAY_UP = (0, 2, 3, 5)
T = TypeVar("T")


@dataclass
class Scene:
    """A platform with a model in production behind an endpoint, and tables to train others on."""

    settings: Settings
    state: RunningPlatform
    temporary: Path
    deployment_id: str = ""
    n_tables: int = 0
    phase: str = "calm"
    job_id: str = ""
    history: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def key(self) -> str:
        return Path(self.state.key_file).read_text(encoding="ascii").strip()

    def table(self) -> bytes:
        """Return the next table: no two of them have the same content."""
        header, *lines = TABLE.read_bytes().splitlines(keepends=True)
        self.n_tables += 1
        start = 100 * self.n_tables
        return header + b"".join(lines[start : start + N_ROWS])

    def predictions(self) -> Predictions:
        header, row, *_ = TABLE.read_text(encoding="utf-8").splitlines()
        instance: dict[str, Any] = dict(zip(header.split(","), row.split(","), strict=True))
        del instance["Churn"]
        for name in ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges"):
            instance[name] = float(instance[name])
        return Predictions(self.state.url, self.key, self.deployment_id, instance)

    def note(self, text: str) -> None:
        self.history.append(f"{time.strftime('%H:%M:%S')} {self.phase}: {text}")

    def told(self) -> str:
        return f"CRASH_SEED={SEED}\n" + "\n".join(self.history)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("crash")
    temporary = folder / "tmp"
    temporary.mkdir()
    with socket.socket() as probe, pytest.MonkeyPatch.context() as environment:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        environment.setenv("TMPDIR", str(temporary))
        # The storms look at one job at a time; an evaluation after the training would be another.
        settings = load_settings(home=folder / "home", port=port, evaluate_after_training=False)
        made = Scene(settings, start_background(settings), temporary)
        try:
            with Client(home=made.home) as client:
                work(made, client)
                made.deployment_id = client.deployments.create(model=MODEL, name="churn")["id"]
                client.deployments.wait_until_ready(made.deployment_id)
            yield made
        finally:
            stop(settings)


def insist(action: Callable[[], T]) -> T:
    """Repeat what a person would repeat who is told that the platform is away, or that it was before it could answer.

    The actions look for what they did before they do it again, or may be done twice.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return action()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
        except Conflict as error:
            if error.code != "idempotency.answer_lost":
                raise
        time.sleep(0.2)


def work(scene: Scene, client: Client, n_swaps: int = 0) -> None:
    """Ingest a table, train on it, promote the model, and go back and forth between it and its predecessor."""
    scene.phase = "ingest"
    content = scene.table()
    upload = insist(lambda: client.datasets.upload(content, name="telco.csv"))["upload_id"]
    ingest = insist(lambda: client.datasets.ingest(upload_id=upload, name="telco"))
    dataset = (insist(lambda: client.jobs.wait(ingest["job_id"])).get("result") or {})["dataset_id"]
    scene.phase = "train"
    config = {"budget_seconds": BUDGET_SECONDS, "model_name": MODEL, "hpo": {"max_trials": N_CANDIDATES}}
    experiment = insist(lambda: client.experiments.create(dataset_id=dataset, target="Churn", config=config))
    scene.job_id = insist(lambda: _run(client, experiment["experiment_id"]))
    result = insist(lambda: client.jobs.wait(scene.job_id)).get("result") or {}
    scene.note(f"trained {result['semver']} in {result['chosen']}")
    scene.phase = "promote"
    insist(lambda: _promote(client, result["number"]))
    for n in range(n_swaps):
        insist(lambda back=n % 2 == 0: _swap(client, result["number"], back=back))
        time.sleep(0.2)
    scene.phase = "done"


def _run(client: Client, experiment_id: str) -> str:
    try:
        return client.experiments.run(experiment_id)["job_id"]
    except Conflict:
        # The answer was lost, the job was not.
        return client.jobs.list(subject_type="experiment", subject_id=experiment_id)[0]["id"]


def _promote(client: Client, number: int) -> None:
    try:
        client.models.promote(MODEL, number)
    except Conflict:
        assert client.models.version(MODEL, number)["stage"] == "production"


def _swap(client: Client, number: int, *, back: bool) -> None:
    """Roll back from a version, or promote it again; what a lost answer had done already is left alone."""
    in_production = client.models.get(MODEL)["production_version"] == number
    if back and in_production:
        client.models.rollback(MODEL)
    elif not back and not in_production:
        _promote(client, number)


def in_background(scene: Scene, client: Client, n_swaps: int) -> tuple[threading.Thread, list[BaseException]]:
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work(scene, client, n_swaps)
        except BaseException as error:  # noqa: BLE001 - told by the test that waits for this
            scene.phase = "done"
            problems.append(error)

    scene.phase, scene.job_id = "ingest", ""
    thread = threading.Thread(target=run, name="work")
    thread.start()
    return thread, problems


def wait_for_moment(scene: Scene, phase: str, share: float) -> None:
    """Wait until a phase has begun and is so far, or is over.

    A training is so far when its job says so; the others are short, and their share is one of a second.
    """
    order = ("ingest", "train", "promote", "done")
    while order.index(scene.phase) < order.index(phase):
        time.sleep(0.01)
    if phase != "train":
        time.sleep(share)
        return
    while scene.phase == "train":
        found = consistency.rows(scene.home, "arkwright.db", "SELECT progress FROM jobs WHERE id = ?", [scene.job_id])
        if found and found[0][0] >= share:
            return
        time.sleep(0.02)


def moments(random_: random.Random, plan: dict[str, dict[str, int]]) -> list[tuple[str, float, str]]:
    """Draw when to kill whom: so many moments of each phase for each kind, in order, spread evenly over the phase."""
    drawn = []
    for phase, n_kills_of in plan.items():
        longest = 0.97 if phase == "train" else 0.8
        drawn.append(
            sorted(
                (phase, longest * (position + random_.random()) / n_kills, kind)
                for kind, n_kills in n_kills_of.items()
                for position in range(n_kills)
            )
        )
    return [moment for phase in drawn for moment in phase]


def check_consistency(scene: Scene, client: Client) -> None:
    home = scene.home
    assert consistency.unfinished_jobs(home) == []
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS  # MLflow may take long to be up again beside other tests
    while consistency.undelivered(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert consistency.undelivered(home) == []
    consistency.check_datasets(home)
    consistency.check_models(home)
    consistency.check_trials(home, N_CANDIDATES)
    consistency.check_stages(home)
    pointing = consistency.aliases(home)
    assert pointing["found"] == pointing["wanted"] != {}
    assert client.audit.verify()["intact"]
    left = sorted(path.name.rsplit("-", 1)[0] for path in scene.temporary.glob("arkwright-*"))
    assert left == ["arkwright-server", "arkwright-worker"]


def test_a_dead_child_costs_no_prediction_no_job_and_leaves_nothing_half_done(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    random_ = random.Random(SEED)
    with Client(home=scene.home) as client, scene.predictions() as predictions:
        time.sleep(3)
        stormy_since = time.monotonic()
        for _ in range(2):
            thread, problems = in_background(scene, client, n_swaps=6)
            for phase, share, kind in moments(random_, CHILDREN_DIE):
                wait_for_moment(scene, phase, share)
                orphans = kill_child(scene.state.pid, kind)
                scene.note(f"killed {kind} at {phase} {share:.2f}, with {len(orphans)} processes below it")
                assert wait_until_gone(orphans) == [], scene.told()
            thread.join(timeout=PATIENCE_SECONDS)
            assert not thread.is_alive(), scene.told()
            assert problems == [], f"{problems}\n{scene.told()}"
        _wait_until_settled(scene)
        stormy_until = time.monotonic()
        time.sleep(3)
        assert predictions.failures == [], scene.told()
        check_consistency(scene, client)
    figures = {
        "p99 calm ms": round(predictions.p99_ms(0, stormy_since), 1),
        "p99 storm ms": round(predictions.p99_ms(stormy_since, stormy_until), 1),
        "predictions": len(predictions.answered),
        "storm s": round(stormy_until - stormy_since, 1),
    }
    for name, value in figures.items():
        record_property(name, value)
    sys.stdout.write(f"{figures}\n{scene.told()}\n")


def test_a_dead_platform_goes_on_where_it_was(scene: Scene) -> None:
    random_ = random.Random(SEED + 1)
    acknowledged: set[str] = set()
    answered: set[str] = set()
    children: list[int] = []
    scene.history.clear()
    with Client(home=scene.home) as client:
        thread, problems = in_background(scene, client, n_swaps=6)
        for number, (phase, share, _) in enumerate(moments(random_, FRONT_DIES)):
            with scene.predictions() as predictions:
                wait_for_moment(scene, phase, share)
                state = status(scene.settings)
                assert state is not None
                children = list(descendants_of(state.pid))
                os.kill(state.pid, signal.SIGKILL)
                killed_at = time.monotonic()
            scene.note(f"killed the front at {phase} {share:.2f}, {len(predictions.answered)} predictions before it")
            answered.update(request for _, request in predictions.answered)
            acknowledged.update(request for at, request in predictions.answered if at < killed_at - 4 * FLUSH_SECONDS)
            assert wait_until_gone([state.pid, *children]) == [], scene.told()
            _wait_until_released(scene)
            if number in DIES_ON_THE_WAY_UP:
                _kill_while_it_starts(scene, random_.uniform(0.2, 5.0))
            scene.state = start_background(scene.settings)
            scene.note("started again")
        thread.join(timeout=PATIENCE_SECONDS)
        assert not thread.is_alive(), scene.told()
        assert problems == [], f"{problems}\n{scene.told()}"
        _wait_until_settled(scene)
        check_consistency(scene, client)
    logged = consistency.logged_predictions(scene.home)
    assert acknowledged - set(logged) == set(), scene.told()
    assert [request for request in answered if logged[request] > 1] == []
    sys.stdout.write(f"{len(acknowledged)} of {len(answered)} predictions had to be in the log\n{scene.told()}\n")


def _kill_while_it_starts(scene: Scene, after_seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "arkwright.front"],
        env={**os.environ, **scene.settings.child_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(after_seconds)
    assert process.poll() is None, f"the platform ended by itself\n{scene.told()}"
    children = list(descendants_of(process.pid))
    process.kill()
    process.wait()
    _wait_until_released(scene)
    scene.note(f"killed the front {after_seconds:.1f} s after its start, with {len(children)} processes below it")
    assert wait_until_gone(children) == [], scene.told()


def _wait_until_released(scene: Scene) -> None:
    """Wait until the home's lock is free: a dead process lets go of it when the last of its threads has ended."""
    deadline = time.monotonic() + 10
    while is_held(scene.settings):
        assert time.monotonic() < deadline, scene.told()
        time.sleep(0.01)


def _wait_until_settled(scene: Scene) -> None:
    """Wait until every child runs again: the supervisor never gives up."""
    deadline = time.monotonic() + 30
    wanted = {SERVER, WORKER, MLFLOW}
    while not wanted <= set(descendants_of(scene.state.pid).values()):
        assert time.monotonic() < deadline, scene.told()
        time.sleep(0.1)
