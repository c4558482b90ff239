"""The model card as one HTML page, to read, print and file: no script, and nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from arkwright.core.written_numbers import written
from arkwright.evaluation.card import CardTable, ModelCard
from arkwright.evaluation.card_signature import CitedDigests
from arkwright.evaluation.card_text import UNSTATED, evaluation_facts, figure
from arkwright.evaluation.model_evaluation import Sentence
from arkwright.evaluation.report_page.layout import Tone, facts, mark, part, table
from arkwright.evaluation.report_page.markup import Html, element, join, paragraphs
from arkwright.evaluation.report_page.styles import STYLES

_WORDS: dict[str, tuple[str, Tone]] = {
    "go": ("GO", "good"),
    "conditional": ("CONDITIONAL", "warning"),
    "no-go": ("NO-GO", "bad"),
}


def render_card_page(card: ModelCard, cited: CitedDigests | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    cited
        What the signed card cites and with which key; None for a card that is not signed.

    Returns
    -------
    str
        HTML, to be stored and sent as UTF-8; the same for the same card.
    """
    details = card.model_details
    title = f"Model card of {details.name}, version {details.version}"
    parts = {
        "In plain words": _list(item.text for item in card.summary),
        **_paper(card),
        "Signature": _signature(cited),
    }
    sections = [
        element(
            "section",
            element("h2", name, id=f"{_key(name)}-title"),
            content,
            id=_key(name),
            aria_labelledby=f"{_key(name)}-title",
        )
        for name, content in parts.items()
    ]
    word, tone = _WORDS[card.verdict.decision]
    header = element(
        "header",
        element("h1", title),
        element("p", "Verdict: ", mark(word, tone), class_="verdict"),
        element("p", f"Confidence: {card.verdict.confidence}. {card.verdict.confidence_reason}"),
        element("ul", *(_reason(item) for item in card.verdict.reasons)),
    )
    digest = base64.b64encode(hashlib.sha256(STYLES.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(STYLES)),
    )
    body = element(
        "body",
        element("a", "Skip to the card", href="#content", class_="skip"),
        header,
        element("div", _contents(parts), element("main", *sections, id="content", tabindex="-1"), class_="page"),
        element("footer", element("p", f"{title}. Written {details.created_at} by Arkwright.")),
    )
    return join([Html("<!doctype html>\n"), element("html", head, body, lang="en"), Html("\n")])


def _together(*children: str | None) -> Html:
    return join(children)


def _paper(card: ModelCard) -> dict[str, Html]:
    """Return the nine sections of the paper."""
    details, uses, measures, analyses = card.model_details, card.intended_use, card.metrics, card.quantitative_analyses
    return {
        "Model details": _together(
            element("p", details.description) if details.description else None,
            facts(
                [
                    ("Predicts", f"{details.target} ({details.task})"),
                    ("Classes", ", ".join(str(label) for label in details.classes)),
                    ("Inputs", ", ".join(details.inputs)),
                    ("Learner", details.learner),
                    ("Version", f"{details.version} (number {details.number})"),
                    ("Id of the version", element("code", details.model_version_id)),
                    ("Bundle", element("code", details.bundle_digest)),
                    ("Developed by", ", ".join(details.developers) or UNSTATED),
                    ("License", details.license or UNSTATED),
                    ("Contact", details.contact or UNSTATED),
                ]
            ),
        ),
        "Intended use": _together(
            part("Primary uses", _list(uses.primary_uses or (UNSTATED,))),
            part("Primary users", _list(uses.primary_users or (UNSTATED,))),
            part("Out of scope", _list(uses.out_of_scope or (UNSTATED,))),
        ),
        "Factors": _together(
            part("Relevant", _list(card.factors.relevant or ("None were declared or found.",))),
            part("Evaluated", _list(card.factors.evaluated or (card.factors.reason,))),
        ),
        "Metrics": _together(
            element("p", f"The metric that decides is {measures.primary}. {measures.decision_threshold}"),
            element("p", measures.uncertainty),
            table(
                "Metrics, with the trivial model's beside them",
                ("Metric", "Model", "Trivial model"),
                [
                    (item.title, figure(item.value), "" if item.trivial is None else written(item.trivial))
                    for item in measures.metrics
                ],
                numeric=(1, 2),
            ),
        ),
        "Evaluation data": _together(facts(evaluation_facts(card).items())),
        "Training data": _together(
            facts((name.replace("_", " "), value) for name, value in card.training_data.items())
        ),
        "Quantitative analyses": _together(
            part("One factor at a time", *map(_table, analyses.unitary), _note(analyses.unitary_reason)),
            part("Two factors together", *map(_table, analyses.intersectional), _note(analyses.intersectional_reason)),
        ),
        "Ethical considerations": _together(_list(card.ethical_considerations)),
        "Caveats and recommendations": _together(
            _list(card.caveats_and_recommendations or ("None.",)),
            part("To watch in production", _list(card.monitoring or ("Nothing was derived.",))),
        ),
    }


def _signature(cited: CitedDigests | None) -> Html:
    if cited is None:
        return element("p", "This card is not signed.", class_="note")
    return join(
        [
            element(
                "p", "What the signed file says; arkwright card verify checks it, without this page or a platform."
            ),
            facts(
                [
                    ("Key", element("code", cited.key_id)),
                    ("Bundle", element("code", cited.bundle_digest)),
                    ("Evaluation (SHA-256)", element("code", cited.evaluation_sha256)),
                    ("README.md (SHA-256)", element("code", cited.readme_sha256)),
                ]
            ),
        ]
    )


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")


def _contents(titles: Iterable[str]) -> Html:
    links = [element("li", element("a", title, href=f"#{_key(title)}")) for title in titles]
    return element(
        "nav", element("h2", "Contents", id="contents-title"), element("ol", *links), aria_labelledby="contents-title"
    )


def _list(items: Iterable[str]) -> Html:
    return element("ul", *(element("li", item) for item in items))


def _reason(found: Sentence) -> Html:
    return element("li", found.text, paragraphs(found.points))


def _note(text: str) -> Html | None:
    return element("p", text, class_="note") if text else None


def _table(found: CardTable) -> Html:
    rows = [
        (f"{group.group} (small)" if group.small else group.group, f"{group.n_rows:,}", *map(figure, group.figures))
        for group in found.groups
    ]
    headings = (found.by, "Rows", *found.figures)
    return table(f"By {found.by}", headings, rows, numeric=range(1, len(headings)))
