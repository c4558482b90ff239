"""Evaluations to make words and cards of: small, and computed by the noun files themselves."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column
from arkwright.evaluation.attribution_summary import global_attributions
from arkwright.evaluation.attributions import sampled_attributions
from arkwright.evaluation.behaviour import run_behaviour
from arkwright.evaluation.behaviour_spec import parse_behaviour
from arkwright.evaluation.calibration import calibration_error, multiclass_calibration, reliability_curve
from arkwright.evaluation.comparison import compare_models
from arkwright.evaluation.decision import decide_version, recommend
from arkwright.evaluation.fairness import audit_binary, audit_multiclass
from arkwright.evaluation.latency import (
    LatencyProfile,
    SingleRowLatency,
    Throughput,
    Timing,
    check_latency,
)
from arkwright.evaluation.losses import row_losses
from arkwright.evaluation.mitigation import compare_mitigations
from arkwright.evaluation.model_evaluation import (
    CalibrationSection,
    ChallengeSection,
    DataUsed,
    ExplanationSection,
    FairnessSection,
    GoNoGo,
    ModelEvaluation,
    OperationSection,
    Subject,
)
from arkwright.evaluation.optimisation_hints import Measured, find_optimisation_hints
from arkwright.evaluation.proxies import find_proxies
from arkwright.evaluation.recalibration import compare_calibrations
from arkwright.evaluation.regulation import regulatory_flags
from arkwright.evaluation.report import evaluate
from arkwright.evaluation.resources import MemoryUse, cpu_use, model_size, price_table, recommend_instance
from arkwright.evaluation.robustness import assess_robustness
from arkwright.evaluation.signature_change import schema_compatibility
from arkwright.evaluation.slices import find_weak_slices
from arkwright.evaluation.thresholds import Costs, choose_threshold
from tests.unit.evaluation import robust_cases

DIGEST = "sha256:" + "ab" * 32
N_RESAMPLES = 50
BEHAVIOUR = """
tests:
  - {name: more schooling helps, type: directional, column: education-num, increase_by: 1, expect: increase}
  - {name: sex does not matter, type: invariance, column: sex, swap: [Male, Female], tolerance: 0.0001}
