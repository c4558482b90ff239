"""Processes that do one piece of work for the one that started them, and do not outlive it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_PID = "ARKWRIGHT_PARENT_PID"
"""The variable in which a process tells its children who it is."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to end this process with the thread that started it, whatever it is doing then.

    A parent that died before the kernel was asked is recognised by ``PARENT_PID``, if it left it.
    """
    if sys.platform != "linux":
        return
    parent = int(os.environ.get(PARENT_PID, "0"))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:
        os._exit(0)
