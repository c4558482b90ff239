"""Bundles on the data plane's disk."""

from __future__ import annotations

import shutil

import pytest

from arkwright.core.errors import Invalid, NotFound
from arkwright.serving import BundleStore


@pytest.fixture
def store(platform, tmp_path):
    return BundleStore(tmp_path / "cache", platform.objects)


def test_a_bundle_is_fetched_once_and_then_found_here(platform, store, tmp_path):
    digest = platform.bundle(1.0)
    arm = platform.arm(digest)
    workspace = platform.publish(1, arm).endpoints["dep_1"].workspace_id
    loaded = store.load(workspace, digest, arm.bundle_uri)
    shutil.rmtree(tmp_path / "objects")
    again = store.load(workspace, digest, arm.bundle_uri)
    row = {"tenure": 3, "contract": "year"}
    assert loaded.predictor.predict_row(row) == again.predictor.predict_row(row)


def test_a_bare_key_is_an_address_too(platform, store, context):
    digest = platform.bundle(1.0)
    assert store.load(context.workspace_id, digest, f"bundles/{digest}").digest == digest


def test_a_copy_that_rotted_is_fetched_again(platform, store, tmp_path, context):
    digest = platform.bundle(1.0)
    store.load(context.workspace_id, digest, f"bundles/{digest}")
    (rotten,) = (tmp_path / "cache").glob("*/encoder.json")
    rotten.write_bytes(b"{}")
    assert store.load(context.workspace_id, digest, f"bundles/{digest}").digest == digest


def test_a_bundle_that_is_corrupt_at_its_source_never_gets_a_place(platform, store, tmp_path, context):
    digest = platform.bundle(1.0)
    (source,) = (tmp_path / "objects").rglob("estimator.json")
    source.write_bytes(source.read_bytes() + b" ")
    with pytest.raises(Invalid, match=r"estimator\.json"):
        store.load(context.workspace_id, digest, f"bundles/{digest}")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_bundle_is_not_found(store, context):
    with pytest.raises(NotFound):
        store.load(context.workspace_id, "sha256:" + "0" * 64, "bundles/none")


@pytest.mark.parametrize(
    ("digest", "uri"),
    [
        ("sha256:../../etc", "bundles/x"),
        ("md5:00", "bundles/x"),
        ("sha256:" + "0" * 64, "file:///etc"),
        ("sha256:" + "0" * 64, "bundles/../../other"),
    ],
)
def test_nothing_outside_the_workspace_or_the_cache_can_be_named(store, context, digest, uri):
    with pytest.raises(Invalid):
        store.load(context.workspace_id, digest, uri)


def test_another_workspace_cannot_be_named_by_its_address(platform, store, context):
    digest = platform.bundle(1.0, workspace_id="ws_other")
    uri = platform.objects.for_workspace("ws_other").uri(f"bundles/{digest}")
    with pytest.raises(Invalid, match="not below this workspace"):
        store.load(context.workspace_id, digest, uri)


def test_eviction_keeps_what_is_named_and_removes_the_rest_and_broken_fetches(platform, store, tmp_path, context):
    kept, gone = platform.bundle(1.0), platform.bundle(2.0)
    for digest in (kept, gone):
        store.load(context.workspace_id, digest, f"bundles/{digest}")
    (tmp_path / "cache" / ".fetch-dead").mkdir()
    assert store.evict({kept}) == [gone]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [kept.removeprefix("sha256:")]


def test_a_link_in_the_cached_copy_is_refused_and_the_bundle_fetched_again(platform, store, tmp_path, context):
    digest = platform.bundle(1.0)
    store.load(context.workspace_id, digest, f"bundles/{digest}")
    (file,) = (tmp_path / "cache").glob("*/encoder.json")
    elsewhere = tmp_path / "elsewhere.json"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert store.load_local(digest, 1_000_000) is None
    assert store.load(context.workspace_id, digest, f"bundles/{digest}").digest == digest
    assert not file.is_symlink()


def test_a_bundle_for_a_rollback_is_read_from_this_disk_only_and_only_if_it_is_small(platform, store, context):
    digest = platform.bundle(1.0)
    assert store.load_local(digest, 1_000_000) is None
    store.load(context.workspace_id, digest, f"bundles/{digest}")
    assert store.load_local(digest, 1_000_000).digest == digest
    assert store.load_local(digest, 10) is None


def test_two_processes_that_fetch_the_same_bundle_both_get_it(platform, tmp_path, context, monkeypatch):
    digest = platform.bundle(1.0)
    first, second = (BundleStore(tmp_path / "cache", platform.objects) for _ in range(2))
    from arkwright.serving import store as module

    real = module.verify_bundle

    def meanwhile(folder, wanted):
        monkeypatch.setattr(module, "verify_bundle", real)
        second.load(context.workspace_id, digest, f"bundles/{digest}")
        return real(folder, wanted)

    monkeypatch.setattr(module, "verify_bundle", meanwhile)
    assert first.load(context.workspace_id, digest, f"bundles/{digest}").digest == digest
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_what_another_process_is_fetching_is_not_tidied_away(platform, tmp_path, context, monkeypatch):
    digest = platform.bundle(1.0)
    first, second = (BundleStore(tmp_path / "cache", platform.objects) for _ in range(2))
    from arkwright.serving import store as module

    real = module.verify_bundle

    def meanwhile(folder, wanted):
        assert second.evict(set()) == []
        return real(folder, wanted)

    monkeypatch.setattr(module, "verify_bundle", meanwhile)
    assert first.load(context.workspace_id, digest, f"bundles/{digest}").digest == digest
