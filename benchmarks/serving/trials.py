"""What is measured of our own server beside its speed: endurance, overload, and a change of the plan under load."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass

import httpx
from home import ControlPlane, arm_of, make_plan, prediction_of, write_plan
from load import Measured, Target, closed_loop, open_loop
from report import Goal
from servers import Running, Work, ours, running

from arkwright.contracts import RoutePlan

_SAMPLE_SECONDS = 2.0
_WARM_SHARE = 0.25


@dataclass(frozen=True)
class Soak:
    """A run at a steady rate, and what it did to the memory."""

    measured: Measured
    megabytes: tuple[float, ...]
    slope_megabytes_per_hour: float


def soak(server: Running, rate: float, seconds: float) -> Soak:
    """Ask at a fixed rate; memory is sampled, and its slope taken after the first quarter."""
    samples: list[tuple[float, float]] = []
    stop = threading.Event()

    def watch() -> None:
        begun = time.monotonic()
        while not stop.wait(min(_SAMPLE_SECONDS, seconds / 20)):
            samples.append((time.monotonic() - begun, server.memory_megabytes()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        measured = open_loop(server.target, rate, seconds)
    finally:
        stop.set()
        watcher.join()
    settled = [each for each in samples if each[0] >= _WARM_SHARE * seconds] or samples
    return Soak(measured, tuple(round(size, 1) for _, size in samples), 3600 * _slope(settled))


def soak_goals(found: Soak, rate: float, seconds: float) -> list[Goal]:
    """Return what a soak has to show."""
    measured = found.measured
    span = f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
    grown = found.slope_megabytes_per_hour * seconds / 3600
    flat = grown < max(5.0, 0.05 * found.megabytes[0])
    first, last = found.megabytes[0], found.megabytes[-1]
    return [
        Goal(
            f"{rate:,.0f} req/s for {span}",
            "every request answered",
            f"{measured.n - measured.errors:,} of {measured.n:,}",
            measured.errors == 0 and measured.rate > 0.98 * rate,
        ),
        Goal("p99 meanwhile", "below 20 ms", f"{measured.p99:.1f} ms", measured.p99 < 20),
        Goal("memory meanwhile", "flat", f"{first:.0f} to {last:.0f} MB ({grown:+.1f} by its slope)", flat),
    ]


def overload(server: Running, peak: Measured, work: Work, seconds: float) -> Goal:
    """Ask with five times as many connections, and as many again, and count the answers that are good."""
    found = closed_loop(server.target, 5 * 64, seconds, work.scratch)
    share = found.good_rate / peak.good_rate
    shown = f"{share:.0%} ({found.good_rate:,.0f} of {peak.good_rate:,.0f} req/s, {found.failed:,} refused)"
    return Goal("good answers at five times the connections, against peak", "above 80 %", shown, share > 0.8)


def cold_start(work: Work, endpoint: str, times: int = 3) -> Goal:
    """Start our server a few times and take the middle one of the times to the first prediction."""
    seconds = []
    for _ in range(times):
        with running(ours(endpoint, "cold start", "cold-start"), work) as started:
            seconds.append(started.ready_seconds)
    middle = sorted(seconds)[times // 2]
    return Goal("cold start to the first prediction (middle of 3)", "below 3 s", f"{middle:.2f} s", middle < 3)


def canary_step(work: Work, stable: str, canary: str) -> list[Goal]:
    """Change a split under load, and measure how long the old one was still served."""
    home = work.scratch / "home-canary"

    def plan(generation: int, percent: float) -> RoutePlan:
        arms = (
            arm_of(stable, 1, traffic_percent=100 - percent),
            arm_of(canary, 2, name="canary", traffic_percent=percent),
        )
        return make_plan({"canary": arms}, generation, strategy="canary")

    write_plan(home, plan(1, 0.0))
    answers: list[tuple[float, str]] = []
    errors: Counter[str] = Counter()
    stop = threading.Event()
    with (
        ControlPlane(home / "run" / "server.sock", plan(1, 0.0)) as control,
        running(ours("canary", "canary step", "canary-step", home="home-canary"), work) as server,
    ):
        asking = threading.Thread(target=_keep_asking, args=(server.target, stop, answers, errors), daemon=True)
        asking.start()
        time.sleep(1.0)
        changed = time.monotonic()
        control.plan = plan(2, 100.0)
        time.sleep(3.0)
        stop.set()
        asking.join()
    after = [(when - changed, arm) for when, arm in answers if when >= changed]
    last_old = max((when for when, arm in after if arm == "stable"), default=0.0)
    moved = any(arm == "canary" for _, arm in after)
    n_errors = sum(errors.values())
    shown = f"{last_old:.2f} s" if moved else "never"
    counted = f"{n_errors} of {len(answers) + n_errors:,} {dict(errors) or ''}".strip()
    return [
        Goal("a canary step changes the split", "within 1 s", shown, moved and last_old < 1),
        Goal("errors during the step", "none", counted, n_errors == 0),
    ]


def _keep_asking(target: Target, stop: threading.Event, answers: list[tuple[float, str]], errors: Counter[str]) -> None:
    headers = {"Content-Type": "application/json", **target.headers}
    with httpx.Client(headers=headers, timeout=5, trust_env=False) as client:
        while not stop.is_set():
            for body in target.bodies:
                with contextlib.suppress(IndexError):
                    _ask(client, target.url, body, answers, errors)
                if stop.is_set():
                    return


def _ask(client: httpx.Client, url: str, body: bytes, answers: list[tuple[float, str]], errors: Counter[str]) -> None:
    begun = time.monotonic()
    try:
        answer = client.post(url, content=body)
    except httpx.HTTPError as error:
        errors[type(error).__name__] += 1
        return
    if answer.status_code == 200:
        answers.append((begun, prediction_of(answer.content)["arm"]))
    else:
        errors[str(answer.status_code)] += 1


def _slope(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
