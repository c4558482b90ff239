"""Permutation importance finds what the model uses."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from arkwright.core.errors import Invalid
from arkwright.evaluation.importance import (
    ColumnGroup,
    association_matrix,
    correlated_groups,
    group_importance,
    permutation_importance,
)


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


def test_the_interval_is_student_s_over_the_repeats():
    columns, predict, error = linear_case()
    found = permutation_importance(predict, error, columns, ["strong"], direction="minimize", seed=0, n_repeats=6)[0]
    spread = found.std * np.sqrt(6 / 5) / np.sqrt(6)
    assert (found.low, found.high) == pytest.approx(t.interval(0.95, 5, found.mean, spread))
    once = permutation_importance(predict, error, columns, ["strong"], direction="minimize", seed=0, n_repeats=1)[0]
    assert (once.low, once.high) == (None, None)


def test_a_column_the_table_lacks_is_named():
    columns, predict, error = linear_case()
    with pytest.raises(Invalid, match="no column 'absent'"):
        permutation_importance(predict, error, columns, ["absent"], direction="minimize", seed=0)


def twins(n=600):
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    g = rng.choice(np.array(["low", "mid", "high"], dtype=object), n)
    level = np.array([{"low": 0.0, "mid": 5.0, "high": 10.0}[value] for value in g])
    return {
        "x": x,
        "alone": rng.normal(size=n),
        "twin": np.exp(x) + 0.01 * rng.normal(size=n),
        "grade": g,
        "same_grade": np.array([value.upper() for value in g], dtype=object),
        "points": level + rng.normal(size=n),
        "day": np.datetime64("2026-01-01", "us") + (x * 86_400e6).astype("timedelta64[us]"),
        "constant": np.ones(n),
    }


def test_columns_that_say_the_same_form_groups_whatever_their_kind():
    table = twins()
    groups = correlated_groups(table, list(table), seed=0)
    assert [group.names for group in groups] == [
        ("x", "twin", "day"),
        ("alone",),
        ("grade", "same_grade", "points"),
        ("constant",),
    ]
    assert all(group.association >= 0.7 for group in groups if len(group.names) > 1)


def test_twins_do_not_hide_each_other():
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    table = {"x": x, "twin": x.copy(), "lesser": rng.normal(size=800)}
    truth = x + 0.8 * table["lesser"]

    def predict(given):
        return (0.5 * given["x"] + 0.5 * given["twin"] + 0.8 * given["lesser"])[:, None]

    def error(scores, rows):
        return float(np.mean((truth[rows] - scores[:, 0]) ** 2))

    alone = permutation_importance(predict, error, table, list(table), direction="minimize", seed=0)
    assert alone[0].name == "lesser"
    groups = correlated_groups(table, list(table), seed=0)
    together = group_importance(predict, error, table, groups, direction="minimize", seed=0)
    assert [item.names for item in together] == [("x", "twin"), ("lesser",)]
    assert together[0].mean > 3 * max(member.mean for member in together[0].members)
    assert together[1].members[0].mean == together[1].mean
    assert msgspec.json.decode(msgspec.json.encode(together))


def test_groups_measured_before_the_stop_are_returned():
    columns, predict, error = linear_case()
    answers = iter([False, True])
    groups = [ColumnGroup(names=(name,)) for name in columns]
    found = group_importance(
        predict, error, columns, groups, direction="minimize", seed=0, should_stop=lambda: next(answers)
    )
    assert [item.names for item in found] == [("strong",)]


def test_associations_agree_with_scipy():
    from scipy.stats import kruskal, spearmanr
    from scipy.stats.contingency import association, crosstab

    table = twins()
    table["grade"][::3] = "mid"
    found = association_matrix(table, list(table), seed=0)
    names = list(table)
    assert np.array_equal(found, found.T)
    assert found[names.index("constant")].tolist() == [0.0] * 7 + [1.0]
    pair = names.index("x"), names.index("points")
    assert found[pair] == pytest.approx(abs(spearmanr(table["x"], table["points"]).statistic))
    plain = association(crosstab(table["grade"], table["same_grade"]).count, method="cramer")
    corrected = found[names.index("grade"), names.index("same_grade")]
    assert corrected == pytest.approx(plain, abs=0.01)
    assert corrected < plain
    # Kruskal & Wallis's H is (n - 1) times the ranks' share of variance between levels.
    levels = [table["points"][table["grade"] == level] for level in ("low", "mid", "high")]
    share = kruskal(*levels).statistic / 599
    epsilon = 1 - (1 - share) * 599 / (600 - 3)
    assert found[names.index("grade"), names.index("points")] == pytest.approx(np.sqrt(epsilon))


def test_an_identifier_tells_nothing_by_having_many_levels():
    rng = np.random.default_rng(0)
    table = {
        "id": np.array([f"row {index}" for index in range(400)], dtype=object),
        "g": rng.choice(np.array(["a", "b"], dtype=object), 400),
        "x": rng.normal(size=400),
    }
    found = association_matrix(table, list(table), seed=0)
    assert found[0, 1:].max() < 0.35


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_an_association_lies_between_nothing_and_all(n, seed):
    rng = np.random.default_rng(seed)
    table = {
        "x": np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, 4, n).astype(float)),
        "y": rng.normal(size=n),
        "g": rng.choice(np.array(["a", "b", None], dtype=object), n),
        "h": rng.choice(np.array(["c", "d"], dtype=object), n),
    }
    found = association_matrix(table, list(table), seed=0)
    assert ((found >= 0.0) & (found <= 1.0)).all()
    groups = correlated_groups(table, list(table), seed=0)
    assert sorted(name for group in groups for name in group.names) == sorted(table)


def test_one_column_is_a_group_and_none_is_none():
    assert [group.names for group in correlated_groups({"x": np.ones(3)}, ["x"], seed=0)] == [("x",)]
    assert correlated_groups({"x": np.ones(3)}, [], seed=0) == ()
