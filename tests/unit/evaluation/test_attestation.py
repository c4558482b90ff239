"""What can be attested, what is refused, and which attestation counts."""

from datetime import UTC, datetime

import msgspec
import pytest

from arkwright.contracts import LoadTestReport
from arkwright.core.errors import Invalid
from arkwright.evaluation.attestation import (
    FiledAttestation,
    attest_dashboard,
    attest_load_test,
    attest_rollback,
    attest_tests,
    body_of,
    content_of,
    counting,
    in_short,
    slot_of,
)

GOOD = '<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>'
BAD = "<testsuite>" + "".join(f'<testcase name="t{n}"><failure/></testcase>' for n in range(12)) + "</testsuite>"
REPORT = LoadTestReport(
    deployment_id="dep_1", deployment="churn", rate_per_second=50, seconds=10, p95_limit_ms=100, n_requests=500,
    statuses={"200": 500}, achieved_per_second=49.9, p50_ms=3, p95_ms=8, p99_ms=12, max_ms=30, versions={"1.0.0": 500},
)  # fmt: skip


def test_reports_of_one_scope_are_added_up_and_the_first_failing_tests_are_named():
    content = attest_tests("unit", [GOOD, BAD])
    assert (content.n_tests, content.n_failed, content.n_skipped, content.passed) == (14, 12, 1, False)
    assert content.failing == tuple(f"t{n}" for n in range(10))
    assert len(content.sources) == 2
    assert in_short(content) == "12 of 13 unit tests fail, 1 were not run"


def test_tests_none_of_which_ran_neither_pass_nor_fail():
    content = attest_tests("model", ['<testsuite><testcase name="a"><skipped/></testcase></testsuite>'])
    assert content.passed is None
    with pytest.raises(Invalid, match="no report of unit tests"):
        attest_tests("unit", [])


@pytest.mark.parametrize(
    "url",
    ["", "grafana", "ftp://host/x", "https://", "https://user:secret@host/x", "https://host/a b", "javascript:alert(1)",
     "https://[::1", "https://host/\x07"],
)  # fmt: skip
def test_what_is_no_address_of_a_page_is_no_dashboard(url):
    with pytest.raises(Invalid) as refused:
        attest_dashboard(url)
    assert "https://" in refused.value.hint


@pytest.mark.parametrize("text", ["", "   ", "...", "x" * 2001], ids=["empty", "blank", "dots", "long"])
def test_a_procedure_says_something(text):
    with pytest.raises(Invalid):
        attest_rollback(text)


def test_a_load_test_is_judged_by_the_platform():
    passed = attest_load_test(REPORT, "1.0.0")
    assert (passed.passed, in_short(passed)[:7]) == (True, "passed:")
    slow = attest_load_test(msgspec.structs.replace(REPORT, p95_ms=400.0), "1.0.0")
    assert slow.passed is False
    assert in_short(slow) == "failed: p95 is 400 ms, and 100 ms are allowed."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"versions": {"1.0.0": 400, "1.0.1": 100}}, "Version 1.0.1 answered"),
        ({"statuses": {"200": 499}}, "do not add up"),
        ({"versions": {"1.0.0": 3}}, "do not add up"),
        ({"n_requests": 5, "statuses": {"200": 5}, "versions": {"1.0.0": 5}}, "5 requests are too few"),
        ({"p95_ms": 400.0, "client_late_share": 0.5}, "client could not keep the rate"),
    ],
    ids=["another version", "statuses", "versions", "few", "client"],
)
def test_a_load_test_that_shows_nothing_of_the_version_is_refused(change, words):
    with pytest.raises(Invalid, match=words):
        attest_load_test(msgspec.structs.replace(REPORT, **change), "1.0.0")


@pytest.mark.parametrize(
    "content",
    [attest_tests("unit", [GOOD]), attest_load_test(REPORT, "1.0.0"), attest_dashboard("https://g/d", "Churn"),
     attest_rollback("docs/rollouts.md")],
    ids=["tests", "load_test", "dashboard", "rollback"],
)  # fmt: skip
def test_what_was_filed_reads_back(content):
    body = body_of(content, "ev_1")
    assert content_of(msgspec.json.decode(msgspec.json.encode(body))) == content
    assert body["kind"] == slot_of(content)[0]
    assert in_short(content)


def test_of_each_kind_and_scope_the_one_that_counts_is_taken():
    def filed(name, content, counts):
        return FiledAttestation(
            id=name, content=content, counts=counts, bundle_digest="sha256:1", created_by="user_1",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip

    unit, model = attest_tests("unit", [GOOD]), attest_tests("model", [GOOD])
    found = counting([filed("ev_1", unit, False), filed("ev_2", model, True), filed("ev_3", unit, True)])
    assert {slot: each.id for slot, each in found.items()} == {("tests", "unit"): "ev_3", ("tests", "model"): "ev_2"}
