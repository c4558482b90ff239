"""msgspec crashes where two threads decode a struct for the first time; prepared structs do not."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SCENE = """
    import sys, threading
    import msgspec
    from arkwright.core.structs import prepared

    sys.setswitchinterval(1e-6)
    FIELDS = [("a", int), ("b", tuple[float, ...]), ("c", dict[str, float])]
    for _ in range(150):
        inner = msgspec.defstruct("Inner", FIELDS, frozen=True)
        outer = msgspec.defstruct("Outer", [("x", tuple[inner, ...]), ("y", dict[str, inner]), ("z", str)])
        prepared(outer)
        barrier = threading.Barrier(6)

        def decode():
            barrier.wait()
            msgspec.json.decode(b'{"x": [{"a": 1, "b": [1.0], "c": {}}], "y": {}, "z": "k"}', type=outer)

        threads = [threading.Thread(target=decode) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("whole")
"""


def test_many_threads_may_decode_a_prepared_struct_for_the_first_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCENE)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr
