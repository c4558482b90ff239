"""A weighted average of a few members, each with its own part of the vector."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.errors import ContributionsUnavailable
from arkwright.bundles.evaluators.constant import ConstantEvaluator
from arkwright.bundles.evaluators.leaves import LeavesEvaluator
from arkwright.bundles.evaluators.lightgbm import LightGBMEvaluator
from arkwright.bundles.evaluators.linear import LinearEvaluator
from arkwright.bundles.evaluators.ports import Evaluator, EvaluatorState, Link
from arkwright.bundles.evaluators.trees import TreesEvaluator

_MEMBER_KINDS: dict[str, type[Evaluator]] = {
    kind.kind: kind for kind in (ConstantEvaluator, LeavesEvaluator, LightGBMEvaluator, LinearEvaluator, TreesEvaluator)
}

_TOLERANCE = 1e-14
"""A library that divides by the sum of the weights rounds once more than one whose weights add up to 1."""

_Scorer = tuple[Callable[[list[float]], Any] | None, Callable[[Any], list[float]], float]


@dataclass(frozen=True)
class Member:
    """One of those that are averaged.

    Attributes
    ----------
    evaluator
        Any kind but an average.
    weight
        Its share of the answer.
    columns
        Which entries of the vector it takes, in its own order; None for all of them.
    """

    evaluator: Evaluator
    weight: float
    columns: tuple[int, ...] | None = None


class AverageEvaluator:
    """``sum(weight * scores)`` over the members, in their order.

    Parameters
    ----------
    members
        At least one. The weights count as they are: let them add up to 1.
    n_features
        Length of the vector; by default as long as a member without ``columns`` takes.

    Notes
    -----
    Learners of one ensemble may want their rows encoded in different ways. Then the vector holds what each of them
    needs, and ``columns`` says who takes what: ``bundles.combine_members`` builds both from pairs of encoder and
    evaluator.

    Examples
    --------
    >>> from arkwright.bundles.evaluators.linear import LinearEvaluator
    >>> first, second = LinearEvaluator([1.0], 0.0, "identity"), LinearEvaluator([1.0, 1.0], 0.0, "identity")
    >>> AverageEvaluator([Member(first, 0.5, (1,)), Member(second, 0.5)]).scores_row([2.0, 4.0])
    [5.0]
    """

    kind: ClassVar[str] = "average"

    def __init__(self, members: Sequence[Member], *, n_features: int | None = None) -> None:
        if not members:
            raise ValueError("an average needs at least one member")
        widths = {member.evaluator.n_features for member in members if member.columns is None}
        self.n_features = n_features if n_features is not None else max(widths, default=0)
        if widths - {self.n_features}:
            raise ValueError(f"members without columns take {sorted(widths)} features, not {self.n_features}")
        if len({member.evaluator.n_outputs for member in members}) != 1:
            raise ValueError("the members give different numbers of scores")
        for member in members:
            _check(member, self.n_features)
        self.members = tuple(members)
        self.n_outputs = members[0].evaluator.n_outputs
        self.tolerance = max(_TOLERANCE, *(member.evaluator.tolerance for member in members))
        self._scorers: tuple[_Scorer, ...] = tuple(
            (_picker(member.columns), member.evaluator.scores_row, member.weight) for member in members
        )

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self.members, self.n_features)

    @property
    def link(self) -> Link:
        """The identity if the members' raw scores are averaged; ``other`` if only their answers are."""
        return "identity" if all(member.evaluator.link == "identity" for member in self.members) else "other"

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        if self.n_outputs == 1:
            total = 0.0
            for pick, score, weight in self._scorers:
                total += weight * score(vector if pick is None else pick(vector))[0]
            return [total]
        totals = [0.0] * self.n_outputs
        for pick, score, weight in self._scorers:
            scores = score(vector if pick is None else pick(vector))
            totals = [total + weight * value for total, value in zip(totals, scores, strict=True)]
        return totals

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix."""
        totals = np.zeros((X.shape[0], self.n_outputs))
        for member in self.members:
            part = X if member.columns is None else X[:, member.columns]
            totals += member.weight * member.evaluator.scores_matrix(part)
        return totals

    def contributions_row(self, vector: list[float]) -> list[list[float]]:
        """Return the weighted sum of the members' contributions.

        Raises
        ------
        ContributionsUnavailable
            If a member's scores are not its raw scores: an average of probabilities is no sum of log-odds.
        """
        self._check_link()
        totals = [[0.0] * (self.n_features + 1) for _ in range(self.n_outputs)]
        for member, (pick, _, weight) in zip(self.members, self._scorers, strict=True):
            columns = range(self.n_features) if member.columns is None else member.columns
            found = member.evaluator.contributions_row(vector if pick is None else list(pick(vector)))
            for total, shares in zip(totals, found, strict=True):
                for column, share in zip([*columns, self.n_features], shares, strict=True):
                    total[column] += weight * share
        return totals

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Return the same for the rows of a matrix."""
        self._check_link()
        totals = np.zeros((X.shape[0], self.n_outputs, self.n_features + 1))
        for member in self.members:
            columns = range(self.n_features) if member.columns is None else member.columns
            found = member.evaluator.contributions_matrix(X if member.columns is None else X[:, member.columns])
            # One column after the other: a member may take the same one twice.
            for index, column in enumerate([*columns, self.n_features]):
                totals[:, :, column] += member.weight * found[:, :, index]
        return totals

    def _check_link(self) -> None:
        if self.link != "identity":
            links = sorted({member.evaluator.link for member in self.members} - {"identity"})
            raise ContributionsUnavailable(
                f"The answer averages scores behind the links {', '.join(links)}: no feature has a share of it.",
                hint="Explain one of the members, or average models whose scores are sums (regression, forests).",
            )

    def dump(self) -> EvaluatorState:
        """Return the members' states, their files under names of their own."""
        listed, files = [], {}
        for index, member in enumerate(self.members):
            state = member.evaluator.dump()
            listed.append(
                {
                    "kind": member.evaluator.kind,
                    "weight": member.weight,
                    "columns": None if member.columns is None else list(member.columns),
                    "params": state.params,
                    "files": sorted(state.files),
                }
            )
            files.update({f"member{index}.{name}": data for name, data in state.files.items()})
        return EvaluatorState(params={"members": listed, "n_features": self.n_features}, files=files)

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """Rebuild the members."""
        members = []
        for index, stored in enumerate(params["members"]):
            if stored["kind"] not in _MEMBER_KINDS:
                raise ValueError(f"an average cannot have a member of kind {stored['kind']!r}")
            evaluator = _MEMBER_KINDS[stored["kind"]].load(
                stored["params"], {name: files[f"member{index}.{name}"] for name in stored["files"]}
            )
            columns = None if stored["columns"] is None else tuple(map(int, stored["columns"]))
            members.append(Member(evaluator, float(stored["weight"]), columns))
        return cls(members, n_features=int(params["n_features"]))


