"""Blocks of neighbouring steps: how they are drawn, how long they are, and how often their intervals hold the truth."""

import numpy as np
import pytest

from arkwright.evaluation.block_bootstrap import (
    block_interval,
    block_length,
    block_weights,
    dependent_steps,
    memory_of,
)
from arkwright.evaluation.paired_tests import diebold_mariano_test


def remembering(n_steps, memory, rng):
    """Return numbers of spread one, each of which keeps a share of the one before."""
    values = np.zeros(n_steps + 100)
    for step in range(1, values.size):
        values[step] = memory * values[step - 1] + rng.normal()
    return values[100:] * np.sqrt(1 - memory**2)


@pytest.mark.parametrize(("n_steps", "length"), [(12, 3), (10, 4), (7, 7), (5, 1)])
def test_blocks_of_steps_draw_neighbours_and_every_step_equally_often(n_steps, length):
    weights = np.concatenate(list(block_weights(n_steps, length, 4_000, seed=0)))
    assert weights.shape == (4_000, n_steps)
    assert (weights.sum(axis=1) == n_steps).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.1)
    # A block of several steps raises its neighbours together.
    together = np.corrcoef(weights[:, 0], weights[:, 1])[0, 1] if length < n_steps else 1.0
    assert (together > 0.2) == (length > 1)


def test_blocks_do_not_depend_on_how_many_resamples_are_drawn_at_once(monkeypatch):
    together = np.concatenate(list(block_weights(30, 4, 50, seed=3)))
    monkeypatch.setattr("arkwright.evaluation.block_bootstrap._MOST_STEPS_AT_ONCE", 100)
    np.testing.assert_array_equal(together, np.concatenate(list(block_weights(30, 4, 50, seed=3))))


@pytest.mark.parametrize(("n_steps", "horizon", "length"), [(1, 1, 1), (8, 1, 2), (1_000, 1, 10), (10, 24, 10)])
def test_a_block_is_the_cube_root_of_the_steps_long_and_never_shorter_than_the_horizon(n_steps, horizon, length):
    assert block_length(n_steps, horizon) == length


def test_what_remembers_longer_needs_longer_blocks():
    rng = np.random.default_rng(0)
    lengths = [np.mean([memory_of(remembering(400, memory, rng)) for _ in range(20)]) for memory in (0.0, 0.5, 0.9)]
    assert lengths[0] < 4 < lengths[1] < lengths[2] < 60


@pytest.mark.parametrize("values", [np.empty(0), np.ones(1), np.full(50, 3.0), np.array([1.0, 2.0])])
def test_numbers_that_do_not_vary_or_are_too_few_remember_nothing(values):
    assert memory_of(values) == 1


@pytest.mark.parametrize(("memory", "n_steps"), [(0.0, 24), (0.5, 50), (0.8, 300)])
def test_the_interval_of_a_mean_error_holds_the_true_one_about_as_often_as_it_says(memory, n_steps):
    rng = np.random.default_rng(1)
    held = []
    for _ in range(120):
        errors = np.abs(remembering(n_steps, memory, rng))
        length = block_length(n_steps, values=errors)
        drawn = np.concatenate([weights @ errors / n_steps for weights in block_weights(n_steps, length, 400, seed=0)])
        found = block_interval(errors.mean(), drawn, n_steps=n_steps, length=length)
        held.append(found.low <= np.sqrt(2 / np.pi) <= found.high)
    assert np.mean(held) >= 0.85


def test_errors_that_remember_do_not_make_equal_forecasts_differ():
    rng = np.random.default_rng(2)
    as_published, with_memory = [], []
    for _ in range(150):
        before, after = (np.abs(remembering(100, 0.8, rng)) for _ in range(2))
        as_published.append(diebold_mariano_test(before, after).p_value < 0.05)
        own = dependent_steps(before, after)
        with_memory.append(diebold_mariano_test(before, after, horizon=own).p_value < 0.05)
    assert np.mean(as_published) > 0.2
    assert np.mean(with_memory) < 0.12


@pytest.mark.parametrize(
    ("value", "replicates", "reason"),
    [
        (np.nan, np.ones(3), "the metric is not defined on these rows"),
        (1.0, np.full(3, np.nan), "the metric is not defined on any resample"),
    ],
)
def test_a_number_without_an_interval_says_why(value, replicates, reason):
    found = block_interval(value, replicates, n_steps=20, length=3)
    assert (found.low, found.reason) == (None, reason)
