"""Counterfactuals reach the outcome, respect what may not change, and stay where the data is."""

import lightgbm
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkwright.bundles import LightGBMEvaluator, Predictor, fit_encoder
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.counterfactual import ColumnLimit, WantedOutcome, find_counterfactuals, wanted_class
from arkwright.evaluation.row_distance import RowSpace

NAMES = ("income", "debt", "age", "job", "since")
KINDS = ("numeric", "numeric", "numeric", "categorical", "time")
YES = WantedOutcome(at_least=0.5)


def loans(n=1_200, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "income": rng.gamma(4.0, 800.0, n).round(2),
        "debt": rng.gamma(2.0, 2_000.0, n).round(2),
        "age": rng.integers(18, 80, n).astype(float),
        "job": rng.choice(np.array(["none", "clerk", "engineer"], dtype=object), n, p=[0.2, 0.5, 0.3]),
        "since": np.datetime64("2010-01-01", "us") + rng.integers(0, 5_000, n) * np.timedelta64(1, "D"),
    }


def odds(table):
    years = (np.datetime64("2026-01-01", "us") - table["since"]) / np.timedelta64(365, "D")
    return (
        table["income"] / 1_000 - table["debt"] / 2_000 + 0.01 * table["age"] + (table["job"] == "engineer")
        + 0.05 * years - 3.0
    )  # fmt: skip


def smooth(table):
    return (1.0 / (1.0 + np.exp(-odds(table))))[:, None]


@pytest.fixture(scope="module")
def predictor():
    table = loans()
    spec = tuple(Column(name=name, kind=kind) for name, kind in zip(NAMES, KINDS, strict=True))
    encoder = fit_encoder(spec, table, layout="tree")
    y = (odds(table) + np.random.default_rng(1).normal(size=1_200) > 0).astype(int)
    fitted = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 15},
        lightgbm.Dataset(encoder.encode_columns(table), y, categorical_feature=list(encoder.categorical_feature)),
        40,
    )
    signature = Signature(task="binary", target="paid", columns=spec, classes=("no", "yes"))
    return Predictor(signature, encoder, LightGBMEvaluator(fitted.model_to_string()))


def refused_rows(predict, table, n):
    at = np.flatnonzero(predict(table)[:, 0] < 0.4)[:n]
    return [{name: values[index : index + 1] for name, values in table.items()} for index in at]


def changed_row(row, found):
    """Rebuild the changed row from what a reader sees."""
    table = {name: values.copy() for name, values in row.items()}
    for change in found.changes:
        table[change.name] = np.array([change.after], dtype=table[change.name].dtype)
    return table


def test_every_change_reaches_the_outcome_and_is_on_the_data(predictor):
    data = loans()
    space = RowSpace(data, NAMES, seed=0)
    for row in refused_rows(predictor.predict_columns, data, 6):
        search = find_counterfactuals(predictor.predict_columns, row, data, NAMES, YES, seed=0)
        assert search.found
        assert search.reason == ""
        for found in search.found:
            table = changed_row(row, found)
            assert predictor.answer_columns(table)["label"].tolist() == ["yes"]
            assert found.scores == tuple(predictor.predict_columns(table)[0].tolist())
            point, own = space.points(table), space.points(row)
            assert found.distance == pytest.approx(space.parts(point, own).sum())
            assert found.nearest_distance == pytest.approx(space.nearest(point)[0])
            assert found.nearest_distance <= search.plausible_distance


def test_nothing_that_was_changed_is_needless(predictor):
    data = loans()
    for row in refused_rows(predictor.predict_columns, data, 6):
        search = find_counterfactuals(predictor.predict_columns, row, data, NAMES, YES, seed=0)
        space = RowSpace(data, NAMES, seed=0)
        for found in search.found:
            for change in found.changes:
                without = changed_row(row, found) | {change.name: row[change.name]}
                unlike = space.nearest(space.points(without))[0] > search.plausible_distance
                assert unlike or predictor.predict_columns(without)[0, 0] < 0.5


