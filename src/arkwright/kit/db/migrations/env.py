"""Alembic's entry: runs the migrations on the connection that ``Database.migrate`` hands over."""

from typing import Any, Literal

from alembic import context

from arkwright.kit.db.tables import Table, UtcDateTime


def render_item(kind: str, item: Any, _autogenerate_context: Any) -> str | Literal[False]:
    """Write our types as what the database knows, so that a migration never depends on code that may change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
