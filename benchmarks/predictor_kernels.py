"""What one compiled prediction costs, kind by kind, and how far it lies from the library that trained the model.

Usage: python benchmarks/predictor_kernels.py [--only extra_trees]

Each model is fitted on the shipped churn data (or on 200 columns of numbers), converted, and asked alone and in
batches in one thread:

- ``row``: microseconds from the bytes of a request with one row to its scores: JSON, validation, encoding, evaluation
- ``evaluator``: the part of it that the evaluator takes
- ``batch``: rows per second from columns to scores; ``matrix``: from an encoded matrix
- ``library``: microseconds for one row in the library itself, encoded already
- ``difference``: the largest to the library's answers, over the table and rows with missing and odd cells
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import msgspec
import numpy as np
import xgboost
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression

from arkwright.bundles import (
    Encoder,
    Evaluator,
    LightGBMEvaluator,
    Predictor,
    combine_members,
    convert_catboost,
    convert_forest,
    convert_hist_gradient_boosting,
    convert_linear,
    convert_xgboost,
    fit_encoder,
    to_rows,
)
from arkwright.contracts import Column, Signature

DATA = Path(__file__).parents[1] / "examples" / "telco_churn.csv"
NUMBERS = {"tenure", "MonthlyCharges", "TotalCharges"}
N_BATCH = 20_000
ROUNDS = 100
Table = dict[str, np.ndarray]
Ask = Callable[[np.ndarray], np.ndarray]


@dataclass
class Case:
    """A fitted model: compiled, and as its library asks it."""

    name: str
    signature: Signature
    columns: Table
    encoder: Encoder
    evaluator: Evaluator
    ask: Ask


def read_churn() -> tuple[list[Column], Table, dict[str, list[str]]]:
    with DATA.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[::2]
    spec, columns = [], {}
    for name in rows[0]:
        if name in {"customerID", "Churn", "Contract"}:
            continue
        spec.append(Column(name=name, kind="numeric" if name in NUMBERS else "categorical"))
        if name in NUMBERS:
            columns[name] = np.array([float(row[name]) if row[name].strip() else np.nan for row in rows])
        else:
            columns[name] = np.array([row[name] for row in rows], dtype=object)
    return spec, columns, {name: [row[name] for row in rows] for name in ("Churn", "Contract")}


def fit_tree(name: str, X: np.ndarray, y: np.ndarray) -> tuple[Evaluator, Ask]:
    """Return a tree learner's evaluator, and its own way of answering."""
    if name == "lightgbm":
        objective = {"objective": "multiclass", "num_class": 3} if y.max() > 1 else {"objective": "binary"}
        settings = {**objective, "num_leaves": 31, "verbosity": -1, "num_threads": 1}
        booster = lightgbm.train(settings, lightgbm.Dataset(X, y), ROUNDS)
        return LightGBMEvaluator(booster.model_to_string()), lambda Z: booster.predict(Z, num_threads=1)
    if name == "xgboost":
        xgb = xgboost.XGBClassifier(n_estimators=ROUNDS, n_jobs=1).fit(X, y)
        return convert_xgboost(xgb), xgb.predict_proba
    if name == "catboost":
        cat = catboost.CatBoostClassifier(iterations=ROUNDS, thread_count=1, verbose=0, allow_writing_files=False)
        cat.fit(X, y)
        return convert_catboost(cat), lambda Z: cat.predict_proba(Z, thread_count=1)
    if name == "hist_gradient":
        hist = HistGradientBoostingClassifier(max_iter=ROUNDS).fit(X, y)
        return convert_hist_gradient_boosting(hist), hist.predict_proba
    kind = ExtraTreesClassifier if name == "extra_trees" else RandomForestClassifier
    forest = kind(n_estimators=ROUNDS, min_samples_leaf=3, random_state=0).fit(X, y)
    return convert_forest(forest), forest.predict_proba


TREES = ("lightgbm", "xgboost", "catboost", "hist_gradient", "extra_trees", "random_forest")


