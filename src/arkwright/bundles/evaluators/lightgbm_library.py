"""LightGBM's shared library, called directly: one prepared row, or a matrix, and the shares each feature had.

The ``lightgbm`` package is found but never imported: its import loads pandas and scikit-learn, which a data plane
must not carry.

References
----------
LightGBM C API, https://lightgbm.readthedocs.io/en/stable/C-API.html
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import struct
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.errors import EvaluatorFailed, EvaluatorUnavailable

_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_INT32 = 2  # C_API_DTYPE_INT32
_ALL_ITERATIONS = -1
_NAMES = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")
_BLOCK_CELLS = 1 << 16  # of explicit cells: their positions are kept between calls, and stay in the cache
_BLOCK_ROWS = 1 << 20

SCORES = 0
"""C_API_PREDICT_NORMAL: probabilities or values, not raw margins."""
LEAVES = 2
"""C_API_PREDICT_LEAF_INDEX: the number of the leaf that each tree ends in."""
CONTRIBUTIONS = 3
"""C_API_PREDICT_CONTRIB: what each feature added to the raw score, and the expected raw score."""


class LightGBMLibrary:
    """The shared library twice: calls that release the GIL, and calls that keep it."""

    def __init__(self, path: str) -> None:
        try:
            self.releasing = ctypes.CDLL(path)
            self.keeping = ctypes.PyDLL(path)
        except OSError as error:
            raise EvaluatorUnavailable(
                f"LightGBM's library at {path} cannot be loaded: {error}.",
                hint="Install the OpenMP runtime (libgomp1 on Debian, libomp on macOS), or reinstall lightgbm.",
            ) from error
        self.releasing.LGBM_GetLastError.restype = ctypes.c_char_p

    def check(self, status: int) -> None:
        """Raise what the library has to say about a failed call."""
        if status != 0:
            raise EvaluatorFailed(
                f"LightGBM refused: {self.releasing.LGBM_GetLastError().decode(errors='replace')}.",
                hint="The model's text may come from a newer LightGBM than the one installed.",
            )


@functools.cache
def lightgbm_library() -> LightGBMLibrary:
    """Find and load the library, once.

    Raises
    ------
    EvaluatorUnavailable
        If it is not installed, or cannot be loaded.
    """
    found = importlib.util.find_spec("lightgbm")
    for folder in (found.submodule_search_locations if found else None) or ():
        for name in _NAMES:
            for path in (Path(folder) / "lib" / name, Path(folder) / "bin" / name, Path(folder).parent / name):
                if path.is_file():
                    return LightGBMLibrary(str(path))
    raise EvaluatorUnavailable(
        "This model needs LightGBM, whose library is not installed.", hint="Run: pip install 'lightgbm>=4.7,<4.8'."
    )


class Booster:
    """A model text, loaded; freed when nothing refers to it any more.

    Parameters
    ----------
    model_text
        As ``lightgbm.Booster.model_to_string()`` writes it.
    every_cell
        LightGBM's dense calls take a number within 1e-35 of zero for zero. That is right for its own models; with
        ``every_cell`` each number counts as it is.
    n_threads
        OpenMP threads for a matrix; a row always uses the caller's thread alone.

    Notes
    -----
    Safe to use from several threads: each gets its own prepared single-row call. That call keeps the GIL, as it takes
    microseconds and handing the GIL over can cost milliseconds; a matrix releases it.
    """

    def __init__(self, model_text: str, *, every_cell: bool, n_threads: int = 1) -> None:
        self._model = _LoadedModel(model_text)
        self.n_features, self.n_outputs = self._model.n_features, self._model.n_outputs
        self._every_cell = every_cell
        self._parameters = f"num_threads={n_threads} verbosity=-1".encode()
        self._prepared = threading.local()

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        try:
            call: _RowCall = self._prepared.call
        except AttributeError:
            call = self._prepared.call = _RowCall(self._model, self._every_cell)
        return call(vector)

    def contributions_row(self, vector: list[float]) -> list[list[float]]:
        """Return one list per output: each feature's share of the raw score, then the expected raw score."""
        # Not a prepared call: the one for sparse rows answers scores even when it was asked for contributions.
        if len(vector) != self.n_features:
            raise EvaluatorFailed(f"The booster takes {self.n_features} features, the row has {len(vector)}.")
        shares = np.empty((self.n_outputs, self.n_features + 1))
        predict = self._predict_explicit if self._every_cell else self._predict_dense
        predict(np.array([vector], dtype=np.float64), shares, CONTRIBUTIONS)
        # The library adds the trees' contributions up even where it averages their scores.
        rows: list[list[float]] = (shares / self._model.n_averaged).tolist()
        return rows

    def contributions_matrix(self, X: FloatArray) -> FloatArray:
        """Return the shares of a matrix's rows, of shape (n_rows, n_outputs, n_features + 1)."""
        n_shares = self.n_features + 1
        shares = self._by_block(X, self.n_outputs * n_shares, CONTRIBUTIONS).reshape(-1, self.n_outputs, n_shares)
        shares /= self._model.n_averaged
        return shares

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix; returns (n_rows, n_outputs)."""
        return self._by_block(X, self.n_outputs, SCORES)

    def leaves_matrix(self, X: FloatArray) -> FloatArray:
        """Return the number of the leaf that each row ends in, of shape (n_rows, n_trees)."""
        return self._by_block(X, self._model.n_rounds * self.n_outputs, LEAVES)

    def _by_block(self, X: FloatArray, n_results: int, kind: int) -> FloatArray:
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise EvaluatorFailed(f"The booster takes {self.n_features} features, the matrix has {X.shape[-1]}.")
        results = np.empty((X.shape[0], n_results))
        n_block = _block_rows(self.n_features) if self._every_cell else _BLOCK_ROWS
        predict = self._predict_explicit if self._every_cell else self._predict_dense
        for start in range(0, X.shape[0], n_block):
            block = np.ascontiguousarray(X[start : start + n_block], dtype=np.float64)
            # A block of whole rows of a C-contiguous array: the library writes straight into it.
            predict(block, results[start : start + n_block], kind)
        return results

    def _predict_dense(self, block: FloatArray, target: FloatArray, kind: int) -> None:
        library = lightgbm_library()
        library.check(
            library.releasing.LGBM_BoosterPredictForMat(
                self._model.handle,
                ctypes.c_void_p(block.ctypes.data),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(block.shape[0]),
                ctypes.c_int32(block.shape[1]),
                ctypes.c_int(1),
                ctypes.c_int(kind),
                ctypes.c_int(0),
                ctypes.c_int(_ALL_ITERATIONS),
                ctypes.c_char_p(self._parameters),
                ctypes.byref(ctypes.c_int64()),
                ctypes.c_void_p(target.ctypes.data),
            )
        )

    def _predict_explicit(self, block: FloatArray, target: FloatArray, kind: int) -> None:
        """Ask through the sparse call with every cell listed, as that one leaves small numbers alone."""
        library = lightgbm_library()
        starts, positions = _every_position(self.n_features)
        library.check(
            library.releasing.LGBM_BoosterPredictForCSR(
                self._model.handle,
                ctypes.c_void_p(starts.ctypes.data),
                ctypes.c_int(_INT32),
                ctypes.c_void_p(positions.ctypes.data),
                ctypes.c_void_p(block.ctypes.data),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int64(block.shape[0] + 1),
                ctypes.c_int64(block.size),
                ctypes.c_int64(self.n_features),
                ctypes.c_int(kind),
                ctypes.c_int(0),
                ctypes.c_int(_ALL_ITERATIONS),
                ctypes.c_char_p(self._parameters),
                ctypes.byref(ctypes.c_int64()),
                ctypes.c_void_p(target.ctypes.data),
            )
        )


class _LoadedModel:
    """The library's own object, freed when nothing refers to it any more."""

    def __init__(self, model_text: str) -> None:
        library = lightgbm_library()
        self.handle = ctypes.c_void_p()
        n_iterations, n_features, n_outputs = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        library.check(
            library.releasing.LGBM_BoosterLoadModelFromString(
                ctypes.c_char_p(model_text.encode()), ctypes.byref(n_iterations), ctypes.byref(self.handle)
            )
        )
        weakref.finalize(self, library.keeping.LGBM_BoosterFree, self.handle)
        library.check(library.releasing.LGBM_BoosterGetNumFeature(self.handle, ctypes.byref(n_features)))
        library.check(library.releasing.LGBM_BoosterGetNumClasses(self.handle, ctypes.byref(n_outputs)))
        self.n_features, self.n_outputs = n_features.value, n_outputs.value
        averages = "average_output" in model_text.split("\nTree=", 1)[0].splitlines()
        self.n_rounds = n_iterations.value
        self.n_averaged = max(1, self.n_rounds) if averages else 1


