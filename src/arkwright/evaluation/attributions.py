"""Shapley values: what each column added to a row's score, exactly where the model allows it, sampled otherwise.

*Exact.* Trees, linear models and sums of them have their shares computed in the bundle
(:meth:`arkwright.bundles.Predictor.contributions_columns`), on the raw scale (log-odds for most classifiers). For
trees the expectation over absent columns follows the share of training rows on each path; a linear model's is taken
over the background where one is given, else over the training means.

*Sampled.* Any other model is asked about mixtures of the row and background rows (:mod:`.shapley_sampling`), and the
shares are on the scale of the score itself.

References
----------
Shapley (1953), "A value for n-person games".
Lundberg, Erion & Lee (2018), "Consistent Individualized Feature Attribution for Tree Ensembles": path-dependent trees.
Lundberg & Lee (2017), "A Unified Approach to Interpreting Model Predictions": linear models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from arkwright.bundles import ContributionsUnavailable, Predictor, check_columns
from arkwright.contracts.signature import Label
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import Columns, Predict, n_rows_of, sample_rows, scores_of, take
from arkwright.evaluation.shapley_sampling import DEFAULT_PAIRS, sample_shapley

MAX_SAMPLED_ROWS = 500
VALUE = "value"
"""The name of a regression's one output."""

Method = Literal["trees", "linear", "sum", "constant", "sampled"]
Scale = Literal["identity", "sigmoid", "softmax", "ovr", "exp", "other"]

_METHODS: dict[str, Method] = {"linear": "linear", "constant": "constant", "average": "sum"}


@dataclass(frozen=True)
class Attributions:
    """Shapley values of a table's rows.

    Attributes
    ----------
    names
        The columns, of length n_columns.
    outputs
        What each output is the score of: a class (binary: the positive one alone), or ``"value"``.
    rows
        Which rows of the table were explained, of shape (n_rows,).
    table
        Those rows' cells, by column.
    shares
        Of shape (n_rows, n_outputs, n_columns).
    base
        The expected raw score, of shape (n_outputs,).
    scores
        The model's answers, of shape (n_rows, n_outputs).
    scale
        What turns ``base + shares.sum()`` into the score.
    method
        How the shares were found; all but ``sampled`` are exact.
    standard_errors
        Of sampled shares, as ``shares``; None where they are exact.
    largest_gap
        The largest difference, over rows and outputs, between the score and what the shares add up to, on the scale
        of the score; None if the way to the score is not known, and ``gap_reason`` says why.
    sampled_because
        Why nothing exact was possible; empty where it was, or where sampling was asked for.
    """

    names: tuple[str, ...]
    outputs: tuple[Label, ...]
    rows: npt.NDArray[np.intp]
    table: Columns
    shares: FloatArray
    base: FloatArray
    scores: FloatArray
    scale: Scale
    method: Method
    standard_errors: FloatArray | None = None
    largest_gap: float | None = None
    gap_reason: str = ""
    sampled_because: str = ""


