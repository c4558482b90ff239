"""What an analyst should know of a forecast, in words, and when it speaks against the version.

It is *clearly* worse than a naive forecast if the 95 % interval lies wholly above one; without an interval, from one
and a half on, a choice of this project.
"""

from __future__ import annotations

from collections.abc import Iterator

from arkwright.evaluation.evidence import Facts, Quote, sentence
from arkwright.evaluation.model_evaluation import Sentence

CLEARLY = 1.5
_EQUAL = 0.005
_MASE = ("forecast", "report", "pooled", "mase")
_RELATIVE = ("forecast", "naive", "relative_mae")


def forecast_sentences(facts: Facts) -> Iterator[Sentence]:
    """Say how good it is as a forecast; nothing where nobody asked."""
    if facts.at("forecast") is None:
        return
    if facts.at("forecast", "drawn_at_random"):
        yield sentence(
            "As a forecast it is flattered: the rows it was checked on lie between rows it was trained on.",
        )
    yield _in_training(facts)
    if facts.at(*_RELATIVE, "value") is not None:
        yield _on_the_same_rows(facts)
    if facts.at("forecast", "growth", "outcome") == "grows":
        yield sentence(
            "Its errors grow with time: from {later} on they are {ratio} times those before.",
            later=facts.words("forecast", "growth", "later_from"),
            ratio=facts.estimate("forecast", "growth", "ratio", style="rough"),
        )
    low, high = (facts.at("forecast", "bias", end) for end in ("low", "high"))
    if low is not None and high is not None and (low > 0 or high < 0):
        way = "low" if low > 0 else "high"
        yield sentence(
            f"On average its answers are too {way}, by {{bias}}.", bias=facts.size("forecast", "bias", "value")
        )
    if facts.at("forecast", "dependence", "n_dependent"):
        yield _dependence(facts)


def forecast_warnings(facts: Facts) -> Iterator[Sentence]:
    """Name what makes a version conditional: a naive forecast that is clearly better."""
    if _clearly(facts, *_RELATIVE, above=True):
        yield sentence(
            "As a forecast it errs more than {naive} on the same rows: {ratio} times as much.",
            naive=_naive(facts),
            ratio=facts.estimate(*_RELATIVE, style="rough"),
        )
    # Where times have become harder for both, the same rows are the fairer comparison.
    if _clearly(facts, *_MASE, above=True) and not _clearly(facts, *_RELATIVE, above=False):
        yield sentence(
            "As a forecast it errs more than {season} did in training: MASE {mase}.",
            season=_season(facts),
            mase=facts.estimate(*_MASE, style="rough"),
        )


def forecast_merits(facts: Facts) -> Iterator[Sentence]:
    """Name what speaks for a version: that it is clearly better than a naive forecast, on rows that do not flatter."""
    if _clearly(facts, *_RELATIVE, above=False) and not facts.at("forecast", "drawn_at_random"):
        yield sentence(
            "As a forecast it errs {saved} less than {naive} on the same rows.",
            saved=facts.size("forecast", "naive", "saved", style="percent"),
            naive=_naive(facts),
        )


def forecast_advice(facts: Facts) -> Iterator[Sentence]:
    """Say what to do where the rows flatter a forecast."""
    if facts.at("forecast", "drawn_at_random"):
        yield sentence("Score it as a forecast on rows that are later than all it was trained on (--data).")


def _clearly(facts: Facts, *steps: str, above: bool) -> bool:
    value, low, high = (facts.at(*steps, key) for key in ("value", "low", "high"))
    if value is None:
        return False
    if low is None or high is None:
        return bool(value >= CLEARLY if above else value <= 1 / CLEARLY)
    return bool(low > 1 if above else high < 1)


def _in_training(facts: Facts) -> Sentence:
    gain = facts.at("forecast", "against_training")
    if gain is None:
        return sentence(
            "How it compares with {season} in training is not known, because {reason}.",
            season=_season(facts),
            reason=facts.words(*_MASE, "reason"),
        )
    mase = facts.estimate(*_MASE, style="rough")
    if abs(gain) < _EQUAL:
        return sentence("MASE {mase}: it errs as much as {season} did in training.", mase=mase, season=_season(facts))
    way = "less" if gain > 0 else "more"
    return sentence(
        f"MASE {{mase}}: it errs {{share}} {way} than {{season}} did in training.",
        mase=mase,
        share=facts.size("forecast", "against_training", style="percent"),
        season=_season(facts),
    )


def _on_the_same_rows(facts: Facts) -> Sentence:
    tests = facts.at("forecast", "naive", "tests") or ()
    outcome = next((test["outcome"] for test in tests if test["loss"] == "absolute"), "not computable")
    chance = {
        "better": "it is better by more than chance",
        "worse": "it is worse by more than chance",
        "no clear difference": "chance may explain the difference",
    }.get(outcome, "whether that is more than chance is not known")
    return sentence(
        f"On the same {{n}}, {{naive}} misses by {{theirs}} on average and the model by {{ours}}: {chance}.",
        n=facts.counted("forecast", "naive", "n_rows"),
        naive=_naive(facts),
        theirs=facts.number("forecast", "naive", "mae"),
        ours=facts.number("forecast", "naive", "model_mae"),
    )


def _dependence(facts: Facts) -> Sentence:
    what = "What it gets wrong at one step tells something of later ones"
    if facts.at("forecast", "report", "n_series") == 1:
        return sentence(f"{what}: its last errors could make it better.")
    return sentence(
        f"{what} in {{n}} of {{all}} that were tested: its last errors could make it better.",
        n=facts.number("forecast", "dependence", "n_dependent"),
        all=facts.counted("forecast", "dependence", "n_tested", one="series", many="series"),
    )


def _naive(facts: Facts) -> Quote:
    lag = facts.counted("forecast", "naive", "lag", one="step")
    return Quote(f"repeating the value of {lag.text} before", lag.pointers)


def _season(facts: Facts) -> Quote:
    if facts.at("forecast", "season") == 1:
        return Quote("repeating the last value", ("/forecast/season",))
    return Quote("repeating last season", ("/forecast/season",))
