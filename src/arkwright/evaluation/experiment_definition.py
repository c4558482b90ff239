"""What an experiment said it would show before it was trained, and what an evaluation takes over from it.

A criterion that is written down after the numbers are known proves little. So an experiment states its hypothesis, what
it is compared with and what counts as success when it is created, and every evaluation of its version is judged by
that, unless the request states something else.

References
----------
Nosek et al. (2018), "The preregistration revolution", PNAS 115(11): what is stated beforehand separates a prediction
from an explanation found afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from arkwright.contracts import Signature
from arkwright.contracts.signature import TaskType
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.evaluation_request import EvaluationRequest, check_metrics

_WORDS = {
    "hypothesis": "hypothesis",
    "guardrails": "guardrails",
    "criteria": "success criteria",
    "margin": "margin",
    "minimum_improvement": "minimum improvement",
    "baseline_version_id": "baseline",
}


class StatedDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment states; each is empty where it states nothing.

    ``baseline_version_id`` is the version to compare with. The primary metric is not here: it is the objective that the
    training was given, which is kept with the model.
    """

    hypothesis: str = ""
    baseline_version_id: str = ""
    guardrails: tuple[Guardrail, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    margin: float = 0.0
    minimum_improvement: float = 0.0


def with_definition(
    request: EvaluationRequest, stated: StatedDefinition, experiment_id: str, signature: Signature
) -> EvaluationRequest:
    """Fill in what a request leaves open with what the experiment states, and say so in its notes.

    Something that does not fit the model (the definition was checked when it was trained, so this is rare) is left out
    with a note: a person who asks for an evaluation did not write it.

    Examples
    --------
    >>> asked = EvaluationRequest(hypothesis="Mine.")
    >>> stated = StatedDefinition(hypothesis="Theirs.", minimum_improvement=0.01)
    >>> found = with_definition(asked, stated, "exp_1", Signature(task="binary", target="y", columns=()))
    >>> found.hypothesis, found.minimum_improvement, found.notes
    ('Mine.', 0.01, ('Definition stated in experiment exp_1: minimum improvement.',))
    """
    try:
        check_metrics(EvaluationRequest(guardrails=stated.guardrails, criteria=stated.criteria), signature)
    except Invalid as error:
        said = f"The definition of experiment {experiment_id} was not used: {error.detail}"
        return msgspec.structs.replace(request, notes=(*request.notes, said))
    taken: dict[str, Any] = {
        name: getattr(stated, name) for name in _WORDS if getattr(stated, name) and not getattr(request, name)
    }
    if not taken:
        return request
    said = f"Definition stated in experiment {experiment_id}: {', '.join(_WORDS[name] for name in taken)}."
    return msgspec.structs.replace(request, **taken, notes=(*request.notes, said))


def check_stated_metrics(stated: StatedDefinition, tasks: Sequence[TaskType]) -> None:
    """Refuse a metric that suits none of the tasks a training can turn out to be.

    Raises
    ------
    Invalid
        If there is one: for a single task with its metrics.

    Examples
    --------
    >>> recall = StatedDefinition(guardrails=(Guardrail(metric="recall"),))
    >>> check_stated_metrics(recall, ["binary", "regression"])
    >>> check_stated_metrics(recall, ["regression"])
    Traceback (most recent call last):
    arkwright.core.errors.Invalid: 'recall' is no metric of a regression model.
    """
    request = EvaluationRequest(guardrails=stated.guardrails, criteria=stated.criteria)
    problems: list[Invalid] = []
    for task in tasks:
        try:
            check_metrics(request, Signature(task=task, target="y", columns=(), classes=_CLASSES.get(task, ())))
        except Invalid as error:
            problems.append(error)
        else:
            return
    if len(problems) == 1:
        raise problems[0]
    raise Invalid(
        "The guardrails and success criteria name metrics that no one task has, whatever the task turns out to be.",
        code="evaluation.metric",
        hint=" ".join(f"{problem.detail} {problem.hint}" for problem in problems),
    )


_CLASSES: dict[TaskType, tuple[str, ...]] = {"binary": ("a", "b"), "multiclass": ("a", "b", "c")}

prepared(StatedDefinition)
