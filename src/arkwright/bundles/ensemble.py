"""Put models with encoders of their own together into one encoder and one average.

The members of an ensemble want their rows encoded in different ways: trees take codes and missing cells, a linear
model takes indicators and scaled numbers. The combined vector holds what each of them needs; what two of them share
is encoded once.
"""

from __future__ import annotations

from collections.abc import Sequence

from arkwright.bundles.encoder import Encoder
from arkwright.bundles.evaluators import AverageEvaluator, Evaluator, Member
from arkwright.bundles.kernels import FittedKernel


def combine_members(
    models: Sequence[tuple[Encoder, Evaluator]], weights: Sequence[float] | None = None
) -> tuple[Encoder, AverageEvaluator]:
    """Return the encoder and the evaluator of a weighted average of models.

    Parameters
    ----------
    models
        Each one's encoder and evaluator. Models that share an encoder may pass the same object.
    weights
        As they count: let them add up to 1. Equal by default.

    Returns
    -------
    tuple of Encoder and AverageEvaluator
        Its score is ``sum(weight * score)`` in the order of the models, alone and in batches to the last bit.

    Raises
    ------
    ValueError
        If there are no models, or their scores do not fit together.
    """
    shares = [1.0 / len(models)] * len(models) if weights is None else [float(weight) for weight in weights]
    kernels: list[FittedKernel] = []
    starts: list[int] = []
    width = 0
    members = []
    for (encoder, evaluator), share in zip(models, shares, strict=True):
        columns: list[int] = []
        for kernel in encoder.kernels:
            if kernel in kernels:
                start = starts[kernels.index(kernel)]
            else:
                start = width
                kernels.append(kernel)
                starts.append(start)
                width += len(kernel.outputs)
            columns.extend(range(start, start + len(kernel.outputs)))
        members.append(Member(evaluator, share, tuple(columns)))
    whole = tuple(range(width))
    plain = [Member(m.evaluator, m.weight, None if m.columns == whole else m.columns) for m in members]
    return Encoder(tuple(kernels)), AverageEvaluator(plain, n_features=width)
