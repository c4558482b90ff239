"""Where rows are in time: what is refused, what the training values are, and when there are none."""

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.forecast_timeline import (
    BETWEEN,
    ForecastRequest,
    History,
    check_forecast,
    read_timeline,
)

SIGNATURE = Signature(task="regression", target="y", columns=())
ASKED = ForecastRequest(time="t", series="s", season=2)
NONE = History(None, reason="it is not known on which dataset version the model was trained")


def rows(**columns):
    return pa.table(columns)


def timeline(table, history=NONE, asked=ASKED, **given):
    return read_timeline(table, np.arange(table.num_rows), SIGNATURE, asked, history, **given)


LATER = rows(t=[3, 4, 3, 4], s=["a", "a", "b", "b"], y=[30.0, 40.0, 3.0, 4.0])
EARLIER = rows(t=[0, 1, 2, 0, 2, 3, 9], s=["a", "a", "a", "b", "b", "a", "c"], y=[0.0, 10.0, 20.0, 5.0, 6.0, 99.0, 1.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"season": 0}, "A season of 0 steps cannot be used"),
        ({"horizon": -1}, "A horizon of -1 steps cannot be used"),
        ({"time": "y"}, "'y' cannot be both the time column and the target column"),
        ({"series": "y"}, "'y' cannot be both the series column and the target column"),
        ({"series": "t"}, "'t' cannot be both the series column and the time column"),
        ({"history_dataset_version_id": "dsv_1", "history_upload_id": "up_1"}, "not both"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_rows_are_read(changes, message):
    with pytest.raises(Invalid, match=message) as caught:
        check_forecast(msgspec.structs.replace(ASKED, **changes), SIGNATURE)
    assert caught.value.hint


def test_only_a_number_can_be_forecast():
    with pytest.raises(Invalid, match="this is a binary model"):
        check_forecast(ASKED, Signature(task="binary", target="y", columns=(), classes=(0, 1)))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(t=[1, 2], y=[1.0, 2.0]), "The data has no column 's'"),
        (rows(t=[1, None], s=["a", "a"], y=[1.0, 2.0]), "1 of 2 rows have no time in 't', the first of them row 1"),
        (rows(t=[1, 2], s=["a", None], y=[1.0, 2.0]), "1 of 2 rows have no series in 's'"),
        (rows(t=[1, 1], s=["a", "a"], y=[1.0, 2.0]), "The time 1 in 't' occurs more than once in the series 'a'"),
        (rows(t=["x", "y"], s=["a", "a"], y=[1.0, 2.0]), "cannot be put into order"),
    ],
    ids=["no column", "no time", "no series", "twice", "no order"],
)
def test_rows_that_have_no_place_in_time_are_refused(table, message):
    with pytest.raises(Invalid, match=message):
        timeline(table)


def test_repeated_times_without_a_series_column_ask_for_one():
    with pytest.raises(Invalid, match="The time 3 in 't' occurs more than once") as caught:
        timeline(LATER, asked=ForecastRequest(time="t"))
    assert "--series" in caught.value.hint


def test_training_values_are_those_before_the_first_evaluated_row_of_their_series_with_gaps_for_missing_steps():
    found = timeline(LATER, History(EARLIER, "sales version 1"))
    insample, reasons = found.insample()
    np.testing.assert_array_equal(insample["a"], [0.0, 10.0, 20.0])
    np.testing.assert_array_equal(insample["b"], [5.0, np.nan, 6.0])
    assert reasons == {}
    assert (found.n_seen, found.history, found.drawn_at_random) == (1, "sales version 1", False)


def test_the_naive_forecast_repeats_values_of_history_and_evaluated_rows_alike():
    found = timeline(LATER, History(EARLIER, "sales version 1"))
    np.testing.assert_array_equal(found.naive(LATER.column("y").to_numpy()), [10.0, 20.0, np.nan, 6.0])


def test_a_naive_forecast_further_ahead_repeats_only_what_was_known_then():
    found = timeline(LATER, History(EARLIER, "sales version 1"), ForecastRequest(time="t", series="s", horizon=2))
    np.testing.assert_array_equal(found.naive(LATER.column("y").to_numpy()), [10.0, 20.0, np.nan, 6.0])


def test_rows_between_training_rows_have_no_scale_and_are_known_to_be_flattered():
    later = rows(t=[1, 3], s=["a", "a"], y=[1.0, 3.0])
    history = rows(t=[0, 2, 4], s=["a", "a", "a"], y=[0.0, 2.0, 4.0])
    found = timeline(later, History(history, "sales version 1"))
    assert found.insample() == ({}, {"a": BETWEEN})
    assert found.drawn_at_random
    np.testing.assert_array_equal(found.naive(np.array([1.0, 3.0])), [np.nan, 1.0])


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (NONE, "it is not known on which dataset version the model was trained"),
        (History(rows(t=[1], y=[1.0]), "old.csv"), "old.csv has no column 's'"),
        (History(rows(t=[1], s=["z"], y=[1.0]), "old.csv"), "old.csv has no row of these series"),
        (History(rows(t=["1998 Q1"], s=["a"], y=[1.0]), "old.csv"), "the times of old.csv are of another kind"),
        (History(rows(t=["x"], s=["a"], y=[1.0]), "old.csv"), "old.csv cannot be used. The times in 't'"),
        (History(rows(t=[1, 1], s=["a", "a"], y=[1.0, 2.0]), "old.csv"), "a time occurs twice within a series"),
        (History(rows(t=[1], s=["a"], y=pa.array([None], pa.float64())), "old.csv"), "old.csv cannot be used"),
    ],
    ids=["none", "no column", "other series", "other kind", "no order", "twice", "no value"],
)
def test_a_history_that_cannot_be_used_is_the_reason_that_scaled_errors_have_none(history, reason):
    found = timeline(LATER, history)
    assert reason in found.no_history
    assert reason in found.insample()[1]["a"]
    assert found.history == ""


def test_a_series_the_history_lacks_says_so_for_itself():
    found = timeline(LATER, History(EARLIER.filter(pa.array([s == "a" for s in EARLIER["s"].to_pylist()])), "old.csv"))
    assert found.insample()[1] == {"b": "no training values of this series are at hand"}


def test_uneven_times_of_several_series_are_compared_by_time_and_lagged_by_row():
    later = rows(t=[1.0, 2.7, 9.1, 2.7, 9.1, 40.3], s=list("aaabbb"), y=np.arange(6.0))
    found = timeline(later)
    assert found.spacing == "uneven"
    assert found.steps.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.moments.tolist() == [0, 1, 2, 1, 2, 3]
