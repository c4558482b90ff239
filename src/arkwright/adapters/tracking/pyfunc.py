"""A published bundle in the hands of the stock MLflow client: ``mlflow.pyfunc.load_model("models:/churn@champion")``.

MLflow calls :func:`_load_pyfunc` with the bundle's folder and the ``config`` of the ``MLmodel`` file, which holds the
digest: what answers here is, to the bit, what was registered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from arkwright.bundles import PredictionInvalid, Predictor, load_bundle
from arkwright.bundles.general_model import GeneralPredictor, open_general
from arkwright.contracts import Signature
from arkwright.core.errors import Invalid

_PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"  # MLflow's own switch


class BundleModel:
    """A bundle's predictor for pandas."""

    def __init__(self, predictor: Predictor | GeneralPredictor) -> None:
        self._predictor = predictor

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``label`` and ``score``, or ``value``, for each row of a frame, under the frame's index.

        Raises
        ------
        PredictionInvalid
            If a column is missing or holds what the model cannot take; the message names it.
        """
        columns = columns_of(frame, self._predictor.signature)
        if len(frame) == 0:
            names = ["value"] if self._predictor.signature.task == "regression" else ["label", "score"]
            return pd.DataFrame({name: [] for name in names}, index=frame.index)
        return pd.DataFrame(self._predictor.answer_columns(columns), index=frame.index).infer_objects()


def columns_of(frame: pd.DataFrame, signature: Signature) -> dict[str, npt.NDArray[Any]]:
    """Read a model's inputs from a frame, in whichever of pandas' types they come; other columns are left alone.

    Raises
    ------
    PredictionInvalid
        If a cell is not of its column's kind.
    """
    readers = {"numeric": _numbers, "categorical": _texts, "time": _moments}
    return {
        column.name: readers[column.kind](column.name, frame[column.name])
        for column in signature.columns
        if column.name in frame.columns
    }


def _numbers(name: str, series: pd.Series[Any]) -> npt.NDArray[Any]:
    if series.dtype.kind in "iuf":
        numbers: npt.NDArray[np.float64] = series.to_numpy(dtype="float64", na_value=np.nan)
    else:
        numbers = np.full(len(series), np.nan)
        for index, cell in _present(series):
            # A text that looks like a number is a text for the server too: the same row gets the same answer.
            if not isinstance(cell, Real) or isinstance(cell, bool):
                raise _unfit(name, index, cell, "a number", "Convert the column, for example with pandas.to_numeric.")
            numbers[index] = float(cell)
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        raise _unfit(name, int(infinite[0]), numbers[infinite[0]], "a finite number", "Make it missing (NaN) instead.")
    return numbers


def _texts(name: str, series: pd.Series[Any]) -> npt.NDArray[Any]:
    texts = np.full(len(series), None, dtype=object)
    for index, cell in _present(series):
        # pandas turns whole numbers into floats as soon as one of them is missing.
        if isinstance(cell, float) and cell.is_integer():
            texts[index] = str(int(cell))
        elif isinstance(cell, (str, bool, np.bool_, Integral)):
            texts[index] = str(cell)
        else:
            raise _unfit(name, index, cell, "text, a whole number or a boolean", "Give the column as text.")
    return texts


def _moments(name: str, series: pd.Series[Any]) -> npt.NDArray[Any]:
    if series.dtype.kind in "biuf" and not series.isna().all():
        raise _unfit(name, 0, series.iloc[0], "a date or time", "Convert the column with pandas.to_datetime.")
    try:
        moments = pd.to_datetime(series, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise PredictionInvalid(
            f"The column {name!r} holds something other than dates and times: {error}",
            hint="Convert the column with pandas.to_datetime.",
        ) from error
    found: npt.NDArray[np.datetime64] = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return found


def _present(series: pd.Series[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the cells that are not missing, with their positions."""
    cells = series.astype(object).tolist()
    return ((int(index), cells[index]) for index in np.flatnonzero(series.notna()))


def _unfit(name: str, index: int, cell: object, expected: str, hint: str) -> PredictionInvalid:
    message = f"is {cell!r}: expected {expected}, or a missing value"
    return PredictionInvalid(
        f"Row {index} of the column {name!r} {message}.", errors=[{"field": name, "message": message}], hint=hint
    )


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> BundleModel:
    """Verify and load a bundle; MLflow calls this by name."""
    digest = (model_config or {}).get("digest")
    if not digest:
        raise Invalid(
            "The MLmodel file does not give the bundle's digest, so its files cannot be trusted.",
            code="tracking.digest",
            hint="Load the version that Arkwright registered, and leave model_config alone.",
        )
    bundle = load_bundle(Path(path), str(digest))
    if bundle.general is None:
        return BundleModel(bundle.predictor)
    if bundle.general.runs_code and os.environ.get(_PICKLES, "true").strip().lower() in {"false", "0"}:
        raise Invalid(
            f"The model is stored in a form that runs code when it is loaded, and {_PICKLES} forbids that.",
            code="tracking.pickle",
            hint=f"Set {_PICKLES}=true if you trust who registered it.",
        )
    return BundleModel(open_general(bundle))
