"""Shapley values: exact against enumeration and the shap package, sampled within their own error."""

import importlib.util
import itertools
import math

import lightgbm
import msgspec
import numpy as np
import pytest

from arkwright.bundles import (
    AverageEvaluator,
    ConstantEvaluator,
    LightGBMEvaluator,
    LinearEvaluator,
    Member,
    Predictor,
    fit_encoder,
)
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.attribution_summary import global_attributions, local_explanations
from arkwright.evaluation.attributions import attribute, sampled_attributions

NUMBERS = ("a", "b", "c", "d")


def numbers_table(n_rows=300, seed=0):
    rng = np.random.default_rng(seed)
    table = {name: rng.normal(size=n_rows).round(2) for name in NUMBERS}
    table["b"] = (table["a"] + 0.3 * table["b"]).round(2)
    table["c"][rng.random(n_rows) < 0.1] = np.nan
    return table


def boosted_predictor(task="binary", table=None, rounds=4, **settings):
    table = numbers_table() if table is None else table
    spec = tuple(Column(name=name, kind="numeric") for name in table)
    encoder = fit_encoder(spec, table, layout="tree")
    X = encoder.encode_columns(table)
    target = np.nan_to_num(X[:, 2]) * X[:, 0] + X[:, 1]
    classes = {"binary": ("no", "yes"), "multiclass": ("x", "y", "z"), "regression": ()}[task]
    y = target if task == "regression" else np.digitize(target, [0.0] if task == "binary" else [-0.5, 0.5])
    extra = {"num_class": 3} if task == "multiclass" else {}
    fitted = lightgbm.train(
        {"objective": task, "num_leaves": 6, "verbosity": -1, "num_threads": 1, **extra, **settings},
        lightgbm.Dataset(X, y),
        rounds,
    )
    signature = Signature(task=task, target="t", columns=spec, classes=classes)
    return Predictor(signature, encoder, LightGBMEvaluator(fitted.model_to_string())), fitted, X


def conditional_expectation(node, x, known):
    """Lundberg, Erion & Lee (2018), algorithm 1: absent columns follow the share of training rows."""
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        cell = x[node["split_feature"]]
        if math.isnan(cell):
            # LightGBM sends NaN by the default direction, or reads it as 0 where training saw none.
            goes_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0.0
        else:
            goes_left = cell <= node["threshold"]
        return conditional_expectation(left if goes_left else right, x, known)
    weights = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    return (
        weights[0] * conditional_expectation(left, x, known) + weights[1] * conditional_expectation(right, x, known)
    ) / sum(weights)


def enumerated_shapley(trees, x):
    """Return the Shapley values by their definition, over all subsets of the columns, and the empty set's value."""
    n = len(x)

    def worth(known):
        return sum(conditional_expectation(tree["tree_structure"], x, known) for tree in trees)

    value = {
        subset: worth(frozenset(subset)) for size in range(n + 1) for subset in itertools.combinations(range(n), size)
    }
    shares = []
    for feature in range(n):
        total = 0.0
        for subset, without in value.items():
            if feature in subset:
                continue
            weight = math.factorial(len(subset)) * math.factorial(n - len(subset) - 1) / math.factorial(n)
            total += weight * (value[tuple(sorted((*subset, feature)))] - without)
        shares.append(total)
    return shares, value[()]


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_tree_shares_equal_shapley_values_enumerated_by_definition(task):
    predictor, fitted, X = boosted_predictor(task)
    table = {name: values[:25] for name, values in numbers_table().items()}
    found = attribute(predictor, table, seed=0)
    trees = fitted.dump_model()["tree_info"]
    n_outputs = len(found.outputs)
    for row in range(25):
        for output in range(n_outputs):
            shares, base = enumerated_shapley(trees[output::n_outputs], X[row].tolist())
            assert found.shares[row, output] == pytest.approx(shares, abs=1e-10)
            assert found.base[output] == pytest.approx(base, abs=1e-10)
    assert found.method == "trees"
    assert found.largest_gap < 1e-9


