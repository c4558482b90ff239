"""A deployed model with a baseline of 2,000 rows, its prediction log, and the whole room around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.conftest import LINEAGE
from tests.unit.log_segments import outcome_table, prediction_table, write_sealed
from tests.unit.shelf import Shelf

from arkwright.access import authorise, record
from arkwright.bundles import LinearEvaluator, Predictor, fit_baseline, fit_encoder, measure_parity, write_bundle
from arkwright.contracts import Column, OutcomeRecord, PredictionRecord, Signature, UsageCount, redacted
from arkwright.core.clock import FixedClock
from arkwright.core.context import Context
from arkwright.deployments import DeploymentService
from arkwright.deployments.service import DeploymentRequest
from arkwright.kit.db import Database
from arkwright.kit.http import install_problem_handlers
from arkwright.kit.jobs import InlineQueue, JobRow, JobService, Lane
from arkwright.kit.objects import ObjectStore
from arkwright.monitoring import FeedbackOutcomes, MonitoringService, SegmentShipper, ServedModels, UsageEvents
from arkwright.monitoring.jobs import DeploymentWatch, MonitorClock, MonitorJob
from arkwright.monitoring.routes import router

SPEC = (Column(name="tenure", kind="numeric"), Column(name="contract", kind="categorical"))
SIGNATURE = Signature(task="binary", target="churn", columns=SPEC, classes=("No", "Yes"))


def customers(n: int, seed: int, *, shift: float = 0.0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    tenure = np.round(generator.gamma(2.0, 15.0, n) + shift, 1)
    contract = generator.choice(np.array(["month", "year", "two years"], dtype=object), n, p=(0.55, 0.25, 0.2))
    return {"tenure": tenure, "contract": contract}


def predictor(columns: dict[str, np.ndarray], weight: float) -> Predictor:
    encoder = fit_encoder(SPEC, columns, layout="linear")
    return Predictor(SIGNATURE, encoder, LinearEvaluator([weight] * encoder.n_outputs, 0.2, "sigmoid"))


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Write a bundle whose baseline rests on 2,000 rows."""

    def make(weight: float = -0.5, **changes: Any) -> tuple[Path, str]:
        columns = customers(2000, seed=0)
        model = predictor(columns, weight)
        folder = tmp_path / f"bundle{weight}{len(changes)}"
        digest = write_bundle(
            folder,
            signature=SIGNATURE,
            encoder=model.encoder,
            estimator=model.evaluator,
            baseline=fit_baseline(SIGNATURE, columns, model.predict_columns(columns)),
            example_rows=[{"tenure": 1.0, "contract": "month"}],
            learner="logistic",
            parity=measure_parity(model, columns),
            **{"lineage": LINEAGE, "environment": {"python": "3.11"}, **changes},
        )
        return folder, digest

    return make


