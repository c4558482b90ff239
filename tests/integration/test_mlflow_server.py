"""MLflow's database comes to be whole, or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from arkwright.adapters.tracking.mlflow_server import create_database


def test_what_a_killed_first_start_left_is_made_anew(tmp_path: Path) -> None:
    url, place = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "mlflow.db"
    with closing(sqlite3.connect(tmp_path / "mlflow.db.new")) as half:
        half.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    assert create_database(url)
    with closing(sqlite3.connect(place)) as whole:
        (revision,) = whole.execute("SELECT version_num FROM alembic_version").fetchone()
        assert whole.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert revision
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert not create_database(url)


def test_the_database_of_a_server_is_left_to_mlflow() -> None:
    assert not create_database("postgresql://127.0.0.1:1/none")