@pytest.mark.skipif(importlib.util.find_spec("shap") is None, reason="the shap package is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_tree_shares_equal_those_of_the_shap_package(task):
    import shap

    predictor, fitted, X = boosted_predictor(task, rounds=30)
    found = attribute(predictor, numbers_table(), seed=0)
    expected = shap.TreeExplainer(fitted, feature_perturbation="tree_path_dependent")(X)
    values = expected.values.reshape(len(X), len(NUMBERS), -1)
    assert np.allclose(found.shares, np.moveaxis(values, 2, 1), rtol=0, atol=1e-9)


@pytest.mark.skipif(importlib.util.find_spec("shap") is None, reason="the shap package is not installed")
@pytest.mark.filterwarnings("ignore")
def test_sampled_shares_agree_with_the_exact_explainer_of_the_shap_package():
    import shap

    predictor, _, _ = boosted_predictor(rounds=20)
    table = numbers_table()
    matrix = np.column_stack([table[name] for name in NUMBERS])

    def score(X):
        return predictor.predict_columns({name: X[:, i] for i, name in enumerate(NUMBERS)})[:, 0]

    expected = shap.ExactExplainer(score, shap.maskers.Independent(matrix, max_samples=300))(matrix[:10]).values
    few = {name: values[:10] for name, values in table.items()}
    found = sampled_attributions(predictor.predict_columns, few, table, NUMBERS, seed=1, n_pairs=300)
    off = np.abs(found.shares[:, 0] - expected)
    assert (off < 4.5 * found.standard_errors[:, 0] + 1e-9).all()
    assert off.max() < 0.05


def test_one_hot_columns_are_folded_back_to_their_source():
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=60), "g": rng.choice(np.array(["a", "b", "c"], dtype=object), 60)}
    spec = (Column(name="g", kind="categorical"), Column(name="x", kind="numeric"))
    encoder = fit_encoder(spec, table, layout="linear")
    weights = rng.normal(size=encoder.n_outputs)
    signature = Signature(task="regression", target="y", columns=spec)
    predictor = Predictor(signature, encoder, LinearEvaluator(weights, 0.4, "identity"))
    found = attribute(predictor, table, table, seed=0)
    assert found.names == ("g", "x")
    assert found.method == "linear"
    X = encoder.encode_columns(table)
    centred = (X - X.mean(axis=0)) * weights
    g = [index for index, source in enumerate(encoder.source_columns) if source == "g"]
    assert np.allclose(found.shares[:, 0, 0], centred[:, g].sum(axis=1), atol=1e-12)
    assert found.base[0] == pytest.approx(predictor.predict_columns(table).mean())
    assert found.largest_gap < 1e-12


def test_an_average_of_probabilities_is_sampled_and_says_why():
    predictor, _, _ = boosted_predictor()
    average = AverageEvaluator([Member(predictor.evaluator, 0.5), Member(ConstantEvaluator([0.3], n_features=4), 0.5)])
    mixed = Predictor(predictor.signature, predictor.encoder, average)
    found = attribute(mixed, numbers_table(), seed=0, max_sampled_rows=20, n_pairs=8)
    assert (found.method, found.rows.size, found.outputs) == ("sampled", 20, ("yes",))
    assert "averages scores" in found.sampled_because
    assert found.largest_gap < 1e-12
    assert np.array_equal(found.table["a"], numbers_table()["a"][found.rows])


def test_sampled_shares_of_a_sum_are_exact_and_of_an_unused_column_zero():
    table = numbers_table(50)
    found = sampled_attributions(lambda t: 3 * t["a"] - t["d"] ** 2, table, table, ("a", "b", "d"), seed=0, n_pairs=50)
    assert np.allclose(found.shares[:, 0, 0], 3 * (table["a"] - table["a"].mean()), atol=1e-12)
    assert np.allclose(found.shares[:, 0, 2], np.mean(table["d"] ** 2) - table["d"] ** 2, atol=1e-12)
    assert not found.shares[:, 0, 1].any()
    assert not found.standard_errors[:, 0, 1].any()


def test_the_standard_error_covers_the_truth_about_as_often_as_it_says():
    # f = a * b on independent columns with mean zero: the Shapley value of each is a * b / 2.
    rng = np.random.default_rng(5)
    background = {name: rng.normal(size=4_000) for name in ("a", "b")}
    row = {"a": np.array([1.5]), "b": np.array([-2.0])}
    hits = 0
    for seed in range(200):
        found = sampled_attributions(lambda t: t["a"] * t["b"], row, background, ("a", "b"), seed=seed, n_pairs=40)
        hits += abs(found.shares[0, 0, 0] + 1.5) <= 1.96 * found.standard_errors[0, 0, 0]
    assert 0.88 <= hits / 200 <= 0.99


