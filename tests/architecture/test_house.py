"""The rules of the house that import-linter cannot check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "arkwright"
ROOMS = {
    "access", "tenancy", "governance", "data", "features", "tracking", "evaluation", "automl", "registry",
    "deployments", "monitoring",
}  # fmt: skip
ANATOMY = {"__init__", "routes", "jobs", "service", "repository", "tables", "payloads", "ports", "errors"}
OPEN_TO_ALL = {"ports", "errors"}
OPEN_TO_SERVER = {"routes", "jobs"}
IMPURE = {
    "sqlalchemy", "alembic", "fastapi", "starlette", "fsspec", "httpx", "dbos", "mlflow", "socket", "subprocess",
    "requests", "threading", "asyncio",
}  # fmt: skip
# Files of a room that do I/O on purpose and are neither routes, jobs, service nor repository.
WORKING_FILES = {
    "access/audit.py": "writes the chain",
    "access/authorisation.py": "reads the unit's actor",
    "tenancy/first_start.py": "creates the first workspace",
    "automl/arrays.py": "arrays in files, between processes",
    "automl/logbook.py": "times of trials",
    "automl/pool.py": "training processes",
    "automl/worker.py": "a training process",
    "registry/bundle_store.py": "files in the object store",
    "registry/compiler.py": "a compiling process",
    "registry/compiling.py": "a compiling process",
    "registry/model_folder.py": "a model's files",
    "registry/promotion.py": "an outbox subscriber",
    "registry/unpacking.py": "an uploaded archive",
    "deployments/batch_pool.py": "scoring processes",
    "deployments/batch_routes.py": "batches over HTTP",
    "deployments/batch_worker.py": "a scoring process",
    "deployments/publishing.py": "an outbox subscriber",
}
MAX_LINES_OF_CODE = 600
GENERATED = {SOURCE / "sdk" / "types.py"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_rooms_are_entered_by_their_doors() -> None:
    offences = []
    for path, tree in modules():
        floor = path.relative_to(SOURCE).parts[0]
        for name in imported(tree):
            parts = name.split(".")
            if len(parts) < 3 or parts[0] != "arkwright" or parts[1] not in ROOMS or parts[1] == floor:
                continue
            inside = parts[2]
            is_module = (SOURCE / parts[1] / f"{inside}.py").exists() or (SOURCE / parts[1] / inside).is_dir()
            if not is_module or inside in OPEN_TO_ALL or (floor == "server" and inside in OPEN_TO_SERVER):
                continue
            offences.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert offences == []


def test_noun_files_do_no_input_or_output() -> None:
    offences = []
    for path, tree in modules():
        parts = path.relative_to(SOURCE).parts
        relative = "/".join(parts)
        if parts[0] not in ROOMS or path.stem in ANATOMY or relative in WORKING_FILES:
            continue
        offences += [f"{relative} imports {name}" for name in imported(tree) if name.split(".")[0] in IMPURE]
        text = path.read_text(encoding="utf-8")
        if re.search(r"datetime\.now\(|time\.time\(|\bopen\(", text):
            offences.append(f"{relative} reads the clock or a file")
    assert "\n".join(offences) == ""


def test_working_files_still_exist() -> None:
    assert [name for name in WORKING_FILES if not (SOURCE / name).exists()] == []


def test_no_file_is_longer_than_six_hundred_lines_of_code() -> None:
    def lines_of_code(path: Path) -> int:
        return sum(
            1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line.strip()[0] != "#"
        )

    written = [path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts and path not in GENERATED]
    long = {str(path): lines_of_code(path) for path in written}
    assert {name: count for name, count in long.items() if count > MAX_LINES_OF_CODE} == {}


def test_there_are_no_attics() -> None:
    attics = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
    assert [str(path) for path in SOURCE.rglob("*.py") if path.stem in attics or path.stem.startswith("base_")] == []


def test_rooms_use_the_orm_only() -> None:
    """Core and text statements cannot be scoped to a workspace; see kit/db/scoping.py."""
    offences = []
    for path, tree in modules():
        relative = path.relative_to(SOURCE).as_posix()
        if relative.startswith(("kit/db/", "kit/jobs/")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
                names = {alias.name for alias in node.names}
                offences += [f"{relative} imports sqlalchemy.{name}" for name in names & {"text", "table", "insert"}]
            if isinstance(node, ast.Attribute) and (
                node.attr in {"__table__", "exec_driver_sql"} or node.attr.startswith("bulk_")
            ):
                offences.append(f"{relative}:{node.lineno} uses {node.attr}")
    assert offences == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_says_what_it_is_for(room: str) -> None:
    tree = ast.parse((SOURCE / room / "__init__.py").read_text(encoding="utf-8"))
    assert len((ast.get_docstring(tree) or "").split()) >= 8


def test_every_table_is_scoped_or_listed_as_global() -> None:
    from tests.conftest import import_every_table

    from arkwright.kit.db import GLOBAL_TABLES, Scoped, Table

    import_every_table()
    unscoped = {mapper.local_table.name for mapper in Table.registry.mappers if not issubclass(mapper.class_, Scoped)}
    assert unscoped <= GLOBAL_TABLES


def test_scoped_tables_have_composite_keys() -> None:
    from tests.conftest import import_every_table

    from arkwright.kit.db import Scoped, Table

    import_every_table()
    offences = []
    for mapper in Table.registry.mappers:
        if not issubclass(mapper.class_, Scoped):
            continue
        table = mapper.local_table
        if "workspace_id" not in table.primary_key.columns:
            offences.append(table.name)
        offences += [
            f"{table.name}.{key.name}"
            for key in table.foreign_key_constraints
            if issubclass_scoped(key.referred_table.name) and "workspace_id" not in key.column_keys
        ]
    assert offences == []


def issubclass_scoped(table_name: str) -> bool:
    from arkwright.kit.db import GLOBAL_TABLES

    return table_name not in GLOBAL_TABLES
