"""What to do next and what to watch in production, by rule, from what was found.

**Next steps**, the first to be taken first: to keep a better version, what to do where a gate is not met (the
mitigation with the most benefit for the accuracy it costs), to recalibrate where that helps on rows it was not fitted
on, another threshold where it saves cost beyond chance on rows that did not choose it, more rows of weak slices, what
the model does on bad input, what makes it faster, and what was not examined. **To watch**: drift of the columns its
answers rest on most, the trivial model as a floor for its quality, the rates of the groups that were audited,
calibration, and the latency it was measured at.
"""

from __future__ import annotations

from collections.abc import Iterator

from arkwright.evaluation.evidence import Facts, Quote, listed, sentence, spaced
from arkwright.evaluation.forecast_words import forecast_advice
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.model_evaluation import ModelEvaluation, Sentence
from arkwright.evaluation.summary import SECTION_TITLES, answer_of, conditions_of
from arkwright.evaluation.verdict import missing_sections

_WATCHED, _SLICES, _HINTS = 5, 3, 3


def recommendations_of(document: ModelEvaluation) -> tuple[Sentence, ...]:
    """Say what to do next, the most pressing first."""
    facts = Facts(document)
    steps = (_keep, _retrain, _mitigate, _regulation, _harden, _recalibrate, _threshold, _collect, _speed_up, _examine)
    return tuple(item for step in (*steps, forecast_advice) for item in step(facts))


def monitoring_of(document: ModelEvaluation) -> tuple[Sentence, ...]:
    """Say what to watch once it serves."""
    facts = Facts(document)
    parts = (_drift, _quality, _group_rates, _calibration, _latency, _strange_rows)
    return tuple(item for part in parts for item in part(facts))


def _keep(facts: Facts) -> Iterator[Sentence]:
    if facts.at("challenge", "version", "outcome") == "REJECT" and not facts.at("challenge", "seen"):
        yield sentence(
            "Keep version {version} where it is: this one is no replacement for it.",
            version=facts.words("challenge", "baseline", "version"),
        )


def _retrain(facts: Facts) -> Iterator[Sentence]:
    if not facts.at("performance", "beats_baseline", "met"):
        yield sentence(
            "Look for columns that say more of {target}, or for more rows, and train again.",
            target=facts.name("subject", "target"),
        )


def _mitigate(facts: Facts) -> Iterator[Sentence]:
    if facts.at("fairness", "status") in (None, "Pass"):
        return
    for index, report in enumerate(facts.at("fairness", "mitigation") or ()):
        helpful = [number for number, effect in enumerate(report["effects"]) if (effect.get("benefit") or 0) > 0]
        if not helpful:
            continue
        effect = ("fairness", "mitigation", index, "effects", helpful[0])
        measure = _measure(facts.at(*effect, "objective"))
        told = {
            "strategy": facts.words(*effect, "strategy"),
            "column": facts.name("fairness", "mitigation", index, "column"),
            "objective": spaced(facts.words(*effect, "objective")),
        }
        if None in (facts.at(*effect, "before", measure), facts.at(*effect, "after", measure)):
            yield sentence("Try {strategy} for {column}: it brought the groups nearer ({objective}).", **told)
            continue
        accuracy = facts.at(*effect, "accuracy_before"), facts.at(*effect, "accuracy_after")
        cost = Quote("")
        if None not in accuracy:
            before, after = (facts.number(*effect, f"accuracy_{when}", style="percent") for when in ("before", "after"))
            cost = Quote(f"; accuracy went from {before.text} to {after.text}", before.pointers + after.pointers)
        yield sentence(
            "Try {strategy} for {column} ({objective}): on rows that did not choose it, the difference between groups "
            "went from {before} to {after}{cost}.",
            before=facts.number(*effect, "before", measure),
            after=facts.number(*effect, "after", measure),
            cost=cost,
            **told,
        )
        if facts.at(*effect, "caution"):
            yield sentence("{caution}.", caution=facts.words(*effect, "caution"))
    found = {
        (name := facts.name("fairness", "proxies", report, "columns", column, "column")).text: name
        for report, item in enumerate(facts.at("fairness", "proxies") or ())
        for column, each in enumerate(item["columns"])
        if each["level"] == "strong"
    }
    proxies = list(found.values())
    if proxies:
        yield sentence(
            f"Ask whether the model needs {{names}}: {'it tells' if len(proxies) == 1 else 'they tell'} much about a "
            "sensitive column.",
            names=listed(proxies),
        )


