"""Monitoring: is the traffic still what the model was trained on, and who is told if not.

A monitor belongs to a deployment. Each run compares a window of logged predictions with the baseline in the model's
bundle (``drift``, ``report``), keeps the report, and raises or updates an alert (``alerts``). The statistics are plain
functions that work without the platform:

>>> from arkwright.monitoring import population_stability_index
>>> round(population_stability_index([0.5, 0.3, 0.2], [0.4, 0.3, 0.3]), 4)
0.0629
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.monitoring.alerts import (
        AlertDecision,
        AlertState,
        alert_message,
        decide_alert,
        recommended_action,
        severity_of,
    )
    from arkwright.monitoring.drift import DriftResult, compare_feature
    from arkwright.monitoring.feedback import FeedbackOutcomes
    from arkwright.monitoring.outcomes import join_outcomes
    from arkwright.monitoring.ports import MonitoredModel
    from arkwright.monitoring.report import DriftReport, drift_report, drift_trend
    from arkwright.monitoring.schedule import MonitorTiming, Schedule, due_monitors
    from arkwright.monitoring.served_models import ServedModels
    from arkwright.monitoring.served_versions import ServedVersions
    from arkwright.monitoring.service import MonitoringService
    from arkwright.monitoring.shipping import SegmentShipper
    from arkwright.monitoring.significance import chi_square, kolmogorov_smirnov
    from arkwright.monitoring.stability import (
        drift_level,
        expected_psi,
        kl_divergence,
        population_stability_index,
        psi_noise_bound,
    )
    from arkwright.monitoring.usage import UsageEvents
    from arkwright.monitoring.window import PredictionWindow, read_window

_HOMES = {
    "AlertDecision": "alerts",
    "AlertState": "alerts",
    "DriftReport": "report",
    "DriftResult": "drift",
    "FeedbackOutcomes": "feedback",
    "MonitorTiming": "schedule",
    "MonitoredModel": "ports",
    "MonitoringService": "service",
    "PredictionWindow": "window",
    "Schedule": "schedule",
    "SegmentShipper": "shipping",
    "ServedModels": "served_models",
    "ServedVersions": "served_versions",
    "UsageEvents": "usage",
    "alert_message": "alerts",
    "chi_square": "significance",
    "compare_feature": "drift",
    "decide_alert": "alerts",
    "drift_level": "stability",
    "drift_report": "report",
    "drift_trend": "report",
    "due_monitors": "schedule",
    "expected_psi": "stability",
    "join_outcomes": "outcomes",
    "kl_divergence": "stability",
    "kolmogorov_smirnov": "significance",
    "population_stability_index": "stability",
    "psi_noise_bound": "stability",
    "read_window": "window",
    "recommended_action": "alerts",
    "severity_of": "alerts",
}

__all__ = [
    "AlertDecision",
    "AlertState",
    "DriftReport",
    "DriftResult",
    "FeedbackOutcomes",
    "MonitorTiming",
    "MonitoredModel",
    "MonitoringService",
    "PredictionWindow",
    "Schedule",
    "SegmentShipper",
    "ServedModels",
    "ServedVersions",
    "UsageEvents",
    "alert_message",
    "chi_square",
    "compare_feature",
    "decide_alert",
    "drift_level",
    "drift_report",
    "drift_trend",
    "due_monitors",
    "expected_psi",
    "join_outcomes",
    "kl_divergence",
    "kolmogorov_smirnov",
    "population_stability_index",
    "psi_noise_bound",
    "read_window",
    "recommended_action",
    "severity_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
