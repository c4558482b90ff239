"""A comparison of one metric in words: whether it is better, by how much, and how sure that is."""

from __future__ import annotations

from arkwright.core.written_numbers import beyond_rounding, signed, written
from arkwright.evaluation.comparison import MetricComparison
from arkwright.evaluation.metric import METRICS


def comparison_sentence(item: MetricComparison) -> str:
    """Say what the comparison found, with its interval and its test; or why it found nothing."""
    if item.outcome == "not computable" or item.baseline is None or item.candidate is None:
        return f"{metric_title(item.metric)}: not computable, because {item.reason}."
    title, before, now = metric_title(item.metric), written(item.baseline), written(item.candidate)
    change = beyond_rounding(item.change.value or 0.0, item.baseline, item.candidate)
    if change == 0 and before == now:
        return f"{title} is the same: {now} for both."
    told = [f"change {signed(change)}"]
    if item.change.low is not None and item.change.high is not None:
        told.append(f"95 % interval {signed(item.change.low)} to {signed(item.change.high)}")
    told.append(f"adjusted p {written_p(item.p_adjusted)}, {item.test}")
    verb = f"is {item.outcome}" if item.outcome in ("better", "worse") else f"shows {item.outcome}"
    return f"{title} {verb}: {now} instead of {before} ({', '.join(told)})."


def written_change(item: MetricComparison) -> str:
    """Return the change with its sign; what is only rounding is no change."""
    return signed(beyond_rounding(item.change.value or 0.0, item.baseline or 0.0, item.candidate or 0.0))


def written_p(value: float | None) -> str:
    """Return a p-value as it is written.

    Examples
    --------
    >>> written_p(0.03217), written_p(1e-9), written_p(None)
    ('0.032', '< 0.0001', 'none')
    """
    return "none" if value is None else "< 0.0001" if value < 0.0001 else f"{value:.2g}"


def metric_title(metric: str) -> str:
    """Return a metric's title as a sentence begins with it.

    Examples
    --------
    >>> metric_title("log_loss")
    'Log loss'
    """
    title = METRICS[metric].title
    return title[0].upper() + title[1:]
