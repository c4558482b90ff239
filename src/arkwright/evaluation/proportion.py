"""How sure a share is: Wilson's score interval."""

from __future__ import annotations

from statistics import NormalDist


def wilson_interval(hits: float, n_rows: float, level: float = 0.95) -> tuple[float, float]:
    r"""Return Wilson's score interval of a proportion; the whole of [0, 1] without rows.

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22(158), 1927.

    Examples
    --------
    >>> [round(bound, 4) for bound in wilson_interval(0, 10)]
    [0.0, 0.2775]
    >>> wilson_interval(0, 0)
    (0.0, 1.0)
    """
    if n_rows <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = hits / n_rows
    centre = (share + z * z / (2 * n_rows)) / (1 + z * z / n_rows)
    half = z / (1 + z * z / n_rows) * (share * (1 - share) / n_rows + z * z / (4 * n_rows**2)) ** 0.5
    # At no hits and all hits the bound is exact; rounding must not push it past the end.
    return (0.0 if hits <= 0 else max(0.0, centre - half)), (1.0 if hits >= n_rows else min(1.0, centre + half))
