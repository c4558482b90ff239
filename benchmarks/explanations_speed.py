"""Explanations: global SHAP of a LightGBM model on 10,000 rows, beside the shap package in the same run.

The model is the one that every benchmark of serving uses (100 trees of 31 leaves, 15 columns, of which 6 are one-hot
encoded), compiled from its pipeline; a second one is a booster on category codes, as AutoML trains it. Timed in seconds
of processor time, so that other work on the machine does not count; medians of a few runs:

- ``table``: what each input column added, for all rows: encoding, exact tree SHAP, folding back to the columns;
- ``summary``: mean |SHAP| with 1,000 bootstrap resamples, directions, beeswarm points;
- ``rows``: the same shares, asked row by row as a data plane does, for a tenth of the rows, per 10,000 rows;
- ``shap``: ``shap.TreeExplainer`` with ``tree_path_dependent`` on the encoded matrix, if the package is installed;
- ``sampled``: permutation sampling of the same model as if its inside were not known, for 100 rows;
- ``counterfactuals``: one search for three changes of a row, among 5,000 rows.

Run it with ``python benchmarks/explanations_speed.py [--rows 10000]``. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
from reference_model import CLASSES, COLUMNS, NUMBERS, TARGET, make_columns, train_pipeline

from arkwright.bundles import GeneralInput, LightGBMEvaluator, Predictor, fit_encoder, to_rows
from arkwright.bundles.conversion.pipeline import compile_model
from arkwright.contracts import Column, Signature
from arkwright.evaluation.attribution_summary import global_attributions
from arkwright.evaluation.attributions import attribute, sampled_attributions
from arkwright.evaluation.counterfactual import ColumnLimit, find_counterfactuals, wanted_class

Table = dict[str, np.ndarray]


def seconds(work: Callable[[], Any], times: int = 3) -> float:
    spent = []
    for _ in range(times):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return statistics.median(spent)


def signature() -> Signature:
    spec = tuple(Column(name=name, kind="numeric" if name in NUMBERS else "categorical") for name in COLUMNS)
    return Signature(task="binary", target=TARGET, columns=spec, classes=CLASSES)


def compiled() -> tuple[Predictor, Any]:
    pipeline = train_pipeline()
    inputs = tuple(GeneralInput(name=name, dtype="float64" if name in NUMBERS else "text") for name in COLUMNS)
    found = compile_model(pipeline, inputs)
    return Predictor(signature(), found.encoder, found.evaluator), pipeline["model"].booster_


def native() -> tuple[Predictor, Any]:
    columns, target = make_columns(20_000)
    encoder = fit_encoder(signature().columns, columns, layout="tree")
    data = lightgbm.Dataset(
        encoder.encode_columns(columns), target, categorical_feature=list(encoder.categorical_feature)
    )
    booster = lightgbm.train({"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1}, data, 100)
    return Predictor(signature(), encoder, LightGBMEvaluator(booster.model_to_string())), booster


def shap_seconds(booster: Any, X: np.ndarray, ours: np.ndarray) -> tuple[float, float] | None:
    """Return how long the shap package takes, and how far its values lie from ours."""
    if importlib.util.find_spec("shap") is None:
        return None
    import shap  # noqa: PLC0415 - optional

    booster.params["num_threads"] = 1
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    # For a LightGBM model the package asks LightGBM, too: a ratio near 1 is expected, and none is to be gained by it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = np.asarray(explainer.shap_values(X))
    values = values[1] if values.ndim == 3 and values.shape[0] == 2 else values
    return seconds(lambda: explainer.shap_values(X)), float(np.abs(values - ours[:, 0, :-1]).max())


def measure(name: str, predictor: Predictor, booster: Any, n_rows: int) -> list[str]:
    columns, _ = make_columns(n_rows, seed=5)
    X = predictor.encoder.encode_columns(columns)
    table = seconds(lambda: predictor.contributions_columns(columns))
    found = attribute(predictor, columns, seed=0)
    summary = seconds(lambda: global_attributions(found, seed=0), times=1)
    few = to_rows({name: values[: n_rows // 10] for name, values in columns.items()})
    rows = seconds(lambda: predictor.explain_rows(few), times=1) * n_rows / len(few)
    peer = shap_seconds(booster, X, predictor.evaluator.contributions_matrix(X))
    part = {name: values[:100] for name, values in columns.items()}
    sampled = seconds(lambda: sampled_attributions(predictor.predict_columns, part, columns, COLUMNS, seed=0), times=1)
    return [
        name,
        f"{table:.2f}",
        f"{summary:.2f}",
        f"{rows:.2f}",
        "not installed" if peer is None else f"{peer[0]:.2f}",
        "" if peer is None else f"{peer[0] / table:.2f}",
        "" if peer is None else f"{peer[1]:.0e}",
        f"{sampled:.2f}",
        f"{search_seconds(predictor, columns):.2f}",
    ]


def search_seconds(predictor: Predictor, columns: Table) -> float:
    scores = predictor.predict_columns(columns)[:, 0]
    row = {name: values[[int(np.argmax(scores))]] for name, values in columns.items()}
    limits = [ColumnLimit(name="age", fixed=True), ColumnLimit(name="tenure_months", direction="up")]
    wanted = wanted_class(predictor.signature, CLASSES[0])
    return seconds(
        lambda: find_counterfactuals(predictor.predict_columns, row, columns, COLUMNS, wanted, seed=0, limits=limits),
        times=1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="rows to explain")
    n_rows = parser.parse_args().rows
    heads = ["model", "table s", "summary s", "rows s", "shap s", "shap / table", "difference", "sampled s",
             "counterfactuals s"]  # fmt: skip
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1))
    for name, build in (("compiled pipeline", compiled), ("booster on codes", native)):
        print("| " + " | ".join(measure(name, *build(), n_rows)) + " |", flush=True)


if __name__ == "__main__":
    main()
