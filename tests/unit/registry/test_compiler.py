"""The compiling process: it knows no secret, and it ends when it should."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from arkwright.core.errors import Invalid
from arkwright.registry.compiler import compile_in_child
from arkwright.registry.compiling import CompileTask


class Runs:
    """Runs a statement when it is unpickled."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def __reduce__(self) -> Any:
        return exec, (self.statement,)


@pytest.fixture
def task(tmp_path: Path) -> Callable[[str], tuple[CompileTask, Path]]:
    def make(statement: str) -> tuple[CompileTask, Path]:
        model, scratch = tmp_path / "model", tmp_path / "scratch"
        model.mkdir()
        scratch.mkdir()
        (model / "model.pkl").write_bytes(pickle.dumps(Runs(statement)))
        pd.DataFrame({"a": [1.0]}).to_parquet(tmp_path / "sample.parquet")
        settings = {"model": str(model), "out": str(tmp_path / "bundle"), "sample": str(tmp_path / "sample.parquet")}
        return CompileTask(answer=str(scratch / "answer.json"), allow_pickled=True, **settings), scratch

    return make


def nothing() -> None:
    """Nobody cancels."""


def test_a_model_sees_no_setting_and_no_secret(
    task: Callable[[str], tuple[CompileTask, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKWRIGHT_INTERNAL_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen = tmp_path / "seen"
    asked, scratch = task(f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))")
    with pytest.raises(Invalid):
        compile_in_child(asked, scratch, watch=nothing)
    assert "PATH" in seen.read_text()
    assert "secret" not in seen.read_text()


@pytest.mark.parametrize(
    ("statement", "words"),
    [("import os; os.abort()", "SIGABRT"), ("import os; print('my last'); os._exit(3)", "exit code 3")],
)
def test_a_process_that_dies_is_a_problem_with_the_model(
    task: Callable[[str], tuple[CompileTask, Path]], statement: str, words: str
) -> None:
    asked, scratch = task(statement)
    with pytest.raises(Invalid, match=words) as failed:
        compile_in_child(asked, scratch, watch=nothing)
    assert failed.value.code == "import.process"


def test_one_that_does_not_end_is_ended(task: Callable[[str], tuple[CompileTask, Path]], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    asked, scratch = task(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)")

    def until_it_runs() -> None:
        if pid.exists() and pid.read_text():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        compile_in_child(asked, scratch, watch=until_it_runs)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_one_that_takes_too_long_is_ended(task: Callable[[str], tuple[CompileTask, Path]]) -> None:
    asked, scratch = task("import time; time.sleep(600)")
    with pytest.raises(Invalid) as failed:
        compile_in_child(asked, scratch, watch=nothing, timeout_seconds=0.2)
    assert failed.value.code == "import.timeout"


def test_one_that_prints_without_end_is_ended(task: Callable[[str], tuple[CompileTask, Path]]) -> None:
    asked, scratch = task("while True: print('x' * 100000)")
    with pytest.raises(Invalid) as failed:
        compile_in_child(asked, scratch, watch=nothing)
    assert failed.value.code == "import.output"
