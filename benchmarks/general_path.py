"""How fast is a model that could not be compiled, behind the micro-batching of the general path?

Usage: python benchmarks/general_path.py [--seconds 2] [--concurrency 1 16 64] [--max-rows 256] [--think-ms 0]

A scikit-learn pipeline of 15 mixed columns with LightGBM (100 trees of 31 leaves) is pickled into a general bundle and
served by ``GeneralModel``. Callers that each wait for their answer before they ask again send one row at a time; there
is no HTTP in it. Beside it: the pipeline called in this process, a row at a time and 64 at a time, and a table scored
through ``GeneralScorer``. The answers are compared with the pipeline's own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import joblib
import lightgbm
import numpy as np
import pandas as pd
import uvloop
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from arkwright.bundles import GeneralInput, fit_baseline, rows_to_columns, to_rows, write_general_bundle
from arkwright.bundles import GeneralModel as ModelSpec
from arkwright.bundles.model_process import GeneralScorer
from arkwright.contracts import Column, Signature
from arkwright.serving.general import GeneralModel

NUMBERS = tuple(f"number_{index}" for index in range(9))
TEXTS = tuple(f"text_{index}" for index in range(6))
SIGNATURE = Signature(
    task="binary",
    target="y",
    columns=(
        *(Column(name=name, kind="numeric") for name in NUMBERS),
        *(Column(name=name, kind="categorical") for name in TEXTS),
    ),
    classes=("no", "yes"),
)


def a_table(n_rows: int) -> dict[str, np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for name in NUMBERS:
        columns[name] = np.where(generator.random(n_rows) < 0.05, np.nan, generator.normal(size=n_rows))
    for name in TEXTS:
        texts = np.array([*"abcdefgh", None], dtype=object)
        columns[name] = texts[generator.integers(0, 9, n_rows)]
    return columns


def a_pipeline(frame: pd.DataFrame) -> Pipeline:
    numbers = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    texts = Pipeline(
        [("impute", SimpleImputer(strategy="most_frequent")), ("encode", OneHotEncoder(handle_unknown="ignore"))]
    )
    columns = ColumnTransformer([("numbers", numbers, list(NUMBERS)), ("texts", texts, list(TEXTS))])
    trees = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=31, n_jobs=1, verbosity=-1)
    target = np.where(frame["number_0"].fillna(0) + (frame["text_0"] == "a") > 0.2, "yes", "no")
    return Pipeline([("columns", columns), ("trees", trees)]).fit(frame, target)


def as_frame(columns: dict[str, np.ndarray[Any, Any]]) -> pd.DataFrame:
    return pd.DataFrame(columns).fillna(np.nan).infer_objects()


async def closed_loop(
    model: GeneralModel, rows: list[dict[str, Any]], n_callers: int, seconds: float, think_ms: float
) -> list[float]:
    """Ask until the time is up; return the latencies in ms."""
    latencies = []
    end = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        at = number
        while (start := time.perf_counter()) < end:
            await model.predict_rows_async([rows[at % len(rows)]], timeout_seconds=10)
            latencies.append((time.perf_counter() - start) * 1000)
            at += n_callers
            if think_ms:
                await asyncio.sleep(random.expovariate(1000 / think_ms))

    await asyncio.gather(*(caller(number) for number in range(n_callers)))
    return latencies


def in_this_process(pipeline: Pipeline, rows: list[dict[str, Any]], n_rows: int, seconds: float) -> float:
    """Return the rows a second of the naive way: a frame, a call."""
    n_scored, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        pipeline.predict_proba(pd.DataFrame(rows[:n_rows]).fillna(np.nan).infer_objects())
        n_scored += n_rows
    return n_scored / (time.perf_counter() - start)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 16, 64])
    parser.add_argument("--think-ms", type=float, default=0.0, help="mean pause of a caller before it asks again")
    parser.add_argument("--max-rows", type=int, default=256)
    given = parser.parse_args()
    columns = a_table(20_000)
    frame = as_frame(columns)
    pipeline = a_pipeline(frame)
    rows = to_rows({name: values[:2000] for name, values in columns.items()})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "files").mkdir()
        joblib.dump(pipeline, folder / "files" / "model.pkl")
        digest = write_general_bundle(
            folder / "bundle",
            signature=SIGNATURE,
            general=ModelSpec(
                loader="pickle",
                path="model.pkl",
                inputs=(
                    *(GeneralInput(name=name, dtype="float64") for name in NUMBERS),
                    *(GeneralInput(name=name, dtype="text") for name in TEXTS),
                ),
                method="predict_proba",
                class_columns=(0, 1),
            ),
            model_folder=folder / "files",
            reason="a benchmark",
            baseline=fit_baseline(SIGNATURE, rows_to_columns(rows, SIGNATURE), np.zeros((len(rows), 1))),
            example_rows=rows[:3],
            learner="custom",
        )
        own = pipeline.predict_proba(frame)[:, 1]
        for n_rows in (1, 64):
            print(
                f"in this process, {n_rows:3} rows a call: {in_this_process(pipeline, rows, n_rows, 1.0):8,.0f} rows/s"
            )
        model = GeneralModel(folder / "bundle", digest, SIGNATURE, max_rows=given.max_rows)
        start = time.perf_counter()
        await model.start()
        print(f"started in {time.perf_counter() - start:.2f} s")
        answers = await model.predict_rows_async(rows, timeout_seconds=60)
        difference = np.abs(np.array([answer["score"] for answer in answers]) - own[: len(rows)]).max()
        print(f"largest difference to the pipeline over {len(rows)} rows: {difference:g}")
        for n_callers in given.concurrency:
            latencies = await closed_loop(model, rows, n_callers, given.seconds, given.think_ms)
            cuts = statistics.quantiles(latencies, n=100)
            print(
                f"c={n_callers:3}: {len(latencies) / given.seconds:8,.0f} req/s   "
                f"p50 {cuts[49]:6.1f}   p95 {cuts[94]:6.1f}   p99 {cuts[98]:6.1f} ms"
            )
        await model.close()
        with GeneralScorer(folder / "bundle", digest, SIGNATURE) as scorer:
            start = time.perf_counter()
            scores = scorer.predict_columns(columns)[:, 0]
            taken = time.perf_counter() - start
        print(f"a table: {len(scores) / taken:8,.0f} rows/s, largest difference {np.abs(scores - own).max():g}")


if __name__ == "__main__":
    uvloop.run(main())
