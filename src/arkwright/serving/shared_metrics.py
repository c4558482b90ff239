"""One answer to ``/metrics`` for several processes that share a port, whichever of them is asked.

Each worker leaves its metrics in a file once a second; the one that is asked answers with its own and those of the
others, each sample marked ``worker="<number>"``. A file that was not renewed for ``STALE_SECONDS`` belongs to a worker
that is gone and is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from arkwright.kit.logging import get_logger
from arkwright.kit.telemetry import exposition

WRITE_SECONDS = 1.0
STALE_SECONDS = 10.0

log = get_logger(__name__)


class SharedMetrics:
    """The metrics of a worker and of those beside it.

    Parameters
    ----------
    folder
        Where the workers of one port leave their files.
    worker
        Which one this is.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder = folder
        self._worker = str(worker)
        self._complained = False

    async def keep(self) -> None:
        """Leave the metrics for the others, again and again."""
        while True:
            await asyncio.to_thread(self.write)
            await asyncio.sleep(WRITE_SECONDS)

    def write(self) -> None:
        """Leave the metrics for the others."""
        beside = self._folder / f"{self._worker}.partial"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(exposition())
            beside.replace(self._folder / f"{self._worker}.prom")
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.warning("metrics cannot be shared", folder=str(self._folder), reason=str(error))

    def read(self) -> bytes:
        """Return everybody's metrics."""
        parts = {self._worker: exposition()}
        newest = time.time() - STALE_SECONDS
        for path in sorted(self._folder.glob("*.prom")):
            try:
                if path.stem not in parts and path.stat().st_mtime >= newest:
                    parts[path.stem] = path.read_bytes()
            except OSError:
                continue
        return merged(parts)


def merged(parts: Mapping[str, bytes]) -> bytes:
    r"""Return several expositions as one: each family once, each sample marked with its worker.

    Examples
    --------
    >>> merged({"0": b"# TYPE a counter\na 1.0\n", "1": b'# TYPE a counter\na{b="c"} 2.0\n'}).decode().splitlines()
    ['# TYPE a counter', 'a{worker="0"} 1.0', 'a{worker="1",b="c"} 2.0']
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for worker, content in parts.items():
        lines: tuple[list[str], list[str]] = ([], [])
        for line in content.decode().splitlines():
            if line.startswith("# "):
                _, kind, name, *_ = line.split(" ", 3)
                lines = families.setdefault(name, ([], []))
                if not any(known.startswith(f"# {kind} ") for known in lines[0]):
                    lines[0].append(line)
            elif line:
                lines[1].append(_marked(line, worker))
    whole = [line for comments, samples in families.values() for line in (*comments, *samples)]
    return ("\n".join(whole) + "\n").encode()


def _marked(sample: str, worker: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
