"""A model of one's own, from a folder on this machine to a version and an endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.unit.registry.own_models import TARGET, pipeline, telco

from arkwright.core.errors import PolicyRefused
from arkwright.sdk import Client

_MLMODEL = "flavors:\n  sklearn:\n    pickled_model: model.skops\n    serialization_format: skops\n"


def test_a_folder_becomes_a_version_that_answers(client: Client, telco_csv: Path, tmp_path: Path) -> None:
    X, y = telco(telco_csv, 300)
    model = pipeline(LogisticRegression(max_iter=500)).fit(X, y)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "MLmodel").write_text(_MLMODEL)
    skops.io.dump(model, folder / "model.skops")
    sample = tmp_path / "sample.csv"
    X.assign(**{TARGET: y}).to_csv(sample, index=False)
    said: list[str] = []
    job = client.models.import_version(
        "from-a-folder", folder, sample=sample, target=TARGET, on_progress=lambda news: said.append(news["message"])
    )
    assert job["result"] is not None
    assert (job["result"]["predictor"], job["result"]["number"]) == ("compiled", 1)
    client.models.promote("from-a-folder", 1)
    endpoint = client.deployments.create(model="from-a-folder", name="from-a-folder")
    client.deployments.wait_until_ready(endpoint["id"])
    row = json.loads(X[:1].to_json(orient="records"))[0]
    answer = client.predict(endpoint["id"], row)
    assert answer["predictions"][0]["score"] == pytest.approx(model.predict_proba(X[:1])[0, 1], abs=1e-12)


def test_what_is_not_compiled_answers_from_a_process_of_its_own(
    client: Client, telco_csv: Path, tmp_path: Path
) -> None:
    X, y = telco(telco_csv, 300)
    numbers = X[["tenure", "MonthlyCharges"]]
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(numbers, y)
    skops.io.dump(model, tmp_path / "model.skops")
    sample = numbers.assign(**{TARGET: y})
    job = client.models.import_version("uncompiled", tmp_path / "model.skops", sample=sample, target=TARGET)
    assert job["result"] is not None
    assert job["result"]["predictor"] == "general"
    client.models.promote("uncompiled", 1)
    endpoint = client.deployments.create(model="uncompiled", name="uncompiled")
    client.deployments.wait_until_ready(endpoint["id"])
    answer = client.predict(endpoint["id"], {"tenure": 3, "MonthlyCharges": 70.5})
    expected = model.predict_proba(pd.DataFrame({"tenure": [3], "MonthlyCharges": [70.5]}))[0, 1]
    assert answer["predictions"][0]["score"] == pytest.approx(expected, abs=1e-12)


def test_a_pickle_is_refused_with_what_to_do(client: Client, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"\x80\x04N.")
    with pytest.raises(PolicyRefused) as refused:
        client.models.import_version("pickled", tmp_path / "model.joblib")
    assert refused.value.code == "import.pickle"
    assert "ARKWRIGHT_ALLOW_PICKLED_MODELS" in str(refused.value.hint)
