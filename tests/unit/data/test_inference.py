"""From cells to column types."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.data.conversion import convert_cells
from arkwright.data.inference import ColumnEvidence, ColumnPlan, decide_column
from arkwright.data.schema import DataWarning


def decide(
    cells: Sequence[str | None], override: str | None = None, na_values: Sequence[str] | None = None
) -> tuple[ColumnPlan, list[DataWarning], list[object]]:
    evidence = ColumnEvidence("c", na_values)
    array = pa.array(cells, pa.string())
    evidence.update(array)
    plan, warnings = decide_column(evidence, override)
    return plan, warnings, convert_cells(array, plan).to_pylist()


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "+3"], "integer", [1, -2, 3]),
        (["1", "2.5", ".5"], "number", [1.0, 2.5, 0.5]),
        (["0", "1"], "integer", [0, 1]),
        (["true", "FALSE"], "boolean", [True, False]),
        (["Yes", "No"], "text", ["Yes", "No"]),
        (["01", "1.5"], "number", [1.0, 1.5]),
        ([" a ", "b"], "text", [" a ", "b"]),
    ],
)
def test_a_uniform_column_has_its_type_without_a_warning(cells, kind, values) -> None:
    plan, warnings, read = decide(cells)
    assert (plan.type, read, warnings) == (kind, values, [])


def test_blanks_among_numbers_are_missing_and_said_so() -> None:
    plan, warnings, read = decide(["1.5", " ", "", "2"])
    assert plan.type == "number"
    assert plan.n_missing == 2
    assert read == [1.5, None, None, 2.0]
    assert [w.message for w in warnings] == ["column 'c' has 2 blank cells, read as missing"]


def test_usual_words_are_missing_among_numbers_and_values_among_texts() -> None:
    plan, warnings, read = decide(["1", "NA", "", "3"])
    assert (plan.type, read) == ("integer", [1, None, None, 3])
    assert warnings[0].message == "column 'c' has 1 blank cell and 1 cell such as 'NA', read as missing"
    plan, warnings, read = decide(["brick", "None", None])
    assert (plan.type, read, plan.n_missing) == ("text", ["brick", "None", None], 1)
    assert warnings[0].code == "missing_words_kept"
    assert "na_values ['None']" in warnings[0].message


def test_listed_words_are_missing_in_every_column_and_the_usual_ones_are_not() -> None:
    assert decide(["1", "?", "2"], na_values=["?"])[2] == [1, None, 2]
    assert decide(["a", "?"], na_values=["?"])[2] == ["a", None]
    plan, warnings, _ = decide(["1", "NA"], na_values=[])
    assert plan.type == "text"
    assert warnings[0].code == "mixed_types"


def test_a_mixture_is_text_and_the_first_odd_cell_is_named() -> None:
    plan, warnings, read = decide(["1", "2", "unknown", "3", "?"])
    assert (plan.type, read[2]) == ("text", "unknown")
    assert warnings[0].code == "mixed_types"
    assert (warnings[0].count, warnings[0].row) == (2, 3)
    assert "3 cells are numbers, 2 are not; the first is 'unknown' in row 3" in warnings[0].message


def test_leading_zeros_and_huge_integers_stay_text() -> None:
    plan, warnings, read = decide(["00501", "90210"])
    assert (plan.type, read) == ("text", ["00501", "90210"])
    assert warnings[0].code == "padded_integers"
    plan, warnings, _ = decide(["12345678901234567890", "1"])
    assert (plan.type, warnings[0].code) == ("text", "huge_integers")


def test_times_in_several_spellings_are_utc() -> None:
    plan, warnings, read = decide(["2026-01-01", "2026/01/02 10:30", "2026-01-03T00:00:00+01:00"])
    assert plan.type == "time"
    assert [str(moment) for moment in read] == ["2026-01-01 00:00:00", "2026-01-02 10:30:00", "2026-01-02 23:00:00"]
    assert warnings[0].code == "mixed_zones"


def test_infinities_among_numbers_are_refused_by_name() -> None:
    with pytest.raises(Invalid) as caught:
        decide(["1", "2", "inf", "-inf"])
    assert caught.value.code == "dataset.infinite"
    assert "Column 'c' has 2 infinite values; the first is 'inf' in row 3" in caught.value.detail
    assert decide(["1", "inf"], na_values=["inf"])[2] == [1, None]


def test_a_column_without_values_is_kept_and_said_so() -> None:
    for cells in (["", None], ["NA", "NA"]):
        plan, warnings, read = decide(cells)
        assert (plan.type, plan.n_missing, read) == ("text", 2, [None, None])
        assert warnings[0].code == "all_missing"


@pytest.mark.parametrize(
    ("cells", "override", "values"),
    [
        (["007", "8"], "integer", [7, 8]),
        (["3.0", "4"], "integer", [3, 4]),
        (["1", "0", "Yes", "off"], "boolean", [True, False, True, False]),
        (["1", "2"], "text", ["1", "2"]),
        (["1", "2"], "number", [1.0, 2.0]),
        (["NA", "2026-01-01"], "text", ["NA", "2026-01-01"]),
    ],
)
def test_an_override_that_holds_is_obeyed(cells, override, values) -> None:
    assert decide(cells, override)[2] == values


def test_an_override_that_does_not_hold_names_the_cell_and_what_to_do() -> None:
    with pytest.raises(Invalid) as caught:
        decide(["1", "2", "three", "", "4.5"], "integer")
    error = caught.value
    assert error.code == "dataset.type_mismatch"
    assert error.detail == (
        "Column 'c' is declared integer, but 2 of its 5 cells are not a whole number within 64 bits; the first is "
        "'three' in row 3."
    )
    assert "na_values" in (error.hint or "")


@given(st.lists(st.none() | st.text(max_size=6), min_size=1), st.integers(0, 20))
def test_chunks_decide_as_the_whole_does(cells: list[str | None], cut: int) -> None:
    whole, parts = ColumnEvidence("c", None), ColumnEvidence("c", None)
    array = pa.array(cells, pa.string())
    whole.update(array)
    parts.update(array[:cut])
    parts.update(array[cut:])
    try:
        expected = decide_column(whole)
    except Invalid as error:
        with pytest.raises(Invalid, match=re.escape(error.detail)):
            decide_column(parts)
        return
    assert decide_column(parts) == expected
    converted = convert_cells(array, expected[0])
    assert converted.null_count == expected[0].n_missing


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_come_back_exactly(values: list[int]) -> None:
    assert decide([str(value) for value in values])[2] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_exactly(values: list[float]) -> None:
    assert decide([repr(value) for value in values], "number")[2] == values
