"""LightGBM boosters through the library's C interface.

The ``lightgbm`` package is found but never imported: its import loads pandas and scikit-learn, which a data plane
must not carry. The same shared library does the work, so scores equal ``lightgbm.Booster.predict`` bit for bit.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.errors import EvaluatorFailed, EvaluatorUnavailable
from arkwright.bundles.evaluators.ports import EvaluatorState

_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_NORMAL = 0  # C_API_PREDICT_NORMAL: probabilities or values, not raw margins
_ALL_ITERATIONS = -1
_BLOCK_ROWS = 1 << 20
_FILE = "model.txt"
_NAMES = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")


class LightGBMEvaluator:
    """A booster read from its model text.

    Parameters
    ----------
    model_text
        What ``lightgbm.Booster.model_to_string()`` returned.
    n_threads
        OpenMP threads for a matrix. One is right beside other work; a row always uses the caller's thread alone.

    Notes
    -----
    Safe to use from several threads: each gets its own prepared single-row call. That call keeps the GIL, as it
    takes microseconds and handing the GIL over can cost milliseconds; a matrix releases it.
    """

    kind: ClassVar[str] = "lightgbm"
    tolerance: ClassVar[float] = 0.0

    def __init__(self, model_text: str, *, n_threads: int = 1) -> None:
        self._model_text = model_text
        self._n_threads = n_threads
        self._booster = _Booster(model_text)
        self.n_features = self._booster.n_features
        self.n_outputs = self._booster.n_outputs
        self._parameters = f"num_threads={n_threads} verbosity=-1".encode()
        self._prepared = threading.local()

    def __reduce__(self) -> Any:
        return functools.partial(type(self), n_threads=self._n_threads), (self._model_text,)

    def scores_row(self, vector: list[float]) -> list[float]:
        """Score one vector."""
        try:
            call: _RowCall = self._prepared.call
        except AttributeError:
            call = self._prepared.call = _RowCall(self._booster)
        return call(vector)

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix."""
        scores = np.empty((X.shape[0], self.n_outputs))
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            block = np.ascontiguousarray(X[start : start + _BLOCK_ROWS], dtype=np.float64)
            if block.shape[1] != self.n_features:
                raise EvaluatorFailed(f"The booster takes {self.n_features} features, the matrix has {block.shape[1]}.")
            # A block of whole rows of a C-contiguous array: the library writes straight into it.
            target = scores[start : start + _BLOCK_ROWS]
            written = ctypes.c_int64()
            _library().check(
                _library().releasing.LGBM_BoosterPredictForMat(
                    self._booster.handle,
                    ctypes.c_void_p(block.ctypes.data),
                    ctypes.c_int(_FLOAT64),
                    ctypes.c_int32(block.shape[0]),
                    ctypes.c_int32(block.shape[1]),
                    ctypes.c_int(1),
                    ctypes.c_int(_NORMAL),
                    ctypes.c_int(0),
                    ctypes.c_int(_ALL_ITERATIONS),
                    ctypes.c_char_p(self._parameters),
                    ctypes.byref(written),
                    ctypes.c_void_p(target.ctypes.data),
                )
            )
        return scores

    def dump(self) -> EvaluatorState:
        """Return the model text as a file."""
        return EvaluatorState(files={_FILE: self._model_text.encode()})

    @classmethod
    def load(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:  # noqa: ARG003 - there are none
        """Read the model text."""
        return cls(files[_FILE].decode())


class _Library:
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
def _library() -> _Library:
    found = importlib.util.find_spec("lightgbm")
    for folder in (found.submodule_search_locations if found else None) or ():
        for name in _NAMES:
            for path in (Path(folder) / "lib" / name, Path(folder) / "bin" / name, Path(folder).parent / name):
                if path.is_file():
                    return _Library(str(path))
    raise EvaluatorUnavailable(
        "This model needs LightGBM, whose library is not installed.", hint="Run: pip install 'lightgbm>=4.7,<4.8'."
    )


class _Booster:
    """A loaded booster, freed when nothing refers to it any more."""

    def __init__(self, model_text: str) -> None:
        library = _library()
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


class _RowCall:
    """A prepared single-row call with buffers of its own: for one thread at a time."""

    def __init__(self, booster: _Booster) -> None:
        library = _library()
        config = ctypes.c_void_p()
        library.check(
            library.releasing.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster.handle,
                ctypes.c_int(_NORMAL),
                ctypes.c_int(0),
                ctypes.c_int(_ALL_ITERATIONS),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(booster.n_features),
                ctypes.c_char_p(b"num_threads=1 verbosity=-1"),
                ctypes.byref(config),
            )
        )
        # The booster rides along in the arguments, so it outlives the configuration that points into it.
        weakref.finalize(self, _free_row_call, library, config, booster)
        self._check = library.check
        self._input = (ctypes.c_double * booster.n_features)()
        self._output = (ctypes.c_double * booster.n_outputs)()
        self._pack = struct.Struct(f"{booster.n_features}d").pack_into
        self._call = library.keeping.LGBM_BoosterPredictForMatSingleRowFast
        self._arguments = (
            config,
            ctypes.c_void_p(ctypes.addressof(self._input)),
            ctypes.byref(ctypes.c_int64()),
            ctypes.c_void_p(ctypes.addressof(self._output)),
        )

    def __call__(self, vector: list[float]) -> list[float]:
        self._pack(self._input, 0, *vector)
        status = self._call(*self._arguments)
        if status != 0:
            self._check(status)
        return self._output[:]


def _free_row_call(library: _Library, config: ctypes.c_void_p, booster: _Booster) -> None:
    """Free the configuration while ``booster`` is still held by the caller's arguments."""
    library.keeping.LGBM_FastConfigFree(config)
    del booster
