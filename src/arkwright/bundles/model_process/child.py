"""The process of one model: verify, load, answer, and end with whoever started it.

::

    python -m arkwright.bundles.model_process.child SOCKET PARENT FOLDER DIGEST

Started by :func:`~arkwright.bundles.model_process.launch.launch_model` in a private folder. The bundle is copied there
and the copy verified before anything of it is imported or unpickled: what is loaded is what was hashed, and a model
that writes beside its files does not spoil the bundle.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.errors import BundleCorrupt
from arkwright.bundles.model_process.frames import (
    Answer,
    Inbox,
    Question,
    Ready,
    Refused,
    Rows,
    Scores,
    Table,
    decode_cells,
    decode_table,
    pack,
    pack_scores,
    read_question,
)
from arkwright.bundles.model_process.grouping import Model, independent_of_company
from arkwright.bundles.package import LoadedBundle, load_bundle
from arkwright.bundles.rows import read_cells, rows_to_columns
from arkwright.contracts import Signature
from arkwright.core.errors import ArkwrightError, Invalid

if TYPE_CHECKING:
    from arkwright.bundles.general_model import GeneralPredictor

_PR_SET_PDEATHSIG = 1
_RECEIVE_BYTES = 1 << 18
_FIRST_TO_GO = "500"  # between an ordinary process (0) and one that must go (1000)
_MAX_SAID = 500


def main() -> int:
    """Serve one model until the socket closes; return the exit code."""
    descriptor, parent, folder, digest = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    _end_with(parent)
    with socket.socket(fileno=descriptor) as end:
        end.set_inheritable(False)
        started = time.monotonic()
        try:
            bundle = _private_copy(folder, digest)
            model = _load(bundle)
            n_outputs = _warm(model, bundle)
        except ArkwrightError as error:
            end.sendall(pack(Refused(error.code, error.detail, error.hint or "")))
            return 1
        end.sendall(pack(Ready(n_outputs, time.monotonic() - started, _memory_bytes())))
        _serve(end, bundle.signature, model, n_outputs)
    return 0


def _end_with(parent: int) -> None:
    """Let the kernel end this process with its parent, and sacrifice it first; write no image of its memory."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    if os.getppid() != parent:  # the parent died in between
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _private_copy(folder: Path, digest: str) -> LoadedBundle:
    """Copy the bundle to the current folder, links as links, and verify the copy."""
    copy = Path.cwd() / "bundle"
    try:
        shutil.copytree(folder, copy, symlinks=True, copy_function=shutil.copyfile)
    except (OSError, shutil.Error) as error:
        raise BundleCorrupt(
            f"The bundle in {folder} cannot be copied: {error}.",
            hint="Every entry must be a plain file that this account may read; and there must be room for a copy.",
        ) from error
    bundle = load_bundle(copy, digest)
    if bundle.general is None:
        raise Invalid(
            "This bundle is compiled; it needs no process of its own.",
            code="bundle.compiled",
            hint="Use its predictor.",
        )
    return bundle


def _load(bundle: LoadedBundle) -> Model:
    """Bring in the model's libraries and the model."""
    warnings.simplefilter("ignore")  # nobody reads them here, and formatting them takes time
    try:
        from arkwright.bundles.general_model import open_general  # noqa: PLC0415 - only after the hashes were checked

        predictor: GeneralPredictor = open_general(bundle)
    except ArkwrightError:
        raise
    except ImportError as error:
        raise Invalid(
            f"The model needs a library that is not installed here: {error}.",
            code="model.not_loaded",
            hint="Install it in the environment of the server; the model's requirements.txt names its versions.",
        ) from error
    except Exception as error:
        raise _not_loaded(error, "could not be loaded") from error
    return independent_of_company(predictor.scores, predictor.general.inputs)


def _warm(model: Model, bundle: LoadedBundle) -> int:
    """Answer the example rows, one and all: the first calls fill caches and prove that the model answers."""
    n_outputs = len(bundle.signature.classes) if bundle.signature.task == "multiclass" else 1
    for rows in (bundle.example_rows, bundle.example_rows[:1]):
        if not rows:
            continue
        try:
            scores = model(rows_to_columns(rows, bundle.signature))
        except ArkwrightError:
            raise
        except Exception as error:
            raise _not_loaded(error, "failed for the bundle's example rows") from error
        if scores.shape != (len(rows), n_outputs):
            raise Invalid(
                f"The model answers {len(rows)} rows with scores of shape {scores.shape}: "
                f"expected {(len(rows), n_outputs)}.",
                code="model.not_loaded",
                hint="Register it with the task and the classes that it was trained for.",
            )
    return n_outputs


def _serve(end: socket.socket, signature: Signature, model: Model, n_outputs: int) -> None:
    inbox = Inbox()
    while data := end.recv(_RECEIVE_BYTES):
        for body in inbox.feed(data):
            end.sendall(pack(_answer(read_question(body), signature, model, n_outputs)))


def _answer(question: Question, signature: Signature, model: Model, n_outputs: int) -> Answer:
    columns, n_rows = _columns_of(question, signature)
    parts = question.parts if isinstance(question, Rows) else ((0, n_rows),)
    scores = np.full((n_rows, n_outputs), np.nan)
    failures: dict[int, str] = {}
    _score(model, columns, 0, scores, failures, time.monotonic() + question.patience_seconds)
    return Scores(question.batch, parts, n_outputs, pack_scores(scores), failures)


def _columns_of(question: Question, signature: Signature) -> tuple[dict[str, Any], int]:
    if isinstance(question, Table):
        return decode_table(question, signature), question.n_rows
    rows = decode_cells(question.cells)
    if len(rows) != sum(n_rows for _, n_rows in question.parts):
        raise ValueError("the parts of a batch do not add up to its rows")
    cells = zip(*rows, strict=True)
    return {column.name: read_cells(column.kind, of) for column, of in zip(signature.columns, cells, strict=True)}, len(
        rows
    )


def _score(
    model: Model, columns: Columns, first: int, scores: FloatArray, failures: dict[int, str], deadline: float
) -> None:
    """Fill in the scores; where the model raises, halve the rows until those that make it raise stand alone.

    One bad row among n costs about ``2 log2(n)`` calls, and its neighbours get what they would have got without it.
    """
    n_rows = len(scores)
    try:
        scores[:] = _checked(model(columns), scores.shape)
    except Exception as error:  # noqa: BLE001 - whatever the model does is told to the caller, and nobody else
        if n_rows == 1:
            failures[first] = f"{type(error).__name__}: {error}"[:_MAX_SAID]
        elif time.monotonic() > deadline:
            said = f"{type(error).__name__}, for one of the {n_rows} rows that were scored together"
            failures.update(dict.fromkeys(range(first, first + n_rows), said))
        else:
            half = n_rows // 2
            for part, at in ((slice(0, half), 0), (slice(half, n_rows), half)):
                some = {name: values[part] for name, values in columns.items()}
                _score(model, some, first + at, scores[part], failures, deadline)


def _checked(scores: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    if scores.shape != shape:
        raise ValueError(f"{shape[0]} rows were answered with scores of shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not a finite number")
    return scores


def _not_loaded(error: Exception, problem: str) -> Invalid:
    said = f"{type(error).__name__}: {error}"[:_MAX_SAID]
    return Invalid(
        f"The model {problem}: {said}",
        code="model.not_loaded",
        hint="Load it with the library it was saved with, in an environment like the server's, to see the whole error.",
    )


def _memory_bytes() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


if __name__ == "__main__":
    sys.exit(main())
