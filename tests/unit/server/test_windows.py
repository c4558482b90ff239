"""What the data planes report reaches the rollouts, and comes from nobody else."""

from __future__ import annotations

import msgspec

from arkwright.contracts import ArmWindow, WindowReport
from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.deployments.tables import ArmWindowRow
from tests.unit.server.conftest import ControlPlane

TOKEN = {"X-Arkwright-Internal": "internal-secret"}


def report(workspace_id: str = DEFAULT_WORKSPACE_ID) -> bytes:
    window = ArmWindow(
        deployment_id="dep_1",
        workspace_id=workspace_id,
        arm="canary",
        model_version_id="mv_1",
        second=1_700_000_000,
        requests=5,
        latency_counts=((30, 5),),
    )
    return msgspec.json.encode(WindowReport(replica="edge", sequence=1, windows=(window,), in_flight=2))


def kept(plane: ControlPlane) -> list[int]:
    with plane.platform.database.read(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        return [row.requests for row in unit.session.query(ArmWindowRow)]


def test_a_report_is_taken_once(control_plane: ControlPlane) -> None:
    for _ in range(2):
        answer = control_plane.client.post("/internal/windows", content=report(), headers=TOKEN)
        assert answer.status_code == 204, answer.text
    assert kept(control_plane) == [5]


def test_a_report_without_the_token_is_nothing(control_plane: ControlPlane) -> None:
    assert control_plane.client.post("/internal/windows", content=report()).status_code == 404
    assert kept(control_plane) == []


def test_windows_of_a_workspace_that_is_not_there_are_left_out(control_plane: ControlPlane) -> None:
    answer = control_plane.client.post("/internal/windows", content=report("ws_gone"), headers=TOKEN)
    assert answer.status_code == 204
    assert kept(control_plane) == []


def test_a_report_that_cannot_be_read_says_so(control_plane: ControlPlane) -> None:
    answer = control_plane.client.post("/internal/windows", content=b'{"replica": 3}', headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (422, "windows.report")
