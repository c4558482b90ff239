"""Evaluating a bundle on rows nobody trained on, and filing the report as evidence about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.access import authorise
from arkwright.bundles import LoadedBundle
from arkwright.evaluation.importance import FeatureImportance, permutation_importance
from arkwright.evaluation.metric import METRICS, FloatArray
from arkwright.evaluation.report import PRIMARY_METRIC, EvaluationReport, evaluate, score_metric
from arkwright.governance import GovernanceService
from arkwright.kit.db import Units

EVIDENCE_KIND = "evaluation"
IMPORTANCE_SECONDS = 10.0

Predict = Callable[[Mapping[str, npt.NDArray[Any]]], FloatArray]


class EvaluationService:
    """Evaluations of a workspace's bundles; the reports themselves are governance's evidence.

    Parameters
    ----------
    governance
        Keeps the evidence.
    now
        A monotonic clock, in seconds.
    """

    def __init__(self, governance: GovernanceService, now: Callable[[], float] = time.monotonic) -> None:
        self._governance = governance
        self._now = now

    def evaluate_and_file(
        self,
        units: Units,
        bundle: LoadedBundle,
        columns: Mapping[str, npt.NDArray[Any]],
        truth: npt.NDArray[Any],
        reference_scores: FloatArray,
        *,
        seed: int,
        primary_metric: str | None = None,
        importance_seconds: float = IMPORTANCE_SECONDS,
        basis: str = "holdout",
        predict: Predict | None = None,
    ) -> tuple[str, EvaluationReport]:
        """Evaluate what would serve, on the holdout, and file the report.

        The numbers are computed outside of any transaction; filing the same report twice files it once.

        Parameters
        ----------
        columns
            The holdout's inputs.
        truth
            Class codes in the order of the signature's classes, or values.
        reference_scores
            What the trivial model answers for these rows, or one row of it for all.
        importance_seconds
            Permutation importance ends after this; columns not reached by then are left out.
        basis
            Which rows these are; see :class:`EvaluationReport`.
        predict
            Scores a table, where the bundle has no compiled predictor.

        Returns
        -------
        tuple
            The evidence's id, and the report.
        """
        with units.read() as unit:
            authorise(unit, "bundle.evaluate", "bundle", bundle.digest)
        predict = predict or bundle.predictor.predict_columns
        scores = predict(columns)
        metric = primary_metric or PRIMARY_METRIC[bundle.signature.task]
        report = evaluate(
            bundle.signature,
            truth,
            scores,
            np.broadcast_to(np.atleast_2d(reference_scores), scores.shape),
            seed=seed,
            primary_metric=metric,
            importance=self._importance(bundle, predict, columns, truth, metric, seed, importance_seconds),
        )
        report = msgspec.structs.replace(report, basis=basis)
        with units.write() as unit:
            row = self._governance.file(unit, EVIDENCE_KIND, bundle.digest, msgspec.to_builtins(report))
            return row.id, report

    def _importance(
        self,
        bundle: LoadedBundle,
        predict: Predict,
        columns: Mapping[str, npt.NDArray[Any]],
        truth: npt.NDArray[Any],
        metric: str,
        seed: int,
        seconds: float,
    ) -> tuple[FeatureImportance, ...]:
        ends_at = self._now() + seconds
        task = bundle.signature.task
        return permutation_importance(
            predict,
            lambda scores, rows: score_metric(task, metric, truth[rows], scores),
            {column.name: columns[column.name] for column in bundle.signature.columns},
            [column.name for column in bundle.signature.columns],
            direction=METRICS[metric].direction,
            seed=seed,
            should_stop=lambda: self._now() >= ends_at,
        )
