"""One feature, then and now: a window of traffic against the bundle's baseline.

How a level is decided. The PSI is computed from shares with half a row added to each cell
(:func:`~arkwright.monitoring.stability.smoothed_shares`), missing values being a cell of their own, and compared with
0.1 and 0.25. It counts only if

1. the window has at least ``MINIMUM_ROWS`` rows, and
2. the PSI is above what chance gives: the ``1 - FALSE_ALARM_RATE / n_features`` quantile of its distribution under
   no drift, ``(1/n + 1/m) chi2(B - 1)`` (Yurdakul and Naranjo 2020). Dividing by the number of features keeps the
   chance that *any* feature of a report is called drifted by mistake near ``FALSE_ALARM_RATE``; in simulation the
   quantile was within a factor of four of nominal from 50 rows up (``tests/unit/monitoring/test_drift.py``).

With 10 cells and 20 features the second condition bites below about 350 rows; above, the thresholds decide alone.
``enough_rows`` says whether a moderate drift could have been told at all. The p-values of the Kolmogorov-Smirnov and
chi-square tests are reported beside it, corrected over features, and set no level: in large windows they are
small for changes nobody needs to act on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import CategoricalBaseline, NumericBaseline
from arkwright.monitoring.significance import (
    TwoSampleResult,
    chi_square,
    kolmogorov_smirnov,
    pool_rare_cells,
)
from arkwright.monitoring.stability import (
    MODERATE_PSI,
    Floats,
    Level,
    drift_level,
    expected_psi,
    kl_divergence,
    population_stability_index,
    psi_noise_bound,
    smoothed_shares,
)

MINIMUM_ROWS = 50
FALSE_ALARM_RATE = 0.001

MISSING = "(missing)"
OTHER = "(other)"

Values = npt.NDArray[np.float64] | npt.NDArray[np.object_]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A bin or category with its share of all rows on both sides."""

    label: str
    reference_share: float
    current_share: float


class DriftResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one feature.

    Parameters
    ----------
    feature, kind
        Its name; ``numeric`` or ``categorical``.
    level
        ``none``, ``moderate`` or ``significant``; see the module's docstring.
    psi, kl
        Over ``cells``, which hold the raw shares.
    expected_psi, noise_bound
        The PSI's mean and its upper bound had nothing changed.
    test, statistic, p_value, p_value_adjusted
        ``ks`` over the non-missing values, ``chi_square`` over all cells; adjusted over the report's features (Holm).
    n
        Rows in the window.
    enough_rows
        Whether a moderate drift could be told from chance.
    missing_share_reference, missing_share_current, missing_share_change
        Shares of all rows, and current minus reference.
    unexpected_share
        Share of the window's non-missing values outside the training range, or in no category it had.
    mean_reference, mean_current
        Of the non-missing values; None for categorical features and empty windows.
    """

    feature: str
    kind: Literal["numeric", "categorical"]
    level: Level
    psi: float
    kl: float
    expected_psi: float
    noise_bound: float
    test: Literal["ks", "chi_square"]
    statistic: float
    p_value: float
    p_value_adjusted: float
    n: int
    enough_rows: bool
    missing_share_reference: float
    missing_share_current: float
    missing_share_change: float
    unexpected_share: float
    mean_reference: float | None = None
    mean_current: float | None = None
    cells: tuple[Cell, ...] = ()


def compare_feature(
    feature: str,
    baseline: NumericBaseline | CategoricalBaseline,
    n_reference: int,
    values: Values,
    *,
    n_features: int = 1,
) -> DriftResult:
    """Compare a window of one feature with its baseline.

    Parameters
    ----------
    feature
        Its name.
    baseline
        What the training data looked like.
    n_reference
        Rows of the training data, missing ones included.
    values
        Shape ``(n_rows,)``: float64 with NaN for missing, or objects that are text or None.
    n_features
        How many features the report compares, for the noise bound.

    Returns
    -------
    DriftResult
        With ``p_value_adjusted`` equal to ``p_value``: the report corrects it.

    Examples
    --------
    >>> baseline = CategoricalBaseline(shares={"yes": 0.5, "no": 0.5}, missing_share=0.0)
    >>> calm = compare_feature("paid", baseline, 1000, np.array(["yes", "no"] * 100, dtype=object))
    >>> moved = compare_feature("paid", baseline, 1000, np.array(["yes", "no", "no", "no"] * 50, dtype=object))
    >>> calm.level, moved.level, round(moved.psi, 2), moved.test
    ('none', 'significant', 0.27, 'chi_square')
    """
    if isinstance(baseline, NumericBaseline):
        numbers = np.asarray(values, dtype=np.float64)
        present = numbers[~np.isnan(numbers)]
        table = numeric_cells(baseline, n_reference, numbers)
        n_present = round(n_reference * (1.0 - baseline.missing_share))
        test = kolmogorov_smirnov(baseline.quantiles, n_present, present)
        outside = (present < baseline.minimum) | (present > baseline.maximum)
        unexpected = float(outside.mean()) if present.size else 0.0
        with np.errstate(over="ignore"):
            mean = float(present.mean()) if present.size else math.nan
        return _result(
            feature, baseline, table, test, len(numbers), n_features, unexpected, mean if math.isfinite(mean) else None
        )
    table = categorical_cells(baseline, n_reference, values.tolist())
    test = chi_square(table.reference_counts, table.current_counts)
    return _result(feature, baseline, table, test, len(values), n_features, table.unseen_share, None)


class CellCounts(NamedTuple):
    """Rows of each cell in both samples, and the share of present values the reference never saw."""

    labels: list[str]
    reference_counts: Floats
    current_counts: Floats
    unseen_share: float = 0.0


def numeric_cells(baseline: NumericBaseline, n_reference: int, values: Floats) -> CellCounts:
    """Count a window's values in the baseline's bins, ``edges[i-1] < x <= edges[i]``, and the missing ones.

    Examples
    --------
    >>> baseline = NumericBaseline(edges=(1.0, 2.0), shares=(0.5, 0.3, 0.2), quantiles=(0.0, 3.0), missing_share=0.1,
    ...                            mean=1.0, std=1.0, minimum=0.0, maximum=3.0)
    >>> table = numeric_cells(baseline, 100, np.array([1.0, 1.5, 9.0, float("nan")]))
    >>> dict(zip(table.labels, table.current_counts.tolist(), strict=True))
    {'<= 1': 1.0, '1 to 2': 1.0, '> 2': 1.0, '(missing)': 1.0}
    """
    missing = np.isnan(values)
    bins = np.searchsorted(np.asarray(baseline.edges), values[~missing], side="left")
    current = np.bincount(bins, minlength=len(baseline.shares)).astype(np.float64)
    reference = np.asarray(baseline.shares) * (1.0 - baseline.missing_share) * n_reference
    labels = _bin_labels(baseline.edges)
    return _with_missing(labels, reference, current, baseline.missing_share * n_reference, int(missing.sum()))


def categorical_cells(baseline: CategoricalBaseline, n_reference: int, values: Sequence[str | None]) -> CellCounts:
    """Count a window's categories; unseen and rare ones share a cell, missing values have their own.

    Examples
    --------
    >>> baseline = CategoricalBaseline(shares={"a": 0.6, "b": 0.4}, missing_share=0.0)
    >>> table = categorical_cells(baseline, 1000, ["a"] * 60 + ["b"] * 30 + ["never seen"] * 10)
    >>> table.labels, table.current_counts.tolist(), table.unseen_share
    (['a', 'b', '(other)'], [60.0, 30.0, 10.0], 0.1)
    """
    counts = Counter(values)
    n_missing = counts.pop(None, 0)
    n_present = len(values) - n_missing
    known = list(baseline.shares)
    n_present_reference = (1.0 - baseline.missing_share) * n_reference
    seen = sum(counts[name] for name in known)
    reference = np.array([baseline.shares[name] for name in known] + [baseline.other_share]) * n_present_reference
    current = np.array([counts[name] for name in known] + [n_present - seen], dtype=np.float64)
    # A baseline that pooled categories cannot say whether a value outside its list is one of those or a new one.
    unseen = max(0.0, (n_present - seen) / n_present - baseline.other_share) if n_present else 0.0

    pooled = {index for index in pool_rare_cells(reference, current) if index != len(known)}
    alone = [index for index in range(len(known)) if index not in pooled]
    rest = [*sorted(pooled), len(known)]
    labels = [known[index] for index in alone]
    reference_cells = [float(reference[index]) for index in alone]
    current_cells = [float(current[index]) for index in alone]
    if reference[rest].sum() + current[rest].sum() > 0:
        labels.append(OTHER)
        reference_cells.append(float(reference[rest].sum()))
        current_cells.append(float(current[rest].sum()))
    table = _with_missing(
        labels, np.array(reference_cells), np.array(current_cells), baseline.missing_share * n_reference, n_missing
    )
    return table._replace(unseen_share=unseen)


def _with_missing(
    labels: list[str], reference: Floats, current: Floats, missing_reference: float, missing_current: float
) -> CellCounts:
    if missing_reference <= 0 and missing_current <= 0:
        return CellCounts(labels, reference, current)
    return CellCounts(
        [*labels, MISSING], np.append(reference, missing_reference), np.append(current, float(missing_current))
    )


def _result(
    feature: str,
    baseline: NumericBaseline | CategoricalBaseline,
    table: CellCounts,
    test: TwoSampleResult,
    n_rows: int,
    n_features: int,
    unexpected_share: float,
    mean_current: float | None,
) -> DriftResult:
    numeric = isinstance(baseline, NumericBaseline)
    n_reference, n_cells = float(table.reference_counts.sum()), len(table.labels)
    comparable = n_rows > 0 and n_reference > 0 and n_cells > 0
    psi = kl = mean_psi = bound = 0.0
    if comparable:
        reference, current = smoothed_shares(table.reference_counts), smoothed_shares(table.current_counts)
        psi, kl = population_stability_index(reference, current), kl_divergence(reference, current)
        mean_psi = expected_psi(n_cells, n_reference, n_rows)
        bound = psi_noise_bound(n_cells, n_reference, n_rows, FALSE_ALARM_RATE / max(1, n_features))
    large_enough = comparable and n_rows >= MINIMUM_ROWS
    n_missing = float(table.current_counts[-1]) if table.labels and table.labels[-1] == MISSING else 0.0
    missing_current = n_missing / n_rows if n_rows else 0.0
    return DriftResult(
        feature=feature,
        kind="numeric" if numeric else "categorical",
        level=drift_level(psi, bound) if large_enough else "none",
        psi=psi,
        kl=kl,
        expected_psi=mean_psi,
        noise_bound=bound,
        test="ks" if numeric else "chi_square",
        statistic=test.statistic,
        p_value=test.p_value,
        p_value_adjusted=test.p_value,
        n=n_rows,
        enough_rows=large_enough and bound <= MODERATE_PSI,
        missing_share_reference=baseline.missing_share,
        missing_share_current=missing_current,
        missing_share_change=missing_current - baseline.missing_share if n_rows else 0.0,
        unexpected_share=unexpected_share,
        mean_reference=baseline.mean if isinstance(baseline, NumericBaseline) else None,
        mean_current=mean_current,
        cells=_shares_of(table, n_reference, n_rows),
    )


def _shares_of(table: CellCounts, n_reference: float, n_current: float) -> tuple[Cell, ...]:
    return tuple(
        Cell(
            label=label,
            reference_share=float(reference) / n_reference if n_reference else 0.0,
            current_share=float(current) / n_current if n_current else 0.0,
        )
        for label, reference, current in zip(table.labels, table.reference_counts, table.current_counts, strict=True)
    )


def _bin_labels(edges: tuple[float, ...]) -> list[str]:
    if not edges:
        return ["all values"]
    inner = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return [f"<= {edges[0]:.4g}", *inner, f"> {edges[-1]:.4g}"]
