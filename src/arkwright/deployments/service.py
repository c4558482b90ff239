"""Creating, changing, reading and stopping deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arkwright.access import authorise, record
from arkwright.contracts import Endpoint
from arkwright.core.errors import Conflict, Invalid, PreconditionFailed
from arkwright.core.events import DEPLOYMENT_CHANGED, DEPLOYMENT_CREATED
from arkwright.core.ids import is_id, new_id
from arkwright.deployments import repository, rollouts
from arkwright.deployments.changes import Change, changes_between
from arkwright.deployments.errors import deployment_not_found
from arkwright.deployments.rollout import State
from arkwright.deployments.routing import (
    DEPLOYMENT_GATE,
    PINNED,
    Beside,
    Draw,
    EndpointState,
    Plane,
    Release,
    Wanted,
    answering,
    compile_endpoint,
    deployment_conditions,
    endpoint_state,
    present,
)
from arkwright.deployments.strategy import PlannedArm, arms_of, criteria_from
from arkwright.deployments.tables import DeploymentRow, RolloutRow
from arkwright.governance import GovernanceService
from arkwright.kit.db import UnitOfWork, Units
from arkwright.registry import RegistryService, production_line
from arkwright.tenancy import require_project

_N_FALLBACKS = 2


@dataclass(frozen=True)
class DeploymentRequest:
    """What somebody wants deployed: a model to follow, or a version to pin, and how.

    Parameters
    ----------
    version
        Number or semantic version of ``model``, to pin it.
    canary_version_id, canary_percent
        Short for a canary with one step before all of the traffic.
    strategy
        As :meth:`arkwright.deployments.payloads.DeploymentStrategy.spec` gives it.
    """

    name: str = ""
    model: str = ""
    model_version_id: str = ""
    version: str = ""
    canary_version_id: str = ""
    canary_percent: float = 0.0
    strategy: dict[str, Any] | None = None
    autoscale: dict[str, Any] | None = None
    slos: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None
    log: dict[str, Any] | None = None
    fallback: dict[str, Any] | None = None
    cache_seconds: float = 0.0
    project_id: str = ""


@dataclass(frozen=True)
class _Subject:
    """Who would answer: the stable version and the arms beside it, with the ids that names stood for."""

    model_id: str
    pinned_id: str | None
    stable: Release
    strategy: dict[str, Any] | None
    beside: Sequence[tuple[PlannedArm, Release]] = ()


class DeploymentService:
    """The desired state of a workspace's endpoints."""

    def __init__(self, registry: RegistryService, governance: GovernanceService) -> None:
        self._registry = registry
        self._governance = governance

    def create(self, units: Units, request: DeploymentRequest) -> DeploymentRow:
        """Create a deployment, if the gate allows its versions to serve, and start its rollout.

        Raises
        ------
        PolicyRefused
            If a version was not promoted.
        Conflict
            If the name is taken, or the model has nothing in production.
        Invalid
            If not exactly one subject is named, or the name or a candidate cannot be used.
        """
        with units.read() as unit:
            authorise(unit, "deployment.create", "deployment", request.name)
            project_id = require_project(unit, request.project_id)
            subject = self._resolve(unit, request)
            name = request.name or self._registry.get(unit, subject.model_id).name
            _check_name(name)
            if repository.deployment(unit.session, name) is not None:
                raise Conflict(
                    f"There is a deployment {name!r} already.",
                    code="deployment.exists",
                    hint="Give another name, delete the old one, or change it: arkwright apply.",
                )
        deployment_id = new_id("deployment")
        self._pass_gate(units, deployment_id, name, subject)
        with units.write() as unit:
            row = DeploymentRow(
                id=deployment_id,
                project_id=project_id,
                name=name,
                model_id=subject.model_id,
                model_version_id=subject.pinned_id,
                traffic_split=dict(rollouts.ALL_STABLE),
                autoscale=request.autoscale or {},
                slos=request.slos or {},
                spec=_spec(request, subject),
                revision=1,
                endpoint_url=f"/v1/inference/{deployment_id}:predict",
                status="active",
                created_by=unit.context.actor.id,
                created_at=unit.clock.now(),
            )
            unit.session.add(row)
            unit.session.flush()
            stable_id = subject.stable.version_id
            self._governance.link(unit, ("model_version", stable_id), ("deployment", row.id))
            record(unit, "deployment.create", "deployment", row.id, {"name": name, "version": stable_id})
            unit.emit(DEPLOYMENT_CREATED, row.id, {"deployment_id": row.id, "model_version_id": stable_id})
            self._begin(unit, row, subject)
            return row

    def update(
        self,
        units: Units,
        id_or_name: str,
        request: DeploymentRequest,
        *,
        expected_revision: int | None = None,
        again: bool = False,
    ) -> DeploymentRow:
        """Bring a deployment in line with what is asked for; what changes the strategy starts a rollout.

        Parameters
        ----------
        expected_revision
            Refuse if the deployment has been changed since that revision.
        again
            Start the strategy's rollout also if the strategy is unchanged and its last rollout has ended.

        Raises
        ------
        PreconditionFailed
            If it is of another revision.
        PolicyRefused
            If a version may not serve.
        """
        with units.read() as unit:
            authorise(unit, "deployment.update", "deployment", id_or_name)
            row = self.get(unit, id_or_name)
            _check_revision(row, expected_revision)
            if request.name not in ("", row.name):
                raise Invalid(
                    f"The deployment {row.name!r} keeps its name.",
                    code="deployment.name",
                    hint="Leave the name out, or create another deployment.",
                )
            subject = self._subject_of_change(unit, row, request)
            changes = self._changes(row, request, subject)
            starts = self._starts(unit, row, changes, subject, again=again)
            revision = row.revision
        if not changes and not starts:
            return row
        if starts or _moves_pin(row, subject):
            self._pass_gate(units, row.id, row.name, subject)
        with units.write() as unit:
            current = repository.deployment(unit.session, row.id, lock=True)
            if current is None or current.status != "active":
                raise deployment_not_found(id_or_name)
            _check_revision(current, revision)
            strategy_changed = any(change.field.startswith("strategy") for change in changes)
            if starts or strategy_changed or _moves_pin(current, subject):
                self._supersede(unit, current)
            current.model_version_id = subject.pinned_id
            current.autoscale = request.autoscale or {}
            current.slos = request.slos or {}
            current.spec = _spec(request, subject)
            current.revision += 1
            facts = {"revision": current.revision, "changes": [change.field for change in changes]}
            record(unit, "deployment.update", "deployment", current.id, facts)
            unit.emit(DEPLOYMENT_CHANGED, current.id, {"deployment_id": current.id, **facts})
            if starts:
                self._begin(unit, current, subject)
            return current

    def difference(
        self, unit: UnitOfWork, request: DeploymentRequest
    ) -> tuple[DeploymentRow | None, Sequence[Change], bool]:
        """Return the deployment of that name, what :meth:`update` would change, and whether a rollout would start."""
        authorise(unit, "deployment.read", "deployment", request.name)
        row = repository.deployment(unit.session, request.name) if request.name else None
        if row is None:
            subject = self._resolve(unit, request)
            wanted = _described(request, subject)
            return None, changes_between({}, wanted), bool(subject.beside)
        subject = self._subject_of_change(unit, row, request)
        changes = self._changes(row, request, subject)
        return row, changes, self._starts(unit, row, changes, subject, again=False)

    def request_of(self, row: DeploymentRow) -> DeploymentRequest:
        """Return a deployment as the request that would make it what it is."""
        spec = row.spec
        return DeploymentRequest(
            name=row.name,
            model="" if row.model_version_id else row.model_id,
            model_version_id=row.model_version_id or "",
            strategy=spec.get("strategy"),
            autoscale=row.autoscale,
            slos=row.slos,
            limits=spec.get("limits"),
            log=spec.get("log"),
            fallback=spec.get("fallback"),
            cache_seconds=float(spec.get("cache_seconds", 0.0)),
            project_id=row.project_id,
        )

    def get(self, unit: UnitOfWork, id_or_name: str) -> DeploymentRow:
        """Return a deployment."""
        authorise(unit, "deployment.read", "deployment", id_or_name)
        row = repository.deployment(unit.session, id_or_name)
        if row is None:
            raise deployment_not_found(id_or_name)
        return row

    def list(self, unit: UnitOfWork, *, limit: int, after: str = "") -> Sequence[DeploymentRow]:
        """Return deployments, oldest first."""
        authorise(unit, "deployment.list", "deployment")
        return repository.deployments(unit.session, limit=limit, after=after)

    def stop(self, unit: UnitOfWork, id_or_name: str) -> DeploymentRow:
        """Stop answering; the deployment's record, log and reports stay. Its name becomes free."""
        authorise(unit, "deployment.stop", "deployment", id_or_name)
        row = repository.deployment(unit.session, id_or_name, lock=True)
        if row is None:
            raise deployment_not_found(id_or_name)
        if row.status == "active":
            active = repository.active_rollout(unit.session, row.id, lock=True)
            if active is not None:
                rollouts.finish(unit, row, active, State.ABORTED, "The deployment was stopped.")
            row.status = "stopped"
            row.name = f"{row.name[:90]} (stopped {row.id[-8:]})"
            record(unit, "deployment.stop", "deployment", row.id)
            unit.emit(DEPLOYMENT_CHANGED, row.id, {"deployment_id": row.id, "status": "stopped"})
        return row

    def serving(self, unit: UnitOfWork, row: DeploymentRow) -> Release | None:
        """Return the version a deployment's stable arm answers with, or None if its model has none in production.

        A pinned version answers until the deployment is stopped, also after another one has taken its place in
        production and it was archived: a promotion must not change what somebody has pinned.
        """
        if row.model_version_id:
            return self.release(unit, row.model_version_id)
        version = self._registry.production_of(unit, row.model_id)
        return self.release(unit, version.id) if version else None

    def before(self, unit: UnitOfWork, row: DeploymentRow) -> Release | None:
        """Return the version that a rollback would put back where no rollout is under way, or None."""
        if row.model_version_id:
            for ended in repository.rollouts(unit.session, row.id):
                if ended.state == State.PROMOTED and ended.candidate_version_id == row.model_version_id:
                    return self.release(unit, ended.baseline_version_id)
            return None
        previous = self._registry.previous_production(unit, row.model_id)
        return self.release(unit, previous.id) if previous else None

    def release(self, unit: UnitOfWork, version_id: str) -> Release:
        """Return the facts of a version that routing needs."""
        row = self._registry.version_by_id(unit, version_id)
        return Release(row.id, row.number, row.semver, row.stage, row.bundle_digest, row.bundle_uri)

    def state(self, unit: UnitOfWork, row: DeploymentRow) -> EndpointState:
        """Return how the endpoint stands at the data planes."""
        if row.status != "active":
            return EndpointState("pending", "The deployment was stopped.")
        release = self.serving(unit, row)
        if release is None:
            return EndpointState("failed", "The model has no version in production.")
        acknowledged = {plane.replica: plane.endpoints for plane in self.planes(unit)}
        return endpoint_state(row.id, release.bundle_digest, acknowledged)

    def planes(self, unit: UnitOfWork) -> Sequence[Plane]:
        """Return the data planes that are there."""
        known = [
            Plane(
                row.replica,
                row.endpoints,
                row.seen_at,
                row.reported_at,
                in_flight=row.in_flight,
                queue=row.queue,
                cpu_percent=row.cpu_percent,
            )
            for row in repository.data_planes(unit.session)
        ]
        return present(known, unit.clock.now())

    def endpoints(self, unit: UnitOfWork) -> dict[str, Endpoint]:
        """Return every endpoint of the workspace, compiled for the data planes."""
        found = {}
        active = {rollout.deployment_id: rollout for rollout in repository.active_rollouts(unit.session)}
        for row in repository.active(unit.session):
            stable = self.serving(unit, row)
            if stable is None:
                continue
            rollout = active.get(row.id)
            beside = answering(stable, self._beside(unit, rollout)) if rollout is not None else []
            wanted = Wanted(
                deployment_id=row.id,
                workspace_id=row.workspace_id,
                project_id=row.project_id,
                name=row.name,
                model_name=self._registry.get(unit, row.model_id).name,
                slos=row.slos,
                settings=row.spec,
            )
            found[row.id] = compile_endpoint(
                wanted, stable, beside, self._fallbacks(unit, row, stable), _draw(row, rollout)
            )
        return found

    def _beside(self, unit: UnitOfWork, rollout: RolloutRow) -> Sequence[Beside]:
        shares = rollouts.split_of(rollout)
        return [
            Beside(arm.name, arm.mode, self.release(unit, arm.version_id), shares[arm.name])
            for arm in rollouts.arms_of_rollout(rollout)
        ]

    def _fallbacks(self, unit: UnitOfWork, row: DeploymentRow, stable: Release) -> Sequence[Release]:
        """Return the versions that answered before, latest first; not those that were rolled back."""
        if row.model_version_id:
            ended = repository.rollouts(unit.session, row.id, limit=10)
            earlier = [rollout.baseline_version_id for rollout in ended if rollout.state == State.PROMOTED]
        else:
            earlier = production_line(self._registry.history(unit, row.model_id))[::-1]
        unique = [version_id for version_id in dict.fromkeys(earlier) if version_id != stable.version_id]
        return [self.release(unit, version_id) for version_id in unique[:_N_FALLBACKS]]

    def _begin(self, unit: UnitOfWork, row: DeploymentRow, subject: _Subject) -> None:
        if subject.beside:
            rollouts.begin(unit, row, subject.stable.version_id)
            for _arm, release in subject.beside:
                self._governance.link(unit, ("model_version", release.version_id), ("deployment", row.id))

    def _supersede(self, unit: UnitOfWork, row: DeploymentRow) -> None:
        active = repository.active_rollout(unit.session, row.id, lock=True)
        if active is not None:
            rollouts.finish(unit, row, active, State.ABORTED, "Something else was asked for.")
            unit.session.flush()

    def _pass_gate(self, units: Units, deployment_id: str, name: str, subject: _Subject) -> None:
        releases = [subject.stable, *(release for arm, release in subject.beside if arm.mode == "live")]
        shadows = [release for arm, release in subject.beside if arm.mode == "shadow"]
        with units.write() as unit:
            decision = self._governance.decide(
                unit,
                DEPLOYMENT_GATE,
                ("deployment", deployment_id),
                deployment_conditions(releases, shadows),
                {"versions": [{"id": each.version_id, "stage": each.stage} for each in (*releases, *shadows)]},
            )
        decision.enforce(f"Deploying {name!r}")

    # What is asked for

    def _subject_of_change(self, unit: UnitOfWork, row: DeploymentRow, request: DeploymentRequest) -> _Subject:
        subject = self._resolve(unit, request, existing=True)
        if subject.model_id != row.model_id:
            raise Conflict(
                f"The deployment {row.name!r} serves another model.",
                code="deployment.model",
                hint="A deployment keeps its model; create another deployment for the other one.",
            )
        return subject

    def _changes(self, row: DeploymentRow, request: DeploymentRequest, subject: _Subject) -> Sequence[Change]:
        kept = self.request_of(row)
        before = _described(kept, _Subject(row.model_id, row.model_version_id, subject.stable, kept.strategy))
        return changes_between(before, _described(request, subject))

    def _starts(
        self, unit: UnitOfWork, row: DeploymentRow, changes: Sequence[Change], subject: _Subject, *, again: bool
    ) -> bool:
        if not subject.beside:
            return False
        if any(change.field.startswith("strategy") for change in changes):
            return True
        return again and repository.active_rollout(unit.session, row.id) is None

    def _resolve(self, unit: UnitOfWork, request: DeploymentRequest, *, existing: bool = False) -> _Subject:
        strategy = dict(request.strategy) if request.strategy else _short_canary(request)
        pinned_id = self._pinned(unit, request)
        followed = "" if pinned_id else request.model
        if strategy and not (followed or pinned_id):
            # A candidate alone stands beside the production version of its own model.
            candidate_id = _named_candidate(strategy)
            followed = self._registry.version_by_id(unit, candidate_id).model_id if candidate_id else ""
        if bool(followed) == bool(pinned_id):
            raise Invalid(
                "A deployment needs either a model to follow or a model_version_id to pin.",
                code="deployment.subject",
                hint='Send {"model": "name"} to follow its production version, or {"model_version_id": "mv_..."}.',
            )
        if pinned_id:
            model_id, stable = self._registry.version_by_id(unit, pinned_id).model_id, self.release(unit, pinned_id)
        else:
            model_id, stable = self._production(unit, followed)
        if strategy is None:
            return _Subject(model_id, pinned_id, stable, None)
        strategy = self._with_ids(unit, model_id, strategy)
        named = [(arm, self.release(unit, arm.version_id)) for arm in arms_of(strategy)]
        return _Subject(
            model_id, pinned_id, stable, strategy, self._fit(unit, model_id, stable, named, existing=existing)
        )

    def _pinned(self, unit: UnitOfWork, request: DeploymentRequest) -> str | None:
        if request.model_version_id:
            if request.model or request.version:
                raise Invalid(
                    "A deployment needs either a model to follow or a model_version_id to pin.",
                    code="deployment.subject",
                    hint="Leave out model and version where model_version_id says it all.",
                )
            return self._registry.version_by_id(unit, request.model_version_id).id
        if not request.version:
            return None
        if not request.model:
            raise Invalid(
                f"Version {request.version!r} of which model?",
                code="deployment.subject",
                hint='Send "model" beside it.',
            )
        return self._registry.version(unit, request.model, request.version).id

    def _production(self, unit: UnitOfWork, followed: str) -> tuple[str, Release]:
        model = self._registry.get(unit, followed)
        production = self._registry.production_of(unit, model.id)
        if production is None:
            raise Conflict(
                f"The model {model.name!r} has no version in production.",
                code="deployment.no_production",
                hint=f"Promote one first: arkwright promote {model.name} <version>.",
            )
        return model.id, self.release(unit, production.id)

    def _with_ids(self, unit: UnitOfWork, model_id: str, strategy: Mapping[str, Any]) -> dict[str, Any]:
        """Return a strategy in which every version is named by its id."""

        def named(part: Mapping[str, Any]) -> dict[str, Any]:
            rest = {name: value for name, value in part.items() if name != "version"}
            if part.get("version"):
                rest["model_version_id"] = self._registry.version(unit, model_id, str(part["version"])).id
            return rest

        found = named(strategy)
        if "arms" in found:
            found["arms"] = [named(arm) for arm in found["arms"]]
        return found

    def _fit(
        self,
        unit: UnitOfWork,
        model_id: str,
        stable: Release,
        beside: Sequence[tuple[PlannedArm, Release]],
        *,
        existing: bool,
    ) -> Sequence[tuple[PlannedArm, Release]]:
        for _arm, release in beside:
            if self._registry.version_by_id(unit, release.version_id).model_id != model_id:
                raise Invalid(
                    "The canary is a version of another model.",
                    code="deployment.canary",
                    hint="A canary must be a version of the model that is deployed.",
                )
        fitting = [(arm, release) for arm, release in beside if release.version_id != stable.version_id]
        if len(fitting) < len(beside):
            if not existing:
                raise Invalid(
                    "The canary is the version that answers already.",
                    code="deployment.canary",
                    hint="A canary must be another version of the model that is deployed.",
                )
            # Asked for again after it was promoted: there is nothing left to roll out.
            return []
        return fitting


