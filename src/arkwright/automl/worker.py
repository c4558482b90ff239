"""The program of a training process: ``python -m arkwright.automl.worker``.

It reads one JSON object per line from its standard input and answers each on its standard output. It ends when
its input ends, so it cannot outlive the process that started it; on Linux the kernel ends it too, even in the
middle of a library call. It is its own program, and not a fork or a ``multiprocessing`` child, because those
either copy a threaded parent or import the parent's ``__main__`` again.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

import msgspec

from arkwright.automl.learners import load_learner
from arkwright.automl.problem import ProblemFolder
from arkwright.automl.training import Candidate, refit, train_fold
from arkwright.core.structs import prepared
from arkwright.kit.offspring import die_with_parent
from arkwright.kit.priority import BACKGROUND, give_way

READY = 0
"""The id of the answer that says that the libraries are loaded."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a training process is asked to do.

    ``ends_at`` is on the machine's monotonic clock; ``seconds`` is counted from when the task starts.
    """

    id: int
    do: str
    folder: str
    candidate: Candidate
    fold: int = 0
    rounds: int = 0
    ends_at: float | None = None
    seconds: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a task: a result, or an error's name and text."""

    id: int
    result: dict[str, Any] | None = None
    error: str = ""


class _Inbox:
    """Reads requests in a thread of its own, so that a stop arrives while a model trains."""

    def __init__(self) -> None:
        self.tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._stopped: set[int] = set()
        threading.Thread(target=self._listen, daemon=True, name="inbox").start()

    def stopped(self, task_id: int) -> bool:
        """Tell whether somebody asked for the task to end."""
        return task_id in self._stopped

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            message = msgspec.json.decode(line)
            if "stop" in message:
                self._stopped.add(message["stop"])
            else:
                self.tasks.put(msgspec.convert(message, Task))
        # The other end is gone: nobody waits for an answer.
        os._exit(0)


def main() -> None:
    """Work until the input ends."""
    die_with_parent()
    give_way(BACKGROUND)
    # Whatever a library prints must not get between the answers.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    inbox = _Inbox()
    for learner in ("lightgbm", "linear"):
        load_learner(learner)
    _reply(channel, Answer(id=READY, result={}))
    while True:
        task = inbox.tasks.get()
        _reply(channel, _work(task, inbox))


def _work(task: Task, inbox: _Inbox) -> Answer:
    started = time.monotonic()
    ends_at = min(
        float("inf") if task.ends_at is None else task.ends_at,
        float("inf") if task.seconds is None else started + task.seconds,
    )

    def stop() -> bool:
        return time.monotonic() >= ends_at or inbox.stopped(task.id)

    try:
        result = run_task(task, stop)
    except Exception as error:  # noqa: BLE001 - the edge of the process: a candidate that fails is an answer
        traceback.print_exc()
        return Answer(id=task.id, error=f"{type(error).__name__}: {error}"[:2000])
    return Answer(id=task.id, result=result)


def run_task(task: Task, stop: Any) -> dict[str, Any]:
    """Do a task in this process and return its result as JSON."""
    folder = ProblemFolder(Path(task.folder))
    if task.do == "fold":
        done: dict[str, Any] = msgspec.to_builtins(train_fold(folder, task.candidate, task.fold, stop))
    else:
        done = msgspec.to_builtins(refit(folder, task.candidate, task.rounds, stop))
    return done


def _reply(channel: TextIO, answer: Answer) -> None:
    try:
        channel.write(msgspec.json.encode(answer).decode() + "\n")
        channel.flush()
    except BrokenPipeError:
        os._exit(0)


prepared(Answer, Task)

if __name__ == "__main__":
    main()
