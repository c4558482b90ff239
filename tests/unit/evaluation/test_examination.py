"""The sections of an evaluation, from rows and a model: what each holds, what it says is missing, and the verdicts."""

import dataclasses

import lightgbm
import msgspec
import numpy as np
import pytest

from arkwright.bundles import LightGBMEvaluator, Predictor, fit_encoder
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid, Unavailable
from arkwright.core.written_numbers import written
from arkwright.evaluation.comparison import compare_models
from arkwright.evaluation.decision import Guardrail
from arkwright.evaluation.definition_of_done import Fact
from arkwright.evaluation.examination import (
    Baseline,
    Material,
    NotComputed,
    Options,
    assemble,
    examine,
    rows_used,
    section,
)
from arkwright.evaluation.fairness import audit_binary
from arkwright.evaluation.material import metrics_of_task
from arkwright.evaluation.model_evaluation import SECTIONS, DataUsed, ModelEvaluation, Subject
from arkwright.evaluation.report import evaluate
from arkwright.evaluation.resources import price_table
from arkwright.evaluation.thresholds import Costs
from arkwright.evaluation.training_effort import TrainingEffort

FEW = {"robustness": 100, "explanations": 150, "operation": 200}
QUICK = Options(profile="quick", n_resamples=50, max_rows=FEW)
FULL = Options(n_resamples=50, max_rows=FEW)
KINDS = {"income": "numeric", "debt": "numeric", "sex": "categorical", "city": "categorical", "since": "time"}
SPEC = tuple(Column(name=name, kind=kind) for name, kind in KINDS.items())
CAME = {"experiment_id": "exp_1", "job_id": "job_1"}
CLASSES = {"binary": ("refused", "granted"), "multiclass": ("no", "some", "all"), "regression": ()}
BEHAVIOUR = """
tests:
  - {name: more debt never helps, type: directional, column: debt, increase_by: 1, expect: decrease, tolerance: 0.2,
     allowed_failure_rate: 0.5}
"""


def world(n_rows=700, seed=0):
    """Applicants whose sex has nothing to do with what becomes of them."""
    rng = np.random.default_rng(seed)
    columns = {
        "income": rng.normal(size=n_rows).round(3),
        "debt": rng.normal(size=n_rows).round(3),
        "sex": rng.choice(np.array(["f", "m"], dtype=object), size=n_rows),
        "city": rng.choice(np.array(["Bern", "Chur", None], dtype=object), size=n_rows),
        "since": np.datetime64("2020-01-01", "us") + rng.integers(0, 1000, size=n_rows).astype("timedelta64[D]"),
    }
    wish = 2.0 * columns["income"] - 2.0 * columns["debt"]
    return columns, {
        "binary": (rng.random(n_rows) < 1 / (1 + np.exp(-wish))).astype(np.int64),
        "multiclass": np.digitize(wish + rng.normal(size=n_rows), [-1.0, 1.0]).astype(np.int64),
        "regression": wish + rng.normal(size=n_rows),
    }


def signature_of(task="binary"):
    return Signature(task=task, target="outcome", columns=SPEC, classes=CLASSES[task])


def trained(task="binary", rounds=15):
    columns, truths = world(seed=1)
    encoder = fit_encoder(SPEC, columns, layout="tree")
    settings = {"objective": task, "num_leaves": 5, "verbosity": -1, "num_threads": 1}
    settings |= {"num_class": 3} if task == "multiclass" else {}
    booster = lightgbm.train(settings, lightgbm.Dataset(encoder.encode_columns(columns), truths[task]), rounds)
    return Predictor(signature_of(task), encoder, LightGBMEvaluator(booster.model_to_string()))


TRIVIAL = {"binary": [[0.5]], "multiclass": [[0.3, 0.3, 0.4]], "regression": [[0.0]]}


def material_of(task="binary", predict=None, predictor=None, **changes):
    """Rows of the world, scored by a trained model unless another is given."""
    columns, truths = world()
    if predict is None:
        predictor = predictor or trained(task)
        predict = predictor.predict_columns
        changes.setdefault("load", lambda: predict)
    given = {
        "columns": columns,
        "truth": truths[task],
        "sensitive": {"sex": columns["sex"]},
        "training": world(seed=1)[0],
        "sizes": {"model/model.txt": 2_000_000, "encoder.json": 1_000},
        **changes,
    }
    return Material(signature_of(task), predict, reference_scores=np.array(TRIVIAL[task]), predictor=predictor, **given)


