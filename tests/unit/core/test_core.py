"""Identifiers sort by time, errors keep their class over the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core import errors
from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.core.events import ALL_TYPES
from arkwright.core.ids import PREFIXES, is_id, new_id, uuid7
from arkwright.core.problems import error_from_document, problem_document
from arkwright.core.units import format_bytes, parse_duration_seconds

ALL_ERRORS = [errors.Invalid, errors.PayloadTooLarge, errors.NotAuthenticated, errors.NotPermitted, errors.NotFound,
              errors.Conflict, errors.PolicyRefused, errors.Unavailable, errors.AdapterError]  # fmt: skip


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_later_ids_sort_later(first: int, second: int, random: bytes) -> None:
    if first != second:
        assert (uuid7(first, random) < uuid7(second, random)) == (first < second)


@given(st.sampled_from(sorted(PREFIXES)))
def test_an_id_says_what_it_names(kind: str) -> None:
    made = new_id(kind)
    assert is_id(kind, made)
    assert len(made) <= 40


def test_prefixes_are_distinct() -> None:
    assert len(set(PREFIXES.values())) == len(PREFIXES)


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_an_error_survives_the_wire(kind: type[ArkwrightError]) -> None:
    sent = kind("It was so.", code="thing.so", hint="Do this.", errors=[{"field": "a", "message": "b"}])
    got = error_from_document(problem_document(sent, "req_1"))
    assert type(got) is kind
    assert (got.detail, got.code, got.hint, got.errors) == (sent.detail, sent.code, sent.hint, sent.errors)


def test_each_class_has_an_exit_code_that_is_no_success() -> None:
    assert all(0 < kind.exit_code < 126 for kind in ALL_ERRORS)


def test_event_types_carry_their_version() -> None:
    assert all(name.rsplit(".", 1)[1].startswith("v") for name in ALL_TYPES)


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25), ("7", 7)])
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5s", "0", "5 parsecs"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Invalid) as problem:
        parse_duration_seconds(text)
    assert "60s" in (problem.value.hint or "")


def test_sizes_are_rounded_for_people() -> None:
    assert [format_bytes(n) for n in (0, 999, 1000, 2_500_000_000, 3 * 10**12)] == [
        "0 B", "999 B", "1.0 kB", "2.5 GB", "3.0 TB",
    ]  # fmt: skip


def test_ids_made_one_after_the_other_sort_in_that_order() -> None:
    made = [new_id("stage_change") for _ in range(5000)]
    assert made == sorted(set(made))
