"""The search: candidates over folds, within a deadline, keeping the best so far.

:class:`Search` evaluates one candidate at a time, its folds in parallel; :func:`run_search` goes through a list.
A durable job calls :meth:`Search.evaluate` itself, one step per candidate. For a fixed list of candidates that
no deadline cut short the results are the same to the last bit, however many processes did the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np

from arkwright.automl.budget import Deadline, fold_seconds_allowed, refit_seconds
from arkwright.automl.learners import CONSTANT, LEARNERS
from arkwright.automl.pool import Outcome, WorkerPool
from arkwright.automl.problem import ProblemFolder
from arkwright.automl.training import Candidate, FoldResult, score_constant, trial_path
from arkwright.automl.worker import Task
from arkwright.evaluation import METRICS

UNINTERRUPTIBLE_SHARE = 0.25
"""A learner that cannot be asked to stop may use this share of the time that is left, and is killed then."""

TrialStatus = Literal["succeeded", "failed", "stopped", "skipped"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a candidate.

    Parameters
    ----------
    status
        ``succeeded``: scored on every fold; ``failed``: a fold raised, see ``error``; ``stopped``: time ran out or
        somebody cancelled before every fold was done; ``skipped``: there was no time to begin.
    score, score_std
        Mean and standard deviation of the folds' scores.
    rounds
        Mean of the folds' best rounds, for the refit.
    truncated
        Whether a fold's training was cut short by time; its score is honest, but not reproducible.
    seconds
        Wall-clock time; ``fold_seconds`` is what a fold took on average, its encoding included whoever did it.
    """

    candidate: Candidate
    status: TrialStatus
    score: float | None = None
    score_std: float | None = None
    fold_scores: tuple[float, ...] = ()
    rounds: int = 0
    truncated: bool = False
    seconds: float = 0.0
    fold_seconds: float = 0.0
    error: str = ""

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name


class SearchProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What a search says while it works: the trial under way, or just ended, and the best so far."""

    trial: str
    position: int
    n_trials: int
    folds_done: int
    n_folds: int
    ended: bool = False
    score: float | None = None
    best: str = ""
    best_score: float | None = None


def best_of(trials: Sequence[Trial], direction: str) -> Trial | None:
    """Return the best scored trial, the earlier one of equals; None if none was scored.

    Examples
    --------
    >>> one = Trial(candidate=Candidate(name="a", learner="linear"), status="succeeded", score=0.8)
    >>> two = Trial(candidate=Candidate(name="b", learner="linear"), status="succeeded", score=0.7)
    >>> best_of([one, two], "maximize").name, best_of([one, two], "minimize").name
    ('a', 'b')
    """
    ranked = ranking(trials, direction)
    return ranked[0] if ranked else None


def ranking(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """Return the scored trials, best first; equals keep their order."""
    scored = [trial for trial in trials if trial.status == "succeeded" and trial.score is not None]
    sign = -1.0 if direction == "maximize" else 1.0
    return sorted(scored, key=lambda trial: sign * (trial.score or 0.0))


class Search:
    """Evaluates candidates on one problem.

    Parameters
    ----------
    folder
        Where the problem lies.
    pool
        The processes that train.
    now
        The monotonic clock that deadlines are on.
    """

    def __init__(self, folder: ProblemFolder, pool: WorkerPool, now: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.problem = folder.problem()
        self._pool = pool
        self._now = now

    def evaluate(
        self,
        candidate: Candidate,
        *,
        deadline: Deadline | None = None,
        reserve_seconds: float = 0.0,
        cancelled: Callable[[], bool] | None = None,
        on_fold: Callable[[int], None] | None = None,
    ) -> Trial:
        """Train and score a candidate on every fold.

        Parameters
        ----------
        deadline
            When the whole budget ends, refit included; None for no limit.
        reserve_seconds
            What must be left then for the refit of the best so far.
        on_fold
            Called with the number of folds that are done.
        """
        started = self._now()
        if candidate.learner == CONSTANT:
            return self._constant(candidate, started, on_fold)
        seconds, ends_at = None, float("inf")
        if deadline is not None:
            ends_at = deadline.ends_at - reserve_seconds
            # Loading libraries costs the budget, but not the share of the candidate that happens to be first.
            self._pool.wait_until_ready(ends_at=ends_at, cancelled=cancelled)
            if not LEARNERS[candidate.learner].interruptible:
                ends_at = min(ends_at, self._now() + UNINTERRUPTIBLE_SHARE * deadline.remaining_seconds)
            seconds = fold_seconds_allowed(
                max(0.0, ends_at - self._now()),
                deadline.remaining_seconds,
                n_folds=self.problem.n_folds,
                n_workers=self._pool.n_workers,
            )
            if seconds == 0.0:
                return Trial(candidate=candidate, status="skipped")
        done = 0

        def count(_outcome: Outcome) -> None:
            nonlocal done
            done += 1
            if on_fold is not None:
                on_fold(done)

        tasks = [
            Task(
                id=0,
                do="fold",
                folder=str(self.folder.path),
                candidate=candidate,
                fold=fold,
                ends_at=None if deadline is None else ends_at,
                seconds=seconds,
            )
            for fold in range(self.problem.n_folds)
        ]
        outcomes = self._pool.run(tasks, ends_at=ends_at, cancelled=cancelled, on_outcome=count)
        was_cancelled = cancelled is not None and cancelled()
        return self._trial(candidate, outcomes, self._now() - started, was_cancelled=was_cancelled)

    def _constant(self, candidate: Candidate, started: float, on_fold: Callable[[int], None] | None) -> Trial:
        """Score the trivial model here and now: what everything is measured by must not wait for a process."""
        results = []
        for fold in range(self.problem.n_folds):
            results.append(score_constant(self.folder, candidate.name, fold))
            if on_fold is not None:
                on_fold(fold + 1)
        outcomes = [
            Outcome(Task(id=0, do="fold", folder="", candidate=candidate), msgspec.to_builtins(r)) for r in results
        ]
        return self._trial(candidate, outcomes, self._now() - started, was_cancelled=False)

    def reserve_seconds(self, best: Trial | None) -> float:
        """Return how long the refit of a trial is expected to take."""
        return refit_seconds(best.fold_seconds if best is not None else 0.0, self.problem.n_folds)

    def out_of_fold(self, name: str) -> np.ndarray:
        """Return a finished trial's scores of every training row, NaN for the holdout; shape (n_rows, n_outputs)."""
        folds = self.folder.folds()
        scores = np.full((folds.size, self.problem.question.n_outputs), np.nan)
        for fold in range(self.problem.n_folds):
            scores[folds == fold] = np.load(trial_path(self.folder, name) / f"fold{fold}.npy")
        return scores

    def _trial(
        self, candidate: Candidate, outcomes: Sequence[Outcome], seconds: float, *, was_cancelled: bool
    ) -> Trial:
        errors = [outcome.error for outcome in outcomes if outcome.error]
        results = [msgspec.convert(outcome.result, FoldResult) for outcome in outcomes if outcome.result is not None]
        fold_seconds = (
            float(np.mean([result.fit_seconds + result.encode_seconds for result in results])) if results else 0.0
        )
        trial = Trial(candidate=candidate, status="stopped", seconds=seconds, fold_seconds=fold_seconds)
        if errors:
            return msgspec.structs.replace(trial, status="failed", error=errors[0])
        stopped = any(result.stopped for result in results)
        if len(results) < len(outcomes) or (stopped and was_cancelled):
            return trial
        scores = np.array([result.score for result in results])
        if not np.isfinite(scores).all():
            error = f"{METRICS[self.problem.metric].title} is not defined on every fold"
            return msgspec.structs.replace(trial, status="failed", error=error)
        return msgspec.structs.replace(
            trial,
            status="succeeded",
            score=float(scores.mean()),
            score_std=float(scores.std()),
            fold_scores=tuple(scores.tolist()),
            rounds=round(float(np.mean([result.rounds for result in results]))),
            truncated=stopped,
        )


def run_search(
    search: Search,
    candidates: Sequence[Candidate],
    *,
    deadline: Deadline | None = None,
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
) -> list[Trial]:
    """Evaluate candidates in their order until they, or the time, are used up.

    Returns
    -------
    list of Trial
        One for each candidate that was begun or skipped; :func:`best_of` tells the winner.
    """
    trials: list[Trial] = []
    for position, candidate in enumerate(candidates):
        if cancelled is not None and cancelled():
            break
        best = best_of(trials, search.problem.direction)
        report = SearchProgress(
            trial=candidate.name,
            position=position,
            n_trials=len(candidates),
            folds_done=0,
            n_folds=search.problem.n_folds,
            best=best.name if best else "",
            best_score=best.score if best else None,
        )

        def on_fold(done: int, report: SearchProgress = report) -> None:
            if progress is not None:
                progress(msgspec.structs.replace(report, folds_done=done))

        trial = search.evaluate(
            candidate,
            deadline=deadline,
            reserve_seconds=search.reserve_seconds(best),
            cancelled=cancelled,
            on_fold=on_fold,
        )
        trials.append(trial)
        best = best_of(trials, search.problem.direction)
        if progress is not None:
            ended = msgspec.structs.replace(
                report,
                folds_done=len(trial.fold_scores),
                ended=True,
                score=trial.score,
                best=best.name if best else "",
                best_score=best.score if best else None,
            )
            progress(ended)
    return trials
