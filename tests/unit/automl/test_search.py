"""The search over real training processes: scores, deadlines, cancellation, crashes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from arkwright.automl.budget import Deadline
from arkwright.automl.pool import Outcome, WorkerPool
from arkwright.automl.refit import RefitFailed, has_stand_in, read_final_model, refit_trial
from arkwright.automl.search import Search, Trial, best_of, run_search
from arkwright.automl.training import Candidate, train_fold
from arkwright.automl.worker import Task
from arkwright.bundles import Predictor, measure_parity
from arkwright.contracts import Signature
from tests.unit.automl.problems import SPEC, make_problem

BASELINE = Candidate(name="baseline", learner="constant")
LINEAR = Candidate(name="linear", learner="linear")
BOOSTED = Candidate(
    name="boosted",
    learner="lightgbm",
    params={"learning_rate": 0.1, "num_leaves": 7, "min_data_in_leaf": 5, "bagging_fraction": 0.8, "bagging_freq": 1},
)
# Takes minutes on the rows it is given here.
ENDLESS = Candidate(
    name="endless",
    learner="lightgbm",
    params={"learning_rate": 1e-3, "patience": 10**9, "num_leaves": 1000, "min_data_in_leaf": 1},
)
MANY_ROWS = 20_000
BROKEN = Candidate(name="broken", learner="lightgbm", params={"num_leaves": -3})


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(2) as made:
        made.wait_until_ready()
        yield made


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_candidate_is_scored_on_every_fold_and_beats_the_trivial_model(tmp_path, pool, task):
    search = Search(make_problem(tmp_path, task), pool)
    reports = []
    trials = run_search(search, [BASELINE, LINEAR, BOOSTED], progress=reports.append)
    assert [trial.status for trial in trials] == ["succeeded"] * 3
    assert all(len(trial.fold_scores) == 3 for trial in trials)
    best = best_of(trials, search.problem.direction)
    assert best.name != "baseline"
    assert reports[-1].best == best.name
    assert {report.trial for report in reports} == {"baseline", "linear", "boosted"}


def test_out_of_fold_scores_cover_the_training_rows_and_never_the_holdout(tmp_path, pool):
    folder = make_problem(tmp_path)
    search = Search(folder, pool)
    search.evaluate(LINEAR)
    scores = search.out_of_fold("linear")
    assert np.isfinite(scores[folder.training_rows()]).all()
    assert np.isnan(scores[folder.holdout_rows()]).all()


def test_a_fixed_list_of_trials_gives_the_same_bits_however_many_processes_work(tmp_path, pool):
    in_pool = Search(make_problem(tmp_path / "pool"), pool)
    trials = run_search(in_pool, [LINEAR, BOOSTED])
    alone = make_problem(tmp_path / "alone")
    for trial in trials:
        folds = [train_fold(alone, trial.candidate, fold, lambda: False) for fold in (2, 0, 1)]
        by_fold = {result.fold: result.score for result in folds}
        assert trial.fold_scores == tuple(by_fold[fold] for fold in range(3))
        np.testing.assert_array_equal(in_pool.out_of_fold(trial.name), Search(alone, pool).out_of_fold(trial.name))


def test_a_candidate_that_fails_is_recorded_and_the_others_go_on(tmp_path, pool):
    trials = run_search(Search(make_problem(tmp_path), pool), [BASELINE, BROKEN, LINEAR])
    assert [trial.status for trial in trials] == ["succeeded", "failed", "succeeded"]
    assert "num_leaves" in trials[1].error
    assert best_of(trials, "maximize").name == "linear"


def test_a_deadline_cuts_training_short_and_still_leaves_a_score_and_a_refit(tmp_path, pool):
    folder = make_problem(tmp_path, n_rows=MANY_ROWS)
    search = Search(folder, pool)
    deadline = Deadline.after(4.0, time.monotonic)
    trial = search.evaluate(ENDLESS, deadline=deadline, reserve_seconds=search.reserve_seconds(None))
    assert (trial.status, trial.truncated) == ("succeeded", True)
    model = refit_trial(folder, pool, trial, deadline=deadline)
    assert time.monotonic() <= deadline.ends_at + 0.5
    encoder, evaluator, _ = read_final_model(folder, "endless")
    assert model.rounds >= 1
    assert evaluator.n_features == encoder.n_outputs


def test_no_time_means_skipped_except_for_the_trivial_model(tmp_path, pool):
    deadline = Deadline.after(0.0, time.monotonic)
    trials = run_search(Search(make_problem(tmp_path), pool), [BASELINE, LINEAR], deadline=deadline)
    assert [trial.status for trial in trials] == ["succeeded", "skipped"]


def test_cancelling_ends_the_candidate_and_keeps_what_was_done_before(tmp_path, pool):
    search = Search(make_problem(tmp_path, n_rows=MANY_ROWS), pool)
    polls = []

    def cancelled():
        polls.append(time.monotonic())
        return len(polls) > 1 and polls[-1] - polls[0] > 1.0

    trials = run_search(search, [BASELINE, ENDLESS, LINEAR], cancelled=cancelled)
    assert [trial.status for trial in trials] == ["succeeded", "stopped"]
    assert best_of(trials, "maximize").name == "baseline"


def test_a_process_that_is_killed_fails_its_candidate_and_is_replaced(tmp_path):
    folder = make_problem(tmp_path, n_rows=MANY_ROWS)
    with WorkerPool(1) as own:
        own.wait_until_ready()
        victim = own._workers[0]._process.pid
        killed = []

        def kill_once():
            if not killed:
                killed.append(os.kill(victim, signal.SIGKILL))
            return False

        tasks = [Task(id=0, do="fold", folder=str(folder.path), candidate=ENDLESS, fold=fold) for fold in (0,)]
        (outcome,) = own.run(tasks, cancelled=kill_once)
        assert "died (signal 9)" in outcome.error
        assert Search(folder, own).evaluate(LINEAR).status == "succeeded"


def test_an_interruption_leaves_no_process_training_behind(tmp_path):
    with WorkerPool(1) as own:
        own.wait_until_ready()

        polls = iter([False, False])

        def interrupted():
            try:
                return next(polls)
            except StopIteration:
                raise KeyboardInterrupt from None

        with pytest.raises(KeyboardInterrupt):
            Search(make_problem(tmp_path, n_rows=MANY_ROWS), own).evaluate(ENDLESS, cancelled=interrupted)
        assert not own._workers


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("candidate", [BASELINE, LINEAR, BOOSTED], ids=lambda candidate: candidate.name)
def test_the_refitted_model_serves_what_was_trained(tmp_path, pool, task, candidate):
    folder = make_problem(tmp_path, task)
    trial = Search(folder, pool).evaluate(candidate)
    model = refit_trial(folder, pool, trial)
    encoder, evaluator, library_scores = read_final_model(folder, candidate.name)
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}[task]
    predictor = Predictor(Signature(task=task, target="y", columns=SPEC, classes=classes), encoder, evaluator)
    assert measure_parity(predictor, folder.inputs(folder.holdout_rows()), library_scores).passed
    assert model.complete
    assert model.rounds == (trial.rounds if candidate is BOOSTED else model.rounds)


def test_without_time_for_the_refit_a_folds_model_stands_in(tmp_path, pool):
    folder = make_problem(tmp_path)
    trial = Search(folder, pool).evaluate(LINEAR)
    assert has_stand_in(folder, trial)
    model = refit_trial(folder, pool, trial, deadline=Deadline.after(0.0, time.monotonic))
    assert not model.complete
    assert "fold 1 stands in" in model.note
    _, _, scores = read_final_model(folder, "linear")
    assert scores.shape == (folder.holdout_rows().size, 1)


@pytest.mark.parametrize(("share", "expected"), [(0.1, "stands in"), (0.95, "training ended")])
def test_a_refit_that_is_cut_short_gives_way_to_a_finished_fold(tmp_path, pool, share, expected):
    folder = make_problem(tmp_path)
    trial = msgspec.structs.replace(Search(folder, pool).evaluate(BOOSTED), rounds=100)
    refit_trial(folder, pool, trial)

    class OutOfTime:
        def run(self, tasks, **_options):
            return [Outcome(tasks[0], {"rounds": int(share * 100), "stopped": True})]

    model = refit_trial(folder, OutOfTime(), trial)
    assert not model.complete
    assert expected in model.note
    assert f"{int(share * 100)} of 100 rounds" in model.note


def test_a_refit_without_any_model_says_so(tmp_path, pool):
    folder = make_problem(tmp_path)
    trial = Trial(candidate=LINEAR, status="succeeded", score=0.5)
    assert not has_stand_in(folder, trial)
    with pytest.raises(RefitFailed, match="linear could not be fitted"):
        refit_trial(folder, pool, trial, deadline=Deadline.after(0.0, time.monotonic))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_training_process_outlives_a_parent_that_is_killed():
    program = textwrap.dedent("""
        import sys, time
        from arkwright.automl.pool import WorkerPool
        pool = WorkerPool(2)
        pool.start()
        print(*[worker._process.pid for worker in pool._workers], flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ends_at = time.monotonic() + 20
    while any(_runs(pid) for pid in children) and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in children)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
