"""What may be loaded by importing what: measured in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "mlflow", "sqlalchemy", "sklearn", "lightgbm", "fastapi", "alembic", "dbos", "optuna", "scipy")
ROOMS = ("access", "tenancy", "governance", "data", "features", "tracking", "registry", "evaluation", "automl")
LATE_ROOMS = ("deployments", "monitoring", "bundles", "contracts", "core", "sdk")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("room", [*ROOMS, *LATE_ROOMS])
def test_opening_a_room_s_door_loads_nothing_heavy(room: str) -> None:
    assert loaded_by(f"import arkwright.{room}").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module", ["arkwright.serving", "arkwright.front", "arkwright.serving.app", "arkwright.front.edge"]
)
def test_the_data_plane_and_the_edge_load_no_framework_and_no_database(module: str) -> None:
    assert loaded_by(f"import {module}").isdisjoint(HEAVY)


def test_the_command_line_s_help_loads_nothing_heavy() -> None:
    statement = (
        "from arkwright.cli import main\n"
        "sys.argv = ['arkwright', '--help']\n"
        "import contextlib, io\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main()"
    )
    assert loaded_by(statement).isdisjoint((*HEAVY, "httpx", "numpy"))


def test_monitoring_s_formulas_load_no_database() -> None:
    loaded = loaded_by("from arkwright.monitoring import population_stability_index")
    assert loaded.isdisjoint({"sqlalchemy", "fastapi", "pandas", "sklearn"})