def test_the_change_is_far_smaller_than_the_nearest_real_row_with_the_outcome(predictor):
    data = loans()
    space = RowSpace(data, NAMES, seed=0)
    good = predictor.predict_columns(data)[:, 0] >= 0.5
    real, found = [], []
    for row in refused_rows(predictor.predict_columns, data, 8):
        parts = space.parts(space.points(data)[good], space.points(row))
        real.append((parts.sum(axis=1) + (parts > 0).sum(axis=1)).min())
        best = find_counterfactuals(predictor.predict_columns, row, data, NAMES, YES, seed=0).found[0]
        found.append(best.distance + len(best.changes))
    assert np.mean(found) < 0.5 * np.mean(real)


def test_the_border_of_a_smooth_model_is_met_to_the_cent():
    # Only income may change, so the smallest change is known: the income at which the odds are even.
    data = loans()
    row = refused_rows(smooth, data, 1)[0]
    limits = [ColumnLimit(name=name, fixed=True) for name in NAMES if name != "income"]
    found = find_counterfactuals(smooth, row, data, NAMES, YES, seed=0, limits=limits, plausible_quantile=1.0).found
    even = row["income"][0] - 1_000 * odds(row)[0]
    assert [change.name for change in found[0].changes] == ["income"]
    assert even <= found[0].changes[0].after < even + 2.0
    assert found[0].changes[0].after == round(found[0].changes[0].after, 2)


def test_different_changes_are_offered_the_cheapest_first(predictor):
    data = loans()
    row = refused_rows(predictor.predict_columns, data, 1)[0]
    found = find_counterfactuals(predictor.predict_columns, row, data, NAMES, YES, seed=0, n_wanted=3).found
    assert len(found) >= 2
    sets = [{change.name for change in item.changes} for item in found]
    for index, own in enumerate(sets):
        assert not any(own <= other or other <= own for other in sets[:index])
    costs = [item.distance + len(item.changes) for item in found]
    assert costs == sorted(costs)


def test_what_is_fixed_and_what_may_only_rise_is_respected(predictor):
    data = loans()
    limits = [
        ColumnLimit(name="age", direction="up"),
        ColumnLimit(name="job", levels=("clerk",)),
        ColumnLimit(name="since", fixed=True),
        ColumnLimit(name="income", direction="up", high=5_000.0),
        ColumnLimit(name="debt", direction="down", low=500.0),
    ]
    n_found = 0
    for row in refused_rows(predictor.predict_columns, data, 12):
        search = find_counterfactuals(predictor.predict_columns, row, data, NAMES, YES, seed=0, limits=limits)
        for found in search.found:
            n_found += 1
            for change in found.changes:
                if change.name in ("age", "income"):
                    assert change.after > change.before
                if change.name == "income":
                    assert change.after <= 5_000.0
                if change.name == "debt":
                    assert 500.0 <= change.after < change.before
                assert change.name != "since"
                assert change.name != "job" or change.after == "clerk"
    assert n_found > 5


def test_whole_numbers_stay_whole_cents_stay_cents_and_dates_stay_dates():
    data = loans()
    units = {"age": 1, "income": 0.01, "debt": 0.01}
    seen = set()
    for keep in ("age", "since", "income", "debt"):
        limits = [ColumnLimit(name=name, fixed=True) for name in NAMES if name != keep]
        for index in range(3):
            row = {name: values[index : index + 1] for name, values in data.items()}
            # The wanted outcome lies a little above the row's own score, so that one column can reach it.
            wanted = WantedOutcome(at_least=float(smooth(row)[0, 0]) + 0.001)
            search = find_counterfactuals(
                smooth, row, data, NAMES, wanted, seed=0, limits=limits, plausible_quantile=1.0
            )
            for found in search.found:
                after = found.changes[0].after
                seen.add(keep)
                if keep == "since":
                    assert len(after) == len("2026-01-01")
                else:
                    assert after == pytest.approx(round(after / units[keep]) * units[keep], abs=1e-9)
                    assert keep != "age" or isinstance(after, int)
    assert seen == {"age", "since", "income", "debt"}


