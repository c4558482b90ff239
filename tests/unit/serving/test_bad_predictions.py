"""Prediction requests nobody can mean, and bundles that rot: a clear answer, and the last good model goes on."""

from __future__ import annotations

import shutil

import msgspec
import pytest
from tests.unit.serving.conftest import KEY, call, predict, until

ROW = {"tenure": 3, "contract": "month"}


def check(answer, status, code, *words):
    """Assert that a refusal says what, where and what to do, and was not logged as a prediction."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code), problem
    for word in words:
        assert word in problem["detail"], problem
    assert problem["hint"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.body.decode()


def logged(platform):
    return [
        line for path in platform.settings.home.glob("serving/log/*/*/*") for line in path.read_bytes().splitlines()
    ]


BODIES = [
    (b"", "json.malformed", "not JSON"),
    (b"{", "json.malformed", "not JSON"),
    (b"null", "prediction.malformed", "null"),
    (b"[]", "prediction.malformed", "array"),
    (b'{"instances": null}', "prediction.malformed", "instances"),
    (b'{"instances": []}', "prediction.empty", "empty"),
    (b'{"instances": {}}', "prediction.malformed", "instances"),
    (b'{"instances": "rows"}', "prediction.malformed", "instances"),
    (b'{"instances": [1]}', "prediction.malformed", "instances[0]"),
    (b'{"instances": [{"tenure": 3, "contract": "month"}, null]}', "prediction.malformed", "instances[1]"),
    (b'{"instances": [[3, "month"]]}', "prediction.malformed", "instances[0]"),
    (b'{"inputs": [{}]}', "prediction.malformed", "inputs"),
    (b'{"instances": [{}], "extra": 1}', "prediction.malformed", "extra"),
    (b'{"instances": [{"tenure": NaN, "contract": "x"}]}', "json.malformed", "not JSON"),
    (b'{"instances": [{"tenure": -Infinity, "contract": "x"}]}', "json.malformed", "not JSON"),
    (b'{"instances": [{"tenure": 1e999, "contract": "x"}]}', "prediction.malformed", "range"),
    (b'{"instances": [{"tenure": ' + b"[" * 10_000, "json.malformed", "nested"),
    (b'{"instances": [{"tenure": 1, "contract": "\\ud800"}]}', "json.malformed", "not JSON"),
    (b'{"instances": [{"tenure": 1, "contract": "\xff"}]}', "json.malformed", "UTF-8"),
    (b"tenure,contract\n3,month\n", "json.malformed", "not JSON"),
    (b'{"instances": [{"tenure": 3, "contract": "a", "tenure": 4}]}', "json.duplicate_name", "instances[0].tenure"),
    (b'{"instances": [{"tenure" : 3, "contract": "a", "tenure"\n:4}]}', "json.duplicate_name", "instances[0].tenure"),
    (b'{"instances": [{"tenure": 3, "note": {"a": 1, "a": 2}}]}', "json.duplicate_name", "instances[0].note.a"),
    (b'{"instances": [], "instances": [{"tenure": 3, "contract": "a"}]}', "json.duplicate_name", "instances"),
    (b'{"instances": [{}]}', "prediction.invalid", "instances[0].tenure"),
    (b'{"instances": [{"tenure": 3}]}', "prediction.invalid", "instances[0].contract"),
    (b'{"instances": [{"tenure": "3", "contract": "month"}]}', "prediction.invalid", "instances[0].tenure"),
    (b'{"instances": [{"tenure": true, "contract": "month"}]}', "prediction.invalid", "instances[0].tenure"),
    (b'{"instances": [{"tenure": [3], "contract": "month"}]}', "prediction.invalid", "instances[0].tenure"),
    (b'{"instances": [{"tenure": 3, "contract": {"a": 1}}]}', "prediction.invalid", "instances[0].contract"),
    (b'{"instances": [{"tenure": 3, "contract": 1.5}]}', "prediction.invalid", "instances[0].contract"),
    (b'{"instances": [{"tenure": 3, "contract": "month", "tenur": 3}]}', "prediction.invalid", "instances[0].tenur"),
    (b'{"instances": [{"tenure": ' + b"9" * 400 + b', "contract": "x"}]}', None, ""),
]


@pytest.mark.parametrize(("body", "code", "word"), BODIES, ids=[repr(body[:50]) for body, _code, _word in BODIES])
async def test_a_body_nobody_can_mean_is_refused_with_its_place(serve, platform, body, code, word):
    async with serve as plane:
        answer = await predict(plane, body)
    assert answer.status == 422, answer.body
    check(answer, 422, code or answer.json["code"], word)
    assert logged(platform) == []


async def test_nulls_are_missing_values(serve):
    async with serve as plane:
        nulls = await predict(plane, [{"tenure": None, "contract": None}])
    assert nulls.status == 200


async def test_an_unseen_category_is_answered_as_the_rest_is(serve):
    async with serve as plane:
        answer = await predict(plane, [{"tenure": 3, "contract": "x" * 10_000}, {"tenure": 3, "contract": "\x00"}])
    assert answer.status == 200
    assert all(0 <= item["score"] <= 1 for item in answer.json["predictions"])


async def test_many_wrong_fields_are_counted_and_the_first_are_listed(serve):
    async with serve as plane:
        answer = await predict(plane, [{"tenure": "x", "contract": [1]}] * 5_000)
    check(answer, 422, "prediction.invalid", "instances[0].tenure")
    assert len(answer.json["errors"]) == 20
    assert len(answer.body) < 10_000


async def test_what_is_not_there_or_not_allowed_is_said(serve, platform):
    async with serve as plane:
        check(await predict(plane, [ROW], deployment_id="dep_none"), 404, "deployment.not_found", "'dep_none'")
        check(await predict(plane, [ROW], deployment_id="../../etc"), 404, "deployment.not_found", "etc")
        check(await predict(plane, [ROW], authorization=""), 401, "not_authenticated")
        check(await predict(plane, [ROW], authorization="Bearer \x00"), 401, "not_authenticated.unknown")
        check(await predict(plane, [ROW], content_type="text/csv"), 415, "unsupported_media_type", "'text/csv'")
        check(await predict(plane, [ROW], content_length="many"), 422, "http.content_length", "Content-Length")
        headers = {"authorization": f"Bearer {KEY}"}
        check(await call(plane, "GET", "/v1/inference/dep_1:predict", b"", headers), 405, "method_not_allowed", "GET")
        check(await call(plane, "POST", "/v1/inference/dep_1:explore", b"", headers), 404, "http.not_found", "explore")
    assert logged(platform) == []


async def test_a_bundle_that_rots_in_the_cache_while_it_serves_changes_nothing(serve, platform):
    async with serve as plane:
        before = await predict(plane, [ROW])
        for path in platform.settings.home.glob("serving/bundles/*/*"):
            path.write_bytes(b"rotten")
        after = await predict(plane, [ROW])
    assert after.json["predictions"] == before.json["predictions"]


async def test_a_bundle_that_rotted_in_the_cache_is_fetched_again_at_the_next_start(serve, platform):
    async with serve as plane:
        before = await predict(plane, [ROW])
    for path in platform.settings.home.glob("serving/bundles/*/estimator.json"):
        path.write_bytes(path.read_bytes()[:-9] + b"rotten")
    async with serve as plane:
        again = await predict(plane, [ROW])
    assert again.json["predictions"] == before.json["predictions"]


async def test_with_the_cache_rotten_and_the_source_gone_the_answer_is_a_clear_503(serve, platform, tmp_path):
    async with serve as plane:
        assert (await predict(plane, [ROW])).status == 200
    for path in platform.settings.home.glob("serving/bundles/*/estimator.json"):
        path.write_bytes(b"{}")
    shutil.rmtree(tmp_path / "objects")
    async with serve as plane:
        answer = await predict(plane, [ROW])
    check(answer, 503, "deployment.unavailable", "'dep_1'")
    assert answer.headers["retry-after"]


async def test_a_promoted_bundle_that_is_corrupt_leaves_the_last_good_one_answering(serve, platform, tmp_path):
    async with serve as plane:
        before = await predict(plane, [ROW])
        bad = platform.bundle(2.0)
        (tmp_path / "objects").mkdir(exist_ok=True)
        for path in (tmp_path / "objects").rglob("estimator.json"):
            if bad in str(path):
                path.write_bytes(path.read_bytes() + b" ")
        platform.publish(2, platform.arm(bad, "2.0.0"))
        fetched = platform.control.fetches
        await until(lambda: platform.control.fetches > fetched + 1)
        after = await predict(plane, [ROW])
    assert after.status == 200
    assert after.json["predictions"] == before.json["predictions"]
    assert after.json["model_version"] == "1.0.0"
    failures = [item for item in platform.control.acknowledged if item.generation == 2]
    assert "estimator.json" in msgspec.json.encode(failures).decode()
