"""The evaluation as one HTML page, to read, print and file.

The page holds everything it needs: no script, no font, no picture from elsewhere, and a policy that forbids them. It
has no date of its own, so the same document gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from arkwright.evaluation.model_evaluation import ON_REQUEST, ModelEvaluation
from arkwright.evaluation.report_page import opening
from arkwright.evaluation.report_page.accuracy import performance
from arkwright.evaluation.report_page.behaviour import behaviour
from arkwright.evaluation.report_page.calibration import calibration
from arkwright.evaluation.report_page.challenge import challenge
from arkwright.evaluation.report_page.closing import appendix, definition_of_done, not_done
from arkwright.evaluation.report_page.explanations import explanations
from arkwright.evaluation.report_page.fairness import fairness
from arkwright.evaluation.report_page.forecast import forecast
from arkwright.evaluation.report_page.layout import TITLES
from arkwright.evaluation.report_page.markup import Html, element, escape, join
from arkwright.evaluation.report_page.operation import operation
from arkwright.evaluation.report_page.robustness import robustness
from arkwright.evaluation.report_page.slices import weak_slices
from arkwright.evaluation.report_page.styles import STYLES

__all__ = ["render_report"]

_SECTIONS = (
    performance,
    weak_slices,
    calibration,
    fairness,
    robustness,
    operation,
    explanations,
    behaviour,
    challenge,
    forecast,
    definition_of_done,
    not_done,
    appendix,
)
_PLACE = re.compile(r'<(?:h2|h3|h4) id="([^"]+)">(.*?)</h|<tr id="([^"]+)"><th scope="row">(.*?)</th>')
_TAG = re.compile("<[^>]*>")


def render_report(document: ModelEvaluation, *, card_digest: str = "") -> str:
    """Return the page of an evaluation.

    Parameters
    ----------
    document
        The evaluation.
    card_digest
        Of the model card that was signed for it, to name it on the page.

    Returns
    -------
    str
        HTML, to be stored and sent as UTF-8.
    """
    body = [write(document) for write in _SECTIONS]
    places = _places([opening.subject(document), *body])
    title = opening.page_title(document)
    main = element(
        "main",
        opening.verdict(document, places),
        opening.summary(document, places),
        opening.subject(document),
        *body,
        id="content",
        tabindex="-1",
    )
    digest = base64.b64encode(hashlib.sha256(STYLES.encode()).digest()).decode()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(digest)),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="generator", content="Arkwright"),
        element("title", title),
        element("style", Html(STYLES)),
    )
    page = element(
        "body",
        element("a", "Skip to the report", href="#content", class_="skip"),
        opening.head_of_page(document, card_digest),
        element("div", opening.contents(_present(document)), main, class_="page"),
        element("footer", element("p", f"{title}. Computed by Arkwright from the document named in the appendix.")),
    )
    return join([Html("<!doctype html>\n"), element("html", head, page, lang="en"), Html("\n")])


def _present(document: ModelEvaluation) -> tuple[str, ...]:
    """Name the sections that the page has."""
    silent = {name for name in ON_REQUEST if getattr(document, name) is None and name not in document.not_done}
    return tuple(key for key in TITLES if key not in silent)


def _places(parts: Sequence[Html]) -> dict[str, Html]:
    """Return the ids that pointers can lead to and what they are called: headings, and the names of table rows.

    Only escaped text stands between the tags, so whatever looks like a tag is one.
    """
    found = {key: escape(title) for key, title in TITLES.items()}
    for part in parts:
        for heading, title, row, name in _PLACE.findall(part):
            found[heading or row] = Html(_TAG.sub("", title or name))
    return found


def _policy(style_digest: str) -> str:
    return f"default-src 'none'; style-src 'sha256-{style_digest}'; base-uri 'none'; form-action 'none'"
