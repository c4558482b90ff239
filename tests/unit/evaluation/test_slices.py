"""The search for weak slices: what is planted is found, noise is not; another base rate is no weakness."""

import msgspec
import numpy as np
import pytest
from scipy import stats

from arkwright.core.errors import Invalid
from arkwright.evaluation.groups import binned
from arkwright.evaluation.losses import expected_losses, row_losses, trivial_loss
from arkwright.evaluation.slices import WeakSlices, find_weak_slices, smallest_slice

TEXTS = np.array(["a", "b", "c", "d", "e"], dtype=object)


def table(seed, n=2000, numbers=3, texts=3):
    rng = np.random.default_rng(seed)
    columns = {f"x{index}": rng.normal(size=n) for index in range(numbers)}
    columns |= {f"t{index}": TEXTS[rng.integers(0, 5, n)] for index in range(texts)}
    return columns, rng


def search(columns, losses, **options):
    return find_weak_slices(columns, losses, **({"seed": 0, "n_resamples": 200} | options))


def names(found):
    return [tuple(f"{part.column}={part.level}" for part in item.conditions) for item in found.slices]


def test_a_planted_slice_of_one_column_is_found_and_nothing_else():
    columns, rng = table(0)
    weak = columns["t1"] == "c"
    losses = rng.exponential(size=2000) + 0.6 * weak
    found = search(columns, losses)
    assert names(found) == [("t1=c",)]
    (item,) = found.slices
    assert item.n_rows == weak.sum()
    assert item.loss.value == pytest.approx(losses[weak].mean())
    assert item.rest == pytest.approx(losses[~weak].mean())
    assert item.loss.low < item.loss.value < item.loss.high
    theirs = stats.ttest_ind(losses[weak], losses[~weak], equal_var=False, alternative="greater")
    assert (item.statistic, item.p_value) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue))
    assert item.p_value < item.adjusted_p <= 0.05


def test_a_planted_pair_is_found_and_not_blamed_on_either_column_alone():
    columns, rng = table(1, n=6000)
    weak = (columns["t0"] == "a") & (columns["t2"] == "b")
    found = search(columns, rng.exponential(size=6000) + 1.5 * weak)
    assert names(found) == [("t0=a", "t2=b")]
    # Each of the two columns is significant as well, by containing the pair: dropped, and counted.
    assert found.n_significant >= 3


def test_a_pair_that_is_worse_than_its_weak_parent_is_reported_beside_it():
    columns, rng = table(2, n=6000)
    parent = columns["t0"] == "a"
    losses = rng.exponential(size=6000) + 0.8 * parent + 1.5 * (parent & (columns["t2"] == "b"))
    assert set(names(search(columns, losses))) == {("t0=a",), ("t0=a", "t2=b")}


def test_a_copy_of_a_column_is_not_reported_again():
    columns, rng = table(3)
    losses = rng.exponential(size=2000) + 0.8 * (columns["t1"] == "c")
    columns["copy"] = columns["t1"].copy()
    assert names(search(columns, losses)) == [("t1=c",)]


def test_a_range_of_a_number_and_missing_values_are_slices():
    columns, rng = table(4, n=4000)
    low, absent = columns["x0"] < np.quantile(columns["x0"], 0.2), np.arange(4000) % 9 == 0
    columns["x1"][absent] = np.nan
    losses = rng.exponential(size=4000) + 0.7 * low + 0.7 * absent
    found = names(search(columns, losses, depth=1))
    assert sorted(column.split("=")[0] for (column,) in found) == ["x0", "x1"]
    assert ("x1=(missing)",) in found
    assert any(name.startswith("x0=< ") for (name,) in found)


@pytest.mark.parametrize("kind", ["exponential", "error"])
def test_pure_noise_yields_a_finding_in_at_most_one_seed_in_ten(kind):
    # With nothing to find, the false discovery rate is the chance of any finding: at most 5 %.
    seeds_with_a_finding = 0
    for seed in range(60):
        columns, rng = table(seed, n=1000)
        losses = rng.exponential(size=1000) if kind == "exponential" else (rng.random(1000) < 0.1).astype(float)
        found = search(columns, losses, min_effect=0.0)
        assert found.n_tested > 100
        seeds_with_a_finding += found.n_significant > 0
    assert seeds_with_a_finding <= 6


def test_a_strong_finding_does_not_let_false_ones_in_on_its_credit():
    extra = 0
    for seed in range(20):
        columns, rng = table(seed, n=3000)
        weak = (columns["t0"] == "a") & (columns["t2"] == "b")
        found = names(search(columns, rng.exponential(size=3000) + 2.0 * weak, min_effect=0.0))
        assert found[0] == ("t0=a", "t2=b")
        extra += len(found) - 1
    assert extra <= 3


def test_a_difference_too_small_to_matter_is_not_reported():
    rng = np.random.default_rng(0)
    plan = np.repeat(["a", "b"], 100_000)
    losses = rng.normal(size=200_000) + 0.05 * (plan == "b")
    assert search({"plan": plan}, losses, depth=1).slices == ()
    assert len(search({"plan": plan}, losses, depth=1, min_effect=0.0).slices) == 1


