"""The logbook in a real MLflow server, seen from our side and by the stock client."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from arkwright.adapters.tracking import MlflowTracking
from arkwright.adapters.tracking.mlflow_http import MlflowApi
from arkwright.adapters.tracking.pyfunc import columns_of
from arkwright.bundles import (
    BundleCorrupt,
    LinearEvaluator,
    LoadedBundle,
    PredictionInvalid,
    Predictor,
    fit_baseline,
    fit_encoder,
    load_bundle,
    measure_parity,
    to_rows,
    write_bundle,
)
from arkwright.contracts.signature import Column, ColumnKind, Signature
from arkwright.core.errors import AdapterError, Conflict, NotFound, Unavailable
from arkwright.testing import TrackingStoreConformance, sample_publication, sample_trial
from arkwright.tracking import DIGEST_TAG, SEMVER_TAG, ModelPublication, PublishedVersion, TrackingService

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.platform,
    # mlflow's own: pydantic and pandas deprecations, advice on integer columns.
    pytest.mark.filterwarnings("ignore:::mlflow", "ignore:::pydantic"),
]

# As `arkwright up` starts it, on a unix socket, and also on a port for the stock client: uvicorn's command line
# binds one address, its server takes several.
_PROGRAM = """
import socket, sys, uvicorn
local = socket.socket(socket.AF_UNIX)
local.bind(sys.argv[1])
public = socket.create_server(("127.0.0.1", int(sys.argv[2])))
config = uvicorn.Config("mlflow.server.fastapi_app:app", log_level="warning")
uvicorn.Server(config).run(sockets=[local, public])
"""


@dataclass(frozen=True)
class Server:
    """Where it listens, and where it keeps its files."""

    socket: Path
    url: str
    artifacts: Path


def launch(
    folder: Path, *, workspaces: bool = True, artifact_root: str = "mlflow-artifacts:/"
) -> tuple[subprocess.Popen[bytes], Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server(folder / "m.sock", f"http://localhost:{port}", folder / "artifacts")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    environment = os.environ | {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": artifact_root,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(server.artifacts),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_ENABLE_WORKSPACES": "true" if workspaces else "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost,localhost:*",
    }
    with (folder / "mlflow.log").open("wb") as log:
        command = [sys.executable, "-c", _PROGRAM, str(server.socket), str(port)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log), server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    process, server = launch(tmp_path_factory.mktemp("mlflow"))
    store = MlflowTracking.embedded(server.socket)
    try:
        # The house's own way of waiting: the child binds its socket seconds before it answers.
        TrackingService(store).wait_until_ready(90, on_wait=lambda _waited: _alive(process, server))
        yield server
    finally:
        store.close()
        process.kill()
        process.wait()


@pytest.fixture
def store(server: Server) -> Iterator[MlflowTracking]:
    store = MlflowTracking.embedded(server.socket)
    yield store
    store.close()


class TestMlflowTracking(TrackingStoreConformance):
    """Every promise of the port, kept by MLflow."""


def test_the_server_tells_its_version_and_that_it_keeps_workspaces_apart(store: MlflowTracking) -> None:
    answer = store.ping()
    assert (answer.version, answer.workspaces_enabled) == ("3.17.2", True)


def test_the_same_server_is_reached_by_its_url(server: Server) -> None:
    remote = MlflowTracking.remote(server.url)
    experiment_id = remote.ensure_experiment("default", "by url")
    assert remote.get_trial("default", remote.log_trial("default", sample_trial(experiment_id))).key == "trial-1"
    remote.close()


def _alive(process: subprocess.Popen[bytes], server: Server) -> None:
    if process.poll() is not None:
        raise RuntimeError((server.socket.parent / "mlflow.log").read_text()[-2000:])


@pytest.fixture
def run_id(store: MlflowTracking) -> str:
    return store.log_trial("default", sample_trial(store.ensure_experiment("default", f"exp {uuid.uuid4()}")))


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The stock client, as a user has it."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.url)
    yield mlflow
    mlflow.set_workspace(None)
    mlflow.set_tracking_uri(before)


@dataclass(frozen=True)
class Churn:
    """A bundle made of the telco data, and a frame as a user reads it."""

    loaded: LoadedBundle
    folder: Path
    frame: pd.DataFrame
    scores: npt.NDArray[np.float64]

    def publication(self, run_id: str, name: str) -> ModelPublication:
        return ModelPublication(
            name=name,
            run_id=run_id,
            bundle=self.folder,
            signature=self.loaded.signature,
            digest=self.loaded.digest,
            semver="1.2.3",
            example_rows=tuple(self.loaded.example_rows),
            tags={"arkwright.task": "binary"},
        )


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Churn:
    frame = pd.read_csv(EXAMPLES / "telco_churn.csv", na_values=" ").head(500)
    kinds: dict[str, ColumnKind] = {
        "tenure": "numeric",
        "MonthlyCharges": "numeric",
        "TotalCharges": "numeric",
        "SeniorCitizen": "categorical",
        "Contract": "categorical",
    }
    signature = Signature(
        task="binary",
        target="Churn",
        columns=tuple(Column(name=name, kind=kind) for name, kind in kinds.items()),
        classes=("No", "Yes"),
        identifiers=("customerID",),
    )
    columns = columns_of(frame, signature)
    encoder = fit_encoder(signature.columns, columns, layout="linear")
    coef = np.random.default_rng(7).normal(size=encoder.n_outputs)
    evaluator = LinearEvaluator(coef, -0.3, "sigmoid")
    predictor = Predictor(signature, encoder, evaluator)
    scores = predictor.predict_columns(columns)
    folder = tmp_path_factory.mktemp("bundle") / "churn"
    digest = write_bundle(
        folder,
        signature=signature,
        encoder=encoder,
        estimator=evaluator,
        baseline=fit_baseline(signature, columns, scores),
        example_rows=to_rows({name: values[:5] for name, values in columns.items()}),
        learner="logistic",
        parity=measure_parity(predictor, columns),
    )
    return Churn(load_bundle(folder, digest), folder, frame, scores[:, 0])


def test_the_stock_client_sees_a_trial(server: Server, store: MlflowTracking, client: ModuleType) -> None:
    store.ensure_workspace("team-a")
    experiment_id = store.ensure_experiment("team-a", "seen", {"owner": "us"})
    run_id = store.log_trial("team-a", sample_trial(experiment_id))
    client.set_workspace("team-a")
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("lightgbm 1", "FINISHED")
    assert run.data.tags["mlflow.user"] == "user_conformance"
    assert run.data.params == {"num_leaves": "31", "boosting": "gbdt"}
    assert run.data.metrics["roc_auc"] == 0.84
    history = client.MlflowClient().get_metric_history(run_id, "logloss")
    assert [(point.step, point.value) for point in history] == [(0, 0.6), (1, 0.5), (2, 0.45)]
    assert client.get_experiment(experiment_id).tags["owner"] == "us"


def test_a_run_of_the_stock_client_is_no_trial(store: MlflowTracking, client: ModuleType) -> None:
    experiment_id = store.ensure_experiment("default", "shared with a notebook")
    with client.start_run(experiment_id=experiment_id):
        client.log_metric("roc_auc", 0.99)
    run_id = store.log_trial("default", sample_trial(experiment_id))
    assert [trial.run_id for trial in store.list_trials("default", experiment_id)] == [run_id]


def test_the_stock_client_loads_a_published_bundle_and_gets_its_scores(
    store: MlflowTracking, client: ModuleType, churn: Churn, run_id: str
) -> None:
    published = store.publish_model("default", churn.publication(run_id, "telco"))
    store.set_alias("default", "telco", "champion", published.mlflow_version)
    for uri in (f"models:/telco/{published.mlflow_version}", "models:/telco@champion", published.source):
        model = client.pyfunc.load_model(uri)
        # The frame as pandas reads it: whole numbers, numbers as categories, a column with gaps, columns to spare.
        answer = model.predict(churn.frame)
        assert list(answer.columns) == ["label", "score"]
        assert answer["score"].to_numpy().tolist() == churn.scores.tolist()
        assert set(answer["label"]) == {"No", "Yes"}
    with_gaps = churn.frame.assign(tenure=churn.frame["tenure"].where(churn.frame.index % 2 == 0), Contract=None)
    served = churn.loaded.predictor.predict_rows(
        to_rows(columns_of(with_gaps, churn.loaded.signature)),
    )
    assert model.predict(with_gaps)["score"].tolist() == [row["score"] for row in served]


def test_a_published_bundle_says_what_it_takes_and_where_it_came_from(
    store: MlflowTracking, client: ModuleType, churn: Churn, run_id: str
) -> None:
    published = store.publish_model("default", churn.publication(run_id, "described"))
    stock = client.MlflowClient()
    version = stock.get_model_version("described", str(published.mlflow_version))
    assert version.tags == {
        DIGEST_TAG: churn.loaded.digest,
        SEMVER_TAG: "1.2.3",
        "arkwright.task": "binary",
    }
    assert (version.run_id, version.source, version.status) == (run_id, published.source, "READY")
    model = stock.get_logged_model(published.model_id)
    assert (str(model.status), model.source_run_id) == ("READY", run_id)
    assert [output.model_id for output in stock.get_run(run_id).outputs.model_outputs] == [published.model_id]
    info = client.models.get_model_info(published.source)
    assert {column.name: str(column.type) for column in info.signature.inputs} == {
        "tenure": "Any",
        "MonthlyCharges": "DataType.double",
        "TotalCharges": "DataType.double",
        "SeniorCitizen": "Any",
        "Contract": "DataType.string",
    }
    assert info.signature.outputs.input_names() == ["label", "score"]
    loaded = client.pyfunc.load_model(published.source)
    assert len(loaded.input_example) == 5
    assert loaded.predict(loaded.input_example)["score"].tolist() == churn.scores[:5].tolist()


def test_the_signature_is_enforced(store: MlflowTracking, client: ModuleType, churn: Churn, run_id: str) -> None:
    published = store.publish_model("default", churn.publication(run_id, "enforced"))
    model = client.pyfunc.load_model(published.source)
    with pytest.raises(client.MlflowException, match="tenure"):
        model.predict(churn.frame.drop(columns="tenure"))
    with pytest.raises(client.MlflowException, match="MonthlyCharges"):
        model.predict(churn.frame.assign(MonthlyCharges="much"))
    with pytest.raises(PredictionInvalid, match=r"Row 0 of the column 'tenure' is 'long': expected a number"):
        model.predict(churn.frame.assign(tenure="long"))


def test_a_file_that_was_changed_after_publication_is_refused(
    server: Server, store: MlflowTracking, client: ModuleType, churn: Churn, run_id: str
) -> None:
    published = store.publish_model("default", churn.publication(run_id, "tampered"))
    (stored,) = server.artifacts.rglob(f"{published.model_id}/artifacts/bundle/encoder.json")
    stored.write_text(stored.read_text() + " ")
    with pytest.raises(BundleCorrupt, match=r"encoder\.json"):
        client.pyfunc.load_model(published.source)


def test_a_publication_that_was_cut_short_is_completed_without_a_second_copy(
    server: Server, store: MlflowTracking, churn: Churn, run_id: str
) -> None:
    class Interrupted(MlflowApi):
        uploads = 3

        def upload(self, workspace: str, artifact_uri: str, path: str, content: bytes | Path) -> None:
            self.uploads -= 1
            if self.uploads < 0:
                raise Unavailable("The connection was lost.")
            super().upload(workspace, artifact_uri, path, content)

    publication = churn.publication(run_id, "interrupted")
    with pytest.raises(Unavailable):
        MlflowTracking(Interrupted(socket=server.socket)).publish_model("default", publication)
    with pytest.raises(NotFound):
        store.aliases("default", "interrupted")
    published = store.publish_model("default", publication)
    assert published.mlflow_version == 1
    experiment_id = store.get_trial("default", run_id).experiment_id
    folders = {
        path.parent.name for path in server.artifacts.glob(f"workspaces/default/{experiment_id}/models/*/artifacts")
    }
    assert folders == {published.model_id}


def test_two_publishers_of_one_bundle_end_with_one_version(
    server: Server, client: ModuleType, churn: Churn, run_id: str
) -> None:
    publication = churn.publication(run_id, "raced")

    def publish(_number: int) -> PublishedVersion:
        return MlflowTracking.embedded(server.socket).publish_model("default", publication)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(publish, range(4)))
    versions = client.MlflowClient().search_model_versions("name = 'raced'")
    assert {answer.mlflow_version for answer in answers} == {int(version.version) for version in versions}
    assert len(versions) == 1


def test_a_large_file_is_streamed(store: MlflowTracking, server: Server, run_id: str, tmp_path: Path) -> None:
    publication = sample_publication(run_id, tmp_path, name="large")
    size = 100_000_000
    with (publication.bundle / "big.bin").open("wb") as stream:
        stream.truncate(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    published = store.publish_model("default", publication)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    (stored,) = server.artifacts.rglob(f"{published.model_id}/artifacts/bundle/big.bin")
    assert stored.stat().st_size == size


def test_an_experiment_that_was_deleted_in_mlflow_is_a_conflict(store: MlflowTracking, client: ModuleType) -> None:
    client.delete_experiment(store.ensure_experiment("default", "deleted"))
    with pytest.raises(Conflict, match="deleted in MLflow"):
        store.ensure_experiment("default", "deleted")


def test_a_server_without_workspaces_serves_the_default_one_only(tmp_path: Path, churn: Churn) -> None:
    process, server = launch(tmp_path, workspaces=False, artifact_root=str(tmp_path / "direct"))
    store = MlflowTracking.remote(server.url)
    try:
        TrackingService(store).wait_until_ready(90, on_wait=lambda _waited: _alive(process, server))
        store.ensure_workspace("default")
        run_id = store.log_trial("default", sample_trial(store.ensure_experiment("default", "exp")))
        assert store.get_trial("default", run_id).status == "succeeded"
        with pytest.raises(AdapterError, match="does not keep workspaces apart"):
            store.ensure_workspace("team-a")
        with pytest.raises(AdapterError, match="which it does not pass on") as refused:
            store.publish_model("default", churn.publication(run_id, "telco"))
        assert "--serve-artifacts" in str(refused.value.hint)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(Unavailable, match="does not answer") as gone:
        store.ping()
    assert "ARKWRIGHT_TRACKING_URL" in str(gone.value.hint)
    store.close()