def test_a_missing_cell_may_be_filled_but_no_cell_is_emptied():
    data = loans()
    data["income"][::4] = np.nan
    data["job"][1::4] = None

    def predict(table):
        return np.where(np.isnan(table["income"]) | (table["job"] == None), 0.9, 0.1)[:, None]  # noqa: E711

    full = {name: values[2:3] for name, values in data.items()}
    search = find_counterfactuals(predict, full, data, NAMES, YES, seed=0)
    assert (search.found, search.n_with_outcome > 0) == ((), True)
    assert "limits leave none" in search.reason
    empty = {name: values[:1] for name, values in data.items()}
    found = find_counterfactuals(predict, empty, data, NAMES, WantedOutcome(at_most=0.5), seed=0).found
    assert found[0].changes[0].before is None
    assert found[0].changes[0].after is not None


def test_several_classes_and_numbers_can_be_wanted():
    data = loans()

    def classes(table):
        raw = np.column_stack([table["income"], 2_000.0 + 0 * table["income"], table["debt"]])
        return raw / raw.sum(axis=1, keepdims=True)

    row = {name: values[:1] for name, values in data.items()}
    for output in range(3):
        wanted = WantedOutcome(output=output, most_probable=True)
        search = find_counterfactuals(classes, row, data, NAMES, wanted, seed=0)
        assert bool(search.found) != bool(wanted.reached(classes(row))[0])
        for found in search.found:
            assert int(np.argmax(found.scores)) == output
    value = WantedOutcome(at_least=2_500.0, at_most=2_600.0)
    poor = {**row, "income": np.array([1_000.0])}
    found = find_counterfactuals(lambda t: t["income"], poor, data, NAMES, value, seed=0).found[0]
    assert [change.name for change in found.changes] == ["income"]
    assert 2_500.0 <= found.changes[0].after <= 2_501.0


def test_where_there_is_none_the_reason_is_said():
    data = loans(300)
    row = refused_rows(smooth, data, 1)[0]

    def reason(wanted=YES, **more):
        search = find_counterfactuals(smooth, row, data, NAMES, wanted, seed=0, **more)
        assert search.found == ()
        return search.reason

    assert "already" in reason(WantedOutcome(at_most=0.5))
    assert "none of the 300 rows" in reason(WantedOutcome(at_least=2.0))
    assert "no column may change" in reason(limits=[ColumnLimit(name=name, fixed=True) for name in NAMES])
    frozen = [ColumnLimit(name=name, fixed=True) for name in NAMES if name != "age"]
    assert "limits leave none" in reason(limits=frozen)


def test_a_change_that_leads_away_from_the_data_is_not_offered():
    # x and y are always equal; the outcome asks for a difference that no row has.
    x = np.arange(100.0)
    data = {"x": x, "y": x.copy()}

    def predict(table):
        return (table["x"] - table["y"] + (table["x"] > 90) * 100.0)[:, None]

    row = {"x": np.array([10.0]), "y": np.array([10.0])}
    limits = [ColumnLimit(name="y", fixed=True)]
    search = find_counterfactuals(predict, row, data, ("x", "y"), WantedOutcome(at_least=50.0), seed=0, limits=limits)
    assert search.found == ()
    assert "unlike any in the data" in search.reason
    free = find_counterfactuals(predict, row, data, ("x", "y"), WantedOutcome(at_least=50.0), seed=0).found[0]
    assert {change.name for change in free.changes} == {"x", "y"}


def test_tied_columns_change_together_to_what_one_real_row_has():
    data = loans()
    points = {"none": 0.0, "clerk": 10.0, "engineer": 20.0}
    data["points"] = np.array([points[job] for job in data["job"]])
    names = (*NAMES, "points")

    def predict(table):
        return 1.0 / (1.0 + np.exp(-(odds(table) + 0.1 * table["points"] - 1.5)))

    changed = 0
    for row in refused_rows(lambda t: predict(t)[:, None], data, 12):
        search = find_counterfactuals(predict, row, data, names, YES, seed=0, tied=[("job", "points")])
        for found in search.found:
            table = changed_row(row, found)
            assert table["points"][0] == points[table["job"][0]]
            changed += "job" in {change.name for change in found.changes}
        fixed = [ColumnLimit(name="points", fixed=True)]
        search = find_counterfactuals(predict, row, data, names, YES, seed=0, tied=[("job", "points")], limits=fixed)
        assert not {"job", "points"} & {change.name for found in search.found for change in found.changes}
    assert changed > 0


