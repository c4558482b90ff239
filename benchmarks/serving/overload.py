"""Five times the capacity as an arrival rate: requests keep coming, whatever the answers are.

The compiled path answers faster than a client in Python can ask. So the model here is one that cannot be compiled and
is slow of itself: the nearest neighbours of a row among 20,000, found in a tree, about two milliseconds for each row
however many are asked for together. First its peak is measured with wrk; then five times that rate is sent from a
process of its own, nine tenths of it by one caller, so that both refusals are met: 429 for the caller that has its
share of the slots, 503 for the other one when there is no slot left.
"""

from __future__ import annotations

import hashlib
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Self

import joblib
import msgspec
import numpy as np
from home import arm_of, make_plan, place_bundle, write_plan
from load import Arrivals, Client, closed_loop
from reference_model import CLASSES, COLUMNS, LEVELS, NUMBERS, TARGET, frame_of, make_columns, request_rows
from report import Goal
from servers import Running, Work, ours, running
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from arkwright.bundles import GeneralInput, GeneralModel, fit_baseline, write_general_bundle
from arkwright.contracts import Column, Signature

TIMES = 5
_OTHER_KEY = "ak_" + "c" * 40
_TURNS = 10  # of which the other caller has one
_CONNECTIONS = 1_000
_PEAK_LOADS = (64, 160)  # below a caller's share of the slots
_LOOK_SECONDS = 0.5
# A machine that asks for health waits for a second, if it was told nothing else (Kubernetes: timeoutSeconds).
_HEALTH_SECONDS = 1.0
_ROOM_MEGABYTES = 64.0
"""How much a server may take for a thousand connections and its 256 requests in flight: 16 KB and 128 KB each, and as
much again."""


