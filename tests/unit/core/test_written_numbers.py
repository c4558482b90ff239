"""Numbers as people read them, in sentences, on pages and in tables alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.written_numbers import counted, of_hundred, percentage, read, signed, written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.91234, "0.9123"),
        (0.5, "0.5"),
        (12.3456, "12.35"),
        (13_684.72, "13,680"),
        (-13_684.72, "-13,680"),
        (999_999.5, "1,000,000"),
        (123_456_789.5, "123,500,000"),
        (1_234_567.0, "1,234,567"),  # a count keeps its digits
        (0.0001, "0.0001"),
        (0.00009999999, "0.0001"),
        (0.00001234, "1.234 \u00d7 10⁻⁵"),
        (1.5e9, "1.5 \u00d7 10⁹"),
        (-2.5e12, "-2.5 \u00d7 10¹²"),
        (float("inf"), "infinite"),
        (float("-inf"), "-infinite"),
        (float("nan"), "not a number"),
    ],
)
def test_a_number_is_written_with_four_digits_that_matter(value, text):
    assert written(value) == text


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_what_is_written_is_the_number_within_half_of_its_fourth_digit_and_no_negative_zero(value):
    text = written(value)
    assert read(text) == pytest.approx(value, rel=5.1e-4)
    assert text != "-0"
    assert "e" not in text


@pytest.mark.parametrize(("value", "text"), [(0.02, "+0.02"), (-0.02, "-0.02"), (0.0, "0"), (-0.0, "0")])
def test_a_change_has_its_sign_and_no_change_has_none(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_345, "12,345 rows")])
def test_one_row_is_a_row(n, text):
    assert counted(n, "row") == text


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [
        (0.243, 0, "24 %"),
        (0.243, 1, "24.3 %"),
        (0.5, 1, "50.0 %"),
        (0.0, 1, "0 %"),
        (-0.0, 0, "0 %"),
        (1.0, 1, "100 %"),
        (1.0 - 0.9999999999999999, 0, "0 %"),
        (0.0004, 0, "0.04 %"),
        (0.9996, 0, "99.96 %"),
        (-0.0004, 0, "-0.04 %"),
        (1.2, 0, "120 %"),
    ],
)
def test_a_share_stands_apart_from_its_sign_and_is_not_none_or_all_by_rounding(share, decimals, text):
    assert percentage(share, decimals) == text
    assert of_hundred(share, decimals) == text.removesuffix(" %")
