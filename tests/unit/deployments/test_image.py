"""A deployment as a container image's build context."""

from __future__ import annotations

import io
import tarfile

import msgspec
import yaml

from arkwright.contracts import Arm, Credential, Endpoint, Fallback, SavedPlan
from arkwright.deployments.image import bundle_digests, image_files, packed

KEY = Credential(secret_sha256="a" * 64, actor_id="key_1", actor_kind="api_key", workspace_id="ws_1", role="admin")


def an_arm(letter: str, name: str = "stable") -> Arm:
    return Arm(
        name=name,
        model_version_id=f"mv_{letter}",
        number=1,
        semver="1.0.0",
        bundle_digest="sha256:" + letter * 64,
        bundle_uri=f"file:///home/somebody/objects/ws_1/bundles/{letter}",
    )


ENDPOINT = Endpoint(
    deployment_id="dep_1",
    workspace_id="ws_1",
    project_id="prj_1",
    name="Churn model",
    model_name="churn",
    arms=(an_arm("a"), an_arm("b", "canary")),
    fallback=Fallback(arm=an_arm("a")),
    fallback_digests=("sha256:" + "c" * 64,),
)


def files() -> dict[str, bytes]:
    bundles = {digest: {"manifest.json": b"{}"} for digest in bundle_digests(ENDPOINT)}
    return image_files(ENDPOINT, [KEY], bundles, autoscale={"min_replicas": 2, "max_replicas": 7}, version="0.1.0")


def test_the_plan_has_the_endpoint_the_key_and_nothing_about_where_it_came_from() -> None:
    content = files()["home/serving/plan.json"]
    saved = msgspec.json.decode(content, type=SavedPlan)
    assert [*saved.plan.endpoints] == ["dep_1"]
    assert saved.plan.credentials == (KEY,)
    assert b"somebody" not in content


def test_each_bundle_is_there_once() -> None:
    folders = {path.split("/")[3] for path in files() if path.startswith("home/serving/bundles/")}
    assert folders == {"a" * 64, "b" * 64}


def test_kserve_is_told_what_the_deployment_says_of_replicas() -> None:
    service = yaml.safe_load(files()["kserve.yaml"])
    assert service["metadata"]["name"] == "churn-model"
    predictor = service["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["scaleTarget"]) == (2, 7, 60)
    assert predictor["containers"][0]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]


def test_the_same_files_give_the_same_archive() -> None:
    first, second = packed(files()), packed(dict(reversed(files().items())))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert sorted(tar.getnames()) == sorted(files())
