"""Classification metrics against scikit-learn, ties, weights and degenerate samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from arkwright.core.errors import Invalid
from arkwright.evaluation.classification import (
    ClassCounts,
    areas,
    averaged,
    class_counts,
    classification_metrics,
    classification_replicates,
    confusion_matrix,
    mean_area,
    one_vs_rest,
    per_class,
    predicted_codes,
    rank,
)


def binary_sample(seed, n=400, ties=True):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    score = np.clip(0.3 * truth + rng.random(n) * 0.7, 0, 1)
    return truth, np.round(score, 2) if ties else score


def multiclass_sample(seed, n=500, k=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    raw = rng.random((n, k)) + 0.6 * np.eye(k)[truth]
    return truth, raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_metrics_agree_with_scikit_learn(seed, weighted):
    truth, score = binary_sample(seed)
    weight = np.random.default_rng(seed + 100).integers(0, 4, truth.size).astype(float) if weighted else None
    ours = classification_metrics(truth, np.column_stack((1 - score, score)), weight)
    called = (score >= 0.5).astype(int)
    theirs = {
        "accuracy": reference.accuracy_score(truth, called, sample_weight=weight),
        "roc_auc": reference.roc_auc_score(truth, score, sample_weight=weight),
        "pr_auc": reference.average_precision_score(truth, score, sample_weight=weight),
        "log_loss": reference.log_loss(truth, score, sample_weight=weight),
        "precision": reference.precision_score(truth, called, sample_weight=weight),
        "recall": reference.recall_score(truth, called, sample_weight=weight),
        "f1": reference.f1_score(truth, called, sample_weight=weight),
    }
    for average in ("macro", "micro", "weighted"):
        p, r, f, _ = reference.precision_recall_fscore_support(truth, called, average=average, sample_weight=weight)
        theirs |= {f"precision_{average}": p, f"recall_{average}": r, f"f1_{average}": f}
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert float(ours[name]) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_metrics_agree_with_scikit_learn(seed, weighted):
    truth, probability = multiclass_sample(seed)
    weight = np.random.default_rng(seed + 100).integers(0, 4, truth.size).astype(float) if weighted else None
    ours = classification_metrics(truth, probability, weight)
    called = probability.argmax(axis=1)

    def area(average):
        return reference.roc_auc_score(truth, probability, multi_class="ovr", average=average, sample_weight=weight)

    theirs = {
        "accuracy": reference.accuracy_score(truth, called, sample_weight=weight),
        "roc_auc_ovr": area("macro"),
        "roc_auc_ovr_weighted": area("weighted"),
        "pr_auc_ovr": np.mean(
            [
                reference.average_precision_score(truth == code, probability[:, code], sample_weight=weight)
                for code in range(4)
            ]
        ),
        "log_loss": reference.log_loss(truth, probability, sample_weight=weight),
    }
    for average in ("macro", "micro", "weighted"):
        p, r, f, _ = reference.precision_recall_fscore_support(truth, called, average=average, sample_weight=weight)
        theirs |= {f"precision_{average}": p, f"recall_{average}": r, f"f1_{average}": f}
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert float(ours[name]) == pytest.approx(value, abs=1e-12), name


def test_per_class_numbers_agree_with_scikit_learn():
    truth, probability = multiclass_sample(3)
    called = predicted_codes(probability)
    confusion = confusion_matrix(truth, called, 4)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(truth, called))
    p, r, f, _ = reference.precision_recall_fscore_support(truth, called)
    single = per_class(class_counts(truth, called, 4))
    np.testing.assert_allclose(single.precision, p)
    np.testing.assert_allclose(single.recall, r)
    np.testing.assert_allclose(single.f1, f)


def test_a_block_of_weights_gives_what_each_row_of_it_gives_alone():
    truth, probability = multiclass_sample(1, n=120)
    weights = np.random.default_rng(0).integers(0, 3, (6, truth.size)).astype(float)
    together = classification_metrics(truth, probability, weights)
    for row, weight in enumerate(weights):
        for name, value in classification_metrics(truth, probability, weight).items():
            assert together[name][row] == pytest.approx(float(value), abs=1e-12), name


def test_drawing_a_row_twice_equals_weight_two():
    truth, score = binary_sample(2, n=50)
    counts = np.random.default_rng(4).integers(0, 3, truth.size)
    rows = np.repeat(np.arange(truth.size), counts)
    probability = np.column_stack((1 - score, score))
    weighted = classification_metrics(truth, probability, counts.astype(float))
    repeated = classification_metrics(truth[rows], probability[rows])
    for name, value in repeated.items():
        assert float(weighted[name]) == pytest.approx(float(value), abs=1e-12), name


def test_a_constant_score_has_area_one_half():
    truth = np.array([0, 1, 1, 0, 1])
    found = areas(truth == 1, np.full(5, 0.3))
    assert float(found.roc) == 0.5
    assert float(found.precision_recall) == pytest.approx(0.6)


def test_areas_are_not_a_number_when_a_class_is_absent():
    assert np.isnan(float(areas(np.array([True, True]), np.array([0.1, 0.9])).roc))
    assert np.isnan(float(areas(np.array([False, False]), np.array([0.1, 0.9])).precision_recall))


def test_a_class_without_rows_is_left_out_of_the_mean_area():
    truth = np.array([0, 1, 0, 1])
    probability = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]])
    assert float(mean_area(one_vs_rest(truth, probability).roc)) == 1.0


def test_a_class_neither_present_nor_predicted_does_not_lower_the_macro_mean():
    counts = ClassCounts(
        hits=np.array([2.0, 3.0, 0.0]), actual=np.array([2.0, 3.0, 0.0]), called=np.array([2.0, 3.0, 0.0])
    )
    assert float(averaged(counts, "macro").f1) == 1.0


def test_weights_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="the data has 2 rows"):
        classification_metrics(np.array([0, 1]), np.eye(2), np.ones(3))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.int64, st.shared(st.integers(2, 30), key="n"), elements=st.integers(0, 1)),
    hnp.arrays(np.float64, st.shared(st.integers(2, 30), key="n"), elements=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
)
def test_roc_auc_is_the_share_of_correctly_ordered_pairs(truth, score):
    positive, negative = score[truth == 1], score[truth == 0]
    ours = float(areas(truth == 1, score).roc)
    if positive.size == 0 or negative.size == 0:
        assert np.isnan(ours)
    else:
        pairs = np.sign(positive[:, None] - negative[None, :])
        assert ours == pytest.approx(float((pairs + 1).mean() / 2))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_average_precision_agrees_with_scikit_learn_whatever_the_ties_and_weights(data):
    n = data.draw(st.integers(2, 30))
    truth = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    score = data.draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])))
    weight = data.draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0, 2.0])))
    ours = float(areas(truth == 1, score, weight).precision_recall)
    if weight[truth == 1].sum() == 0:
        assert np.isnan(ours)
    else:
        theirs = reference.average_precision_score(truth, score, sample_weight=weight)
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_a_ranking_serves_many_weightings_of_the_same_rows():
    truth, score = binary_sample(7)
    ranking = rank(truth == 1, score)
    weights = np.random.default_rng(0).integers(0, 3, (4, truth.size)).astype(float)
    theirs = [reference.roc_auc_score(truth, score, sample_weight=weight) for weight in weights]
    np.testing.assert_allclose(ranking.areas(weights).roc, theirs, atol=1e-12)
    np.testing.assert_array_equal(ranking.areas(weights, precision_recall=False).roc, ranking.areas(weights).roc)


def test_only_the_metrics_asked_for_are_computed_and_they_are_the_same():
    truth, score = binary_sample(8)
    probability = np.column_stack((1 - score, score))
    every = classification_metrics(truth, probability)
    some = classification_replicates(truth, probability, ["f1", "roc_auc"])(np.ones(truth.size))
    assert list(some) == ["f1", "roc_auc"]
    assert all(some[name] == every[name] for name in some)


def test_a_metric_that_does_not_apply_is_refused_by_name():
    truth, probability = multiclass_sample(0)
    with pytest.raises(Invalid, match="'roc_auc' is not a metric of a problem with 4 classes"):
        classification_replicates(truth, probability, ["roc_auc"])


def test_rows_without_positives_have_no_recall_when_a_zero_would_mislead():
    truth, probability = np.zeros(4, dtype=np.int64), np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]])
    silent = classification_metrics(truth, probability)
    honest = classification_replicates(truth, probability, ["recall", "f1", "precision"], empty=np.nan)(np.ones(4))
    assert (silent["recall"], silent["f1"]) == (0.0, 0.0)
    assert np.isnan(honest["recall"])
    assert np.isnan(honest["f1"])
    assert honest["precision"] == 0.0


def test_a_probability_that_is_not_a_number_is_refused_with_its_row():
    with pytest.raises(Invalid, match="1 of 2 rows of probability .* first is row 1"):
        classification_metrics(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 0.5]]))


def test_a_label_the_model_never_saw_is_refused_with_its_row():
    with pytest.raises(Invalid, match="1 of 3 rows have a class .* first is row 2 with code 5"):
        classification_metrics(np.array([0, 1, 5]), np.full((3, 2), 0.5))


def test_one_class_alone_has_counts_and_no_areas():
    found = classification_metrics(np.zeros(3, dtype=np.int64), np.ones((3, 1)))
    assert found["accuracy"] == 1.0
    assert np.isnan(found["roc_auc_ovr"])
