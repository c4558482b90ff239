from __future__ import annotations

import math
import posixpath
import re
import sys
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from arkwright.tracking import (
    MAX_KEY_LENGTH,
    TrialRecord,
    metric_samples,
    param_texts,
    storable,
    tag_texts,
    tidy_key,
    tidy_text,
)


def accepted_by_mlflow(key: str) -> bool:
    """The rules of mlflow/utils/validation.py, written down a second time."""
    norm = posixpath.normpath(key)
    return (
        re.fullmatch(r"[/\w.\- :]*", key) is not None
        and norm == key
        and norm != "."
        and not norm.startswith(("..", "/"))
        and 0 < len(key) <= 250
    )


@given(st.text(max_size=300) | st.text(alphabet="./ a:-", max_size=12))
def test_any_name_becomes_a_key_that_mlflow_takes(name: str) -> None:
    assert accepted_by_mlflow(tidy_key(name))


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_names_never_become_one_key(one: str, other: str) -> None:
    assert (tidy_key(one) == tidy_key(other)) == (one == other)


@given(
    st.from_regex(r"[a-z][\w:-]{0,20}(/[a-z][a-z ]{0,5}[a-z])?", fullmatch=True, alphabet=st.characters(codec="ascii"))
)
def test_a_good_name_stays_as_it_is(name: str) -> None:
    assert tidy_key(name) == name


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    one, other = tidy_key("x" * 400 + "a"), tidy_key("x" * 400 + "b")
    assert one != other
    assert len(one) == MAX_KEY_LENGTH


@given(st.text(max_size=30), st.integers(1, 30))
def test_a_text_is_cut_visibly_and_loses_nul(text: str, length: int) -> None:
    tidied = tidy_text(text, length)
    assert len(tidied) <= length
    assert "\x00" not in tidied
    assert tidied == text.replace("\x00", "") or tidied.endswith("…")


def test_parameters_are_spelled_as_python_writes_them_and_structures_as_json() -> None:
    given_params = {"depth": 3, "rate": 0.1, "on": True, "none": None, "grid": {"b": 1, "a": [2]}, "name": "gbdt"}
    assert param_texts(given_params) == {
        "depth": "3",
        "rate": "0.1",
        "on": "True",
        "none": "None",
        "grid": '{"a": [2], "b": 1}',
        "name": "gbdt",
    }


def test_tags_are_cut_to_what_the_logbook_holds() -> None:
    assert len(tag_texts({"note": "x" * 9000})["note"]) == 8000


def test_final_values_are_at_step_zero_and_series_count_from_there() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    record = TrialRecord(
        key="k",
        experiment_id="1",
        name="n",
        status="succeeded",
        started_at=moment,
        metrics={"auc": 1},
        series={"loss": (0.5, math.inf)},
    )
    samples = [(sample.key, sample.value, sample.step) for sample in metric_samples(record)]
    assert samples == [("auc", 1.0, 0), ("loss", 0.5, 0), ("loss", sys.float_info.max, 1)]


@given(st.floats())
def test_every_number_becomes_one_a_database_holds(value: float) -> None:
    stored = storable(value)
    assert math.isnan(stored) == math.isnan(value)
    assert not math.isinf(stored)
    assert stored == value or not math.isfinite(value)
