"""The evaluation job: on kept and on given rows, section by section, through crashes, into evidence and the gate."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
import rfc8785

from arkwright.core.errors import Invalid, Unavailable
from arkwright.data import read_table
from arkwright.evaluation import jobs
from arkwright.evaluation.holdout import EvaluationData, read_rows
from arkwright.evaluation.jobs import EvaluateJob
from arkwright.evaluation.model_evaluation import SECTIONS, ModelEvaluation
from arkwright.kit.jobs import WorkerStopping
from arkwright.kit.jobs.execution import Execution
from tests.unit.evaluation.evaluated_platform import (
    ADULT,
    SENSITIVE,
    Evaluated,
    compute_only,
    evaluated_platform,
    hold_jobs,
)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leave all but some sections out."""
    return partial(compute_only, monkeypatch)


@pytest.fixture
def metrics_only(only: Callable[..., None]) -> None:
    only("performance")


@pytest.fixture(scope="module")
def quick(adult: Evaluated) -> tuple[dict[str, Any], dict[str, Any]]:
    """One evaluation that several tests look at."""
    return adult.evaluate(**SENSITIVE)


def evidence(adult: Evaluated, kind: str) -> list[dict[str, Any]]:
    query = {"digest": adult.training["bundle_digest"], "kind": kind}
    found: list[dict[str, Any]] = adult.plane.client.get("/v1/evidence", params=query).json()
    return found


def frame() -> pd.DataFrame:
    return pd.read_csv(ADULT)


def uploaded(adult: Evaluated, rows: pd.DataFrame) -> dict[str, Any]:
    return {"data": {"upload_id": adult.plane.upload(rows.to_csv(index=False).encode(), "rows.csv")}}


def test_training_keeps_the_holdout_with_the_columns_that_are_no_inputs(adult: Evaluated) -> None:
    (filed,) = evidence(adult, "evaluation_data")
    kept = msgspec.convert(filed["body"], EvaluationData)
    objects = adult.plane.platform.objects.for_workspace(adult.plane.platform.workspace_ids()[0])
    holdout, training = read_rows(objects, kept.holdout), read_rows(objects, kept.training)
    assert (kept.holdout.n_rows, kept.training.n_rows) == (300, 1200)
    assert {"sex", "race", "class"} <= set(holdout.column_names)
    assert kept.dataset_version_id == adult.dataset_version_id
    table, _ = read_table(io.BytesIO(gzip.decompress(ADULT.read_bytes())))
    assert sorted(map(str, holdout.to_pylist() + training.to_pylist())) == sorted(map(str, table.to_pylist()))
    assert 0.2 < kept.reference_scores[0] < 0.3
    assert len(kept.fold_scores) == 2


def test_a_version_is_evaluated_on_the_rows_that_were_kept(adult: Evaluated, quick: Any) -> None:
    result, document = quick
    assert document["data"]["basis"] == "holdout"
    assert document["data"]["n_rows_used"] == 300
    assert document["subject"]["model_version_id"] == adult.version_id
    assert result["metrics"]["roc_auc"]["value"] == pytest.approx(adult.training["metrics"]["roc_auc"])
    assert {column["column"] for column in document["fairness"]["report"]["columns"]} >= {"sex", "race", "age"}
    missing = [name for name in SECTIONS if document[name] is None]
    assert missing == ["behaviour", "challenge"]
    assert set(missing) <= set(document["not_done"])


def test_the_document_is_canonical_and_cited_by_its_hash_with_report_and_card(adult: Evaluated, quick: Any) -> None:
    result, document = quick
    filed = next(each for each in evidence(adult, "model_evaluation") if each["id"] == result["evaluation_id"])
    objects = adult.plane.platform.objects.for_workspace(adult.plane.platform.workspace_ids()[0])
    for stored in filed["body"]["files"].values():
        content = objects.get_bytes(stored["key"])
        assert hashlib.sha256(content).hexdigest() == stored["sha256"]
        assert len(content) == stored["size_bytes"]
    assert set(filed["body"]["files"]) == {"document", "report", "card", "card_page", "envelope"}
    content = objects.get_bytes(filed["body"]["files"]["document"]["key"])
    assert msgspec.json.decode(content, type=ModelEvaluation).verdict.decision == filed["body"]["decision"]
    assert content == rfc8785.dumps(document)


def test_report_and_page_are_signed_with_the_card(adult: Evaluated, quick: Any) -> None:
    result, _ = quick
    place = f"/v1/evaluations/{result['evaluation_id']}"
    envelope = adult.plane.client.get(f"{place}/card.json").json()
    statement = json.loads(base64.b64decode(envelope["payload"]))
    signed = {thing["name"]: thing["digest"]["sha256"] for thing in statement["subject"]}
    assert set(signed) == {"bundle", "evaluation.json", "README.md", "report.html", "card.html"}
    served = {"README.md": "card", "report.html": "report", "card.html": "card.html", "evaluation.json": ""}
    for name, path in served.items():
        content = adult.plane.client.get(f"{place}/{path}".rstrip("/")).content
        assert hashlib.sha256(content).hexdigest() == signed[name], name


