"""Small problems on disk, for tests of the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arkwright.automl.objective import resolve_objective
from arkwright.automl.problem import Problem, ProblemFolder
from arkwright.automl.splits import assign_rows
from arkwright.contracts import Column

SPEC = (Column(name="x", kind="numeric"), Column(name="z", kind="numeric"), Column(name="c", kind="categorical"))


def make_problem(path: Path, task: str = "binary", n_rows: int = 300, seed: int = 0) -> ProblemFolder:
    """Write a problem that every learner can learn something about."""
    rng = np.random.default_rng(seed)
    columns = {
        "x": rng.normal(size=n_rows),
        "z": rng.normal(size=n_rows),
        "c": np.array(["a", "b", None], dtype=object)[rng.integers(0, 3, n_rows)],
    }
    columns["z"][::7] = np.nan
    signal = columns["x"] + (columns["c"] == "a") + 0.3 * rng.normal(size=n_rows)
    if task == "regression":
        target, n_classes = signal, 0
    elif task == "binary":
        target, n_classes = (signal > 0.8).astype(float), 2
    else:
        target, n_classes = np.digitize(signal, [-0.5, 0.9]).astype(float), 3
    metric = resolve_objective(None, task).metric
    problem = Problem(
        task=task,
        n_classes=n_classes,
        columns=SPEC,
        metric=metric.name,
        direction=metric.direction,
        n_folds=3,
        seed=seed,
    )
    folds = assign_rows(n_rows, n_folds=3, seed=seed, codes=None if task == "regression" else target)
    folder = ProblemFolder(path)
    folder.write(problem, columns, target, folds)
    return folder
