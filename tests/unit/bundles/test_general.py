"""A general bundle: the model's own files, hashed like all others, and never loaded by who only verifies it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arkwright.bundles import (
    BundleCorrupt,
    BundleTooNew,
    GeneralInput,
    GeneralModel,
    fit_baseline,
    load_bundle,
    verify_bundle,
    write_general_bundle,
)
from arkwright.bundles.errors import BundleNotCompiled
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid

SIGNATURE = Signature(
    task="binary", target="churn", classes=("No", "Yes"), columns=(Column(name="tenure", kind="numeric"),)
)
GENERAL = GeneralModel(
    loader="skops",
    path="model.skops",
    inputs=(GeneralInput(name="tenure", dtype="float64"),),
    method="predict_proba",
)


def write(tmp_path: Path, **changes: Any) -> tuple[Path, str]:
    model = tmp_path / "mine"
    (model / "data").mkdir(parents=True, exist_ok=True)
    (model / "MLmodel").write_text("flavors: {}")
    (model / "data" / "model.skops").write_bytes(b"anything" * 1000)
    settings: dict[str, Any] = {
        "signature": SIGNATURE,
        "general": GENERAL,
        "model_folder": model,
        "reason": "There is no compiled form of the transformer PCA.",
        "baseline": fit_baseline(SIGNATURE, {"tenure": np.array([1.0, 2.0])}, np.array([[0.2], [0.4]])),
        "example_rows": [{"tenure": 1}],
        "learner": "PCA",
    }
    folder = tmp_path / "bundle"
    return folder, write_general_bundle(folder, **{**settings, **changes})


def test_it_loads_without_a_predictor_and_says_why(tmp_path: Path) -> None:
    folder, digest = write(tmp_path)
    loaded = load_bundle(folder, digest)
    assert (loaded.compiled, loaded.general, loaded.folder) == (None, GENERAL, folder)
    assert loaded.manifest.predictor == "general"
    with pytest.raises(BundleNotCompiled, match="PCA"):
        _ = loaded.predictor
    assert (folder / "model" / "data" / "model.skops").read_bytes() == b"anything" * 1000


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    assert write(tmp_path) == write(tmp_path)


@pytest.mark.parametrize("how", ["changed", "longer", "missing", "extra", "link"])
def test_a_tampered_model_file_is_refused_by_name(tmp_path: Path, how: str) -> None:
    folder, digest = write(tmp_path)
    path = folder / "model" / "data" / "model.skops"
    if how == "changed":
        path.write_bytes(b"anythinG" * 1000)
    elif how == "longer":
        path.write_bytes(b"anything" * 1001)
    elif how == "missing":
        path.unlink()
    elif how == "extra":
        (path.parent / "more.py").write_text("import os")
    else:
        elsewhere = tmp_path / "elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
    with pytest.raises(BundleCorrupt, match=r"model/data/"):
        verify_bundle(folder, digest)


def test_a_folder_that_became_a_link_is_refused(tmp_path: Path) -> None:
    folder, digest = write(tmp_path)
    (folder / "model" / "data").rename(tmp_path / "data")
    (folder / "model" / "data").symlink_to(tmp_path / "data")
    with pytest.raises(BundleCorrupt):
        verify_bundle(folder, digest)


def test_a_bundle_of_a_later_format_is_refused(tmp_path: Path) -> None:
    import hashlib

    folder, _ = write(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"format_version": 99}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    digest = "sha256:" + hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    with pytest.raises(BundleTooNew):
        load_bundle(folder, digest)


def test_a_model_folder_with_a_link_or_nothing_is_not_packed(tmp_path: Path) -> None:
    linked, empty = tmp_path / "linked", tmp_path / "empty"
    linked.mkdir()
    empty.mkdir()
    (linked / "MLmodel").symlink_to("/etc/hostname")
    with pytest.raises(Invalid, match="not a plain file"):
        write(tmp_path, model_folder=linked)
    with pytest.raises(Invalid, match="holds no file"):
        write(tmp_path, model_folder=empty)
    assert not (tmp_path / "bundle").exists()


def test_examples_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="tenure"):
        write(tmp_path, example_rows=[{"tenure": "long"}])
