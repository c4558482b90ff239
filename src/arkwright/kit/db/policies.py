"""Row-level security on PostgreSQL: the second lock behind :mod:`arkwright.kit.db.scoping`.

Superusers and roles with BYPASSRLS ignore row-level security, so a connection that logs in as one of those
steps down to ``arkwright_app``, a role without log-in that the migrations create.
"""

from __future__ import annotations

from collections.abc import Iterable

APP_ROLE = "arkwright_app"

_OWN = "workspace_id = nullif(current_setting('app.workspace', true), '')"


def row_level_security(tables: Iterable[str]) -> list[str]:
    """Return the statements that close scoped tables to every other workspace."""
    statements = []
    for table in tables:
        statements += [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
            f'DROP POLICY IF EXISTS own_workspace ON "{table}"',
            f'CREATE POLICY own_workspace ON "{table}" USING ({_OWN}) WITH CHECK ({_OWN})',
        ]
    return statements


def application_role(append_only: Iterable[str]) -> list[str]:
    """Return the statements that create the application's role and give it what it needs, no more."""
    statements = [
        f"""DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN CREATE ROLE {APP_ROLE} NOLOGIN; END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$""",
        f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_ROLE}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}",
    ]
    statements += [f'REVOKE UPDATE, DELETE ON "{table}" FROM {APP_ROLE}' for table in append_only]
    return statements
