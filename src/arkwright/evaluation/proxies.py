"""Which inputs give a sensitive attribute away, one by one and all together.

A model that never sees an attribute can still use it through a proxy: a relationship of "Husband" says the sex.

- **categorical** column: Cramér's V, corrected for the bias that many categories and few rows bring (Bergsma 2013).
- **numeric** column: the correlation ratio of the ranks, corrected for the number of groups (Kelley's epsilon). Ranks,
  so that neither outliers nor a monotone transformation matter. Beside it the best AUC of one group against the rest.
- which cells are **missing** can be a proxy too: where that is the stronger one, it is reported.
- **jointly**: a small gradient-boosted model predicts the attribute from all inputs; its cross-validated AUC.

Association runs from 0 to 1: from 0.5 ``strong``, from 0.3 ``moderate``, from 0.1 ``weak``, else ``none`` (Cohen's
large, medium and small effect). A joint AUC from 0.9 is ``strong``, from 0.7 ``moderate``, from 0.6 ``weak`` (after
Hosmer, Lemeshow & Sturdivant: 0.7 acceptable, 0.9 outstanding discrimination; 0.6 is this project's choice).

References
----------
Bergsma (2013), "A bias-correction for Cramér's V and Tschuprow's T", J. Korean Statistical Society 42.
Kelley (1935), "An unbiased correlation ratio measure", PNAS 21.
Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", chapters 3 and 7.
Hosmer, Lemeshow & Sturdivant (2013), "Applied Logistic Regression", 3rd ed., chapter 5.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.association import cramers_v_of
from arkwright.evaluation.classification import areas, mean_area, one_vs_rest
from arkwright.evaluation.groups import MISSING, GroupValues, groups_of
from arkwright.evaluation.intervals import Interval, bootstrap, interval, resamples_for
from arkwright.evaluation.metric import FloatArray, IntArray

Level = Literal["strong", "moderate", "weak", "none", "not computable", "the attribute itself"]

MAX_ROWS = 20_000
FOLDS = 5
_MAX_CATEGORIES = 200
_MIN_ROWS = 30
_ASSOCIATION: tuple[tuple[float, Level], ...] = ((0.5, "strong"), (0.3, "moderate"), (0.1, "weak"))
_AUC: tuple[tuple[float, Level], ...] = ((0.9, "strong"), (0.7, "moderate"), (0.6, "weak"))


class ProxyColumn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How closely one input goes with the attribute.

    ``association`` is in [0, 1]; None where ``reason`` says why it is not computable. ``auc`` is given for numbers: how
    well the column alone tells the best-told group from the rest, in [0.5, 1].
    """

    column: str
    kind: Literal["categorical", "numeric"]
    measure: Literal["cramers_v", "correlation_ratio", "missingness"]
    association: float | None
    level: Level
    auc: float | None = None
    reason: str = ""


class ProxyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs, closest to the attribute first, and how well all together predict it.

    ``joint_auc`` is the mean over groups of one against the rest, on rows the small model was not trained on; 0.5 says
    that the inputs know nothing of the attribute.
    """

    attribute: str
    n_rows: int
    columns: tuple[ProxyColumn, ...]
    joint_auc: Interval
    joint_level: Level
    findings: tuple[str, ...]
    seed: int

    def proxies(self) -> tuple[str, ...]:
        """Name the columns whose association is moderate or strong."""
        return tuple(item.column for item in self.columns if item.level in ("strong", "moderate"))


def find_proxies(
    columns: Mapping[str, npt.NDArray[Any]],
    sensitive: GroupValues,
    *,
    attribute: str,
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    joint: bool = True,
) -> ProxyReport:
    """Look for proxies of an attribute among the inputs of a model.

    Parameters
    ----------
    columns
        The inputs, each of shape ``(n_rows,)``; arrays of numbers are numeric, all else is categorical.
    sensitive
        The attribute, one value per row. Rows where it is missing are left out.
    attribute
        Its name; an input of the same name is reported as the attribute itself and kept out of the joint model.
    max_rows
        With more rows a seeded sample of this many is used.
    joint
        Whether to train the joint model (about a second).

    Raises
    ------
    Invalid
        If a column has another length than the attribute, or the attribute has more than 100 values.
    """
    groups = groups_of(sensitive, column=f"column {attribute!r}")
    for name, values in columns.items():
        if len(values) != groups.codes.size:
            raise Invalid(
                f"column {name!r} has {len(values):,} rows and {attribute!r} {groups.codes.size:,}",
                code="evaluation.lengths",
                hint="Give inputs and attribute for the same rows, in the same order.",
            )
    rows = np.flatnonzero(np.array(groups.labels)[groups.codes] != MISSING)
    if rows.size > max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=max_rows, replace=False))
    codes = np.unique(groups.codes[rows], return_inverse=True)[1].astype(np.int64)
    inputs = {name: np.asarray(values)[rows] for name, values in columns.items()}
    found = [
        _itself(name, values) if name == attribute else _associated(name, values, codes)
        for name, values in inputs.items()
    ]
    found.sort(key=lambda item: (item.level != "the attribute itself", -(item.association or 0.0), item.column))
    others = {name: values for name, values in inputs.items() if name != attribute}
    auc = (
        joint_auc(others, codes, seed=seed)
        if joint
        else Interval(value=None, low=None, high=None, reason="the joint model was not asked for")
    )
    level = _level(auc.value, _AUC)
    return ProxyReport(
        attribute=attribute,
        n_rows=int(rows.size),
        columns=tuple(found),
        joint_auc=auc,
        joint_level=level,
        findings=_findings(attribute, found, auc, level),
        seed=seed,
    )


def cramers_v(first: IntArray, second: IntArray) -> float:
    """Return the bias-corrected Cramér's V of two columns of category codes; NaN if one has a single category.

    Examples
    --------
    >>> codes = np.array([0, 1] * 50)
    >>> round(cramers_v(codes, codes), 6), cramers_v(codes, np.repeat([0, 1], 50))
    (1.0, 0.0)
    """
    one, other = (np.unique(codes, return_inverse=True)[1] for codes in (first, second))
    n_one, n_other = int(one.max(initial=0)) + 1, int(other.max(initial=0)) + 1
    return cramers_v_of(np.bincount(one * n_other + other, minlength=n_one * n_other).reshape(n_one, n_other))


def correlation_ratio(values: FloatArray, codes: IntArray) -> float:
    """Return the share of the spread in the values that the groups explain, square-rooted and bias-corrected.

    NaN if the values do not vary, or there are as many groups as rows.

    Examples
    --------
    >>> correlation_ratio(np.array([1.0, 1.0, 2.0, 2.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    centred = values - values.mean()
    total = float(np.square(centred).sum())
    sizes = np.bincount(codes)
    n_groups = int(np.count_nonzero(sizes))
    if total <= 0 or values.size <= n_groups:
        return float("nan")
    means = np.bincount(codes, weights=centred)[sizes > 0] / sizes[sizes > 0]
    unexplained = 1.0 - float((sizes[sizes > 0] * np.square(means)).sum()) / total
    corrected = 1.0 - unexplained * (values.size - 1) / (values.size - n_groups)
    return float(np.sqrt(min(1.0, max(0.0, corrected))))


def joint_auc(
    columns: Mapping[str, npt.NDArray[Any]], codes: IntArray, *, seed: int, n_resamples: int = 500
) -> Interval:
    """Return how well all columns together predict the groups, by 5-fold cross-validation.

    Groups with fewer than 30 rows are left out. The interval resamples the rows and not the training.
    """
    sizes = np.bincount(codes)
    kept = np.flatnonzero(sizes[codes] >= _MIN_ROWS)
    truth = np.unique(codes[kept], return_inverse=True)[1].astype(np.int64)
    if not columns or np.unique(truth).size < 2:
        reason = "there are no inputs" if not columns else f"fewer than two groups have {_MIN_ROWS} rows"
        return Interval(value=None, low=None, high=None, reason=reason)
    # Imported late: the room must open without scikit-learn.
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415

    matrix = np.column_stack([_as_number(values[kept]) for values in columns.values()])
    model = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=15, early_stopping=False, random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    # One thread: the model is small, and many threads on a busy machine wait for each other.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        probability = cross_val_predict(model, matrix, truth, cv=folds, method="predict_proba")

    def auc(weights: FloatArray) -> dict[str, FloatArray]:
        if probability.shape[1] == 2:
            return {"auc": areas(truth == 1, probability[:, 1], weights).roc}
        return {"auc": mean_area(one_vs_rest(truth, probability, weights).roc)}

    replicates = bootstrap(
        auc, truth.size, seed=seed, n_resamples=resamples_for(truth.size, n_resamples), strata=truth
    )["auc"]
    return interval(auc(np.ones(truth.size))["auc"], replicates)


def _associated(name: str, values: npt.NDArray[Any], codes: IntArray) -> ProxyColumn:
    numeric = values.dtype.kind in "iuf"
    absent = np.isnan(values.astype(np.float64)) if numeric else np.zeros(values.size, dtype=bool)
    if np.unique(codes).size < 2:
        return _unknown(name, numeric=numeric, reason="the attribute has a single value on these rows")
    best = (
        _number(name, values[~absent].astype(np.float64), codes[~absent]) if numeric else _category(name, values, codes)
    )
    if min(np.count_nonzero(absent), np.count_nonzero(~absent)) >= _MIN_ROWS:
        missing = cramers_v(absent.astype(np.int64), codes)
        if np.isfinite(missing) and missing > (best.association or 0.0):
            return ProxyColumn(
                column=name,
                kind="numeric",
                measure="missingness",
                association=missing,
                level=_level(missing, _ASSOCIATION),
            )
    return best


def _number(name: str, values: FloatArray, codes: IntArray) -> ProxyColumn:
    if np.unique(values).size < 2 or np.unique(codes).size < 2:
        return _unknown(name, numeric=True, reason="the column, or the attribute beside it, has a single value")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[inverse]
    association = correlation_ratio(ranks, codes)
    if not np.isfinite(association):
        return _unknown(name, numeric=True, reason="there are as many groups as rows")
    sizes = np.bincount(codes)
    told = [float(areas(codes == code, inverse.astype(np.float64)).roc) for code in np.flatnonzero(sizes >= _MIN_ROWS)]
    found = [max(auc, 1.0 - auc) for auc in told if np.isfinite(auc)]
    return ProxyColumn(
        column=name,
        kind="numeric",
        measure="correlation_ratio",
        association=association,
        level=_level(association, _ASSOCIATION),
        auc=max(found) if found else None,
    )


def _category(name: str, values: npt.NDArray[Any], codes: IntArray) -> ProxyColumn:
    categories = _category_codes(values)
    n_categories = int(categories.max(initial=0)) + 1
    if n_categories > _MAX_CATEGORIES:
        reason = f"{n_categories:,} distinct values are too many to compare; the joint model sees them"
        return _unknown(name, numeric=False, reason=reason)
    association = cramers_v(categories, codes)
    if not np.isfinite(association):
        return _unknown(name, numeric=False, reason="the column has a single value on these rows")
    return ProxyColumn(
        column=name,
        kind="categorical",
        measure="cramers_v",
        association=association,
        level=_level(association, _ASSOCIATION),
    )


def _unknown(name: str, *, numeric: bool, reason: str) -> ProxyColumn:
    return ProxyColumn(
        column=name,
        kind="numeric" if numeric else "categorical",
        measure="correlation_ratio" if numeric else "cramers_v",
        association=None,
        level="not computable",
        reason=reason,
    )


def _itself(name: str, values: npt.NDArray[Any]) -> ProxyColumn:
    numeric = values.dtype.kind in "iuf"
    return ProxyColumn(
        column=name,
        kind="numeric" if numeric else "categorical",
        measure="correlation_ratio" if numeric else "cramers_v",
        association=1.0,
        level="the attribute itself",
    )


def _category_codes(values: npt.NDArray[Any]) -> IntArray:
    texts = np.array([MISSING if value is None else str(value) for value in values.tolist()])
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)


def _as_number(values: npt.NDArray[Any]) -> FloatArray:
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    return _category_codes(values).astype(np.float64)


def _level(value: float | None, steps: tuple[tuple[float, Level], ...]) -> Level:
    if value is None:
        return "not computable"
    return next((level for step, level in steps if value >= step), "none")


def _findings(attribute: str, columns: list[ProxyColumn], auc: Interval, level: Level) -> tuple[str, ...]:
    said = []
    for item in columns:
        if item.level == "the attribute itself":
            said.append(f"{item.column} is the sensitive attribute itself and an input of the model.")
        elif item.level in ("strong", "moderate") and item.association is not None:
            what = "whether it is missing" if item.measure == "missingness" else "its value"
            said.append(
                f"{item.column} is a {item.level} proxy of {attribute}: {what} goes with it at {item.association:.2f} "
                "on a scale to 1."
            )
    if auc.value is not None and level in ("strong", "moderate"):
        said.append(
            f"All inputs together predict {attribute} with an AUC of {auc.value:.2f} ({level}): leaving {attribute} "
            "out of the model does not make it blind to it."
        )
    return tuple(said)