def _short_canary(request: DeploymentRequest) -> dict[str, Any] | None:
    if not request.canary_version_id:
        return None
    return {
        "type": "canary",
        "model_version_id": request.canary_version_id,
        "steps": [request.canary_percent, 100.0],
    }


def _named_candidate(strategy: Mapping[str, Any]) -> str:
    parts = [strategy, *strategy.get("arms", ())]
    return next((str(part["model_version_id"]) for part in parts if part.get("model_version_id")), "")


def _spec(request: DeploymentRequest, subject: _Subject) -> dict[str, Any]:
    parts = {
        "strategy": subject.strategy,
        "limits": request.limits,
        "log": request.log,
        "fallback": request.fallback,
        "cache_seconds": request.cache_seconds,
    }
    return {name: value for name, value in parts.items() if value}


def _described(request: DeploymentRequest, subject: _Subject) -> dict[str, Any]:
    """Return everything about a deployment that a change can touch."""
    return {
        "model_version_id": subject.pinned_id,
        "autoscale": request.autoscale or {},
        "slos": request.slos or {},
        **_spec(request, subject),
    }


def _draw(row: DeploymentRow, rollout: RolloutRow | None) -> Draw:
    if rollout is None:
        return PINNED
    strategy = row.spec.get("strategy") or {}
    return Draw(
        strategy=strategy.get("type", rollout.strategy),
        unit=str(strategy.get("unit") or "request"),
        salt=str(strategy.get("salt") or rollout.id),
        criteria=criteria_from(rollout.criteria),
    )


def _moves_pin(row: DeploymentRow, subject: _Subject) -> bool:
    return row.model_version_id != subject.pinned_id


def _check_revision(row: DeploymentRow, expected: int | None) -> None:
    if expected is not None and row.revision != expected:
        raise PreconditionFailed(
            f"The deployment {row.name!r} is at revision {row.revision}, not {expected}.",
            code="deployment.revision",
            hint="Read it again, look at what has changed, and send your change with the new ETag.",
        )


def _check_name(name: str) -> None:
    if is_id("deployment", name):
        raise Invalid(
            f"The name {name!r} looks like the id of a deployment.", code="deployment.name", hint="Choose another name."
        )
