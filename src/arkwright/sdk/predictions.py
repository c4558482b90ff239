"""Rows in, predictions out: cells made fit for JSON, deployments found by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from arkwright.core.errors import Invalid, NotFound
from arkwright.core.ids import is_id
from arkwright.sdk.transport import Transport, segment
from arkwright.sdk.types import PredictResponse

Rows = Mapping[str, Any] | Iterable[Mapping[str, Any]] | Any
"""One row, several, or a table that speaks Arrow."""


class Predictions:
    """Calls deployments; remembers their ids, so that predictions go on while the control plane is away."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ids: dict[str, str] = {}

    def predict(self, deployment: str, instances: Rows) -> PredictResponse:
        """Score rows with a deployment, named by id or name.

        Raises
        ------
        Invalid
            With one entry in ``errors`` per field that the model cannot take.
        """
        body = {"instances": to_instances(instances)}
        known = self._ids.get(deployment)
        deployment_id = known or self._resolve(deployment)
        try:
            return self._call(deployment_id, body)
        except NotFound:
            # A name can have moved to another deployment since it was looked up.
            self._ids.pop(deployment, None)
            if known is None or (fresh := self._resolve(deployment)) == known:
                raise
            return self._call(fresh, body)

    def _call(self, deployment_id: str, body: dict[str, Any]) -> PredictResponse:
        path = f"/v1/inference/{segment(deployment_id)}:predict"
        answer: PredictResponse = self._transport.post(path, body, again=False)
        return answer

    def _resolve(self, deployment: str) -> str:
        if is_id("deployment", deployment):
            return deployment
        found: str = self._transport.get(f"/v1/deployments/{segment(deployment)}")["id"]
        self._ids[deployment] = found
        return found


def to_instances(rows: Rows) -> list[dict[str, Any]]:
    """Return rows as JSON objects: NaN and infinities as null, moments as text, NumPy scalars as numbers.

    Examples
    --------
    >>> to_instances({"tenure": 12, "charge": float("nan"), "since": date(2026, 1, 2)})
    [{'tenure': 12, 'charge': None, 'since': '2026-01-02'}]

    Raises
    ------
    Invalid
        If it is no row and no list of rows.
    """
    if hasattr(rows, "__arrow_c_stream__"):
        import pyarrow as pa  # noqa: PLC0415

        rows = pa.RecordBatchReader.from_stream(rows).read_all().to_pylist()
    elif isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise _no_rows(rows)
    instances = []
    for row in rows:
        if not isinstance(row, Mapping):
            raise _no_rows(row)
        instances.append({str(name): _cell(value) for name, value in row.items()})
    return instances


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat() if value == value else None  # noqa: PLR0124  (pandas' NaT is no equal of itself)
    if isinstance(value, Mapping):
        return {str(name): _cell(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cell(inner) for inner in value]
    item = getattr(value, "item", None)
    return _cell(item()) if callable(item) else str(value)


def _no_rows(value: object) -> Invalid:
    return Invalid(
        f"A {type(value).__name__} is no row to predict.",
        code="sdk.instances",
        hint="Give a mapping of column to value, a list of them, or a table that offers __arrow_c_stream__.",
    )
