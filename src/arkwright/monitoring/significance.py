r"""Is a difference more than chance? Kolmogorov-Smirnov, chi-square, and Holm's correction.

Pure functions over counts and sorted values; SciPy's special functions give the tail probabilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, kolmogorov, xlogy

from arkwright.core.errors import Invalid

MINIMUM_EXPECTED = 5.0


class TwoSampleResult(NamedTuple):
    """A statistic and the probability of one at least as large if nothing had changed."""

    statistic: float
    p_value: float


def kolmogorov_smirnov(reference_quantiles: npt.ArrayLike, n_reference: int, current: npt.ArrayLike) -> TwoSampleResult:
    r"""Test a window of a numeric feature against the quantiles a baseline kept.

    .. math:: D = \sup_x |F_n(x) - F_{ref}(x)|

    The reference sample is rebuilt from the baseline's ``k`` evenly spaced quantiles as ``k`` values of equal
    weight: its distribution function is the step function over them, which is never further than
    ``1 / (k - 1)`` from the true one. Where the reference had more rows than ``k``, that much is taken off D before
    the p-value, so that the rounding cannot pass for drift. The p-value is the asymptotic one for two samples of ``n``
    and ``n_reference`` rows,

    .. math:: p = Q_{KS}\!\left(\left[\sqrt{n_e} + 0.12 + 0.11/\sqrt{n_e}\right] D\right),
       \qquad n_e = \frac{n\,m}{n + m}

    (Stephens' approximation, good from ``n_e >= 4``). With ties, as in whole numbers, it is conservative.

    Parameters
    ----------
    reference_quantiles
        Ascending values at 0, 1/(k-1), ..., 1, no missing ones.
    n_reference
        Rows that the quantiles were taken from.
    current
        The window's values; missing ones (NaN) are left out.

    Returns
    -------
    TwoSampleResult
        D in [0, 1] and p in [0, 1]; ``(0, 1)`` where either side is empty.

    References
    ----------
    M. A. Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and related statistics without extensive
    tables", J. R. Stat. Soc. B 32(1), 1970.

    Examples
    --------
    >>> quantiles = [i / 1000 for i in range(1001)]
    >>> same = kolmogorov_smirnov(quantiles, 5000, [i / 200 for i in range(200)])
    >>> moved = kolmogorov_smirnov(quantiles, 5000, [0.2 + i / 200 for i in range(200)])
    >>> round(same.statistic, 2), round(moved.statistic, 2), same.p_value > 0.99, moved.p_value < 1e-6
    (0.0, 0.2, True, True)
    """
    reference = np.asarray(reference_quantiles, dtype=np.float64)
    values = np.asarray(current, dtype=np.float64)
    values = np.sort(values[~np.isnan(values)])
    if reference.size == 0 or n_reference < 1 or values.size == 0:
        return TwoSampleResult(0.0, 1.0)
    points = np.concatenate([reference, values])
    reference_cdf = np.searchsorted(reference, points, side="right") / reference.size
    current_cdf = np.searchsorted(values, points, side="right") / values.size
    statistic = float(np.max(np.abs(reference_cdf - current_cdf)))
    rounding = 1.0 / (reference.size - 1) if 1 < reference.size < n_reference else 0.0
    root = np.sqrt(values.size * n_reference / (values.size + n_reference))
    p_value = float(kolmogorov((root + 0.12 + 0.11 / root) * max(0.0, statistic - rounding)))
    return TwoSampleResult(statistic, p_value)


def chi_square(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> TwoSampleResult:
    r"""Test whether two samples of a categorical feature have one distribution.

    The chi-square test of homogeneity on the 2 x B table, since the baseline is a sample too, in its likelihood-ratio
    form:

    .. math:: G = 2 \sum_{s \in \{ref, cur\}} \sum_b O_{sb} \ln \frac{O_{sb}}{E_{sb}},
       \qquad E_{sb} = \frac{N_s\,(O_{ref,b} + O_{cur,b})}{N_{ref} + N_{cur}}

    with B - 1 degrees of freedom. A category the reference never saw is a cell like any other, with 0 reference rows.
    That cell is why it is not Pearson's form, :math:`\sum (O - E)^2 / E`: its E is tiny, so that a single new value
    in 100 rows against 5,000 would give p = 1e-11 where the true chance is 0.02; this form gives 0.02. Known
    categories should have expected counts of at least 5 (Cochran): pool the rest first (:func:`pool_rare_cells`).

    Parameters
    ----------
    reference_counts, current_counts
        Shape ``(n_cells,)``, rows of each category in each sample (need not be whole).

    Returns
    -------
    TwoSampleResult
        ``(0, 1)`` where a side has no rows or fewer than two cells are left.

    References
    ----------
    W. G. Cochran, "Some methods for strengthening the common chi-square tests", Biometrics 10(4), 1954.
    A. Agresti, *Categorical Data Analysis*, 3rd edition, Wiley 2013, section 3.2.

    Examples
    --------
    >>> result = chi_square([600, 400], [30, 70])
    >>> round(result.statistic, 2), result.p_value < 1e-7
    (33.37, True)
    """
    table = _table(reference_counts, current_counts)
    table = table[:, table.sum(axis=0) > 0]
    totals = table.sum(axis=1, keepdims=True)
    if table.shape[1] < 2 or (totals <= 0).any():
        return TwoSampleResult(0.0, 1.0)
    expected = totals * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = max(0.0, 2.0 * float(np.sum(xlogy(table, table / expected))))
    return TwoSampleResult(statistic, float(chdtrc(table.shape[1] - 1, statistic)))


def pool_rare_cells(
    reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike, minimum_expected: float = MINIMUM_EXPECTED
) -> list[int]:
    """Return the indices of the cells too rare to stand alone, to be pooled into one.

    A cell is rare where the smaller sample's expected count, from both samples together, is below the minimum.
    The choice depends on each cell's total only, on which the test is conditional anyway, so choosing does not bias
    it.

    Examples
    --------
    >>> pool_rare_cells([900, 90, 9, 1], [50, 45, 4, 1])
    [2, 3]
    >>> pool_rare_cells([500, 500], [50, 50])
    []
    """
    table = _table(reference_counts, current_counts)
    totals = table.sum(axis=0)
    if totals.sum() <= 0:
        return []
    expected = totals * table.sum(axis=1).min() / totals.sum()
    return [int(cell) for cell in np.flatnonzero(expected < minimum_expected)]


def _table(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    reference = np.asarray(reference_counts, dtype=np.float64)
    current = np.asarray(current_counts, dtype=np.float64)
    if reference.ndim != 1 or reference.shape != current.shape:
        raise Invalid(
            f"The reference has {reference.shape} cells, the current window {current.shape}.",
            code="monitoring.cells",
            hint="Count both samples over the same categories, in the same order.",
        )
    return np.stack([reference, current])
