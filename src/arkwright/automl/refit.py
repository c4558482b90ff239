"""Fitting the chosen candidate on every row that is not held out, before the budget ends.

The rounds are the mean of the folds' best rounds. If the refit does not come to an end in time, or is cut short of
nine tenths of its rounds, the fold model with the most training behind it stands in: it has seen a fold less, but
its training was finished; the result says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from arkwright.automl.arrays import save_array
from arkwright.automl.budget import Deadline
from arkwright.automl.learners import CONSTANT, LEARNERS
from arkwright.automl.learners.ports import FloatArray
from arkwright.automl.model_files import read_encoder, read_evaluator, write_encoder, write_evaluator
from arkwright.automl.pool import KILL_GRACE_SECONDS, WorkerPool
from arkwright.automl.problem import ProblemFolder
from arkwright.automl.search import Trial
from arkwright.automl.training import RefitResult, encoded_path, refit_constant, refit_path, trial_path
from arkwright.automl.worker import Task
from arkwright.bundles import Encoder, Evaluator

ENOUGH_ROUNDS = 0.9
"""Share of the planned rounds below which a finished fold's model is the better one."""


class RefitFailed(Exception):
    """Neither the refit nor any fold of the trial left a model."""


class FinalModel(msgspec.Struct, frozen=True, kw_only=True):
    """The model that is packaged.

    Parameters
    ----------
    rounds
        That are in it.
    complete
        Whether it was trained for as long as planned, on all training rows.
    note
        What was different, for a person; empty where ``complete``.
    seconds
        How long the fit took by the clock on the wall, whether or not it came to an end.
    """

    name: str
    rounds: int
    complete: bool
    note: str = ""
    seconds: float = 0.0


def refit_trial(
    folder: ProblemFolder,
    pool: WorkerPool,
    trial: Trial,
    *,
    deadline: Deadline | None = None,
    on_wait: Callable[[], bool] | None = None,
) -> FinalModel:
    """Train the trial's candidate on all training rows, into ``refit/<name>/``.

    Parameters
    ----------
    on_wait
        Called ten times a second; a true answer gives the refit up.

    Raises
    ------
    RefitFailed
        If there is no model of this trial at all.
    """
    if trial.candidate.learner == CONSTANT:
        refit_constant(folder, trial.name)
        return FinalModel(name=trial.name, rounds=0, complete=True)
    # What does not stop when it is asked to is killed a grace later: at the deadline, not after it.
    ends_at = float("inf") if deadline is None else deadline.ends_at - KILL_GRACE_SECONDS
    task = Task(
        id=0,
        do="refit",
        folder=str(folder.path),
        candidate=trial.candidate,
        rounds=trial.rounds,
        ends_at=None if deadline is None else ends_at,
    )
    outcome = pool.run([task], ends_at=ends_at, cancelled=on_wait)[0]
    if outcome.result is not None:
        result = msgspec.convert(outcome.result, RefitResult)
        if not result.stopped:
            return FinalModel(name=trial.name, rounds=result.rounds, complete=True)
        reason = f"the budget was used up after {result.rounds} of {trial.rounds} rounds"
        if result.rounds >= ENOUGH_ROUNDS * trial.rounds or not has_stand_in(folder, trial):
            return FinalModel(name=trial.name, rounds=result.rounds, complete=False, note=f"training ended: {reason}")
    else:
        reason = outcome.error or "the budget was used up"
    fold = _longest_fold(folder, trial)
    if fold is None:
        raise RefitFailed(f"{trial.name} could not be fitted on all rows ({reason}), and no fold of it is at hand")
    _stand_in(folder, trial, fold)
    return FinalModel(
        name=trial.name,
        rounds=trial.rounds,
        complete=False,
        note=f"the model of fold {fold + 1} stands in, because the fit on all rows did not finish: {reason}",
    )


def has_stand_in(folder: ProblemFolder, trial: Trial) -> bool:
    """Tell whether a fold of the trial left a model on this machine."""
    return _longest_fold(folder, trial) is not None


def read_final_model(folder: ProblemFolder, name: str) -> tuple[Encoder, Evaluator, FloatArray]:
    """Return a refitted model's encoder and evaluator, and the training library's scores of the holdout."""
    path = refit_path(folder, name)
    return read_encoder(path), read_evaluator(path), np.load(path / "holdout_scores.npy")


def _longest_fold(folder: ProblemFolder, trial: Trial) -> int | None:
    def size(path: Path) -> int:
        return sum(file.stat().st_size for file in path.iterdir())

    folds = [path for path in trial_path(folder, trial.name).glob("fold*") if (path / "estimator.json").exists()]
    if not folds:
        return None
    # The file grows with the number of trees; equal sizes go to the first fold.
    best = min(folds, key=lambda path: (-size(path), path.name))
    return int(best.name.removeprefix("fold"))


def _stand_in(folder: ProblemFolder, trial: Trial, fold: int) -> None:
    layout = LEARNERS[trial.candidate.learner].layout
    encoder = read_encoder(encoded_path(folder, fold, layout))
    evaluator = read_evaluator(trial_path(folder, trial.name) / f"fold{fold}")
    out = refit_path(folder, trial.name)
    write_encoder(out, encoder)
    write_evaluator(out, evaluator)
    holdout = folder.inputs(folder.holdout_rows())
    save_array(out / "holdout_scores.npy", evaluator.scores_matrix(encoder.encode_columns(holdout)))
