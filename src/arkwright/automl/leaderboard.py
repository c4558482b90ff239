"""The leaderboard, and what it says to a person who has to decide (AML-16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from arkwright.automl.learners import LEARNERS
from arkwright.automl.portfolio import BASELINE
from arkwright.automl.search import Trial, ranking
from arkwright.contracts.signature import TaskType
from arkwright.evaluation import METRICS


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the leaderboard; ``rank`` is None where the candidate has no score."""

    rank: int | None
    name: str
    learner: str
    status: str
    score: float | None
    score_std: float | None
    fold_scores: tuple[float, ...]
    seconds: float
    params: dict[str, Any]
    rounds: int = 0
    truncated: bool = False
    note: str = ""


def make_leaderboard(trials: Sequence[Trial], direction: str) -> tuple[Entry, ...]:
    """Return every trial, the scored ones first and best first."""
    ranked = ranking(trials, direction)
    rest = [trial for trial in trials if trial not in ranked]
    entries = [_entry(trial, rank) for rank, trial in enumerate(ranked, start=1)]
    return (*entries, *(_entry(trial, None) for trial in rest))


def recommendation(
    trials: Sequence[Trial], chosen: Trial, *, metric: str, task: TaskType, target: str, cancelled: bool = False
) -> str:
    """Say in plain words which model was chosen, why, and what it is worth.

    Parameters
    ----------
    chosen
        The trial that was packaged.
    cancelled
        Whether somebody ended the search early.
    """
    info = METRICS[metric]
    ranked = ranking(trials, info.direction)
    baseline = next((trial for trial in ranked if trial.name == BASELINE), None)
    spread = f"plus or minus {chosen.score_std:.2g} between folds"
    better = "more" if info.direction == "maximize" else "less"
    sentences = [
        f"The recommended model for {target!r} is {chosen.name}, {LEARNERS[chosen.candidate.learner].title}.",
        f"Its cross-validated {info.title} is {chosen.score:.4g} ({spread}); {better} is better.",
    ]
    if chosen.name == BASELINE:
        trivial = "the mean" if task == "regression" else "the majority class"
        sentences.append(f"That is no more than always answering {trivial}. {_why_trivial(ranked, target)}")
    elif baseline is not None and baseline.score is not None and chosen.score is not None:
        sentences.append(_against_baseline(chosen.score, baseline.score, task))
    rivals = [trial for trial in ranked if trial.name not in {chosen.name, BASELINE}]
    if rivals and chosen.name != BASELINE and chosen.score is not None:
        sentences.append(_against_rival(chosen, rivals[0]))
    passed_over = ranked[: ranked.index(chosen)] if chosen in ranked else []
    if passed_over:
        sentences.append(f"{passed_over[0].name} scored better but could not be packaged, so the next best was taken.")
    sentences.append(_tally(trials, cancelled))
    return " ".join(sentences)


def _entry(trial: Trial, rank: int | None) -> Entry:
    note = trial.error
    if trial.truncated:
        note = "training was cut short by the time budget"
    elif trial.status == "skipped":
        note = "there was no time left for it"
    elif trial.status == "stopped":
        note = "it was ended before every fold was done"
    return Entry(
        rank=rank,
        name=trial.name,
        learner=trial.candidate.learner,
        status=trial.status,
        score=trial.score,
        score_std=trial.score_std,
        fold_scores=trial.fold_scores,
        seconds=trial.seconds,
        params=trial.candidate.params,
        rounds=trial.rounds,
        truncated=trial.truncated,
        note=note,
    )


def _why_trivial(ranked: Sequence[Trial], target: str) -> str:
    """Say why the trivial model won: nothing was found, or nothing else was looked at."""
    if all(trial.name == BASELINE for trial in ranked):
        return "No other model could be compared: give a larger budget. Do not use this one."
    return (
        f"The columns say nothing about {target!r} that these models could find. Do not use it; look for other columns."
    )


def _against_baseline(score: float, baseline: float, task: TaskType) -> str:
    what = "Always answering the mean" if task == "regression" else "Always answering by class frequency"
    change = ""
    if task == "regression" and baseline > 0 and score < baseline:
        change = f", so the error is {100 * (1 - score / baseline):.0f} % smaller"
    return f"{what} reaches {baseline:.4g}{change}."


def _against_rival(chosen: Trial, rival: Trial) -> str:
    gap = abs((chosen.score or 0.0) - (rival.score or 0.0))
    spread = max(chosen.score_std or 0.0, rival.score_std or 0.0)
    if gap < 0.5 * spread:
        return f"The next best, {rival.name}, is practically as good ({rival.score:.4g})."
    return f"The next best is {rival.name} with {rival.score:.4g}."


def _tally(trials: Sequence[Trial], cancelled: bool) -> str:
    scored = sum(trial.status == "succeeded" for trial in trials)
    text = f"{scored} of {len(trials)} candidates were compared"
    troubles = [
        f"{count} {words}"
        for status, words in (("failed", "failed"), ("skipped", "found no time"), ("stopped", "were not finished"))
        if (count := sum(trial.status == status for trial in trials))
    ]
    if troubles:
        text += f" ({', '.join(troubles)})"
    return text + (", because the search was cancelled early." if cancelled else ".")
