"""Permutation importance finds what the model uses."""

import numpy as np

from arkwright.evaluation.importance import permutation_importance


def linear_case(n=500):
    rng = np.random.default_rng(0)
    columns = {"strong": rng.normal(size=n), "weak": rng.normal(size=n), "unused": rng.normal(size=n)}
    truth = 3 * columns["strong"] + columns["weak"]

    def predict(given):
        return (3 * given["strong"] + given["weak"])[:, None]

    def squared_error(scores, rows):
        return float(np.mean((truth[rows] - scores[:, 0]) ** 2))

    return columns, predict, squared_error


def test_columns_are_ranked_by_how_much_the_model_relies_on_them():
    columns, predict, error = linear_case()
    found = permutation_importance(predict, error, columns, list(columns), direction="minimize", seed=0)
    assert [item.name for item in found] == ["strong", "weak", "unused"]
    assert found[0].mean > 5 * found[1].mean > 0
    assert (found[2].mean, found[2].std) == (0.0, 0.0)


def test_the_sign_follows_the_metric_direction():
    columns, predict, error = linear_case()
    found = permutation_importance(
        predict, lambda s, r: -error(s, r), columns, ["strong"], direction="maximize", seed=0
    )
    assert found[0].mean > 0


def test_the_same_seed_gives_the_same_numbers():
    columns, predict, error = linear_case()

    def run(seed):
        return permutation_importance(
            predict, error, columns, ["strong", "weak"], direction="minimize", seed=seed, max_rows=100
        )

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_columns_measured_before_the_stop_are_returned():
    columns, predict, error = linear_case()
    answers = iter([False, True])
    found = permutation_importance(
        predict, error, columns, list(columns), direction="minimize", seed=0, should_stop=lambda: next(answers)
    )
    assert [item.name for item in found] == ["strong"]
