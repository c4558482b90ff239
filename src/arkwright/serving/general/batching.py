"""What waits for a model, and what it works on: micro-batching while busy.

While the model works on one batch, arrivals wait; when it answers, the next batch takes those that have waited longest,
as many as fit. A lone request never waits for company, and a hundred that come together share the cost of a call. There
is no timer to tune.
"""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from dataclasses import dataclass

import msgspec
import numpy as np

from arkwright.bundles.model_process.failures import failure_of
from arkwright.bundles.model_process.frames import ProtocolError, Rows, Scores
from arkwright.core.errors import ArkwrightError, Unavailable

RowScores = list[list[float]]


@dataclass(slots=True, eq=False)
class _Waiting:
    ticket: int
    cells: bytes
    n_rows: int
    first: int
    future: asyncio.Future[RowScores]


class Batches:
    """The queue of a model, and the batch it has.

    Parameters
    ----------
    max_rows
        Rows of a batch; none is ever larger.
    max_queued
        Requests that may wait.
    patience_seconds
        How long the model's process may look for the rows that make the model fail.
    """

    def __init__(self, max_rows: int, max_queued: int, patience_seconds: float) -> None:
        self.max_rows = max_rows
        self._max_queued = max_queued
        self._patience_seconds = patience_seconds
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._sent: list[_Waiting] = []
        self._n_tickets = 0
        self._n_batches = 0

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether the model has a batch."""
        return bool(self._sent)

    def add(self, cells: bytes, n_rows: int, first: int = 0) -> tuple[int, asyncio.Future[RowScores]]:
        """Let a request, or a piece of one, wait; return its ticket and its scores to come.

        Parameters
        ----------
        cells
            Its rows, as ``encode_rows`` wrote them; at most ``max_rows``.
        first
            Place of the first of them in the request. Pieces after the first are never turned away.

        Raises
        ------
        Unavailable
            If too many wait already.
        """
        if first == 0 and len(self._waiting) >= self._max_queued:
            raise Unavailable(
                f"{len(self._waiting)} requests already wait for this model.",
                code="inference.overloaded",
                hint="Send less at a time, put several rows in a request, or give the deployment more replicas.",
                retry_after_seconds=1,
            )
        self._n_tickets += 1
        future: asyncio.Future[RowScores] = asyncio.get_running_loop().create_future()
        self._waiting[self._n_tickets] = _Waiting(self._n_tickets, cells, n_rows, first, future)
        return self._n_tickets, future

    def forget(self, ticket: int) -> None:
        """Take out one whose caller no longer waits; if the model has it already, its scores go nowhere."""
        self._waiting.pop(ticket, None)

    def take(self) -> Rows | None:
        """Return the next batch, or None if nothing waits."""
        n_rows = 0
        while self._waiting:
            first = next(iter(self._waiting.values()))
            if n_rows + first.n_rows > self.max_rows:
                break
            del self._waiting[first.ticket]
            if not first.future.done():
                n_rows += first.n_rows
                self._sent.append(first)
        if not self._sent:
            return None
        self._n_batches += 1
        return Rows(
            self._n_batches,
            tuple((part.ticket, part.n_rows) for part in self._sent),
            [msgspec.Raw(part.cells) for part in self._sent],
            self._patience_seconds,
        )

    def settle(self, answer: Scores) -> None:
        """Give every caller of the batch the scores of its own rows.

        Raises
        ------
        ProtocolError
            If it is not the answer to the batch: nobody gets anything of it.
        """
        parts = tuple((part.ticket, part.n_rows) for part in self._sent)
        n_rows = sum(part.n_rows for part in self._sent)
        if answer.batch != self._n_batches or answer.parts != parts or not parts:
            raise ProtocolError("it answered something else than it was asked")
        if len(answer.values) != n_rows * answer.n_outputs * 8:
            raise ProtocolError(f"it answered {n_rows} rows with {len(answer.values)} bytes of scores")
        scores: RowScores = np.frombuffer(answer.values).reshape(n_rows, answer.n_outputs).tolist()
        sent, self._sent = self._sent, []
        start = 0
        for part in sent:
            end = start + part.n_rows
            if not part.future.done():
                failed = {at - start: said for at, said in answer.failures.items() if start <= at < end}
                if failed:
                    part.future.set_exception(failure_of(failed, "instances[{}]", part.first))
                else:
                    part.future.set_result(scores[start:end])
            start = end

    def fail_sent(self, error: ArkwrightError) -> int:
        """Tell the callers of the batch that there will be no answer; return how many there were."""
        sent, self._sent = self._sent, []
        return _fail(sent, error)

    def fail_waiting(self, error: ArkwrightError) -> int:
        """Tell those who wait that there will be no answer; return how many there were."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        return _fail(waiting, error)


def _fail(parts: list[_Waiting], error: ArkwrightError) -> int:
    for part in parts:
        if not part.future.done():
            part.future.set_exception(copy.copy(error))
    return len(parts)
