"""Where a version serves, and who watches it there: the evaluation's port filled with deployments and monitors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arkwright.deployments import DeploymentService
from arkwright.evaluation.ports import ServingDeployment
from arkwright.kit.db import UnitOfWork
from arkwright.monitoring.service import DRIFT, MonitoringService

_PAGE = 200


class ServedVersions:
    """Finds the deployments that a version answers for, and their drift monitors.

    Implements :class:`~arkwright.evaluation.ports.Operations`.
    """

    def __init__(self, deployments: DeploymentService, monitoring: MonitoringService) -> None:
        self._deployments = deployments
        self._monitoring = monitoring

    def serving(self, unit: UnitOfWork, model_version_id: str) -> Sequence[ServingDeployment]:
        """Return the active deployments whose stable arm answers with a version, oldest first."""
        return list(self._found(unit, model_version_id))

    def _found(self, unit: UnitOfWork, model_version_id: str) -> Iterator[ServingDeployment]:
        after = ""
        while rows := self._deployments.list(unit, limit=_PAGE, after=after):
            for row in rows:
                release = self._deployments.serving(unit, row) if row.status == "active" else None
                if release is None or release.version_id != model_version_id:
                    continue
                monitors = self._monitoring.list(unit, row.id)
                monitor = next((each for each in monitors if each.monitor_type == DRIFT), None)
                back = self._deployments.before(unit, row)
                yield ServingDeployment(
                    deployment_id=row.id,
                    name=row.name,
                    monitor_id=monitor.id if monitor else "",
                    monitor_status=monitor.status if monitor else "",
                    monitor_reason=monitor.status_reason if monitor else "",
                    monitor_schedule=str(monitor.config["schedule"]) if monitor else "",
                    back_to=back.semver if back else "",
                    back_to_id=back.version_id if back else "",
                )
            after = rows[-1].id
