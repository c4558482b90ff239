"""From a table and a target to a chosen model.

The task is read off the target (:func:`detect_task`), a holdout is set aside and the rest split into folds
(:func:`assign_rows`), a small portfolio of candidates is scored on the folds by training processes within a hard
time budget (:class:`Search`, :class:`WorkerPool`), and the best is fitted again on all training rows
(:func:`refit_trial`). :class:`ExperimentService` keeps experiments; ``jobs`` holds the durable training job, whose
trials are MLflow runs. The seams for what comes later: learners (``LEARNERS``), the search, and the out-of-fold
scores that an ensemble needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.automl.budget import Budget, Deadline
    from arkwright.automl.leaderboard import make_leaderboard, recommendation
    from arkwright.automl.learners import LEARNERS, Learner
    from arkwright.automl.objective import Objective, resolve_objective
    from arkwright.automl.outcomes import ExperimentOutcomes
    from arkwright.automl.pool import WorkerPool
    from arkwright.automl.portfolio import candidates_for
    from arkwright.automl.problem import Problem, ProblemFolder
    from arkwright.automl.refit import refit_trial
    from arkwright.automl.retraining import TrialRetraining
    from arkwright.automl.search import Search, SearchProgress, Trial, best_of, run_search
    from arkwright.automl.service import ExperimentService
    from arkwright.automl.splits import assign_rows
    from arkwright.automl.task import TaskDecision, detect_task, encode_target
    from arkwright.automl.training import Candidate

_HOMES = {
    "Budget": "budget",
    "Candidate": "training",
    "Deadline": "budget",
    "ExperimentOutcomes": "outcomes",
    "ExperimentService": "service",
    "LEARNERS": "learners",
    "Learner": "learners",
    "Objective": "objective",
    "Problem": "problem",
    "ProblemFolder": "problem",
    "Search": "search",
    "SearchProgress": "search",
    "TaskDecision": "task",
    "Trial": "search",
    "TrialRetraining": "retraining",
    "WorkerPool": "pool",
    "assign_rows": "splits",
    "best_of": "search",
    "candidates_for": "portfolio",
    "detect_task": "task",
    "encode_target": "task",
    "make_leaderboard": "leaderboard",
    "recommendation": "leaderboard",
    "refit_trial": "refit",
    "resolve_objective": "objective",
    "run_search": "search",
}

__all__ = [
    "LEARNERS",
    "Budget",
    "Candidate",
    "Deadline",
    "ExperimentOutcomes",
    "ExperimentService",
    "Learner",
    "Objective",
    "Problem",
    "ProblemFolder",
    "Search",
    "SearchProgress",
    "TaskDecision",
    "Trial",
    "TrialRetraining",
    "WorkerPool",
    "assign_rows",
    "best_of",
    "candidates_for",
    "detect_task",
    "encode_target",
    "make_leaderboard",
    "recommendation",
    "refit_trial",
    "resolve_objective",
    "run_search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
