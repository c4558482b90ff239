"""What the leaderboard says."""

from arkwright.automl.leaderboard import make_leaderboard, recommendation
from arkwright.automl.search import Trial
from arkwright.automl.training import Candidate


def trial(name, score, learner="lightgbm", **changes):
    status = "succeeded" if score is not None else "failed"
    return Trial(
        **{
            "candidate": Candidate(name=name, learner=learner),
            "status": status,
            "score": score,
            "score_std": 0.01 if score is not None else None,
            **changes,
        }
    )


TRIALS = [
    trial("baseline", 0.5, "constant", score_std=0.0),
    trial("logistic", 0.80, "linear"),
    trial("broken", None, error="ValueError: bad"),
    trial("boosted", 0.85),
    trial("late", None, status="skipped"),
]


def say(chosen, trials=TRIALS, metric="roc_auc", task="binary", **options):
    return recommendation(trials, chosen, metric=metric, task=task, target="churn", **options)


def test_scored_trials_come_first_and_best_first():
    board = make_leaderboard(TRIALS, "maximize")
    assert [(entry.rank, entry.name) for entry in board] == [
        (1, "boosted"),
        (2, "logistic"),
        (3, "baseline"),
        (None, "broken"),
        (None, "late"),
    ]
    assert board[3].note == "ValueError: bad"
    assert board[4].note == "there was no time left for it"


def test_for_an_error_the_smallest_is_best_and_equals_keep_their_order():
    board = make_leaderboard([trial("a", 2.0), trial("b", 1.0), trial("c", 1.0)], "minimize")
    assert [entry.name for entry in board] == ["b", "c", "a"]


def test_the_recommendation_names_the_model_the_baseline_and_the_runner_up():
    text = say(TRIALS[3])
    assert "boosted, gradient-boosted decision trees" in text
    assert "0.85" in text
    assert "Always answering by class frequency reaches 0.5" in text
    assert "The next best is logistic with 0.8." in text
    assert "3 of 5 candidates were compared (1 failed, 1 found no time)." in text


def test_a_close_runner_up_is_called_practically_as_good():
    trials = [TRIALS[0], trial("one", 0.851), trial("two", 0.850)]
    assert "two, is practically as good" in say(trials[1], trials)


def test_when_nothing_beats_the_baseline_the_text_warns():
    trials = [TRIALS[0], trial("worse", 0.48)]
    assert "Do not use it" in say(trials[0], trials)


def test_columns_are_not_blamed_where_there_was_no_time_to_look_at_them():
    trials = [TRIALS[0], trial("late", None, status="skipped")]
    text = say(trials[0], trials)
    assert "give a larger budget" in text
    assert "say nothing" not in text


def test_a_winner_that_could_not_be_packaged_is_mentioned():
    assert "boosted scored better but could not be packaged" in say(TRIALS[1])


def test_a_regression_says_how_much_smaller_the_error_is():
    trials = [trial("baseline", 10.0, "constant"), trial("ridge", 5.0, "linear")]
    text = say(trials[1], trials, metric="rmse", task="regression")
    assert "Always answering the mean reaches 10, so the error is 50 % smaller." in text
    assert "less is better" in text


def test_a_cancelled_search_says_so():
    assert say(TRIALS[3], cancelled=True).endswith("because the search was cancelled early.")
