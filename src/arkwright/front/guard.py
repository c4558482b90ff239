"""Where the kernel cannot end a child with its parent: run the program and end it when standard input closes."""

from __future__ import annotations

import subprocess
import sys
import threading


def main() -> int:
    """Run the program named by the arguments; return its exit code."""
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - the supervisor's own command

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the supervisor's end of the pipe is gone
        program.kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        return program.wait()
    except KeyboardInterrupt:
        program.terminate()
        return program.wait()


if __name__ == "__main__":
    sys.exit(main())