def _rebuild(kind: type[AverageEvaluator], members: tuple[Member, ...], n_features: int) -> AverageEvaluator:
    return kind(members, n_features=n_features)


def _check(member: Member, n_features: int) -> None:
    if member.evaluator.kind not in _MEMBER_KINDS:
        raise ValueError(f"an average cannot have a member of kind {member.evaluator.kind!r}")
    if not (np.isfinite(member.weight) and member.weight >= 0.0):
        raise ValueError(f"a member's weight is a finite number from 0 on, this is {member.weight}")
    if member.columns is None:
        return
    if len(member.columns) != member.evaluator.n_features:
        raise ValueError(f"a member takes {member.evaluator.n_features} features and has {len(member.columns)} columns")
    if not all(0 <= column < n_features for column in member.columns):
        raise ValueError(f"a member's columns lie from 0 to {n_features - 1}")


def _picker(columns: tuple[int, ...] | None) -> Callable[[list[float]], Any] | None:
    """Return the quickest way to a member's part of the vector."""
    if not columns:
        return None if columns is None else operator.itemgetter(slice(0, 0))
    if columns == tuple(range(columns[0], columns[0] + len(columns))):
        return operator.itemgetter(slice(columns[0], columns[0] + len(columns)))
    return operator.itemgetter(*columns)
