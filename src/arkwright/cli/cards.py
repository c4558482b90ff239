"""``arkwright card``: signed model cards, verified and shown without a platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, facts, heading, say
from arkwright.cli.session import settings_of
from arkwright.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from arkwright.core.dsse import Envelope
    from arkwright.evaluation import CardStatement
    from arkwright.kit.signing import VerifyingKey

app = typer.Typer(help="Signed model cards; no platform needs to run.")
File = Annotated[Path, typer.Argument(help="The signed card, a DSSE envelope.", metavar="FILE")]


@app.command("verify")
def verify(
    file: File,
    key: Annotated[
        Path | None, typer.Option(metavar="PUBLIC_KEY", help="The signer's public key; by default this platform's.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A bundle that the card has to be about; every byte is checked."),
    ] = None,
    digest: Annotated[str | None, typer.Option(metavar="sha256:…", help="Or the digest of that bundle.")] = None,
    readme: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A README.md that has to be the signed one.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An evaluation (JSON) that has to be the one cited.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A report (HTML) that has to be the signed one.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A card's page (HTML) that has to be the signed one.")
    ] = None,
    _json: Json = False,
) -> None:
    """Check who signed a card, that nothing was changed, and what it is about; fails if anything is wrong."""
    from arkwright.evaluation import cited_digests

    envelope = _read(file)
    trusted = _trusted_key(key, envelope)
    statement = _verified(envelope, trusted, file)
    cited = cited_digests(envelope, statement)
    checked = ["signature"]
    if digest is not None:
        _expect("bundle", _full(digest), cited.bundle_digest)
        checked.append("digest")
    if bundle is not None:
        _check_bundle(bundle, cited.bundle_digest)
        checked.append("bundle")
    # By the names they are signed under.
    read = {"README.md": ("readme", readme), "report.html": ("report", report), "card.html": ("page", page)}
    for name, (option, path) in read.items():
        if path is not None:
            _expect(name, _sha256(path), statement.sha256(name))
            checked.append(option)
    if evaluation is not None:
        _expect("evaluation", _document_digest(evaluation), cited.evaluation_sha256)
        checked.append("evaluation")
    details, verdict = statement.predicate.card.model_details, statement.predicate.card.verdict
    document = {
        "verified": True,
        "checked": checked,
        "key_id": trusted.key_id,
        "model": details.name,
        "version": details.version,
        "bundle_digest": cited.bundle_digest,
        "evaluation_sha256": cited.evaluation_sha256,
        "readme_sha256": cited.readme_sha256,
        "decision": verdict.decision,
        "confidence": verdict.confidence,
        "created_at": details.created_at,
    }

    def render() -> None:
        say(f"The card of {details.name} {details.version} is signed with the key {trusted.key_id}.", style="green")
        shown = {name: document[name] for name in ("bundle_digest", "evaluation_sha256", "readme_sha256", "created_at")}
        facts({"verdict": f"{verdict.decision} (confidence {verdict.confidence})"})
        facts({**{name.replace("_", " "): value for name, value in shown.items()}, "checked": ", ".join(checked)})

    emit(document, render)


@app.command("show")
def show(file: File, _json: Json = False) -> None:
    """Show what a card says, without checking who signed it."""
    import msgspec

    from arkwright.core.dsse import unverified_payload
    from arkwright.evaluation import card_statement

    envelope = _read(file)
    statement = card_statement(envelope.payload_type, unverified_payload(envelope), source=str(file))
    card = statement.predicate.card

    def render() -> None:
        details, verdict = card.model_details, card.verdict
        say(f"{details.name} {details.version}: {verdict.decision} (confidence {verdict.confidence})", style="bold")
        say("Not verified: arkwright card verify checks the signature.", style="dim")
        parts: dict[str, Any] = {
            "Reasons": [text for item in verdict.reasons for text in (item.text, *item.points)],
            "In plain words": [item.text for item in card.summary],
            "Ethical considerations": card.ethical_considerations,
            "Caveats and recommendations": card.caveats_and_recommendations,
        }
        for title, texts in parts.items():
            heading(title)
            for text in texts:
                say(f"- {text}")

    emit(msgspec.to_builtins(card), render)


def _trusted_key(path: Path | None, envelope: Envelope) -> VerifyingKey:
    """Return the key that was given, or this platform's: the one in use, or the earlier one the file names."""
    from arkwright.kit.signing import platform_key, read_public_key

    if path is not None:
        return read_public_key(_present(path))
    return platform_key(settings_of().home, [item.keyid for item in envelope.signatures])


def _read(file: Path) -> Envelope:
    from arkwright.core.dsse import MAX_ENVELOPE_BYTES, read_envelope

    with _present(file).open("rb") as stream:
        return read_envelope(stream.read(MAX_ENVELOPE_BYTES + 1), source=str(file))


def _present(path: Path) -> Path:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", code="file.missing", hint="Check the path.")
    return path


def _verified(envelope: Envelope, key: VerifyingKey, file: Path) -> CardStatement:
    from arkwright.evaluation import card_statement
    from arkwright.kit.signing import verify_envelope

    payload = verify_envelope(envelope, key, source=str(file))
    return card_statement(envelope.payload_type, payload, source=str(file))


def _check_bundle(folder: Path, cited: str) -> None:
    """Check that a folder holds the cited bundle: which one it is first, then every byte of it."""
    import hashlib

    from arkwright.bundles import verify_bundle

    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise Invalid(
            f"{folder} is no bundle: it holds no manifest.json.",
            code="card.no_bundle",
            hint="Give the bundle's own folder.",
        )
    _expect("bundle", f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}", cited)
    verify_bundle(folder, cited)


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(_present(path).read_bytes()).hexdigest()


def _document_digest(path: Path) -> str:
    import json

    from arkwright.evaluation import document_sha256

    try:
        return document_sha256(json.loads(_present(path).read_bytes()))
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"{path} is no JSON document: {error}.", code="card.no_document", hint="Give the evaluation's JSON."
        ) from error


def _expect(what: str, found: str, cited: str) -> None:
    from arkwright.evaluation import expect_digest

    expect_digest(what, found, cited)


def _full(digest: str) -> str:
    return digest.lower() if digest.startswith("sha256:") else f"sha256:{digest.lower()}"
