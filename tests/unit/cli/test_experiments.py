"""``arkwright train --spec`` and ``arkwright experiment show``: what a model is to show, and what it came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Arkwright
from tests.unit.sdk.served_platform import Served

from arkwright.automl.payloads import ExperimentDefinition
from arkwright.cli.experiments import _show_definition, _show_outcome
from arkwright.cli.training import _STATED
from arkwright.core.errors import Invalid
from arkwright.sdk import Client

pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.usefixtures("online")]
ROWS = "".join(["x,y\n", *(f"{row},{'yes' if row % 5 > 1 else 'no'}\n" for row in range(60))])
SPEC = """
hypothesis: The file's.
guardrails:
  - {metric: recall, tolerance: 0.01}
success_criteria:
  - {metric: precision, at_least: 0.6}
minimum_improvement: 0.01
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "challenger.yaml"
    path.write_text(SPEC)
    return path


def test_all_that_an_experiment_can_state_may_be_in_the_file() -> None:
    assert set(ExperimentDefinition.model_fields) == _STATED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "states nothing"),
        ("a: [", "is not valid YAML"),
        ("card: {license: mine}", "sets 'card', which is not stated before a training"),
        ("primary_metric: f1", "The primary metric is --objective"),
        ("guardrails: [{metric: recal}]", "no one task has"),
        ("guardrails: recall", "guardrails"),
        ("baseline_model: nobody@1", "nobody"),
    ],
    ids=["list", "yaml", "key", "primary", "metric", "type", "baseline"],
)
def test_a_definition_that_cannot_be_used_says_why(
    arkwright: Arkwright, table: Path, spec: Path, text: str, words: str
) -> None:
    spec.write_text(text)
    done = arkwright("train", str(table), "--target", "y", "--spec", str(spec))
    assert done.code in (2, 4), done.err
    assert words in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_what_the_command_line_says_goes_before_the_file(
    arkwright: Arkwright, table: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def start(_client: Client, _source: str, **options: Any) -> None:
        asked.update(options)
        raise Invalid("Far enough.")

    monkeypatch.setattr(Client, "start_training", start)
    arkwright("train", str(table), "--target", "y", "--spec", str(spec), "--hypothesis", " Mine. ")
    assert asked["definition"] == {
        "hypothesis": "Mine.",
        "guardrails": [{"metric": "recall", "tolerance": 0.01}],
        "success_criteria": [{"metric": "precision", "at_least": 0.6}],
        "minimum_improvement": 0.01,
    }


def test_an_experiment_is_shown_with_what_it_is_to_show(arkwright: Arkwright, served: Served, table: Path) -> None:
    with Client(served.url, served.key) as client:
        job = client.jobs.wait(client.datasets.ingest(table, name="defined")["job_id"])
        created = client.experiments.create(
            dataset_id=job["result"]["dataset_id"],
            target="y",
            task_type="binary",
            definition={
                "hypothesis": "Fewer false alarms.",
                "guardrails": [{"metric": "recall", "tolerance": 0.01}, {"metric": "f1"}],
                "success_criteria": [{"metric": "precision", "at_least": 0.6, "at_most": 0.9}],
            },
        )
    shown = arkwright("experiment", "show", created["experiment_id"])
    for words in (
        "defined version 1", "Fewer false alarms.", "roc_auc", "recall not worse by more than 0.01; f1 not worse",
        "precision at least 0.6 and at most 0.9", "None: The experiment has not ended.",
    ):  # fmt: skip
        assert words in shown.out
    assert "OUTCOME" in arkwright("experiment", "ls").out
    document = arkwright("experiment", "show", created["experiment_id"], "--json").document
    assert document["definition"]["dataset_version"] == 1
    assert (document["outcome"], document["outcome_note"]) == (None, "The experiment has not ended.")


def test_an_outcome_reads_as_what_it_came_to_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = {
        "status": "iterate", "recommendation": "ITERATE", "primary_metric": "roc_auc", "baseline_model": "churn 1.0.0",
        "statistical_significance": 0.0312, "comparison_summary": "Area under the ROC curve is better.",
        "recommendation_rationale": "1 success criterion is not met.", "evaluation_id": "ev_1",
        "completed_at": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    _show_outcome({"outcome": outcome, "outcome_note": ""})
    told = capsys.readouterr().out
    for words in ("iterate", "churn 1.0.0", "1 success criterion is not met.", "0.0312 (roc_auc, adjusted)", "ev_1"):
        assert words in told
    nothing = {"hypothesis": "", "primary_metric": "", "guardrails": [], "success_criteria": [], "margin": 0.0}
    by_default = {"baseline_model": "churn 1.0.0", "baseline_stated": False, "minimum_improvement": 0.0}
    _show_definition({**nothing, **by_default})
    assert "churn 1.0.0 (in production when it was created)" in capsys.readouterr().out
