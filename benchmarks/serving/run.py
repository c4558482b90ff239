"""Ours beside the usual model servers: one model, the same rows, one machine, one run.

Usage: python benchmarks/serving/run.py [--seconds 5] [--only ours,echo,mlflow] [--sections servers,compiled,goals]

Every server answers single rows of the reference pipeline (``benchmarks/reference_model.py``: fifteen mixed columns,
LightGBM with 100 trees), as one worker, with micro-batching on where it has any. Ours is ``arkwright serve`` as it is
shipped: authentication, rate limit, validation, prediction log, metrics and trace context on. The loads are closed
loops of 1, 16 and 64 connections from wrk (Debian: ``apt-get install wrk``), and an open loop at a fixed rate. Then the
same peers are given our compiled predictor in their handlers, so that servers are compared and not only models.

The peers' environments are made when first needed, in the folder given by ``--environments``.

With ``--soak SECONDS`` ours is asked at ``--rate`` for that long, and nothing else is measured. With ``--overload
SECONDS`` a deployment with a slow model is sent five times what it can answer for that long, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import joblib
from environments import ensure_environment
from home import arm_of, make_plan, place_bundle, write_plan
from load import Measured, Target, closed_loop, open_loop
from model_variants import VARIANTS, write_variant
from overload import overload_at_a_rate
from reference_model import request_rows, train_pipeline, write_reference_bundle
from report import PAGE, Goal, Line, goal_table, main_table, open_table, server_goals
from servers import BATCHING, ECHO, PEERS, Server, Work, ours, peer_servers, running
from threadpoolctl import threadpool_limits
from trials import canary_step, cold_start, overload, soak, soak_goals

from arkwright.core.errors import ArkwrightError

SECTIONS = ("servers", "compiled", "models", "trials")
LOADS = (1, 16, 64)
_OVERLOAD_SECONDS = 10.0  # so long that what is in flight at its end counts for little


def prepare(folder: Path, environments: Path) -> tuple[Work, dict[str, str]]:
    """Train the model, write its bundles and our home; return where all is, and the bundles' digests."""
    model, home = folder / "model", folder / "home"
    model.mkdir()
    home.mkdir()
    pipeline = train_pipeline()
    joblib.dump(pipeline, model / "pipeline.joblib")
    digests = {"compiled": write_reference_bundle(model / "bundle", pipeline)}
    (model / "digest").write_text(digests["compiled"])
    place_bundle(home, model / "bundle", digests["compiled"])
    endpoints = {"reference": (arm_of(digests["compiled"]),)}
    digests["general"] = write_reference_bundle(folder / "general", pipeline, general=True)
    place_bundle(home, folder / "general", digests["general"])
    digests["canary"] = write_reference_bundle(folder / "canary", train_pipeline(seed=7))
    place_bundle(home, folder / "canary", digests["canary"])
    write_plan(home, make_plan(endpoints))
    # A home for each plan: a data plane removes bundles that its plan does not name.
    for other in ("home-general", "home-canary"):
        shutil.copytree(home / "serving" / "bundles", folder / other / "serving" / "bundles")
    write_plan(folder / "home-general", make_plan({"general": (arm_of(digests["general"], 3),)}))
    return Work(model, environments, folder, request_rows(64)), digests


