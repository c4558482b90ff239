r"""How far a distribution has moved: population stability index and Kullback-Leibler divergence.

The population stability index (PSI) is the symmetrised Kullback-Leibler divergence of two sets of shares
over the same cells. Thresholds (requirements 002, section 4; the industry's rule of thumb, [1]_):

==================  ===========
PSI                 level
==================  ===========
below 0.1           none
0.1 up to 0.25      moderate
0.25 and above      significant
==================  ===========

A PSI computed from two *samples* is not zero when nothing moved. With ``B`` cells, ``m`` reference rows and
``n`` current rows, under no drift

.. math:: \mathrm{PSI} \sim \left(\tfrac1n + \tfrac1m\right)\chi^2_{B-1},
   \qquad \mathbb{E}[\mathrm{PSI}] \approx (B-1)\left(\tfrac1n + \tfrac1m\right)

([2]_). So 10 cells and 100 rows give 0.09 on average and more than 0.2 in one window of a hundred, with no drift
at all: :func:`psi_noise_bound` says what noise alone can reach.

References
----------
.. [1] N. Siddiqi, *Credit Risk Scorecards*, Wiley 2006, chapter 8.
.. [2] B. Yurdakul and J. Naranjo, "Statistical properties of the population stability index",
   Journal of Risk Model Validation 14(4), 2020.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from arkwright.core.errors import Invalid

Level = Literal["none", "moderate", "significant"]
Floats = npt.NDArray[np.float64]

MODERATE_PSI = 0.1
SIGNIFICANT_PSI = 0.25
SHARE_FLOOR = 1e-4


def population_stability_index(expected_shares: npt.ArrayLike, actual_shares: npt.ArrayLike) -> float:
    r"""Return the PSI of two sets of shares.

    .. math:: \mathrm{PSI} = \sum_b (a_b - e_b) \ln \frac{a_b}{e_b}

    Parameters
    ----------
    expected_shares, actual_shares
        Shape ``(n_cells,)``, not negative; normalised to sum to 1. A share below 0.0001 counts as 0.0001, so that
        an empty cell contributes a large number and not infinity.

    Returns
    -------
    float
        At least 0; symmetric in its arguments.

    Raises
    ------
    Invalid
        If the shapes differ, or a side is empty, negative, not finite or all zero.

    Examples
    --------
    >>> population_stability_index([0.5, 0.5], [0.5, 0.5])
    0.0
    >>> round(population_stability_index([0.5, 0.3, 0.2], [0.4, 0.3, 0.3]), 4)
    0.0629
    """
    expected, actual = _paired_shares(expected_shares, actual_shares)
    expected, actual = np.maximum(expected, SHARE_FLOOR), np.maximum(actual, SHARE_FLOOR)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def kl_divergence(expected_shares: npt.ArrayLike, actual_shares: npt.ArrayLike) -> float:
    r"""Return the Kullback-Leibler divergence of the actual shares from the expected ones, in nats.

    .. math:: D_{KL}(a \,\|\, e) = \sum_b a_b \ln \frac{a_b}{e_b}

    Arguments and errors are those of :func:`population_stability_index`.

    Examples
    --------
    >>> round(kl_divergence([0.5, 0.5], [0.9, 0.1]), 4)
    0.3681
    """
    expected, actual = _paired_shares(expected_shares, actual_shares)
    expected, actual = np.maximum(expected, SHARE_FLOOR), np.maximum(actual, SHARE_FLOOR)
    return max(0.0, float(np.sum(actual * np.log(actual / expected))))


def smoothed_shares(counts: npt.ArrayLike) -> Floats:
    r"""Return the shares of cells, half a row added to each (Jeffreys' prior).

    .. math:: \hat p_b = \frac{c_b + 1/2}{N + B/2}

    With it the distribution in the module's docstring holds down to about 30 rows, empty cells included; a fixed
    floor instead makes one empty cell of ten look like drift.

    Examples
    --------
    >>> smoothed_shares([3, 0]).tolist()
    [0.875, 0.125]
    """
    cells = np.asarray(counts, dtype=np.float64)
    smoothed: Floats = (cells + 0.5) / (cells.sum() + 0.5 * cells.size)
    return smoothed


def expected_psi(n_cells: int, n_reference: float, n_current: float) -> float:
    """Return the mean PSI of two samples of one distribution, ``(B - 1)(1/n + 1/m)``.

    Examples
    --------
    >>> round(expected_psi(10, 5000, 100), 4)
    0.0918
    """
    return (n_cells - 1) * (1.0 / n_reference + 1.0 / n_current)


def psi_noise_bound(n_cells: int, n_reference: float, n_current: float, alpha: float) -> float:
    r"""Return the PSI that two samples of one distribution exceed with probability ``alpha``.

    .. math:: \left(\tfrac1n + \tfrac1m\right)\chi^2_{B-1,\,1-\alpha}

    Parameters
    ----------
    n_cells
        Number of cells, B; with a single cell the PSI is always 0, and so is the bound.
    n_reference, n_current
        Rows in each sample, above 0.
    alpha
        In (0, 1).

    Examples
    --------
    >>> round(psi_noise_bound(10, 5000, 100, 0.01), 3), round(psi_noise_bound(10, 5000, 10000, 0.01), 3)
    (0.221, 0.006)
    """
    if n_cells < 2:
        return 0.0
    return float(chdtri(n_cells - 1, alpha)) * (1.0 / n_reference + 1.0 / n_current)


def drift_level(psi: float, noise_bound: float = 0.0) -> Level:
    """Return the level of a PSI: by the thresholds, and ``none`` while noise alone can explain it.

    Examples
    --------
    >>> [drift_level(psi) for psi in (0.09, 0.1, 0.25)]
    ['none', 'moderate', 'significant']
    >>> drift_level(0.3, noise_bound=0.35)
    'none'
    """
    if psi < MODERATE_PSI or psi <= noise_bound:
        return "none"
    return "significant" if psi >= SIGNIFICANT_PSI else "moderate"


def _paired_shares(expected: npt.ArrayLike, actual: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise Invalid(
            f"The expected shares have shape {first.shape}, the actual ones {second.shape}.",
            code="monitoring.shares",
            hint="Give one share for each cell on both sides, in the same order.",
        )
    for name, shares in (("expected", first), ("actual", second)):
        if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
            raise Invalid(
                f"The {name} shares are not a distribution: {shares.tolist()}.",
                code="monitoring.shares",
                hint="Shares are finite, not negative, and at least one is above 0.",
            )
    return first / first.sum(), second / second.sum()
