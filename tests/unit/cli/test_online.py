"""The journey, typed: against a real control plane and a real data plane."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Arkwright
from tests.unit.sdk.served_platform import Served

from arkwright.cli import session
from arkwright.cli.app import run
from arkwright.sdk import Client

pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.usefixtures("online")]
TELCO = Path(__file__).parents[3] / "examples" / "telco_churn.csv"


@pytest.fixture(scope="package")
def small_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough rows to learn from, few enough to be quick: the budget is never used up."""
    path = tmp_path_factory.mktemp("data") / "small.csv"
    path.write_text("".join(TELCO.read_text().splitlines(keepends=True)[:1201]))
    return path


@pytest.fixture(scope="package")
def trained(served: Served, small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``arkwright train`` says, once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARKWRIGHT_URL", served.url)
        patch.setenv("ARKWRIGHT_API_KEY", served.key)
        out = tmp_path_factory.mktemp("out") / "train.txt"
        with out.open("w") as stream:
            patch.setattr("sys.stdout", stream)
            with pytest.raises(SystemExit) as left:
                run(["train", str(small_csv), "--target", "Churn", "--budget", "2m", "--name", "churn"])
    assert not left.value.code
    return out.read_text()


@pytest.fixture(scope="package")
def deployed(served: Served, trained: str) -> str:
    assert "in production" in trained
    with Client(served.url, served.key) as client:
        created = client.deployments.create(model="churn", name="live")
        return client.deployments.wait_until_ready(created["id"])["id"]


def test_training_ends_with_the_model_the_reasons_and_what_comes_next(trained: str) -> None:
    for words in (
        "Leaderboard", "baseline", "roc_auc", "95 % INTERVAL", "The recommended model for 'Churn'",
        "churn version 1 (1.0.0) is registered, and in production.", "arkwright deploy churn", "arkwright batch churn",
    ):  # fmt: skip
        assert words in trained
    assert "\x1b" not in trained


def test_the_same_file_again_is_known(arkwright: Arkwright, small_csv: Path) -> None:
    first = arkwright("dataset", "ingest", str(small_csv), "--name", "again", "--json")
    assert first.code == 0
    again = arkwright("dataset", "ingest", str(small_csv), "--name", "again")
    assert "was there already" in again.out
    assert first.document["n_rows"] == 1200


def test_types_given_by_the_user_win(arkwright: Arkwright, small_csv: Path) -> None:
    assert arkwright("dataset", "ingest", str(small_csv), "--name", "typed", "--type", "tenure=text").code == 0
    shown = arkwright("dataset", "show", "typed", "--json")
    assert {column["name"]: column["type"] for column in shown.document["schema"]}["tenure"] == "text"


@pytest.mark.parametrize("content", ["", "a,b\n", "<!doctype html><html></html>", "a,a\n1,2\n"])
def test_a_bad_file_is_explained_and_leaves_with_two(arkwright: Arkwright, tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    refused = arkwright("dataset", "ingest", str(path))
    assert refused.code == 2
    assert "What to do:" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.usefixtures("trained")
def test_a_dataset_is_shown_row_by_row_and_column_by_column(arkwright: Arkwright) -> None:
    assert "small" in arkwright("dataset", "ls").out
    assert "Month-to-month" in arkwright("dataset", "show", "small").out
    profile = arkwright("dataset", "profile", "small").out
    assert "customerID" in profile
    assert "id_like" in profile


@pytest.mark.usefixtures("trained")
def test_the_registry_can_be_read(arkwright: Arkwright) -> None:
    assert "churn" in arkwright("model", "ls").out
    assert "production" in arkwright("model", "versions", "churn").out
    assert "roc_auc" in arkwright("model", "show", "churn", "1").out
    assert "version 1" in arkwright("model", "show", "churn").out
    assert "promoted by arkwright train" in arkwright("model", "history", "churn").out
    assert arkwright("model", "show", "churn", "1.0.0", "--json").document["version"] == 1


@pytest.mark.usefixtures("trained")
def test_promoting_what_is_there_already_is_no_error(arkwright: Arkwright) -> None:
    done = arkwright("promote", "churn", "1")
    assert done.code == 0
    assert "is in production" in done.out


@pytest.mark.usefixtures("trained")
def test_a_rollback_with_nowhere_to_go_leaves_with_five(arkwright: Arkwright) -> None:
    refused = arkwright("rollback", "churn", "-m", "why not")
    assert refused.code == 5
    assert "no earlier production version" in refused.err


@pytest.mark.usefixtures("trained")
def test_a_second_training_leaves_production_alone_unless_told_otherwise(arkwright: Arkwright, small_csv: Path) -> None:
    again = arkwright(
        "train", str(small_csv), "-t", "Churn", "-b", "2m", "--name", "churn", "--ignore", "tenure", "--json"
    )
    assert again.code == 0
    assert (again.document["promoted"], again.document["version"]["version"]) == (False, 2)
    assert again.document["evaluation"]["metrics"]["roc_auc"]["low"]
    assert arkwright("model", "show", "churn", "--json").document["production_version"] == 1


@pytest.mark.usefixtures("trained")
def test_an_experiment_shows_its_leaderboard_and_trials(arkwright: Arkwright) -> None:
    experiments = arkwright("experiment", "ls", "--json").document
    # Other files' tests train on the same platform.
    ours = next(each["id"] for each in experiments if each["name"].startswith("churn"))
    shown = arkwright("experiment", "show", ours)
    assert "baseline" in shown.out
    assert "logistic" in arkwright("experiment", "trials", ours).out
    ended = arkwright("experiment", "cancel", ours)
    assert ended.code == 5


def test_the_printed_curl_works_when_pasted_and_does_not_hold_the_key(
    arkwright: Arkwright, deployed: str, online: Served
) -> None:
    shown = arkwright("deployment", "show", "live")
    command = shown.out[shown.out.index("curl") :]
    assert online.key not in command
    assert deployed in command
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"][0]["label"] in ("Yes", "No")


def test_the_key_in_the_curl_is_read_from_its_file_where_it_is_known(deployed: str, online: Served) -> None:
    from arkwright.cli.deployments import curl

    state = online.home / "run"
    state.mkdir(exist_ok=True)
    (state / "state.json").write_text(json.dumps({"url": online.url}))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ARKWRIGHT_API_KEY")
        with Client(home=online.home) as client:
            command = curl(client, client.deployments.get(deployed))
    assert f"$(cat {shlex.quote(str(online.home / 'credentials' / 'admin.key'))})" in command
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "predictions" in json.loads(done.stdout)


@pytest.mark.usefixtures("deployed")
def test_rows_can_be_predicted_from_the_command_line_or_a_file(arkwright: Arkwright, tmp_path: Path) -> None:
    from_csv = arkwright("predict", "live", "-f", str(TELCO), "--rows", "3", "--json")
    assert [row["customerID"] for row in from_csv.document["predictions"]] == ["7590-VHVEG", "5575-GNVDE", "3668-QPYBK"]
    row = arkwright("deployment", "show", "live", "--json").document["curl"].split("-d ", 1)[1]
    instance = json.loads(shlex.split(row)[0])["instances"][0]
    typed = arkwright("predict", "live", "--row", json.dumps(instance))
    assert typed.code == 0
    assert "score" in typed.out
    lines = tmp_path / "rows.jsonl"
    lines.write_text(json.dumps(instance) + "\n" + json.dumps(instance) + "\n")
    assert len(arkwright("predict", "live", "-f", str(lines), "--json").document["predictions"]) == 2


@pytest.mark.usefixtures("deployed")
def test_a_wrong_row_is_explained_field_by_field(arkwright: Arkwright) -> None:
    refused = arkwright("predict", "live", "--row", '{"tenure": "twelve"}')
    assert refused.code == 2
    assert "instances[0].tenure" in refused.err
    assert "instances[0].Contract" in refused.err


@pytest.mark.usefixtures("trained")
def test_a_file_is_scored_without_a_deployment_and_nothing_is_overwritten(
    arkwright: Arkwright, tmp_path: Path, small_csv: Path
) -> None:
    target = tmp_path / "out.csv"
    done = arkwright("batch", "churn", str(small_csv), "-o", str(target))
    assert done.code == 0
    assert "1,200 rows" in done.out
    assert target.read_text().startswith('"customerID"')
    refused = arkwright("batch", "churn", str(small_csv), "-o", str(target))
    assert refused.code == 2
    assert "--force" in refused.err
    nowhere = arkwright("batch", "churn", str(small_csv), "-o", str(tmp_path / "no" / "out.csv"))
    assert nowhere.code == 4


@pytest.mark.usefixtures("trained")
def test_rows_with_bad_cells_end_a_batch_or_come_out_unscored(
    arkwright: Arkwright, tmp_path: Path, small_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = small_csv.read_text().splitlines()
    tenure = lines[0].split(",").index("tenure")
    cells = lines[7].split(",")
    lines[7] = ",".join([*cells[:tenure], "a while", *cells[tenure + 1 :]])
    (tmp_path / "odd.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    refused = arkwright("batch", "churn", "odd.csv")
    assert refused.code == 2
    assert "Row 7: the column 'tenure' holds 'a while'" in refused.err
    kept = arkwright("batch", "churn", "odd.csv", "--on-error", "keep", "--scores", "--json")
    assert kept.code == 0
    assert (kept.document["n_rows"], kept.document["n_failed"]) == (1_200, 1)
    assert (tmp_path / "odd.scored.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.usefixtures("deployed")
def test_deployments_are_listed_and_named_when_missing(arkwright: Arkwright) -> None:
    assert "live" in arkwright("deployment", "ls").out
    missing = arkwright("deployment", "show", "nowhere")
    assert missing.code == 4
    assert "nowhere" in missing.err


@pytest.mark.usefixtures("trained")
def test_an_endpoint_can_be_made_looked_at_and_removed(arkwright: Arkwright) -> None:
    made = arkwright("deploy", "churn", "--name", "short", "--version", "1")
    assert made.code == 0
    assert "short is ready" in made.out
    assert "curl" in made.out
    again = arkwright("deploy", "churn", "--name", "short")
    assert again.code == 5
    assert arkwright("deployment", "rm", "short").code == 0
    assert "short" not in arkwright("deployment", "ls").out
    assert "short" in arkwright("deployment", "ls", "--all").out


@pytest.mark.usefixtures("deployed")
def test_the_monitor_says_what_it_saw(arkwright: Arkwright) -> None:
    ran = arkwright("monitor", "run", "live", "--json")
    assert ran.code == 0
    assert ran.document["report"]["status"] in ("UNKNOWN", "GREEN", "YELLOW", "RED")
    assert "drift" in arkwright("monitor", "ls", "live").out
    assert ran.document["report"]["id"] in arkwright("monitor", "reports", "live").out
    assert arkwright("monitor", "show", "live").code == 0
    missing = arkwright("alert", "ack", "nope")
    assert missing.code == 4
    assert arkwright("deployment", "metrics", "live").code == 0


@pytest.mark.usefixtures("trained")
def test_changed_customers_raise_an_alert_that_somebody_takes_on(arkwright: Arkwright, online: Served) -> None:
    with Client(online.url, online.key) as client:
        created = client.deployments.create(model="churn", name="drifting")
        client.deployments.wait_until_ready(created["id"])
        columns = [column["name"] for column in client.models.version("churn", 1)["signature"]["columns"]]
        rows = client.datasets.preview("small")["rows"]
        changed = [{name: row[name] for name in columns} | {"MonthlyCharges": 400.0, "tenure": 0} for row in rows * 20]
        for start in range(0, 200, 50):
            client.predict("drifting", changed[start : start + 50])
        deadline = time.monotonic() + 60
        while client.deployments.metrics("drifting")["n_rows"] < 200:
            assert time.monotonic() < deadline, "the predictions do not appear in the log"
            time.sleep(0.1)
    ran = arkwright("monitor", "run", "drifting")
    assert ran.code == 0
    assert ran.out.startswith("RED")
    assert "MonthlyCharges" in ran.out
    assert "Open alerts" in ran.out
    alert = arkwright("alert", "ls", "--json").document[0]
    assert "critical" in arkwright("alert", "ls").out
    acknowledged = arkwright("alert", "ack", alert["id"][-8:], "-m", "looking at it")
    assert "acknowledged" in acknowledged.out
    assert "resolved" in arkwright("alert", "resolve", alert["id"]).out
    assert arkwright("alert", "ls", "--status", "open", "--json").document == []
    assert "200 rows" in arkwright("deployment", "metrics", "drifting").out


@pytest.mark.usefixtures("trained")
def test_what_became_of_predictions_can_be_told_with_a_file(arkwright: Arkwright, online: Served) -> None:
    with Client(online.url, online.key) as client:
        created = client.deployments.create(model="churn", name="told")
        client.deployments.wait_until_ready(created["id"])
        columns = [column["name"] for column in client.models.version("churn", 1)["signature"]["columns"]]
        rows = client.datasets.preview("small")["rows"]
        answer = client.predict("told", [{name: row[name] for name in columns} for row in rows])
    lines = [f"{answer['request_id']},{index},{row['Churn']}" for index, row in enumerate(rows)]
    Path("told.csv").write_text("\n".join(["request_id,row,actual", *lines, "req_unknown,0,Yes", ""]))
    taken = arkwright("deployment", "feedback", "told", "told.csv", "--json")
    assert taken.document == {"accepted": len(rows) + 1}
    shown = arkwright("deployment", "metrics", "told", "--json").document
    assert (shown["n_outcomes"], shown["n_unmatched"]) == (len(rows) + 1, 1)
    right = sum(made["label"] == row["Churn"] for made, row in zip(answer["predictions"], rows, strict=True))
    (arm,) = shown["quality"]
    accuracy = next(metric for metric in arm["metrics"] if metric["name"] == "accuracy")
    assert accuracy["value"] == pytest.approx(right / len(rows))
    out = arkwright("deployment", "metrics", "told").out
    assert "How good they were" in out
    assert "brier" in out
    Path("wrong.csv").write_text(f"request_id,actual\n{answer['request_id']},perhaps\n")
    refused = arkwright("deployment", "feedback", "told", "wrong.csv")
    assert refused.code == 2
    assert "outcomes[0].actual" in refused.err


@pytest.mark.usefixtures("trained")
def test_jobs_can_be_followed_after_the_fact(arkwright: Arkwright) -> None:
    jobs = arkwright("job", "ls", "--json").document
    training = next(job["id"] for job in reversed(jobs) if job["kind"].startswith("automl.train"))
    assert "succeeded" in arkwright("job", "show", training).out
    assert arkwright("job", "wait", training).code == 0
    assert "customerID" in arkwright("job", "logs", training).out
    assert arkwright("job", "cancel", training).code == 5
    assert "automl.train" in arkwright("job", "ls").out


@pytest.mark.usefixtures("deployed")
def test_the_past_can_be_proved(arkwright: Arkwright) -> None:
    assert "intact" in arkwright("audit", "verify").out
    assert "deployment.create" in arkwright("audit", "ls", "--action", "deployment.create").out
    version = arkwright("model", "show", "churn", "1", "--json").document["id"]
    assert "dataset_version" in arkwright("lineage", "model_version", version).out


def test_a_key_s_secret_alone_is_on_standard_output(arkwright: Arkwright) -> None:
    created = arkwright("apikey", "create", "ci", "--expires", "2099-01-01")
    assert created.out.startswith("ark_")
    assert created.out.count("\n") == 1
    key = next(key for key in arkwright("apikey", "ls", "--json").document if key["name"] == "ci")
    assert created.out.strip() not in arkwright("apikey", "ls").out
    assert "is revoked" in arkwright("apikey", "revoke", key["id"]).out


def test_a_login_link_is_a_link(arkwright: Arkwright, online: Served) -> None:
    assert arkwright("login-link").out.startswith(f"{online.url}/login?token=")


def test_a_target_that_is_no_column_is_refused_with_the_columns(arkwright: Arkwright, small_csv: Path) -> None:
    refused = arkwright("train", str(small_csv), "-t", "Churned", "-b", "10s")
    assert refused.code == 2
    assert "'Churned'" in refused.err
    assert "TotalCharges" in refused.err


def test_a_named_platform_is_used_and_none_is_started(online: Served) -> None:
    with session.connect_or_start() as client:
        assert client.base_url == online.url
