"""Behaviour tests as they are written down: YAML beside a model, read into typed tests.

Three kinds, after CheckList::

    tests:
      - name: the price list does not depend on gender
        type: invariance
        column: gender
        values: [Female, Male]      # or swap: [Female, Male], or noise: 0.01 (of the column's standard deviation)
        tolerance: 0.02             # the score may move so far; and/or keep_label: true
      - name: a longer contract does not make leaving likelier
        type: directional
        column: tenure
        increase_by: 12             # or set_to: 24
        expect: decrease
        tolerance: 0.01
        strict: false               # true: the score must really fall
        allowed_failure_rate: 0.05
      - name: a plain case
        type: minimum_functionality
        defaults: {contract: month}
        rows:
          - {given: {tenure: 1}, label: "Yes"}
          - {given: {tenure: 70}, at_most: 0.3}

The score is the positive class's probability (binary), the probability of ``class`` (multiclass) or the value
(regression). YAML's old booleans are not read as such: ``Yes`` and ``No`` are text, only ``true`` and ``false`` are
booleans, and dates stay text.

References
----------
Ribeiro, Wu, Guestrin & Singh (2020), "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL
(minimum functionality, invariance and directional expectation tests).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from arkwright.bundles import InstanceValidator
from arkwright.contracts import Column, Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import Invalid

_MAX_ALIASES = 100

Cell = str | int | float | bool | None
Problem = tuple[str, str]
"""A field below a test, such as ``rows[2].label``, and what is wrong with it."""

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_AT = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(.*?)`")


class _Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    name: _Name
    allowed_failure_rate: float = 0.0


class Invariance(_Test, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="invariance"):
    """Changing the column must not move the score by more than ``tolerance``, or must keep the label.

    ``values`` tries every row with each of them, ``swap`` exchanges two, ``noise`` adds a normal error of so many
    standard deviations of the column.
    """

    column: str
    values: tuple[Cell, ...] | None = None
    swap: tuple[Cell, Cell] | None = None
    noise: float | None = None
    tolerance: float | None = None
    keep_label: bool = False
    class_: Label | None = msgspec.field(name="class", default=None)


class Directional(_Test, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="directional"):
    """Changing the column must not move the score against ``expect`` by more than ``tolerance``.

    With ``strict`` it must move as expected by more than ``tolerance``: a model that ignores the column fails.
    """

    column: str
    expect: Literal["increase", "decrease"]
    increase_by: float | None = None
    set_to: Cell | msgspec.UnsetType = msgspec.UNSET
    tolerance: float = 0.0
    strict: bool = False
    class_: Label | None = msgspec.field(name="class", default=None)


class ExpectedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row and what the model must say about it: a label, or a score between bounds, or both."""

    given: dict[str, Cell]
    label: Label | None = None
    at_least: float | None = None
    at_most: float | None = None
    class_: Label | None = msgspec.field(name="class", default=None)


class MinimumFunctionality(_Test, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="minimum_functionality"):
    """Rows that any sensible model gets right; ``defaults`` fill in the columns that a row does not give."""

    rows: tuple[ExpectedRow, ...]
    defaults: dict[str, Cell] = {}


BehaviourTest = Invariance | Directional | MinimumFunctionality


class BehaviourSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The tests of one file, in its order."""

    tests: tuple[BehaviourTest, ...]


def parse_behaviour(text: str, *, source: str = "the behaviour tests") -> BehaviourSpec:
    """Read behaviour tests.

    Parameters
    ----------
    text
        YAML: a mapping with the one key ``tests``.
    source
        What to call the text in messages, such as the file's name.

    Raises
    ------
    Invalid
        If it is not YAML, or a test is not complete; ``errors`` has every field that is wrong.

    Examples
    --------
    >>> spec = parse_behaviour(
    ...     "tests: [{name: a, type: invariance, column: gender, swap: [F, M], tolerance: 0.01}]")
    >>> spec.tests[0].swap
    ('F', 'M')
    """
    content = _read_yaml(text, source)
    listed = content.get("tests") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed or set(content) != {"tests"}:
        raise Invalid(
            f"{source}: expected a mapping with the one key 'tests' and a list of tests below it.",
            code="behaviour.not_a_spec",
            hint="Begin with 'tests:' and give each test a name and a type.",
        )
    tests: list[BehaviourTest] = []
    errors: list[dict[str, Any]] = []
    for index, each in enumerate(listed):
        try:
            test: BehaviourTest = msgspec.convert(each, BehaviourTest)
            found = list(_incomplete(test))
            if test.name in {known.name for known in tests}:
                found.append(("name", f"{test.name!r} is used twice: names tell tests apart"))
            tests.append(test)
        except msgspec.ValidationError as error:
            found = [_located(str(error), each)]
        errors += [{"field": _field(index, place), "message": message} for place, message in found]
    if errors:
        raise refused(source, errors)
    return BehaviourSpec(tests=tuple(tests))


def refused(source: str, errors: list[dict[str, Any]]) -> Invalid:
    """Return the error for tests that cannot be run as they are written."""
    more = f" There are {len(errors)} such problems." if len(errors) > 1 else ""
    return Invalid(
        f"{source}: {errors[0]['field']}: {errors[0]['message']}.{more}",
        code="behaviour.invalid",
        hint="Correct these fields; the three kinds of tests are invariance, directional and minimum_functionality.",
        errors=errors,
    )


def class_index(signature: Signature, label: Label) -> int | None:
    """Return the position of a class, found by its value or else by its text; None if there is no such class.

    Examples
    --------
    >>> signature = Signature(task="binary", target="y", columns=(), classes=(0, 1))
    >>> class_index(signature, 1), class_index(signature, "1"), class_index(signature, "2")
    (1, 1, None)
    """
    for index, known in enumerate(signature.classes):
        if type(known) is type(label) and known == label:
            return index
    texts = [str(known) for known in signature.classes]
    return texts.index(str(label)) if str(label) in texts else None


def find_column(signature: Signature, name: str) -> Column | None:
    """Return a model's input by name."""
    return next((column for column in signature.columns if column.name == name), None)


