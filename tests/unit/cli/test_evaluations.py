"""``arkwright evaluate``, typed: against a real control plane, on a model that was just trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.conftest import Arkwright
from tests.unit.sdk.served_platform import Served

from arkwright.cli.evaluations import _names, read_bins, split_address
from arkwright.core.errors import Invalid
from arkwright.sdk import Client

pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.usefixtures("online")]
TELCO = Path(__file__).parents[3] / "examples" / "telco_churn.csv"


@pytest.fixture(scope="module")
def model(served: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model to evaluate, and the file it was trained on."""
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    path.write_text("".join(TELCO.read_text().splitlines(keepends=True)[:801]))
    with Client(served.url, served.key) as client:
        client.train(path, target="Churn", budget=120, name="judged", config={"hpo": {"max_trials": 2}})
    return "judged"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "new.csv"
    lines = TELCO.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2001:2301]]))
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "holds no settings"),
        ("a: [", "is not valid YAML"),
        ("model: other", "sets 'model'"),
        ("", "holds no settings"),
        ("1: 2", "holds no settings"),
        ("guardrails: 3", "Expected for the field 'guardrails': a list; it was 3."),
        ("guardrails: [roc_auc]", "Expected for the field 'guardrails.0': an object"),
        ("success_criteria: {metric: roc_auc}", "Expected for the field 'success_criteria': a list"),
        ("margin: [1]", "Expected for the field 'margin': a number; it was a list."),
        ("margin: .nan", "cannot be sent"),
        ("sensitive: gender", "Expected for the field 'sensitive': a list"),
        ("sensitive_bins: [1, 2]", "Expected for the field 'sensitive_bins': an object"),
        ("semantics: gender", "Expected for the field 'semantics': an object"),
        ("semantics: {gendre: sex}", "no column 'gendre'"),
        ("costs: 3", "Expected for the field 'costs': an object"),
        ("profile: 3", "one of 'quick' or 'full'"),
        ("hypothesis: {a: b}", "Expected for the field 'hypothesis': a text; it was an object."),
        ("seed: -1", "Expected for the field 'seed': at least 0; it was -1."),
        ("seed: 1.5", "Expected for the field 'seed': a whole number; it was 1.5."),
        ("forecast: 3", "Expected for the field 'forecast': an object"),
        ("forecast: {season: 3}", "Send the field 'forecast.time'"),
        ("slices: {name: a}", "Expected for the field 'slices': a list"),
        ("card: []", "Expected for the field 'card': an object"),
        ("nonsense: 1", "Mend the field 'nonsense'"),
        ("behaviour: {tests: []}", "Expected for the field 'behaviour': a text; it was an object."),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_says_why(
    arkwright: Arkwright, model: str, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    done = arkwright("evaluate", model, "--spec", str(path))
    assert done.code != 0
    assert words in done.err


@pytest.mark.slow
def test_an_evaluation_reads_as_a_verdict_with_reasons_and_saves_what_was_asked_for(
    arkwright: Arkwright, served: Served, model: str, rows: Path, tmp_path: Path
) -> None:
    report, card, signed = tmp_path / "report.html", tmp_path / "card.md", tmp_path / "card.dsse.json"
    done = arkwright(
        "evaluate", f"{model}@1", "--data", str(rows), "--sensitive", "gender,SeniorCitizen", "--profile", "quick",
        "--fail-on", "conditional", "--report", str(report), "--card", str(card), "--signed-card", str(signed),
    )  # fmt: skip
    first = done.out.splitlines()[0]
    assert first.startswith("judged 1.0.0: "), done.err
    assert done.code == (0 if first.endswith(": go") else 1)
    for words in ("roc_auc", "95 % INTERVAL", "Fairness: ", "gender", "disparate impact ratio", "definition of done"):
        assert words in done.out
    assert "Evaluating: " in done.err
    assert report.read_text().startswith("<!doctype html>")
    assert "judged" in card.read_text()
    public = served.home / "keys" / "signing.pub"
    verified = arkwright("card", "verify", str(signed), "--key", str(public), "--readme", str(card))
    assert verified.code == 0, verified.err

    listed = arkwright("evaluation", "ls", model, "--json").document
    assert [item["data"] for item in listed] == ["new.csv"]
    shown = arkwright("evaluation", "show", listed[0]["id"])
    assert shown.out.splitlines()[0] == first


def test_without_waiting_the_job_is_named(arkwright: Arkwright, model: str) -> None:
    started = arkwright("evaluate", model, "--no-wait", "--profile", "quick", "--json")
    assert started.code == 0, started.err
    assert arkwright("job", "wait", started.document["job_id"]).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["no-such-model"], 4, "no-such-model"),
        (["judged@7"], 4, "judged"),
        (["judged", "--sensitive", "gendre"], 2, "gendre"),
        (["judged", "--data", "nowhere.csv"], 4, "nowhere.csv"),
        (["judged", "--bins", "age"], 2, "age"),
        (["judged", "--against", "1"], 2, "itself"),
        (["judged", "--report", "no/such/folder/r.html"], 4, "folder"),
        (["judged", "--behaviour", "nowhere.yaml"], 4, "nowhere.yaml"),
        (["judged", "--behaviour", "."], 2, "cannot be read: Is a directory"),
        (["judged", "--behaviour", "binary"], 2, "no text in UTF-8"),
        (["judged", "--behaviour", "huge"], 2, "larger than 1 MB"),
        (["judged", "--behaviour", "long"], 2, "behaviour"),
        (["judged", "--behaviour", "/dev/null/x"], 2, "cannot be read"),
        (["judged", "--spec", "."], 2, "cannot be read"),
        (["judged", "--spec", "binary"], 2, "no text in UTF-8"),
        (["judged", "--semantics", "gender"], 2, "'gender' does not say"),
        (["judged", "--semantics", "gender="], 2, "'gender=' does not say"),
        (["judged", "--semantics", "gendre=sex"], 2, "no column 'gendre'"),
        (["judged", "--semantics", "gender=sexe"], 2, "one of 'sex', 'race'"),
        (["judged", "--semantics", "gender=sex", "--semantics", "gender=race"], 2, "sex and race"),
        (["judged", "--report", "."], 2, "'.' is a folder"),
        (["judged@"], 2, "no version"),
        (["judged@1@2"], 4, "1@2"),
        (["@1"], 2, "no model"),
        ([""], 2, "no model"),
        (["../../etc"], 4, "../../etc"),
        (["judged\x00"], 2, "NUL"),
        (["judged", "--data", "."], 4, "'.' is no file"),
        (["judged", "--data", "empty.csv"], 2, "empty"),
        (["judged", "--sensitive", ","], 0, ""),
        (["judged", "--sensitive", "x" * 600], 2, "at most 500 characters"),
        (["judged", "--cost-fp", "1e300"], 2, "at most 1000000000000"),
        (["judged", "--seed", "99999999999999999999"], 2, "seed"),
    ],
)
def test_what_cannot_be_evaluated_is_explained(
    arkwright: Arkwright, model: str, arguments: list[str], code: int, said: str
) -> None:
    Path("binary").write_bytes(b"\x00\xff\xfe")
    Path("huge").write_bytes("ä".encode() * 600_000)
    Path("long").write_bytes(b"a: " + b"b" * 300_000)
    Path("empty.csv").touch()
    done = arkwright("evaluate", *arguments, "--no-wait")
    assert model
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    assert "Something went wrong" not in done.err
    assert "What to do" in done.err or not code


