"""Objects appear whole or not at all, each in its workspace."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from arkwright.core.errors import Invalid, NotFound, Unavailable
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.kit.objects.store import disk_problem


def test_what_is_put_can_be_got_and_listed(objects: WorkspaceObjects) -> None:
    objects.put_bytes("a/one.txt", b"1")
    objects.put_bytes("a/b/two.txt", b"22")
    assert objects.get_bytes("a/b/two.txt") == b"22"
    assert objects.size("a/b/two.txt") == 2
    assert objects.list("a") == ["a/b/two.txt", "a/one.txt"]
    assert objects.exists("a/one.txt")


def test_a_write_that_fails_leaves_the_old_object(objects: WorkspaceObjects) -> None:
    objects.put_bytes("key", b"old")
    with pytest.raises(RuntimeError), objects.open_write("key") as stream:
        stream.write(b"half of the n")
        raise RuntimeError
    assert objects.get_bytes("key") == b"old"
    assert objects.list() == ["key"]


def test_trees_survive_the_round_trip(objects: WorkspaceObjects, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "top").write_bytes(b"t")
    (tmp_path / "in" / "deep" / "leaf").write_bytes(b"l")
    objects.put_tree("bundle", tmp_path / "in")
    objects.get_tree("bundle", tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "leaf").read_bytes() == b"l"


def test_workspaces_do_not_see_each_other(object_store: ObjectStore) -> None:
    object_store.for_workspace("ws_a").put_bytes("key", b"a")
    other = object_store.for_workspace("ws_b")
    assert not other.exists("key")
    assert other.list() == []


@pytest.mark.parametrize("key", ["../other/key", "/etc/passwd", "a/../../b", ""])
def test_a_key_cannot_leave_the_workspace(objects: WorkspaceObjects, key: str) -> None:
    with pytest.raises(Invalid, match="not an object key"):
        objects.put_bytes(key, b"x")


def test_a_missing_object_is_not_found(objects: WorkspaceObjects, tmp_path: Path) -> None:
    for read in (objects.get_bytes, objects.size, lambda key: objects.get_tree(key, tmp_path)):
        with pytest.raises(NotFound):
            read("nothing/here")
    objects.delete("nothing/here")


def test_an_unknown_kind_of_store_says_what_to_install() -> None:
    with pytest.raises(Invalid) as problem:
        ObjectStore("nosuchscheme://bucket")
    assert "s3fs" in (problem.value.hint or "")


def test_no_workspace_is_no_store(object_store: ObjectStore) -> None:
    with pytest.raises(Invalid):
        object_store.for_workspace("")


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk.full"), (errno.EACCES, "disk.unwritable")])
def test_a_disk_that_fails_is_a_problem_with_a_way_out(number: int, code: str) -> None:
    problem = disk_problem(OSError(number, "oops"), Path("data"))
    assert isinstance(problem, Unavailable)
    assert problem.code == code
    assert problem.hint


def test_a_store_in_memory_works_the_same() -> None:
    objects = ObjectStore("memory://arkwright-test").for_workspace("ws_a")
    objects.put_bytes("a/key", b"value")
    assert (objects.get_bytes("a/key"), objects.list("a")) == (b"value", ["a/key"])
    assert objects.local_path("a/key") is None
