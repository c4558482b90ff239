"""``arkwright evaluate`` on time-ordered rows: its options, what is refused before anything starts, how it reads."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.conftest import Arkwright

from arkwright.cli.console import OUTPUT
from arkwright.cli.evaluations import _forecast, _show_forecast
from arkwright.sdk.evaluations import Evaluations

UNSAID: dict[str, Any] = {"time": "", "series": "", "season": None, "horizon": None, "history": ""}


@pytest.mark.parametrize(
    ("stated", "said", "found"),
    [
        ({}, {}, {}),
        ({}, {"time": "t", "season": 12}, {"time": "t", "season": 12}),
        ({"time": "t", "season": 4}, {}, {}),
        ({"time": "t", "season": 4}, {"season": 12}, {"time": "t", "season": 12}),
        ({"time": "t"}, {"history": "old.csv"}, {"time": "t", "history": "old.csv"}),
    ],
    ids=["nothing", "options", "file", "both", "history"],
)
def test_what_is_said_on_the_command_line_goes_before_what_the_file_states(
    stated: dict[str, Any], said: dict[str, Any], found: dict[str, Any]
) -> None:
    wanted = {"forecast": stated} if stated else {}
    assert _forecast(wanted, **{**UNSAID, **said}).get("forecast", {}) == found


@pytest.mark.parametrize("arguments", [("--series", "shop"), ("--season", "12"), ("--history", "old.csv")])
def test_a_forecast_without_a_time_column_says_what_to_name(arkwright: Arkwright, arguments: tuple[str, ...]) -> None:
    done = arkwright("evaluate", "sales", *arguments)
    assert done.code == 2
    assert "A forecast needs a column that says when a row is." in done.err
    assert "--time COLUMN" in done.err


@pytest.mark.parametrize("arguments", [("--season", "0"), ("--season", "x"), ("--horizon", "-1")])
def test_steps_that_are_none_are_refused(arkwright: Arkwright, arguments: tuple[str, ...]) -> None:
    assert arkwright("evaluate", "sales", "--time", "month", *arguments).code == 2


def test_the_scaled_errors_are_shown_with_the_reasons_for_those_that_are_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    OUTPUT.json = False
    reason = "no training values are at hand (the dataset version it was trained on is gone)"
    none = {"value": None, "low": None, "high": None, "reason": reason}
    _show_forecast(
        {
            "n_series": 3,
            "season": 12,
            "horizon": 1,
            "metrics": {"mase": none, "rmsse": none, "smape": {"value": 0.05, "low": 0.04, "high": 0.06}},
            "relative_mae": {"value": 0.83, "low": 0.7, "high": 0.95},
            "drawn_at_random": True,
        }
    )
    said = " ".join(capsys.readouterr())
    assert "As a forecast: 3 series, season of 12" in said
    assert "0.04 to 0.06" in said
    assert "0.83" in said
    assert said.count(reason) == 1
    assert "give later rows with --data" in said


def test_a_history_is_uploaded_as_data_is() -> None:
    class Sent:
        def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
            return {"path": path, **body}

        def upload(self, *_: Any) -> dict[str, str]:
            return {"upload_id": "up_1"}

    client = Evaluations(Sent())  # type: ignore[arg-type]
    asked = {"time": "t", "history": {"dataset_version_id": "dsv_1"}}
    assert client.create(model="m", forecast=asked)["forecast"] == asked  # type: ignore[typeddict-item]
    assert "forecast" not in client.create(model="m")
