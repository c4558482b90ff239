"""Plans over HTTP."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from arkwright.contracts import RoutePlan
from arkwright.core.errors import Unavailable
from arkwright.serving.source import EPOCH_HEADER, HttpPlanSource


class Publisher:
    """A control plane with one plan, whose database may be replaced."""

    def __init__(self) -> None:
        self.epoch, self.plan, self.asked = "epoch_a", RoutePlan(generation=7), []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["after"])
        self.asked.append(after)
        headers = {EPOCH_HEADER: self.epoch} if self.epoch else {}
        if after == self.plan.generation:
            return httpx.Response(204, headers=headers)
        return httpx.Response(200, headers=headers, content=msgspec.json.encode(self.plan))


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
def source(tmp_path, publisher):
    made = HttpPlanSource(tmp_path / "none.sock", "secret")
    made._client._transport = httpx.MockTransport(publisher)
    return made


async def test_a_plan_that_is_known_is_not_sent_again(source, publisher):
    fetched = await source.fetch(-1)
    assert (fetched.plan, fetched.epoch) == (publisher.plan, "epoch_a")
    assert await source.fetch(7) is None
    assert publisher.asked == [-1, 7]


async def test_a_reset_control_plane_that_came_to_the_same_generation_is_noticed(source, publisher):
    await source.fetch(-1)
    publisher.epoch, publisher.plan = "epoch_b", RoutePlan(generation=7, workspaces={"ws_1": "new"})
    fetched = await source.fetch(7)
    assert (fetched.plan, fetched.epoch) == (publisher.plan, "epoch_b")
    assert await source.fetch(7) is None


async def test_an_answer_without_an_epoch_says_nothing_of_a_reset(source, publisher):
    await source.fetch(-1)
    publisher.epoch = ""
    assert await source.fetch(7) is None


async def test_whatever_is_no_plan_counts_as_a_control_plane_that_is_away(source):
    source._client._transport = httpx.MockTransport(lambda _request: httpx.Response(503))
    with pytest.raises(Unavailable, match="503"):
        await source.fetch(-1)
