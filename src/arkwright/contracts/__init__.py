"""What the planes say to each other.

The control plane, the data planes and the rooms agree on these shapes and on nothing else:

=====================  ==============================================================
``signature``          the typed columns a model takes
``bundle``             :class:`BundleManifest`, the table of contents of a packaged model
``baseline``           :class:`Baseline`, what the training data looked like
``plan``               :class:`RoutePlan`, which bundle answers which endpoint, and whose keys count
``prediction``         :class:`PredictionRecord`, :class:`OutcomeRecord` and the log segments
``window``             :class:`WindowReport`, what a data plane saw in its last seconds
``load_test``          :class:`LoadTestReport`, what a client measured, and the rule that judges it
=====================  ==============================================================

They are msgspec structs: immutable, typed, quick to decode, and cheap to import.
"""

from arkwright.contracts.baseline import Baseline, CategoricalBaseline, NumericBaseline
from arkwright.contracts.bundle import BundleFile, BundleManifest, ParityRecord
from arkwright.contracts.load_test import LoadTestReport, LoadVerdict, judge_load
from arkwright.contracts.plan import (
    Arm,
    Credential,
    Endpoint,
    EndpointStatus,
    Fallback,
    Fuse,
    Limits,
    LogPolicy,
    Objectives,
    PlanAcknowledgement,
    RoutePlan,
    SavedPlan,
)
from arkwright.contracts.prediction import (
    FALLBACK_ARM,
    OPEN_SUFFIX,
    OUTCOME_FIELDS,
    PREDICTION_FIELDS,
    SEAL_REQUEST,
    SEALED_SUFFIX,
    SEGMENT_FIELDS,
    USAGE_KEY,
    FieldType,
    OutcomeRecord,
    PredictionRecord,
    SegmentKind,
    SegmentName,
    UsageCount,
    is_redacted,
    redacted,
    sampled,
)
from arkwright.contracts.signature import Column, Signature
from arkwright.contracts.window import ArmWindow, WindowReport, latency_bucket, latency_percentile
from arkwright.core.structs import prepared

# Decoded in many threads; they contain all the others.
prepared(
    Baseline,
    BundleManifest,
    EndpointStatus,
    Fallback,
    Limits,
    LogPolicy,
    OutcomeRecord,
    PlanAcknowledgement,
    PredictionRecord,
    SavedPlan,
    RoutePlan,
    Signature,
    list[UsageCount],
    WindowReport,
)

__all__ = [
    "FALLBACK_ARM",
    "OPEN_SUFFIX",
    "OUTCOME_FIELDS",
    "PREDICTION_FIELDS",
    "SEALED_SUFFIX",
    "SEAL_REQUEST",
    "SEGMENT_FIELDS",
    "USAGE_KEY",
    "Arm",
    "ArmWindow",
    "Baseline",
    "BundleFile",
    "BundleManifest",
    "CategoricalBaseline",
    "Column",
    "Credential",
    "Endpoint",
    "EndpointStatus",
    "Fallback",
    "FieldType",
    "Fuse",
    "Limits",
    "LoadTestReport",
    "LoadVerdict",
    "LogPolicy",
    "NumericBaseline",
    "Objectives",
    "OutcomeRecord",
    "ParityRecord",
    "PlanAcknowledgement",
    "PredictionRecord",
    "RoutePlan",
    "SavedPlan",
    "SegmentKind",
    "SegmentName",
    "Signature",
    "UsageCount",
    "WindowReport",
    "is_redacted",
    "judge_load",
    "latency_bucket",
    "latency_percentile",
    "redacted",
    "sampled",
]