def _regulation(facts: Facts) -> Iterator[Sentence]:
    for index, flag in enumerate(facts.at("fairness", "regulation", "flags") or ()):
        if flag["severity"] == "concern":
            where = ("fairness", "regulation", "flags", index)
            yield sentence(
                "{regulation} {article}: {action}.",
                regulation=facts.words(*where, "regulation"),
                article=facts.words(*where, "article"),
                action=facts.words(*where, "action"),
            )


def _harden(facts: Facts) -> Iterator[Sentence]:
    if facts.at("robustness", "catastrophic"):
        yield sentence(
            "Train it with such rows, or refuse them before they reach it: {text}.",
            text=facts.words("robustness", "catastrophic", 0),
        )


def _recalibrate(facts: Facts) -> Iterator[Sentence]:
    methods = ("calibration", "methods")
    if facts.at(*methods, "recommended") not in (None, "none"):
        yield sentence(
            "Recalibrate its scores. {detail}.",
            detail=facts.words(*methods, "detail"),
        )


def _threshold(facts: Facts) -> Iterator[Sentence]:
    choice = ("calibration", "threshold")
    # Not cost_saved: on the rows that chose it, some threshold nearly always looks cheaper than one half.
    low = facts.at(*choice, "cross_fitted_saved", "low")
    if low is None or low <= 0:
        return
    elsewhere = ("fairness", "at_threshold", "findings")
    unfair = [index for index, item in enumerate(facts.at(*elsewhere) or ()) if item["severity"] == "warning"]
    if unfair:
        yield sentence(
            "Do not move the threshold to {threshold} as it is: thresholds chosen like this saved {saved} in cost for "
            "each row, on rows that did not choose them, yet fairness would fail there for {columns} and does not "
            "today.",
            threshold=facts.number(*choice, "threshold", "value"),
            saved=facts.estimate(*choice, "cross_fitted_saved"),
            columns=listed([facts.name(*elsewhere, index, "column") for index in unfair]),
        )
    else:
        yield sentence(
            "Decide from a score of {threshold} on, not from one half: thresholds chosen like this saved {saved} in "
            "cost for each row, on rows that did not choose them.",
            threshold=facts.number(*choice, "threshold", "value"),
            saved=facts.estimate(*choice, "cross_fitted_saved"),
        )


def _collect(facts: Facts) -> Iterator[Sentence]:
    for index in range(min(_SLICES, len(facts.at("weak_slices", "slices") or ()))):
        where = ("weak_slices", "slices", index)
        yield sentence(
            "Collect more rows, or better columns, where {conditions}: {share} of the rows are like that.",
            conditions=conditions_of(facts, index),
            share=facts.number(*where, "share", style="percent"),
        )


def _speed_up(facts: Facts) -> Iterator[Sentence]:
    for index in range(min(_HINTS, len(facts.at("operation", "hints", "hints") or ()))):
        where = ("operation", "hints", "hints", index)
        yield sentence(
            "{action}. {reason}.", action=facts.words(*where, "action"), reason=facts.words(*where, "reason")
        )


