"""Text as counted, weighted terms: what ``CountVectorizer``, ``TfidfVectorizer`` and ``HashingVectorizer`` do.

A vocabulary of fifty thousand terms is no vector of fifty thousand numbers here: for a linear model
:class:`TermScores` adds up the weights of a text's own terms, and only small vocabularies become outputs of their own.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import CellWriter, FloatArray, as_text, missing_column
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.kernels.steps import MISSING_MESSAGE

Terms = list[tuple[int, float]]

_MANY_BLANKS = re.compile(r"\s\s+")
_MASK = 0xFFFFFFFF
_LOWEST = -(2**31)


class TextPlan(msgspec.Struct, frozen=True, kw_only=True):
    """From a text to the weights of its terms.

    Parameters
    ----------
    vocabulary
        The terms in the order of their indices; empty where terms are hashed.
    n_hashed
        Number of buckets where terms are hashed, as scikit-learn's ``FeatureHasher`` does it.
    idf
        Factor of each term; empty for none.
    fill
        What a missing text counts as; None where the pipeline refuses it.
    """

    analyzer: Literal["word", "char", "char_wb"] = "word"
    token_pattern: str = r"(?u)\b\w\w+\b"  # noqa: S105 - a token of text
    lowercase: bool = True
    accents: Literal["keep", "ascii", "unicode"] = "keep"
    ngrams: tuple[int, int] = (1, 1)
    stop_words: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    n_hashed: int = 0
    alternate_sign: bool = True
    binary: bool = False
    sublinear: bool = False
    idf: tuple[float, ...] = ()
    norm: Literal["none", "l1", "l2"] = "none"
    fill: str | None = None

    @property
    def n_terms(self) -> int:
        """Length of the vector that is never made."""
        return self.n_hashed or len(self.vocabulary)

    def weigher(self, column: str) -> Callable[[object], Terms]:
        """Return a function from a cell to its terms' indices and weights, in the order of the indices."""
        split, count, norm, fill = self._splitter(), self._counter(), self.norm, self.fill
        binary, sublinear, idf = self.binary, self.sublinear, self.idf

        def weigh(cell: object) -> Terms:
            text = as_text(cell)
            if text is None:
                text = fill
            if text is None:
                raise CellRefused(column, MISSING_MESSAGE)
            terms = sorted(count(split(text)).items())
            if binary:
                terms = [(index, 1.0) for index, _ in terms]
            if sublinear:
                terms = [(index, math.log(weight) + 1.0) for index, weight in terms]
            if idf:
                terms = [(index, weight * idf[index]) for index, weight in terms]
            return terms if norm == "none" else _normalised(terms, norm)

        return weigh

    def _splitter(self) -> Callable[[str], Iterator[str]]:
        lowest, highest = self.ngrams
        find, stop_words = re.compile(self.token_pattern).findall, frozenset(self.stop_words)
        lowercase, accents = self.lowercase, self.accents

        def clean(text: str) -> str:
            text = text.lower() if lowercase else text
            return text if accents == "keep" else _without_accents(text, accents)

        def words(text: str) -> Iterator[str]:
            tokens = [token for token in find(clean(text)) if token not in stop_words]
            if highest == 1:
                return iter(tokens)
            return (
                " ".join(tokens[start : start + n])
                for n in range(lowest, min(highest, len(tokens)) + 1)
                for start in range(len(tokens) - n + 1)
            )

        def characters(text: str) -> Iterator[str]:
            text = _MANY_BLANKS.sub(" ", clean(text))
            return (
                text[start : start + n]
                for n in range(lowest, min(highest, len(text)) + 1)
                for start in range(len(text) - n + 1)
            )

        def within_words(text: str) -> Iterator[str]:
            for word in _MANY_BLANKS.sub(" ", clean(text)).split():
                padded = f" {word} "
                for n in range(lowest, highest + 1):
                    yield padded[:n]
                    yield from (padded[start : start + n] for start in range(1, len(padded) - n + 1))
                    if n >= len(padded):  # a short word counts once
                        break

        return {"word": words, "char": characters, "char_wb": within_words}[self.analyzer]

    def _counter(self) -> Callable[[Iterator[str]], dict[int, float]]:
        if self.n_hashed:
            return functools.partial(_hashed, n_buckets=self.n_hashed, alternate=self.alternate_sign)
        indices = {term: index for index, term in enumerate(self.vocabulary)}

        def count(terms: Iterator[str]) -> dict[int, float]:
            counts: dict[int, float] = {}
            for term in terms:
                index = indices.get(term)
                if index is not None:
                    counts[index] = counts.get(index, 0.0) + 1.0
            return counts

        return count