def test_blocks_of_rows_and_pairs_do_not_change_the_numbers(monkeypatch):
    table = numbers_table(40)
    predictor, _, _ = boosted_predictor()
    whole = sampled_attributions(predictor.predict_columns, table, table, NUMBERS, seed=3, n_pairs=10)
    monkeypatch.setattr("arkwright.evaluation.shapley_sampling._BLOCK_ROWS", 45)
    parts = sampled_attributions(predictor.predict_columns, table, table, NUMBERS, seed=3, n_pairs=10)
    assert np.allclose(whole.shares, parts.shares, rtol=0, atol=1e-15)


def test_one_column_gets_the_whole_difference():
    table = {"a": np.array([1.0, 3.0])}
    found = sampled_attributions(lambda t: t["a"], table, table, ("a",), seed=0, n_pairs=2)
    assert found.shares[:, 0, 0].tolist() == [-1.0, 1.0]


def test_texts_and_moments_are_sampled_too():
    table = {
        "g": np.array(["x", "y", None, "x"], dtype=object),
        "t": np.array(["2026-01-01", "2026-01-05", "NaT", "2026-01-09"], dtype="datetime64[us]"),
    }

    def predict(t):
        return (t["g"] == "x").astype(float) + 2.0 * np.isnat(t["t"])

    found = sampled_attributions(predict, table, table, ("g", "t"), seed=0, n_pairs=4)
    assert found.shares[:, 0].tolist() == [[0.5, -0.5], [-0.5, -0.5], [-0.5, 1.5], [0.5, -0.5]]


def test_what_matters_most_comes_first_with_an_interval_and_a_direction():
    table = numbers_table(400)
    found = sampled_attributions(lambda t: 3 * t["a"] - t["d"], table, table, ("d", "c", "a"), seed=0, n_pairs=20)
    summary = global_attributions(found, seed=0)
    assert [item.name for item in summary.ranking] == ["a", "d", "c"]
    first, second, third = summary.outputs[0].columns
    assert first.mean_absolute.low < first.mean_absolute.value < first.mean_absolute.high
    assert first.mean_absolute.value == pytest.approx(np.abs(found.shares[:, 0, 2]).mean())
    assert first.direction.value == pytest.approx(1.0)
    assert second.direction.value == pytest.approx(-1.0)
    assert third.direction.value is None
    assert "do not vary" in third.direction.reason
    assert summary.sampling_error == pytest.approx(np.sqrt((found.standard_errors**2).mean()))


def test_the_direction_is_spearman_s_correlation_over_the_present_cells():
    from scipy.stats import spearmanr

    predictor, _, _ = boosted_predictor(rounds=20)
    table = numbers_table()
    found = attribute(predictor, table, seed=0)
    columns = {item.name: item for item in global_attributions(found, seed=0).outputs[0].columns}
    for number, name in enumerate(NUMBERS):
        there = ~np.isnan(table[name])
        if not np.ptp(found.shares[there, 0, number]):
            assert columns[name].direction.value is None
            continue
        expected = spearmanr(table[name][there], found.shares[there, 0, number].round(12)).statistic
        assert columns[name].direction.value == pytest.approx(expected, abs=1e-9)


def test_a_beeswarm_is_thinned_and_keeps_its_extremes():
    predictor, _, _ = boosted_predictor()
    found = attribute(predictor, numbers_table(), seed=0)
    column = global_attributions(found, seed=0, n_resamples=200, max_points=50).outputs[0].columns[0]
    shares = found.shares[:, 0, found.names.index(column.name)]
    assert len(column.points) == 50
    assert (column.points[0][1], column.points[-1][1]) == (shares.min(), shares.max())


def test_categories_have_levels_instead_of_a_direction():
    table = {"g": np.array(["x", "y", None, "x"], dtype=object), "n": np.zeros(4)}
    found = sampled_attributions(lambda t: (t["g"] == "x") * 1.0, table, table, ("g", "n"), seed=0, n_pairs=4)
    column = global_attributions(found, seed=0).outputs[0].columns[0]
    assert [(level.level, level.n_rows, level.mean) for level in column.levels] == [
        ("x", 2, 0.5),
        (None, 1, -0.5),
        ("y", 1, -0.5),
    ]
    assert "no order" in column.direction.reason


