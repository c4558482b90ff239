"""JUnit's XML, as test runners write it: how many tests ran, and which of them fail.

There is no standard; the reading follows what pytest, Maven Surefire, Jest and Go's converters write: ``testcase``
elements with ``failure``, ``error`` or ``skipped`` in them, inside ``testsuite`` elements whose attributes count the
same. A failure that only a suite's attributes count is a failure too.

What is read came from somewhere else: a document with a type declaration or entities is refused before it is expanded,
and so is one that is too large or too deep.

References
----------
"Billion laughs", CVE-2003-1564: entities that expand to gigabytes. The format as pytest writes it:
https://docs.pytest.org/en/stable/how-to/output.html#creating-junitxml-format-files
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn
from xml.parsers import expat

from arkwright.core.errors import Invalid, PayloadTooLarge

MAX_CHARACTERS = 3_500_000
"""Most that is read of one report."""

_MAX_DEPTH = 50
_MAX_NAME = 300
_BAD = ("failure", "error")
_SUITES = ("testsuite", "testsuites")
_CODE = "attestation.junit"


class JunitCounts(NamedTuple):
    """The tests of one report; ``failing`` names those that fail or stop on an error, in the report's order."""

    n_tests: int
    n_failed: int
    n_skipped: int
    failing: tuple[str, ...]


def read_junit(text: str, name: str = "report.xml") -> JunitCounts:
    """Read a report.

    Parameters
    ----------
    name
        What to call it where it cannot be used.

    Examples
    --------
    >>> read_junit('<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>')
    JunitCounts(n_tests=2, n_failed=1, n_skipped=0, failing=('b',))

    Raises
    ------
    PayloadTooLarge
        If it is longer than is read.
    Invalid
        If it is not XML, declares a document type, is no JUnit report, or holds no test.
    """
    if len(text) > MAX_CHARACTERS:
        raise PayloadTooLarge(
            f"The report {name!r} has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read.",
            code=_CODE,
            hint="Leave captured output out of it (pytest: -o junit_logging=no), or give it in several files.",
        )
    reader = _Reader(name)
    reader.read(text)
    if not reader.n_tests and not reader.n_failed:
        raise Invalid(
            f"The report {name!r} holds no test.",
            code=_CODE,
            hint="Give what the test runner wrote, such as `pytest --junitxml report.xml`.",
        )
    return JunitCounts(reader.n_tests, reader.n_failed, reader.n_skipped, tuple(reader.failing))


class _Suite:
    """A suite that is open: how many failures its attributes count, and how many were seen in it."""

    def __init__(self, name: str, counted: int) -> None:
        self.name = name
        self.counted = counted
        self.seen = 0


class _Case:
    """A test that is open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.n_bad = 0
        self.skipped = False


class _Reader:
    """Counts tests as the parser reports elements."""

    def __init__(self, name: str) -> None:
        self.n_tests = self.n_failed = self.n_skipped = 0
        self.failing: list[str] = []
        self._name = name
        self._open: list[str] = []
        self._suites: list[_Suite] = []
        self._case: _Case | None = None

    def read(self, text: str) -> None:
        """Read a whole document."""
        parser = expat.ParserCreate("UTF-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        try:
            # The text has been decoded already: what its first line says of an encoding is of no account.
            parser.Parse(text.encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            raise self._unusable(f"is not XML ({error})") from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise self._unusable(f"has elements more than {_MAX_DEPTH} deep")
        if not self._open and tag not in _SUITES:
            raise self._unusable(f"is XML, but no JUnit report: it begins with <{tag[:40]}>")
        self._open.append(tag)
        if tag in _SUITES:
            counted = _number(attributes.get("failures")) + _number(attributes.get("errors"))
            self._suites.append(_Suite(attributes.get("name", ""), counted))
        elif tag == "testcase":
            place = (attributes.get("classname", ""), attributes.get("name", ""))
            self._case = _Case("::".join(part for part in place if part)[:_MAX_NAME] or "a test without a name")
        elif self._case is not None:
            self._case.n_bad += tag in _BAD
            self._case.skipped |= tag == "skipped"

    def _end(self, tag: str) -> None:
        self._open.pop()
        if tag == "testcase" and self._case is not None:
            case, self._case = self._case, None
            self.n_tests += 1
            self.n_skipped += case.skipped and not case.n_bad
            self._suites[-1].seen += case.n_bad
            if case.n_bad:
                self._fails(case.name)
        elif tag in _SUITES:
            suite = self._suites.pop()
            if suite.counted > suite.seen:
                # Once for a suite: what its attributes count beyond its tests is seldom a number of tests.
                name = suite.name[:_MAX_NAME] or "a suite"
                self._fails(f"{name}: counts {suite.counted} failures, and shows {suite.seen}")
            if self._suites:
                self._suites[-1].seen += max(suite.counted, suite.seen)

    def _fails(self, name: str) -> None:
        self.n_failed += 1
        self.failing.append(name)

    def _refuse_doctype(self, *_declared: object) -> NoReturn:
        raise self._unusable("declares a document type or an entity, which no test runner writes")

    def _unusable(self, what: str) -> Invalid:
        return Invalid(
            f"The report {self._name!r} {what}.",
            code=_CODE,
            hint="Give what the test runner wrote, such as `pytest --junitxml report.xml`.",
        )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else 0
