"""How the model does where it saw little: rare classes and rare levels of a category."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.core.written_numbers import percentage
from arkwright.evaluation.classification import predicted_codes
from arkwright.evaluation.intervals import Interval, bootstrap, interval, rare_classes
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.probe import as_text, inputs_of
from arkwright.evaluation.report import as_probability
from arkwright.evaluation.scored_table import Columns
from arkwright.evaluation.skill import Yardstick, metrics_of, not_computable, yardstick

MAX_SHARE = 0.05
"""A class or level with at most this share of the rows is rare."""

MIN_ROWS = 10
"""A slice with fewer rows gets no number: a share of nine rows moves by eleven percent with each."""

_MAX_SLICES = 30


class RareSlice(msgspec.Struct, frozen=True, kw_only=True):
    """One rare class or level.

    ``metric`` is the metric of the rows of a level, and the recall of a class (of one class alone, nothing else is
    defined). ``overall`` is the same metric over all rows; for a class the mean recall over classes.
    """

    kind: Literal["class", "level"]
    column: str
    level: str
    n_rows: int
    share: float
    metric: str
    value: Interval
    overall: float | None


class RareSlices(msgspec.Struct, frozen=True, kw_only=True):
    """The rare slices, largest first; ``n_left_out`` of them are over the limit of 30."""

    max_share: float
    slices: tuple[RareSlice, ...] = ()
    n_left_out: int = 0
    reason: str = ""


def rare_slices(
    signature: Signature,
    columns: Columns,
    truth: npt.NDArray[Any],
    scores: FloatArray,
    *,
    seed: int,
    metric: str | None = None,
    max_share: float = MAX_SHARE,
    n_resamples: int = 200,
) -> RareSlices:
    """Measure each class and each level of a categorical column that has at most ``max_share`` of the rows.

    A missing category is a level of its own, named by the empty text.

    Parameters
    ----------
    truth
        Class codes in the order of ``signature.classes``, or float values for regression.
    scores
        The model's, for these rows: finite, of shape ``(n_rows, k)``.

    Raises
    ------
    Invalid
        If an input column is missing, or the truth or the metric does not fit.
    """
    inputs = inputs_of(signature, columns)
    stick = yardstick(signature, truth, scores, metric)
    n_rows = stick.truth.size
    found: list[tuple[Literal["class", "level"], str, str, npt.NDArray[np.bool_]]] = []
    if signature.task != "regression":
        found += [
            ("class", signature.target, str(label), stick.truth == code)
            for code, label in enumerate(signature.classes)
            if (stick.truth == code).mean() <= max_share
        ]
    for column in signature.columns:
        if column.kind == "categorical":
            text = as_text(inputs[column.name])
            levels, counts = np.unique(text, return_counts=True)
            found += [
                ("level", column.name, str(level), text == level) for level in levels[counts <= max_share * n_rows]
            ]
    found.sort(key=lambda item: (-np.count_nonzero(item[3]), item[0], item[1], item[2]))
    overall = {
        "class": None
        if signature.task == "regression"
        else float(metrics_of(signature.task, stick.truth, scores)["recall_macro"]),
        "level": stick.clean if np.isfinite(stick.clean) else None,
    }
    slices = tuple(
        RareSlice(
            kind=kind,
            column=column_name,
            level=level,
            n_rows=int(np.count_nonzero(member)),
            share=float(member.mean()),
            metric="recall" if kind == "class" else stick.metric,
            value=_recall(stick, scores, member, seed, n_resamples)
            if kind == "class"
            else _on_slice(stick, scores, member, seed, n_resamples),
            overall=overall[kind],
        )
        for kind, column_name, level, member in found[:_MAX_SLICES]
    )
    return RareSlices(
        max_share=max_share,
        slices=slices,
        n_left_out=max(0, len(found) - _MAX_SLICES),
        reason="" if found else f"no class and no level has {percentage(max_share)} of the rows or less",
    )


def _too_few(member: npt.NDArray[np.bool_]) -> str:
    n_rows = int(np.count_nonzero(member))
    if n_rows >= MIN_ROWS:
        return ""
    return f"the slice has {n_rows} {'row' if n_rows == 1 else 'rows'}, at least {MIN_ROWS} are needed"


def _recall(
    stick: Yardstick, scores: FloatArray, member: npt.NDArray[np.bool_], seed: int, n_resamples: int
) -> Interval:
    if reason := _too_few(member):
        return not_computable(reason)
    codes = predicted_codes(as_probability(stick.task, scores))[member]
    hit = (codes == stick.truth[member]).astype(np.float64)
    replicates = bootstrap(
        lambda weights: {"recall": weights @ hit / hit.size}, hit.size, seed=seed, n_resamples=n_resamples
    )
    return interval(hit.mean(), replicates["recall"])


def _on_slice(
    stick: Yardstick, scores: FloatArray, member: npt.NDArray[np.bool_], seed: int, n_resamples: int
) -> Interval:
    if reason := _too_few(member):
        return not_computable(reason)
    truth, given = stick.truth[member], scores[member]
    value = float(metrics_of(stick.task, truth, given)[stick.metric])
    if not np.isfinite(value):
        return not_computable("the slice has rows of one class only" if stick.task != "regression" else "undefined")
    strata = None if stick.task == "regression" else rare_classes(truth.astype(np.int64))
    replicates = bootstrap(
        lambda weights: {"metric": np.asarray(metrics_of(stick.task, truth, given, weights)[stick.metric])},
        truth.size,
        seed=seed,
        n_resamples=n_resamples,
        strata=strata,
    )
    return interval(value, replicates["metric"])
