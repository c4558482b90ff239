"""What would make a model cheaper to run, each hint with the measurement it rests on.

A hint is given only where a measurement supports it and names that measurement; what was not measured is listed with
what to measure. How much a quicker part saves of the whole is bounded by the share of time it takes (Amdahl), so the
gain of pruning trees is quoted on the evaluation's share of the time and no more.

References
----------
Amdahl (1967), "Validity of the Single Processor Approach", AFIPS (the gain is bounded by the share).
Caruana, Niculescu-Mizil, Crew & Ksikes (2004), "Ensemble Selection from Libraries of Models", ICML (members).
Bucila, Caruana & Niculescu-Mizil (2006), "Model Compression", KDD (distillation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import percentage, written
from arkwright.evaluation.latency import StageTime
from arkwright.evaluation.metric import METRICS

HintKind = Literal["encoding", "caching", "pruning", "fewer_members", "distillation", "quantisation", "compile"]

QUALITY_TOLERANCE = 0.0005
"""Loss that counts as none: absolute for metrics that end at 1, relative for errors. For an AUC it is less than half
its standard error on a holdout of 100,000 rows (Hanley & McNeil 1982, Radiology 143)."""

_LEAST_REPEATED = 0.05
_DOMINANT = 0.5
_LEAST_TIME_SAVED = 0.05
_LEAST_SIZE_SAVED = 0.1
_ENCODE, _EVALUATE, _PROCESS = "encode", "evaluate", "process"


class QualityAtSize(msgspec.Struct, frozen=True, kw_only=True):
    """The metric when only the first ``n_trees`` trees are used."""

    n_trees: int
    value: float


class MemberCost(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an ensemble: its share of the evaluation's time, and the metric of the ensemble without it."""

    name: str
    time_share: float
    value_without: float


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Another form of the model that was measured: its metric, and its time and size as a share of the model's.

    ``kind`` is ``quantisation`` for the same model in smaller numbers, ``distillation`` for a smaller model in its
    place, ``compile`` for a compiled form of a model that runs in a process of its own.
    """

    kind: Literal["quantisation", "distillation", "compile"]
    name: str
    value: float
    time_ratio: float | None = None
    size_ratio: float | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a model; leave out what was not.

    Parameters
    ----------
    metric, value
        The metric all qualities below are in, and the whole model's.
    stages
        Times of ``encode``, ``evaluate`` and, for a model in a process of its own, ``process`` (getting there).
    repeated_share
        Share of the sample's rows that repeat an earlier one (:func:`repeated_share`), 0 to 1.
    n_rows
        Rows of that sample.
    trees
        The metric at several numbers of trees, the whole model's included.
    members
        The members of an ensemble.
    alternatives
        Other forms of the model.
    """

    metric: str
    value: float
    stages: tuple[StageTime, ...] = ()
    repeated_share: float | None = None
    n_rows: int = 0
    trees: tuple[QualityAtSize, ...] = ()
    members: tuple[MemberCost, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do, the measured reason, and the gain to expect.

    ``time_saved`` and ``size_saved`` are shares of a prediction's time and of the model's bytes (0 to 1),
    ``quality_lost`` is in the metric, positive where the model gets worse. None where the measurement does not tell.
    """

    kind: HintKind
    reason: str
    action: str
    expected: str
    time_saved: float | None
    size_saved: float | None
    quality_lost: float | None


class NotConsidered(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of hint that nothing measured speaks for or against, and what to measure."""

    kind: HintKind
    reason: str


class OptimisationHints(msgspec.Struct, frozen=True, kw_only=True):
    """Hints, the one that saves most time first, and what could not be considered."""

    hints: tuple[Hint, ...]
    not_considered: tuple[NotConsidered, ...]


def find_optimisation_hints(measured: Measured, *, tolerance: float | None = None) -> OptimisationHints:
    """Turn measurements into hints.

    Parameters
    ----------
    tolerance
        The most of the metric that a change may cost; by default :data:`QUALITY_TOLERANCE`.

    Raises
    ------
    Invalid
        If the metric is not known, or a share is not between 0 and 1.

    Examples
    --------
    >>> found = find_optimisation_hints(Measured(metric="roc_auc", value=0.84, repeated_share=0.12, n_rows=5000))
    >>> found.hints[0].reason
    '12 % of the 5,000 rows repeat an earlier row of the sample'
    >>> [each.kind for each in found.not_considered]
    ['encoding', 'pruning', 'fewer_members', 'quantisation', 'distillation', 'compile']
    """
    _check(measured)
    accepted = QUALITY_TOLERANCE if tolerance is None else tolerance
    if tolerance is None and METRICS[measured.metric].direction == "minimize":
        accepted *= abs(measured.value)
    shares = {stage.name: stage.share for stage in measured.stages}
    kinds = [each.kind for each in measured.alternatives]
    hints: list[Hint] = []
    missing: list[NotConsidered] = []

    def consider(kind: HintKind, known: bool, needs: str, find: Callable[[], Hint | None]) -> None:
        if not known:
            missing.append(NotConsidered(kind=kind, reason=needs))
        elif (hint := find()) is not None:
            hints.append(hint)

    consider("encoding", shares.get(_ENCODE) is not None, "the time of the stages was not measured",
             lambda: _encoding(shares))  # fmt: skip
    consider("caching", measured.repeated_share is not None, "how many rows repeat was not measured",
             lambda: _caching(measured))  # fmt: skip
    consider("pruning", len(measured.trees) > 1, "the metric was not measured with fewer trees",
             lambda: _pruning(measured, shares, accepted))  # fmt: skip
    consider("fewer_members", len(measured.members) > 1, "no ensemble's members were measured one by one",
             lambda: _fewer_members(measured, shares, accepted))  # fmt: skip
    needs: dict[Literal["quantisation", "distillation", "compile"], str] = {
        "quantisation": "the model was not measured in smaller numbers",
        "distillation": "no smaller model was measured in its place",
        "compile": "no compiled form was measured beside the model",
    }
    for kind, need in needs.items():
        consider(kind, kind in kinds, need, lambda kind=kind: _alternative(measured, kind, shares, accepted))  # type: ignore[misc]
    order = sorted(hints, key=lambda hint: (-(hint.time_saved or 0.0), -(hint.size_saved or 0.0), hint.kind))
    return OptimisationHints(hints=tuple(order), not_considered=tuple(missing))


def repeated_share(columns: Mapping[str, npt.NDArray[Any]]) -> float:
    """Return the share of rows that are equal to an earlier row in every column; missing equals missing.

    Examples
    --------
    >>> age, plan = np.array([1.0, 2.0, 1.0, np.nan, np.nan]), np.array(["a", "a", "a", None, None])
    >>> repeated_share({"age": age, "plan": plan})
    0.4
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise Invalid(
            "There are no rows to compare, or the columns differ in length.",
            code="evaluation.columns",
            hint="Give one value for each row in every column, and at least one row.",
        )
    group = np.zeros(lengths.pop(), dtype=np.int64)
    for values in columns.values():
        codes = _codes(values)
        # Both factors are at most the number of rows, so their product fits.
        _, group = np.unique(group * (int(codes.max()) + 1) + codes, return_inverse=True)
    return 1.0 - (int(group.max()) + 1) / group.size


def _codes(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if values.dtype.kind == "O":
        known: dict[Any, int] = {}
        return np.array([known.setdefault(value, len(known)) for value in values.tolist()], dtype=np.int64)
    return np.unique(values, return_inverse=True, equal_nan=True)[1].astype(np.int64)


def _encoding(shares: Mapping[str, float | None]) -> Hint | None:
    share = shares[_ENCODE] or 0.0
    if share < _DOMINANT:
        return None
    return Hint(
        kind="encoding",
        reason=f"{percentage(share)} of a prediction's time is encoding",
        action="Encode fewer columns: leave out those whose permutation importance is not above zero.",
        expected=f"up to {percentage(share)} less time; a quicker evaluator alone could save at most "
        f"{percentage(1.0 - share)}",
        time_saved=share,
        size_saved=None,
        quality_lost=None,
    )


def _caching(measured: Measured) -> Hint | None:
    share = measured.repeated_share or 0.0
    if share < _LEAST_REPEATED:
        return None
    return Hint(
        kind="caching",
        reason=f"{percentage(share)} of the {measured.n_rows:,} rows repeat an earlier row of the sample",
        action="Switch the prediction cache on.",
        expected=f"up to {percentage(share)} of the predictions answered from the cache, if traffic repeats as the "
        "sample does",
        time_saved=share,
        size_saved=None,
        quality_lost=0.0,
    )


def _pruning(measured: Measured, shares: Mapping[str, float | None], tolerance: float) -> Hint | None:
    points = sorted(measured.trees, key=lambda point: point.n_trees)
    whole = points[-1]
    best = max(points, key=lambda point: METRICS[measured.metric].sign * point.value)
    # Within the tolerance of the best at *any* size: a plateau before a late rise is not taken for the end.
    enough = next(point for point in points if _lost(measured.metric, best.value, point.value) <= tolerance)
    spared = 1.0 - enough.n_trees / whole.n_trees
    evaluating = shares.get(_EVALUATE)
    saved = spared if evaluating is None else spared * evaluating
    if saved < _LEAST_TIME_SAVED and spared < _LEAST_SIZE_SAVED:
        return None
    title = METRICS[measured.metric].title
    of = "of the evaluation's time"
    if evaluating is not None:
        of = f"of the time (evaluation takes {percentage(evaluating)} of it)"
    return Hint(
        kind="pruning",
        reason=f"the trees after {enough.n_trees:,} of {whole.n_trees:,} add at most {written(tolerance, 2)} {title}",
        action=f"Keep the first {enough.n_trees:,} trees.",
        expected=f"about {percentage(saved)} less {of}, {percentage(spared)} fewer trees to store",
        time_saved=None if evaluating is None else saved,
        size_saved=spared,
        quality_lost=_lost(measured.metric, whole.value, enough.value),
    )


def _fewer_members(measured: Measured, shares: Mapping[str, float | None], tolerance: float) -> Hint | None:
    costs = {member.name: _lost(measured.metric, measured.value, member.value_without) for member in measured.members}
    spare = [member for member in measured.members if costs[member.name] <= tolerance]
    if not spare:
        return None
    dearest = max(spare, key=lambda member: (member.time_share, member.name))
    evaluating = shares.get(_EVALUATE)
    saved = dearest.time_share * (1.0 if evaluating is None else evaluating)
    if saved < _LEAST_TIME_SAVED:
        return None
    others = len(spare) - 1
    title = METRICS[measured.metric].title
    return Hint(
        kind="fewer_members",
        reason=f"without {dearest.name!r} the ensemble loses {written(max(costs[dearest.name], 0.0), 2)} {title}, and "
        f"it takes {percentage(dearest.time_share)} of the evaluation's time",
        action=f"Take {dearest.name!r} out of the ensemble and measure again."
        + (f" {others} more could go, each measured alone: not all at once." if others else ""),
        expected=f"about {percentage(saved)} less time{' in evaluation' if evaluating is None else ''}",
        time_saved=None if evaluating is None else saved,
        size_saved=None,
        quality_lost=costs[dearest.name],
    )


def _alternative(
    measured: Measured, kind: HintKind, shares: Mapping[str, float | None], tolerance: float
) -> Hint | None:
    """Return the hint for the alternative of a kind that saves most at an acceptable loss."""

    def saved(each: Alternative) -> tuple[float, float]:
        return 1.0 - (1.0 if each.time_ratio is None else each.time_ratio), 1.0 - (
            1.0 if each.size_ratio is None else each.size_ratio
        )

    fitting = [
        each
        for each in measured.alternatives
        if each.kind == kind
        and _lost(measured.metric, measured.value, each.value) <= tolerance
        and (saved(each)[0] >= _LEAST_TIME_SAVED or saved(each)[1] >= _LEAST_SIZE_SAVED)
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda each: (saved(each), each.name))
    time_saved, size_saved = saved(best)
    lost = _lost(measured.metric, measured.value, best.value)
    gains = [
        f"{percentage(gain)} less {what}"
        for gain, known, what in ((time_saved, best.time_ratio, "time"), (size_saved, best.size_ratio, "storage"))
        if known is not None
    ]
    change = "loses" if lost > 0 else "gains"
    reason = f"{best.name} was measured and {change} {written(abs(lost), 2)} {METRICS[measured.metric].title}"
    hop = shares.get(_PROCESS)
    if kind == "compile" and hop is not None:
        reason += f"; {percentage(hop)} of the time now is the way to the model's own process"
    actions = {
        "quantisation": f"Store and evaluate the model as {best.name}.",
        "distillation": f"Serve {best.name} in the model's place.",
        "compile": f"Serve the compiled form: {best.name}.",
    }
    return Hint(
        kind=kind,
        reason=reason,
        action=actions[kind],
        expected=", ".join(gains),
        time_saved=None if best.time_ratio is None else time_saved,
        size_saved=None if best.size_ratio is None else size_saved,
        quality_lost=lost,
    )


def _lost(metric: str, before: float, after: float) -> float:
    """Return how much worse ``after`` is, whatever the metric's direction."""
    return METRICS[metric].sign * (before - after)


def _check(measured: Measured) -> None:
    if measured.metric not in METRICS:
        raise Invalid(
            f"{measured.metric!r} is not a known metric.",
            code="evaluation.metric",
            hint=f"Use one of {', '.join(sorted(METRICS))}.",
        )
    shares: Sequence[tuple[str, float | None]] = [
        ("repeated_share", measured.repeated_share),
        *((f"members[{member.name!r}].time_share", member.time_share) for member in measured.members),
    ]
    wrong = [(name, value) for name, value in shares if value is not None and not 0.0 <= value <= 1.0]
    if wrong:
        raise Invalid(
            f"{wrong[0][0]} is {wrong[0][1]:g}: a share lies between 0 and 1.",
            code="evaluation.share",
            hint="Divide by the whole.",
            errors=[{"field": name, "message": "must lie between 0 and 1"} for name, _ in wrong],
        )
