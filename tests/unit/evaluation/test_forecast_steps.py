"""From times to steps: regular grids, gaps, business days, months, texts, and what cannot be put into order."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.forecast_steps import lagged, step_numbers, times_of


def moment(*parts):
    return datetime(*parts, tzinfo=UTC)


def column(values):
    moments = bool(values) and isinstance(values[0], datetime)
    return pa.chunked_array([pa.array(values, pa.timestamp("us") if moments else None)])


def steps(values, series=None):
    codes = np.zeros(len(values), dtype=np.int64) if series is None else np.array(series)
    return step_numbers(times_of(column(values), "t"), codes)


def day(number, hour=0):
    return moment(2026, 1, 5, hour) + timedelta(days=number)  # a Monday


@pytest.mark.parametrize(
    ("values", "numbers", "every"),
    [
        ([moment(2026, 1, 1, hour) for hour in (0, 1, 2, 5)], [0, 1, 2, 5], "1 hour"),
        ([moment(2026, 1, 1, 0, minute) for minute in (0, 30, 45)], [0, 2, 3], "15 minutes"),
        ([day(number) for number in (0, 1, 2, 5, 6)], [0, 1, 2, 5, 6], "1 day"),
        ([day(number) for number in range(0, 28, 7)], [0, 1, 2, 3], "1 week"),
        ([moment(2026, month, 1) for month in (1, 2, 3, 5)], [0, 1, 2, 4], "1 month"),
        ([moment(2026, 1, 31), moment(2026, 2, 28), moment(2026, 3, 31), moment(2026, 4, 30)], [0, 1, 2, 3],
         "1 month"),
        ([moment(2025 + n // 4, 1 + 3 * (n % 4), 1) for n in range(6)], list(range(6)), "3 months"),
        ([moment(year, 7, 1) for year in (2019, 2020, 2021, 2024)], [0, 1, 2, 5], "1 year"),
        ([10, 20, 30, 50], [0, 1, 2, 4], "10"),
        ([0.1, 0.2, 0.3, 0.5], [0, 1, 2, 4], "0.1"),
        ([20260130, 20260131, 20260201, 20260203], [0, 1, 2, 4], "1 day"),
        ([202511, 202512, 202601, 202604], [0, 1, 2, 5], "1 month"),
        ([2019, 2020, 2021, 2023], [0, 1, 2, 4], "1"),
        (["1998 Q1", "1998 Q2", "1998 Q4", "1999 Q1"], [0, 1, 2, 3], ""),
        ([moment(2026, 1, 1), moment(2026, 1, 3, 7), moment(2026, 3, 1), moment(2026, 3, 1, 5)], [0, 1, 2, 3],
         ""),
    ],
    ids=["hours", "quarter hours", "days", "weeks", "months", "ends of months", "quarters", "years", "numbers",
         "decimals", "dates as numbers", "months as numbers", "years as numbers", "texts", "uneven"],
)  # fmt: skip
def test_a_time_that_no_row_has_leaves_a_gap_where_the_times_are_even(values, numbers, every):
    mixed = np.random.default_rng(0).permutation(len(values))
    found = steps([values[place] for place in mixed])
    assert found.numbers[np.argsort(mixed)].tolist() == numbers
    assert found.every == every


def test_days_without_weekends_are_business_days_so_that_friday_is_one_step_before_monday():
    weekdays = [day(number) for number in range(28) if number % 7 < 5]
    found = steps(weekdays)
    assert (found.numbers.tolist(), found.every) == (list(range(20)), "1 business day")


def test_series_that_start_at_other_times_keep_their_distance_in_steps():
    values = [day(0), day(1), day(2), day(4, 12), day(5, 12), day(6, 12)]
    assert steps(values, [0, 0, 0, 1, 1, 1]).numbers.tolist() == [0, 1, 2, 4, 5, 6]


def test_a_grid_on_which_hardly_any_place_has_a_row_is_none():
    values = [moment(2026, 1, 1), moment(2026, 1, 1, 0, 0, 1), moment(2026, 6, 1), moment(2026, 12, 1)]
    found = steps(values)
    assert (found.spacing, found.numbers.tolist()) == ("uneven", [0, 1, 2, 3])


def test_uneven_steps_are_counted_within_each_series():
    values = [1.0, 2.5, 7.1, 2.5, 9.4, 30.2]
    assert steps(values, [0, 0, 0, 1, 1, 1]).numbers.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    "values",
    [["Q1 1998", "Q2 1998"], ["1998 Q1", "1998-Q2"], ["2026-1-5", "2026-11-25"], [True, False]],
    ids=["year last", "two ways", "without zeros", "truths"],
)
def test_times_that_cannot_be_put_into_order_are_refused_with_examples(values):
    with pytest.raises(Invalid, match="cannot be put into order") as caught:
        times_of(column(values), "quarter")
    assert "1998 Q1" in caught.value.hint


def test_missing_times_are_named_and_times_are_written_as_people_write_them():
    found = times_of(column([moment(2026, 3, 1), None, moment(2026, 3, 1, 6, 30)]), "t")
    assert found.missing.tolist() == [False, True, False]
    assert (found.written(0), found.written(2)) == ("2026-03-01", "2026-03-01T06:30:00")
    assert times_of(column([3.0, None]), "t").written(0) == "3"
    assert times_of(column(["1998 Q1", None, " "]), "t").missing.tolist() == [False, True, True]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=60, unique=True),
    st.integers(1, 12),
)
def test_a_lagged_value_is_that_of_the_same_series_so_many_steps_before(rows, lag):
    series, at = np.array(rows, dtype=np.int64).T
    values = np.arange(len(rows), dtype=np.float64)
    known = dict(zip(rows, values.tolist(), strict=True))
    expected = [known.get((code, step - lag), np.nan) for code, step in rows]
    np.testing.assert_array_equal(lagged(values, series, at, lag), expected)
