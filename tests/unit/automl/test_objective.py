"""Reading objectives."""

import pytest

from arkwright.automl.objective import resolve_objective
from arkwright.core.errors import Invalid


@pytest.mark.parametrize(
    ("text", "task", "name"),
    [
        ("maximize_f1", "binary", "maximize_f1"),
        ("maximise_F1", "binary", "maximize_f1"),
        ("f1", "multiclass", "maximize_f1_macro"),
        ("maximize_auc", "binary", "maximize_roc_auc"),
        ("maximize_roc_auc", "multiclass", "maximize_roc_auc_ovr"),
        ("minimize_rmse", "regression", "minimize_rmse"),
        ("logloss", "multiclass", "minimize_log_loss"),
        ("", "binary", "maximize_roc_auc"),
        (None, "regression", "minimize_rmse"),
    ],
)
def test_objectives_are_read_in_the_ways_people_write_them(text, task, name):
    assert resolve_objective(text, task).name == name


@pytest.mark.parametrize(
    ("text", "task", "code"),
    [
        ("minimize_rmse", "binary", "objective.unknown"),
        ("maximize_profit", "regression", "objective.unknown"),
        ("minimize_f1", "binary", "objective.direction"),
        ("maximize", "binary", "objective.unknown"),
    ],
)
def test_an_objective_that_does_not_fit_is_refused_with_those_that_do(text, task, code):
    with pytest.raises(Invalid) as refusal:
        resolve_objective(text, task)
    assert refusal.value.code == code
    assert refusal.value.hint.startswith("Use")
