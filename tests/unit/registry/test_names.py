"""A model's name fits every path, file and logbook, and is mistaken for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid
from arkwright.registry import check_model_name
from arkwright.tracking.ports import ModelPublication
from tests.unit.shelf import Shelf


@given(st.text(max_size=130) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._ -]*", fullmatch=True))
def test_every_name_that_passes_is_one_that_mlflow_takes(name: str) -> None:
    try:
        check_model_name(name)
    except Invalid:
        return
    ModelPublication(
        name=name,
        run_id="r",
        bundle=Path(),
        signature=Signature(task="regression", target="y", columns=()),
        digest="sha256:" + "0" * 64,
        semver="1.0.0",
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "a:b",
        ".",
        "..",
        " a",
        "a ",
        "a\n",
        "nul\0",
        "é",
        "x" * 121,
        "generate",
        "model_01m7yh2ftef5mve57vk46xb01d",
    ],
)
def test_a_name_that_cannot_be_a_model_s_is_refused_before_anything_is_made(shelf: Shelf, name: str) -> None:
    with pytest.raises(Invalid), shelf.units.write() as unit:
        shelf.registry.ensure(unit, name)
