"""Ask a general bundle's model and wait for the answer: for batches, imports and tests."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from arkwright.bundles.answers import Answers
from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.errors import ModelTimeout
from arkwright.bundles.model_process.failures import ended, failure_of, refusal, slow_start
from arkwright.bundles.model_process.frames import (
    Answer,
    Inbox,
    ProtocolError,
    Ready,
    Refused,
    Scores,
    Table,
    encode_table,
    pack,
    read_answer,
)
from arkwright.bundles.model_process.launch import ModelProcess, launch_model
from arkwright.bundles.rows import rows_to_columns
from arkwright.bundles.validation import InstanceValidator, check_columns
from arkwright.contracts import Signature
from arkwright.core.errors import Unavailable

START_TIMEOUT_SECONDS = 120.0
"""How long a model may take to load; a cold disk and a large library take most of a minute."""

_TIMEOUT_SECONDS = 300.0
_ROWS_AT_ONCE = 8192
_RECEIVE_BYTES = 1 << 18


class GeneralScorer:
    """A general bundle's model in a child process, with the methods of ``Predictor``; a context manager.

    One caller at a time is served. On Linux the child ends with the *thread* that started it, so enter the scorer in
    the thread that uses it.

    Parameters
    ----------
    folder, digest, signature
        The bundle's.
    timeout_seconds
        Longest time for ``rows_at_once`` rows; then the child is ended, and started again by the next call.
    rows_at_once
        Longer tables are handed over in pieces of so many rows.

    Examples
    --------
    ::

        with GeneralScorer(bundle.folder, bundle.digest, bundle.signature) as scorer:
            answers = scorer.answer_columns(columns)
    """

    def __init__(
        self,
        folder: Path,
        digest: str,
        signature: Signature,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
        rows_at_once: int = _ROWS_AT_ONCE,
        start: Callable[[Path, str], ModelProcess] = launch_model,
    ) -> None:
        self.signature = signature
        self._folder, self._digest = folder, digest
        self._timeout_seconds = timeout_seconds
        self._start_timeout_seconds = start_timeout_seconds
        self._rows_at_once = rows_at_once
        self._launch = start
        self._validator = InstanceValidator(signature)
        self._answers = Answers(signature)
        self._n_outputs = len(signature.classes) if signature.task == "multiclass" else 1
        self._process: ModelProcess | None = None
        self._frames: Iterator[bytes] = iter(())
        self._inbox = Inbox()
        self._n_asked = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with self._lock:
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._end()

    def validate(self, instances: object) -> None:
        """Raise ``PredictionInvalid`` if a request's instances do not fit the signature."""
        self._validator.check(instances)

    def predict_rows(self, rows: list[dict[str, Any]], *, with_scores: bool = False) -> list[dict[str, Any]]:
        """Check rows of JSON values and answer each in the shape of the wire; see ``Predictor.predict_rows``."""
        self._validator.check(rows)
        scores = self.predict_columns(rows_to_columns(rows, self.signature))
        return self._answers_of(rows, scores.tolist(), with_scores)

    def predict_columns(self, columns: Columns) -> FloatArray:
        """Score a table; see ``Predictor.predict_columns``.

        Raises
        ------
        PredictionInvalid
            If a required column is missing or of another type.
        ModelFailed
            If the model raised an error for some rows; ``errors`` names the first of them by their place in the table.
        ModelTimeout
            If it took too long.
        Unavailable
            If its process ended.
        """
        check_columns(self.signature, columns)
        n_rows = next((values.size for values in columns.values()), 0)
        scores = np.empty((n_rows, self._n_outputs))
        with self._lock:
            for first in range(0, n_rows, self._rows_at_once):
                last = min(first + self._rows_at_once, n_rows)
                some = {name: values[first:last] for name, values in columns.items()}
                scores[first:last] = self._ask(some, first, last - first)
        return scores

    def answer_columns(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Score a table and return the answer's columns: ``label`` (object) and ``score``, or ``value``."""
        return self.answer_scores(self.predict_columns(columns))

    def answer_scores(self, scores: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Turn scores as ``predict_columns`` returns them into the answer's columns."""
        return self._answers.of_scores(scores)

    def _answers_of(
        self, rows: list[dict[str, Any]], scores: list[list[float]], with_scores: bool
    ) -> list[dict[str, Any]]:
        answers = []
        for row, row_scores in zip(rows, scores, strict=True):
            answer = {name: row[name] for name in self.signature.identifiers if name in row}
            answer.update(self._answers.of_row(row_scores, with_scores))
            answers.append(answer)
        return answers

    def _ask(self, columns: Columns, first: int, n_rows: int) -> FloatArray:
        process = self._process if self._process is not None and _is_quiet(self._process) else self._open()
        self._n_asked += 1
        table = Table(self._n_asked, n_rows, encode_table(columns, self.signature), self._timeout_seconds / 4)
        deadline = time.monotonic() + self._timeout_seconds
        try:
            process.socket.settimeout(self._timeout_seconds)
            process.socket.sendall(pack(table))
            answer = self._receive(process, deadline)
            if not isinstance(answer, Scores) or answer.batch != table.batch or answer.n_outputs != self._n_outputs:
                raise ProtocolError("it answered something else than it was asked")  # noqa: TRY301
            scores = np.frombuffer(answer.values).reshape(n_rows, self._n_outputs)
        except TimeoutError:
            self._end()
            raise ModelTimeout(
                f"The model took longer than {self._timeout_seconds:g} s for {n_rows} rows.",
                hint="Score fewer rows at once, or use a faster model.",
            ) from None
        except (OSError, EOFError, ProtocolError) as error:
            raise self._ended(error) from error
        except BaseException:
            self._end()  # the answer to this question must not be taken for the next one's
            raise
        if answer.failures:
            raise failure_of(answer.failures, "row {}", first)
        return scores

    def _open(self) -> ModelProcess:
        self._end()
        self._inbox = Inbox()
        self._frames = iter(())
        try:
            process = self._process = self._launch(self._folder, self._digest)
            answer = self._receive(process, time.monotonic() + self._start_timeout_seconds)
        except TimeoutError:
            self._end()
            raise slow_start(self._start_timeout_seconds) from None
        except (OSError, EOFError, ProtocolError) as error:
            raise self._ended(error) from error
        except BaseException:
            self._end()
            raise
        if isinstance(answer, Refused):
            self._end()
            raise refusal(answer)
        if not isinstance(answer, Ready) or answer.n_outputs != self._n_outputs:
            raise self._ended(ProtocolError("it did not say that it is ready"))
        return process

    def _receive(self, process: ModelProcess, deadline: float) -> Answer:
        while True:
            for body in self._frames:
                return read_answer(body)
            process.socket.settimeout(max(deadline - time.monotonic(), 1e-3))
            data = process.socket.recv(_RECEIVE_BYTES)
            if not data:
                raise EOFError
            self._frames = self._inbox.feed(data)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.collect()

    def _ended(self, error: Exception) -> Unavailable:
        process, self._process = self._process, None
        if process is None:
            return Unavailable(
                f"The model's process could not be started: {error}.",
                code="model.not_started",
                hint="Free some memory, processes or disk; then try again.",
            )
        return ended(process.collect(), error)


def _is_quiet(process: ModelProcess) -> bool:
    """Tell whether an idle child still holds the line; one that has died has closed it, which reads as news."""
    return not select.select([process.socket], [], [], 0)[0]
