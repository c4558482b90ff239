"""Run the compiling program, and end it when it takes too long or nobody wants its answer any more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from arkwright.core.errors import ArkwrightError, Invalid, PolicyRefused
from arkwright.kit.offspring import PARENT_PID
from arkwright.registry.compiling import CompileAnswer, CompileTask

TIMEOUT_SECONDS = 900.0
_POLL_SECONDS = 0.1
_TAIL_BYTES = 2000
_MAX_OUTPUT_BYTES = 1 << 20
_PROGRAM = "arkwright.registry.compiling"

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
_PASSED_ON_PREFIXES = ("COVERAGE_",)
_SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "LOKY_MAX_CPU_COUNT": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
}


def compile_in_child(
    task: CompileTask,
    scratch: Path,
    *,
    watch: Callable[[], None],
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> CompileAnswer:
    """Do a compile task in a process of its own.

    Parameters
    ----------
    scratch
        A folder for its temporary files.
    watch
        Called ten times a second; what it raises ends the process.

    Raises
    ------
    Invalid
        If the model or the sample is at fault, or took too long.
    PolicyRefused
        If loading the model would run code, and that is not allowed.
    """
    asked, said = scratch / "task.json", scratch / "output.txt"
    asked.write_bytes(msgspec.json.encode(task))
    (scratch / "tmp").mkdir(exist_ok=True)
    environment = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    environment |= _SET | {PARENT_PID: str(os.getpid()), "TMPDIR": str(scratch / "tmp"), "HOME": str(scratch / "tmp")}
    with said.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", _PROGRAM, str(asked)],
            env=environment,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, said, watch, timeout_seconds)
        finally:
            _end(process)
    answered = Path(task.answer)
    if process.returncode != 0 or not answered.is_file():
        raise Invalid(
            f"The process that loaded the model {_how_it_ended(process.returncode)}. {_tail(said)}".strip(),
            code="import.process",
            hint="The model may need more memory, or libraries in other versions, than there are here.",
        )
    answer = msgspec.json.decode(answered.read_bytes(), type=CompileAnswer)
    if answer.problem is not None:
        raise _error_of(answer.problem)
    return answer


def _wait(process: subprocess.Popen[bytes], said: Path, watch: Callable[[], None], timeout_seconds: float) -> None:
    ends_at = time.monotonic() + timeout_seconds
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
            return
        watch()
        if time.monotonic() > ends_at:
            raise Invalid(
                f"Loading and comparing the model took longer than {timeout_seconds:,.0f} seconds.",
                code="import.timeout",
                hint="Give a smaller sample, or a model that answers faster.",
            )
        if said.stat().st_size > _MAX_OUTPUT_BYTES:
            raise Invalid(
                "The model prints without end.", code="import.output", hint="Remove what it prints when it predicts."
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _tail(said: Path) -> str:
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return f"Its last words: {lines[-1][:500]}" if lines else ""


def _error_of(problem: dict[str, Any]) -> ArkwrightError:
    kind = PolicyRefused if problem["status"] == PolicyRefused.status else Invalid
    return kind(problem["detail"], code=problem["code"], hint=problem["hint"], errors=problem["errors"])
