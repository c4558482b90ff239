"""What an analyst should know of a model, in plain words: templates over the document, no language model.

Each number in a sentence is a value of the document, rounded, and the sentence names where it stands
(:mod:`~arkwright.evaluation.evidence`). What was not computed is said as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from arkwright.evaluation.evidence import Facts, Quote, listed, sentence, spaced
from arkwright.evaluation.forecast_words import forecast_sentences
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.model_evaluation import ModelEvaluation, SectionName, Sentence

SECTION_TITLES: dict[SectionName, str] = {
    "performance": "how good it is",
    "weak_slices": "for which rows it works less well",
    "calibration": "whether its scores are probabilities",
    "fairness": "whether it treats groups of people alike",
    "robustness": "how it reacts to bad input",
    "operation": "how fast and how large it is",
    "explanations": "what drives its answers",
    "behaviour": "whether it passes its behaviour tests",
    "challenge": "how it compares with another version",
    "forecast": "how good it is as a forecast",
}
NOTABLE_CALIBRATION_ERROR = 0.05
"""From five percentage points on, a score is said not to be a probability: a choice of this project."""

SURE = 0.05
_DRIVERS, _SLICES, _GROUPS, _FINDINGS = 5, 2, 3, 3
_CLEAR_DIRECTION = 0.3
_GROUP_RATES = {
    "selection_rate": ", {low} get the favourable answer",
    "tpr": " who should get the favourable answer, {low} do",
    "fpr": " who should not get the favourable answer, {low} do",
}
_ONE_IN_BRACKETS = "The numbers in brackets are the range in which the true value lies with {level} confidence."


def summary_of(document: ModelEvaluation) -> tuple[Sentence, ...]:
    """Say what the model does, how well, how surely, for whom less well, why, how fast, and what is not known."""
    facts = Facts(document)
    quality = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[document.subject.task]
    parts = (_purpose, _rows, quality, _sure, _calibration, _weak, _declared, _groups, _drivers, _input, _behaviour)
    return tuple(item for part in (*parts, _speed, forecast_sentences, _challenge, _not_known) for item in part(facts))


def _purpose(facts: Facts) -> Iterator[Sentence]:
    target, columns = facts.name("subject", "target"), facts.count("subject", "inputs", one="column")
    classes = facts.at("subject", "classes") or ()
    if facts.at("subject", "task") == "regression":
        yield sentence("It estimates {target} as a number, from {columns}.", target=target, columns=columns)
    elif len(classes) == 2:
        yield sentence(
            "It tells whether {target} is {yes} or {no}, from {columns}.",
            target=target,
            yes=facts.name("subject", "classes", 1),
            no=facts.name("subject", "classes", 0),
            columns=columns,
        )
    else:
        yield sentence(
            "It tells which of {n} classes of {target} a row belongs to, from {columns}.",
            n=facts.count("subject", "classes"),
            target=target,
            columns=columns,
        )


def _rows(facts: Facts) -> Iterator[Sentence]:
    known = {
        "holdout": "kept out of its training",
        "training": "of the data it was trained on, most of which it has seen",
    }.get(facts.at("data", "basis"), "that somebody gave; whether it was trained on that data is not known")
    yield sentence("It was checked on {n} " + known + ".", n=facts.counted("data", "n_rows_used"))
    if facts.at("data", "n_rows_used") < facts.at("data", "n_rows"):
        yield sentence(
            "There were {all}; those without a usable {target} were left out.",
            all=facts.counted("data", "n_rows"),
            target=facts.name("subject", "target"),
        )
    yield sentence(_ONE_IN_BRACKETS, level=facts.number("performance", "level", style="percent"))


def _binary(facts: Facts) -> Iterator[Sentence]:
    target, yes, no = (facts.name("subject", *steps) for steps in (("target",), ("classes", 1), ("classes", 0)))
    metrics = ("performance", "metrics")
    if _known(facts, *metrics, "recall"):
        yield sentence(
            "Of every 100 rows whose {target} is {yes}, it finds {found}.",
            target=target,
            yes=yes,
            found=facts.estimate(*metrics, "recall", style="hundred"),
        )
    else:
        yield _unknown(facts, f"How many of the rows of {yes.text} it finds", *metrics, "recall", named=yes)
    if _known(facts, *metrics, "precision"):
        yield sentence(
            "Of every 100 rows that it calls {yes}, {right} are.",
            yes=yes,
            right=facts.estimate(*metrics, "precision", style="hundred"),
        )
    if _known(facts, *metrics, "roc_auc"):
        yield sentence(
            "Shown one row of {yes} and one of {no}, it gives the first the higher score {auc} times of every 100.",
            yes=yes,
            no=no,
            auc=facts.estimate(*metrics, "roc_auc", style="hundred"),
        )
    yield from _right(facts)


def _multiclass(facts: Facts) -> Iterator[Sentence]:
    yield from _right(facts)
    reports = facts.at("performance", "per_class") or ()
    seen = [index for index, item in enumerate(reports) if item["n_rows"]]
    ranked = sorted(seen, key=lambda index: (-reports[index]["recall"], index))
    if seen and reports[ranked[0]]["recall"] > reports[ranked[-1]]["recall"]:
        best, least = ranked[0], ranked[-1]
        yield sentence(
            "It is best at finding {best}, {most} of every 100 such rows, and worst at {least}, {fewest} of every 100.",
            best=facts.name("performance", "per_class", best, "label"),
            most=facts.number("performance", "per_class", best, "recall", style="hundred"),
            least=facts.name("performance", "per_class", least, "label"),
            fewest=facts.number("performance", "per_class", least, "recall", style="hundred"),
        )
    matrix = facts.at("performance", "confusion", "matrix") or ()
    mistakes = [(n, row, column) for row, cells in enumerate(matrix) for column, n in enumerate(cells) if row != column]
    n, row, column = max(mistakes, key=lambda item: (item[0], -item[1], -item[2]), default=(0, 0, 0))
    if n:
        yield sentence(
            "Its most frequent mistake is to take {true} for {called}: {n}.",
            true=facts.name("performance", "confusion", "labels", row),
            called=facts.name("performance", "confusion", "labels", column),
            n=facts.counted("performance", "confusion", "matrix", row, column),
        )


def _right(facts: Facts) -> Iterator[Sentence]:
    if not _known(facts, "performance", "metrics", "accuracy"):
        return
    right = facts.estimate("performance", "metrics", "accuracy", style="hundred")
    if _known(facts, "performance", "reference", "accuracy"):
        yield sentence(
            "Its answer is right for {right} of every 100 rows; always giving the most frequent answer is right for "
            "{trivial} of every 100.",
            right=right,
            trivial=facts.number("performance", "reference", "accuracy", "value", style="hundred"),
        )
    else:
        yield sentence("Its answer is right for {right} of every 100 rows.", right=right)


def _regression(facts: Facts) -> Iterator[Sentence]:
    target, metrics = facts.name("subject", "target"), ("performance", "metrics")
    if _known(facts, *metrics, "mae"):
        template = "On average it misses the true {target} by {error}"
        if _known(facts, "performance", "reference", "mae"):
            yield sentence(
                template + "; always answering the average misses it by {trivial}.",
                target=target,
                error=facts.estimate(*metrics, "mae"),
                trivial=facts.number("performance", "reference", "mae", "value"),
            )
        else:
            yield sentence(template + ".", target=target, error=facts.estimate(*metrics, "mae"))
    if _known(facts, *metrics, "r2") and facts.at(*metrics, "r2", "value") > 0:
        yield sentence(
            "It explains {share} of why {target} differs from row to row.",
            share=facts.estimate(*metrics, "r2", style="percent"),
            target=target,
        )
    elif _known(facts, *metrics, "r2"):
        yield sentence("It explains nothing of why {target} differs from row to row.", target=target)
    else:
        yield _unknown(facts, f"How much of {target.text} it explains", *metrics, "r2", named=target)
    quantiles = ("performance", "residuals", "quantiles")
    low, high = facts.at(*quantiles, "p5"), facts.at(*quantiles, "p95")
    if low is not None and high is not None and low < 0 < high:
        yield sentence(
            "For 90 of every 100 rows the true value lies between {below} below its answer and {above} above it.",
            below=facts.size(*quantiles, "p5"),
            above=facts.size(*quantiles, "p95"),
        )


def _sure(facts: Facts) -> Iterator[Sentence]:
    trivial = "always giving the same answer"
    if facts.at("performance", "beats_baseline", "met"):
        yield sentence(f"That it is better than {trivial} is more than chance.")
    elif facts.at("performance", "beats_baseline", "difference") is None:
        yield sentence(
            f"Whether it is better than {trivial} is not known: {{detail}}.",
            detail=facts.words("performance", "beats_baseline", "detail"),
        )
    else:
        yield sentence(f"It was not shown to be better than {trivial}: chance may explain the difference.")


def _calibration(facts: Facts) -> Iterator[Sentence]:
    where: tuple[str, ...] = ("calibration", "error")
    if facts.at(*where) is None:
        where = ("calibration", "multiclass", "top_label")
    if not _known(facts, *where, "ece"):
        return
    off = facts.estimate(*where, "ece", style="points")
    notable = facts.at(*where, "ece", "value") >= NOTABLE_CALIBRATION_ERROR
    p_value = facts.at(*where, "p_value")
    if notable and p_value is not None and p_value < SURE:
        yield sentence(
            "Do not read its scores as probabilities as they are: on average they are off by {off}.", off=off
        )
    elif notable:
        yield sentence(
            "Whether its scores can be read as probabilities is not known: on average they are off by {off}, which "
            "chance may explain on these rows.",
            off=off,
        )
    else:
        yield sentence("Its scores can be read as probabilities: on average they are off by {off}.", off=off)


def _weak(facts: Facts) -> Iterator[Sentence]:
    found = facts.at("weak_slices")
    if found is None:
        return
    if not found["n_tested"]:
        yield sentence(
            "For which rows it works less well is not known: {reason}.", reason=facts.words("weak_slices", "reason")
        )
        return
    for index in range(min(_SLICES, len(found["slices"]))):
        yield slice_sentence(facts, index)
    if not found["slices"]:
        yield sentence(
            "No group of rows was found for which it works clearly less well; {n} looked at.",
            n=facts.counted("weak_slices", "n_tested", one="group was", many="groups were"),
        )


def _declared(facts: Facts) -> Iterator[Sentence]:
    """Tell of the declared slices that are worse than all other rows beyond chance."""
    table = ("weak_slices", "declared")
    metric = facts.at(*table, "metric")
    worse = [
        index
        for index, row in enumerate(facts.at(*table, "slices") or ())
        if row["adjusted_p"] is not None
        and row["adjusted_p"] <= SURE
        and METRICS[metric].sign * row["difference"]["value"] < 0
    ]
    for index in worse:
        where = (*table, "slices", index)
        yield sentence(
            "In the declared slice {name} ({which}, {n}) the {metric} is {inside}, elsewhere {rest}: worse by {gap}, "
            "which is more than chance.",
            name=facts.name(*where, "name"),
            which=facts.words(*where, "where"),
            n=facts.counted(*where, "n_rows"),
            metric=METRICS[metric].title,
            inside=facts.estimate(*where, "metrics", metric),
            rest=facts.number(*where, "rest", "value"),
            gap=facts.size(*where, "difference", "value"),
        )


def slice_sentence(facts: Facts, index: int) -> Sentence:
    """Describe one weak slice."""
    where = ("weak_slices", "slices", index)
    if facts.at(*where, "expected") is not None:
        return sentence(
            "It works less well where {conditions} ({n}): its average {loss} is {inside} there, where its own scores "
            "lead to expect {expected}; elsewhere it is {rest}.",
            conditions=conditions_of(facts, index),
            n=facts.counted(*where, "n_rows"),
            loss=spaced(facts.words("weak_slices", "loss")),
            inside=facts.number(*where, "loss", "value"),
            expected=facts.number(*where, "expected"),
            rest=facts.number(*where, "rest"),
        )
    return sentence(
        "It works less well where {conditions} ({n}): its average {loss} is {inside} there and {rest} elsewhere.",
        conditions=conditions_of(facts, index),
        n=facts.counted(*where, "n_rows"),
        loss=spaced(facts.words("weak_slices", "loss")),
        inside=facts.number(*where, "loss", "value"),
        rest=facts.number(*where, "rest"),
    )


def conditions_of(facts: Facts, index: int) -> Quote:
    """Say which rows a weak slice holds."""
    conditions = ("weak_slices", "slices", index, "conditions")
    quotes = []
    for number in range(len(facts.at(*conditions))):
        column, level = (facts.name(*conditions, number, key) for key in ("column", "level"))
        quotes.append(Quote(f"{column.text} is {level.text}", column.pointers + level.pointers))
    return listed(quotes)


def _groups(facts: Facts) -> Iterator[Sentence]:
    columns = facts.at("fairness", "report", "columns") or ()
    judged = [index for index, column in enumerate(columns) if column["judged"]]
    for index in range(len(facts.at("fairness", "report", "assumptions") or ())):
        yield sentence("{text}.", text=facts.words("fairness", "report", "assumptions", index, "text"))
    for index in sorted(judged, key=lambda index: ("Fail", "Warning", "Pass").index(columns[index]["status"]))[
        :_GROUPS
    ]:
        where = ("fairness", "report", "columns", index)
        if columns[index]["status"] == "Pass":
            yield sentence(
                "Between the groups of {column} it makes no difference beyond what is accepted{answer}.",
                column=facts.name(*where, "column"),
                answer=answer_of(facts, index),
            )
            continue
        told = set()
        for number, item in enumerate(columns[index]["disparities"]):
            metric = item.get("metric", "")
            if item["verdict"] == "not met" and metric in _GROUP_RATES and metric not in told:
                told.add(metric)
                yield _difference(facts, index, number)
        if not told:
            findings = columns[index]["findings"]
            graver = [number for number, item in enumerate(findings) if item["severity"] != "note"]
            for number in graver[:1]:
                yield sentence(
                    "Fairness{answer}: {text}.",
                    text=facts.words(*where, "findings", number, "text"),
                    answer=answer_of(facts, index),
                )


def _difference(facts: Facts, index: int, number: int) -> Sentence:
    """Set the two groups that differ most beside each other."""
    column = ("fairness", "report", "columns", index)
    item = facts.at(*column, "disparities", number)
    places = {group["group"]: place for place, group in enumerate(facts.at(*column, "groups"))}
    rates = {
        end: facts.number(*column, "groups", places[item[end]], "metrics", item["metric"], "value", style="hundred")
        for end in ("lowest", "highest")
    }
    chance = "" if item.get("beyond_chance") else " Chance may explain it."
    return sentence(
        "By {column}{answer}: of every 100 of {lowest}"
        + _GROUP_RATES[item["metric"]]
        + "; of {highest}, {high}. That is a larger "
        "difference than is accepted." + chance,
        column=facts.name(*column, "column"),
        answer=answer_of(facts, index),
        low=rates["lowest"],
        high=rates["highest"],
        lowest=facts.name(*column, "disparities", number, "lowest"),
        highest=facts.name(*column, "disparities", number, "highest"),
    )


def answer_of(facts: Facts, index: int) -> Quote:
    """Say which class counts as the favourable answer, where each class in turn does."""
    where = ("fairness", "report", "columns", index, "outcome")
    if facts.at(*where) in ("favourable", "value"):
        return Quote("")
    name = facts.name(*where)
    return Quote(f" (favourable answer: {name.text})", name.pointers)


def _drivers(facts: Facts) -> Iterator[Sentence]:
    ranking = facts.at("explanations", "attributions", "ranking") or ()
    if ranking:
        one_output = len(facts.at("explanations", "attributions", "outputs")) == 1
        names = [
            _driver(facts, index, with_direction=one_output)
            for index, item in enumerate(ranking[:_DRIVERS])
            if item["mean_absolute"]["value"]
        ]
    else:
        names = [
            facts.name("performance", "importance", index, "name")
            for index, item in enumerate((facts.at("performance", "importance") or ())[:_DRIVERS])
            if item["mean"] > 0
        ]
    if names:
        yield sentence("Its answers rest most on {names}.", names=listed(names))
    elif ranking:
        yield sentence("No column moves its answers.")


def _driver(facts: Facts, index: int, *, with_direction: bool) -> Quote:
    name = facts.name("explanations", "attributions", "ranking", index, "name")
    if not with_direction:
        return name
    where = ("explanations", "attributions", "outputs", 0, "columns")
    place, column = next(
        (place, column)
        for place, column in enumerate(facts.at(*where))
        if column["name"] == facts.at("explanations", "attributions", "ranking", index, "name")
    )
    direction = column["direction"]["value"]
    what = "answer" if facts.at("subject", "task") == "regression" else "score"
    if direction is not None and abs(direction) >= _CLEAR_DIRECTION:
        way = "higher" if direction > 0 else "lower"
        named = Quote(f" (more of it, a {way} {what})", (*name.pointers,))
    elif column["levels"]:
        highest = max(range(len(column["levels"])), key=lambda level: column["levels"][level]["mean"])
        level = facts.name(*where, place, "levels", highest, "level")
        named = Quote(f" (the {what} is highest for {level.text})", level.pointers)
    else:
        named = Quote("")
    return Quote(name.text + named.text, name.pointers + named.pointers)


def _input(facts: Facts) -> Iterator[Sentence]:
    if facts.at("robustness") is None:
        return
    if facts.at("robustness", "score", "value") is not None:
        yield sentence(
            "Against bad input it scores {score} on a scale from 1 to 10, where more is better.",
            score=facts.number("robustness", "score", "value", style="score"),
        )
    for kind in ("catastrophic", "findings"):
        texts = facts.at("robustness", kind) or ()
        for index in range(min(_FINDINGS, len(texts))):
            yield sentence("{text}.", text=facts.words("robustness", kind, index))


def _behaviour(facts: Facts) -> Iterator[Sentence]:
    if facts.at("behaviour") is not None:
        yield sentence(
            "Of its behaviour tests, {passed} passed, {failed} failed and {rest} could not be run.",
            passed=facts.number("behaviour", "n_passed"),
            failed=facts.number("behaviour", "n_failed"),
            rest=facts.number("behaviour", "n_not_run"),
        )


def _speed(facts: Facts) -> Iterator[Sentence]:
    where = ("operation", "latency", "single_row")
    for percentile, share in (("p99", "99 of every 100"), ("p95", "95 of every 100")):
        if facts.at(*where, "p50", "value_ms") is None or facts.at(*where, percentile, "value_ms") is None:
            continue
        yield sentence(
            f"It answers one row in {{half}} ms or less half of the time, and {share} rows within {{most}} ms.",
            half=facts.number(*where, "p50", "value_ms", style="rough"),
            most=facts.number(*where, percentile, "value_ms", style="rough"),
        )
        break
    if facts.at("operation", "size", "total_bytes"):
        yield sentence("It is {size} large.", size=facts.number("operation", "size", "total_bytes", style="megabytes"))


def _challenge(facts: Facts) -> Iterator[Sentence]:
    if facts.at("challenge") is not None:
        yield sentence(
            "Compared with version {version}, the recommendation is {outcome}. {rationale}.",
            version=facts.words("challenge", "baseline", "version"),
            outcome=facts.words("challenge", "recommendation", "outcome"),
            rationale=facts.words("challenge", "recommendation", "rationale"),
        )


def _not_known(facts: Facts) -> Iterator[Sentence]:
    titles = dict[str, str](SECTION_TITLES.items())
    for name in facts.at("not_done") or {}:
        what = titles.get(name, name.replace("_", " "))
        lead = "In part not known" if facts.at(name) is not None else "Not known"
        yield sentence(f"{lead}: {what}. {{reason}}.", reason=facts.words("not_done", name))
    sampled = [
        Quote(f"{titles.get(name, name)} ({rows.text})", rows.pointers)
        for name, n_rows in (facts.at("data", "rows_by_section") or {}).items()
        if n_rows < facts.at("data", "n_rows_used")
        for rows in [facts.counted("data", "rows_by_section", name)]
    ]
    if sampled:
        yield sentence("Found out on a sample of the rows: {sampled}.", sampled=listed(sampled))


def _known(facts: Facts, *steps: str | int) -> bool:
    return facts.at(*steps, "value") is not None


def _unknown(facts: Facts, what: str, *steps: str | int, named: Quote) -> Sentence:
    reason: Any = facts.at(*steps, "reason")
    if not reason:
        return sentence("{what} is not known.", what=Quote(what, named.pointers))
    return sentence(
        "{what} is not known, because {reason}.", what=Quote(what, named.pointers), reason=facts.words(*steps, "reason")
    )
