"""The steps of a training: what each does, what it leaves, and what is said while it works."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from arkwright.automl.budget import Budget, Deadline
from arkwright.automl.definition import read_definition
from arkwright.automl.leaderboard import make_leaderboard, recommendation
from arkwright.automl.logbook import Logbook
from arkwright.automl.payloads import ExperimentConfig
from arkwright.automl.plan import TrainingPlan
from arkwright.automl.pool import WorkerPool
from arkwright.automl.portfolio import candidates_for
from arkwright.automl.publication import Publication, StepOfPackage, TrainingServices
from arkwright.automl.search import Search, Trial, best_of, ranking
from arkwright.automl.training import Candidate
from arkwright.automl.workbench import Workbench
from arkwright.core.clock import isoformat
from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation import TrainingEffort
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobCancelled, JobRun
from arkwright.tracking import TrackingService
from arkwright.tracking.ports import TrialStatus

_SEARCH_FROM, _SEARCH_TO = 0.05, 0.75
_LOGBOOK_SECONDS = 120.0


class StepOfTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate's step leaves; ``trial`` is None where the search was cancelled before it began."""

    trial: Trial | None
    budget: Budget
    started_at: datetime
    ended_at: datetime
    run_id: str = ""


class Training:
    """One run of a training job; all it holds can be rebuilt from the results of its steps."""

    def __init__(
        self,
        services: TrainingServices,
        job: JobRun,
        experiment_id: str,
        workspace_name: str,
        temporary: Path,
        pool: WorkerPool,
    ) -> None:
        self._services = services
        self._job = job
        self._pool = pool
        with job.read() as unit:
            self._clock = unit.clock
            self._row = row = services.experiments.get(unit, experiment_id)
        self._config = ExperimentConfig.model_validate(row.config)
        objects = services.objects.for_workspace(job.context.workspace_id)
        self._bench = Workbench(
            job, services.datasets, objects, row, prefix=f"jobs/{job.job_id}", path=temporary / "problem"
        )
        self._logbook = Logbook(
            services.tracking,
            workspace_name,
            f"{row.name} {row.id}",
            job_id=job.job_id,
            started_at=self._clock.now(),
            created_by=row.created_by,
            tags={
                "arkwright.experiment_id": row.id,
                "arkwright.dataset_version_id": row.dataset_version_id,
                "arkwright.target": row.target,
            },
            params={
                "experiment_id": row.id,
                "experiment_name": row.name,
                **read_definition(row.definition).params,
                "created_at": isoformat(row.created_at),
                "created_by": row.created_by,
            },
        )
        self._publication = Publication(
            services, job, row, self._bench, pool, workspace_name=workspace_name, temporary=temporary
        )
        self._trials_shown = bool(row.tracking_experiment_id)

    def run(self) -> dict[str, Any]:
        """Take the steps."""
        job = self._job
        job.progress(0.01, "Looking at the data.")
        plan = msgspec.convert(job.step("prepare", lambda: msgspec.to_builtins(self._plan())), TrainingPlan)
        self._logbook.params["primary_metric"] = plan.problem.metric
        for note in plan.notes:
            job.log(note)
        steps = self._search(plan)
        trials = [step.trial for step in steps if step.trial is not None]
        if best_of(trials, plan.problem.direction) is None:
            if job.cancel_requested():
                raise JobCancelled
            raise _nothing_worked(trials)
        self._report(plan, trials, 0.76, "Writing the trials into the logbook.")
        runs: dict[str, str] = job.step("logbook", lambda: self._complete_logbook(plan, steps))
        chosen, packed = self._package(plan, trials, runs)
        assert packed.package is not None  # noqa: S101 - what _package looked for
        digest = packed.package.digest
        self._report(plan, trials, 0.88, f"Evaluating {chosen.name} on {plan.n_holdout:,} rows nobody trained on.")
        evaluated = job.step("evaluate", lambda: self._publication.evaluate(plan, chosen, digest))
        self._report(plan, trials, 0.94, "Registering the model.")
        version: dict[str, Any] = job.step("register", lambda: self._publication.register(digest))
        self._close_logbook(chosen, evaluated["metrics"])
        outcome = {
            **version,
            "bundle_digest": digest,
            "evidence_id": evaluated["evidence_id"],
            "metrics": evaluated["metrics"],
            "beats_baseline": evaluated["beats_baseline"],
            "run_id": runs[chosen.name],
            **self._summary(plan, trials, chosen, packed),
        }
        finished: dict[str, Any] = job.write_once("finish", lambda unit: self._finish(unit, outcome))
        kept = ("leaderboard", "columns")
        job.progress(1.0, f"{version['model_name']} {version['semver']}: {evaluated['beats_baseline']['detail']}")
        return {
            "experiment_id": self._row.id,
            **{name: value for name, value in outcome.items() if name not in kept},
            "evaluation_job_id": finished["evaluation_job_id"],
        }

    def give_up(self, status: TrialStatus) -> None:
        """Tell the logbook that this training leaves no model; one that cannot be told is no further trouble."""
        if not self._trials_shown:
            return
        try:
            self._logbook.give_up(status=status, ended_at=self._clock.now())
        except ArkwrightError as error:
            self._job.log(f"The logbook's search could not be closed: {error.detail}")

    def _plan(self) -> TrainingPlan:
        """Decide what is going to be done, if what the experiment is to show can be judged then."""
        plan = self._bench.plan()
        with self._job.read() as unit:
            self._services.experiments.check_definition(unit, self._row, plan.signature)
        return plan

    # Search

    def _candidates(self, plan: TrainingPlan) -> tuple[Candidate, ...]:
        return candidates_for(plan.decision.task, plan.n_rows)[: self._config.hpo.max_trials]

    def _search(self, plan: TrainingPlan) -> list[StepOfTrial]:
        steps: list[StepOfTrial] = []
        for position, candidate in enumerate(self._candidates(plan)):
            trials = [step.trial for step in steps if step.trial is not None]
            attempt = partial(self._try, plan, trials, position, candidate)
            step = msgspec.convert(self._job.step(f"trial-{candidate.name}", attempt), StepOfTrial)
            steps.append(step)
            if step.trial is None:
                break
            if step.trial.status == "failed":
                self._job.log(f"{candidate.name} failed: {step.trial.error}")
        return steps

    def _try(self, plan: TrainingPlan, trials: Sequence[Trial], position: int, candidate: Candidate) -> dict[str, Any]:
        job, started_at = self._job, self._clock.now()
        if job.cancel_requested():
            return _json(StepOfTrial(trial=None, budget=self._budget(), started_at=started_at, ended_at=started_at))
        search = Search(self._bench.lay_out(plan), self._pool)
        best = best_of(trials, plan.problem.direction)
        self._report(plan, trials, self._fraction(plan, position), f"Trying {candidate.name}.", trial=candidate.name)

        def on_fold(done: int) -> None:
            fraction = self._fraction(plan, position + done / plan.problem.n_folds)
            text = f"{candidate.name}: {done} of {plan.problem.n_folds} folds"
            job.progress(fraction, text, seconds_left=self._budget().remaining_seconds)

        trial = search.evaluate(
            candidate,
            deadline=self._deadline(),
            reserve_seconds=search.reserve_seconds(best),
            cancelled=job.cancel_requested,
            on_fold=on_fold,
        )
        if trial.status == "succeeded":
            self._bench.keep_out_of_fold(trial.name, search.out_of_fold(trial.name))
        step = StepOfTrial(trial=trial, budget=self._budget(), started_at=started_at, ended_at=self._clock.now())
        run_id = self._logbook.try_write(
            trial, metric=plan.problem.metric, started_at=step.started_at, ended_at=step.ended_at
        )
        self._show_trials()
        scored = (
            f"{trial.name} scored {trial.score:.4g}." if trial.score is not None else f"{trial.name}: {trial.status}."
        )
        self._report(plan, [*trials, trial], self._fraction(plan, position + 1), scored)
        return _json(msgspec.structs.replace(step, run_id=run_id))

    def _show_trials(self) -> None:
        if self._trials_shown or not self._logbook.experiment_id:
            return
        with self._job.write() as unit:
            self._services.experiments.show_trials_at(unit, self._row.id, self._logbook.experiment_id)
        self._trials_shown = True

    def _complete_logbook(self, plan: TrainingPlan, steps: Sequence[StepOfTrial]) -> dict[str, str]:
        """Return each trial's run; those that the logbook was not ready for are written now."""
        tracking = TrackingService(self._services.tracking)
        tracking.wait_until_ready(
            _LOGBOOK_SECONDS, on_wait=lambda _: self._job.progress(0.77, "Waiting for the tracking server.")
        )
        runs = {}
        for step in steps:
            if step.trial is None:
                continue
            runs[step.trial.name] = step.run_id or self._logbook.write(
                step.trial, metric=plan.problem.metric, started_at=step.started_at, ended_at=step.ended_at
            )
        self._show_trials()
        return runs

    # From the best trial to a version

    def _package(
        self, plan: TrainingPlan, trials: Sequence[Trial], runs: dict[str, str]
    ) -> tuple[Trial, StepOfPackage]:
        for trial in ranking(trials, plan.problem.direction):
            self._report(plan, trials, 0.8, f"Fitting {trial.name} on {plan.n_training:,} rows.")
            pack = partial(self._pack, plan, trial, runs[trial.name])
            step = msgspec.convert(self._job.step(f"package-{trial.name}", pack), StepOfPackage)
            if step.package is not None:
                return trial, step
            self._job.log(f"{trial.name} cannot be packaged: {step.reason}. Taking the next best.")
        raise Invalid(
            "None of the candidates could be packaged.",
            code="experiment.not_packaged",
            hint="The job's log says why for each; a larger budget may help.",
        )

    def _pack(self, plan: TrainingPlan, trial: Trial, run_id: str) -> dict[str, Any]:
        return _json(self._publication.package(plan, trial, run_id, self._deadline()))

    def _close_logbook(self, chosen: Trial, metrics: dict[str, Any]) -> None:
        def close() -> None:
            self._logbook.close(
                chosen=chosen.name,
                metrics=metrics,
                ended_at=self._clock.now(),
                cancelled=self._job.cancel_noticed,
            )

        try:
            self._job.step("close", close)
        except ArkwrightError as error:
            # The step was tried for half a minute, and the model is registered: a parent run that still says
            # "running" is no reason to lose it.
            self._job.log(f"The logbook's search could not be closed: {error.detail}")

    def _summary(
        self, plan: TrainingPlan, trials: Sequence[Trial], chosen: Trial, packed: StepOfPackage
    ) -> dict[str, Any]:
        cancelled = self._job.cancel_noticed
        notes = [*plan.notes]
        if packed.final is not None and packed.final.note:
            notes.append(f"{chosen.name}: {packed.final.note}.")
        if cancelled:
            notes.append("The search was cancelled early; the best candidate so far was kept.")
        return {
            "task": plan.decision.task,
            "classes": list(plan.decision.classes),
            "metric": plan.problem.metric,
            "direction": plan.problem.direction,
            "columns": msgspec.to_builtins(plan.columns),
            "n_rows": plan.n_rows,
            "n_training": plan.n_training,
            "n_holdout": plan.n_holdout,
            "n_folds": plan.problem.n_folds,
            "seed": plan.problem.seed,
            "chosen": chosen.name,
            "final": msgspec.to_builtins(packed.final),
            "parity": msgspec.to_builtins(packed.package),
            "effort": msgspec.to_builtins(self._effort(chosen, packed)),
            "leaderboard": msgspec.to_builtins(make_leaderboard(trials, plan.problem.direction)),
            "recommendation": recommendation(
                trials,
                chosen,
                metric=plan.problem.metric,
                task=plan.decision.task,
                target=plan.decision.target,
                cancelled=cancelled,
            ),
            "notes": notes,
            "cancelled_early": cancelled,
        }

    def _effort(self, chosen: Trial, packed: StepOfPackage) -> TrainingEffort:
        """Return what the model took: the chosen candidate's folds, and the fit on all training rows."""
        final = packed.final.seconds if packed.final is not None else 0.0
        return TrainingEffort(seconds=chosen.seconds + final, processors=self._pool.n_workers)

    def _finish(self, unit: UnitOfWork, summary: dict[str, Any]) -> dict[str, Any]:
        status = "cancelled" if summary["cancelled_early"] else "succeeded"
        evaluation_job_id = self._publication.start_evaluation(unit, summary["model_version_id"])
        summary = {**summary, "evaluation_job_id": evaluation_job_id}
        self._services.experiments.end(unit, self._row.id, self._job.job_id, status, summary)
        return {"status": status, "evaluation_job_id": evaluation_job_id}

    # Time and progress

    def _budget(self) -> Budget:
        return Budget(total_seconds=self._config.budget_seconds, spent_seconds=self._job.elapsed_seconds())

    def _deadline(self) -> Deadline:
        return Deadline.after(self._budget().remaining_seconds, time.monotonic)

    def _fraction(self, plan: TrainingPlan, position: float) -> float:
        """Return how far the search is: by candidates or by time, whichever is further."""
        done = max(position / len(self._candidates(plan)), self._job.elapsed_seconds() / self._config.budget_seconds)
        return _SEARCH_FROM + (_SEARCH_TO - _SEARCH_FROM) * min(1.0, done)

    def _report(self, plan: TrainingPlan, trials: Sequence[Trial], fraction: float, message: str, **data: Any) -> None:
        best = best_of(trials, plan.problem.direction)
        self._job.progress(
            fraction,
            message,
            metric=plan.problem.metric,
            direction=plan.problem.direction,
            best=best.name if best else None,
            best_score=best.score if best else None,
            seconds_left=self._budget().remaining_seconds,
            leaderboard=msgspec.to_builtins(make_leaderboard(trials, plan.problem.direction)),
            **data,
        )


def _json(value: msgspec.Struct) -> dict[str, Any]:
    converted: dict[str, Any] = msgspec.to_builtins(value)
    return converted


def _nothing_worked(trials: Sequence[Trial]) -> Invalid:
    errors = sorted({trial.error for trial in trials if trial.error})
    return Invalid(
        f"No candidate could be scored within the budget: {'; '.join(errors[:3]) or 'there was not enough time'}.",
        code="experiment.no_trial",
        hint="Give a larger budget, or look at the columns that the job's log mentions.",
    )


prepared(StepOfTrial)
