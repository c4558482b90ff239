"""The database: sessions that know their workspace, and tables that cannot be read without one.

SQLite (WAL) and PostgreSQL. Rooms use the ORM only; the scoping is applied here and nowhere else.
"""

from arkwright.kit.db.database import BoundDatabase, Database, Units
from arkwright.kit.db.failures import database_problem
from arkwright.kit.db.outbox_table import OutboxRow
from arkwright.kit.db.tables import GLOBAL_TABLES, Json, Scoped, Table, UtcDateTime
from arkwright.kit.db.unit import UnitOfWork

__all__ = [
    "GLOBAL_TABLES",
    "BoundDatabase",
    "Database",
    "Json",
    "OutboxRow",
    "Scoped",
    "Table",
    "UnitOfWork",
    "Units",
    "UtcDateTime",
    "database_problem",
]
