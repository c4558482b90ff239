"""The default promotion gate: the model beats its baseline, its bundle is intact, no evaluation says no.

Pure: it reads evidence and facts that were gathered before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arkwright.contracts import BundleManifest, Signature
from arkwright.governance import Condition

PROMOTION_GATE = "promotion"
REGISTRATION_GATE = "registration"
_LINEAGE = ("experiment_id", "dataset_version_id")
_IMPORT_LINEAGE = ("source", "source_sha256")
_REASONS = 3
_RECORDED = "The bundle records its experiment and dataset version."
_SEEN = " That was measured on the sample given at import, which the model may have been trained on."


def promotion_conditions(
    evaluation: Mapping[str, Any] | None, bundle_problem: str, whole: Sequence[Mapping[str, Any]] = ()
) -> list[Condition]:
    """Return the conditions of the default gate.

    Parameters
    ----------
    evaluation
        Body of the newest ``evaluation`` evidence about the bundle, or None.
    bundle_problem
        Why the bundle does not verify; empty if it does.
    whole
        Bodies of the ``model_evaluation`` evidence that counts (:func:`standing`); none: there is no such condition.
    """
    return [_beats_baseline(evaluation), _bundle_verifies(bundle_problem), *map(_not_no_go, whole)]


def rollback_conditions(bundle_problem: str) -> list[Condition]:
    """Return what must hold to go back to a version that was in production before."""
    return [_bundle_verifies(bundle_problem)]


def registration_conditions(
    manifest: BundleManifest, signature: Signature, evaluation: Mapping[str, Any] | None
) -> list[Condition]:
    """Return what must be known about a bundle before it becomes a version (REG-02)."""
    imported = manifest.lineage.get("origin") == "import"
    missing = [name for name in (_IMPORT_LINEAGE if imported else _LINEAGE) if not manifest.lineage.get(name)]
    return [
        Condition(
            "schema",
            bool(signature.columns),
            f"The bundle declares {len(signature.columns)} input columns."
            if signature.columns
            else "The bundle declares no input columns.",
        ),
        Condition(
            "lineage",
            not missing,
            ("The bundle records where it was imported from." if imported else _RECORDED)
            if not missing
            else f"The bundle's lineage lacks {' and '.join(missing)}.",
        ),
        Condition(
            "evaluation",
            # Somebody's own model may be staged without one; without one it does not get any further.
            imported or evaluation is not None,
            "There is an evaluation of this bundle."
            if evaluation is not None
            else "No evaluation of this bundle has been filed.",
        ),
        _parity(manifest),
        Condition(
            "dependencies",
            bool(manifest.environment),
            "The bundle records the environment it was built in."
            if manifest.environment
            else "The bundle does not record the environment it was built in.",
        ),
    ]


def newest(evidence: Sequence[Any]) -> dict[str, Any] | None:
    """Return the body of the last piece of evidence, or None."""
    return dict(evidence[-1].body) if evidence else None


def standing(evidence: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the bodies of the evaluations that count: the newest, and the newest that compared groups of people.

    A later evaluation that looks at fewer things does not undo what an earlier one found out about those.
    """
    fair = [row for row in evidence if row.body.get("fairness") is not None]
    counting = {row.id: row for row in (*evidence[-1:], *fair[-1:])}
    return [dict(row.body) for row in counting.values()]


def _beats_baseline(evaluation: Mapping[str, Any] | None) -> Condition:
    if evaluation is None:
        return Condition("beats_baseline", False, "No evaluation of this bundle has been filed.")
    decision = evaluation.get("beats_baseline") or {}
    detail = str(decision.get("detail") or "The evaluation does not say whether the model beats its baseline.")
    if evaluation.get("basis") == "sample":
        detail += _SEEN
    return Condition("beats_baseline", bool(decision.get("met")), detail)


def _not_no_go(whole: Mapping[str, Any]) -> Condition:
    decision = str(whole.get("decision") or "no-go")
    # The weightiest come first.
    reasons = " ".join(str(reason) for reason in (whole.get("reasons") or ())[:_REASONS]) or "It does not say why."
    if decision == "no-go":
        return Condition("evaluation_verdict", False, f"The evaluation of this bundle says no-go. {reasons}")
    return Condition("evaluation_verdict", True, f"The evaluation of this bundle says {decision}.")


def _parity(manifest: BundleManifest) -> Condition:
    parity = manifest.parity
    if manifest.predictor == "general":
        return Condition("parity", True, f"The model itself serves, uncompiled: {manifest.general_reason}")
    if parity.passed:
        return Condition("parity", True, f"The compiled predictor matched the pipeline on {parity.n_rows} rows.")
    detail = f"The compiled predictor differs from the pipeline by {parity.max_abs_difference:.3g}."
    return Condition("parity", False, detail)


def _bundle_verifies(problem: str) -> Condition:
    return Condition("bundle_verifies", not problem, problem or "Every file of the bundle has the recorded hash.")
