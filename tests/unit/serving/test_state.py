"""What is served at one moment."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.serving.arms import Stage, StubModel, stub_arm

from arkwright.serving.state import LiveEndpoint


@pytest.mark.parametrize(
    ("unit", "header", "column"),
    [
        ("request", None, None),
        ("customer", None, "customer"),
        ("header:X-User-Id", b"x-user-id", None),
        ("header: x-user-id ", b"x-user-id", None),
        ("header:", None, None),
    ],
)
def test_an_endpoint_knows_where_a_requests_unit_is(unit, header, column):
    live = Stage().serve(stub_arm(), unit=unit)
    assert (live.unit_header, live.unit_column) == (header, column)


def test_an_endpoint_is_inline_only_if_everything_that_may_answer_is():
    stage, general = Stage(), StubModel(inline=False)
    assert stage.serve(stub_arm()).inline
    assert not stage.serve(stub_arm("stable", 50.0), stub_arm("canary", 50.0, general)).inline
    assert not stage.serve(stub_arm(), fallback=stub_arm("stable", version="mv_0", model=general)).inline
    assert stage.serve(stub_arm(), shadows=(stub_arm("shadow", model=general, mode="shadow"),)).inline


def test_the_units_of_an_arm_that_is_not_loaded_go_to_the_first_and_no_other_moves():
    stage = Stage()
    whole = stage.serve(stub_arm("a", 40.0), stub_arm("b", 30.0), stub_arm("c", 30.0))
    part = LiveEndpoint(whole.endpoint, (whole.arms[0], whole.arms[2]), (), None, stage.runtime)
    for index in range(1_000):
        before, after = whole.assigned(f"u{index}").arm.name, part.assigned(f"u{index}").arm.name
        assert after == ("a" if before == "b" else before)


def test_a_shadow_arm_never_answers_whatever_its_share():
    live = Stage().serve(stub_arm("a", 50.0), shadows=(stub_arm("s", 50.0, mode="shadow"),))
    assert {live.assigned(f"u{index}").arm.name for index in range(100)} == {"a"}


def test_what_is_saved_keeps_every_setting_and_only_the_live_arms_that_answer():
    stage = Stage()
    whole = stage.serve(stub_arm("a", 50.0), stub_arm("b", 50.0), unit="customer", salt="s", cache_seconds=5.0)
    part = LiveEndpoint(whole.endpoint, whole.arms[:1], (), None, stage.runtime)
    assert part.as_served() == msgspec.structs.replace(whole.endpoint, arms=whole.endpoint.arms[:1])
    assert whole.as_served() == whole.endpoint