def test_a_row_that_is_itself_far_out_may_stay_so():
    data = loans()
    row = refused_rows(smooth, data, 1)[0] | {"age": np.array([-300.0])}
    search = find_counterfactuals(smooth, row, data, NAMES, YES, seed=0, limits=[ColumnLimit(name="age", fixed=True)])
    assert search.plausible_distance > 10
    assert search.found


def test_the_same_seed_finds_the_same_and_it_is_json(predictor):
    data = loans()
    row = refused_rows(predictor.predict_columns, data, 1)[0]
    first, second = (
        msgspec.json.encode(
            find_counterfactuals(predictor.predict_columns, row, data, NAMES, YES, seed=3, max_data=700)
        )
        for _ in range(2)
    )
    assert first == second
    assert msgspec.json.decode(first)["n_data"] == 700


def test_classes_are_wanted_by_their_label():
    binary = Signature(task="binary", target="y", columns=(), classes=(False, True))
    assert wanted_class(binary, False).reached(np.array([[0.5], [0.49]])).tolist() == [False, True]
    assert wanted_class(binary, True).reached(np.array([[0.5], [0.49]])).tolist() == [True, False]
    several = Signature(task="multiclass", target="y", columns=(), classes=("a", "b"))
    assert wanted_class(several, "b").reached(np.array([[0.4, 0.6], [0.6, 0.4]])).tolist() == [True, False]
    with pytest.raises(Invalid, match="no class 'c'"):
        wanted_class(several, "c")


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (ColumnLimit(name="absent"), "does not read"),
        (ColumnLimit(name="job", direction="up"), "neither rise nor fall"),
        (ColumnLimit(name="age", levels=("old",)), "no levels"),
        (ColumnLimit(name="age", low=5.0, high=4.0), "allows nothing"),
    ],
)
def test_a_limit_that_does_not_fit_is_refused(limit, message):
    data = loans(50)
    row = {name: values[:1] for name, values in data.items()}
    with pytest.raises(Invalid, match=message) as caught:
        find_counterfactuals(smooth, row, data, NAMES, YES, seed=0, limits=[limit])
    assert caught.value.hint


def test_several_rows_and_an_output_that_does_not_exist_are_refused():
    data = loans(50)
    row = {name: values[:1] for name, values in data.items()}
    with pytest.raises(Invalid, match="for one row, 50"):
        find_counterfactuals(smooth, data, data, NAMES, YES, seed=0)
    with pytest.raises(Invalid, match="tied columns name 'absent'"):
        find_counterfactuals(smooth, row, data, NAMES, YES, seed=0, tied=[("job", "absent")])
    with pytest.raises(Invalid, match="gives 1 scores"):
        find_counterfactuals(smooth, row, data, NAMES, WantedOutcome(output=3), seed=0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1_199), st.integers(0, 100), st.sampled_from(["any", "up", "down"]), st.booleans())
def test_no_promise_is_broken_for_any_row(index, seed, direction, fixed):
    data = loans()
    row = {name: values[index : index + 1] for name, values in data.items()}
    own = float(smooth(row)[0, 0])
    wanted = WantedOutcome(at_most=0.3) if own > 0.5 else WantedOutcome(at_least=0.6)
    limits = [ColumnLimit(name="debt", direction=direction), ColumnLimit(name="job", fixed=fixed)]
    search = find_counterfactuals(smooth, row, data, NAMES, wanted, seed=seed, limits=limits, max_data=400)
    assert bool(search.found) != bool(search.reason)
    for found in search.found:
        assert wanted.reached(smooth(changed_row(row, found)))[0]
        assert found.nearest_distance <= search.plausible_distance
        for change in found.changes:
            assert change.before != change.after
            assert not (fixed and change.name == "job")
            if change.name == "debt" and direction != "any":
                assert (change.after > change.before) == (direction == "up")
