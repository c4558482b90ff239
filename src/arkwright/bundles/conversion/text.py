"""Fitted text vectorisers as a :class:`~arkwright.bundles.kernels.TextPlan`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from arkwright.bundles.conversion.expressions import Block, Cell, TermCell, TextCell, new_group
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.kernels import TextPlan

MAX_TERMS = 1 << 20
_CODE = ("preprocessor", "tokenizer")
_ACCENTS: dict[Any, Any] = {None: "keep", "ascii": "ascii", "unicode": "unicode"}
VECTORIZERS = frozenset({"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"})


def vectorizer(fitted: Any, block: Block) -> Block:
    """Return one output for each term of a text column."""
    if len(block.cells) != 1 or not isinstance(block.cells[0], TextCell):
        raise NotCompilable(
            f"A {type(fitted).__name__} is applied to something other than one text column.",
            hint="Name the column itself and not a list: ('text', TfidfVectorizer(), 'review').",
        )
    cell = block.cells[0]
    plan = _plan(fitted, cell.fill)
    if plan.n_terms > MAX_TERMS:
        raise NotCompilable(
            f"The text column {cell.column!r} has {plan.n_terms:,} terms, more than {MAX_TERMS:,}.",
            hint="Limit them with max_features or n_features.",
        )
    group = new_group()
    terms: list[Cell] = [TermCell(cell.column, group, plan, term) for term in range(plan.n_terms)]
    return Block(terms, sparse=True, single=np.dtype(fitted.dtype) == np.float32)


def tfidf_transformer(fitted: Any, block: Block) -> Block:
    """Weigh the counts of a vectoriser that stands directly before."""
    terms = [cell for cell in block.cells if isinstance(cell, TermCell)]
    first = terms[0] if terms else None
    whole = first is not None and len(terms) == len(block.cells) == first.plan.n_terms
    if first is None or not whole or first.plan.norm != "none" or any(cell.factor != 1.0 for cell in terms):
        raise NotCompilable("A TfidfTransformer stands somewhere other than directly after a CountVectorizer.")
    plan = msgspec.structs.replace(first.plan, **_weights(fitted))
    group = new_group()
    return replace(block, cells=[replace(cell, plan=plan, group=group) for cell in terms])


def _plan(fitted: Any, fill: str | None) -> TextPlan:
    if callable(fitted.analyzer) or any(getattr(fitted, name) is not None for name in _CODE):
        raise NotCompilable(f"A {type(fitted).__name__} has an analyzer, preprocessor or tokenizer of your own code.")
    if callable(fitted.strip_accents):
        raise NotCompilable(f"A {type(fitted).__name__} strips accents with code of your own.")
    settings: dict[str, Any] = {
        "analyzer": fitted.analyzer,
        "token_pattern": fitted.token_pattern,
        "lowercase": bool(fitted.lowercase),
        "accents": _ACCENTS[fitted.strip_accents],
        "ngrams": tuple(map(int, fitted.ngram_range)),
        "stop_words": tuple(sorted(fitted.get_stop_words() or ())) if fitted.analyzer == "word" else (),
        "binary": bool(fitted.binary),
        "fill": fill,
    }
    kind = type(fitted).__name__
    if kind == "HashingVectorizer":
        settings |= {"n_hashed": int(fitted.n_features), "alternate_sign": bool(fitted.alternate_sign)}
        settings["norm"] = _norm(fitted.norm)
    else:
        terms = sorted(fitted.vocabulary_.items(), key=lambda item: int(item[1]))
        if [int(index) for _, index in terms] != list(range(len(terms))):
            raise NotCompilable(f"The vocabulary of a {kind} has gaps.")
        settings["vocabulary"] = tuple(str(term) for term, _ in terms)
    if kind == "TfidfVectorizer":
        settings |= _weights(fitted)
    return TextPlan(**settings)


def _weights(fitted: Any) -> dict[str, Any]:
    return {
        "sublinear": bool(fitted.sublinear_tf),
        "idf": tuple(np.asarray(fitted.idf_, dtype=np.float64).tolist()) if fitted.use_idf else (),
        "norm": _norm(fitted.norm),
    }


def _norm(norm: str | None) -> str:
    return norm or "none"