def test_a_version_is_addressed_by_number_or_stage() -> None:
    assert split_address("churn@1.0.1") == ("churn", "1.0.1")
    assert split_address("telco churn:canary") == ("telco churn", "canary")


@pytest.mark.parametrize("text", ["age", "age=", "=3", "age=old", "age=nan", "age=inf", "age=1e400,2"])
def test_bins_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_bins([text])


def test_a_column_whose_name_holds_a_comma_is_quoted() -> None:
    assert _names(['sex,"a b, c"', "race"]) == ["sex", "a b, c", "race"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ls", "no-such"], 4),
        (["ls", ""], 2),
        (["ls", "judged", "9"], 4),
        (["ls", "judged", "../1"], 4),
        (["ls", "judged", "\x00"], 2),
        (["show", "ev_no"], 4),
        (["show", ""], 2),
        (["show", "../../jobs"], 4),
        (["show", ".."], 2),
        (["show", "job_no"], 4),
        (["show", "ev_no", "--report", "."], 2),
        (["show", "ev_no", "--card", "no/such/folder/card.md"], 4),
    ],
)
def test_an_evaluation_that_is_none_is_explained(arkwright: Arkwright, model: str, arguments: list[str], code: int):
    done = arkwright("evaluation", *arguments)
    assert model
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert "Something went wrong" not in done.err
    assert "What to do" in done.err
