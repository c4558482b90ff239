"""``arkwright card``: what it says of a good card and of each way a card can be wrong; no platform runs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.unit.cli.conftest import Arkwright
from tests.unit.evaluation import evaluated

from arkwright.bundles import ConstantEvaluator, fit_baseline, fit_encoder, write_bundle
from arkwright.contracts import ParityRecord, Signature
from arkwright.contracts.signature import Column
from arkwright.core.dsse import seal
from arkwright.evaluation.card import model_card
from arkwright.evaluation.card_signature import PAYLOAD_TYPE, STATEMENT_TYPE, sign_card
from arkwright.evaluation.card_text import render_card
from arkwright.evaluation.summary import summary_of
from arkwright.evaluation.verdict import verdict_of
from arkwright.kit.signing import signing_key


def a_bundle(folder: Path, value: float) -> str:
    columns = {"size": np.array([1.0, 2.0, 3.0])}
    signature = Signature(task="regression", target="price", columns=(Column(name="size", kind="numeric"),))
    scores = np.full((3, 1), value)
    return write_bundle(
        folder,
        signature=signature,
        encoder=fit_encoder(signature.columns, columns, layout="tree"),
        estimator=ConstantEvaluator(np.array([value]), n_features=1),
        baseline=fit_baseline(signature, columns, scores),
        example_rows=[{"size": 1.0}],
        learner="constant",
        parity=ParityRecord(n_rows=3, max_abs_difference=0.0, tolerance=1e-6),
    )


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A signed card with all it cites beside it, and the platform's key in the default home."""
    document = evaluated.regression()
    subject = msgspec.structs.replace(document.subject, bundle_digest=a_bundle(tmp_path / "bundle", 1.0))
    document = msgspec.structs.replace(document, subject=subject)
    document = msgspec.structs.replace(document, verdict=verdict_of(document), summary=summary_of(document))
    key = signing_key(tmp_path / "arkwright-data")
    made = model_card(document, created_at="2026-01-02T03:04:05Z")
    pages = {"report.html": "<p>a report</p>", "card.html": "<p>1200 rows</p>"}
    envelope = sign_card(made, document, render_card(made), key_id=key.public.key_id, sign=key.sign, pages=pages)
    for name, text in pages.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text(render_card(made), encoding="utf-8")
    (tmp_path / "evaluation.json").write_bytes(msgspec.json.encode(document))
    file = tmp_path / "card.dsse.json"
    file.write_bytes(msgspec.json.encode(envelope))
    return file


def test_a_good_card_is_verified_with_all_it_is_about(arkwright: Arkwright, card: Path) -> None:
    shown = arkwright(
        "card", "verify", str(card), "--bundle", "bundle", "--readme", "README.md", "--evaluation", "evaluation.json",
        "--report", "report.html", "--page", "card.html",
    )  # fmt: skip
    assert shown.code == 0
    assert "The card of income 1.2.0 is signed with the key " in shown.out
    assert "conditional (confidence low)" in shown.out
    assert "signature, bundle, readme, report, page, evaluation" in shown.out


def test_the_verdict_is_one_json_document_where_that_is_asked_for(arkwright: Arkwright, card: Path) -> None:
    shown = arkwright("card", "verify", str(card), "--json")
    document = shown.document
    assert (shown.code, document["verified"], document["checked"]) == (0, True, ["signature"])
    again = arkwright("card", "verify", str(card), "--digest", document["bundle_digest"], "--json")
    assert again.document["checked"] == ["signature", "digest"]


def test_it_is_verified_elsewhere_with_the_public_key_alone(
    arkwright: Arkwright, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "arkwright-data").rename(tmp_path / "theirs")
    (tmp_path / "theirs" / "keys" / "signing.pub").rename(tmp_path / "elsewhere" / "their.pub")
    monkeypatch.chdir(tmp_path / "elsewhere")
    without = arkwright("card", "verify", str(card))
    assert without.code == 4
    assert "There is no public key at" in without.err
    assert "--key FILE" in without.err
    assert arkwright("card", "verify", str(card), "--key", "their.pub").code == 0


def test_a_card_that_was_signed_before_the_key_was_replaced_is_still_verified(
    arkwright: Arkwright, card: Path, tmp_path: Path
) -> None:
    home = tmp_path / "arkwright-data"
    old = signing_key(home).public.key_id
    (home / "keys" / "signing.key").unlink()
    assert signing_key(home).public.key_id != old
    assert arkwright("card", "verify", str(card), "--json").document["key_id"] == old
    (home / "keys" / f"{old}.pub").unlink()
    assert "is not signed with the key" in arkwright("card", "verify", str(card)).err