def truthful(given):
    """Answer the probability that the world itself draws from."""
    return 1 / (1 + np.exp(-2.0 * (given["income"] - given["debt"])))[:, None]


def half_blind(given):
    return 1 / (1 + np.exp(-given["income"]))[:, None]


def blind(given):
    return np.random.default_rng(5).random((len(given["income"]), 1))


def harsh_on_women(given):
    return truthful(given) * np.where(given["sex"] == "f", 0.3, 1.0)[:, None]


def subject_of(task="binary"):
    return Subject(
        model_name="loans",
        model_version_id="mv_2",
        version="2.0.0",
        number=2,
        bundle_digest="sha256:0",
        task=task,
        target="outcome",
        inputs=tuple(KINDS),
        classes=CLASSES[task],
    )


def baseline_of(predict, signature=None):
    return Baseline(subject_of(), signature or signature_of(), predict, sizes={"model/model.txt": 1_000_000})


def document_of(material, options, **given):
    done, missing = examine(material, options)
    n_rows = int(material.truth.size)
    data = DataUsed(name="applicants", basis="holdout", n_rows=n_rows, n_rows_used=n_rows)
    return assemble(subject_of(material.signature.task), data, done, missing, given.pop("facts", {}), options, **given)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_task_gives_a_whole_document_that_survives_json_and_holds_no_nan(task):
    document = document_of(material_of(task, behaviour=BEHAVIOUR if task == "binary" else ""), QUICK)
    raw = msgspec.json.encode(document)
    assert msgspec.json.decode(raw, type=ModelEvaluation) == document
    assert b"NaN" not in raw
    assert b"Infinity" not in raw
    wanted = {"challenge"} | (set() if task == "binary" else {"behaviour"})
    wanted |= {"calibration"} if task == "regression" else set()
    assert {name for name in SECTIONS if getattr(document, name) is None} == wanted
    assert wanted <= set(document.not_done)
    assert document.summary
    assert document.verdict.reasons


def test_the_full_profile_adds_pairs_of_columns_mitigation_and_a_second_counterfactual():
    material = material_of()
    done = {name: section(name, material, FULL) for name in ("fairness", "explanations")}
    assert done["fairness"].mitigation[0].column == "sex"
    assert done["fairness"].proxies[0].joint_auc.value == pytest.approx(0.5, abs=0.1)
    explained = done["explanations"]
    assert explained.attributions.method == "trees"
    assert {explained.pairs[0].names[0], explained.pairs[0].names[1]} == {"income", "debt"}
    assert len(explained.counterfactuals) == 2
    assert len(explained.dependence) == 5
    few = section("explanations", material, QUICK)
    assert few.pairs == ()
    assert any("quick profile leaves it out" in note for note in few.notes)


def test_metrics_are_those_of_the_report_on_all_rows():
    material = material_of()
    scores = material.predict(material.columns)
    report = evaluate(material.signature, material.truth, scores, np.full(scores.shape, 0.5), seed=0, n_resamples=50)
    assert section("performance", material, FULL) == report


LEFT_OUT = ("operation", "behaviour", "challenge")


def test_the_same_rows_and_seed_give_the_same_bytes():
    first, second = (
        [msgspec.json.encode(section(name, material_of(), QUICK)) for name in SECTIONS if name not in LEFT_OUT]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("name", "full", "quick"),
    [
        ("performance", 1_000_000, 1_000_000),
        ("weak_slices", 200_000, 20_000),
        ("calibration", 100_000, 20_000),
        ("fairness", 200_000, 50_000),
        ("robustness", 2_000, 500),
        ("operation", 10_000, 1_000),
        ("explanations", 5_000, 500),
        ("behaviour", 10_000, 1_000),
        ("challenge", 200_000, 20_000),
    ],
)
def test_a_million_rows_are_sampled_where_a_full_pass_is_not_needed(name, full, quick):
    many = Material(signature_of(), truthful, {}, np.zeros(1_000_000), np.array([[0.5]]))
    assert rows_used(name, many, Options()) == full
    assert rows_used(name, many, Options(profile="quick")) == quick
    assert rows_used(name, many, Options(max_rows={name: 7})) == 7
    assert rows_used(name, material_of(predict=truthful), Options(max_rows={name: 10_000})) == 700


