"""The row of an experiment. Its trials are MLflow runs and have no row here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class ExperimentRow(Scoped, Table):
    """A question put to the engine: a dataset version, a target, an objective and a budget.

    ``definition`` is what it is to show, as :class:`arkwright.automl.definition.Definition`, and ``outcome`` what it
    came to, as :class:`arkwright.automl.definition.Conclusion`. ``summary`` holds what came of the training: the column
    decisions, the leaderboard, the chosen candidate and where the model was registered.
    """

    __tablename__ = "experiments"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))
    task_type: Mapped[str] = mapped_column(String(20))  # auto until the job has looked at the target
    objective: Mapped[str] = mapped_column(String(60))
    dataset_id: Mapped[str] = mapped_column(String(40))
    dataset_version_id: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(String(200))
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    definition: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    status: Mapped[str] = mapped_column(String(20))  # created | running | succeeded | failed | cancelled
    job_id: Mapped[str | None] = mapped_column(String(40))
    tracking_experiment_id: Mapped[str | None] = mapped_column(String(60))
    summary: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
