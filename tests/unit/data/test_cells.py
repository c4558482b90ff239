"""The lexical classes of cells."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.data.cells import WHITE_SPACE, Lexeme, classify, lexeme_of, parse_time

_CELLS = st.one_of(
    st.text(max_size=8),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["", " ", "007", "-0", "+1", "1.", ".5", "1e400", "inf", "NaN", "NA", "true", "Yes", "0x10", "9" * 19]
    ),
    st.datetimes().map(str),
)


@given(st.lists(st.none() | _CELLS, max_size=20))
def test_a_chunk_is_classified_as_its_cells_are(cells: list[str | None]) -> None:
    kinds = classify(pa.array(cells, pa.string()), None)
    assert kinds.tolist() == [Lexeme.ABSENT if cell is None else lexeme_of(cell) for cell in cells]


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers().map(str)))
def test_numbers_take_the_quick_way_to_the_same_classes(cells: list[str | None]) -> None:
    kinds = classify(pa.array(cells, pa.string()), None)
    assert kinds.tolist() == [Lexeme.ABSENT if cell is None else lexeme_of(cell) for cell in cells]


@given(_CELLS, st.text(alphabet=WHITE_SPACE, max_size=3))
def test_white_space_around_a_cell_changes_nothing(cell: str, space: str) -> None:
    assert lexeme_of(space + cell + space) == lexeme_of(cell)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("1", Lexeme.ZERO_ONE),
        ("-17", Lexeme.INTEGER),
        ("0012", Lexeme.PADDED_INTEGER),
        ("9223372036854775807", Lexeme.INTEGER),
        ("9223372036854775808", Lexeme.HUGE_INTEGER),
        ("9" * 5000, Lexeme.HUGE_INTEGER),
        ("3.0", Lexeme.INTEGRAL),
        ("1e3", Lexeme.NUMBER),
        ("1e999", Lexeme.INFINITE),
        ("-Infinity", Lexeme.INFINITE),
        ("1_000", Lexeme.WORD),
        ("1,000", Lexeme.WORD),
        ("0x1F", Lexeme.WORD),
        ("२", Lexeme.WORD),
        ("TRUE", Lexeme.BOOLEAN),
        ("no", Lexeme.YES_NO),
        ("2026-02-29", Lexeme.WORD),
        ("2026-02-28T10:00:00Z", Lexeme.ZONED_TIME),
        ("28/02/2026", Lexeme.WORD),
        ("N/A", Lexeme.MISSING_WORD),
    ],
)
def test_a_cell_falls_into_one_class(cell: str, kind: Lexeme) -> None:
    assert lexeme_of(cell) is kind


def test_words_listed_as_missing_replace_the_usual_ones() -> None:
    kinds = classify(pa.array(["?", "NA", "3", " - "]), ["?", "-"])
    assert kinds.tolist() == [Lexeme.ABSENT, Lexeme.WORD, Lexeme.INTEGER, Lexeme.ABSENT]


@given(st.datetimes())
def test_every_iso_moment_is_read_back(moment) -> None:
    assert parse_time(moment.isoformat()) == moment
    assert parse_time(moment.isoformat(" ")) == moment


def test_moments_with_an_offset_are_in_utc_and_longer_fractions_are_cut() -> None:
    assert str(parse_time("2026-01-01T01:00:00.1234567+02:00")) == "2025-12-31 23:00:00.123456+00:00"
    assert parse_time("0001-01-01T00:00:00+02:00") is None
