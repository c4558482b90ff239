"""Evaluations to make pages of: every section on real data, hardly any, and the other tasks."""

from __future__ import annotations

from functools import cache

import lightgbm
import msgspec
import numpy as np

from arkwright.bundles import LightGBMEvaluator, Predictor, fit_encoder
from arkwright.contracts import Column, Signature
from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.declared_slices import DeclaredSlice, SliceBounds
from arkwright.evaluation.definition_of_done import Fact
from arkwright.evaluation.examination import Baseline, Material, Options, assemble, examine
from arkwright.evaluation.model_evaluation import DataUsed, GoNoGo, ModelEvaluation, Sentence, Subject
from arkwright.evaluation.report import evaluate
from arkwright.evaluation.thresholds import Costs
from tests.unit.evaluation.robust_cases import adult

DIGEST = "sha256:" + "0123456789abcdef" * 4
BEHAVIOUR = """
tests:
  - {name: sex alone changes little, type: invariance, column: sex, swap: [Male, Female], tolerance: 0.05}
  - {name: a gain never hurts, type: directional, column: capital-gain, increase_by: 20000, expect: increase}
"""


def subject_of(signature: Signature, **changes) -> Subject:
    subject = Subject(
        model_name="income",
        model_version_id="mver_01",
        version="1.2.0",
        number=3,
        bundle_digest=DIGEST,
        task=signature.task,
        target=signature.target,
        inputs=tuple(column.name for column in signature.columns),
        classes=signature.classes,
        learner="lightgbm",
        lineage={"run": "run_01", "dataset version": "dver_01", "seed": "0"},
    )
    return msgspec.structs.replace(subject, **changes)


def boosted(signature, train, truth, rounds, **settings):
    """Fit a small LightGBM model to a table."""
    encoder = fit_encoder(signature.columns, train, layout="tree")
    extra = {"num_class": len(signature.classes)} if signature.task == "multiclass" else {}
    fitted = lightgbm.train(
        {"objective": signature.task, "num_leaves": 8, "verbosity": -1, "num_threads": 1, **extra, **settings},
        lightgbm.Dataset(encoder.encode_columns(train), truth),
        rounds,
    )
    return Predictor(signature, encoder, LightGBMEvaluator(fitted.model_to_string()))


def material_of(predictor, columns, truth, train, reference, **given) -> Material:
    return Material(
        signature=predictor.signature,
        predict=predictor.predict_columns,
        columns=columns,
        truth=truth,
        reference_scores=np.tile(np.asarray(reference, dtype=np.float64), (truth.size, 1)),
        training=train,
        predictor=predictor,
        load=lambda: predictor.predict_columns,
        sizes={"manifest.json": 1_234, "model.json": 345_678},
        learner="lightgbm",
        machine="a machine with two cores",
        **given,
    )


def document_of(material, options, *, name="adult, holdout", **changes) -> ModelEvaluation:
    sections, not_done = examine(material, options)
    data = DataUsed(
        name=name,
        basis="holdout",
        n_rows=material.truth.size + 4,
        n_rows_used=material.truth.size,
        dataset_version_id="dver_01",
        fingerprint="sha256:" + "fe" * 32,
        sensitive=tuple(material.sensitive),
        rows_by_section={"robustness": 100, "explanations": 150},
    )
    return assemble(
        subject_of(material.signature, **changes),
        data,
        sections,
        not_done,
        {"signature": Fact(met=True, evidence=("evd_01",)), "rollback": Fact(met=False, reason="nobody wrote it down")},
        options,
        fold_values=(0.89, 0.91, 0.9),
        software={"arkwright": "0.1.0", "lightgbm": lightgbm.__version__},
    )


