"""What one process does: no fold's encoder sees the rows it is judged on."""

import numpy as np
import pytest

from arkwright.automl.problem import Problem, ProblemFolder, balanced_weights
from arkwright.automl.training import Candidate, encoded_fold, score_constant, train_fold
from arkwright.automl.worker import Task, run_task
from arkwright.contracts import Column
from tests.unit.automl.problems import make_problem


@pytest.mark.parametrize("layout", ["tree", "linear"])
def test_an_encoder_knows_only_the_levels_of_its_training_part(tmp_path, layout):
    folds = np.array([0, 0, 1, 1, -1, 0, 1, -1], dtype=np.int8)
    column = np.array(["only0", "a", "only1", "a", "only-holdout", "only0", "only1", "a"], dtype=object)
    problem = Problem(
        task="regression",
        n_classes=0,
        columns=(Column(name="c", kind="categorical"),),
        metric="rmse",
        direction="minimize",
        n_folds=2,
        seed=0,
    )
    folder = ProblemFolder(tmp_path)
    folder.write(problem, {"c": column}, np.arange(8.0), folds)
    train, validation, _ = encoded_fold(folder, problem, 0, layout)
    unseen = validation.X[[0, 2]]  # "only0" does not occur in the rows of fold 1
    assert np.isnan(unseen).all() if layout == "tree" else (unseen == 0).all()
    assert train.X.shape[0] == 3
    assert train.y.tolist() == [2.0, 3.0, 6.0]
    assert validation.y.tolist() == [0.0, 1.0, 5.0]


def test_the_second_candidate_finds_the_fold_encoded(tmp_path):
    folder = make_problem(tmp_path)
    problem = folder.problem()
    first, _, seconds = encoded_fold(folder, problem, 0, "tree")
    again, _, remembered = encoded_fold(folder, problem, 0, "tree")
    np.testing.assert_array_equal(first.X, again.X)
    assert seconds == remembered


def test_the_trivial_model_scores_one_half_by_area(tmp_path):
    assert score_constant(make_problem(tmp_path), "baseline", 0).score == 0.5


def test_a_task_gives_json(tmp_path):
    folder = make_problem(tmp_path, "regression")
    candidate = Candidate(name="ridge", learner="linear")
    fold = run_task(Task(id=1, do="fold", folder=str(tmp_path), candidate=candidate, fold=1), lambda: False)
    assert fold["score"] == train_fold(folder, candidate, 1, lambda: False).score
    refitted = run_task(Task(id=2, do="refit", folder=str(tmp_path), candidate=candidate, rounds=1), lambda: False)
    assert refitted == {"rounds": 1, "stopped": False}


def test_balanced_weights_give_every_class_the_same_total():
    y = np.array([0.0] * 30 + [1.0] * 9 + [2.0])
    weights = balanced_weights(y, 4)
    totals = [weights[y == code].sum() for code in range(3)]
    assert totals == pytest.approx([40 / 3] * 3)