def test_the_version_says_where_its_card_and_its_reports_are(adult: Evaluated, quick: Any) -> None:
    result, _ = quick
    version = adult.plane.client.get("/v1/models/adult/versions/1").json()
    assert version["model_card_uri"] == f"/v1/evaluations/{result['evaluation_id']}/card"
    report = adult.plane.client.get(version["fairness_report_uri"].partition("#")[0])
    assert 'id="fairness"' in report.text
    assert version["explainability_uri"].endswith("#explanations")


def test_an_evaluation_that_says_no_go_closes_the_gate_with_its_reasons(adult: Evaluated, quick: Any) -> None:
    result, _ = quick
    assert result["decision"] == "no-go", "the income model is known to be unfair to women"
    refused = adult.plane.client.post("/v1/models/adult/versions/1/promote", json={"stage": "production"})
    assert refused.status_code == 409
    (unmet,) = refused.json()["unmet"]
    assert unmet.startswith("The evaluation of this bundle says no-go.")
    assert "Fairness (Fail)" in unmet


def test_a_promotion_waits_for_an_evaluation_that_has_not_ended(
    adult: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_jobs(adult, monkeypatch)
    waiting = adult.job(seed=77)
    promotion = ("/v1/models/adult/versions/1/promote", {"stage": "canary"})
    refused = adult.plane.client.post(promotion[0], json=promotion[1])
    assert (refused.status_code, refused.json()["code"]) == (409, "model_version.under_evaluation")
    assert refused.json()["errors"] == [{"field": "job_id", "message": waiting["id"]}]
    assert waiting["id"] in refused.json()["hint"]
    assert adult.plane.client.post(f"/v1/jobs/{waiting['id']}/cancel").status_code == 200
    again = adult.plane.client.post(promotion[0], json=promotion[1])
    assert again.json().get("code") != "model_version.under_evaluation", "the job has ended"


@pytest.mark.usefixtures("metrics_only")
def test_given_rows_are_counted_and_what_cannot_be_used_is_said(adult: Evaluated) -> None:
    rows = frame().head(200)
    rows.loc[rows.index[:3], "class"] = None
    rows.loc[rows.index[3:5], "class"] = "unheard of"
    _, document = adult.evaluate(**uploaded(adult, rows))
    data = document["data"]
    assert (data["basis"], data["n_rows"], data["n_rows_used"]) == ("given", 200, 195)
    assert any("3 rows have no value of 'class'" in note for note in data["notes"])
    assert any("'unheard of': 2" in note for note in data["notes"])


@pytest.mark.usefixtures("metrics_only")
def test_the_rows_it_was_trained_on_flatter_it_and_that_is_said(adult: Evaluated) -> None:
    _, document = adult.evaluate(data={"dataset_version_id": adult.dataset_version_id})
    assert any("The model was trained on most of these rows" in note for note in document["data"]["notes"])
    assert document["data"]["basis"] == "training"
    assert document["verdict"]["decision"] != "go"
    assert any("judged on the data it was trained on" in reason["text"] for reason in document["verdict"]["reasons"])


@pytest.mark.usefixtures("metrics_only")
def test_why_nobody_is_compared_is_printed_in_verdict_and_card(adult: Evaluated) -> None:
    why = "Every row is a pump; no 2 rows share an owner."
    result, document = adult.evaluate(no_people=why)
    assert result["no_people"] == why
    assert why in document["not_done"]["fairness"]
    told = " ".join(reason["text"] for reason in document["verdict"]["reasons"])
    assert "Every row is a pump" in told
    assert "yet it has the column 'age'" in told, "its inputs are about people all the same"
    assert why in adult.plane.client.get(f"/v1/evaluations/{result['evaluation_id']}/card").text
    items = {item["key"]: item for item in document["definition_of_done"]["items"]}
    assert items["fairness"]["status"] == "met"
    assert "no load test" in items["load_tested"]["reason"]


@pytest.mark.usefixtures("metrics_only")
def test_the_headline_tells_what_each_column_ended_in(quick: Any) -> None:
    result, _ = quick
    audited = {item["column"]: item for item in result["audited"]}
    assert set(audited) >= {"sex", "race", "age"}
    assert audited["sex"]["favourable"] == ">50K"
    assert audited["sex"]["stated"] is False
    assert audited["sex"]["n_groups"] == 2
    assert "Fail" in {item["status"] for item in result["audited"]}
    assert result["regulation"]["purpose"] == "unknown"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: rows.drop(columns="class"), "evaluation.target_missing"),
        (lambda rows: rows.drop(columns="sex"), "evaluation.sensitive_unknown"),
        (lambda rows: rows.drop(columns="age"), "features.columns_missing"),
        (lambda rows: rows.assign(**{"class": "unheard of"}), "evaluation.no_rows"),
    ],
)
@pytest.mark.usefixtures("metrics_only")
def test_an_upload_without_what_is_needed_fails_the_job_with_the_reason(
    adult: Evaluated, change: Any, code: str
) -> None:
    job = adult.job(sensitive=["sex"], **uploaded(adult, change(frame().head(50))))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert job["error"]["hint"]


