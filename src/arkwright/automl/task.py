"""Which question a target column asks: two classes, several classes, or a number.

Rules, in order:

1. text and boolean columns ask for a class; time columns are no target here;
2. a column with two distinct values asks for one of two classes;
3. whole numbers with at most ten distinct values ask for one of several classes;
4. every other number is a regression.

A request may overrule 2 to 4 in either direction. In a binary task the positive class is the one that is
recognisably affirmative (yes, true, 1, ...), else the rarer one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts.signature import Label, TaskType
from arkwright.core.errors import Invalid

ColumnType = Literal["integer", "number", "boolean", "text", "time"]
RequestedTask = Literal["auto", "classification", "binary", "multiclass", "regression"]

MAX_COUNTED_CLASSES = 10
"""Whole numbers with more distinct values than this are quantities, unless the request says otherwise."""

MAX_CLASSES = 200
MIN_ROWS = 20
_AFFIRMATIVE = frozenset({"yes", "y", "true", "t", "1", "positive", "pos"})
_NEGATIVE = frozenset({"no", "n", "false", "f", "0", "-1", "negative", "neg"})


class TaskDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What the target asks, and why we think so.

    Parameters
    ----------
    classes
        In the order of the score columns and in the type the data has them; for ``binary`` the second is
        the positive one. Empty for regression.
    class_rows
        Rows of each class, in the order of ``classes``.
    n_rows, n_missing
        Rows with a target, and rows without one, which are left out.
    reason, positive_reason
        Sentences for a person.
    """

    task: TaskType
    target: str
    column_type: ColumnType
    n_rows: int
    n_missing: int
    reason: str
    classes: tuple[Label, ...] = ()
    class_rows: tuple[int, ...] = ()
    positive_reason: str = ""


def detect_task(
    target: str,
    values: npt.NDArray[Any],
    *,
    column_type: ColumnType,
    requested: RequestedTask = "auto",
    positive_class: Label | None = None,
) -> TaskDecision:
    """Decide the task from the target's values.

    Parameters
    ----------
    values
        The column: float64 with NaN, or object with None and either the values themselves or their text.
    column_type
        Its type in the dataset, which is the type of the class labels.
    requested
        What the caller asked for.
    positive_class
        Overrules the rule for the positive class.

    Raises
    ------
    Invalid
        If the target is all missing, constant, has a class with one row, or does not fit the request.

    Examples
    --------
    >>> decision = detect_task("Churn", np.array(["No"] * 15 + ["Yes"] * 9, dtype=object), column_type="text")
    >>> decision.task, decision.classes, decision.positive_reason
    ('binary', ('No', 'Yes'), "'Yes' is the affirmative one of the two")
    """
    if column_type == "time":
        raise Invalid(
            f"The target {target!r} is a point in time, which is neither a class nor a number.",
            code="target.time",
            hint="Choose another target, or predict a duration as a number.",
        )
    counts = Counter(label for label in labels_of(values, column_type, target) if label is not None)
    n_rows = sum(counts.values())
    n_missing = int(values.size) - n_rows
    _check_values(target, counts, n_rows)
    task, reason = _choose(target, counts, column_type, requested)
    decision = TaskDecision(
        task=task, target=target, column_type=column_type, n_rows=n_rows, n_missing=n_missing, reason=reason
    )
    if task == "regression":
        return decision
    _check_classes(target, counts, n_rows, column_type)
    classes, positive_reason = _order_classes(target, counts, task, positive_class)
    return msgspec.structs.replace(
        decision,
        classes=classes,
        class_rows=tuple(counts[label] for label in classes),
        positive_reason=positive_reason,
    )


