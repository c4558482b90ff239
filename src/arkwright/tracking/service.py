"""Waiting for the logbook: it starts slower than everything around it."""

from __future__ import annotations

import time
from collections.abc import Callable

from arkwright.core.errors import Unavailable
from arkwright.tracking.ports import TrackingServer, TrackingStore


class TrackingService:
    """The logbook, and the patience it takes.

    Parameters
    ----------
    store
        The logbook.
    sleep, monotonic
        Time, handed in so that tests need not wait.
    """

    def __init__(
        self,
        store: TrackingStore,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._sleep = sleep
        self._monotonic = monotonic

    def wait_until_ready(
        self,
        timeout_seconds: float = 60.0,
        *,
        poll_seconds: float = 0.25,
        on_wait: Callable[[float], None] | None = None,
    ) -> TrackingServer:
        """Return as soon as the logbook answers.

        Parameters
        ----------
        on_wait
            Called before each pause with the seconds waited so far: report progress there, or raise to give up.

        Raises
        ------
        Unavailable
            If it does not answer in time.
        """
        started = self._monotonic()
        while True:
            try:
                return self.store.ping()
            except Unavailable as error:
                waited = self._monotonic() - started
                if waited >= timeout_seconds:
                    raise Unavailable(
                        f"The tracking server did not answer within {timeout_seconds:g} s: {error.detail}",
                        code="tracking.unavailable",
                        hint=error.hint,
                        retry_after_seconds=error.retry_after_seconds,
                    ) from error
            if on_wait is not None:
                on_wait(waited)
            self._sleep(poll_seconds)
