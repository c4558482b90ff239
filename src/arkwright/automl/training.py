"""What one process does for a search: train one fold of one candidate, or refit one on all rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from arkwright.automl.arrays import save_array, write_atomically
from arkwright.automl.learners import CONSTANT, LEARNERS, EncodedRows, load_learner
from arkwright.automl.learners.constant import constant_scores
from arkwright.automl.learners.ports import FloatArray, Stop
from arkwright.automl.model_files import read_encoder, write_encoder, write_evaluator
from arkwright.automl.problem import Problem, ProblemFolder, balanced_weights
from arkwright.bundles import ConstantEvaluator, Layout, fit_encoder
from arkwright.core.structs import prepared
from arkwright.evaluation import score_metric


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to try: a learner and its settings."""

    name: str
    learner: str
    params: dict[str, Any] = {}


class FoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one fold.

    Parameters
    ----------
    rounds
        Where the score was best.
    stopped
        Whether time cut the training short.
    encode_seconds
        What encoding the fold took, now or for an earlier candidate.
    """

    fold: int
    score: float
    rounds: int
    stopped: bool
    fit_seconds: float = 0.0
    encode_seconds: float = 0.0


class RefitResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a refit; ``rounds`` are in the model."""

    rounds: int
    stopped: bool


def train_fold(folder: ProblemFolder, candidate: Candidate, fold: int, stop: Stop) -> FoldResult:
    """Train a candidate on all folds but one and score it on that one.

    Leaves the validation rows' scores and the model in ``trials/<name>/``.
    """
    problem = folder.problem()
    learner = load_learner(candidate.learner)
    train, validation, encode_seconds = encoded_fold(folder, problem, fold, LEARNERS[candidate.learner].layout)
    started = time.monotonic()
    model = learner.fit(train, problem.question, candidate.params, validation=validation, stop=stop)
    scores = model.scores(validation.X)
    out = trial_path(folder, candidate.name)
    save_array(out / f"fold{fold}.npy", scores)
    write_evaluator(out / f"fold{fold}", model.evaluator())
    return FoldResult(
        fold=fold,
        score=score_metric(problem.task, problem.metric, validation.y, scores),
        rounds=model.rounds,
        stopped=model.stopped,
        fit_seconds=time.monotonic() - started,
        encode_seconds=encode_seconds,
    )


def score_constant(folder: ProblemFolder, name: str, fold: int) -> FoldResult:
    """Score the trivial model on a fold; it needs no encoder, and no process of its own."""
    problem = folder.problem()
    folds, target = folder.folds(), folder.target()
    y = np.asarray(target[(folds >= 0) & (folds != fold)], dtype=np.float64)
    truth = np.asarray(target[folds == fold], dtype=np.float64)
    scores = np.tile(constant_scores(problem.question, y, _weights(problem, y)), (truth.size, 1))
    save_array(trial_path(folder, name) / f"fold{fold}.npy", scores)
    score = score_metric(problem.task, problem.metric, truth, scores)
    return FoldResult(fold=fold, score=score, rounds=0, stopped=False)


def refit(folder: ProblemFolder, candidate: Candidate, rounds: int, stop: Stop) -> RefitResult:
    """Train a candidate on every row that is not held out.

    Leaves the encoder, the model and the training library's own scores of the holdout in ``refit/<name>/``; the
    last are what the compiled predictor is compared with, and nothing here looks at the holdout's target.
    """
    problem = folder.problem()
    learner = load_learner(candidate.learner)
    rows = folder.training_rows()
    inputs = folder.inputs(rows)
    encoder = fit_encoder(problem.columns, inputs, layout=LEARNERS[candidate.learner].layout)
    y = np.asarray(folder.target()[rows], dtype=np.float64)
    train = EncodedRows(encoder.encode_columns(inputs), y, _weights(problem, y), encoder.categorical_feature)
    del inputs
    model = learner.fit(train, problem.question, candidate.params, rounds=max(1, rounds), stop=stop)
    out = refit_path(folder, candidate.name)
    write_encoder(out, encoder)
    write_evaluator(out, model.evaluator())
    holdout = folder.inputs(folder.holdout_rows())
    save_array(out / "holdout_scores.npy", model.scores(encoder.encode_columns(holdout)))
    return RefitResult(rounds=model.rounds, stopped=model.stopped)


def refit_constant(folder: ProblemFolder, name: str) -> RefitResult:
    """Fit the trivial model on every row that is not held out, here and now."""
    problem = folder.problem()
    rows = folder.training_rows()
    encoder = fit_encoder(problem.columns, folder.inputs(rows), layout=LEARNERS[CONSTANT].layout)
    y = np.asarray(folder.target()[rows], dtype=np.float64)
    answer = constant_scores(problem.question, y, _weights(problem, y))
    out = refit_path(folder, name)
    write_encoder(out, encoder)
    write_evaluator(out, ConstantEvaluator(answer.tolist(), n_features=encoder.n_outputs))
    save_array(out / "holdout_scores.npy", np.tile(answer, (folder.holdout_rows().size, 1)))
    return RefitResult(rounds=0, stopped=False)


def encoded_fold(
    folder: ProblemFolder, problem: Problem, fold: int, layout: Layout
) -> tuple[EncodedRows, EncodedRows, float]:
    """Return the training and validation part of a fold, encoded by an encoder that saw the training part only.

    The first candidate of a layout encodes; the others map what it left. The last value is how long it took.
    """
    cache = encoded_path(folder, fold, layout)
    folds, target = folder.folds(), folder.target()
    train_rows = np.flatnonzero((folds >= 0) & (folds != fold))
    validation_rows = np.flatnonzero(folds == fold)
    if (cache / "seconds.json").exists():
        encoder = read_encoder(cache)
    else:
        started = time.monotonic()
        inputs = folder.inputs(train_rows)
        encoder = fit_encoder(problem.columns, inputs, layout=layout)
        write_encoder(cache, encoder)
        save_array(cache / "train.npy", encoder.encode_columns(inputs))
        del inputs
        save_array(cache / "validation.npy", encoder.encode_columns(folder.inputs(validation_rows)))
        # Written last: where it is, everything is.
        write_atomically(cache / "seconds.json", msgspec.json.encode(time.monotonic() - started))
    y_train = np.asarray(target[train_rows], dtype=np.float64)
    y_validation = np.asarray(target[validation_rows], dtype=np.float64)
    codes = encoder.categorical_feature
    train = EncodedRows(_mapped(cache / "train.npy"), y_train, _weights(problem, y_train), codes, cache)
    validation = EncodedRows(_mapped(cache / "validation.npy"), y_validation, _weights(problem, y_validation), codes)
    return train, validation, msgspec.json.decode((cache / "seconds.json").read_bytes(), type=float)


def trial_path(folder: ProblemFolder, name: str) -> Path:
    """Return where a candidate's folds leave their results."""
    return folder.path / "trials" / name


def refit_path(folder: ProblemFolder, name: str) -> Path:
    """Return where a candidate's refit leaves its model."""
    return folder.path / "refit" / name


def encoded_path(folder: ProblemFolder, fold: int, layout: Layout) -> Path:
    """Return where a fold's encoder and arrays lie."""
    return folder.path / "encoded" / f"{layout}-{fold}"


def _weights(problem: Problem, y: FloatArray) -> FloatArray | None:
    return balanced_weights(y, problem.n_classes) if problem.balanced and problem.task != "regression" else None


def _mapped(path: Path) -> FloatArray:
    mapped: FloatArray = np.load(path, mmap_mode="r")
    return mapped


prepared(FoldResult, RefitResult)
