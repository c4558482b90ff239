"""The line to a model's process: what it says, and that it is gone, without waiting for either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self, cast

from arkwright.bundles.model_process import ModelProcess
from arkwright.bundles.model_process.failures import ended, refusal, slow_start
from arkwright.bundles.model_process.frames import Inbox, ProtocolError, Ready, Refused, Rows, Scores, pack, read_answer


class Link(asyncio.Protocol):
    """A model's process that is ready.

    Parameters
    ----------
    process
        As it was launched.
    on_scores
        Called with each answer; a ``ProtocolError`` from it ends the process.
    on_lost
        Called once when the process has gone, or was ended.
    """

    def __init__(
        self, process: ModelProcess, on_scores: Callable[[Scores], None], on_lost: Callable[[Link], None]
    ) -> None:
        self.process = process
        self.fault = ""
        self.ready: Ready | None = None
        self.lost = False
        self._on_scores, self._on_lost = on_scores, on_lost
        self._inbox = Inbox()
        self._transport: asyncio.WriteTransport | None = None
        self._first: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls,
        process: ModelProcess,
        on_scores: Callable[[Scores], None],
        on_lost: Callable[[Link], None],
        *,
        timeout_seconds: float,
    ) -> Self:
        """Return the line once the model is ready; ``on_lost`` is not called for one that never was.

        Raises
        ------
        Invalid
            If the process refuses its model, with the reason.
        Unavailable
            If it ends, or says nothing in time.
        """
        link = cls(process, on_scores, on_lost)
        try:
            process.socket.setblocking(False)
            # Its own duplicate of the socket for the transport: ``collect`` closes the other.
            await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=process.socket.dup())
            async with asyncio.timeout(timeout_seconds):
                await link._first
            if link.lost:
                raise EOFError  # noqa: TRY301 - it died right after it was ready
        except TimeoutError:
            await link.end()
            raise slow_start(timeout_seconds) from None
        except EOFError:
            raise ended(await link.end()) from None
        except BaseException:
            await link.end()
            raise
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # By name: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Take in what the process says."""
        try:
            for body in self._inbox.feed(data):
                answer = read_answer(body)
                if isinstance(answer, Scores) and self.ready is not None:
                    self._on_scores(answer)
                elif not self._first.done():
                    self._begin(answer)
                else:
                    raise ProtocolError("it spoke without being asked")  # noqa: TRY301 - handled with the others
        except ProtocolError as error:
            self.cut(str(error))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a broken pipe says no more than its end
        """Pass on that the process is gone."""
        self.lost = True
        if not self._first.done():
            self._first.set_exception(EOFError())
        elif self.ready is not None:
            self._on_lost(self)

    def send(self, question: Rows) -> None:
        """Hand a batch over."""
        if self._transport is not None:
            self._transport.write(pack(question))

    def cut(self, fault: str) -> None:
        """End the process at once; ``on_lost`` follows."""
        self.fault = fault
        self.process.kill()
        if self._transport is not None:
            self._transport.abort()

    async def end(self) -> str:
        """End the process, if it has not, and return how it ended."""
        if self._transport is not None:
            self._transport.abort()
        how = await asyncio.to_thread(self.process.collect)
        return f"{how} because {self.fault}" if self.fault else how

    def _begin(self, answer: object) -> None:
        if isinstance(answer, Ready):
            self.ready = answer
            self._first.set_result(answer)
        elif isinstance(answer, Refused):
            self._first.set_exception(refusal(answer))
        else:
            raise ProtocolError("it spoke without being asked")


__all__ = ["Link"]
