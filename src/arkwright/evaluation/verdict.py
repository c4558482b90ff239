"""Whether a version may go to production: fixed rules over the document, and what they found.

**no-go**, if any of these holds, the weightiest first:

1. a comparison with another version, on rows that version was not trained on, ended in REJECT for production;
2. it does not beat the trivial model (the 95 % interval of the improvement is not wholly above zero);
3. the fairness section is ``Fail``;
4. a behaviour test failed;
5. it failed altogether on some bad input (``robustness.catastrophic``);
6. the latency requirement is not met.

**conditional**, if none of those holds and any of these does:

1. it was judged on the data it was trained on;
2. a comparison ended in HOLD or CANARY, or the other version may have been trained on the rows;
3. the fairness section is ``Warning``;
4. the sensitivity to bad input is ``High`` or ``Excessive`` (a robustness score under 7, or under 4);
5. a weak slice differs from the rest by half a spread of the losses or more, Cohen's medium effect;
6. scores are off by five percentage points or more on average, beyond chance, if read as probabilities;
7. a behaviour test could not be run;
8. ``weak_slices``, ``calibration`` (classification), ``fairness``, ``robustness`` or ``operation`` was not done;
   fairness is not asked for where somebody stated that no people are concerned and why;
9. that was stated, and an input or a sensitive column is by its name about people;
10. it was scored as a forecast, and is clearly worse than a naive one (:mod:`~arkwright.evaluation.forecast_words`);
11. fairness would fail at the threshold that the costs or this report recommend, and does not at the one in use.

A comparison is read by its decision for production alone: what an experiment's hypothesis came to is another question,
and a retraining that is merely as good may well go.

Otherwise **go**. The confidence starts at ``high`` and falls a step (two steps: ``low``) for each of

- fewer than 1,000 rows, or fewer than 30 of the rarest class; fewer than 100 rows count twice;
- an interval of the improvement whose half is wider than half of the improvement, or that is not known;
- rows that somebody gave, which the model may have seen; the rows it was trained on count twice;
- a section of rule 8 that was not done; three or more count twice.

References
----------
Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences": 0.5 is a medium effect.
The four numbers of rows, the half and the five percentage points are choices of this project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from arkwright.evaluation.evidence import Facts, Quote, sentence
from arkwright.evaluation.forecast_words import forecast_merits, forecast_warnings
from arkwright.evaluation.model_evaluation import GoNoGo, ModelEvaluation, SectionName, Sentence
from arkwright.evaluation.personal_columns import recognise
from arkwright.evaluation.summary import NOTABLE_CALIBRATION_ERROR, SECTION_TITLES, SURE, answer_of, slice_sentence

NEEDED: tuple[SectionName, ...] = ("fairness", "robustness", "weak_slices", "calibration", "operation")
MEDIUM_EFFECT = 0.5
ENOUGH_ROWS, FEW_ROWS, ENOUGH_OF_A_CLASS = 1_000, 100, 30
WIDE = 0.5
_MOST_FINDINGS = 3
_MOST_POINTS = 5

Found = Iterator[Sentence]
Rule = Callable[[Facts], Found]


def verdict_of(document: ModelEvaluation) -> GoNoGo:
    """Decide by the rules above.

    Parameters
    ----------
    document
        Its ``verdict`` and the other words are not looked at.

    Returns
    -------
    GoNoGo
        The reasons that decided first, then what else speaks against the version, then what speaks for it.
    """
    facts = Facts(document)
    stops = [reason for rule in _STOPS for reason in rule(facts)]
    warnings = [reason for rule in _WARNINGS for reason in rule(facts)]
    decision: Literal["go", "conditional", "no-go"] = "no-go" if stops else "conditional" if warnings else "go"
    confidence, why = _confidence(facts)
    speaks_for = [reason for rule in _FOR for reason in rule(facts)]
    return GoNoGo(
        decision=decision,
        confidence=confidence,
        confidence_reason=why,
        reasons=(*stops, *warnings, *speaks_for),
    )


def missing_sections(facts: Facts) -> list[SectionName]:
    """Name the sections a decision needs that were not computed."""
    regression = facts.at("subject", "task") == "regression"
    spared = {"calibration"} if regression else set()
    if facts.at("data", "no_people"):
        spared.add("fairness")
    return [name for name in NEEDED if facts.at(name) is None and name not in spared]


def _trained_on(facts: Facts) -> Found:
    if facts.at("data", "basis") == "training":
        yield sentence("It was judged on the data it was trained on, so that every number here flatters it.")


def _rejected(facts: Facts) -> Found:
    if not facts.at("challenge", "seen"):
        yield from _compared(facts, ("REJECT",))


def _undecided(facts: Facts) -> Found:
    if facts.at("challenge", "seen"):
        yield sentence(
            "The comparison is not fair to it: {seen}.",
            seen=facts.words("challenge", "seen"),
        )
        yield from _compared(facts, ("REJECT",))
    yield from _compared(facts, ("HOLD", "CANARY"))


def _compared(facts: Facts, outcomes: tuple[str, ...]) -> Found:
    if facts.at("challenge", "version", "outcome") in outcomes:
        yield sentence(
            "Compared with version {version}, the rules say {outcome}. {rationale}.",
            _listed(facts, "challenge", "version", "findings"),
            version=facts.words("challenge", "baseline", "version"),
            outcome=facts.words("challenge", "version", "outcome"),
            rationale=facts.words("challenge", "version", "rationale"),
        )


def _listed(facts: Facts, *steps: str | int) -> list[Quote]:
    """Quote the first of several findings, and say how many there are."""
    n = len(facts.at(*steps) or ())
    told = [facts.words(*steps, index) for index in range(min(n, _MOST_POINTS))]
    if n > _MOST_POINTS:
        whole = facts.count(*steps, one="finding")
        told.append(Quote(f"There are {whole.text} in all; the comparison lists every one", whole.pointers))
    return told


def _trivial(facts: Facts) -> Found:
    if not facts.at("performance", "beats_baseline", "met"):
        yield sentence("{detail}.", detail=facts.words("performance", "beats_baseline", "detail"))


def _unfair(facts: Facts) -> Found:
    yield from _fairness(facts, "Fail", "fail", "concern")


def _perhaps_unfair(facts: Facts) -> Found:
    yield from _fairness(facts, "Warning", "warning", "check")


def _fairness(facts: Facts, status: str, severity: str, flagged: str) -> Found:
    if facts.at("fairness", "status") != status:
        return
    told = 0
    for index, column in enumerate(facts.at("fairness", "report", "columns")):
        for number, finding in enumerate(column["findings"]):
            if column["judged"] and finding["severity"] == severity and told < _MOST_FINDINGS:
                where = ("fairness", "report", "columns", index, "findings", number, "text")
                yield sentence(
                    f"Fairness ({status}){{answer}}: {{text}}.",
                    text=facts.words(*where),
                    answer=answer_of(facts, index),
                )
                told += 1
    flags = facts.at("fairness", "regulation", "flags") or ()
    # Of the three only the ECOA forbids to decide by a column at all.
    graver = sorted(
        (index for index, flag in enumerate(flags) if flag["severity"] == flagged),
        key=lambda index: (flags[index]["regulation"] != "ECOA", index),
    )
    if graver and facts.at("fairness", "regulation", "status") == status:
        flag = ("fairness", "regulation", "flags", graver[0])
        yield sentence(
            "{regulation} {article}: {title}. {why}.",
            regulation=facts.words(*flag, "regulation"),
            article=facts.words(*flag, "article"),
            title=facts.words(*flag, "title"),
            why=facts.words(*flag, "why"),
        )
    elif not told:
        yield sentence("The fairness section ends in {status}.", status=facts.words("fairness", "status"))


def _unfair_elsewhere(facts: Facts) -> Found:
    if facts.at("fairness", "status") == "Fail":
        return  # it stops there already
    where = ("fairness", "at_threshold", "findings")
    found = [index for index, item in enumerate(facts.at(*where) or ()) if item["severity"] == "warning"]
    for index in found[:_MOST_FINDINGS]:
        yield sentence("Fairness at another threshold. {text}.", text=facts.words(*where, index, "text"))


def _misbehaved(facts: Facts) -> Found:
    yield from _behaved(facts, "failed")


def _not_run(facts: Facts) -> Found:
    yield from _behaved(facts, "not_run")


def _behaved(facts: Facts, status: str) -> Found:
    found = [index for index, item in enumerate(facts.at("behaviour", "results") or ()) if item["status"] == status]
    for index in found[:_MOST_FINDINGS]:
        yield sentence(
            f"The behaviour test {{name}} {status.replace('not_run', 'could not be run')}: {{detail}}.",
            name=facts.name("behaviour", "results", index, "name"),
            detail=facts.words("behaviour", "results", index, "detail"),
        )


def _broken(facts: Facts) -> Found:
    for index in range(min(_MOST_FINDINGS, len(facts.at("robustness", "catastrophic") or ()))):
        yield sentence(
            "It does not withstand bad input. {text}.", text=facts.words("robustness", "catastrophic", index)
        )


def _fragile(facts: Facts) -> Found:
    if facts.at("robustness", "catastrophic"):
        return
    if facts.at("robustness", "rating") in ("High", "Excessive"):
        yield sentence(
            "Its sensitivity to bad input is {rating}: {score} on a scale from 1 to 10, where more is better.",
            rating=facts.words("robustness", "rating"),
            score=facts.number("robustness", "score", "value", style="score"),
        )


def _slow(facts: Facts) -> Found:
    if facts.at("operation", "requirement", "verdict") == "not met":
        yield sentence("It is too slow: {detail}.", detail=facts.words("operation", "requirement", "detail"))


def _weak(facts: Facts) -> Found:
    slices = facts.at("weak_slices", "slices") or ()
    # None: the loss varies on neither side, so the slice is wrong throughout.
    clear = [i for i, item in enumerate(slices) if item["effect"] is None or item["effect"] >= MEDIUM_EFFECT]
    for index in clear[:_MOST_FINDINGS]:
        yield slice_sentence(facts, index)


def _miscalibrated(facts: Facts) -> Found:
    for where in (("calibration", "error"), ("calibration", "multiclass", "top_label")):
        off = facts.at(*where, "ece", "value")
        if off is not None and off >= NOTABLE_CALIBRATION_ERROR and facts.at(*where, "p_value") < SURE:
            yield sentence(
                "Its scores must not be read as probabilities as they are: on average they are off by {off}.",
                off=facts.estimate(*where, "ece", style="points"),
            )


def _missing(facts: Facts) -> Found:
    for name in missing_sections(facts):
        if facts.at("not_done", name):
            yield sentence(f"Not known: {SECTION_TITLES[name]}. {{reason}}.", reason=facts.words("not_done", name))
        else:
            yield sentence(f"Not known: {SECTION_TITLES[name]}. It was not computed.")


def _about_people(facts: Facts) -> Found:
    """Doubt the statement that no people are concerned where a column's name says otherwise."""
    if not facts.at("data", "no_people"):
        return
    for where in (("subject", "inputs"), ("data", "sensitive")):
        names = facts.at(*where) or ()
        found = recognise(names)
        telling = [index for index, name in enumerate(names) if name in found]
        if telling:
            yield sentence(
                "It was stated that no people are concerned ({reason}), yet it has the column {column}.",
                reason=facts.words("data", "no_people"),
                column=facts.name(*where, telling[0]),
            )
            return


