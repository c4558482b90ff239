"""An uploaded archive is somebody else's."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from arkwright.core.errors import Invalid
from arkwright.registry.unpacking import MAX_FILES, unpack_model

LIMIT = 1_000_000


def unpack(tmp_path: Path, filename: str = "model.zip", limit_bytes: int = LIMIT) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    unpack_model(tmp_path / "upload", filename, folder, limit_bytes=limit_bytes)
    return folder


def packed(tmp_path: Path, *names: str, content: bytes = b"x") -> None:
    with zipfile.ZipFile(tmp_path / "upload", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)


def test_an_archive_keeps_its_folders(tmp_path: Path) -> None:
    packed(tmp_path, "mine/MLmodel", "mine/data/model.pkl")
    folder = unpack(tmp_path)
    assert (folder / "mine" / "data" / "model.pkl").read_bytes() == b"x"


@pytest.mark.parametrize("filename", ["model.skops", "MODEL.PKL", "a.b.joblib"])
def test_a_stored_object_is_taken_as_it_is(tmp_path: Path, filename: str) -> None:
    (tmp_path / "upload").write_bytes(b"anything")
    folder = unpack(tmp_path, filename)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"anything"]


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../up", "a\\..\\up", "C:/up", "a/" * 30 + "deep"])
def test_a_path_that_leads_out_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    packed(tmp_path, name)
    with pytest.raises(Invalid, match="leads out"):
        unpack(tmp_path)
    assert not (tmp_path / "up").exists()


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_is(tmp_path: Path) -> None:
    packed(tmp_path, "bomb", content=b"\0" * 2_000_000)
    with pytest.raises(Invalid, match="unpacks to more than"):
        unpack(tmp_path)
    # The directory now claims one byte.
    raw = (tmp_path / "upload").read_bytes()
    (tmp_path / "upload").write_bytes(raw.replace((2_000_000).to_bytes(4, "little"), (1).to_bytes(4, "little")))
    (tmp_path / "out").rmdir()
    with pytest.raises(Invalid):
        unpack(tmp_path)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= LIMIT


def test_too_many_files_links_and_doubles_are_refused(tmp_path: Path) -> None:
    packed(tmp_path, *(f"f{number}" for number in range(MAX_FILES + 1)))
    with pytest.raises(Invalid, match="files, more than"):
        unpack(tmp_path)
    (tmp_path / "out").rmdir()
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(Invalid, match="symbolic link"):
        unpack(tmp_path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PK\x03\x04 and no more"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "upload").write_bytes(content)
    with pytest.raises(Invalid) as refused:
        unpack(tmp_path)
    assert refused.value.code in {"import.not_a_model", "import.archive"}
