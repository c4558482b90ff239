"""A row read in one typed pass is answered as on the general way, or declined."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arkwright.bundles import ConstantEvaluator, Encoder, Predictor, RowReader, fit_encoder
from arkwright.bundles.kernels import CategoryCode, Chain, Levels, LevelTable, Number, NumberLevels, Step
from arkwright.contracts import Column, Signature

COLUMNS = (
    Column(name="age", kind="numeric"),
    Column(name="plan", kind="categorical"),
    Column(name="at", kind="time"),
    Column(name="say it: now", kind="numeric", required=False),
)
SIGNATURE = Signature(task="regression", target="y", columns=COLUMNS, identifiers=("id", "name"), ignored=("constant",))
FOLD = {
    "age": np.array([30.0, np.nan, 41.0]),
    "plan": np.array(["basic", "pro", None], dtype=object),
    "at": np.array(["2026-03-01", "2026-04-01T10:00:00", "NaT"], dtype="datetime64[us]"),
    "say it: now": np.array([1.0, 2.0, np.nan]),
}
TABLE = LevelTable(
    names=("a", "b"), base=(0.0, 0.0), hot=(0, 1, -1), values=(1.0, 2.5, 0.0), unseen=None, missing=(7.0, 8.0)
)
BASED = LevelTable(names=("c",), base=(0.5,), hot=(0, -1), values=(None, 0.0), unseen=(9.0,), missing=None)
COMPILED = Encoder(
    (
        Chain(column="age", name="age", steps=(Step("fill", 35.0),)),
        Chain(column="age", name="age scaled", steps=(Step("fill", 35.0), Step("subtract", 3.0), Step("divide", 7.0))),
        Chain(column="say it: now", name="log", steps=(Step("present"), Step("log1p"))),
        NumberLevels(
            column="age",
            steps=(),
            levels=(30.0, 41.0),
            table=BASED.__class__(**{**msgspec.structs.asdict(BASED), "missing": (4.0,)}),
        ),
        Levels(column="plan", levels=("basic", "pro", "none of it"), table=TABLE),
        Levels(
            column="plan",
            levels=("basic", "pro"),
            table=BASED.__class__(**{**msgspec.structs.asdict(BASED), "missing": (4.0,)}),
        ),
    )
)
ENCODERS = {
    "tree": fit_encoder(COLUMNS, FOLD, layout="tree"),
    "linear": fit_encoder(COLUMNS, FOLD, layout="linear"),
    "compiled": COMPILED,
}


class Echo(ConstantEvaluator):
    """Answers with a number that tells vectors apart."""

    def scores_row(self, vector):
        return [sum((place + 1) * (0.125 if math.isnan(cell) else cell) for place, cell in enumerate(vector))]


def predictor(encoder: Encoder) -> Predictor:
    evaluator = Echo((0.0,), n_features=encoder.n_outputs)
    return Predictor(SIGNATURE, encoder, evaluator)


READERS = {name: (predictor(encoder), predictor(encoder).row_reader()) for name, encoder in ENCODERS.items()}

numbers = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 30, 41.0, 1e308, 2**1023, 2**1024]),
)
texts = st.one_of(st.none(), st.sampled_from(["basic", "pro", "none of it", "", 'x":1']), st.text(max_size=5))
moments = st.one_of(st.none(), st.sampled_from(["2026-03-01", "2026-03-01T09:30:00Z", "yesterday", "2026-13-01", 3]))
anything = st.one_of(numbers, texts, st.booleans(), st.lists(st.integers(), max_size=2))
rows = st.fixed_dictionaries(
    {"age": numbers, "plan": st.one_of(texts, st.integers(0, 2), st.booleans()), "at": moments},
    optional={"say it: now": numbers, "id": anything, "name": anything, "constant": anything, "y": anything},
)


@pytest.mark.parametrize("name", READERS)
@given(
    row=rows, indent=st.sampled_from([None, 1]), separators=st.sampled_from([(",", ":"), (" , ", " : "), (", ", ": ")])
)
@example(row={"age": 30, "plan": "pro", "at": None, "id": 7}, indent=None, separators=(",", ":"))
def test_a_row_is_answered_as_on_the_general_way_or_declined(name, row, indent, separators):
    general, reader = READERS[name]
    body = json.dumps({"instances": [row]}, indent=indent, separators=separators).encode()
    typed = reader.read(body)
    if typed is not None:
        assert general.answer_row(typed) == general.predict_rows([json.loads(body)["instances"][0]])[0]
        assert np.array_equal(typed.vector, general.encoder.encode_row(row), equal_nan=True)
        assert typed.text == b""  # the signature has an optional column: a row may lack it


@pytest.mark.parametrize(
    "row", [{"age": 30, "plan": "pro", "at": "2026-03-01"}, {"age": None, "plan": None, "at": None, "id": "7", "y": 3}]
)
def test_an_ordinary_row_is_not_declined(row):
    for name in ("tree", "linear"):
        assert READERS[name][1].read(json.dumps({"instances": [row]}).encode()) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"instances":[]}',
        b'{"instances":[{"age":1,"plan":"pro","at":null},{"age":1,"plan":"pro","at":null}]}',
        b'{"instances":[{"age":1,"plan":"pro","at":null}],"more":1}',
        b'{"instances":[{"age":1,"plan":"pro"}]}',
        b'{"instances":[{"age":1,"plan":"pro","at":null,"other":1}]}',
        b'{"instances":[{"age":"1","plan":"pro","at":null}]}',
        b'{"instances":[{"age":1e999,"plan":"pro","at":null}]}',
        b'{"instances":[{"age":NaN,"plan":"pro","at":null}]}',
        b'{"instances":[{"age":1,"plan":"pro","at":"soon"}]}',
        b'{"instances":[{"age":1,"plan":"\xff","at":null}]}',
        b'{"instances":[{"age":1,"age":2,"plan":"pro","at":null}]}',
        b'{"instances":[{"age" : 1,"age" :2,"plan":"pro","at":null}]}',
        b'{"instances":[{"age":1,"plan":"pro","at":null}],"instances":[{"age":1,"plan":"pro","at":null}]}',
        b"[" * 5_000,
    ],
)
def test_what_is_not_one_plain_row_is_declined(body):
    for _, reader in READERS.values():
        assert reader.read(body) is None


def test_the_text_of_a_row_is_what_was_sent_where_that_is_the_inputs_in_one_line():
    columns = COLUMNS[:2]
    signature = Signature(task="regression", target="y", columns=columns, identifiers=("id",))
    encoder = fit_encoder(columns, FOLD, layout="tree")
    reader = RowReader(signature, encoder.kernels, encoder.n_outputs)
    text = b'{"plan": "a]b[", "age": 3}'
    assert reader.read(b'{"instances": [ ' + text + b" ] }").text.strip() == text
    assert reader.read(b'{"instances": [{"plan": "a",\n"age": 3}]}').text == b""
    assert reader.read(b'{"instances": [{"plan": "a", "age": 3, "id": 1}]}').text == b""


@pytest.mark.parametrize("name", ['say "it"', "back\\slash", "two\nlines"])
def test_rows_with_a_column_whose_name_needs_escapes_go_the_general_way(name):
    columns = (Column(name=name, kind="numeric"),)
    encoder = fit_encoder(columns, {name: np.array([1.0, 2.0])}, layout="tree")
    reader = RowReader(Signature(task="regression", target="y", columns=columns), encoder.kernels, 1)
    assert reader.read(json.dumps({"instances": [{name: 1}]}).encode()) is None


@pytest.mark.parametrize(
    ("columns", "kernels", "wanted"),
    [
        (("a", "a"), (Number(column="a"),), {}),
        (("a",), (Number(column="a"),), {"identifiers": ("a",)}),
        (("a",), (Number(column="b"),), {"ignored": ("b",)}),
        (("a",), (Number(column="zz"),), {}),
        (("a",), (CategoryCode(column="a", levels=("1",), pooled=False),), {}),
        (tuple(f"c{place}" for place in range(300)), (Number(column="c0"),), {}),
    ],
    ids=["named twice", "echoed input", "ignored input", "unknown input", "text kernel on a number", "very wide"],
)
def test_a_signature_that_no_struct_can_stand_for_has_its_rows_declined(columns, kernels, wanted):
    spec = tuple(Column(name=name, kind="numeric") for name in columns)
    reader = RowReader(Signature(task="regression", target="y", columns=spec, **wanted), kernels, 1)
    assert reader.read(json.dumps({"instances": [dict.fromkeys(columns, 1.0)]}).encode()) is None


def test_a_step_that_cannot_be_done_on_a_missing_cell_does_not_keep_a_model_from_loading():
    steps = (Step("fill", 1.0), Step("divide", 0.0))
    signature = Signature(task="regression", target="y", columns=(Column(name="a", kind="numeric"),))
    reader = RowReader(signature, (Chain(column="a", name="a", steps=steps),), 1)
    with pytest.raises(ZeroDivisionError):
        reader.read(b'{"instances":[{"a":1}]}')


def test_a_text_that_is_mostly_blanks_is_not_kept_as_it_was_sent():
    signature = Signature(task="regression", target="y", columns=(Column(name="a", kind="numeric"),))
    reader = RowReader(signature, (Number(column="a"),), 1)
    assert reader.read(b'{"instances": [{"a": 1}]}').text == b'{"a": 1}'
    assert reader.read(b'{"instances": [{"a":' + b" " * 1_000 + b"1}]}").text == b""
    assert reader.read(b'{"instances": [{"a":\r1}]}').text == b""


def test_a_column_may_be_named_like_anything_else():
    columns = (Column(name="class", kind="numeric"), Column(name="f0", kind="numeric"), Column(name="", kind="numeric"))
    encoder = fit_encoder(columns, {column.name: np.array([1.0, 2.0]) for column in columns}, layout="tree")
    reader = RowReader(Signature(task="regression", target="y", columns=columns), encoder.kernels, 3)
    assert reader.read(b'{"instances":[{"":3,"f0":2,"class":1}]}').vector == [1.0, 2.0, 3.0]
