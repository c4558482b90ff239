"""What the registry needs from rooms above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from arkwright.bundles import LoadedBundle
from arkwright.kit.db import Units


class Evaluates(Protocol):
    """Scores a bundle on rows with a known target and files the report as evidence about it."""

    def evaluate_and_file(
        self,
        units: Units,
        bundle: LoadedBundle,
        columns: Mapping[str, npt.NDArray[Any]],
        truth: npt.NDArray[Any],
        reference_scores: npt.NDArray[np.float64],
        *,
        seed: int,
        basis: str,
        predict: Callable[[Mapping[str, npt.NDArray[Any]]], npt.NDArray[np.float64]] | None = None,
    ) -> tuple[str, Any]:
        """Return the evidence's id and the report."""
        ...