def attribute(
    predictor: Predictor,
    columns: Columns,
    background: Columns | None = None,
    *,
    seed: int,
    n_pairs: int = DEFAULT_PAIRS,
    max_sampled_rows: int = MAX_SAMPLED_ROWS,
) -> Attributions:
    """Explain a table's rows: exactly if the model's shares are defined, else by sampling.

    Parameters
    ----------
    predictor
        The model.
    columns
        The rows to explain.
    background
        What "absent" means: rows of the training data. Defaults to ``columns``. Trees do not need it.
    n_pairs
        For sampling: see :func:`sampled_attributions`.
    max_sampled_rows
        Sampling explains at most so many rows, a seeded sample of them.

    Raises
    ------
    Invalid
        If there are no rows, the table does not fit the model, or a score is not finite.
    """
    names = tuple(column.name for column in predictor.signature.columns)
    outputs: tuple[Label, ...] = {
        "binary": predictor.signature.classes[1:],
        "multiclass": predictor.signature.classes,
        "regression": (VALUE,),
    }[predictor.signature.task]
    n_rows = n_rows_of(columns)
    columns = _inputs(predictor, columns, n_rows)
    try:
        shares = predictor.contributions_columns(columns)
    except ContributionsUnavailable as unavailable:
        rows = sample_rows(n_rows, max_sampled_rows, seed=seed)
        found = sampled_attributions(
            predictor.predict_columns,
            take(columns, rows),
            columns if background is None else _inputs(predictor, background, n_rows_of(background)),
            names,
            outputs=outputs,
            seed=seed,
            n_pairs=n_pairs,
        )
        return dataclasses.replace(found, rows=rows, sampled_because=unavailable.detail)
    base = shares[0, :, -1]
    own = shares[:, :, :-1]
    if predictor.evaluator.kind == "linear" and background is not None:
        # The Shapley value of a linear model is coef * (x - mean), the mean over the background (Lundberg & Lee 2017,
        # corollary 1): moving the mean moves the same amount from each column's share to the base.
        shift = predictor.contributions_columns(background)[:, :, :-1].mean(axis=0)
        own = own - shift
        base = base + shift.sum(axis=1)
    scores = scores_of(predictor.predict_columns, columns)
    gap = _gap(base + own.sum(axis=2), scores, predictor.evaluator.link)
    return Attributions(
        names=names,
        outputs=outputs,
        rows=np.arange(n_rows),
        table=columns,
        shares=own,
        base=base,
        scores=scores,
        scale=predictor.evaluator.link,
        method=_METHODS.get(predictor.evaluator.kind, "trees"),
        largest_gap=gap,
        gap_reason="" if gap is not None else "this model's way from the raw score to its answer is its own",
    )


def sampled_attributions(
    predict: Predict,
    columns: Columns,
    background: Columns,
    names: Sequence[str],
    *,
    outputs: Sequence[Label] = (),
    seed: int,
    n_pairs: int = DEFAULT_PAIRS,
) -> Attributions:
    """Explain any model that scores a table, by sampling.

    Parameters
    ----------
    predict, columns, background, names, n_pairs
        As for :func:`arkwright.evaluation.shapley_sampling.sample_shapley`.
    outputs
        What the scores are of; numbered if not given.

    Raises
    ------
    Invalid
        If there are no rows, columns or pairs, or a score is not finite.
    """
    found = sample_shapley(predict, columns, background, names, seed=seed, n_pairs=n_pairs)
    return Attributions(
        names=tuple(names),
        outputs=tuple(outputs) or tuple(range(found.base.size)),
        rows=np.arange(len(found.shares)),
        table={name: columns[name] for name in names},
        shares=found.shares,
        base=found.base,
        scores=found.scores,
        scale="identity",
        method="sampled",
        standard_errors=found.standard_errors,
        largest_gap=_gap(found.base + found.shares.sum(axis=2), found.scores, "identity"),
    )


def _inputs(predictor: Predictor, columns: Columns, n_rows: int) -> dict[str, npt.NDArray[Any]]:
    """Return the model's inputs, an optional column that the table lacks as one of missing cells."""
    check_columns(predictor.signature, columns)
    empty: dict[str, npt.NDArray[Any]] = {
        "numeric": np.full(n_rows, np.nan),
        "categorical": np.full(n_rows, None, dtype=object),
        "time": np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]"),
    }
    return {column.name: columns.get(column.name, empty[column.kind]) for column in predictor.signature.columns}


def _gap(raw: FloatArray, scores: FloatArray, scale: Scale) -> float | None:
    """Return how far the raw scores' answers lie from the model's; None if the way is not known."""
    if scale == "other":
        return None
    with np.errstate(over="ignore"):
        if scale == "softmax":
            answers = np.exp(raw - raw.max(axis=1, keepdims=True))
            answers /= answers.sum(axis=1, keepdims=True)
        elif scale in ("sigmoid", "ovr"):
            answers = 1.0 / (1.0 + np.exp(-raw))
            # One sigmoid per class: some libraries scale them to sum to 1, others do not.
            if scale == "ovr" and np.allclose(scores.sum(axis=1), 1.0, rtol=0, atol=1e-9):
                answers /= np.maximum(answers.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        else:
            answers = np.exp(raw) if scale == "exp" else raw
    return float(np.abs(answers - scores).max())
