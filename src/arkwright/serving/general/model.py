"""A model that could not be compiled, as the data plane serves it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import math
import tempfile
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

from arkwright.bundles import InstanceValidator, ModelTimeout, TypedRow
from arkwright.bundles.answers import Answers
from arkwright.bundles.model_process import ModelProcess, launch_model
from arkwright.bundles.model_process.failures import ended
from arkwright.bundles.model_process.frames import Scores, encode_rows
from arkwright.bundles.model_process.launch import FOLDER_PREFIX
from arkwright.bundles.model_process.scorer import START_TIMEOUT_SECONDS
from arkwright.contracts import Signature
from arkwright.core.errors import ArkwrightError, Invalid, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.kit.scratch import sweep
from arkwright.serving.general.batching import Batches, RowScores
from arkwright.serving.general.link import Link
from arkwright.serving.general.metrics import ModelMetrics

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
SETTLED_SECONDS = 10.0

_INLINE_ROWS = 500  # more are checked and answered in a thread: a millisecond is enough for the event loop
_PATIENCE = 0.25  # share of the time a batch may take that may go into finding the rows that make it fail

log = get_logger(__name__)


class GeneralModel:
    """A general bundle's model in a child process, with micro-batching in front.

    One batch is with the process at a time; what arrives meanwhile makes the next. A request waits for its turn until
    its own deadline. A batch that takes longer than ``timeout_seconds`` is a process that hangs: it is ended and
    started again. When the process dies, the batch it had fails at once and what waits goes on waiting for the new one;
    when that does not come up or dies soon as well, everything fails at once until one comes up.

    Parameters
    ----------
    folder, digest, signature
        The bundle's.
    max_rows
        Rows of a batch.
    max_queued
        Requests that may wait for their turn.
    timeout_seconds
        Longest time for a batch.
    start_timeout_seconds
        Longest time for loading the model.
    start
        How its process is started.
    """

    inline = False

    def __init__(
        self,
        folder: Path,
        digest: str,
        signature: Signature,
        *,
        max_rows: int = 256,
        max_queued: int = 1024,
        timeout_seconds: float = 10.0,
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
        start: Callable[[Path, str], ModelProcess] = launch_model,
    ) -> None:
        self.signature = signature
        self.restarts = 0
        self._folder, self._digest = folder, digest
        self._timeout_seconds = timeout_seconds
        self._start_timeout_seconds = start_timeout_seconds
        self._launch = start
        self._validator = InstanceValidator(signature)
        self._answers = Answers(signature)
        self._cells_of = _cells_getter(tuple(column.name for column in signature.columns))
        self._batches = Batches(max_rows, max_queued, timeout_seconds * _PATIENCE)
        self._link: Link | None = None
        self._dead: Link | None = None
        self._lost = asyncio.Event()
        self._idle = asyncio.Event()
        self._pumping = False
        self._overdue: asyncio.TimerHandle | None = None
        self._refusal: ArkwrightError | None = Unavailable(
            "The model has not been started.", code="model.not_started", retry_after_seconds=1
        )
        self._keeper: asyncio.Task[None] | None = None
        self._metrics: ModelMetrics | None = None

    @property
    def queued(self) -> int:
        """How many requests wait for their turn."""
        return self._batches.queued

    @property
    def ready(self) -> bool:
        """Whether the model's process is up."""
        return self._link is not None

    @property
    def pid(self) -> int | None:
        """Number of the model's process, while there is one."""
        return self._link.process.pid if self._link is not None else None

    async def start(self) -> None:
        """Start the process and wait until the model has answered the bundle's example rows.

        Raises
        ------
        Invalid
            If the bundle or its model cannot be served, with the reason.
        Unavailable
            If the process cannot be started, or the model is not loaded in time.
        """
        if self._keeper is None:
            await asyncio.to_thread(sweep, Path(tempfile.gettempdir()), FOLDER_PREFIX)
            self._link = await self._open()
            self._refusal = None
            self._metrics = ModelMetrics(self._digest, lambda: self.queued)
            self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Answer what has arrived, for as long as a batch may take, and end the process."""
        if self._refusal is None:
            self._refusal = _closed()
        if self._link is not None and (self._batches.busy or self._batches.queued):
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_seconds):
                    await self._idle.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._metrics is not None:
            self._metrics.withdraw()
            self._metrics = None
        self._fail_all(_closed())
        link, self._link = self._link, None
        if link is not None:
            await link.end()

    def predict_rows(self, rows: list[dict[str, Any]], *, with_scores: bool = False) -> list[dict[str, Any]]:
        """Refuse: this model cannot answer at once."""
        raise NotImplementedError

    def read_row(self, body: bytes) -> None:
        """Decline: this model reads no bodies."""

    def answer_row(self, typed: TypedRow) -> dict[str, Any]:
        """Refuse: this model cannot answer at once."""
        raise NotImplementedError

    def explain_rows(self, rows: list[dict[str, Any]]) -> NoReturn:  # noqa: ARG002 - whatever they are
        """Refuse: nothing is known of how such a model comes to its scores."""
        raise Invalid(
            "This model was not compiled, so its predictions cannot be explained.",
            code="explanation.not_available",
            hint="The model's version says why it was not compiled (general_reason).",
        )

    async def predict_rows_async(
        self, rows: list[dict[str, Any]], *, with_scores: bool = False, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        """Check rows of JSON values and answer each in the shape of the wire; see ``Predictor.predict_rows``.

        Raises
        ------
        PredictionInvalid
            If an instance does not fit the signature.
        ModelFailed
            If the model raised an error for some of these rows; ``errors`` names them.
        ModelTimeout
            If there was no answer in time.
        Unavailable
            If too many requests wait, or the model's process died.
        """
        large = len(rows) > _INLINE_ROWS
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.to_thread(self._validator.check, rows) if large else self._validator.check(rows)
                scores = await self._scores(rows)
        except TimeoutError:
            raise ModelTimeout(
                f"The model did not answer within {timeout_seconds:g} s.",
                hint="Send fewer rows, or try again later: others may be waiting for the same model.",
            ) from None
        given = (rows, scores, with_scores)
        return await asyncio.to_thread(self._answers_of, *given) if large else self._answers_of(*given)

    def _answers_of(self, rows: list[dict[str, Any]], scores: RowScores, with_scores: bool) -> list[dict[str, Any]]:
        of_row, echoed = self._answers.of_row, self.signature.identifiers
        predictions = []
        for row, row_scores in zip(rows, scores, strict=True):
            prediction = {name: row[name] for name in echoed if name in row}
            prediction.update(of_row(row_scores, with_scores))
            predictions.append(prediction)
        return predictions

    async def _scores(self, rows: list[dict[str, Any]]) -> RowScores:
        """Return the scores of a request: a large one takes its turn anew for each piece, so that others get theirs."""
        max_rows = self._batches.max_rows
        if len(rows) <= max_rows:
            return await self._piece(rows, 0)
        scores: RowScores = []
        for first in range(0, len(rows), max_rows):
            scores += await self._piece(rows[first : first + max_rows], first)
        return scores

    async def _piece(self, rows: list[dict[str, Any]], first: int) -> RowScores:
        if self._refusal is not None and (first == 0 or self._keeper is None):
            raise copy.copy(self._refusal)
        ticket, future = self._batches.add(encode_rows(self._cells_of(rows)), len(rows), first)
        self._pump_soon()
        try:
            return await future
        finally:
            self._batches.forget(ticket)

    def _pump(self) -> None:
        """Hand over the next batch if the process is free."""
        self._pumping = False
        if self._link is None or self._batches.busy:
            return
        batch = self._batches.take()
        if batch is None:
            self._idle.set()
            return
        self._link.send(batch)
        if self._metrics is not None:
            self._metrics.batches.inc()
            self._metrics.rows.inc(sum(n_rows for _, n_rows in batch.parts))
        loop = asyncio.get_running_loop()
        self._overdue = loop.call_later(self._timeout_seconds, self._link.cut, "a batch took too long")

    def _on_scores(self, answer: Scores) -> None:
        self._batches.settle(answer)
        self._stop_clock()
        self._pump_soon()

    def _pump_soon(self) -> None:
        """Hand over the next batch after this turn of the loop, to take along what arrives in the same turn."""
        if not self._pumping and not self._batches.busy:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _on_lost(self, link: Link) -> None:
        if link is not self._link:
            return
        self._link, self._dead = None, link
        self._stop_clock()
        how = f"is gone because {link.fault}" if link.fault else "has died"
        self._batches.fail_sent(ended(how))
        self._idle.set()
        self._lost.set()

    def _stop_clock(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _fail_all(self, error: ArkwrightError) -> None:
        self._batches.fail_sent(error)
        self._batches.fail_waiting(error)
        self._idle.set()

    async def _keep(self) -> None:
        """Start the process again whenever it has gone."""
        clock = asyncio.get_running_loop().time
        up_since, deaths, pause = clock(), 0, FIRST_PAUSE_SECONDS
        while True:
            await self._lost.wait()
            self._lost.clear()
            how = await self._dead.end() if self._dead is not None else ""
            if clock() - up_since > SETTLED_SECONDS:
                deaths, pause = 0, FIRST_PAUSE_SECONDS
            deaths += 1
            log.warning("model's process ended", digest=self._digest, how=how, restart_in_seconds=pause)
            if deaths > 1:
                self._refuse(ended(how))
            self._link = await self._open_again(pause)
            self._refusal = None
            self.restarts += 1
            if self._metrics is not None:
                self._metrics.restarts.inc()
            up_since, pause = clock(), min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._pump()

    async def _open_again(self, pause: float) -> Link:
        while True:
            await asyncio.sleep(pause)
            try:
                return await self._open()
            except ArkwrightError as error:
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                log.warning(
                    "model's process does not start", digest=self._digest, how=error.detail, retry_in_seconds=pause
                )
                self._refuse(
                    Unavailable(
                        f"The model's process died and does not start again: {error.detail}",
                        code="model.not_started",
                        hint=error.hint,
                        retry_after_seconds=math.ceil(pause),
                    )
                )

    def _refuse(self, error: ArkwrightError) -> None:
        """Turn everybody away until the process is up."""
        self._refusal = error
        self._batches.fail_waiting(error)

    async def _open(self) -> Link:
        try:
            process = self._launch(self._folder, self._digest)
        except OSError as error:
            raise Unavailable(
                f"The model's process could not be started: {error.strerror or error}.",
                code="model.not_started",
                hint="Free some memory, processes or disk.",
            ) from error
        return await Link.open(process, self._on_scores, self._on_lost, timeout_seconds=self._start_timeout_seconds)


def _closed() -> Unavailable:
    return Unavailable(
        "This version of the model is no longer served.",
        code="model.closed",
        hint="Try again: the next request goes to the version that took its place.",
        retry_after_seconds=1,
    )


def _cells_getter(names: tuple[str, ...]) -> Callable[[list[dict[str, Any]]], list[tuple[Any, ...]]]:
    """Return the function that takes from rows the cells of the columns, in their order; absent is None."""
    getter = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)

    def cells_of(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        try:
            return [getter(row) for row in rows]
        except KeyError:  # columns that may be absent
            return [tuple(map(row.get, names)) for row in rows]

    return cells_of