def test_behaviour_tests_are_run(adult: Evaluated, only: Callable[..., None]) -> None:
    only("performance", "behaviour")
    test = "{name: origin, type: invariance, column: native-country, swap: [Mexico, Cuba], tolerance: 1.0}"
    _, document = adult.evaluate(behaviour=f"tests: [{test}]")
    assert document["behaviour"]["passed"] is True
    assert document["behaviour"]["results"][0]["n_tested"] > 0


def test_rows_of_one_class_leave_what_can_be_said(adult: Evaluated) -> None:
    rows = frame()
    result, document = adult.evaluate(profile="quick", **uploaded(adult, rows[rows["class"] == "<=50K"].head(150)))
    assert result["decision"] in {"conditional", "no-go"}
    auc = document["performance"]["metrics"]["roc_auc"]
    assert auc["value"] is None
    assert auc["reason"]
    assert any("Importance" in name or "not defined" in reason for name, reason in document["not_done"].items())


@pytest.mark.usefixtures("metrics_only")
def test_the_card_says_what_people_stated(adult: Evaluated) -> None:
    stated = {"primary_uses": ["Rank letters to send."], "license": "apache-2.0", "contact": "risk@example.org"}
    result, _ = adult.evaluate(card=stated)
    card = adult.plane.client.get(f"/v1/evaluations/{result['evaluation_id']}/card").text
    assert "license: apache-2.0" in card
    assert "Rank letters to send." in card
    assert "risk@example.org" in card


def test_a_version_is_compared_with_another_on_the_same_rows(adult: Evaluated, only: Callable[..., None]) -> None:
    only("performance", "challenge")
    body = {"bundle_digest": adult.training["bundle_digest"]}
    adult.plane.client.post("/v1/models", json={"name": "twin"})
    twin = adult.plane.client.post("/v1/models/twin/versions", json=body).json()
    result, document = adult.evaluate(baseline=twin["id"])
    assert document["challenge"]["baseline"]["model_name"] == "twin"
    assert result["compared_with"] == "twin 1.0.0"
    assert result["recommendation"] == "ITERATE", "the same model twice is no improvement"
    assert (result["version_decision"], result["canary_traffic_percent"]) == ("HOLD", None)
    assert document["challenge"]["seen"] == ""
    as_good, _ = adult.evaluate(baseline=twin["id"], margin=0.01)
    assert (as_good["version_decision"], as_good["decision"]) == ("CANARY", "conditional")
    assert 0 < as_good["canary_traffic_percent"] < 100


