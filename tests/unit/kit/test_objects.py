"""Objects appear whole or not at all, each in its workspace."""

from __future__ import annotations

import errno
import os
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


def test_what_an_interrupted_write_left_is_swept_and_a_write_under_way_is_not(objects: WorkspaceObjects) -> None:
    objects.put_bytes("a", b"whole")
    top = objects.local_path("a")
    assert top is not None
    folder = top.parent / ".partial"
    (folder / "dead").write_bytes(b"ha")
    os.utime(folder / "dead", (0, 0))
    with objects.open_write("b") as stream:
        stream.write(b"living")
        assert objects.sweep(60) == 1
    assert objects.list() == ["a", "b"]
    assert objects.get_bytes("b") == b"living"


def test_a_store_that_cannot_be_written_says_so_and_not_what_went_wrong_while_tidying(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file where the folder should be")
    blocked = ObjectStore(f"file://{tmp_path / 'objects'}").for_workspace("ws_a")
    with pytest.raises(Unavailable) as problem:
        blocked.put_bytes("key", b"x")
    assert problem.value.code == "disk.unwritable"


def test_a_disk_that_fills_up_at_the_last_moment_leaves_no_object(
    objects: WorkspaceObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Unavailable) as problem:
        objects.put_bytes("key", b"x")
    assert problem.value.code == "disk.full"
    assert not objects.exists("key")


@pytest.mark.parametrize("key", ["nul\0byte", ".partial/somebody-s-upload"])
def test_a_key_cannot_reach_what_is_being_written(objects: WorkspaceObjects, key: str) -> None:
    with pytest.raises(Invalid, match="not an object key"):
        objects.get_bytes(key)


def test_a_folder_of_objects_is_no_object(objects: WorkspaceObjects) -> None:
    objects.put_bytes("a/key", b"x")
    assert not objects.exists("a")
    for absent in ("a", "a/key/below"):
        with pytest.raises(NotFound):
            objects.get_bytes(absent)


@pytest.mark.parametrize("url", ["nosuch://key:hunter2@bucket", "hunter2://key@bucket/hunter2"])
def test_a_store_s_password_is_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as problem:
        ObjectStore(url)
    assert "hunter2@" not in problem.value.detail
    assert "/hunter2" not in problem.value.detail
