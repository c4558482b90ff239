"""Sentences of which every number can be looked up: JSON pointers into the document stand behind them.

A sentence is made of a template and of quotes; a quote is a value of the document, written for a reader, with the
pointer it was read at. :func:`check_numbers` is the proof by the other way round: it takes a finished sentence apart
and looks for each number among the values its pointers name.

References
----------
Bryan, Zyp & Nottingham (2013), "JavaScript Object Notation (JSON) Pointer", RFC 6901.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from arkwright.core.written_numbers import DIGITS, counted, of_hundred, read, written
from arkwright.evaluation.model_evaluation import Sentence

Style = Literal["plain", "rough", "score", "hundred", "percent", "points", "megabytes"]
"""``rough``: a time, which differs from one run to the next; ``score``: on a scale from 1 to 10; ``hundred``: a share
as so many of every 100; ``points``: a share's difference in percentage points."""

SCALES = ("of every 100", "on a scale from 1 to 10", "95 of every 100", "99 of every 100", "90 of every 100")
"""What a sentence may say without evidence: the scale a number is to be read on."""

_NUMBER = re.compile(r"(?:(?<![\w.,])-)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?: \u00d7 10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)?")
_FACTORS = {"points": 100.0, "megabytes": 1e-6}
_MARKS = (("", 1.0), ("%", 100.0), ("percentage point", 100.0), ("of every 100", 100.0), (" MB", 1e-6))
_UNITS = {"percent": " %", "points": " percentage points", "megabytes": " MB"}
_DIGITS = {"plain": DIGITS, "rough": 3, "score": 2, "points": 3, "megabytes": 3}
_NARROW = 0.02


class Quote(NamedTuple):
    """A value as a reader sees it, and where in the document it stands."""

    text: str
    pointers: tuple[str, ...] = ()


def pointer(*steps: str | int) -> str:
    """Write a JSON pointer.

    Examples
    --------
    >>> pointer("performance", "metrics", "a/b~c", 0)
    '/performance/metrics/a~1b~0c/0'
    """
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def resolve(tree: Any, address: str) -> Any:
    """Return what a JSON pointer names.

    Raises
    ------
    LookupError
        If it names nothing.

    Examples
    --------
    >>> resolve({"a": [{"b/c": 7}]}, "/a/0/b~1c")
    7
    """
    if address and not address.startswith("/"):
        raise LookupError(f"{address!r} is no JSON pointer: it does not start with a slash")
    found = tree
    for raw in address.split("/")[1:]:
        step = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list | tuple) and re.fullmatch(r"0|[1-9]\d*", step) and int(step) < len(found):
            found = found[int(step)]
        else:
            raise LookupError(f"{address!r} names nothing in this document: there is no {step!r}")
    return found


class Facts:
    """A document, read by JSON pointers and quoted in sentences."""

    def __init__(self, document: msgspec.Struct) -> None:
        self._tree = msgspec.to_builtins(document)

    def at(self, *steps: str | int) -> Any:
        """Return a value; None where there is none."""
        try:
            return resolve(self._tree, pointer(*steps))
        except LookupError:
            return None

    def number(self, *steps: str | int, style: Style = "plain") -> Quote:
        """Quote a number; it must be there."""
        return Quote(_written(float(self.at(*steps)), style) + _UNITS.get(style, ""), (pointer(*steps),))

    def size(self, *steps: str | int, style: Style = "plain") -> Quote:
        """Quote a number without its sign, where words tell it."""
        quoted = self.number(*steps, style=style)
        return Quote(quoted.text.removeprefix("-"), quoted.pointers)

    def count(self, *steps: str | int, one: str = "", many: str = "") -> Quote:
        """Quote how many entries a list or an object has, and of what."""
        n = len(self.at(*steps))
        return Quote(counted(n, one, many) if one else f"{n:,}", (pointer(*steps),))

    def counted(self, *steps: str | int, one: str = "row", many: str = "") -> Quote:
        """Quote a number of things: "1 row", "2 rows"."""
        return Quote(counted(int(self.at(*steps)), one, many), (pointer(*steps),))

    def estimate(self, *steps: str | int, style: Style = "plain") -> Quote:
        """Quote an interval's value with its bounds in brackets, where it has them."""
        if None in (self.at(*steps, "low"), self.at(*steps, "high")):
            return self.number(*steps, "value", style=style)
        places = [pointer(*steps, end) for end in ("value", "low", "high")]
        numbers = [float(self.at(*steps, end)) for end in ("value", "low", "high")]
        narrow = numbers[2] - numbers[1] < _NARROW
        value, low, high = (_written(number, style, decimals=1 if narrow else 0) for number in numbers)
        return Quote(f"{value}{_UNITS.get(style, '')} ({low} to {high})", tuple(places))

    def words(self, *steps: str | int) -> Quote:
        """Quote a text, a name or a label; a full stop at its end is left to the template."""
        value = self.at(*steps)
        if isinstance(value, bool) or value is None:
            return Quote("missing" if value is None else str(value).lower(), (pointer(*steps),))
        return Quote(str(value).removesuffix("."), (pointer(*steps),))

    def name(self, *steps: str | int) -> Quote:
        """Quote a name or a label between quotation marks."""
        value = self.words(*steps)
        return Quote(f"'{value.text}'", value.pointers)


