"""Large batches as Arrow IPC streams, in and out, on the paths that otherwise take JSON.

A body of type ``application/vnd.apache.arrow.stream`` is scored as a table and answered with a stream of the columns
``label`` and ``score``, or ``value``, after the identifiers it carried. Who answered is in the schema's metadata.
Arrow is loaded with the first such request, not before.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import as_moments, as_numbers, as_text, parse_moment
from arkwright.bundles.rows import to_rows
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.serving.exchange import Reply, Request, Scored
from arkwright.serving.instances import check_count
from arkwright.serving.protocols.selection import named_beside_the_body
from arkwright.serving.protocols.v1 import PREFIX, Predict
from arkwright.serving.state import LiveArm, LiveEndpoint

MEDIA_TYPE = b"application/vnd.apache.arrow.stream"
_HINT = "Send one Arrow IPC stream with a column for each input of the model."

Columns = dict[str, npt.NDArray[Any]]


class ArrowPredict(Predict):
    """An Arrow stream instead of JSON."""

    name: ClassVar[str] = "arrow"
    media_types: ClassVar[tuple[bytes, ...]] = (MEDIA_TYPE,)
    columnar: ClassVar[bool] = True

    def select(self, request: Request) -> None:
        """Read the deployment from the path, or beside the body where the path has none."""
        if request.scope["path"].startswith(PREFIX):
            super().select(request)
        else:
            request.named = named_beside_the_body(request)

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:
        """Return the table's rows, for a model that takes rows."""
        return to_rows(self._read(request, live.arms[0].bundle.signature))

    def slices(self, request: Request, live: LiveEndpoint) -> Any:
        """Yield the rows all at once."""
        yield self.rows(request, live)

    def score_columns(self, request: Request, chosen: LiveArm) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Score the table at once with a compiled model; return its rows and the predictions, for the log."""
        signature = chosen.bundle.signature
        columns = self._read(request, signature)
        answer = chosen.bundle.predictor.answer_columns(columns)
        lists = {name: values.tolist() for name, values in answer.items()}
        predictions = [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
        rows = to_rows(columns)
        for name in signature.identifiers:
            if name in columns:
                for row, prediction in zip(rows, predictions, strict=True):
                    prediction.setdefault(name, row[name])
        return rows, predictions

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return a stream of the predictions."""
        import pyarrow as pa  # noqa: PLC0415 - only with the first Arrow body

        names = list(dict.fromkeys(name for prediction in scored.predictions[:1] for name in prediction))
        columns = {name: [prediction.get(name) for prediction in scored.predictions] for name in names}
        metadata = {
            "model_version": scored.version,
            "arm": scored.arm_name,
            "fallback": scored.fallback,
            "request_id": request.request_id,
            "latency_ms": str(scored.latency_ms),
        }
        table = pa.table(columns).replace_schema_metadata(metadata)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return Reply(sink.getvalue().to_pybytes(), content_type=MEDIA_TYPE)

    def _read(self, request: Request, signature: Signature) -> Columns:
        """Return the columns of the body that the model reads, and the identifiers."""
        import pyarrow as pa  # noqa: PLC0415 - see above

        try:
            with pa.ipc.open_stream(request.body) as reader:
                batches = []
                n_rows = 0
                for batch in reader:
                    n_rows += batch.num_rows
                    if n_rows > request.max_rows:
                        check_count(n_rows, request.max_rows)
                    batches.append(batch)
                table = pa.Table.from_batches(batches, reader.schema)
            table.validate(full=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise _unreadable("body", f"is not an Arrow IPC stream: {str(error)[:200]}") from error
        check_count(table.num_rows, request.max_rows)
        found: Columns = {}
        wanted = {column.name: column for column in signature.columns}
        for index, name in enumerate(table.column_names):
            if name in found:
                raise _unreadable(name, "comes twice")
            if name in wanted:
                found[name] = _values(table.column(index), wanted[name])
            elif name in signature.identifiers:
                found[name] = _texts(table.column(index).to_pylist())
            elif name not in signature.ignored and name != signature.target:
                raise _unreadable(name, "is not a column of this model: leave it out")
        return found


def _values(cells: Any, column: Column) -> npt.NDArray[Any]:
    """Return an Arrow column as the kind that the signature asks for."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    kind = cells.type
    if pa.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = cells.type
    if pa.types.is_null(kind):
        numeric = column.kind == "numeric"
        return np.full(len(cells), np.nan) if numeric else _empty(column.kind, len(cells))
    try:
        if column.kind == "numeric":
            return _numbers(cells, column.name)
        if column.kind == "time":
            return _moments(cells)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, TypeError) as error:
        raise _unreadable(column.name, f"holds {kind}: expected {column.kind} cells") from error
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not (is_text or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise _unreadable(column.name, f"holds {kind}: expected text")
    return _texts(cells.to_pylist())


def _numbers(cells: Any, name: str) -> npt.NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415 - see above

    if not (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type)):
        raise TypeError(name)
    numbers = as_numbers(cells.cast(pa.float64(), safe=False).to_numpy())
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        raise _unreadable(f"instances[{infinite[0]}].{name}", "is infinite: expected a number or null")
    return numbers


def _moments(cells: Any) -> npt.NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415 - see above

    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        return as_moments(cells.cast(pa.timestamp("us"), safe=False).to_numpy())
    texts = cells.to_pylist()
    moments = [np.datetime64("NaT") if text is None else np.datetime64(parse_moment(text)) for text in texts]
    return np.array(moments, dtype="datetime64[us]")


def _texts(cells: list[Any]) -> npt.NDArray[Any]:
    column = np.empty(len(cells), dtype=object)
    column[:] = [as_text(cell) for cell in cells]
    return column


def _empty(kind: str, n_rows: int) -> npt.NDArray[Any]:
    if kind == "time":
        return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(n_rows, None, dtype=object)


def _unreadable(field: str, message: str) -> Invalid:
    return Invalid(
        f"{field} {message}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=[{"field": field, "message": message}],
    )
