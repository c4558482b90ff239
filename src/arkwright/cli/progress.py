"""A job's progress on standard error: a live bar on a terminal, a line per piece of news elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from arkwright.cli.console import plain, remarks, shown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from arkwright.sdk.types import Job

_KINDS = {
    "ingest": "Reading the table",
    "train": "Training",
    "batch": "Scoring",
    "monitor": "Looking for drift",
    "registry.import": "Importing",
    "evaluation": "Evaluating",
}
_LINES_PER_SECOND = 1.0


class JobProgress:
    """Shows one job after the other; give it to ``client.jobs.wait`` as ``on_progress``.

    A training's bar shows the time left, as its job reports it.
    """

    def __init__(self) -> None:
        self._console = remarks()
        self._live = self._console.is_terminal
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said = ("", 0.0)

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._live:
            self._bars = _bars(self._console)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; what was drawn stays."""
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, job: Job) -> None:
        """Show what a job says."""
        if self._bars is not None:
            self._draw(self._bars, job)
        else:
            self._print(job)

    def remark(self, text: str) -> None:
        """Say something above the bars."""
        console = self._bars.console if self._bars is not None else self._console
        console.print(plain(text), style="yellow", soft_wrap=True)

    def _draw(self, bars: Progress, job: Job) -> None:
        title = title_of(job["kind"])
        if job["id"] not in self._tasks:
            self._tasks[job["id"]] = bars.add_task(title, total=1.0, news="", best="", left="")
        ended = job["status"] in ("succeeded", "cancelled")
        bars.update(
            self._tasks[job["id"]],
            completed=1.0 if ended else job["progress"],
            news=plain(job["message"]),
            best=best_so_far(job["data"]),
            left=self._time_left(job),
        )

    def _print(self, job: Job) -> None:
        text = f"{title_of(job['kind'])}: {plain(job['message'])}"
        best = best_so_far(job["data"])
        text = f"{text} ({best})" if best and job["status"] == "running" else text
        said, when = self._said
        now = time.monotonic()
        if text == said or (now - when < _LINES_PER_SECOND and job["status"] == "running"):
            return
        self._said = (text, now)
        self._console.print(text, soft_wrap=True)

    def _time_left(self, job: Job) -> str:
        told = job["data"].get("seconds_left")
        if not isinstance(told, int | float) or job["status"] != "running":
            return ""
        return f"{max(0, round(told))} s left"


def title_of(kind: str) -> str:
    """Return what a kind of job does, in words.

    Examples
    --------
    >>> title_of("automl.train.v1"), title_of("search.reindex.v2")
    ('Training', 'search.reindex.v2')
    """
    return next((title for word, title in _KINDS.items() if word in kind), kind)


def best_so_far(data: dict[str, Any]) -> str:
    """Return the best candidate so far and its score, if the job's data name one.

    Examples
    --------
    >>> best_so_far({"best": "logistic", "best_score": 0.84461, "metric": "roc_auc"}), best_so_far({})
    ('best: logistic, roc_auc 0.8446', '')
    """
    best, score = data.get("best"), data.get("best_score")
    if not best or score is None:
        return ""
    return f"best: {plain(str(best))}, {data.get('metric') or 'score'} {shown(float(score))}"


def _bars(console: Any) -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%", markup=False),
        TextColumn("{task.fields[left]}", style="dim", markup=False),
        TextColumn("{task.fields[best]}", style="green", markup=False),
        TextColumn("{task.fields[news]}", style="dim", markup=False),
        console=console,
        transient=False,
    )
