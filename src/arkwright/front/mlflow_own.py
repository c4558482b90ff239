"""What Arkwright itself wrote into MLflow: its trials, whose numbers and files nobody changes through MLflow.

A run or an experiment is ours if it has a tag that begins with ``arkwright.``, and such tags cannot be set from
outside. Whether a run is ours is asked of MLflow once: our tags are there from the run's first moment and never go.
Tags and notes of other names may be put on our runs as on any other.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from arkwright.core.errors import Invalid, NotPermitted, Unavailable

OWN_TAGS = "arkwright."
_MAX_KNOWN = 10_000

_API = re.compile(r"/(?:ajax-)?api/2\.0/mlflow/([a-z-]+)/?(.*)")
_RUN_IN_PATH = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_FREE = frozenset({"create", "search", "set-tag", "delete-tag", "set-experiment-tag", "delete-experiment-tag"})
_TAG_CALLS = re.compile(r"(?:set|delete)-(?:experiment-)?tag")
_SPELLINGS = {
    "runs": ("run_id", "runId", "run_uuid", "runUuid"),
    "experiments": ("experiment_id", "experimentId"),
}

Look = Callable[[str], Awaitable[bytes | None]]
"""Ask MLflow: a path and query, answered by the body of a 200, b"" where there is no such thing, or None."""


class OwnRecords:
    """Tells our runs and experiments from others.

    Parameters
    ----------
    max_known
        How many answers are remembered.
    """

    def __init__(self, max_known: int = _MAX_KNOWN) -> None:
        self._known: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._max_known = max_known

    async def check_call(self, path: str, body: bytes, look: Look) -> None:
        """Refuse a call of MLflow's interface that would change what is ours.

        Raises
        ------
        NotPermitted
            If it would.
        Invalid
            If the body cannot be read, so that nobody can tell.
        Unavailable
            If MLflow does not say whose the run is.
        """
        found = _API.fullmatch(path)
        if found is None:
            return
        kind, call = found[1], found[2]
        sent = _decoded(body)
        _check_tags(call, sent)
        if kind in _SPELLINGS and call not in _FREE:
            for name in _SPELLINGS[kind]:
                if sent.get(name):
                    await self._check(kind, str(sent[name]), look)

    async def check_artifact(self, path: str, query: bytes, look: Look) -> None:
        """Refuse to write or delete a file of a run of ours; raises as :meth:`check_call` does."""
        values = parse_qs(query.decode("latin-1"))
        named = [*values.get("run_uuid", []), *values.get("run_id", []), *path.split("/")]
        for part in named:
            if _RUN_IN_PATH.fullmatch(part):
                await self._check("runs", part.lower(), look)

    async def _check(self, kind: str, record_id: str, look: Look) -> None:
        if await self._ours(kind, record_id, look):
            raise NotPermitted(
                f"This {kind.removesuffix('s')} is a record of Arkwright's own search: its numbers, state and files "
                "cannot be changed through MLflow. Tags and notes can; log results of your own to a run of your own."
            )

    async def _ours(self, kind: str, record_id: str, look: Look) -> bool:
        key = (kind, record_id)
        known = self._known.get(key)
        if known is not None:
            return known
        name = _SPELLINGS[kind][0]
        answer = await look(f"/api/2.0/mlflow/{kind}/get?{name}={quote(record_id, safe='')}")
        if answer is None:
            raise Unavailable(
                "The tracking server does not say whose this record is; it is starting or busy.",
                code="tracking_server.away",
                retry_after_seconds=2,
                hint="Try again in a few seconds.",
            )
        if not answer:
            return False  # there is none: MLflow says so itself
        ours = any(tag.startswith(OWN_TAGS) for tag in _tag_names(json.loads(answer)))
        self._known[key] = ours
        if len(self._known) > self._max_known:
            self._known.popitem(last=False)
        return ours


def _check_tags(call: str, sent: Mapping[str, Any]) -> None:
    keys = [tag.get("key") for tag in sent.get("tags") or () if isinstance(tag, Mapping)]
    if _TAG_CALLS.fullmatch(call):
        keys.append(sent.get("key"))
    for key in keys:
        if isinstance(key, str) and key.startswith(OWN_TAGS):
            raise NotPermitted(f"The tag {key!r} is Arkwright's own; choose a name that does not begin with it.")


def _tag_names(answer: Mapping[str, Any]) -> Iterator[str]:
    run, experiment = answer.get("run", {}), answer.get("experiment", {})
    for tag in (*run.get("data", {}).get("tags", ()), *experiment.get("tags", ())):
        yield str(tag.get("key", ""))


def _decoded(body: bytes) -> Mapping[str, Any]:
    """Read a body as MLflow does: any encoding of JSON, and JSON within JSON."""
    if not body.strip():
        return {}
    try:
        sent = json.loads(body)
        if isinstance(sent, str):
            sent = json.loads(sent)
    except (ValueError, RecursionError):
        raise Invalid("The body is not JSON.", code="json.malformed", hint="Send a JSON object.") from None
    return sent if isinstance(sent, Mapping) else {}
