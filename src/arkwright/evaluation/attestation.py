"""What a pipeline or a person states about a model version, and which of the statements counts.

The platform cannot see a test run in a pipeline, a dashboard in somebody's Grafana or a page in a wiki: who knows says
so, and what was said is kept as evidence about the bundle, with who said it and when. Of each kind (of tests: of each
scope) the newest one counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from arkwright.contracts.load_test import ANSWERED, LoadTestReport, judge_load
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation.definition_of_done import Scope
from arkwright.evaluation.junit import read_junit

ATTESTATION = "attestation"
"""The kind of evidence that holds one."""

_NAMED = 10
_LONGEST_URL = 2_000
_LONGEST_TEXT = 2_000


class TestsAttestation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tests"):
    """Tests of one scope that were run.

    Attributes
    ----------
    failing
        The first ones that fail, by name.
    sources
        SHA-256 of each report, in hexadecimal.
    """

    __test__ = False

    scope: Scope
    n_tests: int
    n_failed: int
    n_skipped: int
    failing: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether they pass; None if none of them was run."""
        if self.n_failed:
            return False
        return True if self.n_tests > self.n_skipped else None


class LoadTestAttestation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="load_test"):
    """A load test of an endpoint that answered with the version; the verdict is the platform's, by its own rule."""

    report: LoadTestReport
    passed: bool
    reasons: tuple[str, ...]


class DashboardAttestation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="dashboard"):
    """A page on which people watch the model in operation."""

    url: str
    title: str = ""


class RollbackAttestation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rollback_procedure"):
    """How to go back: where it is written down, or the procedure itself."""

    text: str


Attestation = TestsAttestation | LoadTestAttestation | DashboardAttestation | RollbackAttestation
Kind = Literal["tests", "load_test", "dashboard", "rollback_procedure"]


class FiledAttestation(msgspec.Struct, frozen=True, kw_only=True):
    """An attestation, its evidence's id, who made it and when; ``counts`` tells if it is the newest of its kind."""

    id: str
    content: Attestation
    counts: bool
    bundle_digest: str
    created_by: str
    created_at: datetime


def attest_tests(scope: Scope, reports: Sequence[str]) -> TestsAttestation:
    """Read one or more JUnit reports of tests of one scope.

    Raises
    ------
    Invalid
        If there is none, or one of them cannot be used.
    """
    if not reports:
        raise Invalid(f"There is no report of {scope} tests.", code="attestation.junit", hint="Give at least one.")
    found = [read_junit(text, f"{scope} report {position}") for position, text in enumerate(reports, start=1)]
    failing = [name for counts in found for name in counts.failing]
    return TestsAttestation(
        scope=scope,
        n_tests=sum(counts.n_tests for counts in found),
        n_failed=sum(counts.n_failed for counts in found),
        n_skipped=sum(counts.n_skipped for counts in found),
        failing=tuple(failing[:_NAMED]),
        sources=tuple(hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in reports),
    )


def attest_load_test(report: LoadTestReport, semver: str) -> LoadTestAttestation:
    """Judge a load test of a version.

    Raises
    ------
    Invalid
        If another version answered too, its counts do not add up, or it shows nothing.
    """
    answered = report.statuses.get(ANSWERED, 0)
    if sum(report.statuses.values()) != report.n_requests or sum(report.versions.values()) != answered:
        raise Invalid(
            f"The counts of the load test do not add up: {report.n_requests:,} requests, "
            f"{sum(report.statuses.values()):,} of them counted by status, and {sum(report.versions.values()):,} of "
            f"{answered:,} answers by version.",
            code="attestation.load_test",
            hint="Send the report of `arkwright load-test` as it is.",
        )
    others = sorted(name for name, count in report.versions.items() if count and name != semver)
    if others:
        raise Invalid(
            f"Version {' and '.join(others)} answered, so the load test does not speak of version {semver} alone.",
            code="attestation.load_test",
            hint="Test an endpoint that answers with one version, without a rollout under way.",
        )
    verdict = judge_load(report)
    if verdict.outcome == "inconclusive":
        raise Invalid(
            f"The load test shows nothing: {' '.join(verdict.reasons)}",
            code="attestation.inconclusive",
            hint="Run it again; nothing was filed.",
        )
    return LoadTestAttestation(report=report, passed=verdict.outcome == "passed", reasons=verdict.reasons)


def attest_dashboard(url: str, title: str = "") -> DashboardAttestation:
    """Name a dashboard by its address.

    Examples
    --------
    >>> attest_dashboard(" https://grafana.example.org/d/churn ", "Churn").url
    'https://grafana.example.org/d/churn'

    Raises
    ------
    Invalid
        If it is no address of a page.
    """
    url = url.strip()
    if not _is_page(url):
        raise Invalid(
            f"{url[:200]!r} is no address of a dashboard.",
            code="attestation.dashboard",
            hint="Write it as https://host/path, without a password in it.",
        )
    return DashboardAttestation(url=url, title=_one_line(title))


def attest_rollback(text: str) -> RollbackAttestation:
    """Say how to go back, or where that is written down.

    Raises
    ------
    Invalid
        If nothing is said, or too much.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST_TEXT or not any(character.isalnum() for character in text):
        raise Invalid(
            f"A rollback procedure is an address or a text of at most {_LONGEST_TEXT:,} characters.",
            code="attestation.rollback",
            hint="Write where the procedure stands, or what to do.",
        )
    return RollbackAttestation(text=text)


def slot_of(content: Attestation) -> tuple[str, str]:
    """Return the kind of an attestation and, of tests, their scope: of these the newest counts.

    Examples
    --------
    >>> slot_of(RollbackAttestation(text="docs/rollouts.md"))
    ('rollback_procedure', '')
    """
    kind = str(content.__struct_config__.tag)
    return kind, content.scope if isinstance(content, TestsAttestation) else ""


def counting(filed: Iterable[FiledAttestation]) -> dict[tuple[str, str], FiledAttestation]:
    """Return those that count, by kind and scope."""
    return {slot_of(each.content): each for each in filed if each.counts}


def body_of(content: Attestation, after: str) -> dict[str, Any]:
    """Return the evidence's body; ``after`` is the id of the one it takes the place of.

    It makes a statement that is made again after another one a new piece of evidence, the newest one.
    """
    body: dict[str, Any] = msgspec.to_builtins(content)
    return {**body, "after": after}


def content_of(body: Mapping[str, Any]) -> Attestation:
    """Read the evidence's body."""
    found: Attestation = msgspec.convert(dict(body), Attestation, strict=False)
    return found


def in_short(content: Attestation) -> str:
    """Say in a few words what is attested."""
    if isinstance(content, TestsAttestation):
        n_run = max(content.n_tests - content.n_skipped, content.n_failed)
        if content.n_failed:
            said = f"{content.n_failed:,} of {n_run:,} {content.scope} tests fail"
        else:
            said = f"{n_run:,} of {n_run:,} {content.scope} tests pass"
        return f"{said}, {content.n_skipped:,} were not run" if content.n_skipped else said
    if isinstance(content, LoadTestAttestation):
        return f"{'passed' if content.passed else 'failed'}: {' '.join(content.reasons)}"
    if isinstance(content, DashboardAttestation):
        return f"{content.title}: {content.url}" if content.title else content.url
    return content.text


def _is_page(url: str) -> bool:
    if len(url) > _LONGEST_URL or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.username is None and parts.password is None


def _one_line(text: str) -> str:
    return " ".join(text.split())


prepared(Attestation)
