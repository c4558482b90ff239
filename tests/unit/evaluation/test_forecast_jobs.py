"""The evaluation job as a forecast: on later rows, on the kept ones, with a history of its own, and refused in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from arkwright.evaluation.forecast_timeline import BETWEEN, FLATTERED
from tests.unit.evaluation.evaluated_platform import Evaluated, compute_only
from tests.unit.server.conftest import running_control_plane

ASKED = {"time": "month", "series": "shop", "season": 12}


def sales(n_months: int = 96) -> pd.DataFrame:
    """Return the sales of three shops, with the month before and the year before as columns."""
    rng = np.random.default_rng(0)
    months = pd.date_range("2017-01-01", periods=n_months, freq="MS")
    parts = []
    for number, shop in enumerate(("north", "south", "west"), start=1):
        season = 10 * number * np.sin(np.arange(n_months) * np.pi / 6)
        values = pd.Series(100.0 * number + season + rng.normal(0, 2, n_months)).round(2)
        parts.append(
            pd.DataFrame(
                {"month": months, "shop": shop, "before": values.shift(1), "year_ago": values.shift(12), "sold": values}
            )
        )
    return pd.concat(parts)


@pytest.fixture(scope="module")
def shops(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluated]:
    """A model of the first six years."""
    table = sales()
    early = table[table.month < "2023-01-01"]
    with running_control_plane(migrated_sqlite, tmp_path_factory.mktemp("shops") / "home") as plane:
        upload = plane.upload(early.to_csv(index=False).encode(), "sales.csv")
        ingest = plane.client.post("/v1/datasets/ingest", json={"source": {"upload_id": upload}, "name": "sales"})
        dataset = plane.finished(ingest.json()["job_id"])
        config = {"budget_seconds": 120, "hpo": {"max_trials": 2}, "cv": {"folds": 2}, "model_name": "sales"}
        body = {"dataset_id": dataset["dataset_id"], "target": "sold", "config": config}
        experiment = plane.client.post("/v1/experiments", json=body).json()
        started = plane.client.post(f"/v1/experiments/{experiment['experiment_id']}/run").json()
        yield Evaluated(plane, plane.finished(started["job_id"]), str(dataset["dataset_version_id"]))


@pytest.fixture(autouse=True)
def few_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    compute_only(monkeypatch, "performance", "forecast", "challenge")


def given(shops: Evaluated, rows: pd.DataFrame) -> dict[str, str]:
    return {"upload_id": shops.plane.upload(rows.to_csv(index=False).encode(), "later.csv")}


def later() -> pd.DataFrame:
    table = sales()
    return table[table.month >= "2023-01-01"]


def test_later_rows_are_scaled_by_the_dataset_version_the_model_was_trained_on(shops: Evaluated) -> None:
    result, document = shops.evaluate(data=given(shops, later()), forecast=ASKED)
    found = document["forecast"]
    assert (found["history"], found["n_seen"], found["drawn_at_random"]) == ("sales version 1", 0, False)
    table = sales()
    past = table[table.month < "2023-01-01"].groupby("shop").sold
    scale = (past.shift(0) - past.shift(12)).abs().groupby(table[table.month < "2023-01-01"].shop).mean()
    by_series = {item["series"]: item["metrics"] for item in found["report"]["series"]}
    for shop, metrics in by_series.items():
        assert metrics["mase"]["value"] == pytest.approx(metrics["mae"]["value"] / scale[shop])
    assert found["naive"]["n_rows"] == 72
    assert result["forecast"]["metrics"]["mase"] == found["report"]["pooled"]["mase"]
    assert any(sentence["text"].startswith("MASE ") for sentence in document["summary"])
    assert "forecast" not in document["not_done"]
    answer = shops.plane.client.get(f"/v1/evaluations/{result['evaluation_id']}/summary").json()
    assert answer["forecast"]["season"] == 12
    report = shops.plane.client.get(f"/v1/evaluations/{result['evaluation_id']}/report").text
    assert '<section id="forecast"' in report


def test_the_rows_that_were_kept_at_training_are_known_to_flatter(shops: Evaluated) -> None:
    _, document = shops.evaluate(forecast=ASKED)
    found = document["forecast"]
    assert found["drawn_at_random"]
    assert FLATTERED in found["notes"]
    assert found["report"]["pooled"]["mase"]["value"] is None
    assert found["report"]["pooled"]["mase"]["reason"] == BETWEEN
    assert found["naive"]["n_rows"] > 0


def test_a_history_of_ones_own_goes_before_the_training_data(shops: Evaluated) -> None:
    table = sales()
    history = given(shops, table[(table.month < "2023-01-01") & (table.month >= "2021-01-01")])
    _, document = shops.evaluate(data=given(shops, later()), forecast={**ASKED, "history": history})
    assert document["forecast"]["history"] == "later.csv"
    assert document["forecast"]["report"]["pooled"]["mase"]["value"] > 0
    kept = {"dataset_version_id": shops.dataset_version_id}
    _, document = shops.evaluate(data=given(shops, later()), forecast={**ASKED, "history": kept})
    assert document["forecast"]["history"] == "sales version 1"


def test_an_evaluation_without_a_forecast_does_not_speak_of_one(shops: Evaluated) -> None:
    result, document = shops.evaluate(data=given(shops, later()))
    assert document["forecast"] is None
    assert result["forecast"] is None
    assert "forecast" not in document["not_done"]


@pytest.mark.parametrize(
    ("forecast", "detail"),
    [
        ({"time": "day"}, "The data has no column 'day'"),
        ({"time": "month", "series": "store"}, "The data has no column 'store'"),
        ({"time": "sold"}, "'sold' cannot be both the time column and the target column"),
        ({"time": "month", "season": 0}, "A season of 0 steps cannot be used"),
        ({"time": "month", "horizon": 0}, "A horizon of 0 steps cannot be used"),
        ({"time": "month", "history": {"dataset_version_id": "dsv_none"}}, "There is no dataset version 'dsv_none'"),
        ({"time": "month", "history": {"upload_id": "up_none"}}, "up_none"),
    ],
)
def test_what_can_be_refused_is_refused_before_the_job_starts(
    shops: Evaluated, forecast: dict[str, Any], detail: str
) -> None:
    answer = shops.start(forecast=forecast)
    assert 400 <= answer.status_code < 500
    assert detail in answer.json()["detail"]
    assert answer.json()["hint"]


@pytest.mark.parametrize("forecast", [{}, {"time": ""}, {"time": "month", "season": "x"}, {"time": "month", "step": 1}])
def test_a_forecast_of_the_wrong_shape_is_refused(shops: Evaluated, forecast: dict[str, Any]) -> None:
    assert shops.start(forecast=forecast).status_code == 422


def test_a_history_without_the_columns_is_refused_before_the_job_starts(shops: Evaluated) -> None:
    upload = shops.plane.upload(b"when,sold\n1,2\n2,3\n", "old.csv")
    ingest = shops.plane.client.post("/v1/datasets/ingest", json={"source": {"upload_id": upload}, "name": "old"})
    version = shops.plane.finished(ingest.json()["job_id"])["dataset_version_id"]
    answer = shops.start(forecast={**ASKED, "history": {"dataset_version_id": version}})
    assert answer.status_code == 422
    assert "The history has no columns 'month', 'shop'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        (lambda rows: pd.concat([rows, rows[:1]]), "occurs more than once in the series 'north'"),
        (lambda rows: rows.assign(month=rows.month.where(rows.index > 75)), "rows have no time in 'month'"),
        (lambda rows: rows.drop(columns="shop").assign(shop=""), "rows have no series in 'shop'"),
        (lambda rows: rows.assign(label=rows.month.dt.strftime("%B %Y")), "cannot be put into order"),
    ],
    ids=["twice", "no time", "no series", "no order"],
)
def test_rows_without_a_place_in_time_end_the_job_at_its_first_step_with_a_reason(
    shops: Evaluated, rows: Any, detail: str
) -> None:
    table = rows(later())
    asked = {**ASKED, "time": "label" if "label" in table else "month"}
    job = shops.job(data=given(shops, table), forecast=asked)
    assert job["status"] == "failed"
    assert detail in job["error"]["detail"]
    assert job["error"]["hint"]