def problems(test: BehaviourTest, signature: Signature) -> list[Problem]:
    """Return what about a test does not fit a model."""
    if isinstance(test, MinimumFunctionality):
        return [*_unfit_rows(test, signature)]
    found = [*_unfit_column(test, signature), *_unfit_class("class", test.class_, signature)]
    if isinstance(test, Invariance) and test.keep_label and signature.task == "regression":
        found.append(("keep_label", "a regression model has no labels: give a tolerance"))
    if isinstance(test, Directional) and signature.task == "multiclass" and test.class_ is None:
        found.append(("class", f"is missing: say whose probability moves, one of {_classes(signature)}"))
    return found


def filled(test: MinimumFunctionality) -> list[dict[str, Cell]]:
    """Return the rows with the defaults filled in."""
    return [{**test.defaults, **row.given} for row in test.rows]


def _incomplete(test: BehaviourTest) -> Iterator[Problem]:
    """Yield what a test lacks, whatever the model."""
    if not 0.0 <= test.allowed_failure_rate <= 1.0:
        yield "allowed_failure_rate", "must lie between 0 and 1"
    if isinstance(test, MinimumFunctionality):
        if not test.rows:
            yield "rows", "is empty: give at least one row"
        for index, row in enumerate(test.rows):
            yield from ((f"rows[{index}].{place}", message) for place, message in _incomplete_row(row))
        return
    if test.tolerance is not None and not 0.0 <= test.tolerance < math.inf:
        yield "tolerance", "must be a number of 0 or more"
    yield from _incomplete_change(test) if isinstance(test, Directional) else _incomplete_invariance(test)


def _incomplete_change(test: Directional) -> Iterator[Problem]:
    if (test.increase_by is None) == (test.set_to is msgspec.UNSET):
        yield "increase_by", "give either increase_by or set_to"
    if test.increase_by is not None and (test.increase_by == 0.0 or not math.isfinite(test.increase_by)):
        yield "increase_by", "must be a number other than 0"


def _incomplete_invariance(test: Invariance) -> Iterator[Problem]:
    if sum(change is not None for change in (test.values, test.swap, test.noise)) != 1:
        yield "values", "give exactly one of values, swap and noise"
    if test.values == ():
        yield "values", "is empty: give at least one value"
    if test.swap is not None and test.swap[0] == test.swap[1]:
        yield "swap", "needs two values that differ"
    if test.noise is not None and not 0.0 < test.noise < math.inf:
        yield "noise", "must be a number above 0, in standard deviations of the column"
    if test.tolerance is None and not test.keep_label:
        yield "tolerance", "is missing: say how far the score may move, or give keep_label: true"


def _incomplete_row(row: ExpectedRow) -> Iterator[Problem]:
    bounds = [bound for bound in (row.at_least, row.at_most) if bound is not None]
    if row.label is None and not bounds:
        yield "label", "is missing: give a label, at_least or at_most"
    if not all(map(math.isfinite, bounds)):
        yield "at_least", "the bounds must be finite numbers"
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        yield "at_least", f"is above at_most ({bounds[0]:g} > {bounds[1]:g})"


