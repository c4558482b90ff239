"""What the training data looked like, for comparing traffic against it later.

Numeric features keep bin edges and the share of rows in each bin (for PSI) and evenly spaced
quantiles (for Kolmogorov-Smirnov); categorical features keep the share of each value (for PSI and
chi-square). Missing values have a share of their own in both.
"""

from __future__ import annotations

import msgspec


class NumericBaseline(msgspec.Struct, frozen=True, kw_only=True, tag="numeric"):
    """A numeric feature.

    Parameters
    ----------
    edges
        Inner bin edges, ascending; ``len(edges) + 1`` bins, the outer two open.
    shares
        Share of the non-missing rows in each bin, summing to 1; bin i holds ``edges[i-1] < x <= edges[i]``.
    quantiles
        Values at 0, 1/(m-1), ..., 1 of the non-missing rows; ``m`` is at most 1,001.
    missing_share
        Share of all rows that are missing, in [0, 1].
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    quantiles: tuple[float, ...]
    missing_share: float
    mean: float
    std: float
    minimum: float
    maximum: float


class CategoricalBaseline(msgspec.Struct, frozen=True, kw_only=True, tag="categorical"):
    """A categorical feature: each value's share of the non-missing rows, largest first.

    Values past the first 100 are pooled in ``other_share``.
    """

    shares: dict[str, float]
    missing_share: float
    other_share: float = 0.0


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The reference window: every feature, and the model's own output on the holdout.

    ``prediction`` is the score (binary), the label (multiclass) or the value (regression).
    """

    n_rows: int
    features: dict[str, NumericBaseline | CategoricalBaseline]
    prediction: NumericBaseline | CategoricalBaseline
