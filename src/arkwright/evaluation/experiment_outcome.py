"""What an evaluation says of the experiment that its version came from, for whoever keeps the experiments."""

from __future__ import annotations

from typing import Any

from arkwright.evaluation.model_evaluation import ChallengeSection, ModelEvaluation


def outcome_of(document: ModelEvaluation) -> dict[str, Any]:
    """Return the data of the event that an evaluation was filed, but for the evaluation's id.

    ``recommendation`` is None where there was nothing to compare with; ``not_compared`` says why.
    """
    subject, challenge = document.subject, document.challenge
    return {
        "model_version_id": subject.model_version_id,
        "bundle_digest": subject.bundle_digest,
        "decision": document.verdict.decision,
        "experiment_id": subject.lineage.get("experiment_id", ""),
        "training_job_id": subject.lineage.get("job_id", ""),
        "recommendation": None if challenge is None else _recommendation(challenge),
        "not_compared": "" if challenge is not None else document.not_done.get("challenge", "It was not asked for."),
    }


def _recommendation(challenge: ChallengeSection) -> dict[str, Any]:
    found = challenge.recommendation
    return {
        "status": found.status,
        "recommendation": found.outcome,
        "rule": found.rule,
        "primary_metric": found.primary_metric,
        "comparison_summary": found.comparison_summary,
        "statistical_significance": found.statistical_significance,
        "recommendation_rationale": " ".join((found.rationale, *found.findings)),
        "baseline": f"{challenge.baseline.model_name} {challenge.baseline.version}",
        "baseline_version_id": challenge.baseline.model_version_id,
    }
