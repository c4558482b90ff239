"""How good it is as a forecast: scaled errors, the seasonal naive forecast beside it, and the errors over time."""

from __future__ import annotations

import msgspec
import numpy as np

from arkwright.evaluation.forecast_errors import (
    ErrorDependence,
    against_naive,
    bias_of,
    error_dependence,
    error_growth,
    time_spans,
)
from arkwright.evaluation.forecast_timeline import FLATTERED, Timeline
from arkwright.evaluation.forecasting import ForecastReport, SeriesReport, evaluate_forecasts
from arkwright.evaluation.material import Material, NotComputed, Options, sample_of
from arkwright.evaluation.model_evaluation import ForecastSection

MOST_SERIES = 100
"""Of more series than this the worst are listed: the document is read by people."""


def examine_forecast(material: Material, options: Options) -> ForecastSection:
    """Score the version's answers as a forecast.

    Raises
    ------
    NotComputed
        If nobody asked for it, or an answer is no number.
    """
    timeline = material.timeline
    if timeline is None:
        raise NotComputed("Nobody said which column holds the time.", hint="Name it: --time COLUMN.")
    sample = sample_of("forecast", material, options)
    asked, codes, steps = timeline.asked, timeline.codes, timeline.moments
    truth, answers = sample.truth.astype(np.float64), np.ascontiguousarray(sample.scores[:, 0])
    insample, reasons = timeline.insample()
    drawn = {"seed": options.seed, "n_resamples": options.resamples}
    report = evaluate_forecasts(
        truth,
        answers,
        insample,
        series=np.array(timeline.names, dtype=object)[codes],
        steps=steps,
        season=asked.season,
        horizon=asked.horizon,
        reasons=reasons,
        seed=options.seed,
        n_resamples=options.resamples,
    )
    naive, error = timeline.naive(truth), truth - answers
    scaled = report.pooled["mase"].value
    dependence = error_dependence(error, codes, timeline.steps, season=asked.season)
    by_time = np.argsort(timeline.times.values, kind="stable")
    return ForecastSection(
        time=asked.time,
        series=asked.series,
        season=asked.season,
        horizon=asked.horizon,
        first=timeline.times.written(int(by_time[0])),
        last=timeline.times.written(int(by_time[-1])),
        n_steps=int(np.unique(steps).size),
        spacing=timeline.spacing,
        every=timeline.every,
        report=_shortened(report),
        against_training=None if scaled is None else 1.0 - scaled,
        naive=against_naive(truth, answers, naive, codes, steps, lag=asked.lag, horizon=asked.horizon, **drawn),
        spans=time_spans(error, truth - naive, steps, timeline.times.written),
        growth=error_growth(error, codes, steps, timeline.times.written, horizon=asked.horizon, **drawn),
        bias=bias_of(error, codes, steps, horizon=asked.horizon, **drawn),
        dependence=dependence,
        history=timeline.history,
        n_seen=timeline.n_seen,
        drawn_at_random=timeline.drawn_at_random,
        notes=tuple(_notes(timeline, report, dependence)),
    )


def _notes(timeline: Timeline, report: ForecastReport, dependence: ErrorDependence) -> list[str]:
    asked, notes = timeline.asked, []
    if timeline.drawn_at_random:
        notes.append(FLATTERED)
    elif timeline.n_seen:
        notes.append(
            f"{timeline.n_seen:,} of {report.n_rows:,} evaluated rows are in {timeline.history or 'the history'} as "
            "well: where the model was trained on them, the numbers flatter it."
        )
    if dependence.n_dependent:
        notes.append(
            "Errors depend on each other: the intervals of the performance section, which draw rows one by one, are "
            "too narrow."
        )
    if timeline.spacing == "uneven":
        notes.append("The times are not evenly spaced: a step is a row, and a season so many rows of a series.")
    if timeline.spacing == "text":
        notes.append("The times are texts: a step that no row has cannot be told from one that never was.")
    if report.n_series > 1:
        notes.append(
            "The Diebold-Mariano tests take the mean loss of all series at each step, in the target's unit, so that "
            "series with large values weigh more, as they do in the errors over time. Scaled errors, shares and the "
            "growth of errors count each series alike."
        )
    if asked.lag != asked.season:
        notes.append(
            f"Answers are made {asked.horizon} steps ahead, so the seasonal naive forecast repeats the value of "
            f"{asked.lag} steps before, the latest of its season that was known then."
        )
    if report.n_series > MOST_SERIES:
        notes.append(f"The {MOST_SERIES} worst of {report.n_series:,} series are listed; the means are over all.")
    return notes


def _shortened(report: ForecastReport) -> ForecastReport:
    def badness(item: SeriesReport) -> tuple[float, float]:
        scaled, plain = (item.metrics[name].value for name in ("mase", "mae"))
        return (-np.inf if scaled is None else scaled, -np.inf if plain is None else plain)

    if report.n_series <= MOST_SERIES:
        return report
    worst = sorted(report.series, key=badness, reverse=True)[:MOST_SERIES]
    return msgspec.structs.replace(report, series=tuple(worst))