"""
_NOTHING_SAID = GoNoGo(decision="conditional", confidence="low", confidence_reason="", reasons=())


def subject_of(signature: Signature, **changes) -> Subject:
    return msgspec.structs.replace(
        Subject(
            model_name="income",
            model_version_id="mv_1",
            version="1.2.0",
            number=3,
            bundle_digest=DIGEST,
            task=signature.task,
            target=signature.target,
            inputs=tuple(column.name for column in signature.columns),
            classes=signature.classes,
            learner="logistic",
        ),
        **changes,
    )


def operation(limit_ms=50.0) -> OperationSection:
    single = SingleRowLatency(
        p50=Timing(value_ms=0.4123),
        p95=Timing(value_ms=0.951),
        p99=Timing(value_ms=2.7182),
        requests_per_second=2_100.0,
        n_calls=1_000,
        n_blocks=5,
        block_calls=200,
    )
    cpu = cpu_use(0.5, 0.5, 1_000)
    return OperationSection(
        latency=LatencyProfile(
            single_row=single,
            batches=(),
            throughput=Throughput(
                requests_per_second=2_100.0, rows_per_second=None, best_batch_rows=None, reason="not asked"
            ),
            cold_start=None,
            cold_start_reason="no loader was given",
            budget_seconds=1.0,
            spent_seconds=0.5,
        ),
        requirement=check_latency(single, limit_ms),
        size=model_size({"manifest.json": 900, "estimator.json": 48_211}),
        memory=MemoryUse(traced_peak_bytes=1_000_000, resident_peak_bytes=None, resident_growth_bytes=None),
        cpu=cpu,
        instance=recommend_instance(
            price_table([{"name": "small", "vcpus": 2, "memory_gb": 4, "usd_per_hour": 0.05}]),
            cpu=cpu,
            peak_memory_bytes=1_000_000,
            wanted_per_second=10.0,
        ),
        hints=find_optimisation_hints(Measured(metric="roc_auc", value=0.9, repeated_share=0.3, n_rows=400)),
    )


@cache
def binary() -> ModelEvaluation:
    """Adult under a logistic model: every section, unfair and not very robust."""
    predict, signature, train, columns, truth = robust_cases.adult()
    scores, reference = predict(columns), np.full((truth.size, 1), 0.24)
    robustness = assess_robustness(predict, signature, columns, truth, seed=0, reference=train, max_rows=80)
    sensitive = {"sex": columns["sex"], "race": columns["race"]}
    fairness = audit_binary(truth, scores[:, 0], sensitive, n_resamples=N_RESAMPLES)
    flags = regulatory_flags(
        inputs=[column.name for column in signature.columns],
        sensitive=tuple(sensitive),
        purpose="credit",
        fairness=fairness,
    )
    worse = 0.5 * scores + 0.25 * np.random.default_rng(1).random(scores.shape)
    comparison = compare_models("binary", truth, scores, worse, seed=0, n_resamples=N_RESAMPLES)
    schema = schema_compatibility(signature, signature)
    return ModelEvaluation(
        subject=subject_of(signature),
        data=DataUsed(
            name="adult", basis="holdout", n_rows=truth.size, n_rows_used=truth.size, sensitive=("sex", "race")
        ),
        performance=evaluate(signature, truth, scores, reference, seed=0, n_resamples=200),
        verdict=_NOTHING_SAID,
        summary=(),
        weak_slices=find_weak_slices(
            columns,
            row_losses("log_loss", truth, np.hstack((1 - scores, scores))),
            seed=0,
            loss="log loss",
            n_resamples=N_RESAMPLES,
        ),
        calibration=CalibrationSection(
            curve=reliability_curve(truth, scores[:, 0]),
            error=calibration_error(truth, scores[:, 0], seed=0, n_resamples=N_RESAMPLES),
            methods=compare_calibrations(truth, scores, seed=0, n_resamples=N_RESAMPLES),
            threshold=choose_threshold(
                truth, scores[:, 0], seed=0, costs=Costs(false_negative=5.0), n_resamples=N_RESAMPLES
            ),
        ),
        fairness=FairnessSection(
            status="Fail",
            report=fairness,
            proxies=(find_proxies(columns, columns["sex"], attribute="sex", joint=False),),
            mitigation=(
                compare_mitigations(truth, scores[:, 0], columns["sex"], column="sex", n_resamples=N_RESAMPLES),
            ),
            regulation=flags,
        ),
        robustness=robustness,
        operation=operation(),
        explanations=ExplanationSection(
            attributions=global_attributions(
                sampled_attributions(
                    predict,
                    {name: values[:30] for name, values in columns.items()},
                    train,
                    list(columns),
                    outputs=(">50K",),
                    seed=0,
                    n_pairs=5,
                ),
                seed=0,
                n_resamples=N_RESAMPLES,
            )
        ),
        behaviour=run_behaviour(parse_behaviour(BEHAVIOUR), predict, signature, columns),
        challenge=ChallengeSection(
            baseline=subject_of(signature, version="1.1.0", number=2),
            comparison=comparison,
            recommendation=recommend(comparison, primary="roc_auc"),
            version=decide_version(comparison, schema, primary="roc_auc"),
        ),
    )


@cache
def good() -> ModelEvaluation:
    """A binary model with which nothing is wrong: what speaks against the Adult model is taken out."""
    rng = np.random.default_rng(2)
    probability = rng.uniform(0.02, 0.98, 2_000)
    truth = (rng.random(2_000) < probability).astype(np.int64)
    group = rng.choice(["a", "b"], 2_000)
    columns = tuple(Column(name=name, kind="numeric") for name in ("x1", "x2"))
    signature = Signature(task="binary", target="left", columns=columns, classes=(False, True))
    fairness = audit_binary(truth, probability, {"group": group}, n_resamples=N_RESAMPLES)
    return msgspec.structs.replace(
        binary(),
        subject=subject_of(signature),
        data=DataUsed(name="calls", basis="holdout", n_rows=2_010, n_rows_used=2_000),
        performance=evaluate(
            signature, truth, probability[:, None], np.full((2_000, 1), 0.4), seed=0, n_resamples=N_RESAMPLES
        ),
        weak_slices=find_weak_slices(
            {"group": group},
            row_losses("log_loss", truth, np.column_stack((1 - probability, probability))),
            seed=0,
            n_resamples=N_RESAMPLES,
        ),
        calibration=CalibrationSection(error=calibration_error(truth, probability, seed=0, n_resamples=N_RESAMPLES)),
        fairness=FairnessSection(status=fairness.status, report=fairness),
        robustness=msgspec.structs.replace(
            binary().robustness,
            catastrophic=(),
            rating="Acceptable",
            score=msgspec.structs.replace(binary().robustness.score, value=8.2),
        ),
        explanations=None,
        behaviour=None,
        challenge=None,
    )


@cache
def multiclass() -> ModelEvaluation:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 240)
    raw = rng.random((240, 3)) + 1.5 * np.eye(3)[truth]
    scores = raw / raw.sum(axis=1, keepdims=True)
    columns = tuple(Column(name=name, kind="numeric") for name in ("len", "wid"))
    signature = Signature(task="multiclass", target="kind", columns=columns, classes=(1, 2, 3))
    return ModelEvaluation(
        subject=subject_of(signature),
        data=DataUsed(name="flowers", basis="given", n_rows=240, n_rows_used=240),
        performance=evaluate(signature, truth, scores, np.full((240, 3), 1 / 3), seed=0, n_resamples=N_RESAMPLES),
        verdict=_NOTHING_SAID,
        summary=(),
        calibration=CalibrationSection(
            multiclass=multiclass_calibration(truth, scores, seed=0, n_resamples=N_RESAMPLES)
        ),
        not_done={"fairness": "No sensitive column was named.", "robustness": "The 2 minutes for it were over."},
    )


@cache
def unfair_multiclass() -> ModelEvaluation:
    """Three classes, each audited in turn, and a model that answers the first one for one group only."""
    rng = np.random.default_rng(6)
    truth, group = rng.integers(0, 3, 600), rng.choice(["u", "v"], 600)
    scores = np.full((600, 3), 0.2)
    scores[np.arange(600), np.where(group == "u", 0, truth)] = 0.6
    report = audit_multiclass(truth, scores, {"group": group}, labels=(1, 2, 3), n_resamples=N_RESAMPLES)
    return msgspec.structs.replace(multiclass(), fairness=FairnessSection(status=report.status, report=report))


@cache
def regression() -> ModelEvaluation:
    rng = np.random.default_rng(5)
    size = rng.normal(100, 30, 1_200)
    truth = 3 * size + rng.normal(0, 20, size.size)
    columns = tuple(Column(name=name, kind="numeric") for name in ("size", "age"))
    signature = Signature(task="regression", target="price", columns=columns)
    return ModelEvaluation(
        subject=subject_of(signature),
        data=DataUsed(name="houses", basis="holdout", n_rows=1_200, n_rows_used=1_200),
        performance=evaluate(
            signature, truth, (3 * size)[:, None], np.full((1_200, 1), 300.0), seed=0, n_resamples=N_RESAMPLES
        ),
        verdict=_NOTHING_SAID,
        summary=(),
    )


ALL = (binary, good, multiclass, unfair_multiclass, regression)
