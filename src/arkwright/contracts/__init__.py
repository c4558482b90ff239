"""What the planes say to each other.

The control plane, the data planes and the rooms agree on these shapes and on nothing else:

=====================  ==============================================================
``signature``          the typed columns a model takes
``bundle``             :class:`BundleManifest`, the table of contents of a packaged model
``baseline``           :class:`Baseline`, what the training data looked like
``plan``               :class:`RoutePlan`, which bundle answers which endpoint, and whose keys count
``prediction``         :class:`PredictionRecord`, :class:`OutcomeRecord` and the log segments
``window``             :class:`WindowReport`, what a data plane saw in its last seconds
=====================  ==============================================================

They are msgspec structs: immutable, typed, quick to decode, and cheap to import.
"""

from arkwright.contracts.baseline import Baseline, CategoricalBaseline, NumericBaseline
from arkwright.contracts.bundle import BundleFile, BundleManifest, ParityRecord
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
)
from arkwright.contracts.prediction import SEAL_REQUEST, OutcomeRecord, PredictionRecord, SegmentName
from arkwright.contracts.signature import Column, Signature
from arkwright.contracts.window import ArmWindow, WindowReport, latency_bucket, latency_percentile

__all__ = [
    "SEAL_REQUEST",
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
    "Fuse",
    "Limits",
    "LogPolicy",
    "NumericBaseline",
    "Objectives",
    "OutcomeRecord",
    "ParityRecord",
    "PlanAcknowledgement",
    "PredictionRecord",
    "RoutePlan",
    "SegmentName",
    "Signature",
    "WindowReport",
    "latency_bucket",
    "latency_percentile",
]
