"""What a prediction request may look like."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.serving.instances import decode_instances, decode_slices

cells = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(st.dictionaries(st.text(max_size=5), cells | st.text(max_size=8), max_size=4), min_size=1, max_size=20)


@given(rows)
def test_a_large_body_is_read_as_a_small_one_would_be(instances):
    body = msgspec.json.encode({"instances": instances})
    sliced = [row for some in decode_slices(body, 100, 3) for row in some]
    assert sliced == decode_instances(body, 100) == instances


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", "json.malformed", "not JSON"),
        (b"{", "json.malformed", "not JSON"),
        (b'{"instances": [{"a": NaN}]}', "json.malformed", "not JSON"),
        (b'{"instances": [{"a": Infinity}]}', "json.malformed", "not JSON"),
        (b'{"instances": [{"a": 1e999}]}', "prediction.malformed", "out of range"),
        (b'{"instances": [{"a": "\xff"}]}', "json.malformed", "not UTF-8"),
        (b'{"instances": [{"a": ' + b"[" * 100_000, "json.malformed", "nested too deeply"),
        (b"[]", "prediction.malformed", "got 'array'"),
        (b'{"rows": []}', "prediction.malformed", "'rows'"),
        (b'{"instances": {}}', "prediction.malformed", "at instances"),
        (b'{"instances": [{}, 3]}', "prediction.malformed", "at instances[1]"),
        (b'{"instances": []}', "prediction.empty", "empty"),
    ],
)
def test_what_is_no_prediction_request_is_refused_with_its_place(body, code, says):
    for decode in (decode_instances, lambda *given: list(decode_slices(*given, 2))):
        with pytest.raises(Invalid) as caught:
            decode(body, 10)
        assert caught.value.code == code
        assert says in caught.value.detail
        assert "instances" in caught.value.hint


def test_more_rows_than_allowed_are_too_large_a_request():
    body = msgspec.json.encode({"instances": [{}] * 11})
    for decode in (decode_instances, lambda *given: list(decode_slices(*given, 2))):
        with pytest.raises(PayloadTooLarge, match="11 rows; at most 10"):
            decode(body, 10)
