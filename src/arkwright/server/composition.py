"""The composition root: the only place that knows every room and picks every adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any

from arkwright.access import AuditTrail, authorise, record
from arkwright.adapters.tracking import MlflowTracking
from arkwright.automl import ExperimentOutcomes, ExperimentService, TrialRetraining
from arkwright.automl.jobs import TrainJob
from arkwright.core import events
from arkwright.core.errors import ArkwrightError
from arkwright.data import DatasetService, UploadService
from arkwright.data.jobs import IngestJob
from arkwright.deployments import (
    BatchService,
    DeploymentService,
    ImageService,
    PlanPublisher,
    RolloutController,
    WindowService,
)
from arkwright.deployments.jobs import BatchJob
from arkwright.evaluation import EvaluationHousekeeping, EvaluationService, Retention
from arkwright.evaluation.jobs import EvaluateJob, EvaluationServices
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database
from arkwright.kit.http import forget_in_flight
from arkwright.kit.jobs import Job, JobQueue, JobService, Lane
from arkwright.kit.jobs.ports import Queue
from arkwright.kit.logging import get_logger
from arkwright.kit.objects import ObjectStore
from arkwright.kit.outbox import OutboxDispatcher, Subscriber
from arkwright.kit.settings import Settings
from arkwright.monitoring import (
    FeedbackOutcomes,
    MonitoringService,
    SegmentShipper,
    ServedModels,
    ServedVersions,
    UsageEvents,
)
from arkwright.monitoring.jobs import DeploymentWatch, MonitorClock, MonitorJob
from arkwright.registry import AliasProjection, BundleStore, ImportService, RegistryService
from arkwright.registry.jobs import ImportJob, ImportServices
from arkwright.tenancy import TenancyService, bootstrap
from arkwright.tracking.ports import TrackingStore

_log = get_logger(__name__)

KINDS: Mapping[str, Lane] = {
    IngestJob.kind: Lane.LIGHT,
    TrainJob.kind: Lane.HEAVY,
    BatchJob.kind: Lane.LIGHT,
    MonitorJob.kind: Lane.LIGHT,
    ImportJob.kind: Lane.HEAVY,
    EvaluateJob.kind: Lane.HEAVY,
}
_STAGE_EVENTS = frozenset({events.MODEL_PROMOTED, events.MODEL_STAGE_CHANGED})
_PLAN_EVENTS = _STAGE_EVENTS | {
    events.MODEL_VERSION_REGISTERED,
    events.DEPLOYMENT_CREATED,
    events.DEPLOYMENT_CHANGED,
    events.CREDENTIALS_CHANGED,
}


class Platform:
    """Every service of the control plane, built from settings.

    Parameters
    ----------
    tracking, queue
        Stand-ins for MLflow and the job engine, for journeys inside one process.
    """

    def __init__(
        self, settings: Settings, *, tracking: TrackingStore | None = None, queue: Queue | None = None
    ) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.objects = ObjectStore(settings.objects_url)
        self.tracking = tracking or _tracking(settings)
        self.queue = queue or JobQueue(settings.jobs_database_url)
        self.jobs = JobService(self.queue, KINDS, authorise=authorise, record=record)
        self.tenancy = TenancyService()
        self.governance = GovernanceService()
        self.uploads = UploadService(self.objects, max_upload_bytes=settings.max_upload_bytes)
        self.datasets = DatasetService(self.jobs, self.uploads, self.objects, allowed_roots=settings.allowed_roots)
        self.registry = RegistryService(
            BundleStore(self.objects),
            self.governance,
            self.tracking,
            evaluating=lambda unit, version_id: self.jobs.open_about(
                unit, EvaluateJob.kind, "model_version", version_id
            ),
        )
        self.imports = ImportService(self.jobs, self.uploads, self.datasets)
        self.evaluation = EvaluationService(self.governance)
        self.experiments = ExperimentService(self.datasets, self.jobs, self.tracking, self.tenancy, self.registry)
        self.deployments = DeploymentService(self.registry, self.governance)
        self.batches = BatchService(self.registry, self.datasets, self.uploads, self.jobs, self.objects)
        self.served = ServedModels(self.deployments, self.registry)
        usage = UsageEvents(self.database)
        self.shipper = SegmentShipper(settings.home / "serving" / "log", self.objects, usage.record)
        self.outcomes = FeedbackOutcomes(self.database, self.served, self.shipper, self.objects)
        self.monitoring = MonitoringService(self.served, self.jobs, self.shipper, self.objects)
        self.evaluations = EvaluationServices.over(
            self.jobs,
            self.registry,
            self.datasets,
            self.uploads,
            self.governance,
            self.objects,
            self.experiments,
            operations=ServedVersions(self.deployments, self.monitoring),
            retraining=TrialRetraining(self.experiments),
        )
        self.publisher = PlanPublisher(self.database, self.tenancy, self.registry, self.deployments)
        self.windows = WindowService(self.database)
        self.rollouts = RolloutController(
            self.database,
            self.registry,
            self.governance,
            self.deployments,
            self.windows,
            self.publisher,
            self.outcomes,
            self.workspace_ids,
        )
        self.images = ImageService(self.deployments, self.registry.bundles)
        self.outbox = OutboxDispatcher(self.database, self._subscribers())

    @property
    def services(self) -> dict[type, Any]:
        """The services that routes ask for, by their class."""
        offered = (
            self.jobs,
            self.tenancy,
            self.governance,
            self.uploads,
            self.datasets,
            self.registry,
            self.imports,
            self.evaluation,
            self.evaluations.evaluations,
            self.evaluations.attestations,
            self.experiments,
            self.deployments,
            self.batches,
            self.monitoring,
            self.publisher,
            self.windows,
            self.rollouts,
            self.images,
            AuditTrail(),
        )
        return {type(each): each for each in offered}

    def start(self) -> None:
        """Migrate, create what the first start needs, publish the plan, and begin to deliver events."""
        self.database.migrate()
        bootstrap(self.database, self.settings.home / "credentials" / "admin.key")
        if self.database.dialect == "sqlite":
            # A file has one control plane: what another one was at when it died, nobody is at.
            for workspace_id in self.workspace_ids():
                forget_in_flight(self.database, workspace_id)
        self.publisher.publish()
        self.outbox.start()
        if isinstance(self.queue, JobQueue):
            # Opening the job engine's store takes a second that no first request should wait for.
            Thread(target=self._open_queue, name="open-queue", daemon=True).start()

    def stop(self) -> None:
        """Finish what is at hand and let go of connections."""
        self.outbox.stop()
        self.database.dispose()

    def reconcile(self) -> None:
        """Repair what an event could not: jobs that were committed but not queued, a plan that lags."""
        self.publisher.publish()
        for workspace_id in self.workspace_ids():
            self.jobs.reconcile(self.database, workspace_id)

    def workspace_ids(self) -> Sequence[str]:
        """Return the ids of all workspaces."""
        with self.database.read_global() as unit:
            return [row.id for row in self.tenancy.workspaces(unit)]

    def worker_jobs(self) -> list[Job]:
        """Return one object for each kind of job a worker runs."""
        return [
            IngestJob(self.datasets, self.uploads, self.objects),
            TrainJob(
                self.experiments,
                self.datasets,
                self.evaluation,
                self.registry,
                self.tenancy,
                self.tracking,
                self.objects,
                self.database,
                start_evaluation=(
                    self.evaluations.evaluations.start_quick if self.settings.evaluate_after_training else None
                ),
            ),
            BatchJob(self.objects, self.registry, self.datasets, self.uploads),
            MonitorJob(self.monitoring, self.served, self.shipper, self.objects),
            ImportJob(
                ImportServices(
                    registry=self.registry,
                    uploads=self.uploads,
                    datasets=self.datasets,
                    evaluation=self.evaluation,
                    tenancy=self.tenancy,
                    tracking=self.tracking,
                    objects=self.objects,
                    database=self.database,
                ),
                allow_pickled=self.settings.allow_pickled_models,
            ),
            EvaluateJob(
                self.evaluations,
                home=self.settings.home,
                prices=self.settings.instance_prices,
                retention=self._retention,
            ),
        ]

    def evaluation_housekeeping(self) -> EvaluationHousekeeping:
        """Return what removes files of evaluations that were kept long enough; one object, for it keeps its time."""
        return EvaluationHousekeeping(
            self.database, self.jobs, self.registry, self.governance, self.objects, self._retention
        )

    @property
    def _retention(self) -> Retention:
        return Retention(
            evaluation_days=self.settings.evaluation_retention_days,
            comparison_days=self.settings.comparison_retention_days,
        )

    def monitor_clock(self) -> MonitorClock:
        """Return what starts due monitors."""
        return MonitorClock(self.database, self.monitoring, self.workspace_ids)

    def _open_queue(self) -> None:
        if isinstance(self.queue, JobQueue):
            try:
                self.queue.open()
            except ArkwrightError as error:
                _log.warning("the job store cannot be opened yet", error=error.detail)

    def _subscribers(self) -> list[Subscriber]:
        aliases = AliasProjection(self.database, self.tenancy, self.tracking)
        watch = DeploymentWatch(self.database, self.monitoring)
        outcomes = ExperimentOutcomes(self.database, self.experiments, self.tenancy, self.tracking)
        return [
            Subscriber("deployments.plan", _PLAN_EVENTS, self.publisher.handle),
            Subscriber(watch.name, watch.types, watch.handle),
            # Last, because they wait for MLflow, which may still be warming up.
            Subscriber("registry.aliases", _STAGE_EVENTS, aliases.handle),
            Subscriber(outcomes.name, outcomes.types, outcomes.handle),
        ]


def build_platform(settings: Settings) -> Platform:
    """Return the platform these settings describe."""
    return Platform(settings)


def _tracking(settings: Settings) -> TrackingStore:
    if settings.tracking_url:
        return MlflowTracking.remote(settings.tracking_url, settings.tracking_token.get_secret_value())
    return MlflowTracking.embedded(settings.mlflow_socket)
