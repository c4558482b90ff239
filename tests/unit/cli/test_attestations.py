"""``arkwright attest``, ``done`` and ``load-test``, typed: a model that was just trained, and its endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.conftest import Arkwright
from tests.unit.sdk.served_platform import Served

from arkwright.cli.attestations import read_reports
from arkwright.core.errors import Invalid, NotPermitted
from arkwright.sdk import Client
from arkwright.sdk.evaluations import Evaluations

pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.usefixtures("online")]
TELCO = Path(__file__).parents[3] / "examples" / "telco_churn.csv"
GOOD = '<testsuite><testcase classname="t" name="a"/></testsuite>'
BAD = '<testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b"><failure/></testcase></testsuite>'
# Client and server share this process: what is looked at is what is said, not how fast it is.
QUICK = ("--rate", "100", "--seconds", "1.2", "--p95-limit-ms", "60000")


@pytest.fixture(scope="module")
def endpoint(served: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model, promoted and deployed under its own name."""
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    path.write_text("".join(TELCO.read_text().splitlines(keepends=True)[:801]))
    with Client(served.url, served.key) as client:
        client.train(path, target="Churn", budget=120, name="attested", config={"hpo": {"max_trials": 2}})
        client.models.promote("attested", 1)
        client.deployments.create(model="attested", name="attested-endpoint")
        client.deployments.wait_until_ready("attested-endpoint")
    return "attested-endpoint"


@pytest.fixture
def reports(tmp_path: Path) -> dict[str, Path]:
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    return {"good": good, "bad": bad}


def test_what_is_not_met_is_shown_with_what_to_do(arkwright: Arkwright, endpoint: str) -> None:
    shown = arkwright("done", "attested@1")
    assert shown.code == 0, shown.err
    for words in (
        "Inference endpoint tested under load",
        "arkwright load-test",
        "unknown",
        "attested 1.0.0 is not done",
    ):
        assert words in shown.out
    assert "It has not been evaluated" in shown.err
    assert arkwright("done", "attested", "--require-complete").code == 1
    document = arkwright("done", "attested:production", "--json").document
    assert len(document["items"]) == 11


def test_several_statements_in_one_line(arkwright: Arkwright, endpoint: str, reports: dict[str, Path]) -> None:
    done = arkwright(
        "attest", "attested@1", "--junit", f"unit={reports['good']}", "--junit", f"unit={reports['bad']}",
        "--junit", f"integration={reports['good']}", "--dashboard", "https://grafana.example.org/d/1",
        "--title", "Churn", "--rollback", "docs/rollouts.md",
    )  # fmt: skip
    assert done.code == 0, done.err
    for words in ("unit tests", "1 of 3 unit tests fail: t::b", "Churn: https://grafana", "rollback procedure"):
        assert words in done.out
    assert "arkwright done attested@1" in done.err
    filed = arkwright("attest", "attested@1", "--json").document
    assert {each["kind"] for each in filed} >= {"tests", "dashboard", "rollback_procedure"}
    items = {item["key"]: item for item in arkwright("done", "attested", "--json").document["items"]}
    assert [items[key]["status"] for key in ("tests", "dashboards", "rollback")] == ["not_met", "met", "met"]


def test_a_load_test_says_what_was_measured_and_is_filed_about_what_answered(
    arkwright: Arkwright, endpoint: str
) -> None:
    done = arkwright("load-test", endpoint, *QUICK)
    assert done.code == 0, done.out + done.err
    assert done.out.startswith(f"{endpoint}: passed")
    for words in ("200: 120", "p95", "kept out of its training", "1.0.0: 120", "filed as"):
        assert words in done.out
    assert "sent; 200: " in done.err
    items = {item["key"]: item for item in arkwright("done", "attested", "--json").document["items"]}
    assert items["load_tested"]["status"] == "met"


def test_an_endpoint_that_refuses_rows_has_failed(arkwright: Arkwright, endpoint: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text('[{"tenure": "a year"}]')
    done = arkwright("load-test", "attested", *QUICK, "--file", str(rows), "--json")
    assert done.code == 1
    document = done.document
    assert (document["outcome"], document["report"]["statuses"]) == ("failed", {"422": 120})
    assert document["attestation"]["passed"] is False
    items = {item["key"]: item for item in arkwright("done", "attested", "--json").document["items"]}
    assert items["load_tested"]["status"] == "not_met"


def test_too_few_requests_show_nothing_and_are_not_filed(arkwright: Arkwright, endpoint: str) -> None:
    before = len(arkwright("attest", "attested", "--json").document)
    done = arkwright("load-test", endpoint, "--rate", "20", "--seconds", "0.5", "--p95-limit-ms", "60000")
    assert done.code == 1
    assert "inconclusive" in done.out
    assert "10 requests are too few" in done.out
    assert len(arkwright("attest", "attested", "--json").document) == before


def test_what_was_measured_is_shown_although_it_may_not_be_filed(
    arkwright: Arkwright, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> None:
        raise NotPermitted("A viewer may not attest.", code="access.denied", hint="Ask an operator.")

    monkeypatch.setattr(Evaluations, "attest_load_test", refuse)
    done = arkwright("load-test", endpoint, *QUICK)
    assert done.code == NotPermitted.exit_code
    assert done.out.startswith(f"{endpoint}: passed")
    assert "nothing. A viewer may not attest. Ask an operator." in done.out
    document = arkwright("load-test", endpoint, *QUICK, "--json").document
    assert (document["outcome"], document["attestation"]) == ("passed", None)
    assert document["not_filed"] == "A viewer may not attest. Ask an operator."


def test_whoever_interrupts_a_load_test_files_nothing(
    arkwright: Arkwright, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkwright.sdk import load_test

    def interrupted(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    before = len(arkwright("attest", "attested", "--json").document)
    monkeypatch.setattr(load_test, "fire", interrupted)
    done = arkwright("load-test", endpoint, *QUICK)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert len(arkwright("attest", "attested", "--json").document) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["attest", "attested", "--junit", "unit"], 2, "--junit unit=report.xml"),
        (["attest", "attested", "--junit", "smoke=a.xml"], 2, "unit, model, integration"),
        (["attest", "attested", "--junit", "unit=nowhere.xml"], 4, "nowhere.xml"),
        (["attest", "attested", "--junit", "unit=."], 2, "a file that the test runner wrote"),
        (["attest", "attested", "--dashboard", "grafana"], 2, "https://host/path"),
        (["attest", "attested", "--title", "Churn"], 2, "--dashboard"),
        (["attest", "no-such-model", "--rollback", "x"], 4, "no-such-model"),
        (["done", "attested@7"], 4, "attested"),
        (["done", "attested:canary"], 4, "no version in the stage 'canary'"),
        (["load-test", "no-such-endpoint"], 4, "arkwright deploy no-such-endpoint"),
        (["load-test", "attested", "--rate", "1000000", "--seconds", "1000000"], 2, "1,000,000 requests"),
    ],
)
def test_what_cannot_be_done_is_explained(
    arkwright: Arkwright, endpoint: str, arguments: list[str], code: int, said: str
) -> None:
    refused = arkwright(*arguments)
    assert refused.code == code, refused.out + refused.err
    assert said in refused.err


@pytest.mark.parametrize("text", ["", "unit", "unit=", "=a.xml"])
def test_a_report_is_named_with_its_scope(text: str) -> None:
    with pytest.raises(Invalid):
        read_reports([text])
