"""The admin's key file is private, works, and is mended where it can be."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from arkwright.core.clock import FixedClock
from arkwright.core.errors import NotAuthenticated, Unavailable
from arkwright.kit.db import Database
from arkwright.tenancy import TenancyService, bootstrap


def works(database: Database, key_file: Path) -> bool:
    try:
        with database.read_global() as unit:
            TenancyService().authenticate(unit, key_file.read_text().strip(), "")
    except NotAuthenticated:
        return False
    return True


@pytest.mark.parametrize("content", [b"", b"\n", b"ark_unknown", b"\xff\xfe", b"x" * 100_000])
def test_a_file_without_a_working_key_gets_one(database: Database, tmp_path: Path, content: bytes) -> None:
    key_file = tmp_path / "admin.key"
    key_file.write_bytes(content)
    key_file.chmod(0o644)
    bootstrap(database, key_file)
    assert works(database, key_file)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_a_working_key_that_others_can_read_is_closed_to_them(database: Database, tmp_path: Path) -> None:
    key_file = tmp_path / "admin.key"
    bootstrap(database, key_file)
    before = key_file.read_text()
    key_file.chmod(0o644)
    bootstrap(database, key_file)
    assert (key_file.read_text(), stat.S_IMODE(key_file.stat().st_mode)) == (before, 0o600)


def test_a_key_file_that_cannot_be_read_says_so(database: Database, tmp_path: Path) -> None:
    key_file = tmp_path / "admin.key"
    key_file.mkdir()
    with pytest.raises(Unavailable, match="admin.key") as problem:
        bootstrap(database, key_file)
    assert problem.value.hint


def test_a_key_file_that_cannot_be_written_says_so_and_leaves_no_key(database: Database, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("a file where the folder should be")
    with pytest.raises(Unavailable):
        bootstrap(database, tmp_path / "credentials" / "admin.key")
    with database.read_global() as unit:
        assert TenancyService().credentials(unit) == ()


def test_what_lies_where_the_new_key_is_written_first_is_not_followed(database: Database, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "admin.new").symlink_to(victim)
    bootstrap(database, tmp_path / "admin.key")
    assert victim.read_text() == "precious"
    assert works(database, tmp_path / "admin.key")


def test_a_key_that_will_expire_is_no_admin_s_key(database: Database, tmp_path: Path, clock: FixedClock) -> None:
    key_file = tmp_path / "admin.key"
    bootstrap(database, key_file)
    with database.read_global() as unit:
        context = TenancyService().authenticate(unit, key_file.read_text().strip(), "")
    with database.write(context) as unit:
        key_file.write_text(TenancyService().create_key(unit, "short", clock.now() + timedelta(hours=1)).secret)
    bootstrap(database, key_file)
    clock.advance(3601)
    assert works(database, key_file)