@dataclass
class Watch:
    """Looks at a server twice a second: its memory, and whether it says that it lives; a context manager."""

    server: Running
    megabytes: list[float] = field(default_factory=list)
    answered: dict[str, list[float]] = field(default_factory=lambda: {"live": [], "ready": []})
    unwell: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._base = self.server.target.url.partition("/v1/")[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.megabytes.append(self.server.memory_megabytes())
            for name, took in self.answered.items():
                begun = time.perf_counter()
                try:
                    with urllib.request.urlopen(f"{self._base}/health/{name}", timeout=10):
                        took.append(time.perf_counter() - begun)
                except (OSError, urllib.error.URLError) as error:
                    self.unwell.append(f"{name}: {error}")


def overload_at_a_rate(work: Work, seconds: float) -> list[Goal]:
    """Send five times the peak for so long, and return what is to be seen."""
    _prepare(work)
    with running(ours("slow", "overload at a rate", "overload-at-a-rate", home="home-slow"), work) as server:
        closed_loop(server.target, 8, 2.0, work.scratch)  # warm
        peak = max(closed_loop(server.target, load, seconds / 2, work.scratch).good_rate for load in _PEAK_LOADS)
        other = replace(server.target, headers={**server.target.headers, "Authorization": f"Bearer {_OTHER_KEY}"})
        targets = [server.target] * (_TURNS - 1) + [other]
        with Client() as client:
            before = server.memory_megabytes()
            with Watch(server) as watch:
                found = client.send(targets, TIMES * peak, seconds, connections=_CONNECTIONS)
        after = server.memory_megabytes()
    return [*_load_goals(found, peak, seconds), *_server_goals(watch, before, after)]


def _load_goals(found: Arrivals, peak: float, seconds: float) -> list[Goal]:
    wanted = TIMES * peak
    share = found.good_rate / peak
    refused = {status: n for status, n in found.statuses.items() if status in (429, 503)}
    others = {status: n for status, n in found.statuses.items() if status not in (200, 429, 503)}
    counted = ", ".join(f"{n:,} of {status}" for status, n in refused.items())
    good_latency = f"{found.p50:.0f} / {found.p99:.0f} ms"
    latency = f"{found.refused_p50:.0f} / {found.refused_p99:.0f} ms"
    return [
        Goal(
            f"{TIMES} times the peak as an arrival rate, {seconds:g} s, {_CONNECTIONS:,} connections",
            f"{wanted:,.0f} req/s sent",
            f"{found.sent_rate:,.0f} req/s, {found.sent:,} in all",
            found.sent_rate > 0.95 * wanted,
        ),
        Goal(
            "good answers meanwhile, against peak",
            "above 80 %",
            f"{share:.0%} ({found.good_rate:,.0f} of {peak:,.0f} req/s; p50 / p99 {good_latency})",
            share > 0.8,
        ),
        Goal(
            "refusals meanwhile",
            "429 or 503, each with Retry-After",
            f"{counted or 'none'}, {found.without_retry_after:,} without it; p50 / p99 {latency}",
            bool(refused) and not found.without_retry_after,
        ),
        Goal(
            "other answers, and none, meanwhile",
            "none",
            f"{sum(others.values())} {others or ''}".strip() + f", {found.lost} lost",
            not others and not found.lost,
        ),
    ]


def _server_goals(watch: Watch, before: float, after: float) -> list[Goal]:
    peak = max(watch.megabytes, default=after)
    shown = []
    for name, took in watch.answered.items():
        slowest = f"p50 {1e3 * median(took):.0f} ms, slowest {1e3 * max(took):.0f} ms" if took else "never"
        shown.append(f"{name}: {len(took)} answers, {slowest}")
    slowest_of_all = max(max(took, default=10.0) for took in watch.answered.values())
    said = "; ".join([*shown, *watch.unwell[:3]])
    return [
        Goal(
            "memory of all its processes meanwhile",
            f"at most {_ROOM_MEGABYTES:g} MB more",
            f"{before:.0f} MB before, {peak:.0f} at most, {after:.0f} after",
            peak - before < _ROOM_MEGABYTES,
        ),
        Goal("health meanwhile", "answers within 1 s", said, not watch.unwell and slowest_of_all < _HEALTH_SECONDS),
    ]


def _prepare(work: Work) -> None:
    """Train the slow model, and write its bundle and its home."""
    columns, target = make_columns(20_000)
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    features = ColumnTransformer([("numbers", numbers, list(NUMBERS)), ("texts", texts, list(LEVELS))])
    neighbours = KNeighborsClassifier(50, algorithm="ball_tree", n_jobs=1)
    pipeline: Any = make_pipeline(features, neighbours).fit(frame_of(columns), target)
    folder, stored = work.scratch / "slow", work.scratch / "slow-model"
    stored.mkdir()
    joblib.dump(pipeline, stored / "model.pkl")
    sample = {name: cells[:200] for name, cells in columns.items()}
    scores = pipeline.predict_proba(frame_of(sample))[:, 1]
    kinds = {name: "numeric" if name in NUMBERS else "categorical" for name in COLUMNS}
    spec = tuple(Column(name=name, kind=kind) for name, kind in kinds.items())
    signature = Signature(task="binary", target=TARGET, columns=spec, classes=CLASSES, identifiers=("id",))
    inputs = tuple(GeneralInput(name=name, dtype="float64" if name in NUMBERS else "text") for name in COLUMNS)
    digest = write_general_bundle(
        folder,
        signature=signature,
        general=GeneralModel(
            loader="pickle", path="model.pkl", inputs=inputs, method="predict_proba", class_columns=(0, 1)
        ),
        model_folder=stored,
        reason="Nearest neighbours are not compiled.",
        baseline=fit_baseline(signature, sample, scores[:, np.newaxis]),
        example_rows=request_rows(1),
        learner="neighbours",
    )
    home = work.scratch / "home-slow"
    place_bundle(home, folder, digest)
    plan = make_plan({"slow": (arm_of(digest),)})
    secret = hashlib.sha256(_OTHER_KEY.encode()).hexdigest()
    other = msgspec.structs.replace(plan.credentials[0], secret_sha256=secret, actor_id="key_2")
    write_plan(home, msgspec.structs.replace(plan, credentials=(*plan.credentials, other)))
