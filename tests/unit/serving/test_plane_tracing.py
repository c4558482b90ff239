"""Requests as spans, with the caller's trace."""

from __future__ import annotations

from typing import Any

from tests.unit.serving.conftest import KEY, Platform, until

BEARER = {"Authorization": f"Bearer {KEY}"}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Spans:
    def __init__(self) -> None:
        self.recorded: list[dict[str, Any]] = []

    def record(self, name: str, **facts: Any) -> None:
        self.recorded.append({"name": name, **facts})

    def close(self) -> None:
        pass


async def test_an_answer_and_a_refusal_are_each_a_span_of_the_callers_trace(platform: Platform, monkeypatch) -> None:
    import httpx

    from arkwright.serving import plane as plane_module

    spans = Spans()
    monkeypatch.setattr(plane_module, "make_tracer", lambda _settings, _service: spans)
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    await plane.start()
    try:
        await until(lambda: plane.holder.ready)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=plane), base_url="http://test") as client:
            for body in ({"instances": [{"tenure": 3, "contract": "year"}]}, {"instances": []}):
                await client.post("/v1/inference/dep_1:predict", json=body, headers={**BEARER, "traceparent": PARENT})
    finally:
        await plane.stop()
    good, bad = spans.recorded
    assert (good["traceparent"], good["failed"]) == (PARENT, False)
    assert good["attributes"]["arkwright.deployment.id"] == "dep_1"
    assert good["attributes"]["arkwright.model.version"] == "1.0.0"
    assert bad["attributes"]["http.response.status_code"] == 422
    assert good["end"] >= good["start"]
