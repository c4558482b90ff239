"""Opening, migrating and using the control plane's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from arkwright.core.clock import Clock, SystemClock
from arkwright.core.context import SYSTEM, Context
from arkwright.core.errors import Conflict, Unavailable
from arkwright.kit.db.engines import open_engine
from arkwright.kit.db.scoping import ScopedSession
from arkwright.kit.db.unit import UnitOfWork

_MIGRATIONS = Path(__file__).parent / "migrations"
_NO_WORKSPACE = Context(actor=SYSTEM, workspace_id="")


class Units(Protocol):
    """Something that opens units of work in one workspace: for work that spans several commits.

    A job's run is one, and so is a :class:`BoundDatabase`.
    """

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """Open a unit of work that only reads."""
        ...

    def write(self) -> AbstractContextManager[UnitOfWork]:
        """Open a unit of work that commits."""
        ...


class Database:
    """The control plane's database.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql://...``.
    clock
        Source of time for everything that happens in a unit of work.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = url
        self.clock = clock or SystemClock()
        self.engine: Engine = open_engine(url)
        self._writer: Engine = self.engine.execution_options(sqlite_begin="IMMEDIATE")

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextmanager
    def read(self, context: Context) -> Iterator[UnitOfWork]:
        """Open a unit of work that only reads; an attempt to write raises."""
        info = {"workspace_id": context.workspace_id, "read_only": True}
        with self._translated(), ScopedSession(self.engine, autoflush=False, info=info) as session:
            yield UnitOfWork(context=context, session=session, clock=self.clock)

    @contextmanager
    def write(self, context: Context) -> Iterator[UnitOfWork]:
        """Open a unit of work that commits when the block ends, and rolls back when it raises."""
        with (
            self._translated(),
            ScopedSession(self._writer, expire_on_commit=False, info={"workspace_id": context.workspace_id}) as session,
        ):
            unit = UnitOfWork(context=context, session=session, clock=self.clock)
            yield unit
            session.commit()
        unit.committed()

    def bound(self, context: Context) -> BoundDatabase:
        """Return the database as one actor in one workspace sees it, for work in several commits."""
        return BoundDatabase(self, context)

    @contextmanager
    def read_global(self) -> Iterator[UnitOfWork]:
        """Open a unit of work for global tables; scoped tables raise."""
        with self.read(_NO_WORKSPACE) as unit:
            yield unit

    @contextmanager
    def write_global(self) -> Iterator[UnitOfWork]:
        """Open a writing unit of work for global tables; scoped tables raise."""
        with self.write(_NO_WORKSPACE) as unit:
            yield unit

    def migrate(self) -> None:
        """Bring the schema to this version of Arkwright.

        Raises
        ------
        Conflict
            If the database was written by a newer version.
        Unavailable
            If the database cannot be reached.
        """
        engine = open_engine(self.url, step_down=False)
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.set_main_option("path_separator", "os")
        script = ScriptDirectory.from_config(config)
        try:
            with self._translated(), engine.connect() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
                connection.rollback()
                if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
                    raise Conflict(
                        f"The database was written by a newer version of Arkwright (schema {current}).",
                        code="database.newer",
                        hint="Upgrade Arkwright, or start with another --home.",
                    )
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        finally:
            engine.dispose()

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn a database that cannot be used right now into a problem the caller can act on."""
        try:
            yield
        except OperationalError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OperationalError) -> Unavailable:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else "unknown"
        # A query such as ?password=... is no part of what a reader needs.
        where = self.engine.url.set(query={}).render_as_string(hide_password=True)
        if "full" in reason:
            return Unavailable(
                f"There is no space left for the database {where}; nothing was written.",
                code="disk.full",
                hint="Free some space and try again.",
                retry_after_seconds=60,
            )
        return Unavailable(
            f"The database {where} cannot be used: {reason}.",
            code="database.unavailable",
            hint="Check that the server runs and that ARKWRIGHT_DATABASE_URL is right; `arkwright doctor` tests it.",
        )


class BoundDatabase:
    """A database and a context: opens units of work without being told again for whom."""

    def __init__(self, database: Database, context: Context) -> None:
        self._database = database
        self._context = context

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """Open a unit of work that only reads."""
        return self._database.read(self._context)

    def write(self) -> AbstractContextManager[UnitOfWork]:
        """Open a unit of work that commits."""
        return self._database.write(self._context)
