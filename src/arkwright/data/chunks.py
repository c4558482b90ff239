"""Rows on their way through: what the readers of the formats hand on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from arkwright.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows.

    ``columns`` holds string arrays (cells still to be read) or arrays of canonical types; a column that is not there is
    missing in all ``n_rows`` rows. ``nested`` counts the cells that were lists or objects, by column.
    """

    n_rows: int
    columns: dict[str, pa.Array]
    nested: dict[str, int] = field(default_factory=dict)


def no_rows(n_columns: int) -> Invalid:
    """Return the error for a table without rows."""
    return Invalid(
        f"The file has a header of {n_columns} {'column' if n_columns == 1 else 'columns'} and no rows below it.",
        code="dataset.no_rows",
        hint="Check that the export finished, then send a file with at least one row.",
    )
