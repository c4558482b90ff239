from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from arkwright.adapters.tracking.pyfunc import BundleModel, _load_pyfunc, columns_of
from arkwright.bundles import (
    GeneralInput,
    GeneralModel,
    LinearEvaluator,
    PredictionInvalid,
    Predictor,
    fit_baseline,
    fit_encoder,
    write_general_bundle,
)
from arkwright.contracts.signature import Column, ColumnKind, Signature
from arkwright.core.errors import Invalid


def signature(kind: ColumnKind) -> Signature:
    return Signature(task="regression", target="y", columns=(Column(name="c", kind=kind),))


def read(kind: ColumnKind, cells: Any, dtype: Any = None) -> list[Any]:
    frame = pd.DataFrame({"c": pd.Series(cells, dtype=dtype), "spare": 0})
    return list(columns_of(frame, signature(kind))["c"].tolist())


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([1, None, 3], "float64"),
        ([1, None, 3], "float32"),
        ([1, None, 3], "Int64"),
        ([1, None, 3], object),
        ([np.int64(1), pd.NA, np.float64(3)], object),
    ],
)
def test_numbers_are_read_from_every_type_pandas_has_for_them(cells: list[Any], dtype: Any) -> None:
    assert read("numeric", cells, dtype) == pytest.approx([1.0, np.nan, 3.0], nan_ok=True)


@pytest.mark.parametrize(("cells", "dtype"), [([1.0, "2"], object), ([True, False], bool), ([True], object)])
def test_a_text_or_boolean_among_numbers_is_refused(cells: list[Any], dtype: Any) -> None:
    with pytest.raises(PredictionInvalid, match=r"Row \d of the column 'c' is .*: expected a number"):
        read("numeric", cells, dtype)


def test_an_infinite_number_is_refused() -> None:
    with pytest.raises(PredictionInvalid, match="expected a finite number"):
        read("numeric", [1.0, np.inf])


@pytest.mark.parametrize(
    ("cells", "dtype", "expected"),
    [
        (["a", None, "b"], object, ["a", None, "b"]),
        (["a", None, "b"], "string", ["a", None, "b"]),
        (["a", None, "b"], "category", ["a", None, "b"]),
        ([1, 2], "int64", ["1", "2"]),
        # One missing value makes pandas' whole numbers floats; the category is still "1".
        ([1, None], "float64", ["1", None]),
        ([1, None], "Int64", ["1", None]),
        ([True, False], bool, ["True", "False"]),
        ([True, None], "boolean", ["True", None]),
    ],
)
def test_categories_are_read_as_their_text(cells: list[Any], dtype: Any, expected: list[Any]) -> None:
    assert read("categorical", cells, dtype) == expected


@pytest.mark.parametrize("cell", [1.5, ["a"], pd.Timestamp("2026-01-01")])
def test_a_cell_that_is_no_category_is_refused(cell: Any) -> None:
    with pytest.raises(PredictionInvalid, match="Row 1 of the column 'c'"):
        read("categorical", ["x", cell], object)


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["2026-03-01T08:00:00", None], "datetime64[ns]"),
        (["2026-03-01T10:00:00+02:00", None], object),
        ([pd.Timestamp("2026-03-01T10:00:00+02:00"), pd.NaT], None),
    ],
)
def test_moments_are_read_in_utc(cells: list[Any], dtype: Any) -> None:
    moments = columns_of(pd.DataFrame({"c": pd.Series(cells, dtype=dtype)}), signature("time"))["c"]
    assert moments.dtype == np.dtype("datetime64[us]")
    assert moments[0] == np.datetime64("2026-03-01T08:00:00")
    assert np.isnat(moments[1])


@pytest.mark.parametrize("cells", [["soon"], [1772352000]])
def test_what_is_no_moment_is_refused(cells: list[Any]) -> None:
    with pytest.raises(PredictionInvalid, match="'c'"):
        read("time", cells)


def test_predictions_keep_the_frames_index_and_an_empty_frame_has_none() -> None:
    kind = signature("numeric")
    table = {"c": np.array([1.0, 2.0, 3.0])}
    encoder = fit_encoder(kind.columns, table, layout="tree")
    model = BundleModel(Predictor(kind, encoder, LinearEvaluator([2.0], 1.0, "identity")))
    frame = pd.DataFrame({"c": [1, 3]}, index=["x", "y"])
    assert model.predict(frame)["value"].to_dict() == {"x": 3.0, "y": 7.0}
    assert list(model.predict(frame.head(0)).columns) == ["value"]
    with pytest.raises(PredictionInvalid, match="'c' is missing"):
        model.predict(frame.rename(columns={"c": "d"}))


def test_a_bundle_without_a_digest_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="digest"):
        _load_pyfunc(str(tmp_path))


@pytest.mark.parametrize("loader", ["skops", "pickle"])
def test_a_general_bundle_answers_with_the_model_itself(
    tmp_path: Path, loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"c": [1.0, 2.0, 4.0]})
    fitted = LinearRegression().fit(frame, [1.0, 2.0, 5.0])
    (tmp_path / "model").mkdir()
    dump = skops.io.dump if loader == "skops" else joblib.dump
    dump(fitted, tmp_path / "model" / "own")
    digest = write_general_bundle(
        tmp_path / "bundle",
        signature=signature("numeric"),
        general=GeneralModel(
            loader=loader, path="own", inputs=(GeneralInput(name="c", dtype="float64"),), method="predict"
        ),
        model_folder=tmp_path / "model",
        reason="It is a test.",
        baseline=fit_baseline(signature("numeric"), {"c": np.array([1.0])}, np.array([[1.0]])),
        example_rows=[{"c": 1.0}],
        learner="LinearRegression",
    )
    answered = _load_pyfunc(str(tmp_path / "bundle"), {"digest": digest}).predict(frame)
    np.testing.assert_allclose(answered["value"], fitted.predict(frame))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    if loader == "pickle":
        with pytest.raises(Invalid, match="runs code"):
            _load_pyfunc(str(tmp_path / "bundle"), {"digest": digest})
    else:
        assert _load_pyfunc(str(tmp_path / "bundle"), {"digest": digest}) is not None
