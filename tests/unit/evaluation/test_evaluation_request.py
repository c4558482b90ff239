"""What an evaluation is asked for, from the wire to what the sections take."""

from __future__ import annotations

import msgspec
import pytest

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column
from arkwright.core.errors import Invalid
from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.evaluation_request import (
    EvaluationRequest,
    check_columns,
    check_options,
    favourable_class,
)
from arkwright.evaluation.forecast_timeline import ForecastRequest
from arkwright.evaluation.payloads import CreateEvaluation
from arkwright.evaluation.routes import _request

COLUMNS = (Column(name="age", kind="numeric"), Column(name="work", kind="categorical"))


def of(*classes: object) -> Signature:
    return Signature(task="binary", target="y", columns=COLUMNS, classes=classes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "classes", "found"),
    [
        ("1", (0, 1), 1),
        (0, (0, 1), 0),
        (0, ("0", "1"), "0"),
        ("True", (False, True), True),
        (True, (False, True), True),
        ("yes", ("no", "yes"), "yes"),
    ],
)
def test_a_favourable_class_is_the_model_s_own_however_it_was_written(
    wanted: object, classes: tuple[object, ...], found: object
) -> None:
    chosen = favourable_class(wanted, of(*classes))  # type: ignore[arg-type]
    assert (type(chosen), chosen) == (type(found), found)


@pytest.mark.parametrize(("wanted", "classes"), [(True, (0, 1)), (1, (False, True)), ("maybe", ("no", "yes"))])
def test_a_favourable_class_that_is_none_is_refused(wanted: object, classes: tuple[object, ...]) -> None:
    with pytest.raises(Invalid, match="is no class of the model"):
        favourable_class(wanted, of(*classes))  # type: ignore[arg-type]


def test_margins_limits_and_statements_reach_the_job_as_they_were_sent() -> None:
    body = CreateEvaluation.model_validate(
        {
            "model": "m",
            "margin": 0.01,
            "minimum_improvement": 0.02,
            "no_people": " Every row is a pump. ",
            "immutable": ["age"],
            "limits": [{"name": "work", "levels": ["a", "b"]}, {"name": "age", "direction": "up", "high": 90}],
        }
    )
    request = _request(body)
    assert (request.margin, request.minimum_improvement, request.no_people) == (0.01, 0.02, "Every row is a pump.")
    assert request.limits == (
        ColumnLimit(name="work", levels=("a", "b")),
        ColumnLimit(name="age", direction="up", high=90.0),
    )
    check_options(request, of("no", "yes"))
    # As the job's payload it is stored and read back.
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(request)), EvaluationRequest) == request


def test_a_forecast_reaches_the_job_as_it_was_sent() -> None:
    asked = {"time": "t", "series": "s", "season": 12, "horizon": 3, "history": {"upload_id": "up_1"}}
    request = _request(CreateEvaluation.model_validate({"model": "m", "forecast": asked}))
    assert request.forecast == ForecastRequest(time="t", series="s", season=12, horizon=3, history_upload_id="up_1")
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(request)), EvaluationRequest) == request
    number = Signature(task="regression", target="y", columns=COLUMNS)
    check_options(request, number)
    check_columns(request, number, ["age", "work", "y", "t", "s"])
    with pytest.raises(Invalid, match="no column 's'"):
        check_columns(request, number, ["age", "work", "y", "t"])
    with pytest.raises(Invalid, match="this is a binary model"):
        check_options(request, of("no", "yes"))
