"""Write, verify and load a bundle folder.

A bundle appears whole or not at all: it is written beside its place, flushed to disk and renamed. The digest is the
hash of the manifest, and the manifest lists the hash of everything else, so a verified bundle is the one that was
written, down to the bit, wherever it has been since. Loading decodes the very bytes that were verified. Only the files
below a general bundle's ``model/`` are hashed without being kept: a child process reads those.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn, TypeVar

import msgspec
import numpy as np
import rfc8785

from arkwright.bundles.encoder import Encoder
from arkwright.bundles.errors import BundleCorrupt, BundleNotCompiled, BundleTooNew
from arkwright.bundles.evaluators import EVALUATORS, Evaluator
from arkwright.bundles.general import GENERAL_FILE, MODEL_FOLDER, GeneralModel
from arkwright.bundles.predictor import Predictor
from arkwright.bundles.validation import InstanceValidator
from arkwright.contracts import Baseline, BundleFile, BundleManifest, ParityRecord, Signature
from arkwright.contracts.bundle import FORMAT_VERSION
from arkwright.core.errors import Conflict, Invalid, Unavailable

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_REINSTALL = "Fetch the bundle again from where it was published, or train the version again."

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedBundle:
    """A verified bundle, ready to answer.

    Attributes
    ----------
    compiled
        The predictor, or None where the model could not be compiled.
    general
        How a child process calls the model, where it could not be compiled.
    folder
        Where the bundle was verified.
    """

    digest: str
    manifest: BundleManifest
    signature: Signature
    compiled: Predictor | None
    baseline: Baseline
    example_rows: list[dict[str, Any]]
    general: GeneralModel | None
    folder: Path

    @property
    def predictor(self) -> Predictor:
        """The compiled predictor.

        Raises
        ------
        BundleNotCompiled
            If there is none.
        """
        if self.compiled is None:
            raise BundleNotCompiled(
                f"This model was not compiled: {self.manifest.general_reason}",
                hint="It answers through a child process that loads the model's own libraries.",
            )
        return self.compiled


def write_bundle(
    folder: Path,
    *,
    signature: Signature,
    encoder: Encoder,
    estimator: Evaluator,
    baseline: Baseline,
    example_rows: list[dict[str, Any]],
    learner: str,
    parity: ParityRecord,
    lineage: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    created_by: str = "",
) -> str:
    """Write a bundle and return its digest, ``sha256:<hex>``.

    Writing the same bundle to the same folder again changes nothing. The digest depends on the content alone.

    Raises
    ------
    Invalid
        If the parts do not fit together, the example rows do not fit the signature, or parity was not reached.
    Conflict
        If the folder holds something else.
    Unavailable
        If it cannot be written, as on a full disk; nothing is left behind.
    """
    if not parity.passed:
        raise Invalid(
            f"The compiled predictor differs by {parity.max_abs_difference:g} on {parity.n_rows} rows, "
            f"more than the {parity.tolerance:g} allowed.",
            code="bundle.parity",
            hint="This is a fault of the encoder or the evaluator, not of the data: please report it.",
        )
    Predictor(signature, encoder, estimator).predict_rows(example_rows)

    contents = _shared(signature, baseline, example_rows) | _compiled(encoder, estimator)
    manifest = BundleManifest(
        files=(),
        task=signature.task,
        learner=learner,
        parity=parity,
        lineage=dict(lineage or {}),
        environment=dict(environment or {}),
        created_by=created_by,
    )
    return _write(folder, manifest, contents, {})


def write_general_bundle(
    folder: Path,
    *,
    signature: Signature,
    general: GeneralModel,
    model_folder: Path,
    reason: str,
    baseline: Baseline,
    example_rows: list[dict[str, Any]],
    learner: str,
    parity: ParityRecord | None = None,
    lineage: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    created_by: str = "",
) -> str:
    """Write the bundle of a model that was not compiled and return its digest.

    Parameters
    ----------
    model_folder
        The model's own files: plain files and folders only, copied below ``model/``.
    reason
        Why it was not compiled: a sentence that people read.
    parity
        What was measured, where a compiled predictor existed and differed.

    Raises
    ------
    Invalid
        If the model's folder is empty or holds a link, or the example rows do not fit the signature.
    Conflict, Unavailable
        As ``write_bundle`` does.
    """
    InstanceValidator(signature).check(example_rows)
    sources = {}
    for path in sorted(_files_below(model_folder)):
        if (model_folder / path).is_symlink() or not (model_folder / path).is_file():
            raise Invalid(
                f"{path} in the model's folder is not a plain file.",
                code="bundle.model_files",
                hint="Store the files themselves, without links.",
            )
        sources[f"{MODEL_FOLDER}/{path}"] = model_folder / path
    if not sources:
        raise Invalid(
            "The model's folder holds no file.",
            code="bundle.model_files",
            hint="Give the folder with the MLmodel file.",
        )
    contents = _shared(signature, baseline, example_rows) | {GENERAL_FILE: _json(msgspec.to_builtins(general))}
    manifest = BundleManifest(
        files=(),
        task=signature.task,
        predictor="general",
        general_reason=reason,
        learner=learner,
        parity=parity or ParityRecord(n_rows=0, max_abs_difference=0.0, tolerance=0.0),
        lineage=dict(lineage or {}),
        environment=dict(environment or {}),
        created_by=created_by,
    )
    return _write(folder, manifest, contents, sources)


def verify_bundle(folder: Path, digest: str) -> BundleManifest:
    """Check every byte of a bundle against its digest.

    Raises
    ------
    BundleCorrupt
        Naming the file: changed, cut, missing, extra, not a plain file, or listed outside the folder.
    BundleTooNew
        If a later release wrote it.
    """
    return _read_verified(folder, digest)[0]


def load_bundle(folder: Path, digest: str) -> LoadedBundle:
    """Verify a bundle and make it ready to answer.

    Raises
    ------
    BundleCorrupt, BundleTooNew
        As ``verify_bundle`` does.
    """
    manifest, contents = _read_verified(folder, digest)

    def decode(path: str, kind: type[T]) -> T:
        with _reading(path):
            return msgspec.json.decode(contents[path], type=kind)

    signature, baseline = decode("signature.json", Signature), decode("baseline.json", Baseline)
    example_rows = decode("example.json", list[dict[str, Any]])
    if manifest.predictor == "general":
        general = decode(GENERAL_FILE, GeneralModel)
        return LoadedBundle(digest, manifest, signature, None, baseline, example_rows, general, folder)
    with _reading("encoder.json"):
        encoder = Encoder.from_json(msgspec.json.decode(contents["encoder.json"]), _arrays(contents.get("encoder.npz")))
    with _reading("estimator.json"):
        stored = msgspec.json.decode(contents["estimator.json"])
        evaluator = _evaluator_kind(stored["kind"]).load(
            stored["params"], {path: contents[path] for path in stored["files"]}
        )
    predictor = Predictor(signature, encoder, evaluator)
    return LoadedBundle(digest, manifest, signature, predictor, baseline, example_rows, None, folder)


def _shared(signature: Signature, baseline: Baseline, example_rows: list[dict[str, Any]]) -> dict[str, bytes]:
    return {
        "signature.json": _json(msgspec.to_builtins(signature)),
        "baseline.json": _json(msgspec.to_builtins(baseline)),
        "example.json": _json(example_rows),
    }


def _compiled(encoder: Encoder, estimator: Evaluator) -> dict[str, bytes]:
    state, arrays = encoder.to_json()
    evaluator = estimator.dump()
    contents = {
        "encoder.json": _json(state),
        "estimator.json": _json({"kind": estimator.kind, "params": evaluator.params, "files": sorted(evaluator.files)}),
        **evaluator.files,
    }
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own option
        contents["encoder.npz"] = buffer.getvalue()
    return contents


def _json(value: Any) -> bytes:
    # json writes floats by repr, which reads back to the same bits.
    return json.dumps(value, indent=1, allow_nan=False).encode() + b"\n"


def _arrays(data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _evaluator_kind(kind: str) -> type[Evaluator]:
    if kind not in EVALUATORS:
        raise BundleTooNew(
            f"This release cannot evaluate models of kind {kind!r}.",
            hint=f"It knows {', '.join(sorted(EVALUATORS))}. Upgrade Arkwright where the bundle is served.",
        )
    return EVALUATORS[kind]


def _digest_of(listing: bytes) -> str:
    return f"sha256:{hashlib.sha256(listing).hexdigest()}"


def _expect_same(folder: Path, digest: str) -> None:
    try:
        verify_bundle(folder, digest)
    except BundleCorrupt as error:
        raise Conflict(
            f"{folder} exists and is not this bundle: {error.detail}",
            code="bundle.exists",
            hint="Write the bundle to another folder, or remove what is there.",
        ) from error


def _write(folder: Path, manifest: BundleManifest, contents: Mapping[str, bytes], sources: Mapping[str, Path]) -> str:
    """Complete the manifest with the files, write them, and return the digest."""
    files = [
        BundleFile(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in contents.items()
    ]
    for path, source in sources.items():
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            files.append(BundleFile(path=path, size_bytes=file.tell(), sha256=sha256))
    manifest = msgspec.structs.replace(manifest, files=tuple(sorted(files, key=lambda file: file.path)))
    listing = rfc8785.dumps(msgspec.to_builtins(manifest))
    digest = _digest_of(listing)
    if os.path.lexists(folder):
        _expect_same(folder, digest)
    else:
        _write_folder(folder, {**contents, MANIFEST: listing}, sources, digest)
    return digest


def _write_folder(folder: Path, contents: Mapping[str, bytes], sources: Mapping[str, Path], digest: str) -> None:
    beside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        for path, data in contents.items():
            _write_file(beside / path, io.BytesIO(data))
        for path, source in sources.items():
            with source.open("rb") as file:
                _write_file(beside / path, file)
        beside.chmod(0o755)  # mkdtemp's 0700 would keep another account's data plane out
        for below in (beside, *(path for path in beside.rglob("*") if path.is_dir())):
            _flush_folder(below)
        beside.rename(folder)
        _flush_folder(folder.parent)
    except OSError as error:
        if folder.exists():
            # Another writer was quicker: content decides, not who came first.
            _expect_same(folder, digest)
            return
        raise Unavailable(
            f"The bundle could not be written to {folder}: {error.strerror or error}.",
            code="bundle.not_written",
            hint="Check the free space and the permissions of that folder, then try again.",
        ) from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def _write_file(path: Path, content: BinaryIO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, _BLOCK_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, not only the bytes of its files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_verified(  # noqa: C901 - one refusal after the other
    folder: Path, digest: str
) -> tuple[BundleManifest, dict[str, bytes]]:
    listing = _read(folder, MANIFEST, _MAX_MANIFEST_BYTES)
    if _digest_of(listing) != digest:
        _refuse(MANIFEST, f"hashes to {_digest_of(listing)} and not to the bundle's digest {digest}")
    manifest = _decode_manifest(listing)
    listed = {entry.path: entry for entry in manifest.files}
    if len(listed) != len(manifest.files) or MANIFEST in listed:
        _refuse(MANIFEST, "lists a file twice, or lists itself")
    for path in listed:
        if not _is_inside(path):
            _refuse(path, "is listed with a path that leads out of the bundle")
    for path in _files_below(folder):
        if path not in listed and path != MANIFEST:
            _refuse(path, "is not listed in the manifest")
    contents = {}
    for path, entry in listed.items():
        kept = not path.startswith(f"{MODEL_FOLDER}/")
        data, size_bytes, sha256 = _read_measured(folder, path, entry.size_bytes, keep=kept)
        if size_bytes != entry.size_bytes:
            _refuse(path, f"has {size_bytes} bytes and should have {entry.size_bytes}")
        if sha256 != entry.sha256:
            _refuse(path, "has changed: its hash is not the one in the manifest")
        if kept:
            contents[path] = data
    return manifest, contents


def _decode_manifest(listing: bytes) -> BundleManifest:
    with _reading(MANIFEST):
        version = msgspec.json.decode(listing)["format_version"]
        if version > FORMAT_VERSION:
            raise BundleTooNew(
                f"{MANIFEST} is of format {version}; this release reads up to format {FORMAT_VERSION}.",
                hint="Upgrade Arkwright where the bundle is read.",
            )
        return msgspec.json.decode(listing, type=BundleManifest)


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    plain = bool(parts) and not path.startswith("/") and "\\" not in path and "\0" not in path
    return plain and ".." not in parts and str(PurePosixPath(path)) == path


def _files_below(folder: Path, prefix: str = "") -> Iterator[str]:
    """Yield every path below a folder that is not a folder, without following links."""
    with os.scandir(folder / prefix) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(folder, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name


def _read(folder: Path, path: str, size_bytes: int) -> bytes:
    """Read a plain file, at most one byte more than it should have."""
    with _plain_file(folder, path) as file:
        return file.read(size_bytes + 1)


def _read_measured(folder: Path, path: str, size_bytes: int, *, keep: bool) -> tuple[bytes, int, str]:
    """Return a plain file's bytes, size and hash, reading little more than it should have; ``keep`` no bytes else."""
    if keep:
        data = _read(folder, path, size_bytes)
        return data, len(data), hashlib.sha256(data).hexdigest()
    sha256, found = hashlib.sha256(), 0
    with _plain_file(folder, path) as file:
        while found <= size_bytes and (block := file.read(_BLOCK_BYTES)):
            sha256.update(block)
            found += len(block)
    return b"", found, sha256.hexdigest()


@contextlib.contextmanager
def _plain_file(folder: Path, path: str) -> Iterator[BinaryIO]:
    try:
        for above in PurePosixPath(path).parents:
            if (folder / above).is_symlink():
                _refuse(path, "lies behind a symbolic link")
        # Non-blocking, so that a named pipe in a file's place cannot hold the reader.
        handle = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _refuse(path, "is missing")
    except OSError as error:
        _refuse(path, f"cannot be read as a plain file: {error.strerror}")
    with open(handle, "rb") as file:  # noqa: PTH123 - an open handle, not a path
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            _refuse(path, "is not a plain file")
        yield file


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Name the file whose bytes are those of the digest and still cannot be understood."""
    try:
        yield
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise BundleCorrupt(f"{path} cannot be understood: {error}.", hint=_REINSTALL) from error


def _refuse(path: str, problem: str) -> NoReturn:
    raise BundleCorrupt(f"{path} {problem}.", hint=_REINSTALL)
