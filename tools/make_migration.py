"""Write the migration from the last revision's schema to the tables in the code.

Usage: tools/make_migration.py "what changed"
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

import arkwright
from arkwright.kit.db import Database

MIGRATIONS = Path(arkwright.__file__).parent / "kit" / "db" / "migrations"


def main(message: str) -> None:
    for module in pkgutil.walk_packages(arkwright.__path__, "arkwright."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/schema.db")
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        if any((MIGRATIONS / "versions").glob("*.py")):
            database.migrate()
        number = len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) + 1
        with database.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")


if __name__ == "__main__":
    main(sys.argv[1])
