"""The table of contents of a packaged model.

A bundle is a folder. ``manifest.json`` lists each other file with its size and SHA-256; the bundle's
*digest* is the SHA-256 of the manifest's bytes, so one string vouches for everything inside::

    manifest.json      this struct, canonical JSON (RFC 8785)
    signature.json     Signature
    encoder.json       the fitted transform plan: how a row becomes a vector of float64
    estimator.json     which native evaluator, and its small parameters
    model.txt | *.npz  the evaluator's own files (trees as LightGBM text, linear coefficients, an ensemble's members)
    model/             instead of the three above: an MLflow model that could not be compiled
    baseline.json      Baseline
    example.json       a few input rows, as a request would carry them
"""

from __future__ import annotations

from typing import Literal

import msgspec

FORMAT_VERSION = 1


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its path relative to the bundle, size and hash."""

    path: str
    size_bytes: int
    sha256: str


class ParityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How closely the compiled predictor matched the columnar pipeline.

    ``max_abs_difference`` is over ``n_rows`` rows: the holdout plus rows with missing, unseen and
    extreme values. The fast predictor serves only where it is within ``tolerance``.
    """

    n_rows: int
    max_abs_difference: float
    tolerance: float

    @property
    def exact(self) -> bool:
        """Whether no row differed at all."""
        return self.max_abs_difference == 0.0

    @property
    def passed(self) -> bool:
        """Whether every row was within the tolerance."""
        return self.max_abs_difference <= self.tolerance


class BundleManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a bundle and where it came from.

    ``predictor`` is ``general`` where the model could not be compiled, or differed from its pipeline by more than the
    tolerance; ``general_reason`` says which.
    """

    files: tuple[BundleFile, ...]
    task: str
    predictor: Literal["compiled", "general"] = "compiled"
    general_reason: str = ""
    learner: str
    parity: ParityRecord
    lineage: dict[str, str] = {}
    environment: dict[str, str] = {}
    created_by: str = ""
    format_version: int = FORMAT_VERSION