class TermWeights(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="term_weights"):
    """One output for each of the chosen terms.

    Parameters
    ----------
    terms
        Indices of the terms that have an output, in order.
    factors
        What each is multiplied with.
    """

    column: str
    plan: TextPlan
    names: tuple[str, ...]
    terms: tuple[int, ...]
    factors: tuple[float, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """As named."""
        return self.names

    @property
    def categorical(self) -> bool:
        """They are quantities."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All None."""
        return missing_column("categorical", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Weigh each text."""
        weigh, places = self.plan.weigher(self.column), self._places()
        for row, cell in enumerate(values.tolist()):
            for index, weight in weigh(cell):
                if index in places:
                    place, factor = places[index]
                    out[row, place] = weight * factor

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that weighs the text."""
        weigh, places = self.plan.weigher(self.column), self._places()

        def write(value: Any, out: list[float]) -> None:
            for index, weight in weigh(value):
                if index in places:
                    place, factor = places[index]
                    out[at + place] = weight * factor

        return write

    def _places(self) -> dict[int, tuple[int, float]]:
        return {
            term: (place, factor) for place, (term, factor) in enumerate(zip(self.terms, self.factors, strict=True))
        }


class TermScores(msgspec.Struct, frozen=True, kw_only=True, tag_field="kernel", tag="term_scores"):
    """What a text adds to each score of a linear model: the sum of its terms' weights times their coefficients.

    Parameters
    ----------
    coefficients
        Of shape (n_scores, n_terms), row after row.
    """

    column: str
    plan: TextPlan
    names: tuple[str, ...]
    coefficients: tuple[float, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """One per score."""
        return self.names

    @property
    def categorical(self) -> bool:
        """They are quantities."""
        return False

    def missing_column(self, n_rows: int) -> npt.NDArray[Any]:
        """All None."""
        return missing_column("categorical", n_rows)

    def encode_column(self, values: npt.NDArray[Any], out: FloatArray) -> None:
        """Score each text."""
        score = self._scorer()
        for row, cell in enumerate(values.tolist()):
            out[row] = score(cell)

    def cell_writer(self, at: int) -> CellWriter:
        """Return a function that scores the text."""
        score, to = self._scorer(), at + len(self.names)

        def write(value: Any, out: list[float]) -> None:
            out[at:to] = score(value)

        return write

    def _scorer(self) -> Callable[[object], list[float]]:
        weigh, n_terms = self.plan.weigher(self.column), self.plan.n_terms
        # An array, not a tuple of floats: a million coefficients are 8 MB and not 32.
        coefficients = np.array(self.coefficients)
        starts = range(0, n_terms * len(self.names), n_terms)

        def score(cell: object) -> list[float]:
            terms = weigh(cell)
            scores = []
            for start in starts:
                total = 0.0
                for index, weight in terms:
                    total += weight * coefficients.item(start + index)
                scores.append(total)
            return scores

        return score


def _normalised(terms: Terms, norm: str) -> Terms:
    length = 0.0
    for _, weight in terms:
        length += weight * weight if norm == "l2" else abs(weight)
    if norm == "l2":
        length = math.sqrt(length)
    return terms if length == 0.0 else [(index, weight / length) for index, weight in terms]


def _without_accents(text: str, how: str) -> str:
    if how == "ascii":
        return unicodedata.normalize("NFKD", text).encode("ASCII", "ignore").decode("ASCII")
    if text.isascii():
        return text
    return "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))


def _hashed(terms: Iterator[str], *, n_buckets: int, alternate: bool) -> dict[int, float]:
    counts: dict[int, float] = {}
    for term in terms:
        hashed = murmur3(term.encode("utf-8"))
        index = (2**31 - 1 - (n_buckets - 1)) % n_buckets if hashed == _LOWEST else abs(hashed) % n_buckets
        counts[index] = counts.get(index, 0.0) + (-1.0 if alternate and hashed < 0 else 1.0)
    return counts


def murmur3(data: bytes, seed: int = 0) -> int:
    """Return the signed 32-bit MurmurHash3 of some bytes.

    Examples
    --------
    >>> murmur3(b"foo"), murmur3(b"")
    (-156908512, 0)

    References
    ----------
    Austin Appleby, MurmurHash3 (public domain), variant x86_32.
    """
    hashed = seed
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        hashed ^= _mixed(int.from_bytes(data[start : start + 4], "little"))
        hashed = ((hashed << 13 | hashed >> 19) & _MASK) * 5 + 0xE6546B64 & _MASK
    if whole < len(data):
        hashed ^= _mixed(int.from_bytes(data[whole:], "little"))
    hashed ^= len(data)
    hashed = (hashed ^ hashed >> 16) * 0x85EBCA6B & _MASK
    hashed = (hashed ^ hashed >> 13) * 0xC2B2AE35 & _MASK
    hashed ^= hashed >> 16
    return hashed - 2**32 if hashed >= 2**31 else hashed


def _mixed(block: int) -> int:
    block = block * 0xCC9E2D51 & _MASK
    return (block << 15 | block >> 17) * 0x1B873593 & _MASK
