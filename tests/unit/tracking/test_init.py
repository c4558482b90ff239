from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import arkwright.adapters.tracking
import arkwright.testing
import arkwright.tracking


@pytest.mark.parametrize("door", [arkwright.tracking, arkwright.testing, arkwright.adapters.tracking])
def test_every_name_on_the_door_is_there(door: ModuleType) -> None:
    for name in door.__all__:
        assert getattr(door, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = door.nothing_of_the_kind


def test_the_adapter_loads_neither_mlflow_nor_pandas() -> None:
    program = (
        "import sys, arkwright.adapters.tracking as t; t.MlflowTracking;"
        "print([m for m in ('mlflow', 'pandas', 'sqlalchemy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