def test_a_section_works_on_as_many_rows_as_it_says():
    asked = []

    def predict(given):
        asked.append(len(given["income"]))
        return truthful(given)

    material = material_of(predict=predict)
    options = Options(profile="quick", n_resamples=50, max_rows={"fairness": 400, "weak_slices": 300})
    assert section("fairness", material, options).report.n_rows == 400
    assert section("weak_slices", material, options).n_rows == 300
    assert asked == [400, 300]


def test_examples_and_counterfactuals_are_of_rows_of_the_data_with_their_own_cells_and_scores():
    material = material_of()
    found = section("explanations", material, QUICK)
    scores = material.predict(material.columns)[:, 0]
    assert len(found.examples) == 3
    for example in found.examples:
        assert example.score == pytest.approx(scores[example.row])
        income = next(share.value for share in example.shares if share.name == "income")
        assert income == material.columns["income"][example.row]
    assert found.examples[0].score > 0.5 > found.examples[1].score
    search = found.counterfactuals[0]
    assert search.scores[0] < 0.5 <= search.found[0].scores[0]


def test_counterfactuals_never_change_who_somebody_is():
    material = material_of(predict=harsh_on_women, sensitive={})
    found = section("explanations", material, QUICK)
    assert "Counterfactuals: nobody is advised to change sex." in found.notes
    changed = {change.name for search in found.counterfactuals for one in search.found for change in one.changes}
    assert changed
    assert "sex" not in changed


def test_a_model_in_a_process_of_its_own_is_explained_by_sampling_and_its_operation_says_so():
    material = material_of(predict=truthful)
    found = section("explanations", material, QUICK)
    assert found.attributions.method == "sampled"
    assert {item.name for item in found.attributions.ranking[:2]} == {"debt", "income"}
    operation = section("operation", material, QUICK)
    assert "runs in a process of its own" in operation.notes[0]
    assert operation.latency.cold_start is None


def test_operation_is_judged_by_the_limit_and_priced_by_the_table_that_was_given():
    prices = price_table([{"name": "tiny", "vcpus": 1, "memory_gb": 64, "usd_per_hour": 0.01}])
    material = material_of(prices=prices, machine="a bench")
    options = dataclasses.replace(QUICK, latency_limit_ms=1e-9)
    found = section("operation", material, options)
    assert found.requirement.verdict == "not met"
    assert found.instance.instance.name == "tiny"
    assert found.machine == "a bench"
    assert found.size.total_bytes == 2_001_000
    assert {hint.kind for hint in found.hints.not_considered}.isdisjoint({"encoding", "caching"})
    unlimited = section("operation", material_of(), QUICK)
    assert unlimited.requirement.verdict == "unknown"
    assert "No price table is set: the prices are examples and nobody's." in unlimited.notes


def test_the_threshold_follows_the_costs_and_says_what_it_did_without_any():
    material = material_of(predict=truthful)
    free = section("calibration", material, QUICK)
    assert free.threshold.objective == "youden"
    assert any("no costs were given" in note for note in free.notes)
    dear = section(
        "calibration", material, dataclasses.replace(QUICK, costs=Costs(false_positive=1.0, false_negative=9.0))
    )
    assert dear.threshold.objective == "cost"
    assert dear.threshold.theoretical == pytest.approx(0.1)
    assert dear.threshold.threshold.value < 0.3
    assert dear.notes == ()


def test_rows_of_one_class_leave_reasons_and_not_a_crash():
    material = material_of(predict=truthful)
    material = dataclasses.replace(material, truth=np.ones(700, dtype=np.int64))
    done, missing = examine(material, QUICK)
    assert done["performance"].metrics["roc_auc"].value is None
    assert done["performance"].metrics["roc_auc"].reason
    assert done["calibration"].line.slope.reason == "all rows are of one class"
    assert done["calibration"].methods.reason
    assert set(missing) == {"behaviour", "challenge"}


def test_a_constant_score_is_described_and_not_a_crash():
    done, missing = examine(material_of(predict=lambda given: np.full((len(given["sex"]), 1), 0.4)), QUICK)
    assert not done["performance"].beats_baseline.met
    assert done["robustness"].score.reason
    assert set(missing) == {"behaviour", "challenge"}


