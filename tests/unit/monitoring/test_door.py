from __future__ import annotations

import subprocess
import sys

import pytest

import arkwright.monitoring as door


@pytest.mark.parametrize("name", door.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(door, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = door.nothing


def test_the_statistics_load_no_database_and_no_web_framework() -> None:
    code = (
        "import sys; from arkwright.monitoring import drift_report, decide_alert, due_monitors; "
        "print(sorted({'sqlalchemy', 'fastapi', 'fsspec', 'pyarrow', 'pandas', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
