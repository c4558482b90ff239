"""Monthly sales of shops, a model of them, and its evaluation as a forecast."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from arkwright.contracts import Column, Signature
from arkwright.evaluation.examination import Material, Options, assemble, examine
from arkwright.evaluation.forecast_timeline import ForecastRequest, History, read_timeline
from arkwright.evaluation.model_evaluation import DataUsed, ModelEvaluation, Subject

SIGNATURE = Signature(
    task="regression",
    target="sales",
    columns=tuple(Column(name=name, kind="numeric") for name in ("level", "year_ago")),
)
ASKED = ForecastRequest(time="month", series="shop", season=12)


def table(n_months=120, shops=("a", "b"), seed=0, drift=0.0):
    """Return months of sales with a yearly season; ``level`` is the month's mean, which a model may know."""
    rng = np.random.default_rng(seed)
    months = np.datetime64("2015-01", "M") + np.arange(n_months)
    columns = {"month": [], "shop": [], "level": [], "year_ago": [], "sales": []}
    for number, shop in enumerate(shops):
        at = np.arange(n_months)
        level = 100 * (number + 1) + drift * at + 20 * (number + 1) * np.sin(at * np.pi / 6)
        sales = level + rng.normal(0, 5 * (number + 1), n_months)
        columns["month"] += months.astype("datetime64[us]").tolist()
        columns["shop"] += [shop] * n_months
        columns["level"] += level.tolist()
        columns["year_ago"] += np.r_[np.full(12, np.nan), sales[:-12]].tolist()
        columns["sales"] += sales.tolist()
    return pa.table(columns, schema=pa.schema([
        ("month", pa.timestamp("us")), ("shop", pa.string()), ("level", pa.float64()), ("year_ago", pa.float64()),
        ("sales", pa.float64()),
    ]))  # fmt: skip


def split(rows, last=24):
    """Return the rows of the last months, and all rows, as the data and the dataset that holds its history."""
    months = np.sort(np.unique(rows.column("month").to_numpy()))
    late = rows.column("month").to_numpy() >= months[-last]
    return rows.filter(pa.array(late)), rows


def knows_the_level(columns):
    return np.nan_to_num(np.asarray(columns["level"], dtype=float), nan=150.0)[:, None]


def adds_a_fifth(columns):
    return 1.2 * np.nan_to_num(np.asarray(columns["year_ago"], dtype=float), nan=150.0)[:, None]


def material_of(data, history, predict=knows_the_level, asked=ASKED, *, at_random=False, **given):
    columns = {name: data.column(name).to_numpy() for name in ("level", "year_ago")}
    timeline = None
    if asked is not None:
        timeline = read_timeline(data, np.arange(data.num_rows), SIGNATURE, asked, history, at_random=at_random)
    truth = data.column("sales").to_numpy()
    return Material(
        signature=SIGNATURE,
        predict=predict,
        columns=columns,
        truth=truth,
        reference_scores=np.array([[float(truth.mean())]]),
        timeline=timeline,
        **given,
    )


def document_of(material, options=None, basis="given") -> ModelEvaluation:
    options = options or Options(
        profile="quick", n_resamples=100, max_rows={"robustness": 40, "explanations": 30, "operation": 20}
    )
    sections, not_done = examine(material, options)
    n_rows = int(material.truth.size)
    return assemble(
        Subject(
            model_name="sales", model_version_id="mv_1", version="1.0.0", number=1, bundle_digest="sha256:" + "cd" * 32,
            task="regression", target="sales", inputs=("level", "year_ago"),
        ),
        DataUsed(name="later months", basis=basis, n_rows=n_rows, n_rows_used=n_rows),
        sections,
        not_done,
        {},
        options,
    )  # fmt: skip


@cache
def good() -> ModelEvaluation:
    """Two shops, evaluated on two later years by a model that knows their level."""
    later, everything = split(table())
    return document_of(material_of(later, History(everything, "sales version 1")))


@cache
def bad() -> ModelEvaluation:
    """The same by a model that answers a fifth more than the year before."""
    later, everything = split(table())
    return document_of(material_of(later, History(everything, "sales version 1"), adds_a_fifth))


@cache
def many() -> ModelEvaluation:
    """Twelve shops: whole series are resampled; no history is at hand."""
    later, _ = split(table(shops=tuple("abcdefghijkl")))
    return document_of(material_of(later, History(None, reason="the dataset version it was trained on is gone")))
