"""MLflow's scoring server: ``POST /invocations``, ``GET /ping``, ``GET /version``.

All four JSON shapes (``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs``) and CSV are read; the
answer is ``{"predictions": [...]}`` and an error ``{"error_code": ..., "message": ...}``. MLflow's own client writes a
missing cell as ``NaN``, which is no JSON: here, and only here, it is read as missing.

References
----------
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from math import isfinite
from typing import Any, ClassVar

import msgspec

from arkwright import __version__
from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.core.problems import problem_document
from arkwright.serving.asgi import Receive
from arkwright.serving.core import InferenceCore
from arkwright.serving.exchange import Adapter, Reply, Request, Scored, error_headers
from arkwright.serving.instances import check_count, check_unique, decode_shape
from arkwright.serving.protocols.selection import named_beside_the_body
from arkwright.serving.state import LiveEndpoint

_HINT = "Send one of dataframe_split, dataframe_records, instances or inputs, as MLflow's scoring protocol has them."
_SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")
_CSV = b"text/csv"
_NUMBER = re.compile(r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*")
_BLANK_CELLS = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null"})
_ERROR_CODES = {
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
    HTTPStatus.TOO_MANY_REQUESTS: "REQUEST_LIMIT_EXCEEDED",
    HTTPStatus.SERVICE_UNAVAILABLE: "TEMPORARILY_UNAVAILABLE",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
}
_encode = msgspec.json.Encoder().encode


class _Split(msgspec.Struct):
    data: list[list[Any]]
    columns: list[str] | None = None
    index: list[Any] | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None
    params: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Body)


class Invocations(Adapter):
    """``POST /invocations``."""

    name: ClassVar[str] = "mlflow"
    media_types: ClassVar[tuple[bytes, ...]] = (b"application/json", _CSV)

    def select(self, request: Request) -> None:
        """Look for the deployment beside the body; MLflow's own has no room for it."""
        request.named = named_beside_the_body(request)

    def parse(self, request: Request) -> None:
        """Read the body."""
        if request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _CSV:
            request.document = _decode(request.body)

    def rows_at_most(self, request: Request) -> int:
        """Return the length of the longest list, or how many lines of CSV there are."""
        body: _Body | None = request.document
        if body is None:
            return request.body.count(b"\n")
        if isinstance(body.inputs, dict):
            return max((len(cells) for cells in body.inputs.values() if isinstance(cells, list)), default=0)
        split = body.dataframe_split
        return len((split.data if split else None) or body.dataframe_records or body.instances or body.inputs or ())

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:
        """Return the instances."""
        signature = live.arms[0].bundle.signature
        names = [column.name for column in signature.columns]
        body: _Body | None = request.document
        if body is None:
            numeric = {column.name for column in signature.columns if column.kind == "numeric"}
            rows = _csv_rows(request.body, numeric, request.max_rows)
        elif body.dataframe_split is not None:
            split = body.dataframe_split
            check_count(len(split.data), request.max_rows)
            given = split.columns or names
            _check_once("dataframe_split.columns", given)
            rows = _positional("dataframe_split.data", split.data, given)
        elif body.dataframe_records is not None:
            rows = body.dataframe_records
        elif body.instances is not None:
            rows = _listed("instances", body.instances, names)
        elif isinstance(body.inputs, dict):
            rows = _columnar(body.inputs)
        else:
            rows = _listed("inputs", body.inputs or [], names)
        check_count(len(rows), request.max_rows)
        return rows

    def reply(self, request: Request, scored: Scored) -> Reply:  # noqa: ARG002 - see Adapter
        """Return the predictions; who made them is in the headers, as the body has no room for it."""
        headers = [
            (b"x-arkwright-model-version", scored.version.encode("latin-1", "replace")),
            (b"x-arkwright-arm", scored.arm_name.encode("latin-1", "replace")),
        ]
        if scored.fallback:
            headers.append((b"x-arkwright-fallback", scored.fallback.encode("ascii")))
        return Reply(_encode({"predictions": scored.predictions}), headers=tuple(headers))

    def problem(self, error: ArkwrightError, request: Request) -> Reply:
        """Return an error as MLflow's server words it; wrong input is its 400."""
        status = HTTPStatus.BAD_REQUEST if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
        document = {
            "error_code": _ERROR_CODES.get(HTTPStatus(status), "BAD_REQUEST"),
            "message": error.detail if not error.hint else f"{error.detail} {error.hint}",
        }
        kept = problem_document(error, request.request_id)
        document.update({name: kept[name] for name in ("code", "errors", "request_id") if name in kept})
        return Reply(_encode(document), status, headers=error_headers(error))


class Ping:
    """``GET /ping``: 200 once predictions can be made."""

    def __init__(self, core: InferenceCore) -> None:
        self._core = core

    async def __call__(self, _request: Request, _receive: Receive) -> Reply:
        """Answer with an empty line."""
        status = HTTPStatus.OK if self._core.able else HTTPStatus.SERVICE_UNAVAILABLE
        return Reply(b"\n", status)


