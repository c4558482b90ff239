"""An even-handed sample of the rows that go by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


class RowSampler:
    """Keep ``limit`` rows of ``n_rows``, each set of rows equally likely, in their order; all of them if they are few.

    The choice depends on the two numbers only, so the same table always gives the same sample.

    Examples
    --------
    >>> sampler = RowSampler(n_rows=5, limit=3)
    >>> sampler.update(pa.record_batch({"x": [0, 1, 2, 3, 4]}))
    >>> sampler.table().num_rows
    3
    """

    def __init__(self, n_rows: int, limit: int) -> None:
        self._chosen = (
            np.arange(n_rows)
            if n_rows <= limit
            else np.sort(np.random.default_rng(n_rows).choice(n_rows, size=limit, replace=False))
        )
        self._seen = 0
        self._parts: list[pa.RecordBatch] = []

    def update(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows."""
        first, last = np.searchsorted(self._chosen, [self._seen, self._seen + batch.num_rows])
        wanted = self._chosen[first:last] - self._seen
        self._seen += batch.num_rows
        if len(wanted):
            self._parts.append(batch if len(wanted) == batch.num_rows else batch.take(pa.array(wanted)))

    def table(self) -> pa.Table:
        """Return the rows kept so far; at least one batch must have gone by."""
        return pa.Table.from_batches(self._parts)
