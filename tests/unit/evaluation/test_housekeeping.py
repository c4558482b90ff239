"""How long reports are kept, what is never removed, and what is answered once one is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from arkwright.core.clock import FixedClock
from arkwright.core.context import system_context
from arkwright.evaluation import jobs
from arkwright.evaluation.housekeeping import EvaluationHousekeeping
from arkwright.evaluation.material import NotComputed
from arkwright.evaluation.retention import Retention
from arkwright.server.worker import _tick
from tests.unit.evaluation.evaluated_platform import Evaluated, compute_only, hold_jobs

_DAY = 86_400
_MINUTES = count(step=10)
_FILED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> FixedClock:
    """A clock for the platform, a day after the newest evaluation."""
    database = adult.plane.platform.database
    # A minute of its own: the same evaluation at the same moment would be the same evidence.
    found = FixedClock(database.clock.now().replace(microsecond=0) + timedelta(days=1, minutes=next(_MINUTES)))
    monkeypatch.setattr(database, "clock", found)
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute the metrics and the groups, and nothing else."""
    compute_only(monkeypatch, "performance", "fairness")


def evaluated_once(adult: Evaluated, **body: Any) -> str:
    job = adult.job(**body)
    assert job["status"] == "succeeded", job["error"]
    return str(job["result"]["evaluation_id"])


def workspace(adult: Evaluated) -> str:
    return str(adult.plane.platform.workspace_ids()[0])


def housekeeping(adult: Evaluated, retention: Retention | None = None) -> EvaluationHousekeeping:
    platform = adult.plane.platform
    return EvaluationHousekeeping(
        platform.database,
        platform.jobs,
        platform.registry,
        platform.governance,
        platform.objects,
        retention or Retention(),
    )


def get(adult: Evaluated, address: str, path: str = "/summary") -> Any:
    return adult.plane.client.get(f"/v1/evaluations/{address}{path}")


@pytest.mark.usefixtures("quick")
def test_a_report_is_removed_after_its_time_and_the_evidence_remains(adult: Evaluated, clock: FixedClock) -> None:
    filed_on, first = clock.at, evaluated_once(adult, sensitive=["sex"])
    clock.advance(60)
    newest = evaluated_once(adult, sensitive=["sex"])
    before = get(adult, first).json()
    assert datetime.fromisoformat(before["kept_until"]) == filed_on + timedelta(days=180)
    assert before["removed_at"] is None
    keeper, place = housekeeping(adult), workspace(adult)

    clock.at = filed_on + timedelta(days=179)
    assert first not in keeper.sweep(place)
    assert get(adult, first, "/report").status_code == 200

    clock.at = filed_on + timedelta(days=180, hours=2)
    assert first in keeper.sweep(place)
    for path in ("", "/report", "/card.html"):
        answer = get(adult, first, path)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (410, "evaluation.removed")
        assert (
            f"was kept until {(filed_on + timedelta(days=180)).date()}, removed on {clock.at.date()}"
            in (problem["detail"])
        )
        assert "the evidence and its digests remain" in problem["detail"]
        assert problem["hint"]
    for path in ("/card", "/card.json"):
        assert get(adult, first, path).status_code == 200
    after = get(adult, first).json()
    assert datetime.fromisoformat(after["removed_at"]) == clock.at
    assert {**after, "removed_at": None} == before
    assert get(adult, newest, "/report").status_code == 200
    listed = adult.plane.client.get(f"/v1/evaluations?model_version_id={adult.version_id}").json()["items"]
    assert {item["id"]: bool(item["removed_at"]) for item in listed}.items() >= {first: True, newest: False}.items()
    trail = adult.plane.client.get("/v1/auditlogs?limit=200").json()["items"]
    assert [item["action"] for item in trail if item["entity_id"] == first] == [
        "evaluation.remove_files",
        "evidence.file",
    ]

    clock.advance(10 * _DAY)
    assert keeper.sweep(place) == []