def _unfit_column(test: Invariance | Directional, signature: Signature) -> Iterator[Problem]:
    column = find_column(signature, test.column)
    if column is None:
        carried = test.column in (*signature.identifiers, *signature.ignored)
        if not carried:
            near = difflib.get_close_matches(test.column, [each.name for each in signature.columns], n=1)
            advice = f": did you mean {near[0]!r}?" if near else ""
            yield "column", f"{test.column!r} is not a column of this model{advice}"
        elif isinstance(test, Directional):
            yield "column", f"the model does not read {test.column!r}, so its score cannot move with it"
        return
    if isinstance(test, Directional):
        cells = [] if test.set_to is msgspec.UNSET else [("set_to", test.set_to)]
        numeric = [] if test.increase_by is None else ["increase_by"]
    else:
        listed = [("values", test.values or ()), ("swap", test.swap or ())]
        cells = [(f"{place}[{at}]", cell) for place, values in listed for at, cell in enumerate(values)]
        numeric = [] if test.noise is None else ["noise"]
    if numeric and column.kind != "numeric":
        yield numeric[0], f"the column {column.name!r} is {column.kind}: only a numeric one can be shifted"
    validator = InstanceValidator(Signature(task="regression", target="", columns=(column,)))
    for place, cell in cells:
        try:
            validator.check([{column.name: cell}])
        except Invalid as error:
            yield place, error.errors[0]["message"]


def _unfit_rows(test: MinimumFunctionality, signature: Signature) -> Iterator[Problem]:
    try:
        InstanceValidator(signature).check(filled(test))
    except Invalid as error:
        yield from ((each["field"].replace("instances[", "rows[", 1), each["message"]) for each in error.errors)
    for index, row in enumerate(test.rows):
        place = f"rows[{index}]."
        yield from _unfit_class(f"{place}class", row.class_, signature)
        yield from _unfit_class(f"{place}label", row.label, signature)
        bounded = row.at_least is not None or row.at_most is not None
        if bounded and signature.task == "multiclass" and row.class_ is None and row.label is None:
            yield f"{place}class", f"is missing: say whose probability, one of {_classes(signature)}"


def _unfit_class(place: str, label: Label | None, signature: Signature) -> Iterator[Problem]:
    if label is None:
        return
    if signature.task == "regression":
        yield place, "a regression model has no classes: leave it out, and give at_least and at_most for its value"
    elif class_index(signature, label) is None:
        yield place, f"{label!r} is not a class of this model: use one of {_classes(signature)}"


def _classes(signature: Signature) -> str:
    return ", ".join(repr(label) for label in signature.classes)


def _field(index: int, place: str) -> str:
    return f"tests[{index}]{'.' if place and not place.startswith('[') else ''}{place}"


def _located(message: str, content: Any) -> Problem:
    """Split a message of msgspec into the place below the test and what is wrong there, with advice on misspellings."""
    found = _AT.match(message)
    what, place = (found[1], found[2] or "") if found else (message, "")
    unknown = _UNKNOWN.search(what)
    if unknown:
        kinds = {"invariance": Invariance, "directional": Directional, "minimum_functionality": MinimumFunctionality}
        kind: Any = ExpectedRow if "rows[" in place else kinds.get(content.get("type", ""), MinimumFunctionality)
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        near = difflib.get_close_matches(unknown[1], known, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}"
        return f"{place}.{unknown[1]}".lstrip("."), f"is not a field of this kind of test: {advice}"
    if place == "type":
        what += ": use invariance, directional or minimum_functionality"
    return place, what[:1].lower() + what[1:]


def _read_yaml(text: str, source: str) -> Any:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - only where a file is read

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """A safe loader to which Yes, No, on, off and dates are text, and a key that is given twice is an error.

        Aliases may stand for plain content only, and not too often: a few lines of aliases of aliases can stand for
        more than a memory holds.
        """

        n_aliases = n_anchored = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent):
                self.n_aliases += 1
                if self.n_anchored or self.n_aliases > _MAX_ALIASES:
                    problem = f"an alias within an anchor, or more than {_MAX_ALIASES} aliases"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
                return super().compose_node(parent, index)
            self.n_anchored += event.anchor is not None
            node = super().compose_node(parent, index)
            self.n_anchored -= event.anchor is not None
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            # Compared as they are written; "<<" merges other mappings in and may stand several times.
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            twice = next((key for at, key in enumerate(keys) if key in keys[:at]), None)
            if twice is not None:
                raise yaml.MarkedYAMLError(problem=f"the key {twice!r} is given twice", problem_mark=node.start_mark)
            return super().construct_mapping(node, deep)

    dropped = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in dropped]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - it is a SafeLoader
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        # What a value of an explicit or mistaken type, or thousands of brackets, make the reader stumble over.
        raise Invalid(
            f"{source} cannot be read: {'it is nested too deeply' if isinstance(error, RecursionError) else error}.",
            code="behaviour.not_yaml",
            hint="Write plain values, without !!tags; quote texts that look like numbers.",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        raise Invalid(
            f"{source} is not valid YAML{place}: {getattr(error, 'problem', None) or error}.",
            code="behaviour.not_yaml",
            hint="Indent with spaces and quote texts that hold a colon.",
        ) from error
