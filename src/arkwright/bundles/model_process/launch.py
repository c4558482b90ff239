"""Start the process of a model, and end it.

The child gets a private folder for its copy of the bundle and its temporary files, one end of a socket, and an
environment with no setting and no secret in it. Its session is its own, so that whatever it starts ends with it.

There is no cap on its memory: the address space that numerical libraries reserve says nothing about what they use, and
there is no number that is right for a model nobody has seen. Instead the child asks the kernel to be the first to go
when the machine runs out, before the server that would answer for everybody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

CHILD_MODULE = "arkwright.bundles.model_process.child"
FOLDER_PREFIX = "arkwright-model-"
"""Of the folders below the temporary one; one that nobody has locked was left by a process that was killed."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
_PASSED_ON_PREFIXES = ("COVERAGE_",)
# One thread for each model: two would compete with the server for the same cores, and waiting threads with each other.
_SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "LOKY_MAX_CPU_COUNT": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",  # its last words are worth most when it dies
}
_TAIL_BYTES = 4096


class ModelProcess:
    """A child that was started, our end of its socket, and its folder.

    Attributes
    ----------
    socket
        Blocking; whoever takes it over closes it.
    pid
        The child's process number.
    """

    def __init__(self, process: subprocess.Popen[bytes], end: socket.socket, folder: Path, lock: int) -> None:
        self._process = process
        self._folder, self._lock = folder, lock
        self._tail = b""
        self.socket = end
        self.pid = process.pid
        # What a model prints must neither block it nor fill a disk: the last of it is kept, to explain a death.
        self._drain = threading.Thread(target=self._drain_output, name="arkwright-model-output", daemon=True)
        self._drain.start()

    def kill(self) -> None:
        """End the child and whatever it started, at once; ``collect`` sees it out."""
        if self._process.returncode is None:  # else the number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def collect(self) -> str:
        """End the child if it has not, remove what it leaves, and say how it ended; blocking, for some milliseconds."""
        self.kill()
        code = self._process.wait()
        self._drain.join(timeout=1.0)
        self.socket.close()
        _remove(self._folder, self._lock)
        ended = f"was ended by signal {-code} ({_signal_name(-code)})" if code < 0 else f"ended with exit code {code}"
        last = self._tail.decode(errors="replace").strip().splitlines()
        return f"{ended}; its last words: {last[-1][:500]}" if last else ended

    def _drain_output(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            while piece := os.read(stream.fileno(), 65_536):
                self._tail = (self._tail + piece)[-_TAIL_BYTES:]


def launch_model(folder: Path, digest: str) -> ModelProcess:
    """Start the process of a general bundle's model.

    Its first frame says ``Ready`` or ``Refused``.

    Parameters
    ----------
    folder
        Where the bundle lies; the child copies it, verifies the copy, and does not come back to it.
    digest
        The bundle's.

    Raises
    ------
    OSError
        If there is no room for another process or another folder.
    """
    place, lock = _locked_folder()
    ours, theirs = socket.socketpair()
    try:
        (place / "tmp").mkdir()
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-P",
                "-m",
                CHILD_MODULE,
                str(theirs.fileno()),
                str(os.getpid()),
                str(folder.resolve()),
                digest,
            ],
            env=_environment() | {"TMPDIR": str(place / "tmp")},
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    except OSError:
        ours.close()
        _remove(place, lock)
        raise
    finally:
        theirs.close()
    return ModelProcess(process, ours, place, lock)


def _locked_folder() -> tuple[Path, int]:
    """Return a new folder and the lock on it, which a process loses when it dies and not before."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, lock
        os.close(lock)  # a sweeper came in between


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _environment() -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return inherited | _SET


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
