"""Gradient-boosted trees, through LightGBM's training interface.

One thread per model (folds run in parallel instead), ``deterministic`` and ``force_row_wise`` set: the same
arguments give the same trees on the same machine, bit for bit.

References
----------
Ke et al. (2017), "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 30.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from arkwright.automl.learners.ports import EncodedRows, FloatArray, Question, Stop
from arkwright.bundles import LightGBMEvaluator

MAX_ROUNDS = 3_000
DEFAULT_PATIENCE = 50

_CACHE_CELLS = 1_000_000
"""Binning fewer cells than this is quicker than a file."""

_OBJECTIVE = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}
_WATCHED = {"binary": "binary_logloss", "multiclass": "multi_logloss", "regression": "rmse"}
_FIXED = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
    # Datasets are built once and used with many settings: none of these may be frozen into one.
    "feature_pre_filter": False,
}


@dataclass(frozen=True)
class FittedBooster:
    """A booster, cut to its best round."""

    booster: lightgbm.Booster
    rounds: int
    stopped: bool
    n_outputs: int

    def scores(self, X: FloatArray) -> FloatArray:
        """Return LightGBM's own predictions."""
        predicted = np.asarray(self.booster.predict(X, num_iteration=self.rounds, num_threads=1), dtype=np.float64)
        return predicted.reshape(X.shape[0], self.n_outputs)

    def evaluator(self) -> LightGBMEvaluator:
        """Return the bundle's evaluator."""
        return LightGBMEvaluator(self.booster.model_to_string(num_iteration=self.rounds))


class _Watch:
    """A callback that remembers the best round, and ends training when it is long past or time is up."""

    def __init__(self, stop: Stop, patience: int) -> None:
        self.before_iteration = False
        self.order = 0
        self.best_round, self.stopped = 0, False
        self._best = np.inf
        self._stop, self._patience = stop, patience

    def __call__(self, env: Any) -> None:
        round_ = env.iteration + 1
        for _, _, value, higher_is_better, *_ in env.evaluation_result_list or ():
            loss = -value if higher_is_better else value
            if loss < self._best:
                self._best, self.best_round = loss, round_
        if self._stop():
            self.stopped = True
        elif not env.evaluation_result_list or round_ - self.best_round < self._patience:
            return
        raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])


class BoostingLearner:
    """LightGBM.

    ``params`` are LightGBM's own, and ``patience``: rounds without improvement before training ends.
    """

    def fit(
        self,
        train: EncodedRows,
        question: Question,
        params: Mapping[str, Any],
        *,
        validation: EncodedRows | None = None,
        rounds: int | None = None,
        stop: Stop,
    ) -> FittedBooster:
        """Train."""
        settings = self._settings(question, params)
        patience = int(settings.pop("patience", DEFAULT_PATIENCE))
        dataset = _dataset(train)
        watch = _Watch(stop, patience)
        booster = lightgbm.train(
            settings,
            dataset,
            num_boost_round=rounds or MAX_ROUNDS,
            valid_sets=[_dataset(validation, dataset)] if validation is not None else None,
            callbacks=[watch],
        )
        trained = booster.num_trees() // (question.n_outputs if question.task == "multiclass" else 1)
        return FittedBooster(
            booster=booster,
            rounds=max(1, watch.best_round if validation is not None else trained),
            stopped=watch.stopped,
            n_outputs=question.n_outputs,
        )

    def _settings(self, question: Question, params: Mapping[str, Any]) -> dict[str, Any]:
        objective = "regression_l1" if question.metric == "mae" else _OBJECTIVE[question.task]
        watched = "l1" if question.metric == "mae" else _WATCHED[question.task]
        settings = {"objective": objective, "metric": watched, "seed": question.seed, **_FIXED, **params}
        if question.task == "multiclass":
            settings["num_class"] = question.n_classes
        return settings


def _dataset(rows: EncodedRows, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    """Return the rows in LightGBM's bins, from the cache if another candidate has binned them before."""
    binned = None if rows.cache is None or rows.X.size < _CACHE_CELLS else rows.cache / "lightgbm.bin"
    if binned is not None and binned.exists():
        return lightgbm.Dataset(str(binned), reference=reference, params=dict(_FIXED))
    dataset = lightgbm.Dataset(
        rows.X,
        label=rows.y,
        weight=rows.weight,
        reference=reference,
        categorical_feature=list(rows.categorical),
        params=dict(_FIXED),
    )
    if binned is not None:
        beside = binned.with_name(f".{binned.name}.{os.getpid()}")
        dataset.save_binary(str(beside))
        beside.replace(binned)
    return dataset
