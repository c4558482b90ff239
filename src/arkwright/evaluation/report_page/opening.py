"""What stands first: what was evaluated on what, the verdict with its reasons, and the summary."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from arkwright.evaluation.model_evaluation import ModelEvaluation, Sentence
from arkwright.evaluation.report_page.layout import TITLES, Tone, facts, mark, more, part, section, table
from arkwright.evaluation.report_page.markup import Html, anchor, element, join, paragraphs
from arkwright.evaluation.report_page.wording import cell, count, listed, rows

_WORDS: dict[str, tuple[str, Tone]] = {
    "go": ("GO", "good"),
    "conditional": ("CONDITIONAL", "warning"),
    "no-go": ("NO-GO", "bad"),
}
_BASIS = {
    "holdout": "rows kept out of training",
    "given": "rows that were given; whether the model has seen them is not known",
    "training": "the dataset version it was trained on: it has seen most of these rows",
}


def page_title(document: ModelEvaluation) -> str:
    """Return the page's title."""
    return f"Evaluation of {document.subject.model_name}, version {document.subject.version}"


def head_of_page(document: ModelEvaluation, card_digest: str) -> Html:
    """Return the header: the verdict in a word, and which model, which data."""
    subject, data = document.subject, document.data
    word, tone = _WORDS[document.verdict.decision]
    return element(
        "header",
        element("h1", page_title(document)),
        element("p", "Verdict: ", mark(word, tone), class_="verdict"),
        element("p", subject.description) if subject.description else None,
        facts(
            [
                ("Predicts", f"{subject.target} ({subject.task})"),
                ("Data", f"{data.name}: {rows(data.n_rows_used)}"),
                ("Digest of the bundle", element("code", subject.bundle_digest)),
                ("Digest of the model card", element("code", card_digest) if card_digest else None),
            ]
        ),
    )


def subject(document: ModelEvaluation) -> Html:
    """Return what was evaluated, and on what."""
    model, data = document.subject, document.data
    return section(
        document,
        "subject",
        part(
            "The model",
            facts(
                [
                    ("Name", model.model_name),
                    ("Version", f"{model.version} (number {model.number})"),
                    ("Id of the version", element("code", model.model_version_id)),
                    ("Digest of the bundle", element("code", model.bundle_digest)),
                    ("Learner", model.learner),
                    ("Predicts", f"{model.target} ({model.task})"),
                    ("Classes", listed([cell(label) for label in model.classes], "")),
                    ("Inputs", listed(model.inputs)),
                ]
            ),
        ),
        part("Where it comes from", facts((name, element("code", value)) for name, value in model.lineage.items()))
        if model.lineage
        else None,
        part(
            "The data",
            facts(
                [
                    ("Name", data.name),
                    ("Basis", _BASIS[data.basis]),
                    ("Rows", _rows(document)),
                    ("Sensitive columns", listed(data.sensitive, "none declared")),
                    ("Dataset version", element("code", data.dataset_version_id) if data.dataset_version_id else None),
                    ("Fingerprint", element("code", data.fingerprint) if data.fingerprint else None),
                ]
            ),
            paragraphs(data.notes),
            pointer="/data",
        ),
    )


def _rows(document: ModelEvaluation) -> str:
    data = document.data
    if data.n_rows == data.n_rows_used:
        return f"{count(data.n_rows)}, all used"
    return f"{count(data.n_rows_used)} used of {count(data.n_rows)}: the others have no usable target"


def contents(present: Sequence[str]) -> Html:
    """Return the table of contents."""
    links = [element("li", element("a", TITLES[key], href=f"#{key}")) for key in present]
    return element(
        "nav", element("h2", "Contents", id="contents-title"), element("ol", *links), aria_labelledby="contents-title"
    )


def verdict(document: ModelEvaluation, places: Mapping[str, str]) -> Html:
    """Return the verdict, its reasons, what to do and what to watch."""
    found = document.verdict
    word, tone = _WORDS[found.decision]
    parts = [
        element("p", mark(word, tone), class_="verdict"),
        element("p", f"Confidence: {found.confidence}. {found.confidence_reason}"),
        part("Reasons, the weightiest first", sentences(found.reasons, places, of="reasons")),
    ]
    if document.recommendations:
        parts.append(part("What to do next", sentences(document.recommendations, places, of="what to do")))
    if document.monitoring:
        parts.append(part("What to watch in production", sentences(document.monitoring, places, of="what to watch")))
    return section(document, "verdict", *parts)


def summary(document: ModelEvaluation, places: Mapping[str, str]) -> Html:
    """Return the summary for a reader without statistics."""
    return section(document, "summary", sentences(document.summary, places, of="summary"))


def sentences(found: Sequence[Sentence], places: Mapping[str, str], *, of: str) -> Html:
    """Return sentences, each with links to the places its numbers come from.

    Parameters
    ----------
    places
        The page's ids and what each is called; a pointer leads to the nearest place that holds what it names.
    of
        What they are, in a word.
    """
    if not found:
        return element("p", "There are none.", class_="note")
    items, lines = [], []
    for at, sentence in enumerate(found, 1):
        reached = dict.fromkeys(place for pointer in sentence.evidence if (place := _place(pointer, places)))
        # A section adds nothing to a place within it.
        nearest = [each for each in reached if not any(other.startswith(f"{each}.") for other in reached)]
        links = [piece for each in nearest for piece in (", ", _link(each, places))][1:]
        source = element("span", " From: ", *links, class_="from") if links else None
        items.append(element("li", sentence.text, source, paragraphs(sentence.points)))
        if sentence.evidence:
            lines.append([f"sentence {at}", element("code", ", ".join(sentence.evidence))])
    told = element("ol", *items, class_="sentences")
    if not lines:
        return told
    numbers = table(f"JSON pointers: {of}", ["sentence", "places in the document"], lines)
    return join([told, more(f"Where each number comes from ({of})", numbers)])


def _place(pointer: str, places: Container[str]) -> str | None:
    """Return the id of the nearest place on the page that holds what a pointer names."""
    steps = anchor(pointer).split(".")
    for length in range(len(steps), 0, -1):
        place = ".".join(steps[:length])
        if place in places:
            return place
    return None


def _link(place: str, places: Mapping[str, str]) -> Html:
    section_of = TITLES.get(place.partition(".")[0], "")
    name = places[place]
    return element("a", f"{section_of}: " if section_of and name != section_of else "", name, href=f"#{place}")