@functools.lru_cache(maxsize=16)
def _every_position(n_columns: int) -> tuple[Any, Any]:
    """Return where each row starts, and the column of each cell, of a full block of rows in sparse form."""
    n_rows = _block_rows(n_columns)
    starts = np.arange(0, n_rows * n_columns + 1, max(1, n_columns), dtype=np.int32)
    positions = np.tile(np.arange(n_columns, dtype=np.int32), n_rows)
    return starts, positions


def _block_rows(n_columns: int) -> int:
    return max(1, _BLOCK_CELLS // max(1, n_columns))


class _RowCall:
    """A prepared single-row call with buffers of its own: for one thread at a time."""

    def __init__(self, model: _LoadedModel, every_cell: bool) -> None:
        library = lightgbm_library()
        n_features = model.n_features
        prepare = (
            library.releasing.LGBM_BoosterPredictForCSRSingleRowFastInit
            if every_cell
            else library.releasing.LGBM_BoosterPredictForMatSingleRowFastInit
        )
        config = ctypes.c_void_p()
        library.check(
            prepare(
                model.handle,
                ctypes.c_int(SCORES),
                ctypes.c_int(0),
                ctypes.c_int(_ALL_ITERATIONS),
                ctypes.c_int(_FLOAT64),
                (ctypes.c_int64 if every_cell else ctypes.c_int32)(n_features),
                ctypes.c_char_p(b"num_threads=1 verbosity=-1"),
                ctypes.byref(config),
            )
        )
        # The model rides along in the arguments, so it outlives the configuration that points into it.
        weakref.finalize(self, _free_row_call, library, config, model)
        self._check = library.check
        self._input = (ctypes.c_double * n_features)()
        self._output = (ctypes.c_double * model.n_outputs)()
        self._pack = struct.Struct(f"{n_features}d").pack_into
        row = ctypes.c_void_p(ctypes.addressof(self._input))
        written = ctypes.byref(ctypes.c_int64())
        result = ctypes.c_void_p(ctypes.addressof(self._output))
        self._call: Callable[..., int]
        self._arguments: tuple[Any, ...]
        if every_cell:
            starts, positions = _every_position(n_features)
            self._kept = (starts, positions)
            self._call = library.keeping.LGBM_BoosterPredictForCSRSingleRowFast
            self._arguments = (
                config,
                ctypes.c_void_p(starts.ctypes.data),
                ctypes.c_int(_INT32),
                ctypes.c_void_p(positions.ctypes.data),
                row,
                ctypes.c_int64(2),
                ctypes.c_int64(n_features),
                written,
                result,
            )
        else:
            self._call = library.keeping.LGBM_BoosterPredictForMatSingleRowFast
            self._arguments = (config, row, written, result)

    def __call__(self, vector: list[float]) -> list[float]:
        self._pack(self._input, 0, *vector)
        status = self._call(*self._arguments)
        if status != 0:
            self._check(status)
        return self._output[:]


def _free_row_call(library: LightGBMLibrary, config: ctypes.c_void_p, model: _LoadedModel) -> None:
    """Free the configuration while ``model`` is still held by the caller's arguments."""
    library.keeping.LGBM_FastConfigFree(config)
    del model