def sentence(template: str, points: Sequence[Quote] = (), /, **quotes: Quote | str) -> Sentence:
    """Fill a template with quotes; ``points`` are listed below it.

    Examples
    --------
    >>> sentence("{n} rows were used.", n=Quote("12", ("/data/n_rows",)))
    Sentence(text='12 rows were used.', evidence=('/data/n_rows',), points=())
    """
    texts = {key: quote if isinstance(quote, str) else quote.text for key, quote in quotes.items()}
    named = [place for quote in quotes.values() if not isinstance(quote, str) for place in quote.pointers]
    named += [place for point in points for place in point.pointers]
    return Sentence(
        text=template.format(**texts),
        evidence=tuple(dict.fromkeys(named)),
        points=tuple(f"{point.text}." for point in points),
    )


def listed(quotes: Sequence[Quote], last: str = "and") -> Quote:
    """Join quotes as people do.

    Examples
    --------
    >>> listed([Quote("a"), Quote("b"), Quote("c")]).text
    'a, b and c'
    """
    texts = [quote.text for quote in quotes]
    text = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"
    return Quote(text, tuple(place for quote in quotes for place in quote.pointers))


def spaced(quote: Quote) -> Quote:
    """Write a machine's name as people do.

    Examples
    --------
    >>> spaced(Quote("log_loss")).text
    'log loss'
    """
    return Quote(quote.text.replace("_", " "), quote.pointers)


def check_numbers(document: msgspec.Struct, sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """Name the numbers of sentences that their evidence does not show, and pointers that name nothing.

    A number counts as shown if one of the values pointed to is that number to the decimals printed (its sign may be
    told in words, but a printed minus must be one); times 100 where the sentence says ``%``, ``percentage points`` or
    ``of every 100``; bytes in millions where it says MB. A pointer to a list or an object shows how many entries that
    has. A large number may end in zeros and a small one be a power of ten, as they are written. A pointer to a text
    shows what the sentence quotes of it word for word. What :data:`SCALES` lists needs no evidence.

    Returns
    -------
    tuple of str
        One complaint each; empty if every number is backed.
    """
    tree = msgspec.json.decode(msgspec.json.encode(document))
    return tuple(complaint for item in sentences for complaint in _unbacked(tree, item))


def _unbacked(tree: Any, item: Sentence) -> Iterable[str]:
    found = []
    for address in item.evidence:
        try:
            found.append(resolve(tree, address))
        except LookupError as error:
            yield f"{error.args[0]} (in {item.text!r})"
    values = [number for value in found if (number := _shown_by(value)) is not None]
    rest = whole = " ".join((item.text, *item.points))
    texts = {value for value in found if isinstance(value, str) and value} | {*SCALES}
    for known in sorted(texts, key=lambda text: (-len(text), text)):
        flags = re.IGNORECASE if known in SCALES else 0
        rest = re.sub(rf"(?<![\w.]){re.escape(known)}(?!\w|\.\d)", " ", rest, flags=flags)
    factors = [factor for mark, factor in _MARKS if mark.lower() in whole.lower()]
    for token in _NUMBER.findall(rest):
        if not any(_shows(token, value * factor) for value in values for factor in factors):
            yield f"{token} is not among the values that {item.text!r} names as its evidence"


def _shown_by(value: Any) -> float | None:
    if isinstance(value, list | dict):
        return float(len(value))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _shows(token: str, value: float) -> bool:
    printed: float = value if token.startswith("-") else abs(value)
    if token in {written(printed, digits) for digits in _DIGITS.values()}:
        return True
    if "\u00d7" in token:
        return False
    number, decimals = read(token), len(token.partition(".")[2])
    return abs(printed - number) <= 0.5 * 10.0**-decimals + 1e-9 * max(1.0, abs(number))


def _written(value: float, style: Style, *, decimals: int = 0) -> str:
    if style in ("hundred", "percent"):
        return of_hundred(value, decimals)
    return written(value * _FACTORS.get(style, 1.0), _DIGITS[style])