def test_scores_that_are_no_probabilities_cost_the_parts_that_need_them():
    done, missing = examine(material_of(predict=lambda given: 3.0 * truthful(given)), QUICK)
    assert "calibration" in done
    assert done["calibration"].curve is None
    assert all("not computed." in note for note in done["calibration"].notes if note.startswith("Reliability"))
    assert missing["fairness"]


def test_answers_that_are_no_numbers_are_refused_with_their_rows():
    def predict(given):
        scores = truthful(given)
        scores[given["income"] > 1.0] = np.nan
        return scores

    material = material_of(predict=predict)
    first = int(np.argmax(material.columns["income"] > 1.0))
    with pytest.raises(NotComputed, match=rf"no finite number for \d+ of 700 rows, the first of them row {first} "):
        section("performance", material, QUICK)
    assert section("robustness", material, QUICK).n_rows_unusable > 0
    with pytest.raises(NotComputed, match=r"Without its metrics there is no evaluation\. The model answers no finite"):
        document_of(material, QUICK)


def test_without_rows_or_columns_each_section_says_what_is_missing():
    columns = {name: values[:0] for name, values in world()[0].items()}
    none = material_of(predict=truthful, columns=columns, truth=np.zeros(0), sensitive={"sex": columns["sex"]})
    done, missing = examine(none, QUICK)
    assert done == {}
    assert missing["performance"] == "There is no row to evaluate on."
    lacking = {name: values for name, values in world()[0].items() if name != "debt"}
    _, missing = examine(material_of(predict=truthful, columns=lacking), QUICK)
    assert missing["explanations"] == "The data has no column 'debt', which the model reads."
    short = {**world()[0], "debt": np.zeros(3)}
    _, missing = examine(material_of(predict=truthful, columns=short), QUICK)
    assert missing["performance"] == "Column 'debt' has shape (3,) for 700 rows."


def test_an_optional_column_that_the_data_lacks_is_empty():
    spec = (*SPEC, Column(name="remark", kind="categorical", required=False))
    signature = Signature(task="binary", target="outcome", columns=spec, classes=CLASSES["binary"])

    def predict(given):
        # A disturbed table may hold text there, but never lacks the column.
        assert given["remark"].dtype == object
        return truthful(given)

    material = dataclasses.replace(material_of(predict=predict), signature=signature)
    done, _ = examine(material, QUICK)
    assert done["robustness"].score.value is not None
    assert done["performance"].n_rows == 700


def test_a_metric_of_another_task_is_refused_with_the_tasks_own():
    with pytest.raises(NotComputed) as refused:
        section("performance", material_of(predict=truthful), dataclasses.replace(QUICK, primary_metric="rmse"))
    assert refused.value.detail == "'rmse' is not a metric of a binary problem."
    assert "roc_auc" in refused.value.hint
    report = section("performance", material_of(), QUICK)
    assert set(metrics_of_task("binary")) == set(report.metrics)
    for task in ("multiclass", "regression"):
        assert set(metrics_of_task(task)) == set(section("performance", material_of(task), QUICK).metrics)


def test_without_a_sensitive_column_fairness_is_not_done_and_the_definition_of_done_says_so():
    document = document_of(material_of(predict=truthful, sensitive={}), QUICK)
    assert document.fairness is None
    assert "No sensitive column was named" in document.not_done["fairness"]
    item = next(item for item in document.definition_of_done.items if item.key == "fairness")
    assert item.status == "unknown"
    assert "No sensitive column was named" in item.reason


def test_a_sensitive_column_that_is_no_group_is_named_and_the_others_are_audited():
    sensitive = {"sex": world()[0]["sex"], "name": np.array([f"person {row}" for row in range(700)], dtype=object)}
    document = document_of(material_of(predict=truthful, sensitive=sensitive), QUICK)
    assert [column.column for column in document.fairness.report.columns] == ["sex"]
    assert "Groups of name: not computed. column 'name' has 700 distinct values" in document.not_done["fairness"]
    with pytest.raises(NotComputed, match="700 distinct values"):
        section("fairness", material_of(predict=truthful, sensitive={"name": sensitive["name"]}), QUICK)


def test_a_group_of_one_is_flagged_and_not_hidden():
    sex = world()[0]["sex"].copy()
    sex[0] = "x"
    found = section("fairness", material_of(predict=truthful, sensitive={"sex": sex}), QUICK)
    alone = next(group for group in found.report.column("sex").groups if group.group == "x")
    assert (alone.n_rows, alone.small) == (1, True)


