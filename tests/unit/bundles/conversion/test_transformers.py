"""Each transformer alone: what the compiled form answers is what scikit-learn answers, to the last bit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from arkwright.bundles import NotCompilable, PredictionInvalid, to_rows
from arkwright.bundles.conversion.pipeline import compile_transformer
from arkwright.bundles.general import GeneralInput
from arkwright.bundles.general_model import frame_of

NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.1, 3.5, 2.0**53, 5e-324, 1e300, -1e300, 17.0, np.nan)
TEXTS = ("x", "y", "rare", "", "never seen", "0", "True", "ä世😀", None)
DOCUMENTS = (
    "Good fun, a very good film",
    "bad film; bad acting",
    "",
    "a",
    "unknown words only",
    "GOOD\n\n  gOOd",
    "café naïve déjà-vu 世界 film",
    "x" * 200,
)

numeric = [GeneralInput(name="a", dtype="float64"), GeneralInput(name="b", dtype="float64")]
text = [GeneralInput(name="c", dtype="text"), GeneralInput(name="d", dtype="text")]
single = [GeneralInput(name="a", dtype="float32"), GeneralInput(name="b", dtype="float32")]


def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    a = np.where(rng.random(60) < 0.2, np.nan, rng.normal(3, 2, 60))
    return pd.DataFrame({"a": a, "b": rng.integers(0, 5, 60).astype(float)})


def texts() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    c = rng.choice(np.array(["x", "y", "rare", None], dtype=object), 80, p=[0.5, 0.3, 0.02, 0.18])
    d = rng.choice(np.array(["0", "1"], dtype=object), 80)
    c[0] = "rare"
    return pd.DataFrame({"c": pd.Series([np.nan if v is None else v for v in c], dtype=object), "d": pd.Series(d)})


def nasty(inputs: list[GeneralInput]) -> dict[str, Any]:
    """A table in which every column holds every odd cell, the others shifted."""
    length = 60
    table: dict[str, Any] = {}
    for shift, item in enumerate(inputs):
        odd = NUMBERS if item.dtype in ("float64", "float32", "integer") else TEXTS
        cells = [odd[(index + 5 * shift) % len(odd)] for index in range(length)]
        if odd is TEXTS:
            column = np.empty(length, dtype=object)
            column[:] = cells
            table[item.name] = column
        else:
            table[item.name] = np.array(cells, dtype=np.float64)
    return table


def agree(fitted: Any, inputs: list[GeneralInput], table: dict[str, Any], *, exact: bool = True) -> int:
    """Compare row by row: the same numbers, or both refuse; return how many rows were refused."""
    encoder = compile_transformer(fitted, inputs)
    rows = to_rows(table)
    refused = 0
    kept = []
    for index, row in enumerate(rows):
        one = {name: values[index : index + 1] for name, values in table.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = fitted.transform(frame_of(inputs, one))
            expected = np.asarray(expected.todense() if hasattr(expected, "todense") else expected, dtype=np.float64)
        except Exception:  # noqa: BLE001 - a text vectoriser raises an AttributeError for NaN
            refused += 1
            with pytest.raises(PredictionInvalid):
                encoder.encode_row(row)
            with pytest.raises(PredictionInvalid):
                encoder.encode_columns(one)
            continue
        kept.append(index)
        found = np.array([encoder.encode_row(row)])
        assert found.shape == expected.shape, (found.shape, expected.shape, encoder.feature_names)
        if exact:
            np.testing.assert_array_equal(found, expected, err_msg=str(row))
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15, err_msg=str(row))
        np.testing.assert_array_equal(encoder.encode_columns(one), found, err_msg=str(row))
    whole = {name: values[kept] for name, values in table.items()}
    np.testing.assert_array_equal(encoder.encode_columns(whole), [encoder.encode_row(rows[index]) for index in kept])
    return refused


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler(),
        MinMaxScaler((-2, 3), clip=True),
        RobustScaler(),
        RobustScaler(with_centering=False, quantile_range=(5, 95)),
        MaxAbsScaler(),
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="most_frequent"),
        SimpleImputer(strategy="constant", fill_value=-7),
        MissingIndicator(features="all"),
        FunctionTransformer(),
        FunctionTransformer(np.absolute),
        FunctionTransformer(np.log1p),
        VarianceThreshold(1.0),
        make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), MinMaxScaler()),
        make_pipeline(SimpleImputer(), OneHotEncoder(handle_unknown="ignore")),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        FeatureUnion([("scaled", StandardScaler()), ("plain", SimpleImputer())], transformer_weights={"scaled": 0.5}),
        ColumnTransformer([("a", StandardScaler(), ["b"])], remainder="passthrough"),
        ColumnTransformer([("a", StandardScaler(), ["b"])], remainder=SimpleImputer()),
        ColumnTransformer([("a", StandardScaler(), [1]), ("b", "drop", ["a"]), ("c", "passthrough", slice(0, 1))]),
        ColumnTransformer([("a", StandardScaler(), [False, True])], transformer_weights={"a": 3.0}),
    ],
    ids=repr,
)
def test_numbers_come_out_as_scikit_learn_computes_them(transformer: Any) -> None:
    transformer.fit(numbers())
    agree(transformer, numeric, nasty(numeric))


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        MinMaxScaler(),
        RobustScaler(),
        MaxAbsScaler(),
        make_pipeline(SimpleImputer(), StandardScaler()),
    ],
    ids=repr,
)
def test_columns_of_32_bits_are_rounded_after_each_step(transformer: Any) -> None:
    transformer.fit(numbers().astype(np.float32))
    table = nasty(single)
    table = {name: np.where(np.abs(values) > 1e30, 1e30, values) for name, values in table.items()}
    agree(transformer, single, table)


@pytest.mark.parametrize(
    "transformer",
    [
        OneHotEncoder(),
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", drop="first"),
        OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, drop="first"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2),
        OneHotEncoder(handle_unknown="ignore", min_frequency=0.05, dtype=np.float32),
        OneHotEncoder(handle_unknown="warn"),
        OrdinalEncoder(),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, min_frequency=5),
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
        make_pipeline(
            SimpleImputer(strategy="constant", fill_value="none", add_indicator=False), OneHotEncoder(drop="first")
        ),
        make_pipeline(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
            SimpleImputer(add_indicator=True),
            StandardScaler(),
        ),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), StandardScaler(with_mean=False)),
        make_pipeline(OneHotEncoder(handle_unknown="ignore", sparse_output=False), StandardScaler()),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), MaxAbsScaler()),
        make_pipeline(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), OneHotEncoder(handle_unknown="ignore")
        ),
    ],
    ids=repr,
)
def test_categories_come_out_as_scikit_learn_encodes_them(transformer: Any) -> None:
    transformer.fit(texts())
    agree(transformer, text, nasty(text))


def test_a_strict_encoder_refuses_what_it_never_saw_and_names_the_column() -> None:
    fitted = OneHotEncoder().fit(texts())
    assert agree(fitted, text, nasty(text)) > 0
    encoder = compile_transformer(fitted, text)
    with pytest.raises(PredictionInvalid, match=r"'c' is 'never seen', which training never saw"):
        encoder.encode_row({"c": "never seen", "d": "0"})


def test_the_encoding_of_a_target_is_looked_up() -> None:
    frame = texts()
    fitted = TargetEncoder().fit(frame, (frame["c"] == "x").astype(int))
    agree(fitted, text, nasty(text))


def test_a_selector_keeps_its_columns() -> None:
    frame = numbers().fillna(0.0)
    fitted = SelectKBest(f_classif, k=1).fit(frame, frame["a"] > 3.0)
    table = {name: np.nan_to_num(values) for name, values in nasty(numeric).items()}
    agree(fitted, numeric, table)


def test_categories_that_are_numbers_are_matched_as_numbers() -> None:
    inputs = [GeneralInput(name="a", dtype="integer")]
    fitted = OneHotEncoder(handle_unknown="ignore").fit(pd.DataFrame({"a": [0, 1, 2, 2]}))
    agree(fitted, inputs, {"a": np.array([0.0, 1.0, 2.0, 3.0, 0.5, -0.0, 1e300])})


def test_booleans_are_numbers_and_categories_alike() -> None:
    inputs = [GeneralInput(name="a", dtype="boolean")]
    column = np.array(["True", "False"], dtype=object)
    frame = pd.DataFrame({"a": [True, False, True]})
    agree(FunctionTransformer().fit(frame), inputs, {"a": column})
    agree(OneHotEncoder().fit(frame), inputs, {"a": column})


def test_an_encoder_that_was_fitted_on_none_is_given_none() -> None:
    frame = pd.DataFrame({"c": pd.Series(["x", None, "y"], dtype=object)})
    inputs = [GeneralInput(name="c", dtype="text", missing_none=True)]
    table = {"c": np.array(["x", None, "z"], dtype=object)}
    agree(OneHotEncoder(handle_unknown="ignore").fit(frame), inputs, table)


@pytest.mark.parametrize(
    ("transformer", "exact"),
    [
        (CountVectorizer(), True),
        (CountVectorizer(binary=True, ngram_range=(1, 3), stop_words="english"), True),
        (CountVectorizer(analyzer="char", ngram_range=(2, 4), strip_accents="unicode"), True),
        (CountVectorizer(analyzer="char_wb", ngram_range=(1, 5), lowercase=False), True),
        (CountVectorizer(token_pattern=r"\b(\w)\w*\b", ngram_range=(2, 2)), True),
        (TfidfVectorizer(), False),
        (TfidfVectorizer(norm="l1", sublinear_tf=True, strip_accents="ascii"), False),
        (TfidfVectorizer(norm=None, use_idf=False), True),
        (HashingVectorizer(n_features=64), False),
        (HashingVectorizer(n_features=50, alternate_sign=False, norm="l1", ngram_range=(1, 2)), False),
        (make_pipeline(CountVectorizer(), TfidfTransformer()), False),
        (make_pipeline(TfidfVectorizer(), MaxAbsScaler()), False),
    ],
    ids=repr,
)
def test_texts_are_split_counted_and_weighed_as_scikit_learn_does(transformer: Any, exact: bool) -> None:
    documents = pd.Series(DOCUMENTS, dtype=object)
    fitted = ColumnTransformer([("text", transformer, "t")], sparse_threshold=1.0).fit(pd.DataFrame({"t": documents}))
    column = np.array([*DOCUMENTS, "brand new text", None], dtype=object)
    refused = agree(fitted, [GeneralInput(name="t", dtype="text")], {"t": column}, exact=exact)
    assert refused == 1  # no vectoriser takes a missing text


@pytest.mark.parametrize(
    ("transformer", "inputs", "frame", "part"),
    [
        (PCA(1), numeric, numbers().fillna(0.0), "PCA"),
        (FunctionTransformer(lambda frame: frame * 2), numeric, numbers(), "code of your own"),
        (SimpleImputer(missing_values=1.0), numeric, numbers().fillna(0.0), ""),
        (
            ColumnTransformer([("t", TfidfVectorizer(tokenizer=str.split), "c")]),
            text,
            texts().fillna("none here"),
            "of your own code",
        ),
        (ColumnTransformer([("t", "passthrough", ["c"])]), text, texts(), "without being encoded"),
    ],
    ids=["pca", "lambda", "marker", "tokenizer", "text"],
)
def test_what_cannot_be_compiled_is_refused_by_name(transformer: Any, inputs: Any, frame: Any, part: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer.fit(frame)
    if not part:
        agree(transformer, inputs, nasty(inputs))
        return
    with pytest.raises(NotCompilable, match=part):
        compile_transformer(transformer, inputs)


def test_a_transformer_of_somebody_elses_package_is_never_trusted_by_its_name() -> None:
    class StandardScaler:  # the name alone proves nothing
        pass

    with pytest.raises(NotCompilable, match="comes from"):
        compile_transformer(Pipeline([("own", StandardScaler())]), numeric)
