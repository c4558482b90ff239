"""How errors, tables and progress read."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from arkwright.cli import progress
from arkwright.cli.console import OUTPUT, facts, plain, shown, table
from arkwright.cli.failures import report, report_disk_or_permission
from arkwright.core.errors import (
    AdapterError,
    ArkwrightError,
    Conflict,
    Invalid,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PolicyRefused,
    Unavailable,
)


@pytest.fixture(autouse=True)
def for_people() -> None:
    OUTPUT.json = False


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ArkwrightError("x"), 1), (Invalid("x"), 2), (NotAuthenticated("x"), 3), (NotPermitted("x"), 3),
        (NotFound("x"), 4), (Conflict("x"), 5), (PolicyRefused("x"), 6), (Unavailable("x"), 7), (AdapterError("x"), 8),
    ],
)  # fmt: skip
def test_every_class_of_error_has_its_exit_code(error: ArkwrightError, code: int) -> None:
    assert report(error) == code


def test_an_error_reads_title_detail_fields_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    report(Invalid("two fields are wrong", hint="correct them", errors=[{"field": "a.b", "message": "is missing"}]))
    assert capsys.readouterr().err.splitlines() == [
        "The input is not valid: two fields are wrong",
        "  a.b is missing",
        "What to do: correct them",
    ]


def test_a_refusal_lists_every_unmet_condition(capsys: pytest.CaptureFixture[str]) -> None:
    report(PolicyRefused("Promoting is refused.", unmet=["it does not beat the baseline", "a file was changed"]))
    assert capsys.readouterr().err.count("✗") == 2


def test_many_wrong_fields_are_counted_and_not_all_listed(capsys: pytest.CaptureFixture[str]) -> None:
    report(Invalid("wrong", errors=[{"field": f"f{n}", "message": "is wrong"} for n in range(50)]))
    shown_lines = capsys.readouterr().err
    assert "and 30 more" in shown_lines
    assert "f49" not in shown_lines


def test_text_from_elsewhere_can_neither_steer_the_terminal_nor_mark_itself_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report(Invalid("column '\x1b[2J[bold]x[/]' \x07is odd"))
    assert capsys.readouterr().err == "The input is not valid: column '[2J[bold]x[/]' is odd\n"


@given(st.text())
def test_plain_text_has_no_control_characters_but_tabs_and_line_ends(text: str) -> None:
    assert not any((ord(letter) < 32 or 127 <= ord(letter) < 160) and letter not in "\t\n" for letter in plain(text))


def test_a_file_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_disk_or_permission(PermissionError(13, "Permission denied", "/data/out.csv")) == 2
    assert "/data/out.csv" in capsys.readouterr().err
    report_disk_or_permission(OSError(28, "No space left on device", "/tmp/out.csv"))
    assert "Free some space" in capsys.readouterr().err


def test_a_long_id_is_never_cut_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": f"job_{'x' * 26}", "text": "many words " * 40}]
    table([("ID", lambda row: row["id"]), ("TEXT", lambda row: row["text"])], rows)
    assert rows[0]["id"] in capsys.readouterr().out


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    table([("ID", lambda row: row["id"])], [], empty="Nothing yet.")
    assert capsys.readouterr().out == "Nothing yet.\n"


def test_facts_that_are_not_known_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    facts({"name": "churn", "about": "", "until": None, "rows": 0})
    assert capsys.readouterr().out.split() == ["name", "churn", "rows", "0"]


def test_a_number_is_shown_as_people_read_it() -> None:
    values = (0.123456, 1e-9, 12345, 13684.72, -0.0, False)
    assert [shown(value) for value in values] == ["0.1235", "1 \u00d7 10⁻⁹", "12,345", "13,680", "0", "no"]


def job(status: str, done: float, **more: Any) -> Any:
    return {
        "id": "job_1",
        "kind": "automl.train.v1",
        "status": status,
        "progress": done,
        "message": "m",
        "data": {},
    } | more


def test_progress_elsewhere_is_a_line_for_each_piece_of_news(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.JobProgress() as bars:
        bars(job("running", 0.1, message="Trying logistic.", data={"best": "baseline", "best_score": 0.5}))
        bars(job("running", 0.2, message="so soon that it is left out"))
        bars(job("succeeded", 1.0, message="churn 1.0.0"))
        bars(job("succeeded", 1.0, message="churn 1.0.0"))
    assert capsys.readouterr().err.splitlines() == [
        "Training: Trying logistic. (best: baseline, score 0.5)",
        "Training: churn 1.0.0",
    ]


def test_progress_on_a_terminal_is_a_bar_with_the_best_so_far_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "remarks", lambda: Console(file=screen, force_terminal=True, width=160, markup=False, highlight=False)
    )
    data = {"best": "logistic", "best_score": 0.84461, "metric": "roc_auc", "seconds_left": 41.7}
    with progress.JobProgress() as bars:
        bars(job("running", 0.25, message="lightgbm: 2 of 5 folds [bold]", data=data))
        bars.remark("Stopping the search.")
    drawn = screen.getvalue()
    for words in ("Training", "25%", "42 s left", "best: logistic, roc_auc 0.8446", "2 of 5 folds [bold]", "Stopping"):
        assert words in drawn