def test_a_number_is_cut_at_its_quartiles_unless_bins_are_given_and_two_columns_are_crossed():
    age = np.random.default_rng(3).integers(18, 90, size=700).astype(np.float64)
    material = material_of(predict=truthful, sensitive={"age": age, "sex": world()[0]["sex"]})
    found = section("fairness", material, QUICK)
    assert [column.column for column in found.report.columns] == ["age", "sex", "age & sex"]
    assert len(found.report.column("age").groups) == 4
    assert any("cut at its quartiles" in note for note in found.notes)
    cut = section("fairness", material, dataclasses.replace(QUICK, sensitive_bins={"age": [25.0, 60.0]}))
    assert [group.group for group in cut.report.column("age").groups] == ["< 25", "25 to < 60", ">= 60"]


def test_the_favourable_class_turns_rates_mitigation_and_counterfactuals_round():
    material = material_of(predict=harsh_on_women)
    options = dataclasses.replace(FULL, favourable="refused")
    found = section("fairness", material, options)
    groups = {group.group: group.metrics["selection_rate"].value for group in found.report.column("sex").groups}
    refused = truthful_rate(material, lambda scores: scores < 0.5)
    assert groups == pytest.approx(refused)
    best = found.mitigation[0].effects[0]
    assert best.selection_rate_before == pytest.approx(np.mean(list(refused.values())), abs=0.05)
    search = section("explanations", material, dataclasses.replace(QUICK, favourable="refused")).counterfactuals[0]
    assert search.scores[0] >= 0.5 > search.found[0].scores[0]
    with pytest.raises(NotComputed, match="'perhaps' is none of the model's"):
        section("fairness", material, dataclasses.replace(QUICK, favourable="perhaps"))


@pytest.mark.parametrize(("named", "favourable"), [("2", 2), (2, 2)], ids=["text", "number"])
def test_a_favourable_class_of_several_that_is_a_number_may_be_named_as_text(named, favourable):
    material = material_of("multiclass")
    numbered = dataclasses.replace(material, signature=msgspec.structs.replace(material.signature, classes=(0, 1, 2)))
    found = section("explanations", numbered, dataclasses.replace(QUICK, favourable=named))
    assert found.counterfactuals
    assert any(note.endswith(f"towards {favourable}.") for note in found.notes)


def test_a_favourable_class_that_is_true_is_not_the_class_one():
    material = material_of("multiclass")
    numbered = dataclasses.replace(material, signature=msgspec.structs.replace(material.signature, classes=(0, 1, 2)))
    with pytest.raises(NotComputed, match="True is none of the model's"):
        section("explanations", numbered, dataclasses.replace(QUICK, favourable=True))


def truthful_rate(material, called):
    chosen = called(material.predict(material.columns)[:, 0])
    return {who: float(chosen[material.columns["sex"] == who].mean()) for who in ("f", "m")}


def test_the_status_is_the_worst_of_audit_and_law():
    fair = section("fairness", material_of(predict=truthful, purpose="credit"), QUICK)
    assert fair.report.status != "Fail"
    assert fair.status == "Fail"  # sex is an input, and the model decides about credit
    unfair = section("fairness", material_of(predict=harsh_on_women), QUICK)
    assert unfair.status == "Fail"
    assert unfair.report.status == "Fail"


def test_behaviour_tests_that_do_not_fit_are_said_and_failing_ones_undo_the_definition_of_done():
    with pytest.raises(NotComputed, match="No behaviour tests are declared"):
        section("behaviour", material_of(predict=truthful), QUICK)
    with pytest.raises(NotComputed) as refused:
        section("behaviour", material_of(predict=truthful, behaviour=BEHAVIOUR.replace("debt", "dept")), QUICK)
    assert refused.value.errors
    wrong = BEHAVIOUR.replace("expect: decrease", "expect: increase")
    claimed = {"tests": Fact(met=True, evidence=("run_1",))}
    document = document_of(material_of(predict=truthful, behaviour=wrong), QUICK, facts=claimed)
    item = next(item for item in document.definition_of_done.items if item.key == "tests")
    assert (item.status, item.evidence) == ("not_met", ("/behaviour",))
    passing = document_of(material_of(predict=truthful, behaviour=BEHAVIOUR), QUICK, facts=claimed)
    assert next(item for item in passing.definition_of_done.items if item.key == "tests").status == "met"


