"""The arithmetic of a hard budget."""

from hypothesis import assume, given
from hypothesis import strategies as st

from arkwright.automl.budget import Budget, Deadline, fold_seconds_allowed, refit_seconds


def test_a_budget_is_never_overdrawn():
    budget = Budget(total_seconds=10.0).spend(4.0).spend(-1.0).spend(20.0)
    assert budget.spent_seconds == 24.0
    assert budget.remaining_seconds == 0.0


def test_a_deadline_is_a_moment_on_the_clock_it_was_given():
    now = 5.0
    deadline = Deadline.after(10.0, lambda: now)
    assert (deadline.ends_at, deadline.remaining_seconds, deadline.expired) == (15.0, 10.0, False)
    now = 20.0
    assert (deadline.remaining_seconds, deadline.expired) == (0.0, True)
    assert deadline.earlier_by(3.0).ends_at == 12.0


@given(
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.integers(2, 10),
    st.integers(1, 16),
)
def test_folds_that_use_all_they_may_leave_time_for_the_refit(search_seconds, total_seconds, n_folds, n_workers):
    assume(search_seconds <= total_seconds)
    allowed = fold_seconds_allowed(search_seconds, total_seconds, n_folds=n_folds, n_workers=n_workers)
    rounds = -(-n_folds // n_workers)
    assert rounds * allowed <= search_seconds + 1e-9
    if allowed:
        assert rounds * allowed + refit_seconds(allowed, n_folds) <= total_seconds + 1e-9
