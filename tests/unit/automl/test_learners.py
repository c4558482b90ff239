"""What each learner trains is what the bundle's evaluator serves."""

import numpy as np
import pytest

from arkwright.automl.learners import LEARNERS, EncodedRows, Question, load_learner


def rows(task, n=300, seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    X = np.column_stack((rng.normal(size=(n, 3)), rng.integers(0, 4, n)))
    signal = X[:, 0] - 0.5 * X[:, 1] + (X[:, 3] == 2)
    if task == "regression":
        y = signal + 0.1 * rng.normal(size=n)
    elif task == "binary":
        y = (signal + 0.3 * rng.normal(size=n) > 0).astype(float)
    else:
        y = np.digitize(signal, np.quantile(signal, np.arange(1, n_classes) / n_classes)).astype(float)
    return EncodedRows(X, y, categorical=(3,))


def question(task):
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task]
    return Question(task=task, n_classes={"binary": 2, "multiclass": 3, "regression": 0}[task], metric=metric, seed=1)


TASKS = ("binary", "multiclass", "regression")


def never():
    return False


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", LEARNERS)
def test_the_evaluator_answers_what_the_training_library_answered(name, task):
    train, fresh = rows(task), rows(task, seed=9)
    model = load_learner(name).fit(train, question(task), {}, validation=fresh, stop=never)
    evaluator = model.evaluator()
    scores = model.scores(fresh.X)
    assert scores.shape == (300, question(task).n_outputs)
    np.testing.assert_allclose(evaluator.scores_matrix(fresh.X), scores, atol=evaluator.tolerance, rtol=0)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_arguments_give_the_same_model_to_the_last_bit(name, task):
    params = {"bagging_fraction": 0.7, "bagging_freq": 1, "feature_fraction": 0.6} if name == "lightgbm" else {}

    def fit():
        model = load_learner(name).fit(rows(task), question(task), params, validation=rows(task, seed=9), stop=never)
        return model.evaluator().scores_matrix(rows(task).X), model.rounds

    (first, first_rounds), (second, second_rounds) = fit(), fit()
    np.testing.assert_array_equal(first, second)
    assert first_rounds == second_rounds


@pytest.mark.parametrize("name", ["linear", "lightgbm"])
@pytest.mark.parametrize("present", [(0.0, 2.0), (0.0, 1.0)])
def test_a_class_that_the_training_rows_lack_gets_next_to_no_probability(name, present):
    full = rows("multiclass")
    kept = np.isin(full.y, present)
    some = EncodedRows(full.X[kept], full.y[kept], categorical=(3,))
    model = load_learner(name).fit(some, question("multiclass"), {}, rounds=5, stop=never)
    absent = ({0, 1, 2} - {int(code) for code in present}).pop()
    evaluator = model.evaluator()
    assert model.scores(full.X)[:, absent].max() < 0.01
    np.testing.assert_allclose(evaluator.scores_matrix(full.X), model.scores(full.X), atol=1e-12)


def test_boosting_ends_at_its_best_round_and_stops_when_asked():
    train, fresh = rows("binary"), rows("binary", seed=9)
    learner = load_learner("lightgbm")
    full = learner.fit(train, question("binary"), {"patience": 5}, validation=fresh, stop=never)
    assert 1 <= full.rounds < 3000
    assert not full.stopped
    polls = iter([False, False, True])
    cut = learner.fit(train, question("binary"), {}, validation=fresh, stop=lambda: next(polls))
    assert cut.stopped
    assert cut.rounds <= 3


def test_a_refit_trains_for_the_rounds_it_is_given():
    model = load_learner("lightgbm").fit(rows("regression"), question("regression"), {}, rounds=7, stop=never)
    assert model.rounds == 7


def test_binned_rows_are_kept_for_the_next_candidate_and_change_nothing(tmp_path, monkeypatch):
    from arkwright.automl.learners import boosting

    monkeypatch.setattr(boosting, "_CACHE_CELLS", 1)
    train, fresh = rows("binary"), rows("binary", seed=9)
    cached = EncodedRows(train.X, train.y, categorical=(3,), cache=tmp_path)

    def scores(given):
        return load_learner("lightgbm").fit(given, question("binary"), {}, validation=fresh, stop=never).scores(fresh.X)

    plain, first = scores(train), scores(cached)
    assert (tmp_path / "lightgbm.bin").exists()
    second = scores(cached)
    np.testing.assert_array_equal(plain, first)
    np.testing.assert_array_equal(plain, second)


def test_row_weights_shift_the_trivial_model():
    train = EncodedRows(np.zeros((4, 1)), np.array([0.0, 0.0, 0.0, 1.0]), weight=np.array([1.0, 1.0, 1.0, 3.0]))
    assert load_learner("constant").fit(train, question("binary"), {}, stop=never).scores(train.X)[0, 0] == 0.5
