"""What a data plane tells the control plane every second."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from tests.unit.serving.conftest import ControlPlane, until

from arkwright.contracts import ArmWindow, WindowReport
from arkwright.core.errors import Unavailable
from arkwright.serving.reporter import KEEP_REPORTS, Reporter
from arkwright.serving.source import HttpPlanSource


def window(second: int) -> ArmWindow:
    return ArmWindow(
        deployment_id="dep_1", workspace_id="ws", arm="stable", model_version_id="mv_1", second=second, requests=3
    )


class Windows:
    """Hands out one window each time it is asked, until it runs dry."""

    def __init__(self, count: int = 1_000) -> None:
        self.left, self.second = count, 0

    def __call__(self) -> list[ArmWindow]:
        if not self.left:
            return []
        self.left -= 1
        self.second += 1
        return [window(self.second)]


async def test_reports_go_out_by_themselves_with_numbers_that_count_up():
    control = ControlPlane()
    reporter = Reporter(control, Windows(), replica="edge", signals=lambda: (7, 2), report_seconds=0.01)
    reporter.start()
    await until(lambda: len(control.reports) >= 3)
    await reporter.stop()
    first, second, third = control.reports[:3]
    assert (first.replica, first.in_flight, first.queue) == ("edge", 7, 2)
    assert [one.windows[0].second for one in (first, second, third)] == [1, 2, 3]
    assert first.sequence < second.sequence < third.sequence


async def test_a_process_that_starts_again_goes_on_counting_up():
    control = ControlPlane()
    for _ in range(2):
        reporter = Reporter(control, Windows(), replica="edge")
        reporter.gather()
        await reporter.send()
    assert control.reports[0].sequence < control.reports[1].sequence


async def test_what_happened_while_the_control_plane_was_away_is_told_later_and_in_order():
    control = ControlPlane(away=True)
    reporter = Reporter(control, Windows(), replica="edge")
    for _ in range(5):
        reporter.gather()
        await reporter.send()
    control.away = False
    await reporter.send()
    assert [report.windows[0].second for report in control.reports] == [1, 2, 3, 4, 5]


async def test_a_report_that_may_have_arrived_is_sent_again_under_the_same_number():
    control = ControlPlane()
    reporter = Reporter(control, Windows(), replica="edge")
    real, seen = control.report, []

    async def lose_the_answer(report):
        seen.append(report.sequence)
        raise Unavailable("the connection broke")

    control.report = lose_the_answer
    reporter.gather()
    await reporter.send()
    control.report = real
    await reporter.send()
    assert [report.sequence for report in control.reports] == seen


async def test_only_the_last_two_minutes_wait():
    control = ControlPlane(away=True)
    reporter = Reporter(control, Windows(), replica="edge")
    for _ in range(KEEP_REPORTS + 30):
        reporter.gather()
        await reporter.send()
    control.away = False
    await reporter.send()
    assert len(control.reports) == KEEP_REPORTS
    assert control.reports[0].windows[0].second == 31


async def test_an_idle_data_plane_says_little():
    control = ControlPlane()
    reporter = Reporter(control, Windows(0), replica="edge")
    for _ in range(50):
        reporter.gather()
        await reporter.send()
    assert len(control.reports) == 1


async def test_what_is_left_goes_out_when_the_data_plane_stops():
    control = ControlPlane()
    reporter = Reporter(control, Windows(1), replica="edge", report_seconds=60)
    reporter.start()
    await reporter.stop()
    assert [report.windows[0].second for report in control.reports] == [1]


async def test_a_fault_in_counting_does_not_end_the_reports():
    control, faults = ControlPlane(), [ValueError("no")]

    def collect():
        if faults:
            raise faults.pop()
        return [window(1)]

    reporter = Reporter(control, collect, replica="edge", report_seconds=0.01)
    reporter.start()
    await until(lambda: control.reports)
    await reporter.stop()


@pytest.mark.parametrize(("status", "taken"), [(204, True), (202, True), (404, False), (503, False)])
async def test_a_report_goes_to_the_control_plane_with_the_shared_token(tmp_path, status, taken):
    seen = []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, request.headers["x-arkwright-internal"], await request.aread()))
        return httpx.Response(status)

    source = HttpPlanSource(tmp_path / "none.sock", "secret")
    source._client._transport = httpx.MockTransport(answer)
    report = WindowReport(replica="edge", sequence=1, windows=(window(5),))
    if taken:
        await source.report(report)
    else:
        with pytest.raises(Unavailable, match=str(status)):
            await source.report(report)
    await source.close()
    ((path, token, body),) = seen
    assert (path, token) == ("/internal/windows", "secret")
    assert msgspec.json.decode(body, type=WindowReport) == report
