"""The card: complete, readable by other tools, safe against what data holds, and bound to what it is about."""

import base64
import hashlib
import html.parser
import json
import re

import msgspec
import pytest
import rfc8785
import yaml

from arkwright.core.dsse import Envelope, seal, unverified_payload
from arkwright.core.errors import Invalid
from arkwright.evaluation.card import IntendedUse, ModelCard, model_card
from arkwright.evaluation.card_page import render_card_page
from arkwright.evaluation.card_signature import (
    PAYLOAD_TYPE,
    card_statement,
    cited_digests,
    digests_of,
    document_sha256,
    expect_digest,
    sign_card,
)
from arkwright.evaluation.card_text import render_card
from arkwright.evaluation.recommendations import recommendations_of
from arkwright.evaluation.summary import summary_of
from arkwright.evaluation.verdict import verdict_of
from tests.unit.evaluation import evaluated

WHEN = "2026-01-02T03:04:05Z"
MITCHELL = (
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
)  # fmt: skip


def told(document):
    return msgspec.structs.replace(
        document,
        verdict=verdict_of(document),
        summary=summary_of(document),
        recommendations=recommendations_of(document),
    )


def card_of(document=None, **given):
    return model_card(told(document or evaluated.binary()), created_at=WHEN, **given)


def signed(document=None):
    document = told(document or evaluated.binary())
    card = model_card(document, created_at=WHEN)
    envelope = sign_card(
        card, document, render_card(card), key_id="k1", sign=lambda message: hashlib.sha256(message).digest()
    )
    return envelope, card, document


def metadata_of(text):
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("document", evaluated.ALL, ids=lambda made: made.__name__)
def test_every_card_has_the_sections_of_the_paper_in_order(document):
    text = render_card(card_of(document()))
    assert [title for title in re.findall(r"^## (.*)$", text, re.MULTILINE) if title in MITCHELL] == list(MITCHELL)


@pytest.mark.parametrize("document", evaluated.ALL, ids=lambda made: made.__name__)
def test_the_metadata_holds_every_metric_with_its_value_as_hugging_face_wants_it(document):
    card = card_of(document(), license="apache-2.0")
    metadata = metadata_of(render_card(card))
    assert metadata["license"] == "apache-2.0"
    assert metadata["library_name"] == "arkwright"
    (entry,) = metadata["model-index"]
    (result,) = entry["results"]
    kind = "tabular-regression" if document is evaluated.regression else "tabular-classification"
    assert result["task"]["type"] == metadata["pipeline_tag"] == kind
    assert result["dataset"]["name"] == document().data.name
    assert result["dataset"]["type"]
    assert {item["type"]: item["value"] for item in result["metrics"]} == {
        name: value.value for name, value in document().performance.metrics.items()
    }


def test_a_card_without_a_licence_claims_none():
    assert "license" not in metadata_of(render_card(card_of()))
    assert "**License:** Not stated." in render_card(card_of())


def test_what_it_is_meant_for_is_written_where_somebody_said_it():
    use = IntendedUse(primary_uses=("Rank applications for review",), out_of_scope=("Decide alone",))
    text = render_card(card_of(intended_use=use))
    assert "### Primary uses\n\n- Rank applications for review" in text
    assert "### Primary users\n\n- Not stated." in text
    assert "### Out of scope\n\n- Decide alone" in text


def test_the_figures_of_each_group_are_those_of_the_evaluation():
    card = card_of()
    by_class, sex, race = card.quantitative_analyses.unitary
    assert (by_class.by, sex.by, race.by) == ("class of y", "sex", "race")
    groups = {group.group: group for group in evaluated.binary().fairness.report.column("sex").groups}
    for row in sex.groups:
        found = dict(zip(sex.figures, row.figures, strict=True))
        assert found["favourable answers given"] == groups[row.group].metrics["selection_rate"]
        assert row.n_rows == groups[row.group].n_rows
    assert card.quantitative_analyses.intersectional == ()
    assert card.quantitative_analyses.intersectional_reason == "No two sensitive columns were combined."


