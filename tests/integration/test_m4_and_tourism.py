"""Two public sets of series: published errors of a known forecast, and a model of quarters scored by its own past.

The data are read from the folder that ``ARKWRIGHT_TEST_DATA`` names.

References
----------
Makridakis, Spiliotis & Assimakopoulos (2020), "The M4 Competition: 100,000 time series and 61 forecasting methods",
IJF 36: the seasonal naive forecast of the hourly series has a sMAPE of 13.912 % and a MASE of 1.193.
"""

import csv
import gzip
import os
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from arkwright.bundles import LightGBMEvaluator, Predictor, fit_encoder
from arkwright.contracts import Column, Signature
from arkwright.evaluation.examination import Material, Options, section
from arkwright.evaluation.forecast_timeline import ForecastRequest, History, read_timeline
from arkwright.evaluation.forecasting import evaluate_forecasts

DATA = os.environ.get("ARKWRIGHT_TEST_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="ARKWRIGHT_TEST_DATA names no folder with the public data sets")

HORIZON, SEASON = 8, 4
LAGS = tuple(f"lag_{lag}" for lag in range(HORIZON, HORIZON + 5))
SIGNATURE = Signature(
    task="regression",
    target="Trips",
    columns=(*(Column(name=name, kind="numeric") for name in LAGS), Column(name="quarter", kind="categorical")),
)


def read(path):
    with gzip.open(Path(DATA) / path, "rt") as file:
        return list(csv.reader(file))


def numbers(cells):
    return np.array([float(cell) for cell in cells if cell])


def test_the_seasonal_naive_forecast_of_the_m4_hours_has_the_published_errors():
    train, test = ({row[0]: numbers(row[1:]) for row in read(f"m4_hourly/hourly_{part}.csv.gz")[1:]}
                   for part in ("train", "test"))  # fmt: skip
    report = evaluate_forecasts(
        np.concatenate(list(test.values())),
        np.concatenate([np.tile(train[name][-24:], 2) for name in test]),
        train,
        seed=0,
        series=np.repeat(list(test), 48),
        steps=np.tile(np.arange(48), len(test)),
        season=24,
    )
    assert report.n_series == 414
    assert report.pooled["mase"].value == pytest.approx(1.193, abs=0.0005)
    assert 100 * report.pooled["smape"].value == pytest.approx(13.912, abs=0.0005)


@cache
def tourism():
    """Return the quarters of 304 series with lags that are known two years ahead, oldest first within a series."""
    header, *cells = read("tourism_quarterly/tourism.csv.gz")
    assert header == ["Quarter", "Region", "State", "Purpose", "Trips"]
    series = np.array([f"{region} / {purpose}" for _, region, _, purpose, _ in cells])
    quarter = np.array([row[0] for row in cells])
    trips = np.array([float(row[4]) for row in cells])
    order = np.lexsort((quarter, series))
    series, quarter, trips = series[order], quarter[order], trips[order]
    columns = {"Quarter": quarter, "series": series, "Trips": trips, "quarter": np.array([q[5:] for q in quarter])}
    for lag in range(HORIZON, HORIZON + 5):
        before = np.roll(trips, lag)
        columns[f"lag_{lag}"] = np.where(np.roll(series, lag) == series, before, np.nan)
    return pa.table(columns)


@cache
def scored(model="boosted"):
    table = tourism()
    late = np.asarray(table.column("Quarter").to_numpy(zero_copy_only=False) >= "2016 Q1")
    train, later = table.filter(pa.array(~late)), table.filter(pa.array(late))
    columns = {name: later.column(name).to_numpy(zero_copy_only=False) for name in (*LAGS, "quarter")}
    truth = later.column("Trips").to_numpy()
    asked = ForecastRequest(time="Quarter", series="series", season=SEASON, horizon=HORIZON)
    predict = {"boosted": boosted(train).predict_columns, "twice": lambda given: 2 * given["lag_8"][:, None]}[model]
    timeline = read_timeline(later, np.arange(later.num_rows), SIGNATURE, asked, History(table, "tourism version 1"))
    material = Material(SIGNATURE, predict, columns, truth, np.array([[float(truth.mean())]]), timeline=timeline)
    return section("forecast", material, Options(n_resamples=300)), train, later, predict(columns)[:, 0]


def boosted(train):
    columns = {name: train.column(name).to_numpy(zero_copy_only=False) for name in (*LAGS, "quarter")}
    encoder = fit_encoder(SIGNATURE.columns, columns, layout="tree")
    fitted = lightgbm.train(
        {"objective": "l1", "verbosity": -1, "num_threads": 1, "num_leaves": 15, "learning_rate": 0.05},
        lightgbm.Dataset(encoder.encode_columns(columns), train.column("Trips").to_numpy()),
        200,
    )
    return Predictor(SIGNATURE, encoder, LightGBMEvaluator(fitted.model_to_string()))


def test_a_model_of_quarters_has_the_scaled_error_that_is_computed_series_by_series():
    found, train, later, answers = scored()
    past = {}
    for name, value in zip(train.column("series").to_pylist(), train.column("Trips").to_pylist(), strict=True):
        past.setdefault(name, []).append(value)
    errors, absolute = {}, np.abs(later.column("Trips").to_numpy() - answers)
    for name, error in zip(later.column("series").to_pylist(), absolute.tolist(), strict=True):
        errors.setdefault(name, []).append(error)
    scale = {name: np.abs(np.array(values[4:]) - np.array(values[:-4])).mean() for name, values in past.items()}
    expected = np.mean([np.mean(values) / scale[name] for name, values in errors.items()])
    assert found.report.pooled["mase"].value == pytest.approx(expected)
    assert (found.report.n_series, found.n_steps, found.first, found.last) == (304, 8, "2016 Q1", "2017 Q4")
    assert found.n_seen == later.num_rows
    assert not found.drawn_at_random


def test_boosted_trees_beat_the_value_of_two_years_before_and_doubling_it_does_not():
    found, *_ = scored()
    assert found.naive.lag == 8
    assert found.naive.relative_mae.high < 1
    worse, *_ = scored("twice")
    assert worse.naive.relative_mae.low > 1
    assert worse.report.pooled["mase"].low > 1
    assert len(worse.report.series) == 100
    assert worse.bias.high < 0
