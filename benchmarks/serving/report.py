"""The tables that a run prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from load import Measured

PAGE = """# Serving, measured

`make bench-serving` (`python benchmarks/serving/run.py`): ours beside the usual model servers, with one model, the same
rows, on one machine, in one run. The model is an ordinary scikit-learn pipeline over fifteen mixed columns (imputation,
one-hot encoding, LightGBM with 100 trees of 31 leaves); missing cells are in the rows. Ours runs as it is shipped:
authentication, rate limit, validation, prediction log, metrics and trace context are on. Peers run as one worker, with
micro-batching on where they have it, each in an environment of its own (`benchmarks/serving/peers/`). Load comes from
wrk on the same machine, so the client takes processor time from every server alike.

TAKEN Read the ratios, and run it yourself."""


@dataclass
class Line:
    """What was measured of one server."""

    name: str
    title: str
    closed: dict[int, Measured] = field(default_factory=dict)
    open: Measured | None = None
    memory_megabytes: float = 0.0
    ready_seconds: float = 0.0
    problem: str = ""

    def rate(self, connections: int) -> float:
        """Return good answers a second at so many connections."""
        found = self.closed.get(connections)
        return found.good_rate if found else 0.0


@dataclass(frozen=True)
class Goal:
    """A target of the product, and what was measured."""

    what: str
    target: str
    measured: str
    met: bool | None

    def row(self) -> str:
        """Return it as a row of Markdown."""
        verdict = "not measured" if self.met is None else "met" if self.met else "**missed**"
        return f"| {self.what} | {self.target} | {self.measured} | {verdict} |"


def main_table(lines: Sequence[Line], loads: Sequence[int], base: Line | None) -> str:
    """Return a table of the servers; ratios are to ``base`` at the largest load."""
    head = ["server"]
    for connections in loads:
        head += [f"c={connections} req/s", "p50 / p95 / p99 ms", "errors"]
    head += ["MB", f"ours is x faster (c={loads[-1]})"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for line in lines:
        if line.problem:
            rows.append([line.title, f"did not run: {line.problem}", *[""] * (len(head) - 2)])
            continue
        cells = [line.title]
        for connections in loads:
            found = line.closed.get(connections)
            if found is None:
                cells += ["", "", ""]
                continue
            cells += [f"{found.good_rate:,.0f}", f"{_ms(found.p50)} / {_ms(found.p95)} / {_ms(found.p99)}"]
            cells.append(f"{found.errors:,}" if found.errors else "0")
        theirs = line.rate(loads[-1])
        ratio = f"{base.rate(loads[-1]) / theirs:,.1f}" if base is not None and theirs else ""
        rows.append([*cells, f"{line.memory_megabytes:,.0f}", ratio])
    return _table(rows)


def open_table(lines: Sequence[Line], rate: float) -> str:
    """Return a table of the runs at a fixed rate."""
    rows = [["server", "answered of asked", "p50 ms", "p95 ms", "p99 ms"], ["---", *["---:"] * 4]]
    for line in lines:
        found = line.open
        if found is not None:
            good = found.n - found.errors
            rows.append([line.title, f"{good:,} of {found.n:,}", _ms(found.p50), _ms(found.p95), _ms(found.p99)])
    said = f"At {rate:g} requests a second, whatever the answers do; a latency counts from when its request was due:"
    return f"{said}\n\n{_table(rows)}"


def goal_table(goals: Sequence[Goal]) -> str:
    """Return the targets, each met or missed."""
    return "\n".join(["| what | target | measured | |", "|---|---|---|---|", *(goal.row() for goal in goals)])


def server_goals(lines: Mapping[str, Line], batching: Sequence[str], load: int) -> list[Goal]:
    """Return the targets that compare servers."""
    goals: list[Goal] = []
    ours = lines.get("ours")
    rate = ours.rate(load) if ours else 0.0

    def ratio(what: str, target: float, other: float, mine: float = rate) -> None:
        found = mine / other if mine and other else None
        shown = f"{found:,.1f} x" if found else "-"
        goals.append(Goal(what, f"at least {target:g} x", shown, found >= target if found else None))

    def theirs(name: str) -> float:
        return lines[name].rate(load) if name in lines else 0.0

    ratio(f"against mlflow models serve, c={load}", 100, theirs("mlflow"))
    ratio(f"against the best batching peer, c={load}", 15, max((theirs(name) for name in batching), default=0.0))
    ratio(f"against the same server's raw ASGI echo, c={load}", 0.5, theirs("echo"))
    general = lines.get("ours-general")
    ratio("general path against mlflow", 20, theirs("mlflow"), general.rate(load) if general else 0.0)
    if ours and load in ours.closed:
        p95 = ours.closed[load].p95
        goals.append(Goal(f"p95 at c={load}", "below 10 ms", f"{p95:.1f} ms", p95 < 10))
        goals.append(Goal(f"errors at c={load}", "none", f"{ours.closed[load].errors}", ours.closed[load].errors == 0))
    if ours:
        ready = ours.ready_seconds
        goals.append(Goal("from start to the first prediction", "below 3 s", f"{ready:.2f} s", ready < 3))
    return goals


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
