"""What can go wrong with datasets, beside what is in a file."""

from __future__ import annotations

from arkwright.core.errors import Invalid, NotFound, Unavailable


def dataset_not_found(name: str) -> NotFound:
    """Return the error for a dataset that does not exist."""
    return NotFound(
        f"There is no dataset {name!r} in this workspace.",
        code="dataset.not_found",
        hint="GET /v1/datasets lists the datasets.",
    )


def version_not_found(dataset: str, version: str) -> NotFound:
    """Return the error for a version that does not exist."""
    return NotFound(
        f"The dataset {dataset!r} has no version {version}.",
        code="dataset.version_not_found",
        hint="GET /v1/datasets/{id}/versions lists its versions.",
    )


def upload_not_found(upload_id: str) -> NotFound:
    """Return the error for an upload that does not exist."""
    return NotFound(
        f"There is no upload {upload_id!r} in this workspace.",
        code="upload.not_found",
        hint="Send the file to POST /v1/uploads first and use the upload_id of the answer.",
    )


def stored_table_damaged(version_id: str, reason: Exception) -> Unavailable:
    """Return the error for a version whose stored table cannot be read."""
    return Unavailable(
        f"The stored table of dataset version {version_id} cannot be read: {reason}.",
        code="dataset.version_damaged",
        hint="Restore the object store from a backup, or delete the damaged object and ingest the file again.",
    )


def path_refused(path: str) -> Invalid:
    """Return the error for a server-side path outside the allowed roots; it does not tell whether the file exists."""
    return Invalid(
        f"The path {path!r} is not a file below one of the folders from which this platform may read.",
        code="dataset.path_refused",
        hint="Upload the file instead (POST /v1/uploads), or have an administrator add its folder to "
        "ARKWRIGHT_ALLOWED_ROOTS.",
    )
