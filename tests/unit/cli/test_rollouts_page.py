"""docs/rollouts.md: its commands, files and Python, run in order on a platform with two versions of a model."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Arkwright
from tests.unit.sdk.served_platform import Served
from tests.unit.sdk.two_versions import two_versions

from arkwright.sdk import Client

PAGE = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def with_versions(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Served]:
    """Serve a platform with version 1 in production and version 2 in canary."""
    with two_versions(tmp_path_factory.mktemp("rollouts-page"), migrated_sqlite) as served:
        yield served


@pytest.fixture
def here(with_versions: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("ARKWRIGHT_URL", with_versions.url)
    monkeypatch.setenv("ARKWRIGHT_API_KEY", with_versions.key)
    with Client(with_versions.url, with_versions.key) as client:
        # The page's commands end with a rollback, which takes the version out of the stage canary.
        if client.models.version("churn", 2)["stage"] == "staged":
            client.models.promote("churn", 2, stage="canary")
    return with_versions


@pytest.mark.usefixtures("here")
def test_its_commands_work_as_they_stand(arkwright: Arkwright) -> None:
    (script,) = blocks("bash")
    for line in script.strip().splitlines():
        command = shlex.split(line)
        done = arkwright(*command[1:])
        assert done.code == 0, f"{line}\n{done.out}{done.err}"
    ended = arkwright("deployment", "rollout", "churn", "--json").document
    assert ended["current"] is None
    assert ended["rollouts"][0]["state"] == "rolled_back"
    assert [event["action"] for event in ended["events"]] == ["rolled_back", "resumed", "paused", "started"]
    watched = arkwright("deployment", "rollout", "churn", "--watch")
    assert "rolled_back: canary step 1 of 3" in watched.err
    assert "Seen enough." in watched.out


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: re.findall(r"name: ([a-z-]+)", text)[0])
def test_its_files_are_applied_and_applying_them_again_changes_nothing(
    arkwright: Arkwright, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(text, encoding="utf-8")
    planned = arkwright("apply", "-f", str(file), "--dry-run")
    assert planned.code == 0, planned.err
    assert "Would create" in planned.out
    assert "A rollout would start." in planned.out
    made = arkwright("apply", "-f", str(file), "--json").document
    assert (made["deployment"]["rollout_state"], made["diff"]["starts_rollout"]) == ("progressing", True)
    again = arkwright("apply", "-f", str(file))
    assert "nothing to change" in again.out
    file.write_text(text.replace("spec:", "spec:\n  projectId: ''", 1).replace("version: 2", "version: 1", 1))
    if "type: ab" not in text:
        assert arkwright("apply", "-f", str(file), "--dry-run").code == 0
    assert arkwright("deployment", "rm", made["deployment"]["id"]).code == 0


def test_its_python_works_as_it_stands(here: Served) -> None:
    (script,) = blocks("python")
    with Client(here.url, here.key) as client:
        exec(compile(script, "rollouts.md", "exec"), {"client": client})
        ended = client.deployments.wait_for_rollout("by-hand", timeout_seconds=5)
        assert (ended["state"], ended["reason"].endswith("Another day.")) == ("aborted", True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: [", "is not valid YAML"),
        (b"- a\n- b\n", "does not describe one deployment"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"kind: Service\napiVersion: arkwright/v1\n", "kind must be 'Deployment'"),
        (b"apiVersion: arkwright/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: 3}\n", "replicas"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_file_that_cannot_be_applied_leaves_with_two_and_says_why(
    arkwright: Arkwright, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_bytes(content)
    refused = arkwright("apply", "-f", str(file))
    assert refused.code == 2
    assert says in refused.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--canary", "2", "--shadow", "2"], 5),
        (["--canary", "2", "--steps", "ten"], 2),
        (["--canary", "2", "--steps", "50,10"], 2),
        (["--canary", "2", "--pause", "soon"], 2),
        (["--canary", "2", "--metric", "accuracy"], 2),
        (["--canary", "99"], 4),
        (["--canary", "1"], 2),
    ],
)
@pytest.mark.usefixtures("here")
def test_options_that_make_no_rollout_are_refused(arkwright: Arkwright, options: list[str], code: int) -> None:
    refused = arkwright("deploy", "churn", "--name", "refused", "--no-wait", *options)
    assert refused.code == code, refused.err
    assert arkwright("deployment", "show", "refused").code == 4