class Version:
    """``GET /version``."""

    async def __call__(self, _request: Request, _receive: Receive) -> Reply:
        """Answer with the version as text."""
        return Reply(__version__.encode("ascii"), content_type=b"text/plain; charset=utf-8")


def _decode(body: bytes) -> _Body:
    try:
        read = decode_shape(_decoder, body, _HINT)
    except Invalid as error:
        missing = _with_missing(body)
        if missing is None:
            raise
        try:
            read = msgspec.convert(missing, _Body)
        except msgspec.ValidationError:
            raise error from None
    given = [name for name in _SHAPES if getattr(read, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise Invalid(
            f"The body must have exactly one of {', '.join(_SHAPES)}; it has {found}.",
            code="prediction.malformed",
            hint=_HINT,
            errors=[{"field": "body", "message": f"has {found}"}],
        )
    check_unique(body, _n_names(read))
    return read


def _n_names(read: _Body) -> int:
    """Return how many names a body has; not those within cells, which are looked at once more."""
    params = 1 + len(read.params) if read.params else 0
    if read.dataframe_split is not None:
        return 2 + bool(read.dataframe_split.columns) + bool(read.dataframe_split.index) + params
    if isinstance(read.inputs, dict):
        return 1 + len(read.inputs) + params
    rows = read.dataframe_records or read.instances or read.inputs or ()
    return 1 + sum(len(row) for row in rows if isinstance(row, dict)) + params


def _with_missing(body: bytes) -> Any:
    """Return a body whose NaN are missing cells, or None if it has none or is no JSON for another reason."""
    if b"NaN" not in body:
        return None
    try:
        return json.loads(body, parse_constant=_missing)
    except (ValueError, RecursionError):
        return None


def _missing(name: str) -> None:
    if name != "NaN":
        raise ValueError(name)


def _listed(field: str, items: Sequence[Any], names: list[str]) -> list[dict[str, Any]]:
    """Return rows that are objects, or lists in the order of the model's columns, or single cells of the only one."""
    if all(isinstance(item, dict) for item in items):
        return list(items)
    if len(names) == 1 and not any(isinstance(item, list | dict) for item in items):
        return [{names[0]: item} for item in items]
    return _positional(field, items, names)


def _positional(field: str, items: Sequence[Any], names: list[str]) -> list[dict[str, Any]]:
    rows = []
    for index, item in enumerate(items):
        if not isinstance(item, list) or len(item) != len(names):
            found = f"has {len(item)} cells" if isinstance(item, list) else "is not a list of cells"
            raise _misshapen(f"{field}[{index}]", f"{found}: expected {len(names)}, in the order {', '.join(names)}")
        rows.append(dict(zip(names, item, strict=True)))
    return rows


def _columnar(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows of columns that are lists of one length; a single cell stands for a list of one."""
    lists = {name: cells if isinstance(cells, list) else [cells] for name, cells in columns.items()}
    n_rows = len(next(iter(lists.values()), []))
    for name, cells in lists.items():
        if len(cells) != n_rows:
            raise _misshapen(f"inputs.{name}", f"has {len(cells)} cells, the first column has {n_rows}")
        # MLflow also sends a column of one-cell rows.
        if cells and all(isinstance(cell, list) and len(cell) == 1 for cell in cells):
            lists[name] = [cell[0] for cell in cells]
    return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]


def _csv_rows(body: bytes, numeric: set[str], max_rows: int) -> list[dict[str, Any]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _misshapen("body", "is not UTF-8") from None
    rows: list[dict[str, Any]] = []
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        _check_once("header", reader.fieldnames or ())
        for index, cells in enumerate(reader):
            if None in cells or None in cells.values():
                raise _misshapen(f"rows[{index}]", "has another number of cells than the header")
            rows.append({name: _cell(index, name, cell, numeric) for name, cell in cells.items()})
            check_count(len(rows), max_rows)
    except csv.Error as error:
        raise _misshapen("body", f"is not CSV: {error}") from error
    return rows


def _cell(index: int, name: str, text: str, numeric: set[str]) -> Any:
    if text in _BLANK_CELLS:
        return None
    if name not in numeric:
        return text
    # float() also takes 1_000, infinity, and the digits of every script.
    if _NUMBER.fullmatch(text) and isfinite(number := float(text)):
        return number
    raise _misshapen(f"rows[{index}].{name}", f"is the text {text[:40]!r}: expected a number")


def _check_once(field: str, names: Sequence[str]) -> None:
    """Refuse a name that comes twice: which of its cells was meant is anybody's guess."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _misshapen(field, f"has the column {name[:100]!r} twice")
        seen.add(name)


def _misshapen(field: str, message: str) -> Invalid:
    return Invalid(
        f"{field} {message}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=[{"field": field, "message": message}],
    )