@dataclass
class Watched:
    """A deployment and everything that watches it."""

    deployment_id: str
    version_id: str
    monitoring: MonitoringService
    job: MonitorJob
    jobs: JobService
    watch: DeploymentWatch
    scheduler: MonitorClock
    database: Database
    context: Context
    clock: FixedClock
    log_folder: Path
    client: TestClient
    outcomes: FeedbackOutcomes
    _segments: int = 0

    def predict(
        self,
        columns: dict[str, np.ndarray],
        *,
        version_id: str = "",
        semver: str = "1.0.0",
        redact: tuple[str, ...] = (),
    ) -> None:
        """Log predictions as a data plane would: one sealed segment, a second for each row."""
        scores = predictor(customers(2000, seed=0), -0.5).predict_columns(columns)[:, 0]
        self._segments += 1
        records = []
        for index, score in enumerate(scores):
            features = {"tenure": float(columns["tenure"][index]), "contract": columns["contract"][index]}
            row = PredictionRecord(
                request_id=f"req_{self._segments}_{index}",
                row=0,
                time=self.clock.now().timestamp() - len(scores) + index,
                deployment_id=self.deployment_id,
                workspace_id=self.context.workspace_id,
                model_version_id=version_id or self.version_id,
                semver=semver,
                arm="stable",
                latency_ms=2.0,
                request_size_bytes=80,
                features={name: redacted(value) if name in redact else value for name, value in features.items()},
                label="Yes" if score > 0.5 else "No",
                score=float(score),
            )
            records.append(row)
        folder = self.log_folder / self.context.workspace_id / self.deployment_id
        counts = UsageCount(
            model_version_id=version_id or self.version_id,
            semver=semver,
            arm="stable",
            requests=len(records),
            rows=len(records),
        )
        write_sealed(folder, f"edge-1-{self._segments:06d}", prediction_table(records), [counts])

    def tell(self, actual: dict[str, str], *, at: float = 0.0) -> None:
        """Log outcomes as a data plane would: one sealed segment; the actual label by request id."""
        self._segments += 1
        records = [
            OutcomeRecord(
                request_id=request_id,
                row=0,
                time=self.clock.now().timestamp() + at,
                deployment_id=self.deployment_id,
                workspace_id=self.context.workspace_id,
                actual=label,
            )
            for request_id, label in actual.items()
        ]
        folder = self.log_folder / self.context.workspace_id / self.deployment_id
        write_sealed(folder, f"outcomes-edge-1-{self._segments:06d}", outcome_table(records))

    def run(self, **window: float) -> JobRow:
        """Run the monitor and return its finished job."""
        with self.database.write(self.context) as unit:
            job_id = self.monitoring.run_now(unit, self.deployment_id, dict(window)).id
        with self.database.read(self.context) as unit:
            return self.jobs.get(unit, job_id)


@pytest.fixture
def watched(
    shelf: Shelf, database: Database, context: Context, clock: FixedClock, object_store: ObjectStore, tmp_path: Path
) -> Watched:
    version = shelf.promote(shelf.register(shelf.stored()))
    deployments = DeploymentService(shelf.registry, shelf.governance)
    row = deployments.create(shelf.units, DeploymentRequest(model="churn"))

    served = ServedModels(deployments, shelf.registry)
    folder = tmp_path / "log"
    source = SegmentShipper(folder, object_store, UsageEvents(database).record)
    runnable: list[MonitorJob] = []
    queue = LateQueue(database, runnable)
    jobs = JobService(queue, {MonitorJob.kind: Lane.LIGHT}, authorise=authorise, record=record)
    monitoring = MonitoringService(served, jobs, source, object_store)
    job = MonitorJob(monitoring, served, source, object_store)
    runnable.append(job)

    app = FastAPI()
    app.include_router(router)
    install_problem_handlers(app)
    app.state.database = database
    app.state.authenticate = lambda _secret, _request_id: context
    app.state.services = {MonitoringService: monitoring}
    client = TestClient(app, headers={"Authorization": "Bearer test"}, raise_server_exceptions=False)
    return Watched(
        deployment_id=row.id,
        version_id=version.id,
        monitoring=monitoring,
        job=job,
        jobs=jobs,
        watch=DeploymentWatch(database, monitoring),
        scheduler=MonitorClock(database, monitoring, lambda: [context.workspace_id]),
        database=database,
        context=context,
        clock=clock,
        log_folder=folder,
        client=client,
        outcomes=FeedbackOutcomes(database, served, source, object_store, lambda: clock.now().timestamp()),
    )


class LateQueue(InlineQueue):
    """An inline queue whose jobs are known only after the services that submit them."""

    def __init__(self, database: Database, runnable: list[MonitorJob]) -> None:
        super().__init__(database, [])
        self._runnable = runnable

    def enqueue(self, workspace_id: str, job_id: str, kind: str, lane: Lane) -> None:
        self._jobs = {job.kind: job for job in self._runnable}
        super().enqueue(workspace_id, job_id, kind, lane)
