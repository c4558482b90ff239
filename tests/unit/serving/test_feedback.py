"""Outcomes over the wire: from a prediction to what became of it."""

from __future__ import annotations

import errno

import msgspec
import pytest
from tests.unit.serving.conftest import KEY, call, predict, until
from tests.unit.serving.test_log import read

from arkwright.contracts import LogPolicy, Signature, redacted
from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.serving.feedback import MAX_OUTCOMES, OutcomeReader, decode_outcomes

ROW = {"tenure": 3, "contract": "month", "customer": "7590-VHVEG"}


async def tell(plane, outcomes, deployment_id="dep_1", **headers):
    given = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    body = outcomes if isinstance(outcomes, bytes) else msgspec.json.encode({"outcomes": outcomes})
    return await call(plane, "POST", f"/v1/inference/{deployment_id}:feedback", body, given)


def log_of(platform):
    return platform.settings.home / "serving" / "log"


async def test_feedback_is_on_the_disk_when_it_is_answered(serve, platform):
    async with serve as plane:
        request_id = (await predict(plane, [ROW, ROW])).json["request_id"]
        answer = await tell(
            plane,
            [{"request_id": request_id, "actual": "Yes"}, {"request_id": request_id, "row": 1, "actual": "No"}],
        )
        kept = b"".join(path.read_bytes() for path in log_of(platform).glob("*/dep_1/outcomes-*"))
        assert request_id.encode() in kept
    assert answer.status == 202
    assert answer.json == {"accepted": 2, "deployment_id": "dep_1"}
    told = read(log_of(platform), "outcomes")
    assert [(each["request_id"], each["row"], each["label"]) for each in told] == [
        (request_id, 0, "Yes"),
        (request_id, 1, "No"),
    ]
    predicted = read(log_of(platform))
    assert {(row["request_id"], row["row"]) for row in predicted} == {(row["request_id"], row["row"]) for row in told}


async def test_nobody_needs_to_know_whether_a_request_was_logged(serve, platform):
    async with serve as plane:
        answer = await tell(plane, [{"request_id": "from-another-system.17", "actual": "No"}])
    assert answer.status == 202
    assert read(log_of(platform)) == []
    assert len(read(log_of(platform), "outcomes")) == 1


@pytest.mark.parametrize(
    ("outcome", "field"),
    [
        ({"request_id": "req_1", "actual": "maybe"}, "outcomes[1].actual"),
        ({"request_id": "req_1", "actual": None}, "outcomes[1].actual"),
        ({"request_id": "req_1", "actual": ["Yes"]}, "outcomes[1].actual"),
        ({"request_id": "", "actual": "Yes"}, "outcomes[1].request_id"),
        ({"request_id": "a b", "actual": "Yes"}, "outcomes[1].request_id"),
        ({"request_id": "r" * 129, "actual": "Yes"}, "outcomes[1].request_id"),
        ({"request_id": "req_1", "row": -1, "actual": "Yes"}, "outcomes[1].row"),
        ({"request_id": "req_1", "row": 2**31, "actual": "Yes"}, "outcomes[1].row"),
        ({"request_id": "req_1", "row": 0.5, "actual": "Yes"}, "outcomes[1].row"),
        ({"request_id": 7, "actual": "Yes"}, "outcomes[1].request_id"),
        ({"request_id": "req_1"}, "outcomes[1]"),
        ({"request_id": "req_1", "actual": "Yes", "label": "Yes"}, "outcomes[1]"),
    ],
)
async def test_a_wrong_outcome_is_named_and_nothing_is_kept(serve, platform, outcome, field):
    async with serve as plane:
        answer = await tell(plane, [{"request_id": "req_0", "actual": "Yes"}, outcome])
    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == field
    assert answer.json["hint"]
    assert read(log_of(platform), "outcomes") == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"outcomes": 3}', b'{"outcomes": []}', b"[1]", b"\xff", b"[" * 100_000])
async def test_what_is_no_feedback_is_refused(serve, body):
    async with serve as plane:
        answer = await tell(plane, body)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_usual_guards_stand_before_feedback_too(serve):
    good = [{"request_id": "req_1", "actual": "Yes"}]
    async with serve as plane:
        assert (await tell(plane, good, authorization="Bearer wrong")).status == 401
        assert (await tell(plane, good, "dep_2")).status == 404
        assert (await tell(plane, good, content_type="text/csv")).status == 415
        assert (await tell(plane, good, content_length="999999999")).status == 413
        assert (await call(plane, "GET", "/v1/inference/dep_1:feedback")).status == 405


async def test_a_full_disk_refuses_feedback_and_answers_predictions(serve, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, "No space left on device")

    async with serve as plane:
        monkeypatch.setattr("arkwright.kit.segments.os.pwrite", full)
        answer = await tell(plane, [{"request_id": "req_1", "actual": "Yes"}])
        assert (await predict(plane, [ROW])).status == 200
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert answer.json["code"] == "feedback.unwritable"


def signature(task, classes=()):
    return Signature(task=task, target="y", columns=(), classes=classes)


@pytest.mark.parametrize(
    ("classes", "actual", "label"),
    [
        (("No", "Yes"), "Yes", "Yes"),
        ((0, 1), 1, "1"),
        ((0, 1), 1.0, "1"),
        ((0, 1), "1", "1"),
        ((False, True), True, "True"),
        (("0", "1"), 0, "0"),
    ],
)
def test_a_class_is_recognised_in_whatever_type_it_comes(classes, actual, label):
    assert OutcomeReader([signature("binary", classes)]).read("req_1", 0, actual).label == label


def test_a_class_that_only_the_canary_knows_is_taken():
    reader = OutcomeReader([signature("multiclass", ("a", "b")), signature("multiclass", ("a", "b", "c"))])
    assert reader.read("req_1", 0, "c").label == "c"


@pytest.mark.parametrize("actual", [True, "3", None, 10**400])
def test_a_value_is_a_finite_number(actual):
    reader = OutcomeReader([signature("regression")])
    assert reader.read("req_1", 0, 3).value == 3.0
    with pytest.raises(Exception, match="number"):
        reader.read("req_1", 0, actual)


def test_there_is_a_limit_to_what_one_request_tells():
    outcome = {"request_id": "req_1", "actual": 1}
    assert len(decode_outcomes(msgspec.json.encode({"outcomes": [outcome] * MAX_OUTCOMES}))) == MAX_OUTCOMES
    with pytest.raises(PayloadTooLarge):
        decode_outcomes(msgspec.json.encode({"outcomes": [outcome] * (MAX_OUTCOMES + 1)}))
    with pytest.raises(Invalid):
        decode_outcomes(b'{"outcomes": [{"request_id": "req_1", "actual": NaN}]}')


async def test_what_the_plan_redacts_is_in_no_file_of_the_home(platform):
    secret = "zanzibar-17"
    plan = platform.publish(1, platform.arm(platform.bundle(1.0)))
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], log=LogPolicy(redact=("contract",)))
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    many = [{"tenure": index, "contract": secret} for index in range(1_500)]
    for rows in ([{**ROW, "contract": secret}], many):
        assert (await predict(plane, rows)).status == 200
    assert (await predict(plane, [{"tenure": "three", "contract": secret}])).status == 422
    await plane.stop()
    assert len(read(log_of(platform))) == 1_501
    assert read(log_of(platform))[0]["features"].count(str(redacted(secret))) == 1
    for path in platform.settings.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()
