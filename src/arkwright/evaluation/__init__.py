"""How good a model is, how sure we are, for whom, how robust, how fast, and why.

Everything here is computed, never narrated by a language model. The noun files take plain arrays and answer with frozen
structs, and are usable as a library; :class:`EvaluationService` files what they find as evidence about a bundle, and
gates read it there, never here. A number that cannot be computed says why (:class:`Interval`'s ``reason``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.evaluation.attribution_summary import (
        GlobalAttributions,
        LocalExplanation,
        global_attributions,
        local_explanations,
    )
    from arkwright.evaluation.attributions import Attributions, attribute, sampled_attributions
    from arkwright.evaluation.behaviour import BehaviourReport, BehaviourResult, BehaviourRunner, run_behaviour
    from arkwright.evaluation.behaviour_spec import BehaviourSpec, BehaviourTest, MinimumFunctionality, parse_behaviour
    from arkwright.evaluation.calibration import (
        brier_decomposition,
        calibration_error,
        calibration_line,
        multiclass_calibration,
        reliability_curve,
    )
    from arkwright.evaluation.card import IntendedUse, ModelCard, model_card
    from arkwright.evaluation.card_page import render_card_page
    from arkwright.evaluation.card_signature import (
        CardStatement,
        CitedDigests,
        card_statement,
        cited_digests,
        document_sha256,
        expect_digest,
        sign_card,
    )
    from arkwright.evaluation.card_text import render_card
    from arkwright.evaluation.classification import classification_metrics, classification_replicates
    from arkwright.evaluation.comparison import ModelComparison, compare_models
    from arkwright.evaluation.counterfactual import ColumnLimit, WantedOutcome, find_counterfactuals, wanted_class
    from arkwright.evaluation.decision import (
        Criterion,
        FairnessEvidence,
        Guardrail,
        Recommendation,
        VersionDecision,
        decide_version,
        recommend,
    )
    from arkwright.evaluation.declared_slices import SliceTable, slice_table
    from arkwright.evaluation.definition_of_done import DefinitionOfDone, Fact, check_definition_of_done
    from arkwright.evaluation.disparity import Rules
    from arkwright.evaluation.evaluation_request import question_of
    from arkwright.evaluation.evidence import check_numbers
    from arkwright.evaluation.examination import assemble, examine
    from arkwright.evaluation.experiment_definition import StatedDefinition, check_stated_metrics
    from arkwright.evaluation.fairness import (
        FairnessReport,
        audit_binary,
        audit_multiclass,
        audit_regression,
        sensitive_groups,
    )
    from arkwright.evaluation.forecasting import ForecastReport, evaluate_forecasts
    from arkwright.evaluation.groups import Groups, binned, groups_of
    from arkwright.evaluation.housekeeping import EvaluationHousekeeping
    from arkwright.evaluation.importance import (
        FeatureImportance,
        GroupImportance,
        correlated_groups,
        group_importance,
        permutation_importance,
    )
    from arkwright.evaluation.intervals import (
        FoldSpread,
        Interval,
        PairedDifference,
        bootstrap,
        fold_spread,
        metric_intervals,
        paired_differences,
    )
    from arkwright.evaluation.latency import LatencyProfile, profile_latency
    from arkwright.evaluation.material import Baseline, Material, Options
    from arkwright.evaluation.metric import METRICS, MetricInfo
    from arkwright.evaluation.mitigation import MitigationReport, compare_mitigations
    from arkwright.evaluation.model_evaluation import ModelEvaluation
    from arkwright.evaluation.optimisation_hints import OptimisationHints, find_optimisation_hints
    from arkwright.evaluation.paired_tests import delong_test, diebold_mariano_test, holm_adjusted, mcnemar_test
    from arkwright.evaluation.payloads import GuardrailMetric, SuccessCriterion
    from arkwright.evaluation.ports import Experiments
    from arkwright.evaluation.proportion import wilson_interval
    from arkwright.evaluation.proxies import ProxyReport, find_proxies
    from arkwright.evaluation.recalibration import compare_calibrations, fit_calibration
    from arkwright.evaluation.recommendations import monitoring_of, recommendations_of
    from arkwright.evaluation.regression import regression_metrics
    from arkwright.evaluation.regulation import RegulatoryReport, overall_status, regulatory_flags
    from arkwright.evaluation.report import PRIMARY_METRIC, EvaluationReport, as_probability, evaluate, score_metric
    from arkwright.evaluation.report_page import render_report
    from arkwright.evaluation.resources import (
        EXAMPLE_PRICES,
        InstanceRecommendation,
        model_size,
        price_table,
        recommend_instance,
    )
    from arkwright.evaluation.retention import Retention
    from arkwright.evaluation.robustness import RobustnessReport, assess_robustness
    from arkwright.evaluation.service import EvaluationService
    from arkwright.evaluation.signature_change import SchemaCompatibility, schema_compatibility
    from arkwright.evaluation.slices import WeakSlices, find_weak_slices
    from arkwright.evaluation.summary import summary_of
    from arkwright.evaluation.thresholds import Costs, ThresholdChoice, choose_threshold
    from arkwright.evaluation.trade_offs import Resource
    from arkwright.evaluation.training_effort import TrainingEffort
    from arkwright.evaluation.verdict import verdict_of

_HOMES = {
    "Experiments": "ports",
    "GuardrailMetric": "payloads",
    "StatedDefinition": "experiment_definition",
    "SuccessCriterion": "payloads",
    "TrainingEffort": "training_effort",
    "check_stated_metrics": "experiment_definition",
    "question_of": "evaluation_request",
    "expect_digest": "card_signature",
    "document_sha256": "card_signature",
    "assemble": "examination",
    "examine": "examination",
    "Baseline": "material",
    "Options": "material",
    "Material": "material",
    "CitedDigests": "card_signature",
    "CardStatement": "card_signature",
    "cited_digests": "card_signature",
    "card_statement": "card_signature",
    "sign_card": "card_signature",
    "render_card_page": "card_page",
    "render_card": "card_text",
    "model_card": "card",
    "ModelCard": "card",
    "IntendedUse": "card",
    "monitoring_of": "recommendations",
    "recommendations_of": "recommendations",
    "summary_of": "summary",
    "verdict_of": "verdict",
    "check_numbers": "evidence",
    "render_report": "report_page",
    "ModelEvaluation": "model_evaluation",
    "WantedOutcome": "counterfactual",
    "ColumnLimit": "counterfactual",
    "wanted_class": "counterfactual",
    "find_counterfactuals": "counterfactual",
    "group_importance": "importance",
    "correlated_groups": "importance",
    "GroupImportance": "importance",
    "LocalExplanation": "attribution_summary",
    "GlobalAttributions": "attribution_summary",
    "local_explanations": "attribution_summary",
    "global_attributions": "attribution_summary",
    "sampled_attributions": "attributions",
    "attribute": "attributions",
    "Attributions": "attributions",
    "as_probability": "report",
    "assess_robustness": "robustness",
    "RobustnessReport": "robustness",
    "audit_binary": "fairness",
    "audit_multiclass": "fairness",
    "audit_regression": "fairness",
    "BehaviourReport": "behaviour",
    "BehaviourResult": "behaviour",
    "BehaviourRunner": "behaviour",
    "BehaviourSpec": "behaviour_spec",
    "BehaviourTest": "behaviour_spec",
    "binned": "groups",
    "bootstrap": "intervals",
    "brier_decomposition": "calibration",
    "calibration_error": "calibration",
    "calibration_line": "calibration",
    "choose_threshold": "thresholds",
    "classification_metrics": "classification",
    "classification_replicates": "classification",
    "compare_calibrations": "recalibration",
    "compare_mitigations": "mitigation",
    "compare_models": "comparison",
    "Costs": "thresholds",
    "Criterion": "decision",
    "decide_version": "decision",
    "check_definition_of_done": "definition_of_done",
    "DefinitionOfDone": "definition_of_done",
    "delong_test": "paired_tests",
    "diebold_mariano_test": "paired_tests",
    "evaluate": "report",
    "evaluate_forecasts": "forecasting",
    "EvaluationReport": "report",
    "EvaluationHousekeeping": "housekeeping",
    "EvaluationService": "service",
    "Retention": "retention",
    "wilson_interval": "proportion",
    "EXAMPLE_PRICES": "resources",
    "Fact": "definition_of_done",
    "FairnessEvidence": "decision",
    "FairnessReport": "fairness",
    "FeatureImportance": "importance",
    "find_proxies": "proxies",
    "find_weak_slices": "slices",
    "fit_calibration": "recalibration",
    "fold_spread": "intervals",
    "FoldSpread": "intervals",
    "ForecastReport": "forecasting",
    "Groups": "groups",
    "groups_of": "groups",
    "Guardrail": "decision",
    "holm_adjusted": "paired_tests",
    "InstanceRecommendation": "resources",
    "Interval": "intervals",
    "LatencyProfile": "latency",
    "mcnemar_test": "paired_tests",
    "metric_intervals": "intervals",
    "MetricInfo": "metric",
    "METRICS": "metric",
    "MinimumFunctionality": "behaviour_spec",
    "MitigationReport": "mitigation",
    "model_size": "resources",
    "ModelComparison": "comparison",
    "multiclass_calibration": "calibration",
    "find_optimisation_hints": "optimisation_hints",
    "OptimisationHints": "optimisation_hints",
    "overall_status": "regulation",
    "paired_differences": "intervals",
    "PairedDifference": "intervals",
    "parse_behaviour": "behaviour_spec",
    "permutation_importance": "importance",
    "price_table": "resources",
    "PRIMARY_METRIC": "report",
    "profile_latency": "latency",
    "ProxyReport": "proxies",
    "recommend": "decision",
    "recommend_instance": "resources",
    "Recommendation": "decision",
    "regression_metrics": "regression",
    "regulatory_flags": "regulation",
    "RegulatoryReport": "regulation",
    "reliability_curve": "calibration",
    "Resource": "trade_offs",
    "Rules": "disparity",
    "run_behaviour": "behaviour",
    "schema_compatibility": "signature_change",
    "SchemaCompatibility": "signature_change",
    "score_metric": "report",
    "sensitive_groups": "fairness",
    "slice_table": "declared_slices",
    "SliceTable": "declared_slices",
    "ThresholdChoice": "thresholds",
    "VersionDecision": "decision",
    "WeakSlices": "slices",
}

__all__ = [
    "EXAMPLE_PRICES",
    "METRICS",
    "PRIMARY_METRIC",
    "Attributions",
    "Baseline",
    "BehaviourReport",
    "BehaviourResult",
    "BehaviourRunner",
    "BehaviourSpec",
    "BehaviourTest",
    "CardStatement",
    "CitedDigests",
    "ColumnLimit",
    "Costs",
    "Criterion",
    "DefinitionOfDone",
    "EvaluationHousekeeping",
    "EvaluationReport",
    "EvaluationService",
    "Experiments",
    "Fact",
    "FairnessEvidence",
    "FairnessReport",
    "FeatureImportance",
    "FoldSpread",
    "ForecastReport",
    "GlobalAttributions",
    "GroupImportance",
    "Groups",
    "Guardrail",
    "GuardrailMetric",
    "InstanceRecommendation",
    "IntendedUse",
    "Interval",
    "LatencyProfile",
    "LocalExplanation",
    "Material",
    "MetricInfo",
    "MinimumFunctionality",
    "MitigationReport",
    "ModelCard",
    "ModelComparison",
    "ModelEvaluation",
    "OptimisationHints",
    "Options",
    "PairedDifference",
    "ProxyReport",
    "Recommendation",
    "RegulatoryReport",
    "Resource",
    "Retention",
    "RobustnessReport",
    "Rules",
    "SchemaCompatibility",
    "SliceTable",
    "StatedDefinition",
    "SuccessCriterion",
    "ThresholdChoice",
    "TrainingEffort",
    "VersionDecision",
    "WantedOutcome",
    "WeakSlices",
    "as_probability",
    "assemble",
    "assess_robustness",
    "attribute",
    "audit_binary",
    "audit_multiclass",
    "audit_regression",
    "binned",
    "bootstrap",
    "brier_decomposition",
    "calibration_error",
    "calibration_line",
    "card_statement",
    "check_definition_of_done",
    "check_numbers",
    "check_stated_metrics",
    "choose_threshold",
    "cited_digests",
    "classification_metrics",
    "classification_replicates",
    "compare_calibrations",
    "compare_mitigations",
    "compare_models",
    "correlated_groups",
    "decide_version",
    "delong_test",
    "diebold_mariano_test",
    "document_sha256",
    "evaluate",
    "evaluate_forecasts",
    "examine",
    "expect_digest",
    "find_counterfactuals",
    "find_optimisation_hints",
    "find_proxies",
    "find_weak_slices",
    "fit_calibration",
    "fold_spread",
    "global_attributions",
    "group_importance",
    "groups_of",
    "holm_adjusted",
    "local_explanations",
    "mcnemar_test",
    "metric_intervals",
    "model_card",
    "model_size",
    "monitoring_of",
    "multiclass_calibration",
    "overall_status",
    "paired_differences",
    "parse_behaviour",
    "permutation_importance",
    "price_table",
    "profile_latency",
    "question_of",
    "recommend",
    "recommend_instance",
    "recommendations_of",
    "regression_metrics",
    "regulatory_flags",
    "reliability_curve",
    "render_card",
    "render_card_page",
    "render_report",
    "run_behaviour",
    "sampled_attributions",
    "schema_compatibility",
    "score_metric",
    "sensitive_groups",
    "sign_card",
    "slice_table",
    "summary_of",
    "verdict_of",
    "wanted_class",
    "wilson_interval",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
