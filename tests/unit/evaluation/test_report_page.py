"""The report page: what it says, that nothing from outside becomes markup, and that it is complete by itself."""

import base64
import hashlib
import html
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.model_evaluation import ON_REQUEST, SECTIONS, ModelEvaluation, Sentence
from arkwright.evaluation.report_page import render_report
from arkwright.evaluation.report_page.chart import round_numbers, span
from arkwright.evaluation.report_page.heat_chart import DARKEST
from arkwright.evaluation.report_page.layout import TITLES
from arkwright.evaluation.report_page.markup import element, escape
from arkwright.evaluation.report_page.styles import STYLES
from arkwright.evaluation.report_page.wording import interval, number
from tests.unit.evaluation import forecast_cases
from tests.unit.evaluation.report_cases import minimal, other, whole

VOID = {"meta", "col", "circle", "line", "path", "rect"}
CASES = {
    "whole": whole,
    "minimal": minimal,
    "regression": lambda: other("regression"),
    "multiclass": lambda: other("multiclass"),
    "forecast": forecast_cases.good,
}


class Page(HTMLParser):
    """The page's elements, with the text inside each; refuses tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        found = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(found)
        if tag not in VOID:
            self._open.append(found)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for each in self._open:
            each["text"] += data

    def all(self, tag, **attributes):
        return [
            each
            for each in self.elements
            if each["tag"] == tag and all(each.get(name) == value for name, value in attributes.items())
        ]

    def section(self, name):
        (found,) = self.all("section", id=name)
        return found["text"]


@cache
def rendered(name):
    document = CASES[name]()
    text = render_report(document)
    return document, text, Page(text)


@pytest.fixture(params=CASES)
def case(request):
    return rendered(request.param)


def spoken(text):
    """Return a text with the unbreakable spaces and the typographic minus as plain ones."""
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def test_a_page_has_one_first_heading_and_skips_no_level(case):
    page = case[2]
    levels = [int(each["tag"][1]) for each in page.elements if re.fullmatch("h[1-6]", each["tag"])]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_link_leads_to_one_of_them(case):
    document, _, page = case
    ids = [each["id"] for each in page.elements if each.get("id")]
    assert len(ids) == len(set(ids))
    targets = {each["href"] for each in page.all("a")}
    assert targets <= {f"#{name}" for name in ids}
    silent = {name for name in ON_REQUEST if getattr(document, name) is None}
    assert {f"#{name}" for name in TITLES if name not in silent} <= targets
    assert not {f"#{name}" for name in silent} & targets


def test_every_section_is_there_or_says_why_it_is_not(case):
    document, _, page = case
    for name in SECTIONS:
        said = page.section(name)
        if getattr(document, name) is None:
            assert "Not computed, because" in said
            assert document.not_done.get(name, "it was not asked for").rstrip(".") in said
        else:
            assert "Not computed, because" not in said


def test_every_chart_is_named_described_and_followed_by_its_numbers(case):
    page = case[2]
    ids = {each["id"]: each["text"] for each in page.elements if each.get("id")}
    pictures = page.all("svg")
    assert pictures
    for picture in pictures:
        assert picture["role"] == "img"
        title, description = picture["aria-labelledby"].split()
        assert ids[title].strip()
        assert ids[description].strip()
    for chart in page.all("figure"):
        start = case[1].index(f'<figure id="{chart["id"]}">')
        inside = case[1][start : case[1].index("</figure>", start)]
        assert re.search("</svg>.*<details><summary>Numbers of this chart</summary>.*<table>", inside)


def test_every_table_has_a_caption_and_its_headings_a_scope(case):
    page = case[2]
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(each["text"].strip() for each in page.all("caption"))
    assert {each.get("scope") for each in page.all("th")} == {"row", "col"}
    scrolling = [each for each in page.all("div") if each.get("class") == "scroll"]
    assert len(scrolling) == len(page.all("table")) + len(page.all("svg"))
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in scrolling)


def test_the_page_needs_nothing_from_elsewhere_and_forbids_it(case):
    page = case[2]
    assert {each["tag"] for each in page.elements} & {"script", "link", "img", "iframe", "object", "form"} == set()
    assert not [name for each in page.elements for name in each if name.startswith("on") or name in {"style", "src"}]
    assert "url(" not in STYLES
    assert "@import" not in STYLES
    (policy,) = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    digest = base64.b64encode(hashlib.sha256(page.all("style")[0]["text"].encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_the_same_document_gives_the_same_bytes_after_a_round_trip_through_json(case):
    document, text, _ = case
    again = msgspec.json.decode(msgspec.json.encode(document), type=ModelEvaluation)
    assert render_report(again) == text


def test_no_number_is_shown_as_none_or_nan_and_none_without_its_reason(case):
    page = case[2]
    cells = [each["text"] for each in (*page.all("td"), *page.all("dd"))]
    assert not [cell for cell in cells if re.search(r"\b(None|nan|NaN|inf|no reason was given)\b", cell)]


def test_the_whole_page_stays_small():
    assert len(rendered("whole")[1].encode()) < 600_000


def test_the_header_names_the_verdict_the_model_its_digest_the_data_and_the_card():
    document = whole()
    page = Page(render_report(document, card_digest="sha256:card"))
    (head,) = page.all("header")
    for said in ("NO-GO", "income, version 1.2.0", document.subject.bundle_digest, "adult, holdout", "sha256:card"):
        assert said in head["text"]
    assert "card" not in rendered("whole")[2].all("header")[0]["text"]


@pytest.mark.parametrize(("decision", "word"), [("go", "GO"), ("conditional", "CONDITIONAL"), ("no-go", "NO-GO")])
def test_a_verdict_is_a_word_with_its_reasons_before_anything_else(decision, word):
    verdict = msgspec.structs.replace(minimal().verdict, decision=decision)
    page = Page(render_report(msgspec.structs.replace(minimal(), verdict=verdict)))
    first = page.all("section")[0]
    assert first["id"] == "verdict"
    assert f"{word}Confidence: low" in first["text"]
    assert "Nothing is known of fairness." in first["text"]


def test_a_sentence_leads_to_the_place_that_holds_its_numbers_and_names_its_pointers():
    sentence = Sentence(text="It is right often.", evidence=("/performance/metrics/accuracy/value", "/data/n_rows"))
    page = Page(render_report(msgspec.structs.replace(minimal(), summary=(sentence,))))
    links = {each["href"]: each["text"] for each in page.all("a")[len(TITLES) + 1 :]}
    assert links["#performance.metrics.accuracy"] == "Performance: Accuracy"
    assert links["#data"] == "The data"
    (row,) = page.all("tr", id="performance.metrics.accuracy")
    assert row["text"].startswith("Accuracy")
    assert "/performance/metrics/accuracy/value, /data/n_rows" in page.section("summary")


def test_every_sentence_of_the_whole_evaluation_leads_somewhere():
    document, _, page = rendered("whole")
    told = [*document.verdict.reasons, *document.summary, *document.recommendations, *document.monitoring]
    items = [each["text"] for each in page.all("li")]
    for sentence in told:
        assert any(item.startswith(sentence.text) for item in items)
        if sentence.evidence:
            assert any(item.startswith(f"{sentence.text} From: ") for item in items)


def test_metrics_stand_beside_the_trivial_models_with_intervals():
    document, _, page = rendered("whole")
    for name, value in document.performance.metrics.items():
        (row,) = page.all("tr", id=f"performance.metrics.{name}")
        shown = spoken(row["text"])
        numbers = [float(each.replace(",", "")) for each in re.findall(r"-?\d[\d,]*\.?\d*", shown.split("primary")[-1])]
        assert any(abs(each - value.value) < 0.01 for each in numbers)
        assert " to " in shown
        assert ("higher" if name != "log_loss" else "lower") in shown


def test_fairness_shows_every_group_with_its_size_and_marks_the_small_ones():
    document, _, page = rendered("whole")
    for at, column in enumerate(document.fairness.report.columns):
        for order, group in enumerate(column.groups):
            (row,) = page.all("tr", id=f"fairness.report.columns.{at}.groups.{order}")
            assert row["text"].startswith(group.group)
            assert f"{group.n_rows:,} (" in row["text"]
            assert ("small" in row["text"]) == group.small
        for order, disparity in enumerate(column.disparities):
            (row,) = page.all("tr", id=f"fairness.report.columns.{at}.disparities.{order}")
            assert disparity.verdict in row["text"].lower()
            assert f"{disparity.accepted} {disparity.threshold:g}" in row["text"]
    assert document.fairness.regulation.disclaimer in page.section("fairness")


def test_a_colour_never_carries_a_meaning_alone(case):
    page = case[2]
    marks = [each for each in page.all("span") if each.get("class", "").startswith("mark ")]
    assert marks
    for each in marks:
        sign, _, word = each["text"].partition(" ")
        assert len(sign) == 1
        assert word.strip()


def test_robustness_operation_and_explanations_hold_the_numbers_of_the_document():
    document, _, page = rendered("whole")
    robustness, operation = spoken(page.section("robustness")), spoken(page.section("operation"))
    assert f"Score: {number(document.robustness.score.value)} of 10" in robustness
    assert all(finding in robustness for finding in map(spoken, document.robustness.findings))
    assert f"{number(document.operation.latency.single_row.p95.value_ms)} ms" in operation
    assert all(option.name in operation for option in document.operation.instance.options)
    explained = page.section("explanations")
    for column in document.explanations.attributions.ranking:
        assert column.name in explained
    for search in document.explanations.counterfactuals:
        assert search.found or search.reason.rstrip(".") in explained
    assert f"Row {document.explanations.examples[0].row:,}: score" in explained


def test_a_challenger_is_shown_with_both_decisions_and_every_rule():
    document, _, page = rendered("whole")
    said = page.section("challenge")
    found = document.challenge
    for decision in (found.recommendation, found.version):
        assert f"{decision.outcome}" in said
        assert decision.rationale in said
        for rule in decision.rules:
            assert rule.detail in said
    assert "yes, and it decided" in said


def test_a_metric_without_a_value_says_why():
    report = minimal().performance
    none = Interval(value=None, low=None, high=None, reason="all rows are of one class")
    changed = msgspec.structs.replace(report, metrics={**report.metrics, "roc_auc": none})
    page = Page(render_report(msgspec.structs.replace(minimal(), performance=changed)))
    (row,) = page.all("tr", id="performance.metrics.roc_auc")
    assert "not computable, because all rows are of one class" in row["text"]


def test_an_incomplete_section_says_so_where_it_stands_and_among_what_was_not_done():
    document = msgspec.structs.replace(whole(), not_done={"robustness": "noise: there was no time"})
    page = Page(render_report(document))
    assert "Incomplete: noise: there was no time" in page.section("robustness")
    assert "noise: there was no time" in page.section("not_done")


ATTACK = '<script>alert("x")</script><img src=x onerror=alert(1)>\x00&amp;'
NAMED_BY_USERS = {"left_out", "recognised", "software", "lineage", "inputs", "not_done", "rows_by_section"}


def hostile(value, field=""):
    """Put markup into every text of a document but the words its type fixes, and into the names that users give."""
    if isinstance(value, str):
        return value if value in FIXED else f"{value}{ATTACK}"
    if isinstance(value, list | tuple):
        return [hostile(each) for each in value]
    if isinstance(value, dict):
        given_names = field in NAMED_BY_USERS
        return {f"{name}{ATTACK}" if given_names else name: hostile(each, name) for name, each in value.items()}
    return value


def fixed_words(schema):
    """Return every text that a type allows by name."""
    if isinstance(schema, dict):
        return {*schema.get("enum", ()), *fixed_words(list(schema.values()))}
    return set().union(*map(fixed_words, schema)) if isinstance(schema, list) else set()


FIXED = fixed_words(msgspec.json.schema(ModelEvaluation))


def test_markup_in_names_levels_and_texts_is_shown_and_never_run():
    document = msgspec.convert(hostile(msgspec.to_builtins(whole())), ModelEvaluation)
    text = render_report(document, card_digest="<script>")
    text.encode()
    page = Page(text)
    assert page.all("script") == []
    assert page.all("img") == []
    assert not [each for each in page.elements if "onerror" in each]
    assert text.count("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;") > 100
    assert "\x00" not in text


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_an_escaped_text_reads_as_it_was(words):
    shown = html.unescape(str(escape(words)))
    assert "<" not in escape(words)
    assert '"' not in element("p", title=words).removeprefix('<p title="').removesuffix('"></p>')
    forbidden = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
    assert shown == forbidden.sub("\ufffd", words)


@given(st.floats(-1e300, 1e300))
def test_a_written_number_is_within_half_a_percent_of_the_number(value):
    written = number(value)
    mantissa, _, power = spoken(written).replace(",", "").partition(" \u00d7 10")
    digits = power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")) or "0"
    assert float(f"{mantissa}e{digits}") == pytest.approx(value, rel=0.0051)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_round_numbers_cover_the_range_evenly(low, relative):
    high = low + relative * max(1.0, abs(low))
    found = round_numbers(low, high)
    step = found[1] - found[0]
    assert found[0] <= low + step * 1e-3
    assert found[-1] >= high - step * 1e-3
    assert 2 <= len(found) <= 8
    assert all(abs(after - before - step) <= 1e-3 * step for before, after in pairwise(found))


@given(st.lists(st.floats(-1e12, 1e12)))
def test_the_ends_of_an_axis_hold_every_value_and_differ(values):
    low, high = span(values)
    assert low < high
    slack = (high - low) * 1e-3
    assert all(low - slack <= value <= high + slack for value in values)


def test_an_interval_is_written_with_the_digits_it_is_sure_of():
    assert spoken(interval(Interval(value=0.91234, low=0.88, high=0.94))) == "0.912 (0.880 to 0.940)"
    assert spoken(interval(Interval(value=1234.5, low=1000.0, high=1500.0))) == "1,230 (1,000 to 1,500)"
    assert spoken(interval(Interval(value=0.5, low=0.5, high=0.5))) == "0.5 (always the same)"
    assert interval(Interval(value=0.1, low=None, high=None)) == "0.1"
    assert spoken(interval(Interval(value=0.1, low=None, high=None, reason="one row"))) == (
        "0.1 (no interval, because one row)"
    )


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] if len(colour) == 7 else None
    parts = parts or [int(digit * 2, 16) / 255 for digit in colour[1:]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other_one):
    light, dark = sorted((_luminance(one), _luminance(other_one)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_colours_stand_out_from_their_background(scheme):
    palettes = re.findall(r":root\{(color-scheme:[^}]*|--paper[^}]*)\}", STYLES)
    assert len(palettes) == 3
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})(?=[;\s}]|$)", palettes[scheme]))
    for name in ("ink", "soft", "link", "good", "warning", "bad", "unknown"):
        assert contrast(colours[name], colours["paper"]) >= 4.5
        assert contrast(colours[name], colours["panel"]) >= 4.5
    for name in ("a", "b", "c", "axis"):
        assert contrast(colours[name], colours["paper"]) >= 3.0
    # The darkest cell of a heat map: so much of the colour on the background.
    paper, shade = (
        [int(colours[name][1:].ljust(6, colours[name][-1])[at : at + 2], 16) for at in (0, 2, 4)]
        for name in ("paper", "a")
    )
    mixed = "#" + "".join(
        f"{round((1 - DARKEST) * low + DARKEST * high):02x}" for low, high in zip(paper, shade, strict=True)
    )
    assert contrast(colours["ink"], mixed) >= 4.5