def changed(card: Path, change) -> None:
    envelope = json.loads(card.read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    card.write_text(json.dumps(envelope))


def test_a_card_that_was_changed_after_signing_is_refused(arkwright: Arkwright, card: Path) -> None:
    changed(card, lambda statement: statement["predicate"]["card"]["verdict"].update(decision="go"))
    refused = arkwright("card", "verify", str(card))
    assert refused.code == 2
    assert "is not what was signed" in refused.err
    assert refused.out == ""


def test_a_card_that_somebody_else_signed_is_refused(arkwright: Arkwright, card: Path, tmp_path: Path) -> None:
    other = signing_key(tmp_path / "other").public
    (tmp_path / "other.pub").write_bytes(other.pem())
    refused = arkwright("card", "verify", str(card), "--key", "other.pub")
    assert refused.code == 2
    assert f"is not signed with the key {other.key_id}: it names " in refused.err


def test_a_card_about_another_bundle_is_refused(arkwright: Arkwright, card: Path, tmp_path: Path) -> None:
    other = a_bundle(tmp_path / "other", 2.0)
    for arguments in (("--bundle", "other"), ("--digest", other)):
        refused = arkwright("card", "verify", str(card), *arguments)
        assert refused.code == 2
        assert "The card is not about this bundle: it was signed for sha256:" in refused.err
        assert f"and this is {other}" in refused.err


def test_an_empty_digest_is_a_digest_that_differs(arkwright: Arkwright, card: Path) -> None:
    refused = arkwright("card", "verify", str(card), "--digest", "")
    assert refused.code == 2
    assert "The card is not about this bundle" in refused.err


def test_a_bundle_of_which_a_byte_was_changed_is_refused(arkwright: Arkwright, card: Path, tmp_path: Path) -> None:
    file = tmp_path / "bundle" / "estimator.json"
    file.write_bytes(file.read_bytes().replace(b"1.0", b"9.0"))
    refused = arkwright("card", "verify", str(card), "--bundle", "bundle")
    assert refused.code != 0
    assert "estimator.json" in refused.err


@pytest.mark.parametrize(
    ("option", "file"),
    [
        ("--readme", "README.md"),
        ("--evaluation", "evaluation.json"),
        ("--report", "README.md"),
        ("--page", "card.html"),
    ],
)
def test_a_file_that_is_not_the_cited_one_is_refused(
    arkwright: Arkwright, card: Path, tmp_path: Path, option: str, file: str
) -> None:
    path = tmp_path / file
    path.write_text(
        path.read_text(encoding="utf-8").replace("1200", "1201").replace("income", "outcome"), encoding="utf-8"
    )
    refused = arkwright("card", "verify", str(card), option, file)
    assert refused.code == 2
    assert "The card is not about this " in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere.json",), 4, "There is no file nowhere.json"),
        (("README.md",), 2, "README.md is no signed envelope"),
        (("card.dsse.json", "--key", "nowhere.pub"), 4, "There is no file nowhere.pub"),
        (("card.dsse.json", "--key", "README.md"), 2, "holds no Ed25519 public key"),
        (("card.dsse.json", "--key", "arkwright-data/keys/signing.key"), 2, "holds a private key"),
        (("card.dsse.json", "--bundle", "arkwright-data"), 2, "holds no manifest.json"),
        (("card.dsse.json", "--evaluation", "README.md"), 2, "README.md is no JSON document"),
        (("bundle",), 4, "There is no file bundle"),
        (("",), 4, "There is no file ."),
        (("/dev/null",), 4, "There is no file /dev/null"),
        (("evaluation.json",), 2, "evaluation.json is no signed envelope"),
        (("bundle/manifest.json",), 2, "is no signed envelope"),
        (("huge.json",), 2, "huge.json"),
        (("deep.json",), 2, "deep.json is no signed envelope"),
        (("binary.json",), 2, "binary.json is no signed envelope"),
        (("card.dsse.json", "--key", "bundle"), 4, "There is no file bundle"),
        (("card.dsse.json", "--key", "binary.json"), 2, "holds no Ed25519 public key"),
        (("card.dsse.json", "--bundle", "README.md"), 2, "holds no manifest.json"),
        (("card.dsse.json", "--bundle", "nowhere"), 2, "holds no manifest.json"),
        (("card.dsse.json", "--digest", "sha256:xyz"), 2, "The card is not about this bundle"),
        (("card.dsse.json", "--evaluation", "deep.json"), 2, "deep.json is no JSON document"),
        (("card.dsse.json", "--readme", "bundle"), 4, "There is no file bundle"),
    ],
)
@pytest.mark.usefixtures("card")
def test_a_wrong_file_is_named_with_what_it_is_not(
    arkwright: Arkwright, arguments: tuple[str, ...], code: int, words: str
) -> None:
    Path("huge.json").write_bytes(b" " * 20_000_000)
    Path("deep.json").write_bytes(b"[" * 200_000)
    Path("binary.json").write_bytes(b"\x00\xff\xfe")
    refused = arkwright("card", "verify", *arguments)
    assert refused.code == code
    assert words in refused.err
    assert "Traceback" not in refused.err
    assert "What to do" in refused.err


def test_a_card_of_a_later_release_asks_for_an_upgrade(arkwright: Arkwright, tmp_path: Path) -> None:
    later = {"_type": STATEMENT_TYPE, "predicateType": "https://arkwright.dev/model-card/v9", "subject": []}
    key = signing_key(tmp_path / "arkwright-data")
    envelope = seal(PAYLOAD_TYPE, json.dumps(later).encode(), key.public.key_id, key.sign)
    (tmp_path / "later.json").write_bytes(msgspec.json.encode(envelope))
    refused = arkwright("card", "verify", "later.json")
    assert refused.code == 2
    assert "later release of Arkwright" in refused.err
    assert "Upgrade" in refused.err


def test_a_card_is_shown_without_a_key_and_says_that_it_was_not_verified(arkwright: Arkwright, card: Path) -> None:
    shown = arkwright("card", "show", str(card))
    assert shown.code == 0
    assert "income 1.2.0: conditional (confidence low)" in shown.out
    assert "Not verified" in shown.out
    assert "It estimates 'price' as a number" in shown.out
    assert arkwright("card", "show", str(card), "--json").document["model_details"]["target"] == "price"
