"""The logbook: what was tried, with which result, and which model came of it.

Runs, their metrics and the model files live in MLflow, and nowhere else; this room says what the house needs of a
logbook (:class:`TrackingStore`) in the house's own words. A *trial* is an MLflow run, a *published version* an MLflow
model version. The adapter that speaks to MLflow is ``arkwright.adapters.tracking``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.tracking.entries import (
        MAX_KEY_LENGTH,
        MAX_PARAM_LENGTH,
        MAX_TAG_LENGTH,
        MetricSample,
        metric_samples,
        param_texts,
        storable,
        tag_texts,
        tidy_key,
        tidy_text,
    )
    from arkwright.tracking.ports import (
        DIGEST_TAG,
        SEMVER_TAG,
        TRIAL_KEY_TAG,
        FetchedModel,
        ModelPublication,
        PublishedVersion,
        TrackingServer,
        TrackingStore,
        Trial,
        TrialRecord,
        TrialStatus,
        parse_model_uri,
    )
    from arkwright.tracking.service import TrackingService

_HOMES = {
    "MAX_KEY_LENGTH": "entries",
    "MAX_PARAM_LENGTH": "entries",
    "MAX_TAG_LENGTH": "entries",
    "MetricSample": "entries",
    "metric_samples": "entries",
    "param_texts": "entries",
    "storable": "entries",
    "tag_texts": "entries",
    "tidy_key": "entries",
    "tidy_text": "entries",
    "DIGEST_TAG": "ports",
    "SEMVER_TAG": "ports",
    "TRIAL_KEY_TAG": "ports",
    "FetchedModel": "ports",
    "ModelPublication": "ports",
    "PublishedVersion": "ports",
    "TrackingServer": "ports",
    "TrackingStore": "ports",
    "Trial": "ports",
    "TrialRecord": "ports",
    "TrialStatus": "ports",
    "parse_model_uri": "ports",
    "TrackingService": "service",
}

__all__ = [
    "DIGEST_TAG",
    "MAX_KEY_LENGTH",
    "MAX_PARAM_LENGTH",
    "MAX_TAG_LENGTH",
    "SEMVER_TAG",
    "TRIAL_KEY_TAG",
    "FetchedModel",
    "MetricSample",
    "ModelPublication",
    "PublishedVersion",
    "TrackingServer",
    "TrackingService",
    "TrackingStore",
    "Trial",
    "TrialRecord",
    "TrialStatus",
    "metric_samples",
    "param_texts",
    "parse_model_uri",
    "storable",
    "tag_texts",
    "tidy_key",
    "tidy_text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
