"""For whom a model works: rates by group of a sensitive column, how far apart they are, and whether that is accepted.

A *favourable* outcome is the one people want: the loan granted, the invitation to interview. The caller says which
class that is. Every rate is then about that class, so that "selected" always means something good.

===============================  ==============================================  =========  =======
measure                          definition                                      accepted   gated
===============================  ==============================================  =========  =======
disparate_impact_ratio           lowest / highest selection rate                 > 0.8      yes
demographic_parity_difference    highest - lowest selection rate                 <= 0.1     yes
equal_opportunity_difference     highest - lowest TPR                            <= 0.1     yes
equalized_odds_difference        the larger of the differences in TPR and FPR    <= 0.1     no
fnr_ratio                        lowest / highest FNR                            > 0.8      no
worst_group_ece                  highest calibration error of a group            <= 0.05    yes
standardized_residual_difference highest - lowest mean residual, in standard     <= 0.2     yes
                                 deviations of the residuals
mae_ratio                        lowest / highest mean absolute error            > 0.8      no
===============================  ==============================================  =========  =======

The last two are for a predicted number. Equalised odds and ratios of errors have no gate, because a calibrated model
cannot make them equal where groups differ in base rate or in spread; why stands with the sources of measures and
thresholds in :mod:`arkwright.evaluation.disparity`. Equalised odds that miss the threshold in one of the two rates
alone are judged by that one where the other is not defined.

**Status.** ``Fail``: a gated measure is not met, and chance does not explain it for some pair of groups (for
calibration: for some group). ``Warning``: a gated measure is not met but chance may explain it, or could not be
computed, or left out a group that is too small (of a column as it is; that two columns together have small groups is a
note), or a measure without a gate is not met. ``Pass``: none of these. Size and significance both count in the
Uniform Guidelines (29 CFR 1607.4(D)): a low ratio is no adverse impact where it rests on small numbers and is not
significant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.calibration import checked_binary, checked_probability
from arkwright.evaluation.classification import predicted_codes
from arkwright.evaluation.disparity import ERROR_MEASURES, RATE_MEASURES, Disparity, Rules, compare
from arkwright.evaluation.fairness_findings import (
    Finding,
    bias_notes,
    disparity_findings,
    error_notes,
    left_out_findings,
    residual_notes,
    small_notes,
)
from arkwright.evaluation.group_metrics import (
    BoolArray,
    GroupMetrics,
    Measured,
    describe_groups,
    measure_errors,
    measure_rates,
)
from arkwright.evaluation.groups import Groups, GroupValues, binned, groups_of, intersect
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES, LEVEL, resamples_for
from arkwright.evaluation.metric import FloatArray, row_weights

Status = Literal["Pass", "Warning", "Fail"]
_STATUSES: tuple[Status, ...] = ("Pass", "Warning", "Fail")


class ColumnFairness(msgspec.Struct, frozen=True, kw_only=True):
    """The groups of one column (or of two together) and how they compare.

    ``outcome`` says what the rates are about: ``favourable``, one class by its label, or ``value`` for regression.
    ``judged`` is False for the classes shown beside a favourable outcome: they do not decide the report's status.
    """

    column: str
    outcome: str
    judged: bool
    groups: tuple[GroupMetrics, ...]
    disparities: tuple[Disparity, ...]
    findings: tuple[Finding, ...]
    status: Status

    def disparity(self, name: str) -> Disparity:
        """Return one measure by its name."""
        return next(item for item in self.disparities if item.name == name)


class FairnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every sensitive column's groups and measures; ``status`` is the worst of the judged ones.

    ``assumptions`` are what was taken for granted because nobody said so; they decide no status. ``threshold`` is the
    score from which on a binary model calls a row positive.
    """

    task: Literal["binary", "multiclass", "regression"]
    n_rows: int
    columns: tuple[ColumnFairness, ...]
    status: Status
    level: float = LEVEL
    n_resamples: int = DEFAULT_RESAMPLES
    seed: int = 0
    min_rows: int = 30
    assumptions: tuple[Finding, ...] = ()
    threshold: float | None = None

    def column(self, name: str, outcome: str | None = None) -> ColumnFairness:
        """Return what was found about one column, by default for its first outcome.

        Raises
        ------
        Invalid
            If the column was not audited.
        """
        for item in self.columns:
            if item.column == name and outcome in (None, item.outcome):
                return item
        raise Invalid(
            f"column {name!r} was not audited", hint=f"Audited: {', '.join(item.column for item in self.columns)}."
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return the assumptions and the findings of all judged columns, the gravest first."""
        found = [
            *self.assumptions,
            *(finding for column in self.columns if column.judged for finding in column.findings),
        ]
        return tuple(sorted(found, key=lambda finding: ("fail", "warning", "note").index(finding.severity)))


def audit_binary(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    sensitive: Mapping[str, GroupValues],
    *,
    threshold: float = 0.5,
    favourable: Literal[0, 1] = 1,
    intersections: Sequence[tuple[str, str]] = (),
    weights: npt.NDArray[Any] | None = None,
    rules: Rules | None = None,
    seed: int = 0,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> FairnessReport:
    """Compare groups under a binary model.

    Parameters
    ----------
    truth
        0 or 1, shape ``(n_rows,)``.
    score
        Probability of class 1; a row is called 1 from ``threshold`` on.
    sensitive
        Group labels by column, each with one value per row; they need not be inputs of the model. Numbers such as age
        are binned first (:func:`~arkwright.evaluation.groups.binned`).
    favourable
        The class people want to be given. With 0 (a model of default, of recidivism) everything is turned round:
        the selection rate is the share called 0, the TPR is taken over the rows truly 0.
    intersections
        Pairs of sensitive columns to look at together.
    weights
        How much each row counts; their scale does not matter.

    Raises
    ------
    Invalid
        If a column is unknown or has another length, a score is NaN, or a label is not 0 or 1.

    Examples
    --------
    >>> truth = np.array([1, 1, 0, 0] * 20)
    >>> score = np.where(np.arange(80) < 40, 0.9, 0.1)
    >>> report = audit_binary(truth, score, {"sex": ["m"] * 40 + ["f"] * 40})
    >>> report.status, report.column("sex").disparity("demographic_parity_difference").value.value
    ('Fail', 1.0)
    """
    return audit_binary_at(
        truth,
        score,
        sensitive,
        [threshold],
        favourable=favourable,
        intersections=intersections,
        weights=weights,
        rules=rules,
        seed=seed,
        n_resamples=n_resamples,
    )[0]


def audit_binary_at(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    sensitive: Mapping[str, GroupValues],
    thresholds: Sequence[float],
    *,
    favourable: Literal[0, 1] = 1,
    intersections: Sequence[tuple[str, str]] = (),
    weights: npt.NDArray[Any] | None = None,
    rules: Rules | None = None,
    seed: int = 0,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> tuple[FairnessReport, ...]:
    """Compare groups under a binary model that decides at each of several thresholds, on the same resamples.

    The other parameters are those of :func:`audit_binary`. A second threshold costs little more than one.

    Raises
    ------
    Invalid
        As :func:`audit_binary`.
    """
    outcome, given = checked_binary(truth, score)
    actual, calls = outcome == 1, [given >= threshold for threshold in thresholds]
    if favourable == 0:
        actual, calls, given = ~actual, [~called for called in calls], 1.0 - given
    audit = _Audit(sensitive, intersections, actual.size, weights, rules, seed, n_resamples)
    found = [audit.rates_of(name, "favourable", actual, calls, given) for name in audit.columns]
    return tuple(
        msgspec.structs.replace(audit.report("binary", [column[place] for column in found]), threshold=float(threshold))
        for place, threshold in enumerate(thresholds)
    )


def audit_multiclass(
    truth: npt.NDArray[Any],
    probability: npt.NDArray[Any],
    sensitive: Mapping[str, GroupValues],
    *,
    labels: Sequence[str | int | bool],
    favourable: Collection[str | int | bool] = (),
    intersections: Sequence[tuple[str, str]] = (),
    weights: npt.NDArray[Any] | None = None,
    rules: Rules | None = None,
    seed: int = 0,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> FairnessReport:
    """Compare groups under a model of several classes: for the favourable ones together, and each against the rest.

    Parameters
    ----------
    truth
        Class codes, shape ``(n_rows,)``.
    probability
        Shape ``(n_rows, n_classes)``; the most probable class is the one given.
    labels
        Of the classes, in the order of the columns.
    favourable
        Labels of the classes people want. Without any, each class against the rest is judged instead.

    Raises
    ------
    Invalid
        As :func:`audit_binary`; also if a favourable class is not a label, or a code is not that of a class.
    """
    given = np.asarray(probability, dtype=np.float64)
    codes = np.asarray(truth)
    if given.ndim != 2 or given.shape != (codes.size, len(labels)):
        raise Invalid(
            f"probabilities of shape {given.shape} do not fit {codes.size} rows and {len(labels)} classes",
            code="evaluation.rows",
            hint="Give one row of probabilities per true class, one column per label.",
        )
    checked_probability(given)
    if not np.isin(codes, np.arange(len(labels))).all():
        raise Invalid(
            "a true class has no column in the probabilities",
            code="evaluation.unseen_class",
            hint=f"Leave out rows whose class the model never saw; it knows {', '.join(map(str, labels))}.",
        )
    unknown = [label for label in favourable if label not in labels]
    if unknown:
        raise Invalid(
            f"{unknown[0]!r} is not a class", hint=f"The classes are {', '.join(map(str, labels))}.", code="invalid"
        )
    predicted = predicted_codes(given)
    audit = _Audit(sensitive, intersections, codes.size, weights, rules, seed, n_resamples)
    wanted = np.array([code for code, label in enumerate(labels) if label in favourable], dtype=np.int64)
    found = []
    for name in audit.columns:
        if wanted.size:
            total = np.clip(given[:, wanted].sum(axis=1), 0.0, 1.0)
            found.append(audit.rates(name, "favourable", np.isin(codes, wanted), np.isin(predicted, wanted), total))
        for code, label in enumerate(labels):
            score = np.clip(given[:, code], 0.0, 1.0)
            found.append(audit.rates(name, str(label), codes == code, predicted == code, score, judged=not wanted.size))
    return audit.report("multiclass", found)


def audit_regression(
    truth: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    sensitive: Mapping[str, GroupValues],
    *,
    intersections: Sequence[tuple[str, str]] = (),
    weights: npt.NDArray[Any] | None = None,
    rules: Rules | None = None,
    seed: int = 0,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> FairnessReport:
    """Compare groups under a model of a number: mean prediction, mean residual (truth minus prediction), MAE, RMSE.

    Raises
    ------
    Invalid
        If a column is unknown or has another length, or a value is not finite.
    """
    actual, given = np.asarray(truth, dtype=np.float64).ravel(), np.asarray(predicted, dtype=np.float64).ravel()
    if actual.size == 0 or actual.size != given.size:
        raise Invalid(
            f"There are {actual.size} true values and {given.size} predictions.",
            code="evaluation.rows",
            hint="Pass one prediction for each row, and at least one row.",
        )
    for what, values in (("true values", actual), ("predictions", given)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise Invalid(
                f"{bad.size} {what} are not finite, the first in row {bad[0]}.",
                code="evaluation.not_finite",
                hint="Drop the rows the model could not score.",
            )
    audit = _Audit(sensitive, intersections, actual.size, weights, rules, seed, n_resamples)
    return audit.report("regression", [audit.errors(name, actual, given) for name in audit.columns])


def sensitive_groups(
    table: Mapping[str, npt.NDArray[Any]],
    names: Sequence[str],
    *,
    bins: Mapping[str, Sequence[float] | int] | None = None,
) -> dict[str, Groups]:
    """Take the sensitive columns out of a table.

    Parameters
    ----------
    bins
        For a number such as age: the edges to cut at, or how many quantile groups to make.

    Raises
    ------
    Invalid
        If the table has no such column, or a column has too many distinct values to be groups.

    Examples
    --------
    >>> sensitive_groups({"age": np.array([20, 70])}, ["age"], bins={"age": [40]})["age"].labels
    ('< 40', '>= 40')
    """
    found = {}
    for name in names:
        if name not in table:
            raise Invalid(
                f"the data has no column {name!r} to compare groups by",
                code="evaluation.no_sensitive_column",
                hint=f"Its columns are {', '.join(sorted(table)[:20])}.",
            )
        cut = (bins or {}).get(name)
        if cut is None:
            found[name] = groups_of(table[name], column=f"column {name!r}")
        elif isinstance(cut, int):
            found[name] = binned(table[name], quantiles=cut, column=f"column {name!r}")
        else:
            found[name] = binned(table[name], edges=cut, column=f"column {name!r}")
    return found


def worst(statuses: Collection[Status]) -> Status:
    """Return the gravest status; ``Pass`` if there is none.

    Examples
    --------
    >>> worst(["Pass", "Warning"])
    'Warning'
    """
    return max(statuses, key=_STATUSES.index, default="Pass")


class _Audit:
    """The checked columns, weights and rules that all outcomes of one report share."""

    def __init__(
        self,
        sensitive: Mapping[str, GroupValues],
        intersections: Sequence[tuple[str, str]],
        n_rows: int,
        weights: npt.NDArray[Any] | None,
        rules: Rules | None,
        seed: int,
        n_resamples: int,
    ) -> None:
        self.columns = _checked_columns(sensitive, intersections, n_rows)
        self.crossed = frozenset(self.columns) - frozenset(sensitive)
        self.weights = _checked_weights(weights, n_rows)
        self.rules = (rules or Rules()).checked()
        self.n_rows = n_rows
        self.seed = seed
        self.n_resamples = resamples_for(n_rows, n_resamples)

    def rates(
        self, name: str, outcome: str, truth: BoolArray, called: BoolArray, score: FloatArray, *, judged: bool = True
    ) -> ColumnFairness:
        return self.rates_of(name, outcome, truth, [called], score, judged=judged)[0]

    def rates_of(
        self,
        name: str,
        outcome: str,
        truth: BoolArray,
        calls: Sequence[BoolArray],
        score: FloatArray,
        *,
        judged: bool = True,
    ) -> list[ColumnFairness]:
        measured = measure_rates(
            truth, calls, score, self.columns[name], weights=self.weights, seed=self.seed, n_resamples=self.n_resamples
        )
        return [
            self._compared(name, outcome, truth, called, each, judged=judged)
            for called, each in zip(calls, measured, strict=True)
        ]

    def _compared(
        self, name: str, outcome: str, truth: BoolArray, called: BoolArray, measured: Measured, *, judged: bool
    ) -> ColumnFairness:
        groups = self.columns[name]
        described = describe_groups(measured, groups, truth=truth, min_rows=self.rules.min_rows)
        disparities = compare(RATE_MEASURES, measured, described, groups, self.rules)
        overall = np.average(truth != called, weights=self.weights)
        notes = [*bias_notes(name, described), *error_notes(name, described, float(overall))]
        return _column(name, outcome, described, disparities, notes, judged=judged, crossed=name in self.crossed)

    def errors(self, name: str, truth: FloatArray, predicted: FloatArray) -> ColumnFairness:
        groups = self.columns[name]
        measured = measure_errors(
            truth, predicted, groups, weights=self.weights, seed=self.seed, n_resamples=self.n_resamples
        )
        described = describe_groups(measured, groups, min_rows=self.rules.min_rows)
        residual = truth - predicted
        centred = residual - np.average(residual, weights=self.weights)
        spread = float(np.sqrt(np.average(centred**2, weights=self.weights)))
        disparities = compare(ERROR_MEASURES, measured, described, groups, self.rules, residual_std=spread)
        notes = residual_notes(name, described, spread)
        return _column(name, "value", described, disparities, notes, judged=True, crossed=name in self.crossed)

    def report(
        self, task: Literal["binary", "multiclass", "regression"], columns: Sequence[ColumnFairness]
    ) -> FairnessReport:
        return FairnessReport(
            task=task,
            n_rows=self.n_rows,
            columns=tuple(columns),
            status=worst([column.status for column in columns if column.judged]),
            n_resamples=self.n_resamples,
            seed=self.seed,
            min_rows=self.rules.min_rows,
        )


def _checked_columns(
    sensitive: Mapping[str, GroupValues], intersections: Sequence[tuple[str, str]], n_rows: int
) -> dict[str, Groups]:
    if not sensitive:
        raise Invalid(
            "no sensitive column was given",
            code="evaluation.no_sensitive_column",
            hint="Name at least one column to compare groups by, such as sex.",
        )
    columns = {name: groups_of(values, column=f"column {name!r}") for name, values in sensitive.items()}
    for name, groups in columns.items():
        if groups.codes.size != n_rows:
            raise Invalid(
                f"column {name!r} has {groups.codes.size:,} values for {n_rows:,} scored rows",
                code="evaluation.lengths",
                hint="Give the sensitive column for the rows that were scored, in the same order.",
            )
    for pair in intersections:
        missing = [name for name in pair if name not in columns]
        if missing:
            raise Invalid(
                f"column {missing[0]!r} is to be combined with another but was not given",
                code="evaluation.no_sensitive_column",
                hint=f"The sensitive columns are {', '.join(columns)}.",
            )
    return columns | {f"{one} & {two}": intersect(columns[one], columns[two]) for one, two in intersections}


def _checked_weights(weights: npt.NDArray[Any] | None, n_rows: int) -> FloatArray:
    if weights is not None and np.asarray(weights).shape != (n_rows,):
        raise Invalid(
            f"weights of shape {np.asarray(weights).shape} do not fit {n_rows:,} rows",
            code="evaluation.lengths",
            hint="Give one weight for each row.",
        )
    checked = row_weights(n_rows, weights)
    if not np.isfinite(checked).all() or (checked < 0).any() or checked.sum() <= 0:
        raise Invalid(
            "row weights must be finite, at least 0 and not all 0",
            code="evaluation.weights",
            hint="Leave out rows that should not count.",
        )
    return checked


def _column(
    name: str,
    outcome: str,
    groups: tuple[GroupMetrics, ...],
    disparities: tuple[Disparity, ...],
    notes: Sequence[Finding],
    *,
    judged: bool,
    crossed: bool,
) -> ColumnFairness:
    # Two columns together nearly always have small groups, and nobody can gather rows for all of them.
    unjudged = left_out_findings(name, disparities, groups, severity="note" if crossed else "warning")
    found = (*disparity_findings(name, disparities, groups), *unjudged)
    severities = {finding.severity for finding in found}
    status: Status = "Fail" if "fail" in severities else "Warning" if "warning" in severities else "Pass"
    return ColumnFairness(
        column=name,
        outcome=outcome,
        judged=judged,
        groups=groups,
        disparities=disparities,
        findings=(*found, *notes, *small_notes(name, groups)),
        status=status,
    )
