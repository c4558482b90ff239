"""What a batch writes: every input column, and the predictions beside them."""

from __future__ import annotations

import pyarrow as pa

from arkwright.bundles import Predictor
from arkwright.features import to_columns

BATCH_KIND = "deployments.batch.v1"


def output_key(job_id: str) -> str:
    """Return the object key of a batch's output."""
    return f"batches/{job_id}/output.parquet"


def scored(table: pa.Table, predictor: Predictor) -> pa.Table:
    """Return a table with the predictions beside its columns, as ``predicted_label`` and so on."""
    answers = predictor.answer_columns(to_columns(table, predictor.signature.columns))
    for name, values in answers.items():
        table = table.append_column(f"predicted_{name}", pa.array(values.tolist()))
    return table
