"""What an experiment is to show, written down before anything is trained, and what it came to.

:class:`Definition` is kept with the experiment and logged with its search; :class:`Conclusion` is what the newest
evaluation that compared its version with another one found.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec

from arkwright.core.clock import isoformat
from arkwright.core.structs import prepared
from arkwright.evaluation import Criterion, Guardrail, StatedDefinition

NOT_RUN = "The experiment has not ended."
NO_MODEL = "The experiment left no model to evaluate."
NOT_EVALUATED = "No evaluation of its version has been filed yet."


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The hypothesis, what the model is compared with, and what counts as success.

    Attributes
    ----------
    baseline
        Name and version of the best model there was; empty if there was none.
    baseline_version_id, baseline_stated
        Its id, and whether somebody named it. If not, it was the version in production when the experiment was created,
        and an evaluation takes the one that is in production then.
    dataset, dataset_version
        Name and number of what it is trained on.
    """

    hypothesis: str = ""
    baseline: str = ""
    baseline_version_id: str = ""
    baseline_stated: bool = False
    guardrails: tuple[Guardrail, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    margin: float = 0.0
    minimum_improvement: float = 0.0
    dataset: str = ""
    dataset_version: int | None = None

    @property
    def stated(self) -> StatedDefinition:
        """What evaluations of the version go by."""
        return StatedDefinition(
            hypothesis=self.hypothesis,
            baseline_version_id=self.baseline_version_id if self.baseline_stated else "",
            guardrails=self.guardrails,
            criteria=self.criteria,
            margin=self.margin,
            minimum_improvement=self.minimum_improvement,
        )

    @property
    def params(self) -> dict[str, str]:
        """What is logged of it; what was left open is not.

        Examples
        --------
        >>> Definition(hypothesis="Fewer false alarms.", criteria=(Criterion(metric="recall", at_least=0.6),)).params
        {'hypothesis': 'Fewer false alarms.', 'success_criteria': '[{"metric": "recall", "at_least": 0.6}]'}
        """
        version = f"{self.dataset} version {self.dataset_version}" if self.dataset_version is not None else ""
        logged = {
            "hypothesis": self.hypothesis,
            "dataset_version": version,
            "baseline_model": self.baseline,
            "guardrails": _listed(self.guardrails),
            "success_criteria": _listed(self.criteria),
            "margin": str(self.margin) if self.margin else "",
            "minimum_improvement": str(self.minimum_improvement) if self.minimum_improvement else "",
        }
        return {name: text for name, text in logged.items() if text}


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation of the experiment's version came to.

    Attributes
    ----------
    status, recommendation
        ``promoted``, ``iterate`` or ``rejected``, and PROMOTE, ITERATE or REJECT; empty where there was nothing to
        compare with, and ``reason`` says so.
    statistical_significance
        The primary metric's p-value, adjusted for the number of metrics (Holm).
    completed_at
        When the evaluation was filed.
    """

    evaluation_id: str
    model_version_id: str
    completed_at: datetime
    status: str = ""
    reason: str = ""
    recommendation: str = ""
    rule: str = ""
    primary_metric: str = ""
    comparison_summary: str = ""
    statistical_significance: float | None = None
    recommendation_rationale: str = ""
    baseline: str = ""
    baseline_version_id: str = ""

    def supersedes(self, earlier: Conclusion | None) -> bool:
        """Tell whether this one counts: the newest does, and one without a comparison does not undo one with it.

        Examples
        --------
        >>> from datetime import UTC, timedelta
        >>> then = datetime(2026, 1, 2, tzinfo=UTC)
        >>> first = Conclusion(evaluation_id="ev_1", model_version_id="mv_1", completed_at=then, status="iterate")
        >>> later = {"completed_at": then + timedelta(hours=1), "evaluation_id": "ev_2"}
        >>> msgspec.structs.replace(first, **later).supersedes(first)
        True
        >>> first.supersedes(msgspec.structs.replace(first, **later)), first.supersedes(first)
        (False, False)
        >>> msgspec.structs.replace(first, **later, status="").supersedes(first)
        False
        """
        if earlier is None:
            return True
        if bool(self.status) != bool(earlier.status):
            return bool(self.status)
        return (self.completed_at, self.evaluation_id) > (earlier.completed_at, earlier.evaluation_id)

    @property
    def tags(self) -> dict[str, str]:
        """What is logged of it."""
        p = self.statistical_significance
        return {
            "status": self.status,
            "comparison_summary": self.comparison_summary,
            "statistical_significance": "" if p is None else f"{p:.6g}",
            "recommendation_rationale": self.recommendation_rationale,
            "completed_at": isoformat(self.completed_at),
            "evaluation_id": self.evaluation_id,
        }


def read_definition(stored: dict[str, Any]) -> Definition:
    """Return a definition as it is kept; an experiment from before there were any states nothing."""
    return msgspec.convert(stored, Definition)


def read_conclusion(stored: dict[str, Any] | None) -> Conclusion | None:
    """Return what an experiment came to, as it is kept."""
    return None if stored is None else msgspec.convert(stored, Conclusion)


def _listed(found: tuple[msgspec.Struct, ...]) -> str:
    lines = [
        {name: value for name, value in msgspec.structs.asdict(each).items() if value is not None} for each in found
    ]
    return json.dumps(lines) if lines else ""


prepared(Definition, Conclusion)
