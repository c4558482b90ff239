"""From scores to answers in the shape of the wire, the same for every way of computing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray
from arkwright.contracts import Signature
from arkwright.contracts.signature import Label

POSITIVE_THRESHOLD = 0.5
"""A binary score at or above it is labelled positive."""

RowAnswer = Callable[[list[float], bool], dict[str, Any]]


def n_scores(signature: Signature) -> int:
    """Return how many scores a row has: one per class for multiclass, else one."""
    return len(signature.classes) if signature.task == "multiclass" else 1


class Answers:
    """What a signature's scores mean.

    Attributes
    ----------
    of_row
        From one row's scores to its answer; the second argument asks for every class's score.

    Examples
    --------
    >>> signature = Signature(task="binary", target="churn", columns=(), classes=("No", "Yes"))
    >>> Answers(signature).of_row([0.7], False)
    {'label': 'Yes', 'score': 0.7}
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        kinds = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
        self.of_row: RowAnswer = kinds[signature.task](signature.classes)

    def of_scores(self, scores: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Turn a table's scores into the answer's columns: ``label`` (object) and ``score``, or ``value``."""
        if self._signature.task == "regression":
            return {"value": scores[:, 0]}
        classes = np.empty(len(self._signature.classes), dtype=object)
        classes[:] = self._signature.classes
        if self._signature.task == "binary":
            return {"label": classes[(scores[:, 0] >= POSITIVE_THRESHOLD).astype(np.intp)], "score": scores[:, 0]}
        best = scores.argmax(axis=1)
        return {"label": classes[best], "score": scores[np.arange(best.size), best]}


def _binary(classes: tuple[Label, ...]) -> RowAnswer:
    def answer(scores: list[float], with_scores: bool) -> dict[str, Any]:  # noqa: ARG001 - one shape of answer
        return {"label": classes[scores[0] >= POSITIVE_THRESHOLD], "score": scores[0]}

    return answer


def _multiclass(classes: tuple[Label, ...]) -> RowAnswer:
    names = tuple(map(str, classes))

    def answer(scores: list[float], with_scores: bool) -> dict[str, Any]:
        score = max(scores)
        found: dict[str, Any] = {"label": classes[scores.index(score)], "score": score}
        if with_scores:
            found["scores"] = dict(zip(names, scores, strict=True))
        return found

    return answer


def _regression(classes: tuple[Label, ...]) -> RowAnswer:  # noqa: ARG001 - it has none
    def answer(scores: list[float], with_scores: bool) -> dict[str, Any]:  # noqa: ARG001 - one shape of answer
        return {"value": scores[0]}

    return answer
