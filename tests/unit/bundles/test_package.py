"""A bundle is whole, verified byte by byte, and answers as the model that was packed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import rfc8785

from arkwright.bundles import (
    BundleCorrupt,
    BundleTooNew,
    ConstantEvaluator,
    Predictor,
    fit_baseline,
    fit_encoder,
    load_bundle,
    measure_parity,
    to_rows,
    verify_bundle,
    write_bundle,
)
from arkwright.contracts import Column, ParityRecord, Signature
from arkwright.core.errors import Conflict, Invalid, Unavailable


@pytest.fixture(scope="module")
def parts(churn, predictor):
    signature, columns, _ = churn
    return {
        "signature": signature,
        "encoder": predictor.encoder,
        "estimator": predictor.evaluator,
        "baseline": fit_baseline(signature, columns, predictor.predict_columns(columns)),
        "example_rows": to_rows({name: values[:3] for name, values in columns.items()}),
        "learner": "lightgbm",
        "parity": measure_parity(predictor, columns, max_rows=100),
        "lineage": {"dataset_version_id": "dsv_1"},
        "environment": {"python": "3.11"},
    }


@pytest.fixture
def bundle(parts, tmp_path):
    folder = tmp_path / "bundle"
    return folder, write_bundle(folder, **parts)


def reseal(folder, change):
    """Rewrite the manifest as someone who wants to be believed would, and return the new digest."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    listing = rfc8785.dumps(manifest)
    (folder / "manifest.json").write_bytes(listing)
    return f"sha256:{hashlib.sha256(listing).hexdigest()}"


def test_a_loaded_bundle_answers_as_the_model_that_was_packed(bundle, parts, churn, predictor):
    loaded = load_bundle(*bundle)
    rows = to_rows(churn[1])
    assert loaded.predictor.predict_rows(rows) == predictor.predict_rows(rows)
    assert loaded.digest == bundle[1]
    assert (loaded.signature, loaded.baseline) == (parts["signature"], parts["baseline"])
    assert loaded.example_rows == parts["example_rows"]
    assert loaded.manifest.lineage == {"dataset_version_id": "dsv_1"}
    assert list(loaded.baseline.features["Contract"].shares) == list(parts["baseline"].features["Contract"].shares)


@pytest.mark.parametrize("name", ["linear_predictor", "constant"])
def test_other_estimators_are_packed_too(name, parts, churn, request, tmp_path):
    signature, columns, _ = churn
    if name == "constant":
        encoder = fit_encoder(signature.columns, columns, layout="tree")
        packed = Predictor(signature, encoder, ConstantEvaluator([0.27], n_features=encoder.n_outputs))
    else:
        packed = request.getfixturevalue(name)
    own = {"encoder": packed.encoder, "estimator": packed.evaluator, "learner": name}
    digest = write_bundle(tmp_path / "b", **(parts | own))
    loaded = load_bundle(tmp_path / "b", digest).predictor
    assert loaded.predict_columns(columns).tolist() == packed.predict_columns(columns).tolist()


def test_an_encoder_with_long_lists_is_packed_with_its_sidecar(parts, column_of, tmp_path):
    spec = (Column(name="city", kind="categorical"),)
    cities = {"city": column_of("categorical", [f"city {index}" for index in range(600)])}
    signature = Signature(task="regression", target="y", columns=spec)
    encoder = fit_encoder(spec, cities, layout="linear")
    estimator = ConstantEvaluator([1.5], n_features=encoder.n_outputs)
    baseline = fit_baseline(signature, cities, np.ones((2, 1)))
    own = {"signature": signature, "encoder": encoder, "estimator": estimator, "baseline": baseline}
    digest = write_bundle(tmp_path / "b", **(parts | own | {"example_rows": [{"city": "city 1"}]}))
    assert (tmp_path / "b" / "encoder.npz").is_file()
    assert load_bundle(tmp_path / "b", digest).predictor.encoder.kernels == encoder.kernels


