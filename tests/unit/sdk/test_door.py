"""The SDK's door."""

from __future__ import annotations

import subprocess
import sys

import arkwright.sdk


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_every_public_name_can_be_had() -> None:
    assert {name: getattr(arkwright.sdk, name).__name__ for name in arkwright.sdk.__all__} == {
        name: name for name in arkwright.sdk.__all__
    }


def test_the_client_loads_no_server_no_database_and_no_data_frame() -> None:
    loaded = loaded_by("from arkwright.sdk import Client; Client('http://127.0.0.1:1', 'key').close()")
    assert loaded.isdisjoint({"pandas", "mlflow", "sqlalchemy", "sklearn", "fastapi", "pydantic", "pyarrow", "numpy"})


def test_the_door_itself_loads_not_even_the_http_client() -> None:
    assert "httpx" not in loaded_by("import arkwright.sdk")
