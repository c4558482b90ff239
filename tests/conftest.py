"""Fixtures for every test: a migrated database in a folder of its own, a clock that stands still."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

import arkwright
from arkwright.bundles import LinearEvaluator, Predictor, fit_baseline, fit_encoder, measure_parity, write_bundle
from arkwright.contracts import Column, Signature
from arkwright.core.clock import FixedClock
from arkwright.core.context import DEFAULT_WORKSPACE_ID, Actor, Context
from arkwright.kit.db import Database
from arkwright.kit.objects import ObjectStore, WorkspaceObjects

# A slow machine is no failure.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")

EXAMPLES = Path(__file__).parent.parent / "examples"


def import_every_table() -> None:
    """Load each room's ``tables`` so that the metadata is whole."""
    for module in pkgutil.walk_packages(arkwright.__path__, "arkwright."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the current schema, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "arkwright.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.dispose()
    return path


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path, clock: FixedClock) -> Iterator[Database]:
    """A database of the test's own."""
    path = tmp_path / "arkwright.db"
    shutil.copy(migrated_sqlite, path)
    opened = Database(f"sqlite:///{path}", clock)
    yield opened
    opened.dispose()


@pytest.fixture
def context() -> Context:
    """The admin of the default workspace."""
    return Context(actor=Actor(id="user_test", kind="user"), workspace_id=DEFAULT_WORKSPACE_ID, request_id="req_test")


@pytest.fixture
def object_store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def objects(object_store: ObjectStore, context: Context) -> WorkspaceObjects:
    """The object store of the default workspace."""
    return object_store.for_workspace(context.workspace_id)


@pytest.fixture
def telco_csv() -> Path:
    return EXAMPLES / "telco_churn.csv"


LINEAGE = {"experiment_id": "exp_test", "dataset_version_id": "dsv_test", "run_id": "run_test"}
EVALUATION = {
    "metrics": {"roc_auc": {"value": 0.9, "low": 0.88, "high": 0.92}},
    "beats_baseline": {"met": True, "detail": "ROC AUC is 0.40 better than the majority model's."},
}


def small_bundle(folder: Path, weight: float = -0.05, **changes: object) -> str:
    """Write a small, real bundle that predicts ``churn`` from ``tenure`` and ``contract``; return its digest."""
    spec = (Column(name="tenure", kind="numeric"), Column(name="contract", kind="categorical"))
    columns = {
        "tenure": np.array([1.0, 12.0, np.nan, 60.0, 30.0, 5.0]),
        "contract": np.array(["month", "year", "month", None, "year", "month"], dtype=object),
    }
    signature = Signature(task="binary", target="churn", columns=spec, classes=("No", "Yes"), identifiers=("customer",))
    encoder = fit_encoder(spec, columns, layout="linear")
    evaluator = LinearEvaluator([weight] * encoder.n_outputs, 0.2, "sigmoid")
    predictor = Predictor(signature, encoder, evaluator)
    return write_bundle(
        folder,
        signature=signature,
        encoder=encoder,
        estimator=evaluator,
        baseline=fit_baseline(signature, columns, predictor.predict_columns(columns)),
        example_rows=[{"tenure": 1.0, "contract": "month"}],
        learner="logistic",
        parity=measure_parity(predictor, columns),
        **{"lineage": LINEAGE, "environment": {"python": "3.11"}, **changes},  # type: ignore[arg-type]
    )


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Write small bundles, each into a folder of its own."""

    def make(weight: float = -0.05, **changes: object) -> tuple[Path, str]:
        folder = tmp_path / f"bundle{weight}{len(changes)}"
        return folder, small_bundle(folder, weight, **changes)

    return make
