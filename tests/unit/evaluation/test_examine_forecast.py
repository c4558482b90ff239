"""An evaluation as a forecast, from the section to the words, the page and the card; and silence where nobody asked."""

import re

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.evaluation.card import model_card
from arkwright.evaluation.card_text import render_card
from arkwright.evaluation.evidence import check_numbers
from arkwright.evaluation.examination import Baseline, Options, section
from arkwright.evaluation.forecast_timeline import BETWEEN, FLATTERED, ForecastRequest, History
from arkwright.evaluation.headline import headline_of
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.material import NotComputed
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.recommendations import recommendations_of
from arkwright.evaluation.report_page import render_report
from arkwright.evaluation.summary import summary_of
from arkwright.evaluation.verdict import verdict_of
from tests.unit.evaluation import evaluated, forecast_cases
from tests.unit.evaluation.forecast_cases import ASKED, adds_a_fifth, knows_the_level, material_of, split, table

QUICK = Options(profile="quick", n_resamples=100)
GONE = History(None, reason="the dataset version it was trained on is gone")
CASES = (forecast_cases.good, forecast_cases.bad, forecast_cases.many)


def found_of(predict=knows_the_level, *, last=24, asked=ASKED, rows=None, history=None, **given):
    later, everything = split(rows or table(), last)
    return section(
        "forecast",
        material_of(later, history or History(everything, "sales version 1"), predict, asked, **given),
        QUICK,
    )


def changed(document, **fields):
    return msgspec.structs.replace(document, forecast=msgspec.structs.replace(document.forecast, **fields))


def naive_of(document, value, low, high):
    share = Interval(value=value, low=low, high=high)
    return msgspec.structs.replace(document.forecast.naive, relative_mae=share, saved=1 - value)


def texts(sentences):
    return [item.text for item in sentences]


def test_the_scaled_error_is_the_one_computed_by_hand():
    later, everything = split(table())
    found = found_of()
    expected = []
    for shop in ("a", "b"):
        sales = everything.filter(pc.equal(everything["shop"], shop))["sales"].to_numpy()
        level = later.filter(pc.equal(later["shop"], shop))["level"].to_numpy()
        scale = np.abs(sales[12:96] - sales[:84]).mean()
        expected.append(np.abs(sales[96:] - level).mean() / scale)
    assert found.report.pooled["mase"].value == pytest.approx(np.mean(expected))
    assert found.against_training == pytest.approx(1 - np.mean(expected))
    assert (found.report.n_series, found.n_steps, found.every) == (2, 24, "1 month")
    assert (found.first, found.last) == ("2023-01-01", "2024-12-01")
    assert (found.report.resampling, found.drawn_at_random) == ("blocks of steps", False)


def test_a_section_gives_the_same_numbers_twice_and_survives_json():
    found = found_of()
    assert msgspec.json.encode(found) == msgspec.json.encode(found_of())
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_rows_drawn_at_random_have_no_scaled_error_and_say_that_they_flatter():
    rows = table()
    chosen = np.sort(np.random.default_rng(0).choice(rows.num_rows, 60, replace=False))
    material = material_of(rows.take(chosen), History(rows, "sales version 1"), at_random=True)
    found = section("forecast", material, QUICK)
    assert found.report.pooled["mase"].value is None
    assert found.report.pooled["mase"].reason == BETWEEN
    assert found.naive.relative_mae.value is not None
    assert FLATTERED in found.notes
    assert found.drawn_at_random


def test_without_training_values_the_reason_is_named_and_the_rest_is_computed():
    found = found_of(history=GONE)
    assert found.report.pooled["mase"].reason == f"no training values are at hand ({GONE.reason})"
    assert found.report.pooled["smape"].value > 0
    assert found.naive.n_rows == 24


def test_flattered_rows_do_not_speak_for_it_and_the_next_step_is_to_take_later_ones():
    document = changed(forecast_cases.good(), drawn_at_random=True)
    assert not any("less than repeating" in text for text in texts(verdict_of(document).reasons))
    assert any("rows it was trained on" in text for text in texts(summary_of(document)) if "flattered" in text)
    assert any("later than all it was trained on" in text for text in texts(recommendations_of(document)))
    assert headline_of(document).forecast.drawn_at_random


def test_errors_that_depend_on_each_other_make_the_other_intervals_too_narrow():
    walk = np.repeat([20.0, -20.0, 20.0, -20.0], 6)
    found = found_of(
        lambda columns: knows_the_level(columns) + walk[:, None],
        rows=table(shops=("a",)),
        asked=ForecastRequest(time="month", season=12),
    )
    assert found.dependence.n_dependent == 1
    assert any("too narrow" in note for note in found.notes)


