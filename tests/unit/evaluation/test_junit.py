"""JUnit reports as test runners write them, and as somebody with bad intentions would."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.evaluation.junit import MAX_CHARACTERS, read_junit

PYTEST = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.1">
<testcase classname="tests.test_a" name="test_one" time="0.01" />
<testcase classname="tests.test_a" name="test_two"><failure message="assert 1 == 2">text</failure></testcase>
<testcase classname="tests.test_b" name="test_three"><skipped message="no network" /></testcase>
<testcase classname="tests.test_b" name="test_four"><error message="fixture">text</error></testcase>
</testsuite></testsuites>"""
LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
OUTSIDE = (
    """<!DOCTYPE r [<!ENTITY file SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&file;"/></testsuite>"""
)


def test_failures_and_errors_are_counted_and_named():
    counts = read_junit(PYTEST)
    assert (counts.n_tests, counts.n_failed, counts.n_skipped) == (4, 2, 1)
    assert counts.failing == ("tests.test_a::test_two", "tests.test_b::test_four")


def test_suites_inside_suites_are_not_counted_twice():
    inner = '<testsuite name="i" failures="1"><testcase name="a"><failure/></testcase></testsuite>'
    counts = read_junit(f'<testsuites failures="1"><testsuite name="o" failures="1">{inner}</testsuite></testsuites>')
    assert (counts.n_tests, counts.n_failed, counts.failing) == (1, 1, ("a",))


def test_a_failure_that_only_the_suite_counts_is_a_failure():
    counts = read_junit('<testsuites><testsuite name="build" errors="2"><testcase name="a"/></testsuite></testsuites>')
    assert counts.n_failed == 1
    assert counts.failing == ("build: counts 2 failures, and shows 0",)


def test_a_test_that_fails_and_stops_on_an_error_is_one_test():
    counts = read_junit(
        '<testsuite failures="1" errors="1"><testcase name="a"><failure/><error/></testcase></testsuite>'
    )
    assert (counts.n_tests, counts.n_failed) == (1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "declares a document type or an entity"),
        (OUTSIDE, "declares a document type or an entity"),
        ("not xml at all", "is not XML"),
        ("", "is not XML"),
        ("<testsuite><testcase name='a'>", "is not XML"),
        ("<html><testcase name='a'/></html>", "no JUnit report: it begins with <html>"),
        ("<testsuite/>", "holds no test"),
        ("<testsuite>" + "<a>" * 60 + "</a>" * 60 + "</testsuite>", "more than 50 deep"),
    ],
    ids=["laughs", "outside", "text", "empty", "cut off", "html", "no test", "deep"],
)
def test_what_is_no_report_is_refused_with_the_reason(text, words):
    with pytest.raises(Invalid, match=words) as refused:
        read_junit(text, "unit.xml")
    assert "'unit.xml'" in refused.value.detail
    assert refused.value.hint


def test_what_is_too_long_is_not_read():
    with pytest.raises(PayloadTooLarge, match="at most"):
        read_junit("<testsuite>" + " " * MAX_CHARACTERS + "</testsuite>")


@given(st.text(max_size=60), st.text(alphabet="<>/&;testcaseui='\" !DOCTYPE", max_size=120))
def test_whatever_is_sent_is_counted_or_refused(name, text):
    for document in (text, f"<testsuite>{text}</testsuite>"):
        with suppress(Invalid):  # a refusal is fine; anything else is not
            counts = read_junit(document, name)
            assert counts.n_tests + counts.n_failed > 0
