"""How a training's outcome reads: the candidates, the choice, and the holdout's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arkwright.cli.console import say, table
from arkwright.core.written_numbers import written

if TYPE_CHECKING:
    from arkwright.sdk.types import Leaderboard

# The first ones are what most people ask for; the rest is in --json.
_SHOWN_METRICS = (
    "roc_auc", "pr_auc", "roc_auc_ovr", "log_loss", "accuracy", "precision", "recall", "f1", "f1_macro", "rmse", "mae",
    "r2", "mape",
)  # fmt: skip


def show_leaderboard(board: Leaderboard) -> None:
    """Write the candidates, best first, and what is recommended."""
    chosen = board["chosen"]
    metric = board["metric"] or "score"
    columns: list[tuple[str, Any]] = [
        ("", lambda entry: "→" if entry.get("name") == chosen else " "),
        ("CANDIDATE", lambda entry: entry.get("name")),
        ("LEARNER", lambda entry: entry.get("learner")),
        (metric.upper(), lambda entry: entry.get("score")),
        ("±", lambda entry: entry.get("score_std")),
        ("SECONDS", lambda entry: round(entry.get("seconds") or 0.0, 1)),
        ("STATUS", lambda entry: entry.get("status")),
    ]
    if any(entry.get("note") for entry in board["entries"]):
        columns.append(("NOTE", lambda entry: entry.get("note")))
    table(columns, board["entries"], empty="No candidate has been scored yet.")
    if board["recommendation"]:
        say(board["recommendation"])


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Write a version's metrics, without intervals."""
    rows = [(name, metrics[name]) for name in _ordered(metrics)]
    if rows:
        say()
        table([("HOLDOUT METRIC", lambda row: row[0]), ("VALUE", lambda row: row[1])], rows)


def show_evaluation(report: Mapping[str, Any]) -> None:
    """Write the holdout's metrics with their 95 % intervals, beside the baseline's."""
    metrics, reference = report["metrics"], report["reference"]
    baseline = str(report["beats_baseline"].get("reference", "baseline")).upper()
    columns: list[tuple[str, Any]] = [
        ("METRIC", lambda name: name),
        ("MODEL", lambda name: metrics[name]["value"]),
        ("95 % INTERVAL", lambda name: interval(metrics[name])),
        (baseline, lambda name: (reference.get(name) or {}).get("value")),
    ]
    table(columns, _ordered(metrics))
    say(str(report["beats_baseline"].get("detail", "")))


def interval(metric: Mapping[str, Any]) -> str:
    """Render a metric's interval.

    Examples
    --------
    >>> interval({"value": 0.84, "low": 0.81234, "high": 0.86}), interval({"value": 0.5, "low": None, "high": None})
    ('0.8123 to 0.86', '-')
    """
    if metric.get("low") is None or metric.get("high") is None:
        return "-"
    return f"{written(metric['low'])} to {written(metric['high'])}"


def _ordered(metrics: Mapping[str, Any]) -> list[str]:
    return [name for name in _SHOWN_METRICS if name in metrics]