def _examine(facts: Facts) -> Iterator[Sentence]:
    for name in missing_sections(facts):
        yield sentence(f"Find out {SECTION_TITLES[name]}, which was not computed.")
    if facts.at("data", "basis") != "holdout":
        yield sentence("Check it on rows that were kept out of its training.")
    if facts.at("operation", "requirement", "verdict") == "unknown":
        yield sentence(
            "Say how fast it must answer. {detail}.", detail=facts.words("operation", "requirement", "detail")
        )


def _drift(facts: Facts) -> Iterator[Sentence]:
    ranking = ("explanations", "attributions", "ranking")
    names = [
        facts.name(*ranking, index, "name")
        for index, item in enumerate((facts.at(*ranking) or ())[:_WATCHED])
        if item["mean_absolute"]["value"]
    ] or [
        facts.name("performance", "importance", index, "name")
        for index, item in enumerate((facts.at("performance", "importance") or ())[:_WATCHED])
        if item["mean"] > 0
    ]
    if names:
        yield sentence("Drift of {names}: its answers rest most on them.", names=listed(names))
    else:
        yield sentence(
            "Drift of every column ({n}): which matters most is not known.", n=facts.count("subject", "inputs")
        )


def _quality(facts: Facts) -> Iterator[Sentence]:
    primary = facts.at("performance", "primary_metric")
    where = ("performance", "metrics", primary)
    ends = {"maximize": "low", "minimize": "high"}
    end = ends.get(facts.at("performance", "direction") or "", "low")
    if facts.at(*where, end) is None:
        return
    yield sentence(
        "The {metric} on labelled rows: {value} here. Few rows vary by chance too: look into it where the whole "
        "interval of a window lies {verb} {limit}.",
        metric=METRICS[primary].title if primary in METRICS else primary,
        value=facts.number(*where, "value"),
        verb="below" if end == "low" else "above",
        limit=facts.number(*where, end),
    )


def _group_rates(facts: Facts) -> Iterator[Sentence]:
    for index, column in enumerate(facts.at("fairness", "report", "columns") or ()):
        if not column["judged"]:
            continue
        where = ("fairness", "report", "columns", index)
        gated = [
            number
            for number, item in enumerate(column["disparities"])
            if item.get("gated") and item["threshold"] is not None and item["value"]["value"] is not None
        ]
        for number in gated[:1]:
            yield sentence(
                "The groups of {column}{answer}: the {title} is {value} here; {accepted} {limit} is accepted.",
                column=facts.name(*where, "column"),
                answer=answer_of(facts, index),
                title=facts.words(*where, "disparities", number, "title"),
                value=facts.number(*where, "disparities", number, "value", "value"),
                accepted=facts.words(*where, "disparities", number, "accepted"),
                limit=facts.number(*where, "disparities", number, "threshold"),
            )


def _calibration(facts: Facts) -> Iterator[Sentence]:
    if facts.at("calibration", "error", "ece", "value") is not None:
        yield sentence(
            "Whether scores stay probabilities: they are off by {off} here.",
            off=facts.number("calibration", "error", "ece", "value", style="points"),
        )


def _latency(facts: Facts) -> Iterator[Sentence]:
    where = ("operation", "latency", "single_row")
    if facts.at(*where, "p95", "value_ms") is not None:
        yield sentence(
            "Latency: 95 of every 100 single rows took at most {p95} ms here. {detail}.",
            p95=facts.number(*where, "p95", "value_ms", style="rough"),
            detail=facts.words("operation", "requirement", "detail"),
        )


def _strange_rows(facts: Facts) -> Iterator[Sentence]:
    where = ("robustness", "out_of_distribution", "share_flagged")
    if facts.at(*where, "value") is not None:
        yield sentence(
            "Rows unlike the known ones: {share} here.", share=facts.number(*where, "value", style="percent")
        )


def _measure(objective: str) -> str:
    return {
        "demographic_parity": "demographic_parity_difference",
        "equal_opportunity": "equal_opportunity_difference",
        "equalized_odds": "equalized_odds_difference",
    }[objective]
