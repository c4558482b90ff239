"""What the house needs of a logbook.

``workspace`` is always the workspace's name in the logbook (``WorkspaceRow.tracking_name``): two to 63 lower-case
letters, digits and inner hyphens; ``default`` always exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from arkwright.contracts.signature import Signature
from arkwright.core.errors import Invalid

TrialStatus = Literal["running", "succeeded", "failed", "cancelled"]
ParamValue = str | int | float | bool | list[Any] | dict[str, Any] | None

TRIAL_KEY_TAG = "arkwright.trial_key"
DIGEST_TAG = "arkwright.digest"
SEMVER_TAG = "arkwright.semver"

_TRIAL_KEY = re.compile(r"[\w.:\-]{1,250}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MODEL_URI = re.compile(
    r"runs:/(?P<run>[0-9a-zA-Z_-]{1,64})/(?P<path>[^?#]{1,500})"
    r"|models:/(?P<logged>m-[0-9a-f]{1,64})"
    r"|models:/(?P<name>[^/:@]{1,250})/(?P<version>[1-9][0-9]{0,8})"
    r"|models:/(?P<named>[^/:@]{1,250})@(?P<alias>[^/:@]{1,250})"
)
_MODEL_NAME = re.compile(r"[^/:\x00]{1,250}")


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one trial, written at once.

    Parameters
    ----------
    key
        The caller's own name for the trial, unique in its experiment; logging a key twice gives the same run.
    metrics
        Final values by name.
    series
        Values by step, from step 0, by name; a name is either in ``metrics`` or here.
    parent_run_id
        The run this one is shown under.
    created_by
        The actor shown as the run's user.
    """

    key: str
    experiment_id: str
    name: str
    status: TrialStatus
    started_at: datetime
    ended_at: datetime | None = None
    params: Mapping[str, ParamValue] = {}
    metrics: Mapping[str, float] = {}
    series: Mapping[str, tuple[float, ...]] = {}
    tags: Mapping[str, str] = {}
    parent_run_id: str = ""
    created_by: str = ""

    def __post_init__(self) -> None:
        """Refuse what no logbook could keep apart."""
        if _TRIAL_KEY.fullmatch(self.key) is None:
            raise Invalid(
                f"The trial key {self.key!r} cannot be used.",
                code="tracking.trial_key",
                hint="Use up to 250 letters, digits and the characters _ . : -",
            )
        twice = sorted(set(self.metrics) & set(self.series))
        if twice:
            raise Invalid(
                f"The trial {self.key!r} gives the metric {twice[0]!r} both as a final value and as a series.",
                code="tracking.metric_twice",
                hint="Name the final value differently, or leave it to the last step of the series.",
            )


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial as the logbook holds it: parameters as text, the latest value of each metric."""

    run_id: str
    experiment_id: str
    key: str
    name: str
    status: TrialStatus
    started_at: datetime
    ended_at: datetime | None
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    parent_run_id: str = ""


class ModelPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that becomes a version of a registered model.

    Parameters
    ----------
    name
        The registered model's name, without ``/`` and ``:``.
    run_id
        The run that made it.
    bundle
        The bundle's folder.
    example_rows
        A few input rows, as a request would carry them.
    digest
        The bundle's digest, ``sha256:...``; publishing one digest twice under one name gives the same version.
    requirements
        Further pip requirements of a client that loads it.
    """

    name: str
    run_id: str
    bundle: Path
    signature: Signature
    digest: str
    semver: str
    example_rows: tuple[Mapping[str, Any], ...] = ()
    tags: Mapping[str, str] = {}
    requirements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names and digests that cannot be addressed."""
        if _MODEL_NAME.fullmatch(self.name) is None or not self.name.strip() or self.name in {".", ".."}:
            raise Invalid(
                f"The model name {self.name!r} cannot be used.",
                code="tracking.model_name",
                hint="Use up to 250 characters without '/' and ':'.",
            )
        if not self.run_id:
            raise Invalid(
                f"The publication of {self.name!r} does not name the run that made the model.",
                code="tracking.run_missing",
                hint="Log the trial first and pass its run id.",
            )
        if _DIGEST.fullmatch(self.digest) is None:
            raise Invalid(
                f"{self.digest!r} is not the digest of a bundle.",
                code="tracking.digest",
                hint="Pass the digest that writing the bundle returned: sha256: and 64 hexadecimal digits.",
            )


class PublishedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Where a published bundle is found; ``source`` is the URI a stock client loads it by."""

    name: str
    mlflow_version: int
    run_id: str
    model_id: str
    source: str


class FetchedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model's files, copied out of the logbook; ``run_id`` is empty where no run made it."""

    uri: str
    run_id: str = ""
    n_files: int = 0
    size_bytes: int = 0


class TrackingServer(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered a ping."""

    version: str
    workspaces_enabled: bool


def parse_model_uri(uri: str) -> dict[str, str]:
    """Read the address of a logged model.

    Examples
    --------
    >>> parse_model_uri("runs:/3f2a/model")
    {'run': '3f2a', 'path': 'model'}
    >>> parse_model_uri("models:/churn@champion")
    {'name': 'churn', 'alias': 'champion'}

    Raises
    ------
    Invalid
        If it is none.
    """
    found = _MODEL_URI.fullmatch(uri)
    parts = {} if found is None else {name: value for name, value in found.groupdict().items() if value is not None}
    if not parts or any(part in {"", ".", ".."} for part in parts.get("path", "x").split("/")):
        raise Invalid(
            f"{uri[:200]!r} is not the address of a logged model.",
            code="tracking.model_uri",
            hint="Use runs:/<run id>/<name>, models:/<name>/<version>, models:/<name>@<alias> or models:/m-<id>.",
        )
    if "named" in parts:
        parts = {"name": parts["named"], "alias": parts["alias"]}
    return parts


class TrackingStore(Protocol):
    """A logbook. Every method may raise ``Unavailable`` (try again) or ``AdapterError``.

    Writers of one trial key take turns: a trial belongs to one job.
    """

    def ping(self) -> TrackingServer:
        """Tell who answers.

        Raises
        ------
        Unavailable
            If nobody does yet.
        """
        ...

    def ensure_workspace(self, workspace: str) -> None:
        """Create the workspace if it is not there."""
        ...

    def ensure_experiment(self, workspace: str, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Return the id of the experiment of that name, created if need be, carrying these tags.

        Raises
        ------
        Conflict
            If an experiment of that name was deleted.
        """
        ...

    def log_trial(self, workspace: str, record: TrialRecord) -> str:
        """Write a trial and return its run's id.

        A key that was logged before in the experiment returns its run: unchanged if the run had ended, completed
        if it was cut short.
        """
        ...

    def update_trial(
        self,
        workspace: str,
        run_id: str,
        *,
        status: TrialStatus | None = None,
        ended_at: datetime | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add metrics, set tags, and change the status, of a run that exists.

        Raises
        ------
        NotFound
            If the workspace has no such run.
        """
        ...

    def get_trial(self, workspace: str, run_id: str) -> Trial:
        """Return one trial.

        Raises
        ------
        NotFound
            If the workspace has no such run.
        """
        ...

    def list_trials(
        self,
        workspace: str,
        experiment_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        order_by_metric: str = "",
        ascending: bool = False,
        limit: int = 1000,
    ) -> list[Trial]:
        """Return the trials that carry these tags.

        In order of start, or best first by a metric; trials without the metric come last.
        """
        ...

    def metric_series(self, workspace: str, run_id: str, metric: str) -> tuple[float, ...]:
        """Return a metric's values by step; empty if it was never logged."""
        ...

    def publish_model(self, workspace: str, publication: ModelPublication) -> PublishedVersion:
        """Store a bundle's files and make them a version of a registered model.

        Raises
        ------
        NotFound
            If the workspace has no such run.
        Invalid
            If the bundle's folder holds no file.
        """
        ...

    def fetch_model(self, workspace: str, uri: str, folder: Path, *, limit_bytes: int) -> FetchedModel:
        """Copy a logged model's files into an empty folder.

        Parameters
        ----------
        uri
            ``runs:/<run id>/<name>``, ``models:/<name>/<version>``, ``models:/<name>@<alias>`` or
            ``models:/<logged model's id>``.

        Raises
        ------
        NotFound
            If there is no such model, or it has no ``MLmodel`` file.
        Invalid
            If the URI has another form, or the files are more than ``limit_bytes``.
        """
        ...

    def set_alias(self, workspace: str, name: str, alias: str, mlflow_version: int) -> None:
        """Point an alias at a version, moving it if it pointed elsewhere.

        Raises
        ------
        NotFound
            If there is no such version.
        """
        ...

    def delete_alias(self, workspace: str, name: str, alias: str) -> None:
        """Remove an alias; nothing happens if there is none.

        Raises
        ------
        NotFound
            If there is no such model.
        """
        ...

    def aliases(self, workspace: str, name: str) -> dict[str, int]:
        """Return the version each alias of a model points at.

        Raises
        ------
        NotFound
            If there is no such model.
        """
        ...
