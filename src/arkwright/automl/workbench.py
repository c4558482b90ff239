"""The rows of one training: read from the dataset version, split as planned, laid out for the processes.

The arrays live in a folder on this machine while the job runs. When another process takes the job over they are
laid out anew, from the plan and from the fold numbers that were stored with it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.automl.payloads import ExperimentConfig
from arkwright.automl.plan import Request, TrainingPlan, make_plan, wants_balance
from arkwright.automl.problem import ProblemFolder
from arkwright.automl.tables import ExperimentRow
from arkwright.automl.task import encode_target
from arkwright.data import DatasetService
from arkwright.features import infer_feature_types, to_columns, to_labels
from arkwright.kit.db import Units
from arkwright.kit.objects import WorkspaceObjects


class Workbench:
    """Rows, plan and folder of one training.

    Parameters
    ----------
    units
        To read the dataset with.
    objects
        Where fold numbers and out-of-fold scores are kept.
    prefix
        Key prefix of this training there.
    path
        A folder of its own on this machine.
    """

    def __init__(
        self,
        units: Units,
        datasets: DatasetService,
        objects: WorkspaceObjects,
        experiment: ExperimentRow,
        *,
        prefix: str,
        path: Path,
    ) -> None:
        self._units = units
        self._datasets = datasets
        self._objects = objects
        self._experiment = experiment
        self._prefix = prefix
        self._folder = ProblemFolder(path)

    def plan(self) -> TrainingPlan:
        """Decide what is going to be done, and store which row is in which fold."""
        row = self._experiment
        config = ExperimentConfig.model_validate(row.config)
        with self._units.read() as unit:
            version = self._datasets.version_by_id(unit, row.dataset_version_id)
            profile = self._datasets.profile(unit, version.id)
            column_type = next(column["type"] for column in version.schema if column["name"] == row.target)
        decisions = infer_feature_types(
            profile, target=row.target, overrides=config.feature_types, ignore=config.ignore_columns
        )
        request = Request(
            target=row.target,
            column_type=column_type,
            task=row.task_type,  # type: ignore[arg-type]  # one of the payload's values
            objective=row.objective,
            folds=config.cv.folds,
            stratified=None if config.cv.type is None else config.cv.type == "stratified_kfold",
            seed=config.cv.seed,
            balanced=wants_balance(config.imbalance),
            positive_class=config.positive_class,
        )
        planned = make_plan(request, decisions, self._labels())
        self._put_array("folds.npy", planned.folds)
        return planned.plan

    def lay_out(self, plan: TrainingPlan) -> ProblemFolder:
        """Write the arrays for the training processes, once in the life of this process."""
        if (self._folder.path / "problem.json").exists():
            return self._folder
        rows, target = encode_target(self._labels(), plan.decision)
        names = [column.name for column in plan.problem.columns]
        with self._units.read() as unit:
            table = self._datasets.load_table(unit, self._experiment.dataset_version_id, names)
        columns = to_columns(table, plan.problem.columns)
        folds = np.load(io.BytesIO(self._objects.get_bytes(f"{self._prefix}/folds.npy")))
        self._folder.write(plan.problem, {name: columns[name][rows] for name in names}, target, folds)
        return self._folder

    def dataset_rows(self, plan: TrainingPlan) -> npt.NDArray[np.int64]:
        """Return which rows of the dataset version the training's rows are: those with a target."""
        return encode_target(self._labels(), plan.decision)[0]

    def keep_out_of_fold(self, name: str, scores: npt.NDArray[np.float64]) -> None:
        """Store a trial's out-of-fold scores."""
        self._put_array(f"trials/{name}/oof.npy", scores)

    def _labels(self) -> npt.NDArray[Any]:
        row = self._experiment
        with self._units.read() as unit:
            table = self._datasets.load_table(unit, row.dataset_version_id, [row.target])
        return to_labels(table.column(row.target))

    def _put_array(self, key: str, values: npt.NDArray[Any]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, values)
        self._objects.put_bytes(f"{self._prefix}/{key}", buffer.getvalue())
