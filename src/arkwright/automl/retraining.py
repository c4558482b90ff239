"""Training a chosen candidate again: the same learner, parameters and rounds, on other rows or with other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.automl.leaderboard import Entry
from arkwright.automl.learners import CONSTANT, LEARNERS, EncodedRows, Question, load_learner
from arkwright.automl.learners.ports import FloatArray
from arkwright.automl.payloads import ExperimentConfig
from arkwright.automl.plan import wants_balance
from arkwright.automl.problem import balanced_weights
from arkwright.automl.service import ExperimentService
from arkwright.bundles import fit_encoder
from arkwright.contracts import Signature
from arkwright.kit.db import UnitOfWork


class TrialRetraining:
    """Finds the candidate that became a bundle, for evaluations that train it again."""

    def __init__(self, experiments: ExperimentService) -> None:
        self._experiments = experiments

    def learner_of(self, unit: UnitOfWork, lineage: Mapping[str, str], signature: Signature) -> TrialLearner | None:
        """Return the learner of a bundle with this lineage.

        Returns
        -------
        TrialLearner or None
            None where no experiment of this workspace made the bundle, where it was run again since, or where it is the
            trivial model.
        """
        row = self._experiments.find(unit, lineage.get("experiment_id", ""))
        if row is None or row.job_id != lineage.get("job_id"):
            return None
        board = msgspec.convert(row.summary.get("leaderboard", []), list[Entry])
        entry = next((each for each in board if each.name == lineage.get("trial")), None)
        if entry is None or entry.learner == CONSTANT or entry.learner not in LEARNERS:
            return None
        config = ExperimentConfig.model_validate(row.config)
        return TrialLearner(
            signature=signature,
            learner=entry.learner,
            params=entry.params,
            rounds=max(1, int(lineage.get("rounds") or entry.rounds)),
            metric=str(row.summary["metric"]),
            seed=int(row.summary["seed"]),
            balanced=signature.task != "regression" and wants_balance(config.imbalance),
        )


@dataclass(frozen=True)
class TrialLearner:
    """A learner with the parameters and rounds of the candidate that was chosen.

    ``balanced``: the training weighed every class the same; weights given here come on top of that.
    """

    signature: Signature
    learner: str
    params: Mapping[str, Any]
    rounds: int
    metric: str
    seed: int
    balanced: bool = False

    def __call__(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        truth: npt.NDArray[Any],
        weights: FloatArray | None,
        scored: Mapping[str, npt.NDArray[Any]],
    ) -> FloatArray:
        """Train on some rows, and return the scores of others, shape ``(n, k)``."""
        question = Question(
            task=self.signature.task,
            n_classes=len(self.signature.classes),
            metric=self.metric,
            seed=self.seed,
        )
        encoder = fit_encoder(self.signature.columns, columns, layout=LEARNERS[self.learner].layout)
        y = np.asarray(truth, dtype=np.float64)
        own = balanced_weights(y, question.n_classes) if self.balanced else None
        weight = own if weights is None else weights if own is None else own * weights
        train = EncodedRows(encoder.encode_columns(columns), y, weight, encoder.categorical_feature)
        model = load_learner(self.learner).fit(train, question, self.params, rounds=self.rounds, stop=lambda: False)
        return model.scores(encoder.encode_columns(scored))
