"""What can go wrong with an evaluation, before it starts and when it looks at its rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from arkwright.core.errors import Conflict, Invalid, NotFound

_SHOWN = 40


def evaluation_not_found(address: str) -> NotFound:
    """Return the error for an evaluation that does not exist."""
    return NotFound(
        f"There is no evaluation {address!r} in this workspace.",
        code="evaluation.not_found",
        hint="GET /v1/evaluations?model_version_id=mv_... lists a version's evaluations.",
    )


def evaluation_not_finished(job_id: str, status: str, reason: str = "") -> Conflict:
    """Return the error for an evaluation whose job has no result."""
    if status in ("failed", "cancelled"):
        return Conflict(
            f"The evaluation {job_id} has {status}{': ' + reason if reason else '.'}"
            if status == "failed"
            else f"The evaluation {job_id} was cancelled.",
            code=f"evaluation.{status}",
            hint=f"GET /v1/jobs/{job_id} says more; start another one with POST /v1/evaluations.",
        )
    return Conflict(
        f"The evaluation {job_id} is {status}.",
        code="evaluation.not_finished",
        hint=f"Follow it with GET /v1/jobs/{job_id}, and come back when it has succeeded.",
    )


def no_rows_kept(version: str) -> Invalid:
    """Return the error for a version of which no holdout was kept."""
    return Invalid(
        f"No rows were kept for {version}, so there is nothing to evaluate it on.",
        code="evaluation.no_data",
        hint="Rows are kept when a model is trained here. For a model of your own, give data with the target: an "
        "upload or a dataset version (`--data FILE`).",
    )


def no_rows_to_send(version: str) -> Invalid:
    """Return the error for a version whose rows are asked for, and of which none were kept."""
    return Invalid(
        f"No rows were kept for {version}.",
        code="evaluation.no_data",
        hint="Rows are kept when a model is trained here; for a model of your own, give rows in a file (`--file`).",
    )


def not_served(deployment: str, semver: str) -> Invalid:
    """Return the error for a load test of a deployment that does not answer with the version it is filed about."""
    return Invalid(
        f"The deployment {deployment!r} does not answer with version {semver}.",
        code="attestation.load_test",
        hint="File it about the version that answered; `arkwright deployment ls` shows which one that is.",
    )


def columns_unknown(
    names: Sequence[str], known: Collection[str], what: str = "sensitive", *, data: str = "data"
) -> Invalid:
    """Return the error for columns that the data does not have."""
    listed = ", ".join(sorted(known)[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    missing = ", ".join(repr(name) for name in names)
    return Invalid(
        f"The {data} has no {'column' if len(names) == 1 else 'columns'} {missing}.",
        code=f"evaluation.{what}_unknown",
        hint=f"Its columns are: {listed}.",
        errors=[{"field": name, "message": "is no column of the data"} for name in names],
    )


def target_missing(target: str, known: Collection[str]) -> Invalid:
    """Return the error for data without the column that the model predicts."""
    listed = ", ".join(sorted(known)[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    return Invalid(
        f"The data has no column {target!r}, which the model predicts: nothing can be compared with its answers.",
        code="evaluation.target_missing",
        hint=f"Give data with the true outcomes. Its columns are: {listed}.",
    )


def no_usable_row(target: str, reason: str) -> Invalid:
    """Return the error for data of which no row can be used."""
    return Invalid(
        f"No row of the data can be used: {reason}.",
        code="evaluation.no_rows",
        hint=f"Give rows whose {target!r} is one of the outcomes the model was trained on.",
    )