def test_the_document_shows_several_metrics_the_fold_spread_and_what_was_left_out():
    document = document_of(material_of(predict=truthful), QUICK, fold_values=(0.8, 0.9, 0.85), software={"numpy": "2"})
    metrics = next(item for item in document.definition_of_done.items if item.key == "multiple_metrics")
    assert metrics.evidence == ("/performance/metrics",)
    assert document.fold_spread.mean == pytest.approx(0.85)
    assert document.software == {"numpy": "2"}
    assert document.not_done["challenge"] == "There is no version to compare with."
    one = assemble(document.subject, document.data, {"performance": document.performance}, {}, {}, QUICK)
    assert one.not_done["robustness"] == "It was not asked for."
    assert one.fold_spread is None


def test_a_better_version_is_promoted_and_its_comparison_is_the_paired_one():
    material = material_of(predict=truthful, baseline=baseline_of(half_blind))
    done, _ = examine(material, QUICK)
    found = done["challenge"]
    assert found.recommendation.outcome == "PROMOTE"
    assert found.comparison.metrics == (
        compare_models(
            "binary",
            material.truth,
            half_blind(material.columns),
            truthful(material.columns),
            seed=0,
        ).metrics
    )
    size = next(item for item in found.recommendation.trade_offs if item.name == "Size")
    assert (size.baseline, size.candidate) == (1.0, 2.001)
    latency = next(item for item in found.recommendation.trade_offs if item.unit == "ms")
    assert latency.baseline > 0
    assert latency.candidate == done["operation"].latency.single_row.p95.value_ms


def test_trainings_complexity_and_memory_stand_beside_the_improvement():
    ours = TrainingEffort(seconds=90.0, processors=2)

    def compared(prices=(), **changes):
        larger, smaller = trained(), trained(rounds=3)
        baseline = dataclasses.replace(baseline_of(smaller.predict_columns), predictor=smaller, **changes)
        material = material_of(predictor=larger, baseline=baseline, effort=ours, prices=prices, sensitive={})
        operation = section("operation", material, QUICK)
        found = section("challenge", material, QUICK, {"operation": operation})
        return {item.name: item for item in found.recommendation.trade_offs}, found.notes

    table = price_table(
        [
            {"name": "tiny", "vcpus": 1, "memory_gb": 2, "usd_per_hour": 0.1},
            {"name": "small", "vcpus": 2, "memory_gb": 4, "usd_per_hour": 0.4},
        ]
    )
    found, notes = compared(table, effort=TrainingEffort(seconds=30.0, processors=2))
    time, cost, complexity = found["Training time"], found["Training cost (on small)"], found["Complexity"]
    assert (time.baseline, time.candidate, time.change_percent) == (30.0, 90.0, 200.0)
    assert (cost.baseline, cost.candidate) == (pytest.approx(30 * 0.4 / 3600), pytest.approx(90 * 0.4 / 3600))
    assert "Training time goes from 30 to 90 s (+200 %), for a change of " in time.detail
    assert 0 < complexity.baseline < complexity.candidate <= 15 * 9
    memory = found["Peak memory (200 rows)"]
    assert memory.baseline > 0 < memory.candidate
    assert not notes

    found, notes = compared()
    assert found["Training time"].detail == "Training time of the baseline is not known."
    assert not any("cost" in name for name in found)
    assert notes == ("Training is not priced: no price table is set (ARKWRIGHT_INSTANCE_PRICES).",)
    _, notes = compared(table[:1])
    assert notes == ("Training is not priced: no machine of the price table has as many processors as it held.",)
    came = dataclasses.replace(baseline_of(truthful), subject=msgspec.structs.replace(subject_of(), lineage=CAME))
    found = section("challenge", material_of(predict=truthful, baseline=came), QUICK)
    assert found.notes == ("What training took is not known of either version.",)
    assert [item.name for item in found.recommendation.trade_offs] == ["Size"]


def test_a_worse_version_is_rejected_in_words():
    found = section("challenge", material_of(predict=blind, baseline=baseline_of(half_blind)), QUICK)
    assert found.recommendation.outcome == "REJECT"
    assert found.recommendation.rule == "primary metric worse"
    assert found.recommendation.rationale.startswith("Area under the ROC curve is worse: 0.")
    assert found.version.outcome == "REJECT"


