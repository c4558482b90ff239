"""What every logbook must do, as tests."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from arkwright.contracts.signature import Column, Signature
from arkwright.core.errors import ArkwrightError, Invalid, NotFound
from arkwright.tracking import ModelPublication, TrackingStore, TrialRecord

WORKSPACE = "conformance"
_STARTED = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def sample_trial(experiment_id: str, key: str = "trial-1", **changes: Any) -> TrialRecord:
    """Return a finished trial with a bit of everything."""
    values: dict[str, Any] = {
        "key": key,
        "experiment_id": experiment_id,
        "name": "lightgbm 1",
        "status": "succeeded",
        "started_at": _STARTED,
        "ended_at": _STARTED + timedelta(seconds=1.5),
        "params": {"num_leaves": 31, "boosting": "gbdt"},
        "metrics": {"roc_auc": 0.84, "fit_seconds": 1.25},
        "series": {"logloss": (0.6, 0.5, 0.45)},
        "tags": {"arkwright.learner": "lightgbm"},
        "created_by": "user_conformance",
    }
    return TrialRecord(**(values | changes))


def sample_publication(run_id: str, folder: Path, *, content: str = "first", **changes: Any) -> ModelPublication:
    """Return a publication of a small folder; the content decides the digest."""
    bundle = folder / content
    (bundle / "weights").mkdir(parents=True, exist_ok=True)
    (bundle / "manifest.json").write_text(content)
    (bundle / "weights" / "a b.bin").write_bytes(bytes(range(256)))
    values: dict[str, Any] = {
        "name": "churn",
        "run_id": run_id,
        "bundle": bundle,
        "signature": Signature(
            task="binary",
            target="churn",
            columns=(Column(name="tenure", kind="numeric"), Column(name="contract", kind="categorical")),
            classes=("No", "Yes"),
        ),
        "example_rows": ({"tenure": 1.5, "contract": "monthly"}, {"tenure": None, "contract": None}),
        "digest": f"sha256:{hashlib.sha256(content.encode()).hexdigest()}",
        "semver": "1.0.0",
        "tags": {"arkwright.task": "binary"},
    }
    return ModelPublication(**(values | changes))


class TrackingStoreConformance:
    """The suite for :class:`~arkwright.tracking.ports.TrackingStore`; needs the fixture ``store``.

    The store may hold other things already: every test works in names of its own.
    """

    def test_a_ping_tells_who_answers(self, store: TrackingStore) -> None:
        """A version is named."""
        _expect(bool(store.ping().version), "ping names a version")

    def test_a_workspace_can_be_ensured_twice(self, store: TrackingStore) -> None:
        """The second time changes nothing, and the default workspace is always there."""
        for workspace in (WORKSPACE, WORKSPACE, "default"):
            store.ensure_workspace(workspace)

    def test_an_unknown_workspace_is_not_found(self, store: TrackingStore) -> None:
        """Nothing is created behind the caller's back."""
        _refused(NotFound, lambda: store.ensure_experiment("never-made", _fresh("exp")))

    def test_an_experiment_of_one_name_keeps_its_id(self, store: TrackingStore) -> None:
        """Tags may be added later."""
        store.ensure_workspace(WORKSPACE)
        name = _fresh("an experiment / with a slash")
        first = store.ensure_experiment(WORKSPACE, name, {"a": "1"})
        _equal(store.ensure_experiment(WORKSPACE, name, {"a": "2", "b": "3"}), first, "the id")
        _expect(store.ensure_experiment(WORKSPACE, _fresh("other")) != first, "another name is another experiment")

    def test_a_trial_reads_back_as_it_was_logged(self, store: TrackingStore) -> None:
        """Parameters as text, final metrics, the last value of each series, tags, status and times."""
        experiment_id = _experiment(store)
        run_id = store.log_trial(WORKSPACE, sample_trial(experiment_id))
        trial = store.get_trial(WORKSPACE, run_id)
        _equal((trial.run_id, trial.experiment_id, trial.key), (run_id, experiment_id, "trial-1"), "identity")
        _equal((trial.name, trial.status), ("lightgbm 1", "succeeded"), "name and status")
        _equal(trial.params, {"num_leaves": "31", "boosting": "gbdt"}, "params")
        _equal(trial.metrics, {"roc_auc": 0.84, "fit_seconds": 1.25, "logloss": 0.45}, "metrics")
        _equal(trial.tags, {"arkwright.learner": "lightgbm"}, "tags")
        _equal((trial.started_at, trial.ended_at), (_STARTED, _STARTED + timedelta(seconds=1.5)), "times")
        _equal(store.metric_series(WORKSPACE, run_id, "logloss"), (0.6, 0.5, 0.45), "series")
        _equal(store.metric_series(WORKSPACE, run_id, "roc_auc"), (0.84,), "a final value is a series of one")
        _equal(store.metric_series(WORKSPACE, run_id, "never"), (), "a metric never logged")

    def test_a_key_logged_twice_is_one_run(self, store: TrackingStore) -> None:
        """A retried step doubles nothing, and does not rewrite a trial that ended."""
        experiment_id = _experiment(store)
        first = store.log_trial(WORKSPACE, sample_trial(experiment_id))
        again = store.log_trial(WORKSPACE, sample_trial(experiment_id, metrics={"roc_auc": 0.1}))
        _equal(again, first, "the run")
        _equal(len(store.list_trials(WORKSPACE, experiment_id)), 1, "number of runs")
        _equal(store.get_trial(WORKSPACE, first).metrics["roc_auc"], 0.84, "the first value stays")
        elsewhere = store.log_trial(WORKSPACE, sample_trial(_experiment(store)))
        _expect(elsewhere != first, "the same key in another experiment is another run")

    def test_a_trial_that_was_cut_short_is_completed(self, store: TrackingStore) -> None:
        """Logging the key again writes what is missing."""
        experiment_id = _experiment(store)
        running = sample_trial(experiment_id, status="running", ended_at=None, params={}, metrics={})
        first = store.log_trial(WORKSPACE, running)
        _equal(store.get_trial(WORKSPACE, first).status, "running", "status before")
        _equal(store.get_trial(WORKSPACE, first).ended_at, None, "end before")
        _equal(store.log_trial(WORKSPACE, sample_trial(experiment_id)), first, "the run")
        trial = store.get_trial(WORKSPACE, first)
        _equal((trial.status, trial.params["boosting"]), ("succeeded", "gbdt"), "completed")
        _equal(store.metric_series(WORKSPACE, first, "logloss"), (0.6, 0.5, 0.45), "no step is doubled")

    def test_a_trial_has_room_for_many_values(self, store: TrackingStore) -> None:
        """More parameters and metrics than one request of any server takes."""
        experiment_id = _experiment(store)
        params = {f"p{i}": i for i in range(150)}
        metrics = {f"m{i}": float(i) for i in range(200)}
        series = {"loss": tuple(float(i) for i in range(1200))}
        record = sample_trial(experiment_id, params=params, metrics=metrics, series=series)
        run_id = store.log_trial(WORKSPACE, record)
        trial = store.get_trial(WORKSPACE, run_id)
        _equal((len(trial.params), len(trial.metrics)), (150, 201), "numbers of params and metrics")
        _equal(store.metric_series(WORKSPACE, run_id, "loss"), series["loss"], "series")

    def test_names_and_values_from_data_cost_no_trial(self, store: TrackingStore) -> None:
        """A column's name, an endless text, NaN and infinity are made to fit."""
        experiment_id = _experiment(store)
        odd = ["price in $", "a//b", "../up", "", "ü", "x" * 400, "tab\there", 'quote"d', "back`tick"]
        record = sample_trial(
            experiment_id,
            params=dict.fromkeys(odd, "y" * 9000),
            metrics={f"m/{name}": 0.5 for name in odd} | {"nan": math.nan, "inf": math.inf},
            tags=dict.fromkeys(odd, "z\x00" * 9000) | {"quote": "it's"},
        )
        run_id = store.log_trial(WORKSPACE, record)
        trial = store.get_trial(WORKSPACE, run_id)
        _equal((len(trial.params), len(trial.metrics)), (9, 9 + 2 + 1), "numbers of params and metrics")
        _expect(math.isnan(trial.metrics["nan"]), "NaN stays NaN")
        _expect(trial.metrics["inf"] > 1e308, "infinity becomes the largest number")
        _equal(store.metric_series(WORKSPACE, run_id, "m/price in $"), (0.5,), "found by its own name")
        _equal(len(store.list_trials(WORKSPACE, experiment_id, tags={"quote": "it's"})), 1, "found by a quoted tag")

    def test_an_update_changes_a_run_and_refuses_an_unknown_one(self, store: TrackingStore) -> None:
        """Status, metrics and tags can be added to later."""
        running = sample_trial(_experiment(store), status="running", ended_at=None)
        run_id = store.log_trial(WORKSPACE, running)
        ended = _STARTED + timedelta(seconds=9)
        values, best = {"auc": 0.9, "fit_seconds": 2.0}, {"arkwright.best": "yes"}
        store.update_trial(WORKSPACE, run_id, status="cancelled", ended_at=ended, metrics=values, tags=best)
        trial = store.get_trial(WORKSPACE, run_id)
        _equal((trial.status, trial.ended_at), ("cancelled", ended), "status and end")
        _equal((trial.metrics["auc"], trial.metrics["roc_auc"]), (0.9, 0.84), "metrics")
        _equal(trial.metrics["fit_seconds"], 2.0, "a metric given again")
        _equal(trial.tags, {"arkwright.learner": "lightgbm", "arkwright.best": "yes"}, "tags")
        _refused(NotFound, lambda: store.update_trial(WORKSPACE, "0" * 32, status="failed"))
        _refused(NotFound, lambda: store.get_trial(WORKSPACE, "0" * 32))

    def test_trials_are_listed_by_start_or_best_first(self, store: TrackingStore) -> None:
        """Trials without the metric, or with NaN, come last; tags narrow the list; a limit cuts it."""
        experiment_id = _experiment(store)
        for number, score in enumerate([0.7, None, 0.9, math.nan, 0.8]):
            store.log_trial(
                WORKSPACE,
                sample_trial(
                    experiment_id,
                    f"t{number}",
                    metrics={} if score is None else {"score": score},
                    tags={"parity": "even" if number % 2 == 0 else "odd"},
                    started_at=_STARTED + timedelta(seconds=number),
                    ended_at=_STARTED + timedelta(minutes=1),
                ),
            )

        def keys(**query: Any) -> list[str]:
            return [trial.key for trial in store.list_trials(WORKSPACE, experiment_id, **query)]

        _equal(keys(), ["t0", "t1", "t2", "t3", "t4"], "by start")
        _equal(keys(order_by_metric="score"), ["t2", "t4", "t0", "t3", "t1"], "best first")
        _equal(keys(order_by_metric="score", ascending=True)[:3], ["t0", "t4", "t2"], "smallest first")
        _equal(keys(tags={"parity": "odd"}), ["t1", "t3"], "by tag")
        _equal(keys(order_by_metric="score", limit=2), ["t2", "t4"], "limited")

    def test_a_trial_may_lie_under_another(self, store: TrackingStore) -> None:
        """The parent is kept."""
        experiment_id = _experiment(store)
        parent = store.log_trial(WORKSPACE, sample_trial(experiment_id, "parent"))
        child = store.log_trial(WORKSPACE, sample_trial(experiment_id, "child", parent_run_id=parent))
        _equal(store.get_trial(WORKSPACE, child).parent_run_id, parent, "parent")

    def test_one_workspace_does_not_see_another(self, store: TrackingStore) -> None:
        """Neither trials nor models."""
        store.ensure_workspace("conformance-b")
        experiment_id = _experiment(store)
        run_id = store.log_trial(WORKSPACE, sample_trial(experiment_id))
        _refused(NotFound, lambda: store.get_trial("conformance-b", run_id))
        _equal(store.list_trials("conformance-b", experiment_id), [], "trials of the other workspace")

    def test_a_bundle_published_twice_is_one_version(self, store: TrackingStore, tmp_path: Path) -> None:
        """The digest decides; another digest is the next version; names count for themselves."""
        run_id = store.log_trial(WORKSPACE, sample_trial(_experiment(store)))
        name, other = _fresh("churn 100% it's"), _fresh("churn")
        publication = sample_publication(run_id, tmp_path, name=name)
        first = store.publish_model(WORKSPACE, publication)
        _equal((first.name, first.mlflow_version, first.run_id), (name, 1, run_id), "the version")
        _equal(first.source, f"models:/{first.model_id}", "the source")
        _equal(store.publish_model(WORKSPACE, publication), first, "published again")
        second = store.publish_model(
            WORKSPACE, sample_publication(run_id, tmp_path, content="second", name=name, semver="1.0.1")
        )
        _equal(second.mlflow_version, 2, "the next version")
        elsewhere = store.publish_model(WORKSPACE, sample_publication(run_id, tmp_path, name=other))
        _equal((elsewhere.name, elsewhere.mlflow_version), (other, 1), "the same bundle under another name")

    def test_a_published_model_s_files_can_be_fetched(self, store: TrackingStore, tmp_path: Path) -> None:
        """By number and by alias, within a limit; what is not there is not found."""
        run_id = store.log_trial(WORKSPACE, sample_trial(_experiment(store)))
        name = _fresh("fetched")
        store.publish_model(WORKSPACE, sample_publication(run_id, tmp_path, name=name))
        store.set_alias(WORKSPACE, name, "champion", 1)
        for number, uri in enumerate((f"models:/{name}/1", f"models:/{name}@champion")):
            folder = tmp_path / f"fetched-{number}"
            folder.mkdir()
            fetched = store.fetch_model(WORKSPACE, uri, folder, limit_bytes=1_000_000)
            _equal(fetched.run_id, run_id, "the run that made it")
            _equal((folder / "MLmodel").is_file(), True, "an MLmodel file")
            _equal(fetched.n_files, len([path for path in folder.rglob("*") if path.is_file()]), "the files")
        empty = tmp_path / "nothing"
        empty.mkdir()
        for unknown in (f"models:/{name}/2", f"models:/{name}@nobody", f"runs:/{run_id}/nothing", "runs:/0/model"):
            _refused(NotFound, partial(store.fetch_model, WORKSPACE, unknown, empty, limit_bytes=1_000_000))
        for wrong in ("models:/", "runs:/", f"runs:/{run_id}/../x", "s3://bucket/model", f"models:/{name}"):
            _refused(Invalid, partial(store.fetch_model, WORKSPACE, wrong, empty, limit_bytes=1_000_000))

    def test_what_cannot_be_published_is_refused(self, store: TrackingStore, tmp_path: Path) -> None:
        """An unknown run, and a folder without files."""
        run_id = store.log_trial(WORKSPACE, sample_trial(_experiment(store)))
        name = _fresh("churn")
        _refused(NotFound, lambda: store.publish_model(WORKSPACE, sample_publication("0" * 32, tmp_path, name=name)))
        empty = tmp_path / "empty"
        empty.mkdir()
        publication = sample_publication(run_id, tmp_path, name=name, bundle=empty)
        _refused(Invalid, lambda: store.publish_model(WORKSPACE, publication))
        _refused(NotFound, lambda: store.aliases(WORKSPACE, name))

    def test_an_alias_points_at_one_version_and_moves(self, store: TrackingStore, tmp_path: Path) -> None:
        """Deleting one that is not there changes nothing; an unknown version is refused."""
        run_id = store.log_trial(WORKSPACE, sample_trial(_experiment(store)))
        name = _fresh("churn")
        for content in ("first", "second"):
            store.publish_model(WORKSPACE, sample_publication(run_id, tmp_path, content=content, name=name))
        store.set_alias(WORKSPACE, name, "champion", 1)
        store.set_alias(WORKSPACE, name, "challenger", 2)
        _equal(store.aliases(WORKSPACE, name), {"champion": 1, "challenger": 2}, "aliases")
        store.set_alias(WORKSPACE, name, "champion", 2)
        store.delete_alias(WORKSPACE, name, "challenger")
        store.delete_alias(WORKSPACE, name, "challenger")
        _equal(store.aliases(WORKSPACE, name), {"champion": 2}, "aliases after the move")
        _refused(NotFound, lambda: store.set_alias(WORKSPACE, name, "champion", 3))
        _refused(NotFound, lambda: store.delete_alias(WORKSPACE, _fresh("never"), "champion"))


def _experiment(store: TrackingStore) -> str:
    store.ensure_workspace(WORKSPACE)
    return store.ensure_experiment(WORKSPACE, _fresh("exp"))


def _fresh(name: str) -> str:
    return f"{name} {uuid.uuid4().hex[:12]}"


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(f"expected: {what}")


def _equal(actual: object, expected: object, what: str) -> None:
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def _refused(error: type[ArkwrightError], action: Callable[[], object]) -> None:
    try:
        answer = action()
    except error:
        return
    raise AssertionError(f"expected {error.__name__}, got the answer {answer!r}")