@cache
def whole() -> ModelEvaluation:
    """Adult under a small boosted model: every section, against an even smaller one."""
    _, signature, train, columns, truth = adult()
    rows = np.random.default_rng(0).permutation(truth.size)[:200]
    fitted = boosted(signature, {name: values[rows] for name, values in columns.items()}, truth[rows], 2)
    baseline = Baseline(
        subject=subject_of(signature, version="1.1.0", number=2, bundle_digest="sha256:" + "ab" * 32),
        signature=signature,
        predict=fitted.predict_columns,
        sizes={"model.json": 34_567},
        predictor=fitted,
    )
    material = material_of(
        boosted(signature, *training(), 25),
        columns,
        truth,
        train,
        [0.24],
        sensitive={name: columns[name] for name in ("sex", "race", "age")},
        slice_columns={name: columns[name] for name in ("sex", "age")},
        behaviour=BEHAVIOUR,
        baseline=baseline,
        purpose="credit",
    )
    options = Options(
        n_resamples=100,
        costs=Costs(false_positive=1.0, false_negative=3.0),
        latency_limit_ms=50.0,
        wanted_per_second=200.0,
        sensitive_bins={"age": (30, 50)},
        limits=(ColumnLimit(name="native-country", fixed=True), ColumnLimit(name="education-num", direction="up")),
        max_rows={"robustness": 100, "explanations": 150, "operation": 100, "behaviour": 200},
        slices=(
            DeclaredSlice(name="young women", where={"sex": "Female", "age": SliceBounds(high=30)}),
            DeclaredSlice(name="nobody", where={"sex": "Other"}),
        ),
    )
    return document_of(material, options, description="Tells whether a person earns more than $50,000 a year.")


def training():
    """Return the training rows of Adult and their truth."""
    from pathlib import Path

    import pandas as pd

    table = pd.read_csv(Path(__file__).with_name("adult_1500.csv.gz"))[:1000]
    return adult()[2], (table["class"] == ">50K").to_numpy().astype(np.int64)


@cache
def minimal() -> ModelEvaluation:
    """Only what a document must hold."""
    signature = Signature(task="binary", target="y", columns=(Column(name="x", kind="numeric"),), classes=("no", "yes"))
    truth = np.array([0, 1] * 30)
    scores = np.where(np.arange(60) % 7 == 0, 1.0 - truth, truth)[:, None] * 0.6 + 0.2
    return ModelEvaluation(
        subject=subject_of(signature, lineage={}, learner=""),
        data=DataUsed(name="given.csv", basis="given", n_rows=60, n_rows_used=60),
        performance=evaluate(signature, truth, scores, np.full((60, 1), 0.5), seed=0, n_resamples=50),
        verdict=GoNoGo(
            decision="conditional",
            confidence="low",
            confidence_reason="Only the metrics were computed.",
            reasons=(Sentence(text="Nothing is known of fairness.", evidence=("/fairness",)),),
        ),
        summary=(),
        not_done={"fairness": "no sensitive column was declared"},
    )


def synthetic(task, n_rows=400, seed=0):
    """Two numbers, a category, and a group that is no input."""
    rng = np.random.default_rng(seed)
    columns = {
        "size": rng.normal(50.0, 12.0, n_rows).round(1),
        "age": rng.uniform(0, 90, n_rows).round(),
        "quarter": np.array(["north", "south", "west"], dtype=object)[rng.integers(0, 3, n_rows)],
    }
    value = columns["size"] * 2_000 - columns["age"] * 400 + 9_000 * (columns["quarter"] == "west")
    value = value + rng.normal(0, 8_000, n_rows)
    classes = {"regression": (), "multiclass": ("cheap", "fair", "dear")}[task]
    truth = value if task == "regression" else np.digitize(value, np.quantile(value, [0.3, 0.7]))
    spec = tuple(
        Column(name=name, kind="categorical" if values.dtype == object else "numeric")
        for name, values in columns.items()
    )
    signature = Signature(task=task, target="price", columns=spec, classes=classes)
    groups = {"owner": np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n_rows)]}
    return signature, columns, truth, groups


@cache
def other(task) -> ModelEvaluation:
    """A regression or a multiclass model."""
    signature, columns, truth, groups = synthetic(task)
    train = {name: values[:250] for name, values in columns.items()}
    test = {name: values[250:] for name, values in columns.items()}
    predictor = boosted(signature, train, truth[:250], 15)
    reference = [float(truth[:250].mean())] if task == "regression" else [0.3, 0.4, 0.3]
    material = material_of(predictor, test, truth[250:], train, reference, sensitive={"owner": groups["owner"][250:]})
    options = Options(
        profile="quick",
        n_resamples=50,
        max_rows={"robustness": 80, "explanations": 100, "operation": 50},
    )
    return document_of(material, options, name=f"prices, {task}", model_name="prices")
