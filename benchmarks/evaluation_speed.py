"""How long do bootstrap intervals take on many rows, beside a loop over scikit-learn?

Usage: python benchmarks/evaluation_speed.py [--rows 100000] [--resamples 1000] [--naive-resamples 20] [--seed 0]

ROC AUC, log loss and F1 of a binary model with 1,000 resamples of 100,000 rows, on one core, with scores that are all
different and with scores rounded to three digits (ties). Beside it: all metrics of the report, BCa (which adds the
jackknife), and the loop that takes each resample's rows and calls scikit-learn, timed on a few resamples and
multiplied up. The loop takes the same rows, so its replicates are compared with ours. Last, the search for weak slices
on 15 columns.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from arkwright.evaluation.classification import classification_replicates
from arkwright.evaluation.intervals import bootstrap, bootstrap_weights, metric_intervals
from arkwright.evaluation.losses import row_losses
from arkwright.evaluation.slices import find_weak_slices

NAMES = ("roc_auc", "log_loss", "f1")


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def a_sample(n_rows: int, seed: int, digits: int | None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    truth = (generator.random(n_rows) < 0.3).astype(np.int64)
    score = 1.0 / (1.0 + np.exp(-(generator.normal(size=n_rows) + 1.2 * truth - 1.0)))
    if digits is not None:
        score = np.clip(np.round(score, digits), 1e-3, 1 - 1e-3)
    return truth, np.column_stack((1.0 - score, score))


def naive(truth: Any, probability: Any, n_resamples: int, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Take the rows of each resample and call scikit-learn on them."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    generator = np.random.default_rng(seed)
    for _ in range(n_resamples):
        rows = generator.integers(0, truth.size, size=truth.size)
        own, score = truth[rows], probability[rows, 1]
        found["roc_auc"].append(roc_auc_score(own, score))
        found["log_loss"].append(log_loss(own, score))
        found["f1"].append(f1_score(own, score >= 0.5))
    return {name: np.array(values) for name, values in found.items()}


def measure_bootstrap(arguments: argparse.Namespace, digits: int | None) -> None:
    n_rows, resamples, seed = arguments.rows, arguments.resamples, arguments.seed
    truth, probability = a_sample(n_rows, seed, digits)

    def three() -> dict[str, np.ndarray[Any, Any]]:
        metrics = classification_replicates(truth, probability, NAMES)
        return bootstrap(metrics, n_rows, seed=seed, n_resamples=resamples)

    def stratified() -> Any:
        metrics = classification_replicates(truth, probability, NAMES)
        return bootstrap(metrics, n_rows, seed=seed, n_resamples=resamples, strata=truth)

    def everything() -> Any:
        return bootstrap(classification_replicates(truth, probability), n_rows, seed=seed, n_resamples=resamples)

    def bca() -> Any:
        metrics = classification_replicates(truth, probability, NAMES)
        return metric_intervals(metrics, n_rows, seed=seed, n_resamples=resamples)

    took, replicates = seconds(three)
    few = min(arguments.naive_resamples, resamples)
    loop, theirs = seconds(lambda: naive(truth, probability, few, seed))
    loop *= resamples / few
    drawing, _ = seconds(lambda: sum(len(block) for block in bootstrap_weights(n_rows, resamples, seed=seed)))
    apart = max(float(np.abs(replicates[name][:few] - theirs[name]).max()) for name in NAMES)
    kind = "all scores different" if digits is None else f"scores of {digits} digits (ties)"
    print(f"\n{n_rows:,} rows, {resamples:,} resamples, {kind}")
    print(f"  ROC AUC, log loss, F1                    {took:8.2f} s   (of it, drawing the rows {drawing:.2f} s)")
    print(f"  the same, stratified by class            {seconds(stratified)[0]:8.2f} s")
    print(f"  the same, with BCa (jackknife, 200 groups){seconds(bca)[0]:7.2f} s")
    print(f"  all {len(classification_replicates(truth, probability)(np.ones(n_rows)))} metrics of the report", end="")
    print(f"             {seconds(everything)[0]:8.2f} s")
    print(f"  loop over scikit-learn                   {loop:8.2f} s   (extrapolated from {few} resamples)")
    print(f"  {loop / took:.0f} times faster; on the same {few} resamples the two differ by at most {apart:.1e}")


def measure_slices(arguments: argparse.Namespace) -> None:
    generator = np.random.default_rng(arguments.seed)
    truth, probability = a_sample(arguments.rows, arguments.seed, None)
    columns: dict[str, Any] = {f"number_{index}": generator.normal(size=arguments.rows) for index in range(9)}
    texts = np.array(list("abcdefgh"), dtype=object)
    columns |= {f"text_{index}": texts[generator.integers(0, 8, arguments.rows)] for index in range(6)}
    losses = row_losses("log_loss", truth, probability)
    losses += 0.5 * ((columns["text_0"] == "a") & (columns["text_1"] == "b"))
    took, found = seconds(lambda: find_weak_slices(columns, losses, seed=arguments.seed))
    named = [" and ".join(f"{part.column}={part.level}" for part in item.conditions) for item in found.slices]
    print(f"\nweak slices of {arguments.rows:,} rows and 15 columns: {found.n_tested:,} slices tested in {took:.2f} s")
    print(f"  planted: text_0=a and text_1=b; found: {', '.join(named) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--naive-resamples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for digits in (None, 3):
        measure_bootstrap(arguments, digits)
    measure_slices(arguments)


if __name__ == "__main__":
    main()
