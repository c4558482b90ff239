"""A process's own temporary folder: gone with the process, or swept up by its successor.

What ``kill -9`` interrupts cannot clean up behind itself. So everything temporary of a process lies in one folder that
it keeps locked; a folder that nobody locks belonged to a dead process and is removed at the next start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(process: str) -> Iterator[Path]:
    """Put the temporary files of this process, and of those it starts, into a folder of its own.

    Parameters
    ----------
    process
        What the process is called, such as ``worker``: folders that dead processes of this name left are removed.
    """
    parent = Path(tempfile.gettempdir())
    prefix = f"arkwright-{process}-"
    sweep(parent, prefix)
    folder, descriptor = _locked_folder(parent, prefix)
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before[0]
        if before[1] is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before[1]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def sweep(parent: Path, prefix: str) -> list[Path]:
    """Remove this user's folders of that prefix that no process holds; return them."""
    removed = []
    for folder in parent.glob(f"{prefix}*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # no folder, or another user's
        try:
            if os.fstat(descriptor).st_uid == os.getuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
        except BlockingIOError:
            continue  # its process lives
        finally:
            os.close(descriptor)
    return removed


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, descriptor
        os.close(descriptor)  # a sweeper came in between