def test_two_columns_that_were_combined_are_the_intersectional_analysis():
    document = evaluated.binary()
    report = document.fairness.report
    pair = msgspec.structs.replace(report.column("sex"), column="sex & race")
    report = msgspec.structs.replace(report, columns=(*report.columns, pair))
    document = msgspec.structs.replace(document, fairness=msgspec.structs.replace(document.fairness, report=report))
    analyses = card_of(document).quantitative_analyses
    assert [table.by for table in analyses.intersectional] == ["sex & race"]
    assert "sex & race" not in [table.by for table in analyses.unitary]


def test_what_was_not_audited_is_said_and_not_left_out():
    card = card_of(evaluated.multiclass())
    assert card.quantitative_analyses.unitary_reason == "No sensitive column was named."
    assert card.ethical_considerations == (
        "Whether it treats groups of people alike is not known. No sensitive column was named.",
    )
    assert any("2 minutes for it were over" in text for text in card.caveats_and_recommendations)


def test_the_findings_about_fairness_are_in_the_card_word_for_word():
    said = card_of().ethical_considerations
    findings = evaluated.binary().fairness.report.findings()
    assert findings
    assert {finding.text for finding in findings} <= {*said}
    assert any("not legal advice" in text for text in said)


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.titles = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data
        if self.tags and self.tags[-1][0] == "h2":
            self.titles.append(data)


HOSTILE = 'x|y\n\n# <script>alert("1")</script> [a](javascript:b) --- {0} \x1b[31m'


def hostile():
    document = evaluated.binary()
    subject = msgspec.structs.replace(document.subject, model_name=HOSTILE, target=HOSTILE, description=HOSTILE)
    data = msgspec.structs.replace(document.data, name=HOSTILE, notes=(HOSTILE,))
    return msgspec.structs.replace(document, subject=subject, data=data)


def test_a_name_from_data_cannot_write_markup_into_the_readme():
    text = render_card(card_of(hostile()))
    body = text.split("---\n", 2)[2]
    assert re.search(r"(?<!\\)<script", body) is None
    assert re.search(r"(?<!\\)\]\(", body) is None
    assert "\x1b" not in body
    assert metadata_of(text)["model-index"][0]["name"] == HOSTILE
    headings = re.findall(r"^#+ .*$", body, re.MULTILINE)
    assert len(headings) == len(re.findall(r"^#+ .*$", render_card(card_of()), re.MULTILINE))


def test_a_name_from_data_cannot_write_markup_into_the_page():
    page = Page(render_card_page(card_of(hostile())))
    assert "script" not in {tag for tag, _ in page.tags}
    assert 'alert("1")' in page.text


@pytest.mark.parametrize("document", evaluated.ALL, ids=lambda made: made.__name__)
def test_the_page_has_the_same_sections_and_fetches_nothing(document):
    text = render_card_page(card_of(document()))
    page = Page(text)
    assert [title for title in page.titles if title in MITCHELL] == list(MITCHELL)
    assert [attrs for tag, attrs in page.tags if "src" in attrs or (tag == "link" and "href" in attrs)] == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len({*ids})
    assert {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs} <= {*ids}
    assert text == render_card_page(card_of(document()))


def test_the_page_of_a_signed_card_shows_what_is_cited():
    envelope, card, _ = signed()
    cited = cited_digests(envelope, card_statement(PAYLOAD_TYPE, unverified_payload(envelope)))
    page = Page(render_card_page(card, cited))
    for shown in (cited.bundle_digest, cited.evaluation_sha256, cited.readme_sha256, "k1"):
        assert shown in page.text


