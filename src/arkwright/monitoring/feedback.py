"""Outcomes from the log, as rollouts ask for them: the port of the deployments, filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from arkwright.contracts import Signature
from arkwright.core.context import system_context
from arkwright.core.errors import NotFound
from arkwright.deployments.ports import ArmOutcomes
from arkwright.kit.db import Database
from arkwright.kit.objects import ObjectStore
from arkwright.monitoring.outcomes import join_outcomes
from arkwright.monitoring.ports import MonitoredDeployments, PredictionSource
from arkwright.monitoring.window import read_log, read_outcomes

MAX_JOINED_ROWS = 200_000
JOINED_FIELDS = ("arm", "semver", "label", "score", "value")

# Taking over the log seals what the data planes write: too often would make many small files.
_COLLECT_SECONDS = 5.0


class FeedbackOutcomes:
    """Joins the log of a deployment with what was told about it.

    Implements :class:`arkwright.deployments.ports.OutcomeSource`.

    Parameters
    ----------
    deployments
        Know what kind of model answers.
    source, store
        Where the log comes from, and where it lies.
    monotonic
        Seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        database: Database,
        deployments: MonitoredDeployments,
        source: PredictionSource,
        store: ObjectStore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._deployments = deployments
        self._source = source
        self._store = store
        self._monotonic = monotonic
        self._known: dict[str, _Comparison] = {}

    def compare(
        self, workspace_id: str, deployment_id: str, since: datetime, arms: Sequence[str]
    ) -> Mapping[str, ArmOutcomes]:
        """Return each arm's outcomes of predictions made at or after ``since``: of the latest 200,000 rows.

        The log is taken over, and the answer made afresh, at most every five seconds.
        """
        now = self._monotonic()
        question = (since, tuple(arms))
        known = self._known.get(deployment_id)
        if known is not None and known.question == question and now - known.made_at < _COLLECT_SECONDS:
            return known.answer
        with self._database.read(system_context(workspace_id)) as unit:
            try:
                signature = self._deployments.signature_of(unit, deployment_id)
            except NotFound:
                signature = None
        if signature is None:
            return {}
        self._source.collect(workspace_id, deployment_id)
        objects = self._store.for_workspace(workspace_id)
        predictions = read_log(objects, deployment_id, limit=MAX_JOINED_ROWS, since=since, fields=JOINED_FIELDS)
        told = read_outcomes(objects, deployment_id, since=since)
        positive = positive_class(signature)
        joined = join_outcomes(predictions, told, task=signature.task, positive=positive, versions=False)
        answer = {
            each.arm: ArmOutcomes(n=each.n_outcomes, metrics=each.sums) for each in joined.arms if each.arm in arms
        }
        self._known[deployment_id] = _Comparison(question, now, answer)
        return answer


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The last answer about a deployment, and to what question."""

    question: tuple[datetime, tuple[str, ...]]
    made_at: float
    answer: Mapping[str, ArmOutcomes]


def positive_class(signature: Signature) -> str:
    """Return the class whose probability a binary model's score is, as text; empty for other tasks."""
    return str(signature.classes[1]) if signature.task == "binary" else ""
