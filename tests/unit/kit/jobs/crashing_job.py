"""A job that kills its own worker: in the middle of a step, and between a commit and its checkpoint.

Each step leaves a line in the file ``trace``; a kill happens once, at the first time.
"""

import os
import signal
from pathlib import Path

from arkwright.kit.jobs import JobLogRow

SUFFIX = "before the change"


class Job:
    kind = "test.crash.v1"

    def run(self, job, payload):
        folder = Path(payload["folder"])

        def note(line):
            with (folder / "trace").open("a") as trace:
                trace.write(line + "\n")

        def die_once(where):
            marker = folder / f"died-{where}"
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        def one():
            note("one")
            return {"rows": 7}

        def two():
            note("two")
            die_once("in-two")
            return "two"

        def three(unit):
            note("three")
            unit.session.add(JobLogRow(job_id=job.job_id, seq=1000, time=unit.clock.now(), message="written once"))
            unit.after_commit(lambda: die_once("after-commit"))
            return {"written": True}

        rows = job.step("one", one)
        job.step("two", two)
        written = job.write_once("three", three)
        return {**rows, **written, "source": SUFFIX}