def test_a_longer_horizon_takes_an_older_season_and_says_so():
    found = found_of(asked=ForecastRequest(time="month", series="shop", season=12, horizon=18))
    assert found.naive.lag == 24
    assert any("18 steps ahead" in note and "24 steps before" in note for note in found.notes)


def test_very_many_series_are_listed_from_the_worst_on():
    shops = tuple(f"s{number:03}" for number in range(120))
    found = found_of(rows=table(30, shops), last=6)
    listed = [item.metrics["mase"].value for item in found.report.series]
    assert (len(listed), found.report.n_series) == (100, 120)
    assert listed == sorted(listed, reverse=True)
    assert any("100 worst of 120 series" in note for note in found.notes)


def test_nobody_asked_and_nothing_is_said():
    later, _ = split(table())
    document = forecast_cases.document_of(material_of(later, GONE, asked=None))
    assert document.forecast is None
    assert "forecast" not in document.not_done
    assert headline_of(document).forecast is None
    page = render_report(document)
    assert "forecast" not in page.lower()
    with pytest.raises(NotComputed, match="Nobody said which column holds the time"):
        section("forecast", material_of(later, GONE, asked=None), QUICK)


def test_what_failed_is_said_where_somebody_asked():
    document = evaluated.regression()
    document = msgspec.structs.replace(document, not_done={"forecast": "The model answers no finite number."})
    assert "Not known: how good it is as a forecast. The model answers no finite number." in texts(summary_of(document))
    page = render_report(document)
    assert 'id="forecast"' in page
    assert 'href="#forecast"' in page
    assert "because The model answers no finite number." in page


def test_documents_from_before_there_were_forecasts_can_be_read():
    old = msgspec.to_builtins(evaluated.regression())
    old.pop("forecast")
    assert msgspec.convert(old, ModelEvaluation) == evaluated.regression()


@pytest.mark.parametrize("case", CASES, ids=lambda made: made.__name__)
def test_every_number_in_words_can_be_looked_up(case):
    document = case()
    assert check_numbers(document, (*document.summary, *document.verdict.reasons)) == ()


def test_the_summary_says_how_it_compares_with_last_season():
    document = forecast_cases.good()
    mase = document.forecast.report.pooled["mase"]
    (said,) = [text for text in texts(document.summary) if text.startswith("MASE")]
    assert said.startswith(f"MASE {mase.value:.3g} (")
    assert said.endswith(f"it errs {100 * (1 - mase.value):.0f} % less than repeating last season did in training.")
    (same,) = [text for text in texts(document.summary) if text.startswith("On the same 48 rows")]
    assert "repeating the value of 12 steps before misses by" in same
    assert "it is better by more than chance" in same


@pytest.mark.parametrize(
    ("mase", "words"),
    [
        (1.25, "it errs 25 % more than repeating last season did in training."),
        (1.001, "it errs as much as repeating last season did in training."),
    ],
)
def test_the_summary_says_more_or_as_much_where_that_is_so(mase, words):
    document = forecast_cases.good()
    pooled = {**document.forecast.report.pooled, "mase": Interval(value=mase, low=None, high=None)}
    report = msgspec.structs.replace(document.forecast.report, pooled=pooled)
    document = changed(document, report=report, against_training=1 - mase)
    assert any(text.endswith(words) for text in texts(summary_of(document)))
    assert check_numbers(document, summary_of(document)) == ()


def test_growing_errors_a_bias_and_errors_that_repeat_are_told():
    drifting = found_of(
        lambda columns: knows_the_level(columns) - np.linspace(0, 60, len(columns["level"]))[:, None],
        rows=table(shops=("a",)),
        asked=ForecastRequest(time="month", season=12),
    )
    document = msgspec.structs.replace(forecast_cases.good(), forecast=drifting)
    said = summary_of(document)
    told = " ".join(texts(said))
    assert re.search(r"Its errors grow with time: from 2024-01-01 on they are [\d.]+ \(", told)
    assert "On average its answers are too low, by" in told
    assert "What it gets wrong at one step tells something of later ones" in told
    assert check_numbers(document, said) == ()


WORSE = "As a forecast it errs more than repeating the value of 12 steps before on the same rows"
HARDER = "As a forecast it errs more than repeating last season did in training"


