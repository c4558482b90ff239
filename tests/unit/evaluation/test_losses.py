"""What a row loses, what the model expects it to, and what a trivial answer would."""

import math

import numpy as np
import pytest

from arkwright.evaluation.losses import Loss, expected_losses, row_losses, trivial_loss


def test_losses_by_row_average_to_the_metric():
    truth, scores = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    assert row_losses("error", truth, scores).tolist() == [0.0, 1.0, 0.0]
    assert row_losses("log_loss", truth, scores).mean() == pytest.approx(-np.log([0.9, 0.2, 0.7]).mean())
    assert row_losses("squared_error", np.array([1.0, 3.0]), np.array([2.0, 1.0])).tolist() == [1.0, 4.0]


def test_what_a_model_expects_is_what_it_would_lose_were_it_right():
    scores = np.array([[0.7, 0.3], [1.0, 0.0], [0.5, 0.5]])
    entropy = [-(0.7 * np.log(0.7) + 0.3 * np.log(0.3)), 0.0, np.log(2)]
    assert expected_losses("log_loss", scores) == pytest.approx(entropy, abs=1e-9)
    assert expected_losses("error", scores) == pytest.approx([0.3, 0.0, 0.5])
    assert expected_losses("squared_error", np.array([1.0])) is None
    assert trivial_loss("error", np.array([0, 0, 1])) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("loss", "truth"),
    [("log_loss", np.ones(3, dtype=int)), ("error", np.ones(3, dtype=int)), ("squared_error", np.full(3, 0.1))],
    ids=["log_loss", "error", "squared_error"],
)
def test_the_constant_answer_to_a_constant_truth_loses_exactly_nothing(loss: Loss, truth):
    found = trivial_loss(loss, truth)
    assert (found, math.copysign(1.0, found)) == (0.0, 1.0)