def test_columns_that_cannot_be_sliced_are_named_with_the_reason():
    columns = {
        "constant": np.full(200, "x"),
        "empty": np.full(200, None),
        "no number": np.full(200, np.nan),
        "identifier": np.array([f"id{row}" for row in range(200)]),
    }
    found = search(columns, np.random.default_rng(0).random(200))
    assert found.left_out == {
        "constant": "it has the same value on every row",
        "empty": "every value is missing",
        "no number": "every value is missing",
        "identifier": "none of its 200 levels has 30 rows",
    }
    assert (found.n_tested, found.slices) == (0, ())
    assert found.reason


@pytest.mark.parametrize("n_rows", [0, 1, 59])
def test_too_few_rows_are_not_searched_and_the_reason_is_given(n_rows):
    found = search({"plan": np.array(["a", "b"] * 30)[:n_rows]}, np.arange(float(n_rows)))
    assert found.reason == f"a slice and its rest need 30 rows each, and there are {n_rows}"
    assert (found.overall is None) == (n_rows == 0)


def test_no_column_at_all_is_no_finding():
    found = search({}, np.arange(100.0))
    assert (found.n_tested, found.slices) == (0, ())


def test_a_constant_loss_has_no_weak_slice_even_after_rounding():
    columns, _ = table(0)
    for constant in (0.0, 0.1, 1e9 + 0.1):
        assert search(columns, np.full(2000, constant)).n_significant == 0


def test_a_slice_that_is_always_wrong_beside_a_rest_that_is_always_right_is_found_and_can_be_written():
    plan = np.repeat(["a", "b"], 50)
    found = search({"plan": plan}, (plan == "b").astype(float))
    assert names(found) == [("plan=b",)]
    assert b"Infinity" not in msgspec.json.encode(found)
    assert found.slices[0].effect is None
    assert found.slices[0].statistic is None


def test_infinite_values_belong_to_the_outermost_bins():
    columns, rng = table(5)
    columns["x0"][:20] = np.inf
    columns["x0"][20:40] = -np.inf
    assert search(columns, rng.exponential(size=2000)).left_out == {}


def test_the_same_search_gives_the_same_bytes():
    columns, rng = table(6)
    losses = rng.exponential(size=2000) + 0.6 * (columns["t1"] == "c")
    assert msgspec.json.encode(search(columns, losses)) == msgspec.json.encode(search(columns, losses))


def test_declared_cuts_are_used_instead_of_quantiles():
    columns, rng = table(7)
    losses = rng.exponential(size=2000) + 0.8 * (columns["x0"] >= 1.5)
    columns["x0"] = binned(columns["x0"], edges=[1.5])
    assert names(search(columns, losses)) == [("x0=>= 1.5",)]


@pytest.mark.parametrize(
    ("columns", "losses", "options", "message"),
    [
        ({"plan": ["a"]}, np.arange(100.0), {}, "Column 'plan' has 1 rows, the predictions have 100"),
        ({}, np.array([0.0, np.nan]), {}, "1 of 2 rows of losses"),
        ({}, np.arange(100.0), {"depth": 3}, "Slices of 3 columns are not searched"),
    ],
)
def test_input_that_cannot_be_searched_is_refused(columns, losses, options, message):
    with pytest.raises(Invalid, match=message):
        search(columns, losses, **options)


def test_the_smallest_slice_grows_with_the_table():
    assert [smallest_slice(n) for n in (10, 6_000, 6_001, 1_000_000)] == [30, 30, 31, 5000]


def judged(columns, truth, probability, **options):
    scores = np.column_stack((1 - probability, probability))
    return search(
        columns,
        row_losses("log_loss", truth, scores),
        loss="log_loss",
        expected=expected_losses("log_loss", scores),
        trivial=lambda rows: trivial_loss("log_loss", truth[rows]),
        **options,
    )


def calibrated(seed, n=4000):
    """Outcomes drawn by the very probabilities the model answers; half of a plan's rows are positive, or one in 20."""
    columns, rng = table(seed, n=n)
    columns["plan"] = np.where(np.arange(n) % 2 == 0, "even", "rare").astype(object)
    centre = np.where(columns["plan"] == "even", 0.0, -3.0)
    probability = 1 / (1 + np.exp(-(centre + 0.7 * rng.normal(size=n))))
    return columns, (rng.random(n) < probability).astype(int), probability, rng


def test_another_base_rate_alone_makes_no_weak_slice_and_is_told_apart_as_harder():
    columns, truth, probability, _ = calibrated(0)
    by_loss = search(columns, row_losses("log_loss", truth, np.column_stack((1 - probability, probability))))
    assert ("plan=even",) in names(by_loss)  # a perfect model, and yet
    found = judged(columns, truth, probability)
    assert found.judged_by == "excess"
    assert found.slices == ()
    even = found.harder[0]
    assert [(part.column, part.level) for part in even.conditions] == [("plan", "even")]
    assert even.loss.value > even.rest
    assert even.expected == pytest.approx(even.loss.value, abs=0.02)
    assert even.excess.low < 0 < even.excess.high
    assert even.trivial == pytest.approx(np.log(2), abs=0.001)
    assert even.skill == pytest.approx(1 - even.loss.value / even.trivial)
    assert 0 < even.skill < 0.2


