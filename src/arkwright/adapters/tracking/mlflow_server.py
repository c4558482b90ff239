"""``python -m arkwright.adapters.tracking.mlflow_server``: MLflow's server on a unix socket.

MLflow creates its tables in many commits, and a database whose creation was cut short is refused at every later start.
So a new SQLite file is made beside its place and renamed when it is whole: a ``kill -9`` during the first start costs
a second start, not the home.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

_SQLITE = "sqlite"
_PARTS = ("", "-journal", "-wal", "-shm")


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="arkwright.adapters.tracking.mlflow_server")
    parser.add_argument("--uds", required=True, help="Path of the unix socket.")
    arguments = parser.parse_args()
    create_database(os.environ["_MLFLOW_SERVER_FILE_STORE"])
    uvicorn.run("mlflow.server.fastapi_app:app", uds=arguments.uds, access_log=False)


def create_database(url: str) -> bool:
    """Create MLflow's SQLite file, whole or not at all; return whether there was none.

    Parameters
    ----------
    url
        ``sqlite:///path``; databases of a server are left to MLflow.
    """
    if urlsplit(url).scheme != _SQLITE:
        return False
    path = Path(url.removeprefix(f"{_SQLITE}:///"))
    if path.exists():
        return False
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine  # noqa: PLC0415

    partial = path.with_name(f"{path.name}.new")
    for part in _PARTS:
        partial.with_name(partial.name + part).unlink(missing_ok=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    engine = create_sqlalchemy_engine(f"{_SQLITE}:///{partial}")  # type: ignore[no-untyped-call]
    try:
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
    partial.replace(path)
    return True


if __name__ == "__main__":
    main()
