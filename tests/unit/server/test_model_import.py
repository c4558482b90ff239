"""Importing a model of one's own through the whole control plane, with a real compiling process."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from arkwright.testing import InMemoryTracking
from tests.unit.registry.own_models import TARGET, pipeline, telco
from tests.unit.server.conftest import ControlPlane, a_run, running_control_plane

_MLMODEL = """
flavors:
  sklearn:
    pickled_model: model.skops
    serialization_format: skops
    code: null
  python_function:
    loader_module: mlflow.sklearn
"""


@pytest.fixture
def churn(telco_csv: Path) -> tuple[Any, pd.DataFrame]:
    X, y = telco(telco_csv)
    model = pipeline(LogisticRegression(max_iter=500)).fit(X, y)
    return model, X.assign(**{TARGET: y})


@pytest.fixture
def trusting(migrated_sqlite: Path, tmp_path: Path) -> Iterator[ControlPlane]:
    with running_control_plane(migrated_sqlite, tmp_path / "home", allow_pickled_models=True) as running:
        yield running


def logged(plane: ControlPlane, model: Any, folder: Path) -> str:
    """Keep a model as the stock client logs it, and return its address."""
    folder.mkdir()
    (folder / "MLmodel").write_text(_MLMODEL)
    skops.io.dump(model, folder / "model.skops")
    run_id = a_run(plane)
    assert isinstance(plane.platform.tracking, InMemoryTracking)
    plane.platform.tracking.log_model("default", f"runs:/{run_id}/model", folder)
    return f"runs:/{run_id}/model"


def started(plane: ControlPlane, name: str, **body: Any) -> dict[str, Any]:
    answer = plane.client.post(f"/v1/models/{name}/versions", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = plane.client.get(answer.headers["Location"]).json()
    return job


def csv_of(plane: ControlPlane, frame: pd.DataFrame) -> str:
    return plane.upload(frame.to_csv(index=False).encode(), "sample.csv")


def test_a_logged_model_becomes_a_staged_version_with_evidence(
    control_plane: ControlPlane, churn: tuple[Any, pd.DataFrame], tmp_path: Path
) -> None:
    model, frame = churn
    source = logged(control_plane, model, tmp_path / "logged")
    body = {"source": source, "sample": {"upload_id": csv_of(control_plane, frame)}, "target": TARGET}
    job = started(control_plane, "mine", **body)
    assert job["status"] == "succeeded", job["error"]
    result = job["result"]
    assert (result["predictor"], result["number"], result["semver"]) == ("compiled", 1, "1.0.0")
    assert result["metrics"]["roc_auc"] > 0.7
    version = control_plane.client.get("/v1/models/mine/versions/1").json()
    assert (version["stage"], version["task"], version["learner"]) == ("staged", "binary", "LogisticRegression")
    assert version["run_id"] == source.split("/")[1]
    promoted = control_plane.client.post("/v1/models/mine/versions/1/promote", json={"stage": "production"})
    assert promoted.json()["stage"] == "production", promoted.text
    again = started(control_plane, "mine", **body)
    assert again["status"] == "succeeded"


def test_without_a_target_it_is_staged_and_no_gate_lets_it_pass(
    control_plane: ControlPlane, churn: tuple[Any, pd.DataFrame], tmp_path: Path
) -> None:
    model, frame = churn
    source = logged(control_plane, model, tmp_path / "logged")
    sample = csv_of(control_plane, frame.drop(columns=TARGET).head(50))
    assert started(control_plane, "mine", source=source, sample={"upload_id": sample})["status"] == "succeeded"
    refused = control_plane.client.post("/v1/models/mine/versions/1/promote", json={"stage": "production"})
    assert refused.status_code == 409
    assert refused.json()["unmet"] == ["No evaluation of this bundle has been filed."]


def test_an_uploaded_archive_is_imported_and_a_general_model_is_evaluated_too(
    control_plane: ControlPlane, churn: tuple[Any, pd.DataFrame]
) -> None:
    _, frame = churn
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression())
    model.fit(frame[["tenure", "MonthlyCharges"]], frame[TARGET])
    packed, file = io.BytesIO(), io.BytesIO()
    skops.io.dump(model, file)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mine/MLmodel", _MLMODEL)
        archive.writestr("mine/model.skops", file.getvalue())
    upload = control_plane.upload(packed.getvalue(), "mine.zip")
    sample = csv_of(control_plane, frame)
    job = started(control_plane, "mine", source={"upload_id": upload}, sample={"upload_id": sample}, target=TARGET)
    assert job["status"] == "succeeded", job["error"]
    assert job["result"]["predictor"] == "general"
    assert "PCA" in job["result"]["general_reason"]
    assert job["result"]["metrics"]["roc_auc"] > 0.6


def test_pickles_are_taken_where_they_are_allowed(trusting: ControlPlane, churn: tuple[Any, pd.DataFrame]) -> None:
    model, frame = churn
    file = io.BytesIO()
    joblib.dump(model, file)
    upload = trusting.upload(file.getvalue(), "model.joblib")
    sample = csv_of(trusting, frame)
    job = started(trusting, "mine", source={"upload_id": upload}, sample={"upload_id": sample}, target=TARGET)
    assert job["status"] == "succeeded", job["error"]


def test_a_pickle_is_refused_where_it_is_not_allowed(control_plane: ControlPlane) -> None:
    upload = control_plane.upload(b"\x80\x04N.", "model.pkl")
    job = started(control_plane, "mine", source={"upload_id": upload})
    assert (job["status"], job["error"]["code"]) == ("failed", "import.pickle")
    assert control_plane.client.get("/v1/models/mine").status_code == 404


def test_what_is_no_archive_is_refused(control_plane: ControlPlane) -> None:
    upload = control_plane.upload(b"a,b\n1,2\n", "table.csv")
    job = started(control_plane, "mine", source={"upload_id": upload})
    assert (job["status"], job["error"]["code"]) == ("failed", "import.not_a_model")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"source": "s3://bucket/model"}, "tracking.model_uri"),
        ({"source": "runs:/abc/../../etc"}, "tracking.model_uri"),
        ({"source": {"upload_id": "up_none"}}, "upload.not_found"),
        ({"source": "runs:/abc/model", "sample": {"upload_id": "up_none"}}, "upload.not_found"),
        ({"source": "runs:/abc/model", "sample": {}}, "request.invalid"),
        ({"source": "runs:/abc/model", "task": "clustering"}, "request.invalid"),
        ({"source": 3}, "request.invalid"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_at_once(
    control_plane: ControlPlane, body: dict[str, Any], code: str
) -> None:
    answer = control_plane.client.post("/v1/models/mine/versions", json=body)
    assert (answer.status_code in {404, 422}, answer.json()["code"]) == (True, code), json.dumps(answer.json())


def test_an_unknown_run_is_not_found_by_the_job(control_plane: ControlPlane) -> None:
    job = started(control_plane, "mine", source="runs:/abc/model")
    assert (job["status"], job["error"]["code"]) == ("failed", "tracking.not_found")