def labels_of(values: npt.NDArray[Any], column_type: ColumnType, target: str) -> list[Label | float | None]:
    """Return the cells in the type the dataset has them; None for missing.

    Examples
    --------
    >>> labels_of(np.array([1.0, np.nan]), "integer", "y"), labels_of(np.array(["True"], dtype=object), "boolean", "y")
    ([1, None], [True])
    """
    if values.dtype.kind in "fiub":
        if bool(np.isinf(values.astype(np.float64)).any()):
            row = int(np.flatnonzero(np.isinf(values.astype(np.float64)))[0]) + 1
            raise Invalid(
                f"The target {target!r} is infinite in row {row}.",
                code="target.infinite",
                hint="Remove such rows, or replace the value by one that was really observed.",
            )
        if values.dtype.kind == "b" or column_type == "boolean":
            return [None if np.isnan(cell) else bool(cell) for cell in values.astype(np.float64)]
        whole = column_type == "integer" or _all_whole(values)
        return [None if np.isnan(cell) else int(cell) if whole else float(cell) for cell in values.astype(np.float64)]
    cells = values.tolist()
    if column_type == "number":
        return labels_of(np.array([np.nan if cell is None else float(cell) for cell in cells]), column_type, target)
    return [None if cell is None else _label(cell, column_type) for cell in cells]


def _label(cell: Any, column_type: ColumnType) -> Label:
    if column_type == "boolean":
        return cell if isinstance(cell, bool) else str(cell) == "True"
    return int(cell) if column_type == "integer" else str(cell)


