"""Who goes first where the processes of one machine compete for its processors: predictions.

``nice`` alone does not say it. Where the kernel groups processes by session (Linux autogroups), a nice value counts
only among the processes of one session, and every child here has a session of its own: the group itself must be given
a nice value. And a share of the processor is not a place in the queue: a process that wakes up still waits until the
one that runs has had its slice, unless it asks for short slices itself.

All of it is best effort: a kernel that does not know a call, or does not allow it, leaves things as they are.

References
----------
sched(7), "The autogroup feature"; sched_setattr(2): for ordinary processes ``sched_runtime`` is the length of a slice,
from Linux 6.12 on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from contextlib import suppress
from pathlib import Path

CONTROL_PLANE = 3
BACKGROUND = 5

_SLICE_NANOSECONDS = 100_000  # the shortest there is
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def give_way(niceness: int, pid: int = 0) -> bool:
    """Let processes of a lower niceness go first, also those of another session.

    Parameters
    ----------
    niceness
        1 to 19; what the process already has is never lowered.
    pid
        A process that leads a session of its own; 0 for the calling one.

    Returns
    -------
    bool
        False if the kernel is too busy to change a session's niceness: it takes about one request in a tenth of a
        second. Ask again.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, max(niceness, os.getpriority(os.PRIO_PROCESS, pid)))
        if os.getsid(pid) == (pid or os.getpid()):  # otherwise the group is shared with processes that nobody asked
            return _set_group(niceness, pid)
    return True


def _set_group(niceness: int, pid: int) -> bool:
    try:
        Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(niceness), encoding="ascii")
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True


def ask_for_short_slices() -> None:
    """Let this thread, and those it starts, run soon after they wake up, for as little as a tenth of a millisecond."""
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
    size = struct.calcsize("=IIQiIQQQ")
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = struct.pack("=IIQiIQQQ", size, os.SCHED_OTHER, 0, niceness, 0, _SLICE_NANOSECONDS, 0, 0)
    with suppress(OSError):
        ctypes.CDLL(None, use_errno=True).syscall(number, 0, attributes, 0)
