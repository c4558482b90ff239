"""A data plane on a real port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from tests.unit.serving.conftest import Platform, until

from arkwright.serving import DataPlane, direct_protocol


@asynccontextmanager
async def live_plane(platform: Platform) -> AsyncIterator[tuple[DataPlane, int]]:
    """Run a data plane with ``dep_1``, called ``churn``; give it and its port."""
    if platform.control.plan is None:
        platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    config = uvicorn.Config(
        plane,
        port=0,
        http=direct_protocol(plane.inference),
        lifespan="off",
        log_config=None,
        access_log=False,
        interface="asgi3",
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield plane, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        await plane.stop()
