"""The signed card: an in-toto statement in a DSSE envelope, about the bundle, the evaluation and what people read.

The statement names the bundle, the evaluation, the ``README.md``, the report and the card's page by their SHA-256 and
carries the card itself, so that one file is enough to read what was signed, and to tell whether another is one of those
it was signed for.

References
----------
in-toto Attestation Framework, statement v1 (https://in-toto.io/Statement/v1).
Rundgren, Jordan & Erdtman (2020), "JSON Canonicalization Scheme", RFC 8785.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import rfc8785

from arkwright.access import canonical
from arkwright.core.dsse import Envelope, seal
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.evaluation.card import FORMAT, ModelCard
from arkwright.evaluation.model_evaluation import ModelEvaluation

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://arkwright.dev/model-card/v1"
BUNDLE, EVALUATION, README = "bundle", "evaluation.json", "README.md"
REPORT, CARD_PAGE = "report.html", "card.html"
_FAMILY = PREDICATE_TYPE.rpartition("/")[0] + "/"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_AGAIN = "Do not rely on it; fetch it again from where it was published."


class SignedThing(msgspec.Struct, frozen=True, kw_only=True):
    """Something the statement is about."""

    name: str
    digest: dict[str, str]


class SignedCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of it."""

    card: ModelCard
    format: str = FORMAT


class CardStatement(
    msgspec.Struct, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}
):
    """An in-toto statement whose predicate is a model card."""

    subject: tuple[SignedThing, ...]
    predicate: SignedCard
    type_: str = STATEMENT_TYPE
    predicate_type: str = PREDICATE_TYPE

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a thing it is about, in hexadecimal.

        Raises
        ------
        Invalid
            If it is not about that.
        """
        for thing in self.subject:
            if thing.name == name and "sha256" in thing.digest:
                return thing.digest["sha256"]
        raise Invalid(f"The signed card names no SHA-256 of {name}.", code="card.not_one", hint=_AGAIN)


class CitedDigests(msgspec.Struct, frozen=True, kw_only=True):
    """What a signed card cites and its pages show, and the key's id its envelope names."""

    key_id: str
    bundle_digest: str
    evaluation_sha256: str
    readme_sha256: str


class _Kind(msgspec.Struct, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """What tells one statement from another."""

    type_: str = ""
    predicate_type: str = ""


prepared(CardStatement, _Kind)


def sign_card(
    card: ModelCard,
    document: ModelEvaluation,
    readme: str,
    *,
    key_id: str,
    sign: Callable[[bytes], bytes],
    pages: Mapping[str, str] | None = None,
) -> Envelope:
    """Sign a card.

    Parameters
    ----------
    document
        The evaluation the card was made from.
    readme
        The card as :func:`~arkwright.evaluation.card_text.render_card` wrote it.
    sign
        Answers the signature of the bytes it is given.
    pages
        What else was made of the document for people, by name: :data:`REPORT` and :data:`CARD_PAGE`.

    Raises
    ------
    Invalid
        If the card names no bundle by its digest.
    """
    cited = digests_of(card, document, readme, key_id=key_id)
    sha256 = {
        BUNDLE: cited.bundle_digest.removeprefix("sha256:"),
        EVALUATION: cited.evaluation_sha256,
        README: cited.readme_sha256,
        **{name: _sha256(text) for name, text in (pages or {}).items()},
    }
    statement = CardStatement(
        subject=tuple(SignedThing(name=name, digest={"sha256": value}) for name, value in sha256.items()),
        predicate=SignedCard(card=card),
    )
    return seal(PAYLOAD_TYPE, rfc8785.dumps(canonical(msgspec.to_builtins(statement))), key_id, sign)


def digests_of(card: ModelCard, document: ModelEvaluation, readme: str, *, key_id: str) -> CitedDigests:
    """Return what the card will cite once it is signed with a key, for the pages that show it.

    Raises
    ------
    Invalid
        If the card names no bundle by its digest.
    """
    bundle = card.model_details.bundle_digest
    if not _DIGEST.fullmatch(bundle):
        raise Invalid(
            f"A card without its bundle's digest cannot be signed; it has {bundle!r}.",
            code="card.no_bundle",
            hint="Evaluate a registered version: its bundle has a digest.",
        )
    return CitedDigests(
        key_id=key_id,
        bundle_digest=bundle,
        evaluation_sha256=document_sha256(msgspec.to_builtins(document)),
        readme_sha256=_sha256(readme),
    )


def document_sha256(document: Any) -> str:
    """Return the SHA-256 of a document's canonical JSON, as the evidence of it has, in hexadecimal."""
    return hashlib.sha256(rfc8785.dumps(canonical(document))).hexdigest()


def card_statement(payload_type: str, payload: bytes, *, source: str = "This file") -> CardStatement:
    """Read the statement of a payload.

    Raises
    ------
    Invalid
        If it is no model card, or one of a later release.
    """
    if payload_type != PAYLOAD_TYPE:
        raise Invalid(
            f"{source} is signed, and is no model card but {payload_type!r}.",
            code="card.not_one",
            hint="Give the signed card, such as card.dsse.json.",
        )
    try:
        kind = msgspec.json.decode(payload, type=_Kind)
        if kind.type_ != STATEMENT_TYPE or kind.predicate_type != PREDICATE_TYPE:
            raise _other(kind, source)
        return msgspec.json.decode(payload, type=CardStatement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"{source} holds no model card: {error}.", code="card.not_one", hint=_AGAIN) from error


def cited_digests(envelope: Envelope, statement: CardStatement) -> CitedDigests:
    """Return what a signed card cites."""
    return CitedDigests(
        key_id=envelope.signatures[0].keyid,
        bundle_digest=f"sha256:{statement.sha256(BUNDLE)}",
        evaluation_sha256=statement.sha256(EVALUATION),
        readme_sha256=statement.sha256(README),
    )


def expect_digest(what: str, found: str, cited: str) -> None:
    """Refuse a thing that is not the one the card was signed for.

    Raises
    ------
    Invalid
        Naming both digests.
    """
    if found != cited:
        raise Invalid(
            f"The card is not about this {what}: it was signed for {cited}, and this is {found}.",
            code="card.other_digest",
            hint=f"Give the {what} of that version, or the card of this one.",
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _other(kind: _Kind, source: str) -> Invalid:
    if kind.type_.startswith("https://in-toto.io/Statement/") and kind.predicate_type.startswith(_FAMILY):
        return Invalid(
            f"{source} was written by a later release of Arkwright ({kind.type_}, {kind.predicate_type}).",
            code="card.too_new",
            hint="Upgrade Arkwright where the card is read.",
        )
    named = kind.predicate_type or kind.type_
    return Invalid(
        f"{source} is a signed statement, and no model card{f' but {named!r}' if named else ''}.",
        code="card.not_one",
        hint="Give the signed card, such as card.dsse.json.",
    )