def test_the_digest_is_the_hash_of_the_manifest_and_depends_on_the_content_alone(bundle, parts, tmp_path):
    folder, digest = bundle
    assert digest == "sha256:" + hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert write_bundle(tmp_path / "elsewhere", **parts) == digest
    assert write_bundle(tmp_path / "other", **(parts | {"lineage": {}})) != digest


def test_writing_the_same_bundle_again_changes_nothing(bundle, parts):
    folder, digest = bundle
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert write_bundle(folder, **parts) == digest
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_another_bundle_does_not_overwrite_the_first(bundle, parts):
    folder, digest = bundle
    with pytest.raises(Conflict) as caught:
        write_bundle(folder, **(parts | {"lineage": {}}))
    assert caught.value.code == "bundle.exists"
    verify_bundle(folder, digest)


def test_the_manifest_lists_every_other_file(bundle):
    folder, digest = bundle
    listed = {entry.path: entry for entry in verify_bundle(folder, digest).files}
    assert set(listed) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert set(listed) == {
        "baseline.json", "encoder.json", "estimator.json", "example.json", "model.txt", "signature.json",
    }  # fmt: skip
    assert all((folder / path).stat().st_size == entry.size_bytes for path, entry in listed.items())


@pytest.mark.parametrize("name", ["model.txt", "encoder.json", "baseline.json", "manifest.json"])
def test_a_flipped_bit_is_found_and_the_file_named(bundle, name):
    folder, digest = bundle
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    for read in (verify_bundle, load_bundle):
        with pytest.raises(BundleCorrupt, match=name) as caught:
            read(folder, digest)
        assert caught.value.code == "bundle.corrupt"
        assert caught.value.hint


@pytest.mark.parametrize("name", ["model.txt", "manifest.json"])
def test_a_missing_file_is_named(bundle, name):
    (bundle[0] / name).unlink()
    with pytest.raises(BundleCorrupt, match=f"{name} is missing"):
        verify_bundle(*bundle)


def test_a_folder_that_is_not_there_is_missing_its_manifest(tmp_path):
    with pytest.raises(BundleCorrupt, match=r"manifest\.json is missing"):
        verify_bundle(tmp_path / "nothing", "sha256:00")


@pytest.mark.parametrize("size", ["longer", "shorter"])
def test_a_file_of_another_length_is_named(bundle, size):
    path = bundle[0] / "model.txt"
    data = path.read_bytes()
    path.write_bytes(data + b"\n" if size == "longer" else data[:-1])
    with pytest.raises(BundleCorrupt, match=r"model.txt has \d+ bytes and should have \d+"):
        verify_bundle(*bundle)


@pytest.mark.parametrize("name", ["extra.bin", "folder/extra.bin"])
def test_an_extra_file_is_refused(bundle, name):
    path = bundle[0] / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(BundleCorrupt, match=f"{name} is not listed"):
        verify_bundle(*bundle)


def test_a_symbolic_link_is_refused_even_to_the_right_bytes(bundle, tmp_path):
    model = bundle[0] / "model.txt"
    model.rename(tmp_path / "model.txt")
    model.symlink_to(tmp_path / "model.txt")
    with pytest.raises(BundleCorrupt, match=r"model\.txt cannot be read as a plain file"):
        verify_bundle(*bundle)


def test_an_extra_symbolic_link_to_a_folder_is_refused(bundle, tmp_path):
    (bundle[0] / "link").symlink_to(tmp_path)
    with pytest.raises(BundleCorrupt, match="link is not listed"):
        verify_bundle(*bundle)


def test_a_bundle_folder_behind_a_symbolic_link_is_refused(bundle, tmp_path):
    (tmp_path / "link").symlink_to(bundle[0])
    with pytest.raises(BundleCorrupt, match="behind a symbolic link"):
        verify_bundle(tmp_path / "link", bundle[1])


def test_a_named_pipe_does_not_hold_the_reader(bundle):
    (bundle[0] / "model.txt").unlink()
    os.mkfifo(bundle[0] / "model.txt")
    with pytest.raises(BundleCorrupt, match=r"model\.txt is not a plain file"):
        verify_bundle(*bundle)