def test_each_class_has_its_own_shares():
    predictor, _, _ = boosted_predictor("multiclass")
    table = numbers_table()
    found = attribute(predictor, table, seed=0)
    assert [item.output for item in global_attributions(found, seed=0, n_resamples=200).outputs] == ["x", "y", "z"]
    labels = predictor.answer_columns(table)["label"].tolist()
    explained = local_explanations(found)
    assert [item.output for item in explained] == labels
    assert {item.output for item in local_explanations(found, output=2)} == {"z"}


def test_a_row_s_explanation_adds_up_and_is_sorted_and_json():
    predictor, _, _ = boosted_predictor()
    found = attribute(predictor, numbers_table(), seed=0)
    for item in local_explanations(found):
        sizes = [abs(share.share) for share in item.shares]
        assert sizes == sorted(sizes, reverse=True)
        assert item.raw == pytest.approx(item.base + sum(share.share for share in item.shares))
        assert item.score == pytest.approx(1 / (1 + math.exp(-item.raw)))
    missing = next(index for index, cell in enumerate(numbers_table()["c"]) if np.isnan(cell))
    assert next(share.value for share in local_explanations(found)[missing].shares if share.name == "c") is None
    for result in (local_explanations(found), global_attributions(found, seed=0, n_resamples=200)):
        assert msgspec.json.decode(msgspec.json.encode(result))


def test_a_single_row_has_no_spread_and_says_so():
    predictor, _, _ = boosted_predictor()
    found = attribute(predictor, {name: values[:1] for name, values in numbers_table().items()}, seed=0)
    spread = global_attributions(found, seed=0).ranking[0].mean_absolute
    assert (spread.low, spread.reason) == (None, "one row has no spread")


def test_a_column_that_may_be_absent_counts_as_missing():
    predictor, _, _ = boosted_predictor()
    spec = tuple(msgspec.structs.replace(c, required=c.name != "c") for c in predictor.signature.columns)
    signature = msgspec.structs.replace(predictor.signature, columns=spec)
    predictor = Predictor(signature, predictor.encoder, predictor.evaluator)
    table = {name: values for name, values in numbers_table().items() if name != "c"}
    found = attribute(predictor, table, seed=0)
    assert found.largest_gap < 1e-9
    assert {share.value for item in local_explanations(found) for share in item.shares if share.name == "c"} == {None}


def test_a_link_of_its_own_leaves_the_gap_open_with_a_reason():
    table = numbers_table()
    predictor, _, _ = boosted_predictor("regression", reg_sqrt=True)
    found = attribute(predictor, table, seed=0)
    assert found.largest_gap is None
    assert "its own" in found.gap_reason


@pytest.mark.parametrize("link", ["softmax", "ovr"])
def test_the_gap_is_measured_through_the_link(link):
    table = numbers_table()
    spec = (Column(name="a", kind="numeric"), Column(name="d", kind="numeric"))
    encoder = fit_encoder(spec, table, layout="linear")
    evaluator = LinearEvaluator([[1.0, -2.0], [0.3, 0.0], [-1.0, 1.0]], [0.7, -1.0, 0.0], link)
    signature = Signature(task="multiclass", target="t", columns=spec, classes=("x", "y", "z"))
    assert attribute(Predictor(signature, encoder, evaluator), table, seed=0).largest_gap < 1e-12


@pytest.mark.parametrize(
    ("table", "names", "n_pairs", "message"),
    [
        ({}, (), 4, "no rows"),
        ({"a": np.array([])}, ("a",), 4, "no rows"),
        ({"a": np.array([1.0])}, ("b",), 4, "no column 'b'"),
        ({"a": np.array([1.0]), "b": np.array([1.0, 2.0])}, ("a",), 4, "different lengths"),
        ({"a": np.array([1.0])}, (), 4, "at least one column"),
        ({"a": np.array([1.0])}, ("a",), 1, "two pairs"),
    ],
)
def test_what_cannot_be_sampled_is_refused(table, names, n_pairs, message):
    with pytest.raises(Invalid, match=message) as caught:
        sampled_attributions(lambda t: t["a"], table, table, names, seed=0, n_pairs=n_pairs)
    assert caught.value.hint


def test_a_model_that_answers_nan_is_named():
    table = {"a": np.array([1.0, np.nan])}
    with pytest.raises(Invalid, match="not a finite number for 1 of 2 rows"):
        sampled_attributions(lambda t: t["a"], table, table, ("a",), seed=0, n_pairs=2)