def test_another_version_that_may_have_seen_the_rows_is_named(
    adult: Evaluated, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("performance", "challenge")
    adult.plane.client.post("/v1/models", json={"name": "stranger"})
    body = {"bundle_digest": adult.training["bundle_digest"]}
    other = adult.plane.client.post("/v1/models/stranger/versions", json=body).json()
    on_its_data = {"data": {"dataset_version_id": adult.dataset_version_id}}
    _, document = adult.evaluate(baseline=other["id"], **on_its_data)
    assert document["challenge"]["seen"] == "The other version was trained on most of these rows."
    service = next(each for each in adult.plane.platform.services.values() if hasattr(each, "kept_data"))
    real, calls = service.kept_data, []

    def kept(unit: Any, digest: str) -> Any:
        """Answer for the other version, which is asked last, as if it had been split with another seed."""
        calls.append(digest)
        found = real(unit, digest)
        if len(calls) <= 2:
            return found
        other_rows = msgspec.structs.replace(found.holdout, sha256="0" * 64)
        return msgspec.structs.replace(found, seed=found.seed + 1, holdout=other_rows)

    monkeypatch.setattr(service, "kept_data", kept)
    _, document = adult.evaluate(baseline=other["id"])
    assert "split from its data otherwise" in document["challenge"]["seen"]
    assert document["challenge"]["seen"] in document["challenge"]["notes"]
    assert any("not fair to it" in reason["text"] for reason in document["verdict"]["reasons"])


def test_a_section_that_stops_on_a_defect_leaves_the_others(
    adult: Evaluated, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("performance", "calibration")
    real = jobs.section

    def defective(name: Any, *rest: Any) -> Any:
        if name == "weak_slices":
            raise ZeroDivisionError
        return real(name, *rest)

    monkeypatch.setattr(jobs, "section", defective)
    _, document = adult.evaluate()
    assert document["weak_slices"] is None
    assert "ZeroDivisionError" in document["not_done"]["weak_slices"]
    assert document["calibration"] is not None


def test_a_full_disk_fails_the_job_rather_than_the_section(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise Unavailable("There is no space left.", code="disk.full")

    monkeypatch.setattr(jobs, "section", full)
    job = adult.job()
    assert (job["status"], job["error"]["code"]) == ("failed", "disk.full")


@pytest.mark.parametrize("dies_in", ["fairness", "assemble", "file"])
@pytest.mark.usefixtures("metrics_only")
def test_an_evaluation_that_dies_goes_on_from_its_last_finished_step(
    adult: Evaluated, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    platform = adult.plane.platform
    queue = platform.queue.inner  # type: ignore[attr-defined]
    checkpoints: dict[str, Any] = {}
    ran: list[str] = []
    alive = [False]

    def checkpoint(name: str, work: Any) -> Any:
        if name not in checkpoints:
            ran.append(name)
            if name == dies_in and not alive[0]:
                raise WorkerStopping
            checkpoints[name] = work()
        return checkpoints[name]

    with monkeypatch.context() as patched:
        hold_jobs(adult, patched)
        job_id = adult.start().json()["job_id"]
    execution, job = Execution(platform.database, retry_delays_seconds=()), queue._jobs[EvaluateJob.kind]
    workspace = platform.workspace_ids()[0]
    before = len(evidence(adult, "model_evaluation"))
    with pytest.raises(WorkerStopping):
        execution.run(job, workspace, job_id, checkpoint)
    alive[0] = True
    execution.run(job, workspace, job_id, checkpoint)
    ended = adult.plane.client.get(f"/v1/jobs/{job_id}").json()
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2), ended["error"]
    assert {name: ran.count(name) for name in ran} == {name: 1 + (name == dies_in) for name in ran}
    assert len(evidence(adult, "model_evaluation")) == before + 1
    objects = platform.objects.for_workspace(workspace)
    assert objects.list(f"jobs/{job_id}") == []


@pytest.mark.usefixtures("metrics_only")
def test_a_file_that_was_changed_in_the_store_is_not_served(adult: Evaluated) -> None:
    result, _ = adult.evaluate(seed=5)
    objects = adult.plane.platform.objects.for_workspace(adult.plane.platform.workspace_ids()[0])
    key = result["files"]["report"]["key"]
    objects.put_bytes(key, objects.get_bytes(key) + b" ")
    refused = adult.plane.client.get(f"/v1/evaluations/{result['evaluation_id']}/report")
    assert (refused.status_code, refused.json()["code"]) == (503, "evaluation.file_damaged")


@pytest.mark.parametrize(("step", "prefix"), [("_assemble", "evaluations/"), ("_sections", "jobs/")])
@pytest.mark.usefixtures("metrics_only")
def test_what_was_changed_in_the_store_is_not_signed(
    adult: Evaluated, monkeypatch: pytest.MonkeyPatch, step: str, prefix: str
) -> None:
    objects = adult.plane.platform.objects.for_workspace(adult.plane.platform.workspace_ids()[0])
    known = {*objects.list(prefix)}
    real = getattr(jobs._Run, step)

    def damaged(*given: Any) -> Any:
        left = real(*given)
        for key in objects.list(prefix):
            if key not in known and key.endswith(".json"):
                objects.put_bytes(key, objects.get_bytes(key).replace(b"0.5", b"0.6"))
        return left

    monkeypatch.setattr(jobs._Run, step, damaged)
    job = adult.job(seed=6)
    assert (job["status"], job["error"]["code"]) == ("failed", "evaluation.file_damaged")


def test_a_price_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for text, code in (("[{]", "settings.invalid"), ('[{"name": "x"}]', "evaluation.price_table")):
        with pytest.raises(Invalid) as refused:
            EvaluateJob(None, home=tmp_path, prices=text)  # type: ignore[arg-type]
        assert refused.value.code == code


@pytest.mark.usefixtures("metrics_only")
def test_a_training_starts_a_quick_evaluation_where_that_is_wanted(migrated_sqlite: Path, tmp_path: Path) -> None:
    with evaluated_platform(migrated_sqlite, tmp_path / "home", evaluate_after_training=True) as trained:
        job = trained.plane.client.get(f"/v1/jobs/{trained.training['evaluation_job_id']}").json()
        assert job["status"] == "succeeded", job["error"]
        assert job["subject_id"] == trained.version_id
        assert job["result"]["basis"] == "holdout"