@pytest.mark.usefixtures("quick")
def test_a_sweep_that_was_cut_off_is_finished_by_the_next_one(
    adult: Evaluated, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluated_once(adult)
    clock.advance(60)
    evaluated_once(adult)
    clock.advance(200 * _DAY)
    keeper = housekeeping(adult)
    with monkeypatch.context() as patched:
        patched.setattr("arkwright.evaluation.housekeeping.record", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keeper.sweep(workspace(adult))
    answer = get(adult, first, "/report")
    assert (answer.status_code, answer.json()["code"]) == (410, "evaluation.removed")
    assert get(adult, first).json()["removed_at"] is None
    assert first in keeper.sweep(workspace(adult))
    assert get(adult, first).json()["removed_at"] is not None


@pytest.mark.usefixtures("quick")
def test_the_report_that_the_version_itself_points_to_is_kept(adult: Evaluated, clock: FixedClock) -> None:
    with_groups = evaluated_once(adult, sensitive=["race"])
    evaluated_once(adult)  # without groups: the version's fairness report is still the one before
    clock.advance(400 * _DAY)
    assert with_groups not in housekeeping(adult).sweep(workspace(adult))
    assert get(adult, with_groups, "/report").status_code == 200


@pytest.mark.usefixtures("quick")
def test_what_a_gate_looked_at_is_kept_and_so_is_all_of_a_version_that_serves(
    adult: Evaluated, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (evaluated_once(adult, seed=seed) for seed in (1, 2))
    cited = frozenset({first})
    monkeypatch.setattr(adult.plane.platform.governance, "cited_by_gates", lambda *_: cited)
    evaluated_once(adult)
    clock.advance(400 * _DAY)
    found = housekeeping(adult).sweep(workspace(adult))
    assert first not in found
    assert second in found
    cited = frozenset()

    third = evaluated_once(adult, seed=3)
    evaluated_once(adult)
    clock.advance(400 * _DAY)
    real = adult.plane.platform.registry.version_by_id
    with monkeypatch.context() as patched:

        def serving(unit: Any, version_id: str) -> Any:
            row = real(unit, version_id)
            return type(
                "Row",
                (),
                {**{column.name: getattr(row, column.name) for column in row.__table__.columns}, "stage": "canary"},
            )

        patched.setattr(adult.plane.platform.registry, "version_by_id", serving)
        assert housekeeping(adult).sweep(workspace(adult)) == []
    assert {first, third} <= set(housekeeping(adult).sweep(workspace(adult)))


def test_a_gate_s_decision_cites_the_evidence_it_looked_at(adult: Evaluated) -> None:
    platform = adult.plane.platform
    with platform.database.write(system_context(workspace(adult))) as unit:
        platform.governance.decide(
            unit, "promotion", ("model_version", "mv_7"), [], {"evidence": [{"id": "ev_7", "sha256": "ab"}]}
        )
        assert platform.governance.cited_by_gates(unit, "mv_7") == {"ev_7"}
        assert platform.governance.cited_by_gates(unit, "mv_8") == frozenset()


@pytest.mark.usefixtures("quick")
def test_for_ever_is_for_ever(adult: Evaluated, clock: FixedClock) -> None:
    evaluated_once(adult, seed=5)
    evaluated_once(adult, seed=6)
    clock.advance(4_000 * _DAY)
    keeper = housekeeping(adult, Retention(evaluation_days=0, comparison_days=0))
    assert keeper.sweep(workspace(adult)) == []


@pytest.mark.usefixtures("quick")
def test_the_worker_s_housekeeping_sweeps_by_the_settings(adult: Evaluated, clock: FixedClock) -> None:
    first = evaluated_once(adult)
    clock.advance(60)
    evaluated_once(adult)
    platform = adult.plane.platform
    keeper = platform.evaluation_housekeeping()
    _tick(platform, keeper)
    clock.advance(179 * _DAY)
    _tick(platform, keeper)
    assert get(adult, first, "/report").status_code == 200
    clock.advance(2 * _DAY)
    _tick(platform, keeper)
    assert get(adult, first, "/report").status_code == 410


def test_a_sweep_that_fails_keeps_no_monitor_from_its_turn(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, done = adult.plane.platform, []
    keeper = platform.evaluation_housekeeping()

    def broken(workspace_id: str) -> list[str]:
        done.append(workspace_id)
        raise NotComputed(workspace_id)

    monkeypatch.setattr(keeper, "sweep", broken)
    monkeypatch.setattr(platform, "workspace_ids", lambda: ["ws_first", "ws_second"])
    monkeypatch.setattr(type(platform.monitor_clock()), "tick", lambda _: done.append("monitors"))
    _tick(platform, keeper)
    assert done == ["monitors", "ws_first", "ws_second"]


def test_what_an_ended_evaluation_left_is_removed_and_what_others_need_is_not(
    adult: Evaluated, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = adult.plane.platform.objects.for_workspace(workspace(adult))
    with monkeypatch.context() as patched:

        def broken(*_: Any) -> Any:
            raise NotComputed("No rows.")

        patched.setattr(jobs, "section", broken)
        failed = adult.job()
        assert failed["status"] == "failed"
    hold_jobs(adult, monkeypatch)
    waiting = adult.start().json()["job_id"]
    trained = adult.plane.client.get("/v1/jobs?kind=automl.train.v1").json()["items"]
    kept = [f"jobs/{waiting}/sections/a.json", "jobs/job_unknown/sections/a.json", f"jobs/{failed['id']}/other/a.json"]
    kept += [f"jobs/{job['id']}/sections/a.json" for job in trained]
    for key in (*kept, f"jobs/{failed['id']}/sections/a.json"):
        objects.put_bytes(key, b"{}")
    keeper = housekeeping(adult)
    keeper.sweep(workspace(adult))
    assert objects.exists(f"jobs/{failed['id']}/sections/a.json")  # its run may still be at it
    clock.advance(2 * 3_600)
    keeper.sweep(workspace(adult))
    assert not objects.exists(f"jobs/{failed['id']}/sections/a.json")
    assert [objects.exists(key) for key in kept] == [True] * len(kept)


@pytest.mark.parametrize(
    ("retention", "compared", "days"),
    [
        (Retention(), False, 180),
        (Retention(), True, 180),
        (Retention(evaluation_days=180, comparison_days=365), True, 365),
        (Retention(evaluation_days=180, comparison_days=365), False, 180),
        (Retention(evaluation_days=0), False, None),
        (Retention(evaluation_days=0), True, None),
        (Retention(comparison_days=0), True, None),
        (Retention(comparison_days=0), False, 180),
    ],
)
def test_of_two_periods_that_apply_the_longer_one_does(retention: Retention, compared: bool, days: int | None) -> None:
    until = retention.until(_FILED, compared=compared)
    assert until == (None if days is None else _FILED + timedelta(days=days))


def test_a_promise_outlives_a_shorter_setting_and_a_longer_setting_counts_at_once() -> None:
    promised = {"kept_until": "2027-06-01T00:00:00.000Z", "compared_with": ""}
    assert Retention().of(promised, _FILED) == datetime(2027, 6, 1, tzinfo=UTC)
    assert Retention(evaluation_days=1_000).of(promised, _FILED) == _FILED + timedelta(days=1_000)
    assert Retention(evaluation_days=0).of(promised, _FILED) is None
    # From before it was said, or when it was for ever: what the setting says.
    assert Retention().of({"compared_with": ""}, _FILED) == _FILED + timedelta(days=180)
    assert Retention().of({"kept_until": None, "compared_with": ""}, _FILED) == _FILED + timedelta(days=180)
