"""Run behaviour tests against a model: what it says must not change, must move one way, or must simply be right.

The tests of :mod:`.behaviour_spec` are tried on rows of a table (a seeded sample of a long one). A row fails where the
change moves the score or the label as it must not; the test fails where more than the allowed share of its rows do. A
score that is no number is a failure, and a test that finds no row to try is *not run*, which is not *passed*: a gate
must not be green because nothing was looked at.

References
----------
Ribeiro, Wu, Guestrin & Singh (2020), "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles import rows_to_columns, to_rows
from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import AdapterError, ArkwrightError, Invalid, Unavailable
from arkwright.core.written_numbers import counted, written
from arkwright.evaluation.behaviour_spec import (
    BehaviourSpec,
    BehaviourTest,
    Cell,
    Directional,
    ExpectedRow,
    Invariance,
    MinimumFunctionality,
    class_index,
    filled,
    find_column,
    problems,
    refused,
)
from arkwright.evaluation.classification import predicted_codes
from arkwright.evaluation.metric import FloatArray, IntArray

Columns = Mapping[str, npt.NDArray[Any]]
Predict = Callable[[Columns], Any]
BehaviourStatus = Literal["passed", "failed", "not_run"]

MAX_ROWS = 10_000
_N_EXAMPLES = 5
_KINDS = {Invariance: "invariance", Directional: "directional", MinimumFunctionality: "minimum_functionality"}


class FailingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that failed: its number in the table (or in the test's own rows), counted from 1, and what happened.

    ``inputs`` are the model's inputs before the change, ``change`` the cells that were put in their place. The scores
    are those the test looks at; None where the model's answer is no number.
    """

    row: int
    message: str
    inputs: dict[str, Any]
    change: dict[str, Any]
    score_before: float | None
    score_after: float | None
    label_before: Label | None
    label_after: Label | None


class BehaviourResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of one test; ``detail`` says it in a sentence, ``failures`` are the worst rows.

    ``failure_rate`` is None, with the reason, where no row could be tried.
    """

    name: str
    type: str
    status: BehaviourStatus
    n_tested: int
    n_failed: int
    failure_rate: float | None
    allowed_failure_rate: float
    detail: str
    failures: tuple[FailingRow, ...] = ()
    reason: str = ""


class BehaviourReport(msgspec.Struct, frozen=True, kw_only=True):
    """All tests of a file; ``passed`` only if every one of them passed.

    ``n_rows`` is what the table has, ``n_rows_used`` the size of the sample that was tried.
    """

    passed: bool
    n_passed: int
    n_failed: int
    n_not_run: int
    n_rows: int
    n_rows_used: int
    seed: int
    results: tuple[BehaviourResult, ...]
    detail: str


class _Variant(NamedTuple):
    """A change: the rows it is for, as positions in the sample, and their new cells."""

    rows: IntArray
    cells: npt.NDArray[Any]


class _Judged(NamedTuple):
    """Which rows of a variant fail, and by how much; rows whose answer is no number fail worst."""

    failed: npt.NDArray[np.bool_]
    severity: FloatArray


def run_behaviour(
    spec: BehaviourSpec,
    predict: Predict,
    signature: Signature,
    columns: Columns | None = None,
    *,
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    n_examples: int = _N_EXAMPLES,
) -> BehaviourReport:
    """Run every test.

    Parameters
    ----------
    spec
        From :func:`~arkwright.evaluation.behaviour_spec.parse_behaviour`.
    predict
        Takes columns, returns scores as ``Predictor.predict_columns`` does: shape ``(n, 1)`` for binary (the positive
        class's probability) and regression, ``(n, n_classes)`` for multiclass.
    signature
        The model's: its task, classes and columns.
    columns
        A table of rows to try the invariance and directional tests on, one array per input of the model.
    seed
        Of the sample and the noise.
    max_rows
        A longer table is sampled.
    n_examples
        Failing rows to keep for each test, the worst first.

    Raises
    ------
    Invalid
        If a test does not fit the model, before any is run; ``errors`` has every field that is wrong.
    Unavailable, AdapterError
        From the model, as they come: an outage is no finding about it.

    Examples
    --------
    >>> from arkwright.contracts import Column
    >>> from arkwright.evaluation.behaviour_spec import parse_behaviour
    >>> signature = Signature(task="regression", target="price", columns=(Column(name="size", kind="numeric"),))
    >>> spec = parse_behaviour("tests: [{name: larger is dearer, type: directional, column: size, increase_by: 10,"
    ...     " expect: increase, strict: true}]")
    >>> columns = {"size": np.array([30.0, 60.0])}
    >>> run_behaviour(spec, lambda given: given["size"].reshape(-1, 1) * 3000.0, signature, columns).passed
    True
    >>> run_behaviour(spec, lambda given: np.zeros((2, 1)), signature, columns).results[0].detail
    '2 of 2 rows failed (100 %; 0 % are allowed).'
    """
    errors = [
        {"field": f"tests[{index}].{place}", "message": message}
        for index, test in enumerate(spec.tests)
        for place, message in problems(test, signature)
    ]
    if errors:
        raise refused("These behaviour tests do not fit the model", errors)
    runner = BehaviourRunner(predict, signature, columns, seed=seed, max_rows=max_rows, n_examples=n_examples)
    results = tuple(runner.run(test) for test in spec.tests)
    n_passed, n_failed, n_not_run = (
        sum(result.status == status for result in results) for status in ("passed", "failed", "not_run")
    )
    sampled = f" They were tried on a sample of {runner.n_rows_used:,} of {runner.n_rows:,} rows."
    return BehaviourReport(
        passed=n_passed == len(results),
        n_passed=n_passed,
        n_failed=n_failed,
        n_not_run=n_not_run,
        n_rows=runner.n_rows,
        n_rows_used=runner.n_rows_used,
        seed=seed,
        results=results,
        detail=f"{n_passed} of {counted(len(results), 'behaviour test')} passed, {n_failed} failed, "
        f"{n_not_run} had no row to try." + (sampled if runner.n_rows_used < runner.n_rows else ""),
    )


class BehaviourRunner:
    """Runs tests one by one on the same sample; the parameters are those of :func:`run_behaviour`.

    Attributes
    ----------
    n_rows, n_rows_used
        Rows of the table, and of the sample.
    """

    def __init__(
        self,
        predict: Predict,
        signature: Signature,
        columns: Columns | None = None,
        *,
        seed: int = 0,
        max_rows: int = MAX_ROWS,
        n_examples: int = _N_EXAMPLES,
    ) -> None:
        self._predict = predict
        self._signature = signature
        self._seed = seed
        self._n_examples = n_examples
        self._has_table = columns is not None
        given = (
            {} if columns is None else {column.name: columns[column.name] for column in _present(signature, columns)}
        )
        self.n_rows = len(next(iter(given.values()))) if given else 0
        self._numbers = np.arange(self.n_rows)
        if self.n_rows > max_rows:
            drawn = np.random.default_rng(seed).choice(self.n_rows, size=max_rows, replace=False)
            self._numbers = np.sort(drawn)
        self.n_rows_used = int(self._numbers.size)
        self._columns = {name: values[self._numbers] for name, values in given.items()}
        for name, values in self._columns.items():
            if values.dtype.kind in "iub":  # noise and shifts are not whole
                self._columns[name] = values.astype(np.float64)
        self._before: FloatArray | None = None

    def run(self, test: BehaviourTest) -> BehaviourResult:
        """Run one test.

        Raises
        ------
        Invalid
            If the test does not fit the model, or needs rows and there are none.
        """
        wrong = problems(test, self._signature)
        if wrong:
            raise refused(test.name, [{"field": place, "message": message} for place, message in wrong])
        if isinstance(test, MinimumFunctionality):
            return self._run_rows(test)
        if not self._has_table:
            raise Invalid(
                f"The test {test.name!r} changes rows of a table, and no table was given.",
                code="behaviour.no_rows",
                hint="Give a table with rows like those the model was trained on.",
            )
        column = find_column(self._signature, test.column)
        if column is None:
            return self._result(test, self.n_rows_used, 0, [], "the model does not read this column")
        if test.column not in self._columns:
            return self._result(test, 0, 0, [], f"the table has no column {test.column!r}")
        return self._run_change(test)

    def _run_change(self, test: Invariance | Directional) -> BehaviourResult:
        tried = np.zeros(self.n_rows_used, dtype=bool)
        failed = np.zeros(self.n_rows_used, dtype=bool)
        worst = np.full(self.n_rows_used, -np.inf)
        after = np.empty((self.n_rows_used, self._width), dtype=np.float64)
        cells = self._columns[test.column].copy()
        try:
            before = self._scores_before()
            for variant in self._variants(test):
                rows = variant.rows
                if not rows.size:
                    continue
                changed = {name: values[rows] for name, values in self._columns.items()}
                scores = self._scores({**changed, test.column: variant.cells})
                judged = _judge(test, self._signature, before[rows], scores)
                tried[rows] = True
                failed[rows] |= judged.failed
                # Of several values tried on a row, the one that fails worst is shown.
                worse = judged.failed & (judged.severity > worst[rows])
                worst[rows[worse]] = judged.severity[worse]
                after[rows[worse]] = scores[worse]
                cells[rows[worse]] = variant.cells[worse]
        except (Unavailable, AdapterError):
            raise  # an outage, which says nothing about the model
        except ArkwrightError as error:
            return self._unanswered(test, error)
        order = sorted(np.flatnonzero(failed).tolist(), key=lambda row: (-worst[row], row))
        examples = [
            self._failing(test, row, before[row], after[row], cells[row : row + 1]) for row in order[: self._n_examples]
        ]
        reason = "" if tried.any() else _nothing_to_try(test)
        return self._result(test, int(tried.sum()), int(failed.sum()), examples, reason)

    def _variants(self, test: Invariance | Directional) -> Iterator[_Variant]:
        values = self._columns[test.column]
        everywhere = np.arange(values.size)
        if isinstance(test, Invariance) and test.swap is not None:
            for old, new in (test.swap, test.swap[::-1]):
                rows = everywhere[_equal(values, self._cell(test.column, old))]
                yield _Variant(rows, np.repeat(self._cell(test.column, new), rows.size))
            return
        shift: FloatArray | float | None = None
        if isinstance(test, Directional):
            shift, wanted = test.increase_by, [] if test.set_to is msgspec.UNSET else [test.set_to]
        else:
            wanted = list(test.values or ())
            if test.noise is not None:
                spread = float(np.std(values[np.isfinite(values)])) if np.isfinite(values).any() else 0.0
                shift = np.random.default_rng(self._seed).normal(0.0, test.noise * spread, values.size)
        if shift is not None:
            moved = values + shift
            rows = everywhere[np.isfinite(moved) & (moved != values)]
            yield _Variant(rows, moved[rows])
        for cell in wanted:
            put = self._cell(test.column, cell)
            rows = everywhere[~_equal(values, put)]
            yield _Variant(rows, np.repeat(put, rows.size))

    def _run_rows(self, test: MinimumFunctionality) -> BehaviourResult:
        rows = filled(test)
        try:
            scores = self._scores(rows_to_columns(rows, self._signature))
        except (Unavailable, AdapterError):
            raise  # an outage, which says nothing about the model
        except ArkwrightError as error:
            return self._unanswered(test, error)
        failures = []
        for index, expected in enumerate(test.rows):
            wrong = self._wrong(expected, scores[index])
            if wrong:
                score, label = self._told(
                    scores[index], expected.class_ if expected.class_ is not None else expected.label
                )
                failures.append(
                    FailingRow(
                        row=index + 1,
                        message=f"row {index + 1}: {wrong}",
                        inputs=dict(rows[index]),
                        change={},
                        score_before=None,
                        score_after=score,
                        label_before=None,
                        label_after=label,
                    )
                )
        return self._result(test, len(rows), len(failures), failures[: self._n_examples], "")

    def _wrong(self, expected: ExpectedRow, scores: FloatArray) -> str:
        """Say what is not as expected, or return an empty text."""
        if not np.isfinite(scores).all():
            return "the score is not a number"
        of = expected.class_ if expected.class_ is not None else expected.label
        score, label = self._told(scores, of)
        found = []
        if expected.label is not None and label is not None:
            wanted = class_index(self._signature, expected.label)
            if wanted != class_index(self._signature, label):
                found.append(f"the label is {label!r} and should be {expected.label!r}")
        number = math.nan if score is None else score
        if expected.at_least is not None and number < expected.at_least:
            found.append(
                f"the {self._score_name} is {written(number)} and should be at least {written(expected.at_least)}"
            )
        if expected.at_most is not None and number > expected.at_most:
            found.append(
                f"the {self._score_name} is {written(number)} and should be at most {written(expected.at_most)}"
            )
        return "; ".join(found)

    def _failing(
        self,
        test: Invariance | Directional,
        row: int,
        before: FloatArray,
        after: FloatArray,
        cell: npt.NDArray[Any],
    ) -> FailingRow:
        inputs = to_rows({name: values[row : row + 1] for name, values in self._columns.items()})[0]
        change = to_rows({test.column: cell})[0]
        of = test.class_
        if of is None and self._signature.task == "multiclass":  # the class that moves most
            moves = np.abs(after - before)
            of = self._signature.classes[int(np.argmax(np.where(np.isfinite(moves), moves, -1.0)))]
        (score, label), (new_score, new_label) = self._told(before, of), self._told(after, of)
        number = int(self._numbers[row]) + 1
        whose = f" of {of!r}" if of is not None else ""
        message = (
            f"row {number:,}: {test.column} {inputs[test.column]!r} -> {change[test.column]!r}: the {self._score_name}"
            f"{whose} goes from {_number(score)} to {_number(new_score)}"
        )
        if label != new_label:
            message += f", the label from {label!r} to {new_label!r}"
        return FailingRow(
            row=number,
            message=f"{message} ({_rule(test)})",
            inputs=inputs,
            change=change,
            score_before=score,
            score_after=new_score,
            label_before=label,
            label_after=new_label,
        )

    def _result(
        self, test: BehaviourTest, n_tested: int, n_failed: int, failures: Sequence[FailingRow], reason: str
    ) -> BehaviourResult:
        rate = n_failed / n_tested if n_tested else None
        if rate is None:
            status: BehaviourStatus = "not_run"
            detail = f"Nothing was tried, because {reason or 'there are no rows'}."
        else:
            status = "passed" if rate <= test.allowed_failure_rate else "failed"
            detail = (
                f"{n_failed:,} of {counted(n_tested, 'row')} failed "
                f"({_percent(rate)}; {_percent(test.allowed_failure_rate)} are allowed)."
            )
        return BehaviourResult(
            name=test.name,
            type=_KINDS[type(test)],
            status=status,
            n_tested=n_tested,
            n_failed=n_failed,
            failure_rate=rate,
            allowed_failure_rate=test.allowed_failure_rate,
            detail=detail,
            failures=tuple(failures),
            reason=reason,
        )

    def _unanswered(self, test: BehaviourTest, error: ArkwrightError) -> BehaviourResult:
        return BehaviourResult(
            name=test.name,
            type=_KINDS[type(test)],
            status="failed",
            n_tested=0,
            n_failed=0,
            failure_rate=None,
            allowed_failure_rate=test.allowed_failure_rate,
            detail=f"The model could not answer: {error.detail}",
            reason="the model could not answer",
        )

    @property
    def _width(self) -> int:
        return 1 if self._signature.task == "regression" else len(self._signature.classes)

    @property
    def _score_name(self) -> str:
        return "value" if self._signature.task == "regression" else "score"

    def _scores_before(self) -> FloatArray:
        if self._before is None:
            self._before = self._scores(self._columns) if self.n_rows_used else np.empty((0, self._width))
        return self._before

    def _scores(self, columns: Columns) -> FloatArray:
        """Ask the model; one column per class, or one with the value."""
        n_rows = len(next(iter(columns.values())))
        scores: FloatArray = np.asarray(self._predict(columns), dtype=np.float64)
        if scores.ndim == 1:
            scores = scores.reshape(-1, 1)
        if self._signature.task == "binary" and scores.ndim == 2 and scores.shape[1] == 1:
            scores = np.column_stack((1.0 - scores[:, 0], scores[:, 0]))
        if scores.shape != (n_rows, self._width):
            raise Invalid(
                f"The model answered {n_rows:,} rows with scores of shape {scores.shape}; "
                f"a {self._signature.task} model answers with ({n_rows}, {self._width}).",
                code="behaviour.scores",
                hint="Give the predict that goes with this signature.",
            )
        return scores

    def _told(self, scores: FloatArray, of: Label | None) -> tuple[float | None, Label | None]:
        """Return the score that a test looks at and the label; None for what is no number."""
        if not np.isfinite(scores).all():
            return None, None
        if self._signature.task == "regression":
            return float(scores[0]), None
        label = self._signature.classes[int(predicted_codes(scores[None, :])[0])]
        return float(scores[_looked_at(self._signature, of)]), label

    def _cell(self, column: str, cell: Cell | msgspec.UnsetType) -> npt.NDArray[Any]:
        spec = find_column(self._signature, column)
        one = Signature(task="regression", target="", columns=() if spec is None else (spec,))
        return rows_to_columns([{column: cell}], one)[column]


def _judge(test: Invariance | Directional, signature: Signature, before: FloatArray, after: FloatArray) -> _Judged:
    """Decide which rows fail."""
    known = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    with np.errstate(invalid="ignore"):
        moves = after - before
    if isinstance(test, Directional):
        sign = 1.0 if test.expect == "increase" else -1.0
        towards = sign * moves[:, _looked_at(signature, test.class_)]
        kept = towards > test.tolerance if test.strict else towards >= -test.tolerance
        severity = -towards
    else:
        if test.class_ is not None or signature.task != "multiclass":
            moves = moves[:, [_looked_at(signature, test.class_)]]
        moved = np.abs(moves).max(axis=1)
        kept = np.ones(moved.size, dtype=bool) if test.tolerance is None else moved <= test.tolerance
        if test.keep_label:
            kept &= predicted_codes(before) == predicted_codes(after)
        severity = moved
    return _Judged(~(kept & known), np.where(known, severity, np.inf))


def _looked_at(signature: Signature, of: Label | None) -> int:
    """Return the score column a test looks at: the named class's, else the last (the positive class, or the value)."""
    found = None if of is None else class_index(signature, of)
    return max(0, len(signature.classes) - 1) if found is None else found


def _present(signature: Signature, columns: Columns) -> list[Any]:
    absent = [column.name for column in signature.columns if column.required and column.name not in columns]
    if absent:
        raise Invalid(
            f"The table lacks {'the column' if len(absent) == 1 else 'the columns'} {', '.join(map(repr, absent))}.",
            code="behaviour.columns",
            hint="Give the table every column that the model reads.",
            errors=[{"field": name, "message": "is missing"} for name in absent],
        )
    return [column for column in signature.columns if column.name in columns]


def _equal(values: npt.NDArray[Any], cell: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which cells are the given one; missing equals missing."""
    if values.dtype.kind == "O":
        return np.array([value == cell[0] for value in values.tolist()], dtype=bool)
    missing = np.isnat if values.dtype.kind == "M" else np.isnan
    same: npt.NDArray[np.bool_] = (values == cell[0]) | (missing(values) & missing(cell)[0])
    return same


def _nothing_to_try(test: Invariance | Directional) -> str:
    if isinstance(test, Invariance) and test.swap is not None:
        return f"no row has {test.swap[0]!r} or {test.swap[1]!r} in the column {test.column!r}"
    if isinstance(test, Invariance) and test.noise is not None:
        return f"the column {test.column!r} does not vary, so that noise has no size"
    if isinstance(test, Directional) and test.increase_by is not None:
        return f"no row has a number in the column {test.column!r}"
    return f"every row has that value in the column {test.column!r} already, or there are no rows"


def _rule(test: Invariance | Directional) -> str:
    if isinstance(test, Directional):
        way = "rise" if test.expect == "increase" else "fall"
        if test.strict:
            return f"it must {way} by more than {written(test.tolerance)}"
        return f"it must not {'fall' if way == 'rise' else 'rise'} by more than {written(test.tolerance)}"
    rules = [] if test.tolerance is None else [f"it may move by at most {written(test.tolerance)}"]
    rules += ["the label must stay"] if test.keep_label else []
    return ", ".join(rules)


def _number(score: float | None) -> str:
    return "no number" if score is None else written(score)


def _percent(share: float) -> str:
    return f"{written(100.0 * share, 3)} %"