def test_a_slice_about_which_the_model_is_wrong_is_found_whatever_its_base_rate():
    columns, truth, probability, rng = calibrated(1)
    weak = (columns["t1"] == "c") & (columns["plan"] == "rare")
    truth[weak] = (rng.random(weak.sum()) < 0.3).astype(int)
    found = judged(columns, truth, probability)
    conditions = {(part.column, part.level) for part in found.slices[0].conditions}
    assert conditions == {("t1", "c"), ("plan", "rare")}
    item = found.slices[0]
    assert item.loss.value > item.expected
    assert item.excess.low > 0
    assert item.excess.value == pytest.approx(item.loss.value - item.expected)
    assert item.rest_excess == pytest.approx(0, abs=0.03)
    assert item.skill < 0
    assert item.conditions not in [each.conditions for each in found.harder]


def test_an_honest_slice_is_not_weak_beside_rows_on_which_the_model_does_better_than_it_expects():
    columns, truth, probability, rng = calibrated(2)
    timid = columns["t1"] != "c"
    # Right more often than its scores say, but for one level of t1.
    truth[timid] = (rng.random(timid.sum()) < np.where(probability[timid] > 0.5, 0.95, 0.02)).astype(int)
    found = judged(columns, truth, probability)
    level = columns["t1"] == "c"
    scores = np.column_stack((1 - probability, probability))
    excess = row_losses("log_loss", truth, scores) - expected_losses("log_loss", scores)
    assert stats.ttest_ind(excess[level], excess[~level], equal_var=False, alternative="greater").pvalue < 1e-6
    assert found.slices == ()


def test_a_calibrated_model_with_uneven_base_rates_yields_a_finding_in_at_most_one_seed_in_ten():
    seeds_with_a_finding = sum(
        judged(*calibrated(seed, n=1500)[:3], min_effect=0.0).n_significant > 0 for seed in range(40)
    )
    assert seeds_with_a_finding <= 4


def test_a_slice_of_one_class_has_no_skill_to_tell():
    plan = np.repeat(np.array(["a", "b"], dtype=object), 100)
    truth = np.concatenate((np.tile([0, 1], 50), np.zeros(100, dtype=int)))
    probability = np.where(plan == "b", 0.6, 0.5)
    found = judged({"plan": plan}, truth, probability)
    (item,) = found.slices
    assert (item.trivial, item.skill) == (0.0, None)
    assert b"NaN" not in msgspec.json.encode(found)


def test_a_search_of_before_the_excess_can_still_be_read():
    columns, rng = table(0)
    found = msgspec.to_builtins(search(columns, rng.exponential(size=2000) + 0.6 * (columns["t1"] == "c")))
    for name in ("judged_by", "harder", "declared"):
        del found[name]
    for each in found["slices"]:
        for name in ("expected", "excess", "rest_excess", "trivial", "skill"):
            del each[name]
    assert msgspec.convert(found, WeakSlices).judged_by == "loss"


def test_a_number_that_is_mostly_zero_is_searched_at_its_spike():
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(2_000) < 0.92, 0.0, rng.gamma(2, 1_000, 2_000))
    losses = rng.random(2_000) + 2.0 * (gain > 0)
    found = find_weak_slices({"gain": gain}, losses, seed=0, loss="log_loss")
    assert found.left_out == {}
    assert [(each.column, each.level) for each in found.slices[0].conditions] == [("gain", "above 0")]


def test_long_numbers_that_differ_in_their_last_digit_are_slices_of_their_own():
    rng = np.random.default_rng(0)
    day = np.tile([20260101.0, 20260102.0, 20260103.0], 200)
    found = search({"day": day}, rng.exponential(size=600) + 2.0 * (day == 20260102))
    assert found.left_out == {}
    assert names(found) == [("day=20260102",)]


def test_the_value_that_most_rows_of_a_long_number_have_is_named_in_full():
    rng = np.random.default_rng(0)
    number = np.where(rng.random(2_000) < 0.9, 1_234_567.0, 1_234_567.0 + rng.integers(1, 1_000, 2_000))
    found = search({"number": number}, rng.random(2_000) + 2.0 * (number > 1_234_567))
    assert names(found) == [("number=above 1234567",)]


def test_a_slice_whose_target_never_varies_has_no_skill_however_its_number_is_rounded():
    rng = np.random.default_rng(0)
    plan = np.repeat(["a", "b"], 100)
    truth = np.where(plan == "a", rng.normal(size=200), 0.1)
    answers = np.where(plan == "a", truth, 5 + rng.normal(size=200))
    found = search(
        {"plan": plan},
        row_losses("squared_error", truth, answers),
        loss="squared_error",
        trivial=lambda rows: trivial_loss("squared_error", truth[rows]),
    )
    assert [(each.trivial, each.skill) for each in found.slices] == [(0.0, None)]
