"""Cells that are hard on a converted tree, and the comparison that every family goes through."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from arkwright.bundles import EVALUATORS

N_ROWS = 1500


@pytest.fixture(scope="session", name="training_table")
def training_table_fixture():
    """Return a table of five columns (two of codes) with missing cells, and a score to learn."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(N_ROWS, 5)) * [1.0, 1.0, 1e4, 1.0, 1.0]
    X[:, 1] = rng.integers(0, 40, N_ROWS)
    X[:, 3] = rng.integers(0, 5, N_ROWS) * 7 + 2
    X[:, 4] = np.where(rng.random(N_ROWS) < 0.5, 0.0, -1.0)
    X[rng.random(X.shape) < 0.08] = np.nan
    score = np.nan_to_num(X[:, 0]) + (X[:, 1] % 3 == 0) + np.isnan(X[:, 3]) + 0.4 * (X[:, 3] == 9) + X[:, 2] / 1e4
    return X, np.nan_to_num(score) + rng.normal(size=N_ROWS) * 0.1


@pytest.fixture(scope="session")
def targets(training_table):
    """Return what there is to learn, by kind of problem."""
    score = training_table[1]
    return {
        "binary": (score > 0.5).astype(int),
        "multiclass": (score > 0.2).astype(int) + (score > 1.2),
        "regression": score * 1e4,
        "positive": np.abs(score) + 0.1,
    }


@pytest.fixture(scope="session")
def hard_cells():
    """Return a function that puts thresholds, their neighbours, odd and missing numbers into some columns."""

    def put(X, thresholds, columns, *, seed, largest, missing=True):
        rng = np.random.default_rng(seed)
        rows = X[rng.integers(0, X.shape[0], 1200)].copy()
        finite = np.asarray(thresholds, dtype=np.float64)
        finite = finite[np.isfinite(finite) & (np.abs(finite) < 1e37)]
        shape = (rows.shape[0], len(columns))
        cells = rng.choice(finite, size=shape) if finite.size else np.zeros(shape)
        kind = rng.integers(0, 7, shape)
        single = cells.astype(np.float32)
        up, down = np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))
        choices = [
            cells,
            np.nextafter(cells, np.inf),
            np.nextafter(cells, -np.inf),
            up.astype(np.float64),
            down.astype(np.float64),
            # The middle between two float32 neighbours, where rounding turns, and a hair beyond it.
            single.astype(np.float64) / 2 + up.astype(np.float64) / 2,
            np.nextafter(single.astype(np.float64) / 2 + down.astype(np.float64) / 2, np.inf),
        ]
        cells = np.choose(kind, choices)
        odd = [0.0, -0.0, 5e-324, -5e-324, 1e-45, 1e-40, -1e-36, 1e-35, largest, -largest]
        spread = rng.random(shape) < 0.2
        cells[spread] = rng.choice(odd, size=int(spread.sum()))
        taken = rng.random(shape) < 0.7
        rows[:, columns] = np.where(taken, cells, rows[:, columns])
        if missing:
            rows[rng.random(rows.shape) < 0.05] = np.nan
            rows[0] = np.nan
        return rows

    return put


@pytest.fixture(scope="session")
def same_as():
    """Return the comparison of an evaluator with its library: in batches, alone, stored and explained."""

    def compare(evaluator, X, expected, raw=None):
        expected = np.asarray(expected, dtype=np.float64).reshape(X.shape[0], -1)
        if expected.shape[1] == 2 and evaluator.n_outputs == 1:
            expected = expected[:, 1:]
        found = evaluator.scores_matrix(X)
        assert found.shape == expected.shape
        largest = max(1.0, float(np.abs(expected).max()))
        assert np.abs(found - expected).max() <= evaluator.tolerance * largest
        rows = X.tolist()
        assert [evaluator.scores_row(row) for row in rows] == found.tolist()
        stored = evaluator.dump()
        for copy in (
            EVALUATORS[evaluator.kind].load(stored.params, stored.files),
            pickle.loads(pickle.dumps(evaluator)),
        ):
            assert copy.scores_matrix(X[:50]).tolist() == found[:50].tolist()
            assert (copy.tolerance, copy.link) == (evaluator.tolerance, evaluator.link)
        if raw is not None:
            raw = np.asarray(raw, dtype=np.float64).reshape(X.shape[0], -1)[:40]
            shares = np.array([evaluator.contributions_row(row) for row in rows[:40]])
            assert shares.shape == (40, evaluator.n_outputs, X.shape[1] + 1)
            assert np.allclose(shares.sum(axis=2), raw, rtol=2e-6, atol=2e-6 * max(1.0, float(np.abs(raw).max())))
        return float(np.abs(found - expected).max())

    return compare