def _beats(facts: Facts) -> Found:
    if facts.at("performance", "beats_baseline", "met"):
        yield sentence("{detail}.", detail=facts.words("performance", "beats_baseline", "detail"))


def _fair(facts: Facts) -> Found:
    if facts.at("fairness", "status") == "Pass":
        yield sentence(
            "Fairness: every gate is met, with {n} audited.",
            n=facts.count("fairness", "report", "columns", one="column", many="columns (or pairs of columns)"),
        )


def _nobody(facts: Facts) -> Found:
    if facts.at("data", "no_people") and facts.at("fairness") is None:
        yield sentence(
            "No groups of people were compared; it was stated that none need to be: {reason}.",
            reason=facts.words("data", "no_people"),
        )


def _robust(facts: Facts) -> Found:
    if facts.at("robustness", "rating") == "Acceptable":
        yield sentence(
            "It withstands bad input: {score} on a scale from 1 to 10, where more is better.",
            score=facts.number("robustness", "score", "value", style="score"),
        )


def _behaves(facts: Facts) -> Found:
    if facts.at("behaviour", "passed"):
        if facts.at("behaviour", "n_passed") == 1:
            yield sentence("The one behaviour test passed.")
        else:
            yield sentence("All {n} behaviour tests passed.", n=facts.number("behaviour", "n_passed"))


