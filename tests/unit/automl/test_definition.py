"""What an experiment is to show: looked at when it is created, kept, logged, and told to whoever evaluates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from arkwright.access.tables import AuditRow
from arkwright.automl.definition import NO_MODEL, NOT_EVALUATED, NOT_RUN, Conclusion, Definition, read_definition
from arkwright.automl.logbook import KIND_TAG, SEARCH_KIND
from arkwright.automl.payloads import CreateExperiment
from arkwright.core.errors import Invalid, NotFound
from arkwright.evaluation import Criterion, Guardrail, StatedDefinition, TrainingEffort
from tests.unit.shelf import Shelf

ROWS = [{"tenure": row, "churn": "Yes" if row % 5 > 1 else "No", "price": row % 13} for row in range(80)]
STATED = {
    "hypothesis": " Fewer false alarms. ",
    "guardrails": [{"metric": "recall", "tolerance": 0.01}],
    "success_criteria": [{"metric": "precision", "at_least": 0.6}],
    "minimum_improvement": 0.01,
}
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def dataset(lab):
    return lab.ingest(ROWS, "table")


@pytest.fixture
def shelf(lab, make_bundle):
    units = lab.database.bound(lab.context)
    return Shelf(lab.registry, lab.governance, lab.tracking, lab.registry.bundles, lab.database, units, make_bundle)


@pytest.fixture
def versions(shelf):
    """Two versions of the model ``m`` that predict churn; the first is in production."""
    first, second = (shelf.register(shelf.stored(weight=weight), "m") for weight in (-0.05, -0.06))
    shelf.promote(first)
    return first, second


def create(lab, dataset, definition, **wanted):
    request = CreateExperiment(**{"dataset_id": dataset, "target": "churn", **wanted}, definition=definition)
    with lab.database.write(lab.context) as unit:
        return lab.experiments.create(unit, request)


def defined(*args, **wanted):
    return read_definition(create(*args, **wanted).definition)


def read(lab, experiment_id):
    with lab.database.read(lab.context) as unit:
        return lab.experiments.get(unit, experiment_id)


def test_a_definition_is_kept_with_the_data_it_is_about(lab, dataset):
    row = create(lab, dataset, STATED, task_type="binary")
    kept = read_definition(read(lab, row.id).definition)
    assert (kept.hypothesis, kept.dataset, kept.dataset_version) == ("Fewer false alarms.", "table", 1)
    assert (kept.baseline, kept.baseline_stated) == ("", False)
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.definition_of(unit, row.id) == StatedDefinition(
            hypothesis="Fewer false alarms.",
            guardrails=(Guardrail(metric="recall", tolerance=0.01),),
            criteria=(Criterion(metric="precision", at_least=0.6),),
            minimum_improvement=0.01,
        )
        assert lab.experiments.definition_of(unit, "exp_00000000000000000000000000") is None


@pytest.mark.parametrize(
    ("task", "objective", "metric"),
    [("binary", "", "roc_auc"), ("auto", "", ""), ("auto", "minimize_rmse", "rmse"), ("auto", "maximize_f1", "")],
)
def test_the_primary_metric_is_the_objectives_as_soon_as_it_is_certain(lab, dataset, task, objective, metric):
    row = create(lab, dataset, {}, task_type=task, objective=objective)
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.primary_metric(unit, row) == metric


@pytest.mark.parametrize(
    ("definition", "task", "words"),
    [
        ({"guardrails": [{"metric": "recal"}]}, "binary", "'recal' is no metric of a binary model"),
        ({"success_criteria": [{"metric": "rmse", "at_most": 3}]}, "classification", "no one task has"),
        ({"guardrails": [{"metric": "rmse"}, {"metric": "recall"}]}, "auto", "no one task has"),
    ],
    ids=["unknown", "other-task", "two-tasks"],
)
def test_metrics_that_the_model_cannot_have_are_refused_before_anything_runs(lab, dataset, definition, task, words):
    with pytest.raises(Invalid, match=words) as refused:
        create(lab, dataset, definition, task_type=task)
    assert refused.value.code == "evaluation.metric"
    assert refused.value.hint


def test_a_metric_that_does_not_suit_the_task_that_was_found_ends_the_training_at_once(lab, dataset):
    job = lab.train(dataset, "churn", definition={"guardrails": [{"metric": "rmse"}]})
    assert (job.status, job.error["code"]) == ("failed", "evaluation.metric")
    row = read(lab, job.subject_id)
    assert (row.status, row.tracking_experiment_id) == ("failed", None)
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.why_no_outcome(unit, row) == NO_MODEL


def test_the_baseline_is_the_version_in_production_unless_somebody_names_another(lab, dataset, versions):
    first, second = versions
    by_default = defined(lab, dataset, {}, config={"model_name": "m"})
    assert (by_default.baseline, by_default.baseline_version_id) == ("m 1.0.0", first.id)
    assert not by_default.baseline_stated
    assert by_default.stated.baseline_version_id == ""
    assert defined(lab, dataset, {"baseline_model": " "}, config={"model_name": "m"}) == by_default
    assert defined(lab, dataset, {}, config={"model_name": "other"}).baseline == ""
    for address, expected in {"m": first, "m@1": first, f"m@{second.semver}": second, second.id: second}.items():
        named = defined(lab, dataset, {"baseline_model": address})
        assert named.baseline_version_id == named.stated.baseline_version_id == expected.id


def test_a_baseline_that_cannot_be_compared_with_is_refused(lab, dataset, versions, shelf):
    with shelf.units.write() as unit:
        lab.registry.ensure(unit, "empty")
    for missing in ("nobody", "m@7", "mv_00000000000000000000000000"):
        with pytest.raises(NotFound):
            create(lab, dataset, {"baseline_model": missing})
    with pytest.raises(Invalid, match="'empty' has no version to compare with"):
        create(lab, dataset, {"baseline_model": "empty"})
    with pytest.raises(Invalid, match="answers another question: it predicts 'churn'"):
        create(lab, dataset, {"baseline_model": "m"}, target="price")
    with pytest.raises(Invalid, match="answers another question"):
        create(lab, dataset, {"baseline_model": versions[1].id}, task_type="multiclass")
    # One that nobody named is left out instead.
    assert defined(lab, dataset, {}, target="price", config={"model_name": "m"}).baseline == ""


@pytest.mark.usefixtures("versions")
def test_a_baseline_with_other_classes_ends_the_training_at_once(lab):
    other = lab.ingest([{**row, "churn": {"Yes": "yes", "No": "never"}[row["churn"]]} for row in ROWS], "other")
    job = lab.train(other, "churn", definition={"baseline_model": "m"})
    assert (job.status, job.error["code"]) == ("failed", "experiment.baseline")
    assert "its task or its classes differ" in job.error["detail"]


@pytest.mark.usefixtures("versions")
def test_the_search_is_logged_with_what_it_is_to_show_and_what_it_took_is_kept(lab, dataset):
    config = {"hpo": {"max_trials": 1}, "model_name": "m"}
    job = lab.train(dataset, "churn", definition=STATED, config=config)
    assert job.status == "succeeded", job.error
    row = read(lab, job.subject_id)
    (run,) = lab.tracking.list_trials("default", row.tracking_experiment_id, tags={KIND_TAG: SEARCH_KIND})
    assert run.params == {
        "experiment_id": row.id,
        "experiment_name": row.name,
        "hypothesis": "Fewer false alarms.",
        "dataset_version": "table version 1",
        "baseline_model": "m 1.0.0",
        "guardrails": '[{"metric": "recall", "tolerance": 0.01}]',
        "success_criteria": '[{"metric": "precision", "at_least": 0.6}]',
        "minimum_improvement": "0.01",
        "primary_metric": "roc_auc",
        "created_at": "2026-01-02T03:04:05.000Z",
        "created_by": "user_test",
    }
    assert run.tags["status"] == "succeeded"
    lineage = lab.registry.bundles.load(lab.context.workspace_id, job.result["bundle_digest"]).manifest.lineage
    with lab.database.read(lab.context) as unit:
        effort = lab.experiments.effort_of(unit, lineage)
        assert lab.experiments.why_no_outcome(unit, row) == NOT_EVALUATED
    assert effort.seconds > job.result["final"]["seconds"] > 0
    assert effort.processors >= 1


def ended(lab, dataset, **summary):
    """An experiment whose training has ended."""
    row = create(lab, dataset, STATED)
    with lab.database.read(lab.context) as unit:
        assert lab.experiments.why_no_outcome(unit, row) == NOT_RUN
    with lab.database.write(lab.context) as unit:
        row = lab.experiments.get(unit, row.id)
        row.status, row.job_id, row.summary = "succeeded", "job_1", {"model_version_id": "mv_1", **summary}
    return row.id


def test_what_a_training_took_is_known_of_its_own_bundle_only(lab, dataset):
    known = ended(lab, dataset, effort={"seconds": 12.5, "processors": 4})
    older = ended(lab, dataset)
    with lab.database.read(lab.context) as unit:
        effort_of = lab.experiments.effort_of
        assert effort_of(unit, {"experiment_id": known, "job_id": "job_1"}) == TrainingEffort(
            seconds=12.5, processors=4
        )
        assert effort_of(unit, {"experiment_id": known, "job_id": "job_of_before"}) is None
        assert effort_of(unit, {"experiment_id": older, "job_id": "job_1"}) is None
        assert effort_of(unit, {}) is None


def test_the_newest_evaluation_with_a_comparison_is_what_an_experiment_came_to(lab, dataset):
    experiment_id = ended(lab, dataset)

    def conclude(hours, status, job_id="job_1"):
        found = Conclusion(
            evaluation_id=f"ev_{hours}",
            model_version_id="mv_1",
            completed_at=MOMENT + timedelta(hours=hours),
            status=status,
            reason="" if status else "There is no version to compare with.",
        )
        with lab.database.write(lab.context) as unit:
            lab.experiments.conclude(unit, experiment_id, job_id, found)
        with lab.database.read(lab.context) as unit:
            row = lab.experiments.get(unit, experiment_id)
            outcome = lab.experiments.outcome(row)
            return outcome.status if outcome else lab.experiments.why_no_outcome(unit, row)

    assert conclude(1, "") == "There is no version to compare with."
    assert conclude(2, "iterate") == "iterate"
    assert conclude(2, "iterate") == "iterate"
    assert conclude(4, "promoted") == "promoted"
    assert conclude(3, "rejected") == "promoted"
    assert conclude(5, "") == "promoted"
    assert conclude(6, "rejected", job_id="job_of_before") == "promoted"
    kept = lab.experiments.outcome(read(lab, experiment_id))
    assert (kept.evaluation_id, kept.completed_at) == ("ev_4", MOMENT + timedelta(hours=4))
    with lab.database.read(lab.context) as unit:
        recorded = select(func.count()).where(AuditRow.action == "experiment.conclude")
        assert unit.session.scalar(recorded) == 3, "what changed nothing is recorded"


def test_a_number_is_logged_as_it_was_stated():
    assert Definition(margin=1234567.25, minimum_improvement=0.5).params == {
        "margin": "1234567.25",
        "minimum_improvement": "0.5",
    }


def test_an_experiment_from_before_definitions_states_nothing():
    assert read_definition({}).stated == StatedDefinition()
    assert read_definition({}).params == {}