def test_a_version_that_is_hard_on_one_group_is_rejected_in_words_however_good_it_is():
    material = material_of(predict=harsh_on_women, baseline=baseline_of(half_blind))
    found = section("challenge", material, QUICK)
    assert found.comparison.of("roc_auc").outcome == "better"
    assert (found.recommendation.outcome, found.recommendation.rule) == ("REJECT", "unfair")
    assert found.version.outcome == "REJECT"
    sex = material.columns["sex"]
    here, there = (
        audit_binary(material.truth, predict(material.columns)[:, 0], {"sex": sex}, n_resamples=2)
        .column("sex")
        .disparity("disparate_impact_ratio")
        .value.value
        for predict in (harsh_on_women, half_blind)
    )
    told = (
        f"Disparate impact ratio by sex is {written(here, 3)} (lowest: f, highest: m), above 0.8 is "
        f"accepted; it is {written(there, 3)} for the other version."
    )
    assert found.recommendation.rationale == "It is not fair enough."
    assert told in found.recommendation.findings
    document = document_of(material, QUICK)
    assert document.verdict.decision == "no-go"


def test_a_version_whose_groups_cannot_be_compared_is_not_called_fair():
    sex = np.where(np.arange(700) == 0, "f", "m").astype(object)
    material = material_of(predict=truthful, baseline=baseline_of(half_blind), sensitive={"sex": sex})
    found = examine(material, QUICK)[0]["challenge"]
    assert found.comparison.of("roc_auc").outcome == "better"
    assert (found.recommendation.outcome, found.recommendation.rule) == ("ITERATE", "evidence incomplete")
    assert (found.version.outcome, found.version.rule) == ("HOLD", "evidence incomplete")
    assert any("Disparate impact ratio by sex is not computable" in each for each in found.recommendation.findings)


def test_a_version_that_a_regulation_speaks_against_is_rejected_in_its_words():
    material = material_of(predict=truthful, baseline=baseline_of(half_blind), purpose="credit")
    done, _ = examine(material, QUICK)
    assert done["fairness"].report.status != "Fail"
    found = done["challenge"].recommendation
    assert (found.outcome, found.rule) == ("REJECT", "unfair")
    assert found.rationale.startswith("A regulation speaks against it: ")


def test_a_guardrail_rejects_what_the_primary_metric_would_let_through():
    def overconfident(given):
        return 1 / (1 + np.exp(-12.0 * (given["income"] - given["debt"])))[:, None]

    options = dataclasses.replace(QUICK, guardrails=(Guardrail(metric="log_loss"),))
    material = material_of(predict=overconfident, baseline=baseline_of(half_blind), sensitive={})
    found = section("challenge", material, options)
    assert found.comparison.of("roc_auc").outcome == "better"
    assert (found.recommendation.outcome, found.recommendation.rule) == ("REJECT", "guardrail worse")


def test_the_same_classes_in_another_order_are_put_in_order_first():
    turned = Signature(task="binary", target="outcome", columns=SPEC, classes=("granted", "refused"))
    straight = section("challenge", material_of(predict=truthful, baseline=baseline_of(half_blind)), QUICK)
    found = section(
        "challenge",
        material_of(predict=truthful, baseline=baseline_of(lambda given: 1.0 - half_blind(given), turned)),
        QUICK,
    )
    before, after = (item.comparison.of("roc_auc").baseline for item in (straight, found))
    assert after == pytest.approx(before)
    assert found.version.schema.classes_reordered


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"columns": (*SPEC, Column(name="rating", kind="numeric"))}, "reads 'rating', which the data lacks"),
        ({"task": "regression", "classes": ()}, "answers a regression problem and this one a binary one"),
        ({"classes": ("refused", "paid")}, "knows the classes refused, paid and this one refused, granted"),
    ],
)
def test_versions_that_cannot_answer_the_same_rows_are_not_compared(changes, reason):
    signature = msgspec.structs.replace(signature_of(), **changes)
    with pytest.raises(NotComputed, match=reason):
        section("challenge", material_of(predict=truthful, baseline=baseline_of(half_blind, signature)), QUICK)


def test_a_model_that_is_out_of_reach_is_worth_another_attempt():
    def predict(given):
        raise Unavailable("The model's process is starting.")

    with pytest.raises(Unavailable):
        section("explanations", material_of(predict=predict), QUICK)


def test_not_computed_is_an_invalid_input_with_a_code():
    assert issubclass(NotComputed, Invalid)
    assert NotComputed("why").code == "evaluation.not_computed"