def _quick(facts: Facts) -> Found:
    if facts.at("operation", "requirement", "verdict") == "met":
        yield sentence("It is fast enough: {detail}.", detail=facts.words("operation", "requirement", "detail"))


def _preferred(facts: Facts) -> Found:
    yield from _compared(facts, ("PROMOTE",))


def _confidence(facts: Facts) -> tuple[Literal["high", "medium", "low"], str]:
    n_rows = facts.at("data", "n_rows_used")
    rarest = min((item["n_rows"] for item in facts.at("performance", "per_class") or ()), default=n_rows)
    against: list[tuple[int, str]] = []
    if n_rows < FEW_ROWS:
        against.append((2, "there are very few rows"))
    elif n_rows < ENOUGH_ROWS:
        against.append((1, "there are few rows"))
    elif rarest < ENOUGH_OF_A_CLASS:
        against.append((1, "there are few rows of the rarest class"))
    improvement, low, high = (facts.at("performance", "beats_baseline", key) for key in ("difference", "low", "high"))
    if None in (improvement, low, high):
        against.append((1, "how sure the improvement over the trivial model is, is not known"))
    elif (high - low) / 2 > WIDE * abs(improvement):
        against.append((1, "the improvement over the trivial model is known only roughly"))
    if facts.at("data", "basis") == "training":
        against.append((2, "the model was trained on the data it was checked on"))
    if facts.at("data", "basis") == "given":
        against.append((1, "the model may have seen the rows it was checked on"))
    absent = missing_sections(facts)
    if absent:
        titles = "; ".join(SECTION_TITLES[name] for name in absent)
        against.append((2 if len(absent) > 2 else 1, f"not all was examined ({titles})"))
    steps = sum(step for step, _ in against)
    if not against:
        return "high", "It rests on enough rows that were kept out of training, and all that it needs was examined."
    return ("medium" if steps == 1 else "low"), f"It is less sure, because {', and '.join(why for _, why in against)}."


_STOPS: tuple[Rule, ...] = (_rejected, _trivial, _unfair, _misbehaved, _broken, _slow)
_WARNINGS: tuple[Rule, ...] = (
    _trained_on,
    _undecided,
    _perhaps_unfair,
    _unfair_elsewhere,
    _fragile,
    _weak,
    _miscalibrated,
    _not_run,
    _missing,
    _about_people,
    forecast_warnings,
)
_FOR: tuple[Rule, ...] = (_beats, forecast_merits, _preferred, _fair, _nobody, _robust, _behaves, _quick)
