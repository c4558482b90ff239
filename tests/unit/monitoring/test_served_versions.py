"""What the definition of done learns of deployments and their monitors."""

from __future__ import annotations

from tests.unit.monitoring.conftest import Watched
from tests.unit.shelf import Shelf

from arkwright.deployments import DeploymentService
from arkwright.evaluation.ports import ServingDeployment
from arkwright.monitoring import ServedVersions
from arkwright.monitoring.payloads import MonitorConfig


def serving(watched: Watched, shelf: Shelf, version_id: str) -> list[ServingDeployment]:
    deployments = DeploymentService(shelf.registry, shelf.governance)
    with watched.database.read(watched.context) as unit:
        return list(ServedVersions(deployments, watched.monitoring).serving(unit, version_id))


def test_a_deployment_is_named_with_its_monitor_as_soon_as_it_has_one(watched: Watched, shelf: Shelf) -> None:
    (found,) = serving(watched, shelf, watched.version_id)
    assert (found.deployment_id, found.name) == (watched.deployment_id, "churn")
    assert (found.monitor_id, found.monitor_status, found.back_to) == ("", "", "")
    with watched.database.write(watched.context) as unit:
        monitor_id = watched.monitoring.create_for_deployment(unit, watched.deployment_id).id
    (found,) = serving(watched, shelf, watched.version_id)
    assert (found.monitor_id, found.monitor_status, found.monitor_schedule) == (monitor_id, "active", "0 */6 * * *")


def test_a_monitor_that_was_switched_off_is_said_with_the_reason(watched: Watched, shelf: Shelf) -> None:
    with watched.database.write(watched.context) as unit:
        watched.monitoring.configure(unit, "churn", MonitorConfig(), enabled=False, reason="No labels.")
    (found,) = serving(watched, shelf, watched.version_id)
    assert (found.monitor_status, found.monitor_reason) == ("disabled", "No labels.")


def test_other_versions_and_stopped_deployments_are_not_served(watched: Watched, shelf: Shelf) -> None:
    assert serving(watched, shelf, "mv_other") == []
    with watched.database.write(watched.context) as unit:
        DeploymentService(shelf.registry, shelf.governance).stop(unit, "churn")
    assert serving(watched, shelf, watched.version_id) == []
