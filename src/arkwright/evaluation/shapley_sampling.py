"""Shapley values of any model, from mixtures of the rows to explain with rows of the data.

A pair is one background row, one random order of the columns and its reverse. Starting from the background row, the
columns take the explained row's values one by one, and each is credited with the change of the score. What a pair
credits adds up to ``f(row) - f(background row)``, so the mean over pairs adds up too; an order and its reverse cancel
part of the noise, and the spread between pairs gives a standard error.

References
----------
Štrumbelj & Kononenko (2014), "Explaining prediction models and individual predictions with feature contributions",
Knowledge and Information Systems 41, algorithm 1 and its error bound.
Mitchell, Cooper, Frank & Holmes (2022), "Sampling Permutations for Shapley Value Estimation", JMLR 23, section 3.3
(antithetic permutations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import Columns, Predict, n_rows_of, scores_of

DEFAULT_PAIRS = 64
_BLOCK_ROWS = 50_000
_BLOCK_SHARES = 10_000_000


@dataclass(frozen=True)
class SampledShares:
    """Estimated Shapley values.

    Attributes
    ----------
    shares, standard_errors
        Of shape (n_rows, n_outputs, n_columns).
    base
        The mean score of the drawn background rows, of shape (n_outputs,).
    scores
        The explained rows' own, of shape (n_rows, n_outputs).
    """

    shares: FloatArray
    standard_errors: FloatArray
    base: FloatArray
    scores: FloatArray


def sample_shapley(
    predict: Predict,
    columns: Columns,
    background: Columns,
    names: Sequence[str],
    *,
    seed: int,
    n_pairs: int = DEFAULT_PAIRS,
) -> SampledShares:
    """Estimate Shapley values from random orders of the columns.

    Parameters
    ----------
    predict
        Takes a table, returns scores of shape ``(n, k)``. It scores ``2 * n_pairs * (len(names) - 1)`` mixtures of
        each row.
    columns
        The rows to explain.
    background
        Rows that stand for the data: ``n_pairs`` of them are drawn, each again only when all have been.
    names
        The columns that the model reads; they share the score.
    n_pairs
        Background rows, each with one order of the columns and its reverse; at least 2.

    Notes
    -----
    All rows share the drawn pairs, so they have one base, and a difference between two rows is less noisy than either.

    Examples
    --------
    >>> table = {"x": np.array([1.0, 2.0]), "y": np.array([0.0, 5.0])}
    >>> found = sample_shapley(lambda t: t["x"] * 3 - t["y"], table, table, ("x", "y"), seed=0, n_pairs=2)
    >>> found.base.tolist(), found.shares[:, 0].tolist()
    ([2.0], [[-1.5, 2.5], [1.5, -2.5]])

    Raises
    ------
    Invalid
        If there are no rows, columns or pairs, or a score is not finite.
    """
    n_rows, n_background = n_rows_of(columns, names), n_rows_of(background, names)
    if not names or n_pairs < 2:
        raise Invalid(
            f"Shapley values need at least one column and two pairs; {len(names)} and {n_pairs} were given.",
            code="explanation.nothing_to_sample",
            hint="Name the columns that share the score, and leave n_pairs at its default.",
        )
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([rng.permutation(n_background) for _ in range(-(-n_pairs // n_background))])[:n_pairs]
    orders = np.array([rng.permutation(len(names)) for _ in range(n_pairs)])
    chosen = {name: background[name][drawn] for name in names}
    table = {name: columns[name] for name in names}
    firsts, lasts = scores_of(predict, chosen), scores_of(predict, table)
    mean = np.empty((n_rows, firsts.shape[1], len(names)))
    variance = np.empty_like(mean)
    n_states = 2 * max(1, len(names) - 1)
    n_block = max(1, min(n_rows, _BLOCK_ROWS // n_states, _BLOCK_SHARES // (n_pairs * mean[0].size)))
    n_together = max(1, _BLOCK_ROWS // (n_states * n_block))
    for start in range(0, n_rows, n_block):
        block = slice(start, start + n_block)
        by_pair = np.concatenate(
            [
                _pair_shares(
                    predict,
                    {name: values[block] for name, values in table.items()},
                    {name: values[first : first + n_together] for name, values in chosen.items()},
                    names,
                    orders[first : first + n_together],
                    firsts[first : first + n_together],
                    lasts[block],
                )
                for first in range(0, n_pairs, n_together)
            ]
        )
        mean[block], variance[block] = by_pair.mean(axis=0), by_pair.var(axis=0, ddof=1)
    return SampledShares(
        shares=mean,
        standard_errors=np.sqrt(variance / n_pairs),
        base=firsts.mean(axis=0),
        scores=lasts,
    )


def _pair_shares(
    predict: Predict,
    table: Columns,
    chosen: Columns,
    names: Sequence[str],
    orders: npt.NDArray[np.intp],
    firsts: FloatArray,
    lasts: FloatArray,
) -> FloatArray:
    """Return each pair's shares, of shape (n_pairs, n_rows, n_outputs, n_columns)."""
    n_pairs, n_columns = orders.shape
    n_rows, n_outputs = lasts.shape
    both = np.stack([orders, orders[:, ::-1]], axis=1)
    # In state s of a walk the first s columns of its order are the row's; state 0 and the last one are known.
    position = np.argsort(both, axis=2)
    own = position[:, :, None, :] < np.arange(1, n_columns)[:, None]
    n_states = 2 * (n_columns - 1)
    path = np.empty((n_pairs, 2, n_columns + 1, n_rows, n_outputs))
    path[:, :, 0], path[:, :, -1] = firsts[:, None, None, :], lasts
    if n_states:
        mixed = {}
        for number, name in enumerate(names):
            taken = own[..., number].reshape(-1, 1)
            other = np.repeat(chosen[name], n_states)[:, None]
            mixed[name] = np.where(taken, table[name][None, :], other).reshape(-1)
        path[:, :, 1:-1] = scores_of(predict, mixed).reshape(n_pairs, 2, n_columns - 1, n_rows, n_outputs)
    steps = np.diff(path, axis=2)
    walks = np.take_along_axis(steps, position[..., None, None], axis=2)
    return np.moveaxis(walks.mean(axis=1), 1, -1)