def churn_cases(wanted: str) -> Iterator[Case]:
    spec, columns, targets = read_churn()
    y = np.array([value == "Yes" for value in targets["Churn"]]).astype(int)
    signature = Signature(task="binary", target="Churn", columns=tuple(spec), classes=("No", "Yes"), identifiers=())
    trees, linear = (fit_encoder(spec, columns, layout=layout) for layout in ("tree", "linear"))
    X, L = trees.encode_columns(columns), linear.encode_columns(columns)
    logistic = LogisticRegression(max_iter=2000).fit(L, y)
    yield Case("linear", signature, columns, linear, convert_linear(logistic), logistic.predict_proba)
    for name in TREES:
        if wanted in name:
            yield Case(name, signature, columns, trees, *fit_tree(name, X, y))

    if wanted in "average of 3":
        first, second = fit_tree("lightgbm", X, y), fit_tree("extra_trees", X, y)
        encoder, average = combine_members([(trees, first[0]), (trees, second[0]), (linear, convert_linear(logistic))])
        width = trees.n_outputs

        def ask_three(Z: np.ndarray) -> np.ndarray:
            trees_part, linear_part = Z[:, :width], Z[:, width:]
            answers = first[1](trees_part) + second[1](trees_part)[:, 1] + logistic.predict_proba(linear_part)[:, 1]
            return answers / 3

        yield Case("average of 3", signature, columns, encoder, average, ask_three)

    classes = tuple(sorted(set(targets["Contract"])))
    z = np.array([classes.index(value) for value in targets["Contract"]])
    several = Signature(task="multiclass", target="Contract", columns=tuple(spec), classes=classes, identifiers=())
    for name in TREES:
        if wanted in (title := f"{name}, 3 classes"):
            yield Case(title, several, columns, trees, *fit_tree(name, X, z))


def wide_cases(wanted: str) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 200))
    X[rng.random(X.shape) < 0.05] = np.nan
    y = (np.nan_to_num(X[:, :8]).sum(axis=1) + rng.normal(size=2000) > 0).astype(int)
    columns = {f"x{index}": X[:, index].copy() for index in range(200)}
    spec = [Column(name=name, kind="numeric") for name in columns]
    signature = Signature(task="binary", target="y", columns=tuple(spec), classes=("no", "yes"), identifiers=())
    encoder = fit_encoder(spec, columns, layout="tree")
    encoded = encoder.encode_columns(columns)
    for name in TREES:
        if wanted in (title := f"{name}, 200 columns"):
            yield Case(title, signature, columns, encoder, *fit_tree(name, encoded, y))


def seconds(work: Callable[[], Any], *, at_least: float = 0.15, times: int = 3) -> float:
    """Return the seconds of one call: the best of a few runs of at least so long."""
    work()
    count, best = 1, float("inf")
    for _ in range(times):
        while True:
            started = time.perf_counter()
            for _ in range(count):
                work()
            spent = time.perf_counter() - started
            if spent >= at_least / 4:
                break
            count *= 2
        best = min(best, spent / count)
    return best


def odd_rows(X: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    rows = X[rng.integers(0, len(X), 2000)].copy()
    cells = rng.random(rows.shape)
    rows[cells < 0.05] = 0.0
    rows[(cells > 0.05) & (cells < 0.08)] = 1e30
    rows[(cells > 0.08) & (cells < 0.1)] = -1e-40
    return rows


def measure(case: Case) -> list[str]:
    predictor = Predictor(case.signature, case.encoder, case.evaluator)
    X = case.encoder.encode_columns(case.columns)
    n_rows = X.shape[0]
    compared = X if case.name == "linear" or case.name.startswith("average") else np.vstack((X, odd_rows(X)))
    expected = case.ask(compared).reshape(len(compared), -1)
    if expected.shape[1] == 2:
        expected = expected[:, 1:]
    difference = float(np.abs(case.evaluator.scores_matrix(compared) - expected).max())

    bodies = [
        json.dumps({"instances": [row]}).encode() for row in to_rows({n: c[:64] for n, c in case.columns.items()})
    ]
    decode = msgspec.json.Decoder().decode
    vectors, score = X[:64].tolist(), case.evaluator.scores_row
    row = seconds(lambda: [predictor.predict_rows(decode(body)["instances"]) for body in bodies]) / len(bodies)
    alone = seconds(lambda: [score(vector) for vector in vectors]) / len(vectors)
    repeats = -(-N_BATCH // n_rows)
    tiled = {name: np.tile(values, repeats) for name, values in case.columns.items()}
    matrix = np.tile(X, (repeats, 1))
    batch = seconds(lambda: predictor.predict_columns(tiled), at_least=0.01, times=2) / len(matrix)
    dense = seconds(lambda: case.evaluator.scores_matrix(matrix), at_least=0.01, times=2) / len(matrix)
    library = seconds(lambda: case.ask(X[:1]), times=1)
    return [
        case.name,
        f"{row * 1e6:.1f}",
        f"{alone * 1e6:.1f}",
        f"{1 / batch:,.0f}",
        f"{1 / dense:,.0f}",
        f"{library * 1e6:,.0f}",
        f"{difference:.1e}" if difference else "0",
        f"{case.evaluator.tolerance:.0e}" if case.evaluator.tolerance else "0",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="measure the models whose name contains this")
    wanted = parser.parse_args().only
    heads = [
        "model",
        "row µs",
        "evaluator µs",
        "batch rows/s",
        "matrix rows/s",
        "library µs",
        "difference",
        "tolerance",
    ]
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1))
    for cases in (churn_cases, wide_cases):
        for case in cases(wanted):
            if wanted in case.name:
                print("| " + " | ".join(measure(case)) + " |", flush=True)


if __name__ == "__main__":
    main()
