"""The platform's key: made once, kept to its owner, and told apart from everything that is no key."""

import hashlib
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from arkwright.core.dsse import seal
from arkwright.core.errors import Invalid, NotFound, Unavailable
from arkwright.kit.signing import (
    VerifyingKey,
    platform_key,
    read_public_key,
    signing_key,
    verify_envelope,
)

ASK = """
import sys
from pathlib import Path
from arkwright.kit.signing import signing_key
print("ready", flush=True)
sys.stdin.read()
print(signing_key(Path(sys.argv[1])).public.key_id)
"""


def test_the_key_is_made_at_first_use_and_is_the_same_ever_after(tmp_path):
    first, second = signing_key(tmp_path / "home"), signing_key(tmp_path / "home")
    assert first.public == second.public
    assert stat.S_IMODE((tmp_path / "home" / "keys" / "signing.key").stat().st_mode) == 0o600
    names = sorted(path.name for path in (tmp_path / "home" / "keys").iterdir())
    assert names == sorted([f"{first.public.key_id}.pub", "signing.key", "signing.pub"])


def test_the_public_key_lies_beside_it_and_its_id_is_the_head_of_its_hash(tmp_path):
    key = signing_key(tmp_path)
    loaded = load_pem_public_key((tmp_path / "keys" / "signing.pub").read_bytes())
    raw = loaded.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert platform_key(tmp_path) == key.public == VerifyingKey(raw)
    assert key.public.key_id == hashlib.sha256(raw).hexdigest()[:16]


def test_processes_that_ask_at_the_same_moment_get_the_same_key(tmp_path):
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in asked:
        assert process.stdout.readline() == "ready\n"
    for process in asked:  # all have imported what they need and wait for their input to end
        process.stdin.close()
    ids = {process.stdout.read().strip() for process in asked}
    assert [process.wait() for process in asked] == [0] * 4
    assert ids == {platform_key(tmp_path).key_id}


def test_what_an_interrupted_writer_left_is_no_obstacle(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / ".signing.key.part").write_text("half")
    signing_key(tmp_path)
    assert not (tmp_path / "keys" / ".signing.key.part").exists()


def test_a_public_key_that_was_lost_or_belongs_to_another_is_written_again(tmp_path):
    key, public = signing_key(tmp_path), tmp_path / "keys" / "signing.pub"
    public.unlink()
    signing_key(tmp_path)
    assert platform_key(tmp_path) == key.public
    public.write_bytes(signing_key(tmp_path / "other").public.pem())
    signing_key(tmp_path)
    assert platform_key(tmp_path) == key.public


def test_after_the_key_is_replaced_the_old_public_key_still_verifies_what_it_signed(tmp_path):
    old = signing_key(tmp_path)
    envelope = sign_payload(old, "application/x", b"said")
    (tmp_path / "keys" / f"{old.public.key_id}.pub").unlink()  # as a home of an earlier release is
    (tmp_path / "keys" / "signing.key").unlink()
    new = signing_key(tmp_path)
    assert new.public != old.public
    assert platform_key(tmp_path) == platform_key(tmp_path, ["unheard of"]) == new.public
    found = platform_key(tmp_path, [item.keyid for item in envelope.signatures])
    assert verify_envelope(envelope, found) == b"said"
    assert platform_key(tmp_path, [old.public.key_id, new.public.key_id]) == new.public


def test_a_key_file_under_the_id_of_another_key_is_not_taken(tmp_path):
    key, other = signing_key(tmp_path).public, signing_key(tmp_path / "other").public
    claimed = "0123456789abcdef"
    (tmp_path / "keys" / f"{claimed}.pub").write_bytes(other.pem())
    (tmp_path / "their.pub").write_bytes(other.pem())
    assert platform_key(tmp_path, [claimed, "../their", "../../etc/passwd"]) == key


def test_what_is_signed_here_is_verified_by_the_public_key_alone(tmp_path):
    key = signing_key(tmp_path)
    envelope = sign_payload(key, "application/x", b"said")
    assert envelope.signatures[0].keyid == key.public.key_id
    assert sign_payload(key, "application/x", b"said") == envelope
    assert verify_envelope(envelope, read_public_key(tmp_path / "keys" / "signing.pub")) == b"said"


def test_another_platforms_key_does_not_verify_it(tmp_path):
    envelope = sign_payload(signing_key(tmp_path / "one"), "application/x", b"said")
    other = signing_key(tmp_path / "two").public
    with pytest.raises(Invalid, match=f"not signed with the key {other.key_id}"):
        verify_envelope(envelope, other)


def test_a_key_that_others_can_read_is_not_used(tmp_path):
    signing_key(tmp_path)
    (tmp_path / "keys" / "signing.key").chmod(0o644)
    with pytest.raises(Invalid, match="Others than its owner may read") as refused:
        signing_key(tmp_path)
    assert "chmod 600" in refused.value.hint


def sign_payload(key, payload_type, payload):
    return seal(payload_type, payload, key.public.key_id, key.sign)


def _pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content", [b"", b"not a key", _pem(generate_private_key(65537, 1024))], ids=["empty", "text", "another kind"]
)
def test_a_file_that_is_no_ed25519_key_is_not_replaced_but_refused(tmp_path, content):
    path = tmp_path / "keys" / "signing.key"
    path.parent.mkdir()
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(Invalid, match="holds no Ed25519 private key"):
        signing_key(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a key", "holds no Ed25519 public key"),
        (_pem(Ed25519PrivateKey.generate()), "holds a private key, which verifying does not need"),
        (
            generate_private_key(65537, 1024)
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "holds no Ed25519 public key",
        ),
    ],
    ids=["text", "private", "rsa"],
)
def test_a_file_that_is_no_public_key_is_refused(tmp_path, content, said):
    path = tmp_path / "some.pem"
    path.write_bytes(content)
    with pytest.raises(Invalid, match=said):
        read_public_key(path)


def test_a_home_that_never_signed_has_no_public_key(tmp_path):
    with pytest.raises(NotFound, match="There is no public key at"):
        platform_key(tmp_path)


def test_a_folder_that_cannot_be_made_is_said_to_be_unavailable(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(Unavailable, match="cannot be used"):
        signing_key(tmp_path / "home")


def test_a_signature_of_the_wrong_length_is_no_signature(tmp_path):
    assert not signing_key(tmp_path).public.verifies(b"said", b"short")


def test_the_first_example_of_the_standard_is_verified():
    """RFC 8032, section 7.1, test 1."""
    key = VerifyingKey(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert key.verifies(b"", signature)
    assert not key.verifies(b"x", signature)
