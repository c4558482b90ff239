"""Scoring with a model that could not be compiled, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.deployments.batch_plan import Assignment, Run, part_key
from arkwright.deployments.batch_worker import PartWriter
from arkwright.kit.objects import ObjectStore
from tests.unit.general_bundles import SIGNATURE, obedient_model, write_pickled


def scored(folder: Path, table: pa.Table, **wanted: Any) -> pa.Table:
    source = folder / "rows.parquet"
    pq.write_table(table, source)
    digest = write_pickled(folder / "bundle", obedient_model())
    store = ObjectStore(f"file://{folder / 'objects'}")
    assignment = Assignment(
        objects_url=store.url,
        workspace_id="ws_1",
        job_id="job_1",
        bundle_folder=str(folder / "bundle"),
        bundle_digest=digest,
        source_path=str(source),
        plans={},
        inputs=SIGNATURE.columns,
        **wanted,
    )
    with PartWriter(assignment) as writer:
        assert list(writer.write(Run(first=0, start=0, sizes=(2, 3)))) == [(0, 2), (1, 3)]
    parts = [store.for_workspace("ws_1").local_path(part_key("job_1", number)) for number in range(2)]
    return pa.concat_tables([pq.read_table(part) for part in parts])


TABLE = pa.table({"x": [1.0, 2.0, None, 4.0, 5.0], "order": [None, "a", "b", "poison", "a"], "note": list("abcde")})


def test_a_model_in_a_process_of_its_own_scores_chunks(tmp_path: Path) -> None:
    fine = TABLE.set_column(1, "order", pa.array([None, "a", "b", "c", "a"]))
    found = scored(tmp_path, fine)
    assert found.column("predicted_value").to_pylist() == [3.0, 5.0, 0.0, 9.0, 11.0]
    assert found.column("note").to_pylist() == list("abcde")


def test_a_row_for_which_the_model_raises_an_error_ends_the_batch_or_stays_without_a_value(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="Row 4: made the model raise ValueError: this row is poison"):
        scored(tmp_path, TABLE)
    (tmp_path / "again").mkdir()
    found = scored(tmp_path / "again", TABLE, on_error="keep")
    assert found.column("predicted_value").to_pylist() == [3.0, 5.0, 0.0, None, 11.0]
    assert found.column("prediction_error").to_pylist()[3] == "made the model raise ValueError: this row is poison"


def test_a_model_that_fails_for_every_row_is_no_matter_of_odd_rows(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0] * 5, "order": ["not a number"] * 5})
    with pytest.raises(ArkwrightError):
        scored(tmp_path, table)