def measure(server: Server, work: Work, loads: Sequence[int], seconds: float, rate: float, rounds: int = 1) -> Line:
    """Put one server under every load; of several rounds the middle one counts."""
    line = Line(server.name, server.title)
    if server.peer and (problem := ensure_environment(server.peer, work.environments)):
        line.problem = problem
        return line
    try:
        if server.peer == "mlflow":
            _save_mlflow(work)
        with running(server, work) as started:
            line.ready_seconds = started.ready_seconds
            closed_loop(started.target, 8, min(2.0, seconds), work.scratch)  # warm
            for connections in loads:
                found = [closed_loop(started.target, connections, seconds, work.scratch) for _ in range(rounds)]
                line.closed[connections] = sorted(found, key=lambda each: each.good_rate)[rounds // 2]
            line.memory_megabytes = started.memory_megabytes()
            if rate:
                line.open = open_loop(started.target, rate, seconds)
    except (RuntimeError, subprocess.SubprocessError, OSError) as error:
        line.problem = str(error).strip().replace("\n", " ")[-400:].replace("|", "/")
    say(line, loads)
    return line


def say(line: Line, loads: Sequence[int]) -> None:
    """Tell how it went, while the others are still to come."""
    shown = ", ".join(f"c={load} {line.rate(load):,.0f}" for load in loads)
    print(f"{line.title}: {line.problem or shown + ' req/s'}", file=sys.stderr, flush=True)


def _save_mlflow(work: Work) -> None:
    if (work.model / "mlflow-compiled").exists():
        return
    environment = {
        **os.environ,
        "PYTHONPATH": f"{PEERS}:{Path(__file__).parents[2] / 'src'}",
        "BENCH_MODEL": str(work.model),
        "BENCH_PREDICTOR": "compiled",
    }
    command = [str(work.python("mlflow")), str(PEERS / "save_mlflow.py"), str(work.model)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, cwd=work.scratch)
    if done.returncode:
        raise RuntimeError(f"MLflow did not write its models: {done.stderr.strip()[-300:]}")


def machine() -> str:
    """Return what the figures were taken on."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({model or platform.machine()}), {platform.system()}, Python {platform.python_version()}"


def compare(arguments: argparse.Namespace, work: Work, digests: dict[str, str]) -> str:
    """Run the chosen sections and return the report."""
    sections = arguments.sections.split(",")
    loads = [int(text) for text in arguments.loads.split(",")]
    only = set(filter(None, arguments.only.split(",")))
    general = ours("general", "ours, general path (pipeline in a child process)", "ours-general", home="home-general")
    mine = [ours("reference", "**Arkwright**", "ours"), general, ECHO]
    chosen = [*mine, *peer_servers("pipeline")] if "servers" in sections else mine[:1]
    chosen = [server for server in chosen if not only or server.name in only]
    seconds, rounds = arguments.seconds, arguments.rounds
    lines = [measure(server, work, loads, seconds, arguments.open_rate, rounds) for server in chosen]
    named = {line.name: line for line in lines if not line.problem}
    taken = f"Taken on {machine()}, {arguments.seconds:g} s for each load."
    parts = [
        PAGE.replace("TAKEN", taken),
        "## One row in each request, one worker each",
        main_table(lines, loads, named.get("ours")),
    ]
    if arguments.open_rate:
        parts.append("## At a fixed rate")
        parts.append(open_table(lines, arguments.open_rate))
    if "compiled" in sections:
        wanted = [server for server in peer_servers("compiled") if not only or server.peer in only]
        given = [measure(server, work, loads, seconds, 0.0, rounds) for server in wanted]
        parts.append("## The same peers with our compiled predictor in their handlers")
        parts.append(main_table(given, loads, named.get("ours")))
    if "models" in sections:
        parts += ["## Ours with other models, compiled from their pipelines", other_models(work, arguments.seconds)]
    goals = server_goals(named, BATCHING, loads[-1])
    if "trials" in sections:
        peak = named["ours"].closed[loads[-1]] if "ours" in named else None
        goals += trials(work, digests, peak, arguments.seconds)
    parts += ["## Targets", goal_table(goals)]
    return "\n\n".join(parts) + "\n"


def other_models(work: Work, seconds: float) -> str:
    """Measure our server with other models, and how closely each agrees with the pipeline it was compiled from."""
    home = work.scratch / "home-models"
    arms, rows, lines = {}, {}, []
    for number, (title, make) in enumerate(VARIANTS.items(), start=1):
        try:
            with threadpool_limits(1):
                digest, parity, rows[title] = write_variant(work.scratch / f"variant-{number}", make())
        except ArkwrightError as error:
            lines.append(f"| {title} | not compiled: {error.detail} | | | |")
            continue
        place_bundle(home, work.scratch / f"variant-{number}", digest)
        arms[title] = (f"variant-{number}", arm_of(digest, number), parity)
    write_plan(home, make_plan({name: (arm,) for name, arm, _ in arms.values()}))
    warm = next(iter(arms))
    with running(ours(arms[warm][0], "models", "models", home="home-models"), replace(work, rows=rows[warm])) as server:
        for title, (name, _, parity) in arms.items():
            bodies = [json.dumps({"instances": [row]}, separators=(",", ":")).encode() for row in rows[title]]
            url = server.target.url.replace(arms[warm][0], name)
            target = Target(url, bodies, server.target.headers)
            one, many = (closed_loop(target, connections, seconds, work.scratch) for connections in (1, 64))
            agrees = "**differs**, " if not parity.passed else ""
            agrees += "exact" if parity.exact else f"{parity.max_abs_difference:.1g} (allowed {parity.tolerance:.1g})"
            lines.append(
                f"| {title} | {agrees}, {parity.n_rows:,} rows | {one.good_rate:,.0f} | {many.good_rate:,.0f} "
                f"| {many.p50:.1f} / {many.p95:.1f} / {many.p99:.1f} |"
            )
    head = ["| model | largest difference | c=1 req/s | c=64 req/s | p50 / p95 / p99 ms |", "|---|---|---:|---:|---:|"]
    return "\n".join([*head, *lines])


def trials(work: Work, digests: dict[str, str], peak: Measured | None, seconds: float) -> list[Goal]:
    """Measure what is about our own server alone."""
    goals = []
    if peak is not None:
        with running(ours("reference", "overload", "overload"), work) as server:
            goals.append(overload(server, peak, work, seconds))
    goals += overload_at_a_rate(work, max(_OVERLOAD_SECONDS, seconds))
    goals.append(cold_start(work, "reference"))
    return goals + canary_step(work, digests["compiled"], digests["canary"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each load of each server")
    parser.add_argument("--rounds", type=int, default=1, help="measure each load so often; the middle one counts")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)), help="connections, with commas between")
    parser.add_argument(
        "--only", default="", help="names such as ours,echo,mlflow,bentoml,litserve,ray,mlserver,fastapi"
    )
    parser.add_argument("--sections", default=",".join(SECTIONS), help=f"of {','.join(SECTIONS)}")
    parser.add_argument("--open-rate", type=float, default=50.0, help="requests a second of the open loop; 0 for none")
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of a steady load on ours, and nothing else")
    parser.add_argument("--rate", type=float, default=2000.0, help="requests a second of the soak")
    parser.add_argument(
        "--overload", type=float, default=0.0, help="seconds of five times the capacity, and nothing else"
    )
    parser.add_argument(
        "--environments", type=Path, default=Path(tempfile.gettempdir()) / "arkwright-bench-environments",
        help="folder of the peers' environments",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="also write the report to this file")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-") as name:
        folder, environments = Path(name), arguments.environments.resolve()
        if arguments.overload:
            goals = overload_at_a_rate(Work(folder, environments, folder, request_rows(64)), arguments.overload)
            report = goal_table(goals) + "\n"
        elif arguments.soak:
            work, _ = prepare(folder, environments)
            with running(ours("reference", "soak", "soak"), work) as server:
                found = soak(server, arguments.rate, arguments.soak)
            report = goal_table(soak_goals(found, arguments.rate, arguments.soak)) + "\n"
        else:
            report = compare(arguments, *prepare(folder, environments))
    print(report)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(report)


if __name__ == "__main__":
    main()
