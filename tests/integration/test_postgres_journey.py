"""The journey on PostgreSQL, with the real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.platform import running_platform

from arkwright.sdk import Client

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("postgres")]


def test_a_table_becomes_an_endpoint(postgres_url: str, tmp_path: Path, telco_csv: Path) -> None:
    rows = tmp_path / "telco.csv"
    rows.write_text("".join(telco_csv.read_text(encoding="utf-8").splitlines(keepends=True)[:1501]), encoding="utf-8")
    with (
        running_platform(tmp_path / "home", database_url=postgres_url) as (state, settings),
        Client(state.url, Path(state.key_file).read_text(encoding="ascii").strip()) as client,
    ):
        assert not (settings.home / "arkwright.db").exists()
        model = client.train(rows, target="Churn", budget=240, name="churn", config={"hpo": {"max_trials": 3}})
        client.models.promote("churn", 1, stage="production")
        deployment = client.deployments.create(model="churn", name="churn")
        client.deployments.wait_until_ready(deployment["id"])
        answer = client.predict(deployment["id"], [{**_row(rows), "customerID": "c1"}])
        assert answer["predictions"][0]["label"] in {"Yes", "No"}
        assert model.version["semver"] == "1.0.0"
        assert client.audit.verify()["intact"]


def _row(path: Path) -> dict[str, object]:
    import csv

    with path.open(encoding="utf-8") as stream:
        first = next(csv.DictReader(stream))
    del first["Churn"]
    numbers = ("tenure", "MonthlyCharges", "TotalCharges", "SeniorCitizen")
    return {name: float(value) if name in numbers else value for name, value in first.items()}
