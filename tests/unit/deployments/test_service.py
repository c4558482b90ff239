"""An endpoint answers with what was promoted, and the plan says so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from arkwright.contracts import EndpointStatus, PlanAcknowledgement
from arkwright.core.errors import Conflict, Invalid, NotFound, PolicyRefused
from arkwright.core.events import DEPLOYMENT_CREATED
from arkwright.deployments import DeploymentService, PlanPublisher
from arkwright.deployments.service import DeploymentRequest
from arkwright.kit.db import OutboxRow
from arkwright.registry import Stage
from arkwright.tenancy import TenancyService, bootstrap
from tests.unit.shelf import Shelf


@pytest.fixture
def deployments(shelf: Shelf) -> DeploymentService:
    return DeploymentService(shelf.registry, shelf.governance)


@pytest.fixture
def publisher(shelf: Shelf, deployments: DeploymentService, tmp_path: Path) -> PlanPublisher:
    bootstrap(shelf.database, tmp_path / "admin.key")
    return PlanPublisher(shelf.database, TenancyService(), shelf.registry, deployments)


def test_following_a_model_answers_with_its_production_version(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    version = shelf.promote(shelf.register(shelf.stored()))
    row = deployments.create(shelf.units, DeploymentRequest(model="churn"))
    publisher.publish()
    endpoint = publisher.current().endpoints[row.id]
    assert [(arm.name, arm.bundle_digest, arm.traffic_percent) for arm in endpoint.arms] == [
        ("stable", version.bundle_digest, 100.0)
    ]
    assert row.endpoint_url == f"/v1/inference/{row.id}:predict"


def test_a_promotion_makes_a_new_generation_that_keeps_the_old_bundle_at_hand(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    old, new = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(old)
    row = deployments.create(shelf.units, DeploymentRequest(model="churn"))
    before = publisher.publish()
    shelf.promote(new)
    assert publisher.publish() > before
    endpoint = publisher.current().endpoints[row.id]
    assert endpoint.arms[0].bundle_digest == new.bundle_digest
    assert endpoint.fallback_digests == (old.bundle_digest,)


def test_nothing_changed_is_no_new_generation(publisher: PlanPublisher) -> None:
    assert publisher.publish() == publisher.publish()


def test_the_plan_holds_hashes_and_no_secret(publisher: PlanPublisher, tmp_path: Path) -> None:
    publisher.publish()
    secret = (tmp_path / "admin.key").read_text().strip()
    plan = publisher.current()
    assert len(plan.credentials) == 1
    assert secret.encode() not in msgspec.json.encode(plan)


def test_a_version_that_was_never_promoted_may_not_serve(shelf: Shelf, deployments: DeploymentService) -> None:
    version = shelf.register(shelf.stored())
    with pytest.raises(PolicyRefused) as refusal:
        deployments.create(shelf.units, DeploymentRequest(model_version_id=version.id))
    assert refusal.value.unmet == ["Version 1.0.0 is in stage staged; only canary and production may serve."]


def test_a_model_without_production_cannot_be_followed(shelf: Shelf, deployments: DeploymentService) -> None:
    shelf.register(shelf.stored())
    with pytest.raises(Conflict, match="no version in production"):
        deployments.create(shelf.units, DeploymentRequest(model="churn"))


@pytest.mark.parametrize("subject", [DeploymentRequest(), DeploymentRequest(model="churn", model_version_id="mv_1")])
def test_exactly_one_subject_is_needed(
    shelf: Shelf, deployments: DeploymentService, subject: DeploymentRequest
) -> None:
    with pytest.raises(Invalid, match="either a model to follow or a model_version_id"):
        deployments.create(shelf.units, subject)


def test_a_canary_gets_its_share(shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher) -> None:
    stable, canary = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(stable)
    shelf.promote(canary, Stage.CANARY)
    row = deployments.create(
        shelf.units, DeploymentRequest(model="churn", canary_version_id=canary.id, canary_percent=10.0)
    )
    publisher.publish()
    arms = publisher.current().endpoints[row.id].arms
    assert [(arm.name, arm.traffic_percent) for arm in arms] == [("stable", 90.0), ("canary", 10.0)]


def test_an_endpoint_is_ready_when_the_data_plane_says_so(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    version = shelf.promote(shelf.register(shelf.stored()))
    row = deployments.create(shelf.units, DeploymentRequest(model="churn"))
    generation = publisher.publish()

    def state() -> str:
        with shelf.units.read() as unit:
            return deployments.state(unit, deployments.get(unit, "churn")).state

    assert state() == "pending"
    for status, expected in (
        (EndpointStatus(state="failed", detail="model.txt was altered"), "failed"),
        (EndpointStatus(state="ready", digests=(version.bundle_digest,)), "ready"),
    ):
        publisher.acknowledge(PlanAcknowledgement(replica="edge", generation=generation, endpoints={row.id: status}))
        assert state() == expected


def test_a_stopped_deployment_leaves_the_plan_and_frees_its_name(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    shelf.promote(shelf.register(shelf.stored()))
    deployments.create(shelf.units, DeploymentRequest(model="churn"))
    with pytest.raises(Conflict, match="already"):
        deployments.create(shelf.units, DeploymentRequest(model="churn"))
    with shelf.units.write() as unit:
        deployments.stop(unit, "churn")
    publisher.publish()
    assert publisher.current().endpoints == {}
    deployments.create(shelf.units, DeploymentRequest(model="churn"))


def test_creating_one_is_an_event(shelf: Shelf, deployments: DeploymentService) -> None:
    shelf.promote(shelf.register(shelf.stored()))
    row = deployments.create(shelf.units, DeploymentRequest(model="churn"))
    with shelf.database.read_global() as unit:
        event = unit.session.scalars(select(OutboxRow).where(OutboxRow.type == DEPLOYMENT_CREATED)).one()
    assert event.subject == row.id


def test_an_unknown_deployment_is_not_found(shelf: Shelf, deployments: DeploymentService) -> None:
    with pytest.raises(NotFound), shelf.units.read() as unit:
        deployments.get(unit, "dep_none")


def arms(publisher: PlanPublisher, deployment_id: str) -> list[tuple[str, str, float]]:
    publisher.publish()
    return [
        (arm.name, arm.bundle_digest, arm.traffic_percent) for arm in publisher.current().endpoints[deployment_id].arms
    ]


@pytest.mark.parametrize("stage", [Stage.ARCHIVED, Stage.STAGED])
def test_a_canary_that_was_taken_back_gets_no_more_requests(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher, stage: Stage
) -> None:
    stable, canary = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(stable)
    shelf.promote(canary, Stage.CANARY)
    wanted = DeploymentRequest(model="churn", canary_version_id=canary.id, canary_percent=10.0)
    row = deployments.create(shelf.units, wanted)
    assert len(arms(publisher, row.id)) == 2
    shelf.promote(canary, stage)
    assert arms(publisher, row.id) == [("stable", stable.bundle_digest, 100.0)]


def test_a_canary_that_went_into_production_is_the_one_arm(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    stable, canary = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(stable)
    shelf.promote(canary, Stage.CANARY)
    wanted = DeploymentRequest(model="churn", canary_version_id=canary.id, canary_percent=10.0)
    row = deployments.create(shelf.units, wanted)
    shelf.promote(canary)
    assert arms(publisher, row.id) == [("stable", canary.bundle_digest, 100.0)]


def test_a_pinned_version_answers_also_after_it_was_superseded(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    old, new = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(old)
    row = deployments.create(shelf.units, DeploymentRequest(model_version_id=old.id))
    shelf.promote(new)
    assert shelf.stage_of(old) == "archived"
    assert arms(publisher, row.id) == [("stable", old.bundle_digest, 100.0)]


def test_a_version_is_no_canary_of_itself(shelf: Shelf, deployments: DeploymentService) -> None:
    version = shelf.promote(shelf.register(shelf.stored()))
    with pytest.raises(Invalid, match="answers already"):
        deployments.create(
            shelf.units, DeploymentRequest(model="churn", canary_version_id=version.id, canary_percent=5.0)
        )


def test_a_name_that_looks_like_an_id_is_refused(shelf: Shelf, deployments: DeploymentService) -> None:
    shelf.promote(shelf.register(shelf.stored()))
    taken = deployments.create(shelf.units, DeploymentRequest(model="churn"))
    with pytest.raises(Invalid, match="looks like the id"):
        deployments.create(shelf.units, DeploymentRequest(model="churn", name=taken.id))


def test_publishing_from_many_threads_gives_each_change_one_generation(
    shelf: Shelf, deployments: DeploymentService, publisher: PlanPublisher
) -> None:
    shelf.promote(shelf.register(shelf.stored()))
    before = publisher.publish()
    deployments.create(shelf.units, DeploymentRequest(model="churn"))
    with ThreadPoolExecutor(4) as pool:
        generations = set(pool.map(lambda _: publisher.publish(), range(8)))
    assert generations == {before + 1}
