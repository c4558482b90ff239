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
    evaluation: Mapping[str, Any] | None, bundle_problem: str, standing: Sequence[Condition] = ()
) -> list[Condition]:
    """Return the conditions of the default gate.

    Parameters
    ----------
    evaluation
        Body of the newest ``evaluation`` evidence about the bundle, or None.
    bundle_problem
        Why the bundle does not verify; empty if it does.
    standing
        What the whole evaluations say (:func:`standing_conditions`).
    """
    return [_beats_baseline(evaluation), _bundle_verifies(bundle_problem), *standing]


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


def standing_conditions(evidence: Sequence[Any]) -> list[Condition]:
    """Return what the ``model_evaluation`` evidence about a bundle, oldest first, asks of a promotion.

    The newest evaluation decides, except that it does not undo what it did not look at: a column whose groups failed is
    judged anew only by an evaluation that compares at least as many groups of it, for the same favourable answer (or
    for one that somebody stated, where it had been assumed), on rows the model was not known to be trained on. A
    regulation is judged anew only by an evaluation that states a purpose, a failed behaviour test by one that runs
    behaviour tests, and what was found on other rows than the training's only by one on such rows.
    """
    if not evidence:
        return []
    bodies = [dict(row.body) for row in evidence]
    failed: list[Mapping[str, Any]] = []
    regulation: Mapping[str, Any] | None = None
    for body in bodies:
        audited = body.get("audited") or ()
        if body.get("basis") != "training":
            failed = [old for old in failed if not any(_judges_anew(new, old) for new in audited)]
        failed += [new for new in audited if new["status"] == "Fail"]
        asked = body.get("regulation")
        if asked and (asked["purpose"] != "unknown" or regulation is None):
            regulation = asked
    newest_body = bodies[-1]
    counting = [newest_body]
    if newest_body.get("basis") == "training":
        counting += [body for body in bodies if body.get("basis") != "training"][-1:]
    conditions = [_not_no_go(body) for body in counting]
    # A verdict that refuses names its own failing columns.
    refusing = [body for body in counting if body.get("decision") == "no-go"]
    said = {_judged(each) for body in refusing for each in body.get("audited") or ()}
    earlier = {_judged(each): each for each in failed}
    conditions += [_fairness_stands(each) for judged, each in earlier.items() if judged not in said]
    if regulation is not None and regulation["status"] == "Fail" and regulation != newest_body.get("regulation"):
        detail = f"An earlier evaluation, for the purpose {regulation['purpose']!r}, says: {regulation['detail']}"
        conditions.append(Condition("evaluation_regulation", False, detail))
    tested = [body for body in bodies if body.get("behaviour_passed") is not None]
    if tested and not tested[-1]["behaviour_passed"] and tested[-1] is not newest_body:
        detail = "An earlier evaluation failed behaviour tests, and no later one ran any."
        conditions.append(Condition("evaluation_behaviour", False, detail))
    return conditions


def _judges_anew(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    same = new["favourable"] == old["favourable"] or (new["stated"] and not old["stated"])
    return bool(new["column"] == old["column"] and same and new["n_groups"] >= old["n_groups"])


def _judged(audited: Mapping[str, Any]) -> tuple[str, str]:
    return audited["column"], audited["favourable"]


def _fairness_stands(failed: Mapping[str, Any]) -> Condition:
    column, answer = failed["column"], failed["favourable"]
    about = "" if answer in ("", "value") else f" (favourable answer: {answer})"
    return Condition(
        "evaluation_fairness",
        False,
        f"An evaluation found it unfair by {column!r}{about}, and no later one compared these groups again and found "
        f"otherwise. {failed['detail']}".strip(),
    )


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
