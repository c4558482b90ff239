"""Reading the prediction log back: the last N predictions, or those of a time span, as columns.

A deployment's log is many small files, written in order by each replica. Reading merges the replicas backwards: always
the file that may hold the newest unread row, until no unread file can hold a row that belongs in the window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arkwright.bundles import comparable_values, rows_to_columns
from arkwright.contracts import Baseline, CategoricalBaseline, Signature, is_redacted, redacted
from arkwright.kit.objects import WorkspaceObjects
from arkwright.monitoring.drift import Values
from arkwright.monitoring.segments import OUTCOME_SCHEMA, SCHEMA, deployment_prefix, keys_since, replica_sequences

# Rows are logged when they are answered and carry the time they arrived, so a segment may hold a row that is a little
# older than the newest of the segment before.
_SLACK_SECONDS = 60.0


@dataclass(frozen=True)
class PredictionWindow:
    """A window of one deployment's predictions, oldest first.

    Attributes
    ----------
    start, end
        Times of the first and last row; None where there is no row.
    columns
        One array for each input of the signature, as the baseline sees it: float64 with NaN, or objects that are
        text or None; times are seconds since the epoch.
    predictions
        Scores (binary), labels as text (multiclass) or values (regression).
    redacted
        Columns of which the log holds hashes: of a categorical one ``columns`` has the hash of every value, any other
        is not in ``columns``.
    """

    start: datetime | None
    end: datetime | None
    n_rows: int
    columns: dict[str, Values]
    predictions: Values
    redacted: frozenset[str] = frozenset()

    def comparable(self, baseline: Baseline) -> Baseline:
        """Return a baseline as the window can be compared with: redacted categories hashed, redacted numbers left out.

        Examples
        --------
        >>> from arkwright.contracts import CategoricalBaseline
        >>> email = CategoricalBaseline(shares={"a": 1.0}, missing_share=0.0)
        >>> window = PredictionWindow(None, None, 0, {"email": np.array([])}, np.array([]), frozenset({"email"}))
        >>> hidden = window.comparable(Baseline(n_rows=1, features={"email": email}, prediction=email))
        >>> list(hidden.features["email"].shares) == [redacted("a")]
        True
        """
        if not self.redacted:
            return baseline
        features = {
            name: _hashed(feature) if name in self.redacted and isinstance(feature, CategoricalBaseline) else feature
            for name, feature in baseline.features.items()
            if name in self.columns
        }
        return msgspec.structs.replace(baseline, features=features)


def read_log(
    objects: WorkspaceObjects,
    deployment_id: str,
    *,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    model_version_id: str = "",
    fields: Sequence[str] = tuple(SCHEMA.names),
) -> pa.Table:
    """Return the latest rows of a deployment's shipped log, oldest first.

    Parameters
    ----------
    objects
        The workspace's objects.
    limit
        At most so many rows.
    since, until
        Only rows with ``since <= time < until``.
    model_version_id
        Only rows that this version answered; empty for all.
    fields
        Columns to read; ``time``, ``request_id`` and ``row`` always are.
    """
    names = list(dict.fromkeys(["time", "request_id", "row", "model_version_id", *fields]))
    schema = pa.schema([SCHEMA.field(name) for name in names])
    tables: list[pa.Table] = []
    n_rows = 0
    oldest_needed = -math.inf if since is None else since.timestamp()
    # For each replica: no unread row of it is newer than the first number.
    unread = [(math.inf, keys) for keys in replica_sequences(objects.list(deployment_prefix(deployment_id)))]
    while unread:
        index = max(range(len(unread)), key=lambda at: unread[at][0])
        newest, (key, *older) = unread.pop(index)
        if newest < oldest_needed:
            break
        with objects.open_read(key) as stream:
            table = pq.read_table(stream, columns=names).select(names).cast(schema)
        if older:
            unread.append((min(newest, _seconds_of(table).min(initial=math.inf) + _SLACK_SECONDS), older))
        table = _within(table, since, until, model_version_id)
        if table.num_rows == 0:
            continue
        tables.append(table)
        n_rows += table.num_rows
        if n_rows >= limit:
            oldest_needed = max(oldest_needed, _nth_newest(tables, limit))
    if not tables:
        return schema.empty_table()
    whole = pa.concat_tables(tables).sort_by([("time", "ascending"), ("request_id", "ascending"), ("row", "ascending")])
    return whole.slice(max(0, whole.num_rows - limit))


def read_outcomes(objects: WorkspaceObjects, deployment_id: str, *, since: datetime) -> pa.Table:
    """Return the outcomes that a deployment was told from a moment on, oldest first.

    Nobody can know an outcome before its prediction, so ``since`` may be the beginning of a window of predictions.
    """
    # A segment lies under the day of its first row.
    first_day = (since.astimezone(UTC) - timedelta(seconds=_SLACK_SECONDS)).date()
    keys = keys_since(objects.list(deployment_prefix(deployment_id, "outcomes")), first_day)
    tables = []
    for key in keys:
        with objects.open_read(key) as stream:
            tables.append(pq.read_table(stream).cast(OUTCOME_SCHEMA))
    table = pa.concat_tables(tables) if tables else OUTCOME_SCHEMA.empty_table()
    first = pa.scalar(since, OUTCOME_SCHEMA.field("time").type)
    return table.filter(pc.greater_equal(table.column("time"), first)).sort_by("time")


def read_window(
    objects: WorkspaceObjects,
    deployment_id: str,
    signature: Signature,
    *,
    limit: int = 10_000,
    since: datetime | None = None,
    until: datetime | None = None,
    model_version_id: str = "",
) -> PredictionWindow:
    """Return a window of predictions as columns.

    Parameters
    ----------
    signature
        Of the version whose baseline the window will be compared with; with ``model_version_id`` every row has
        passed its validation.
    limit, since, until, model_version_id
        As :func:`read_log`.
    """
    output = {"binary": "score", "multiclass": "label", "regression": "value"}[signature.task]
    table = read_log(
        objects,
        deployment_id,
        limit=limit,
        since=since,
        until=until,
        model_version_id=model_version_id,
        fields=("features", output),
    )
    table = table.filter(pc.is_valid(table.column(output)))
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows = [decoder.decode(text) for text in table.column("features").to_pylist()]
    hidden = _redacted_columns(rows, signature)
    # The policy may have changed within the window: what was logged before is hashed now.
    kept = tuple(column for column in signature.columns if column.kind == "categorical" or column.name not in hidden)
    known = msgspec.structs.replace(signature, columns=kept)
    for name in hidden:
        for row in rows:
            if name in row and not is_redacted(row[name]):
                row[name] = redacted(row[name])
    columns = rows_to_columns(rows, known)
    outputs = np.array(table.column(output).to_pylist(), dtype=object if output == "label" else np.float64)
    times = table.column("time").to_pylist()
    return PredictionWindow(
        start=times[0] if times else None,
        end=times[-1] if times else None,
        n_rows=len(rows),
        columns={column.name: comparable_values(column.kind, columns[column.name]) for column in known.columns},
        predictions=outputs,
        redacted=hidden,
    )


def _redacted_columns(rows: Sequence[dict[str, Any]], signature: Signature) -> frozenset[str]:
    names = [column.name for column in signature.columns]
    return frozenset(name for name in names if any(is_redacted(row.get(name)) for row in rows))


def _hashed(feature: CategoricalBaseline) -> CategoricalBaseline:
    shares = {str(redacted(value)): share for value, share in feature.shares.items()}
    return msgspec.structs.replace(feature, shares=shares)


def _within(table: pa.Table, since: datetime | None, until: datetime | None, model_version_id: str) -> pa.Table:
    kind = SCHEMA.field("time").type
    if since is not None:
        table = table.filter(pc.greater_equal(table.column("time"), pa.scalar(since, kind)))
    if until is not None:
        table = table.filter(pc.less(table.column("time"), pa.scalar(until, kind)))
    if model_version_id:
        table = table.filter(pc.equal(table.column("model_version_id"), model_version_id))
    return table


def _seconds_of(table: pa.Table) -> npt.NDArray[np.float64]:
    seconds: npt.NDArray[np.float64] = table.column("time").cast(pa.int64()).to_numpy() / 1e6
    return seconds


def _nth_newest(tables: Sequence[pa.Table], n: int) -> float:
    times = np.concatenate([_seconds_of(table) for table in tables])
    return float(np.partition(times, times.size - n)[times.size - n])