@pytest.mark.parametrize("path", ["../outside.json", "/etc/hostname", "a/../../b", "a\\..\\b", "./signature.json", ""])
def test_a_path_that_leads_out_is_refused_even_under_a_good_digest(bundle, path):
    folder, _ = bundle

    def change(manifest):
        manifest["files"][0]["path"] = path

    with pytest.raises(BundleCorrupt, match="leads out of the bundle"):
        verify_bundle(folder, reseal(folder, change))


def test_a_file_listed_twice_is_refused(bundle):
    digest = reseal(bundle[0], lambda manifest: manifest["files"].append(manifest["files"][0]))
    with pytest.raises(BundleCorrupt, match="lists a file twice"):
        verify_bundle(bundle[0], digest)


def test_a_newer_format_is_refused_with_the_advice_to_upgrade(bundle):
    digest = reseal(bundle[0], lambda manifest: manifest.update(format_version=2, unheard_of={}))
    with pytest.raises(BundleTooNew, match="format 2") as caught:
        load_bundle(bundle[0], digest)
    assert caught.value.code == "bundle.too_new"
    assert "Upgrade" in caught.value.hint


def test_a_manifest_that_is_none_is_refused(bundle):
    (bundle[0] / "manifest.json").write_bytes(b"[]")
    with pytest.raises(BundleCorrupt, match=r"manifest\.json cannot be understood"):
        verify_bundle(bundle[0], "sha256:" + hashlib.sha256(b"[]").hexdigest())


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("signature.json", b"{}", BundleCorrupt),
        ("encoder.json", b'{"kernels": [{"kernel": "unknown"}]}', BundleCorrupt),
        ("estimator.json", b'{"kind": "oracle", "params": {}, "files": []}', BundleTooNew),
        ("estimator.json", b'{"kind": "lightgbm", "params": {}, "files": ["gone.txt"]}', BundleCorrupt),
    ],
)
def test_content_that_cannot_be_understood_is_named_even_under_a_good_digest(bundle, name, content, error):
    folder, _ = bundle
    (folder / name).write_bytes(content)

    def change(manifest):
        entry = next(entry for entry in manifest["files"] if entry["path"] == name)
        entry.update(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    with pytest.raises(error, match=f"{name}|'oracle'"):
        load_bundle(folder, reseal(folder, change))


def test_a_predictor_that_missed_parity_is_not_packed(parts, tmp_path):
    missed = ParityRecord(n_rows=10, max_abs_difference=0.1, tolerance=0.0)
    with pytest.raises(Invalid, match=r"differs by 0.1 on 10 rows") as caught:
        write_bundle(tmp_path / "b", **(parts | {"parity": missed}))
    assert caught.value.code == "bundle.parity"
    assert not list(tmp_path.iterdir())


def test_example_rows_that_the_model_would_refuse_are_not_packed(parts, tmp_path):
    with pytest.raises(Invalid, match=r"instances\[0\]\.gender is missing"):
        write_bundle(tmp_path / "b", **(parts | {"example_rows": [{}]}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_leaves_nothing_behind(call, parts, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "rename")), fail)
    with pytest.raises(Unavailable, match="No space left on device") as caught:
        write_bundle(tmp_path / "b", **parts)
    assert caught.value.code == "bundle.not_written"
    assert not list(tmp_path.iterdir())


def test_a_bundle_appears_whole_or_not_at_all(parts, tmp_path, monkeypatch):
    seen = []
    rename = Path.rename

    def watched(self, target):
        seen.append(((tmp_path / "b").exists(), sorted(path.name for path in self.iterdir())))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    digest = write_bundle(tmp_path / "b", **parts)
    assert seen == [(False, sorted(path.name for path in (tmp_path / "b").iterdir()))]
    verify_bundle(tmp_path / "b", digest)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_two_writers_of_the_same_bundle_both_succeed(parts, tmp_path, monkeypatch):
    rename = Path.rename

    def overtaken(self, target):
        monkeypatch.setattr(Path, "rename", rename)
        write_bundle(target, **parts)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    verify_bundle(tmp_path / "b", write_bundle(tmp_path / "b", **parts))
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