@pytest.mark.parametrize(
    ("share", "mase", "said"),
    [
        ((1.3, 1.1, 1.6), (1.2, 0.9, 1.5), {WORSE}),
        ((1.3, 0.9, 1.6), (1.2, 1.1, 1.5), {HARDER}),
        ((1.3, 1.1, 1.6), (1.2, 1.1, 1.5), {WORSE, HARDER}),
        ((0.7, 0.6, 0.8), (1.2, 1.1, 1.5), set()),
        ((1.3, 0.9, 1.6), (1.2, 0.9, 1.5), set()),
        ((1.6, None, None), (1.2, None, None), {WORSE}),
        ((1.4, None, None), (1.4, None, None), set()),
    ],
    ids=["worse now", "worse than training", "both", "harder times", "chance", "no interval, clear", "no interval"],
)
def test_a_forecast_that_is_clearly_worse_than_a_naive_one_is_at_best_conditional(share, mase, said):
    document = forecast_cases.good()
    pooled = {**document.forecast.report.pooled, "mase": Interval(value=mase[0], low=mase[1], high=mase[2])}
    document = changed(
        document,
        report=msgspec.structs.replace(document.forecast.report, pooled=pooled),
        naive=naive_of(document, *share),
    )
    # Nothing else speaks against it.
    document = msgspec.structs.replace(
        document,
        data=msgspec.structs.replace(document.data, no_people="Every row is a shop."),
        weak_slices=msgspec.structs.replace(document.weak_slices, slices=()),
    )
    verdict = verdict_of(document)
    found = {text.partition(":")[0] for text in texts(verdict.reasons) if text.startswith("As a forecast it errs more")}
    assert found == said
    assert verdict.decision == ("conditional" if said else "go")
    assert check_numbers(document, verdict.reasons) == ()


def test_a_forecast_that_is_clearly_better_speaks_for_it():
    document = forecast_cases.good()
    assert any("less than repeating the value of 12 steps before" in text for text in texts(document.verdict.reasons))


def test_a_challenger_is_compared_by_steps_with_the_test_of_diebold_and_mariano():
    later, everything = split(table())
    subject = forecast_cases.good().subject
    other = Baseline(subject=subject, signature=forecast_cases.SIGNATURE, predict=adds_a_fifth)
    found = section("challenge", material_of(later, History(everything, "sales version 1"), baseline=other), QUICK)
    assert found.comparison.task == "forecasting"
    assert found.comparison.resampling == "blocks of steps"
    tests = {item.metric: (item.test, item.outcome) for item in found.comparison.metrics}
    assert tests["rmse"] == tests["mae"] == ("Diebold-Mariano", "better")


@pytest.mark.parametrize("case", CASES, ids=lambda made: made.__name__)
def test_headline_card_and_page_hold_the_scaled_errors(case):
    document = case()
    headline = headline_of(document)
    assert headline.forecast.metrics["mase"] == document.forecast.report.pooled["mase"]
    assert headline.forecast.relative_mae == document.forecast.naive.relative_mae
    card = model_card(document, created_at="2026-01-01T00:00:00Z")
    assert {"mase", "rmsse", "smape"} <= {item.name for item in card.metrics.metrics}
    assert "Those of the scaled errors resample" in card.metrics.uncertainty
    assert "seasonal naive" in render_card(card)
    page = render_report(document)
    assert 'href="#forecast"' in page
    assert "MASE: mean absolute error, scaled" in page


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.integers(0, 60), st.sampled_from([0.0, 1.0, -3.5, 1e-9, 1e9])),
        min_size=1,
        max_size=60,
        unique_by=lambda row: row[:2],
    ),
    st.integers(0, 60),
    st.sampled_from([1, 2, 12, 1_000_000]),
    st.sampled_from([1, 3, 1_000_000]),
    st.booleans(),
)
def test_whatever_the_rows_are_the_section_is_made_without_a_number_that_is_none(rows, cut, season, horizon, perfect):
    series, at, sold = zip(*rows, strict=True)
    everything = pa.table({"shop": [f"s{code}" for code in series], "month": at, "sales": sold, "level": sold,
                           "year_ago": sold})  # fmt: skip
    later = everything.filter(pc.greater_equal(everything["month"], min(cut, max(at))))
    asked = ForecastRequest(time="month", series="shop", season=season, horizon=horizon)
    material = material_of(
        later,
        History(everything, "sales version 1"),
        lambda columns: columns["level"][:, None] + (0.0 if perfect else 1.0),
        asked,
    )
    found = section("forecast", material, Options(n_resamples=30))
    raw = msgspec.json.encode(found)
    assert msgspec.json.decode(raw, type=type(found)) == found
    assert sum(span.n_rows for span in found.spans) == later.num_rows
    document = msgspec.structs.replace(forecast_cases.good(), forecast=found)
    said = (*summary_of(document), *verdict_of(document).reasons)
    assert check_numbers(document, said) == ()
    assert not any("nan" in text.lower().split() for text in texts(said))
    render_report(document)