@pytest.mark.parametrize("document", evaluated.ALL, ids=lambda made: made.__name__)
def test_the_signed_statement_cites_bundle_evaluation_and_readme_and_carries_the_card(document):
    envelope, card, told_document = signed(document())
    statement = json.loads(base64.b64decode(envelope.payload))
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {thing["name"]: thing["digest"]["sha256"] for thing in statement["subject"]} == {
        "bundle": evaluated.DIGEST.removeprefix("sha256:"),
        "evaluation.json": hashlib.sha256(rfc8785.dumps(msgspec.to_builtins(told_document))).hexdigest(),
        "README.md": hashlib.sha256(render_card(card).encode()).hexdigest(),
    }
    assert msgspec.convert(statement["predicate"]["card"], ModelCard) == card


def test_a_document_read_back_from_its_file_has_the_digest_that_was_cited():
    envelope, _, document = signed()
    statement = card_statement(PAYLOAD_TYPE, unverified_payload(envelope))
    again = json.loads(msgspec.json.encode(document))
    assert document_sha256(again) == statement.sha256("evaluation.json")


def test_signing_the_same_card_again_gives_the_same_bytes():
    assert signed()[0] == signed()[0]


def test_the_card_says_how_the_resamples_of_its_intervals_were_drawn():
    made = evaluated.binary()
    for scheme, words in (("rows", "resamples of rows drawn at random, seed"), ("rows within rare classes", "kept at")):
        performance = msgspec.structs.replace(made.performance, resampling=scheme)
        card = card_of(msgspec.structs.replace(made, performance=performance))
        assert words in card.metrics.uncertainty


def test_what_a_page_says_is_cited_before_it_is_signed_is_what_is_cited():
    document = told(evaluated.binary())
    card = model_card(document, created_at=WHEN)
    cited = digests_of(card, document, render_card(card), key_id="k1")
    page = render_card_page(card, cited)
    envelope = sign_card(card, document, render_card(card), key_id="k1", sign=lambda _: b"", pages={"card.html": page})
    statement = card_statement(PAYLOAD_TYPE, unverified_payload(envelope))
    assert cited == cited_digests(envelope, statement)
    assert statement.sha256("card.html") == hashlib.sha256(page.encode()).hexdigest()
    with pytest.raises(Invalid, match=r"names no SHA-256 of report\.html"):
        statement.sha256("report.html")


def test_a_card_without_a_bundle_is_not_signed():
    subject = msgspec.structs.replace(evaluated.binary().subject, bundle_digest="")
    with pytest.raises(Invalid, match="without its bundle's digest"):
        signed(msgspec.structs.replace(evaluated.binary(), subject=subject))


def _sealed(statement, payload_type=PAYLOAD_TYPE) -> Envelope:
    return seal(payload_type, json.dumps(statement).encode(), "k1", lambda _message: b"")


@pytest.mark.parametrize(
    ("statement", "payload_type", "code"),
    [
        ({"_type": "https://in-toto.io/Statement/v1"}, PAYLOAD_TYPE, "card.not_one"),
        (
            {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1"},
            PAYLOAD_TYPE,
            "card.not_one",
        ),
        (
            {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://arkwright.dev/model-card/v2"},
            PAYLOAD_TYPE,
            "card.too_new",
        ),
        (
            {"_type": "https://in-toto.io/Statement/v2", "predicateType": "https://arkwright.dev/model-card/v1"},
            PAYLOAD_TYPE,
            "card.too_new",
        ),
        (
            {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://arkwright.dev/model-card/v1"},
            PAYLOAD_TYPE,
            "card.not_one",
        ),
        ([], PAYLOAD_TYPE, "card.not_one"),
        ({}, "application/json", "card.not_one"),
    ],
)
def test_a_signed_file_that_is_no_card_of_this_release_is_told_apart(statement, payload_type, code):
    envelope = _sealed(statement, payload_type)
    with pytest.raises(Invalid) as refused:
        card_statement(envelope.payload_type, unverified_payload(envelope), source="file.json")
    assert refused.value.code == code
    assert "file.json" in refused.value.detail
    assert refused.value.hint


def test_a_thing_that_is_not_the_cited_one_is_refused_with_both_digests():
    with pytest.raises(Invalid, match="not about this bundle: it was signed for sha256:aa, and this is sha256:bb"):
        expect_digest("bundle", "sha256:bb", "sha256:aa")
