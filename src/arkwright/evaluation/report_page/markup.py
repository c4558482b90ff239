"""HTML and SVG built from elements, so that text from outside can never become markup.

Only :class:`Html` is written as it is, and only this file makes it from text; everything else is escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


_EMPTY = frozenset({"circle", "col", "line", "meta", "path", "rect"})
# Control characters have no place in HTML, and half a surrogate pair cannot be encoded.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")


def escape(text: str) -> Html:
    """Return a text as markup that shows it.

    Examples
    --------
    >>> escape('<b>"age" & sex</b>')
    '&lt;b&gt;&quot;age&quot; &amp; sex&lt;/b&gt;'
    """
    return text if isinstance(text, Html) else Html(html.escape(_FORBIDDEN.sub("\ufffd", text)))


def join(parts: Iterable[str | None]) -> Html:
    """Return the parts one after the other, each escaped unless it is markup; None is left out."""
    return Html("".join(escape(part) for part in parts if part is not None))


def element(name: str, *children: str | None, **attributes: str | float | None) -> Html:
    """Return one element.

    Parameters
    ----------
    name
        Of the element.
    children
        Text or markup; None is left out.
    attributes
        With ``_`` for ``-`` and a trailing one for Python's own words; None is left out. ``viewBox`` stays as it is.

    Examples
    --------
    >>> element("th", "age < 30", scope="row", class_="n")
    '<th scope="row" class="n">age &lt; 30</th>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else coordinate(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Html(f"<{name}{written}>" if name in {"meta", "col"} else f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def coordinate(value: float) -> str:
    """Write a length for SVG: a tenth of a pixel is enough.

    Examples
    --------
    >>> coordinate(3.0), coordinate(2.26)
    ('3', '2.3')
    """
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def anchor(pointer: str) -> str:
    """Return the id of the place that shows what a JSON pointer names.

    Examples
    --------
    >>> anchor("/performance/metrics/roc_auc/value")
    'performance.metrics.roc_auc.value'
    """
    return ".".join(_NOT_IN_ID.sub("-", part) for part in pointer.strip("/").split("/"))


def paragraphs(texts: Iterable[str]) -> Html:
    """Return a list of sentences; nothing for none."""
    items = [element("li", text) for text in texts]
    return element("ul", *items) if items else Html("")
