"""What every peer's handler calls: the pipeline as its users would call it, or our compiled predictor.

``BENCH_MODEL`` is a folder with ``pipeline.joblib``, and ``bundle/`` with ``digest``; ``BENCH_PREDICTOR`` is
``pipeline`` or ``compiled``. For the second, ``PYTHONPATH`` leads to Arkwright's sources.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]

MAX_BATCH = 64
BATCH_WAIT_SECONDS = 0.005


def load() -> Callable[[Rows], list[dict[str, Any]]]:
    """Return a function from rows to ``{"label", "score"}`` each."""
    if os.environ.get("BENCH_PREDICTOR") == "compiled":
        return _compiled()
    import pandas as pd  # noqa: PLC0415 - not in every environment

    predict, names = _pipeline()
    # A null would become None in a column of texts, which the imputer does not look for.
    return lambda rows: predict(pd.DataFrame(rows, columns=names).fillna(float("nan")))


def load_for_frames() -> Callable[[Any], list[dict[str, Any]]]:
    """Return the same for a pandas frame."""
    if os.environ.get("BENCH_PREDICTOR") == "compiled":
        predict_rows = _compiled()
        return lambda frame: predict_rows(frame.astype(object).where(frame.notna(), None).to_dict("records"))
    predict, names = _pipeline()
    return lambda frame: predict(frame[names])


def _compiled() -> Callable[[Rows], list[dict[str, Any]]]:
    from arkwright.bundles import load_bundle  # noqa: PLC0415 - see above

    folder = Path(os.environ["BENCH_MODEL"])
    return load_bundle(folder / "bundle", (folder / "digest").read_text()).predictor.predict_rows


def _pipeline() -> tuple[Callable[[Any], list[dict[str, Any]]], list[str]]:
    import joblib  # noqa: PLC0415 - see above

    pipeline = joblib.load(Path(os.environ["BENCH_MODEL"]) / "pipeline.joblib")
    labels = ("No", "Yes")

    def predict(frame: Any) -> list[dict[str, Any]]:
        scores = pipeline.predict_proba(frame)[:, 1].tolist()
        return [{"label": labels[score >= 0.5], "score": score} for score in scores]

    return predict, list(pipeline.feature_names_in_)