def encode_target(
    values: npt.NDArray[Any], decision: TaskDecision
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the indices of the rows that have a target, and the target as numbers.

    Class labels become their position in ``decision.classes``.

    Examples
    --------
    >>> column = np.array(["No"] * 15 + [None] + ["Yes"] * 9, dtype=object)
    >>> rows, codes = encode_target(column, detect_task("Churn", column, column_type="text"))
    >>> rows.size, codes.sum()
    (24, np.float64(9.0))
    """
    cells = labels_of(values, decision.column_type, decision.target)
    rows = np.array([row for row, cell in enumerate(cells) if cell is not None], dtype=np.int64)
    if decision.task == "regression":
        return rows, np.array([float(cell) for cell in cells if cell is not None], dtype=np.float64)
    code = {label: float(position) for position, label in enumerate(decision.classes)}
    return rows, np.array([code[cell] for cell in cells if cell is not None], dtype=np.float64)  # type: ignore[index]


def _all_whole(values: npt.NDArray[Any]) -> bool:
    present = values[~np.isnan(values.astype(np.float64))].astype(np.float64)
    return bool((present == np.floor(present)).all()) and bool((np.abs(present) < 2.0**53).all())


def _check_values(target: str, counts: Counter[Any], n_rows: int) -> None:
    if n_rows == 0:
        raise Invalid(
            f"Every cell of the target {target!r} is missing.",
            code="target.all_missing",
            hint="Choose a target with values; if the file has them, check how missing values are written in it.",
        )
    if len(counts) == 1:
        only = next(iter(counts))
        raise Invalid(
            f"The target {target!r} has the same value {only!r} in all {n_rows} rows: there is nothing to learn.",
            code="target.constant",
            hint="Choose a target that varies, or add rows with other outcomes.",
        )
    if n_rows < MIN_ROWS:
        raise Invalid(
            f"Only {n_rows} rows have a value of the target {target!r}; at least {MIN_ROWS} are needed.",
            code="target.too_few_rows",
            hint="Add rows: a fifth of them is held out to judge the model, the rest is split into folds.",
        )


def _choose(
    target: str, counts: Counter[Any], column_type: ColumnType, requested: RequestedTask
) -> tuple[TaskType, str]:
    distinct = len(counts)
    is_number = column_type in {"integer", "number"}
    whole = is_number and all(isinstance(label, int) for label in counts)
    if requested == "regression":
        if not is_number:
            raise Invalid(
                f"A regression was asked for, but the target {target!r} holds {column_type}.",
                code="target.not_numeric",
                hint="Ask for a classification, or ingest the column as a number.",
            )
        return "regression", f"a regression was asked for; {target!r} is numeric"
    if requested == "binary" and distinct != 2:
        raise Invalid(
            f"A binary classification was asked for, but the target {target!r} has {distinct} distinct values.",
            code="target.not_binary",
            hint="Ask for 'multiclass' or 'auto', or reduce the target to two values.",
        )
    as_class: TaskType = "binary" if distinct == 2 else "multiclass"
    if requested in {"classification", "binary", "multiclass"}:
        if is_number and not whole:
            raise Invalid(
                f"A classification was asked for, but the target {target!r} holds fractions.",
                code="target.fractions",
                hint="Ask for a regression, or ingest the column as text to use its values as class names.",
            )
        return as_class, f"a classification was asked for; {target!r} has {distinct} distinct values"
    if not is_number:
        return as_class, f"{target!r} holds {column_type} with {distinct} distinct values"
    if distinct == 2 and whole:
        return "binary", f"{target!r} has two distinct values"
    if whole and distinct <= MAX_COUNTED_CLASSES:
        hint = "ask for task_type 'regression' if they are quantities"
        return "multiclass", f"{target!r} holds whole numbers with only {distinct} distinct values; {hint}"
    return "regression", f"{target!r} is numeric with {distinct} distinct values"


def _check_classes(target: str, counts: Counter[Any], n_rows: int, column_type: ColumnType) -> None:
    if len(counts) > MAX_CLASSES or len(counts) > 0.5 * n_rows:
        example = str(next(iter(counts)))
        hint = "Choose a target with fewer distinct values; this one looks like an identifier or free text."
        if column_type == "text" and _mostly_numbers(counts):
            hint = "Its values look like numbers: ingest it with types={" + repr(target) + ": 'number'}."
        raise Invalid(
            f"The target {target!r} has {len(counts)} distinct values in {n_rows} rows (such as {example[:40]!r}), "
            f"more than the {MAX_CLASSES} classes that can be told apart.",
            code="target.too_many_classes",
            hint=hint,
        )
    single = sorted((str(label) for label, count in counts.items() if count == 1), key=str)
    if single:
        shown = ", ".join(repr(label) for label in single[:5]) + (", ..." if len(single) > 5 else "")
        raise Invalid(
            f"The target {target!r} has {len(single)} class(es) with one row only: {shown}.",
            code="target.rare_class",
            hint="Each class needs two rows at least, one to learn from and one to check: "
            "add rows, merge the class with another, or remove its row.",
            errors=[{"field": target, "message": f"class {label!r} has one row"} for label in single[:20]],
        )


def _mostly_numbers(counts: Counter[Any]) -> bool:
    def is_number(label: object) -> bool:
        try:
            float(str(label))
        except ValueError:
            return False
        return True

    return sum(map(is_number, counts)) > 0.9 * len(counts)


def _order_classes(
    target: str, counts: Counter[Any], task: TaskType, positive_class: Label | None
) -> tuple[tuple[Label, ...], str]:
    ordered = sorted(counts)
    if task == "multiclass":
        if positive_class is not None:
            raise Invalid(
                f"A positive class was named, but the target {target!r} has {len(counts)} classes.",
                code="target.positive_class",
                hint="Leave positive_class out: it only means something where there are two classes.",
            )
        return tuple(ordered), ""
    if positive_class is not None:
        chosen = [label for label in ordered if label == positive_class or str(label) == str(positive_class)]
        if not chosen:
            raise Invalid(
                f"The positive class {positive_class!r} does not occur in the target {target!r}.",
                code="target.positive_class",
                hint=f"Choose one of {ordered[0]!r} and {ordered[1]!r}.",
            )
        return _with_positive(ordered, chosen[0]), f"{chosen[0]!r} was named as the positive class"
    words = [str(label).strip().lower() for label in ordered]
    affirmative = [
        label
        for label, word, other in zip(ordered, words, reversed(words), strict=True)
        if word in _AFFIRMATIVE or (other in _NEGATIVE and word not in _NEGATIVE)
    ]
    if len(affirmative) == 1:
        return _with_positive(ordered, affirmative[0]), f"{affirmative[0]!r} is the affirmative one of the two"
    first, second = ordered
    if counts[first] == counts[second]:
        return (first, second), f"both classes are equally frequent; {second!r} comes last in order"
    rarer = first if counts[first] < counts[second] else second
    return _with_positive(ordered, rarer), f"{rarer!r} is the rarer one of the two"


def _with_positive(ordered: list[Any], positive: Any) -> tuple[Label, ...]:
    return tuple([label for label in ordered if label is not positive and label != positive] + [positive])
