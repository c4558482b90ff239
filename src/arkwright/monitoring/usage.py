"""What was used, told to whoever bills: one event for each shipped segment.

The data planes count every request they answer, also those whose rows the policy does not log or that had to be
dropped, and write the counts beside the rows. Shipping a segment puts them into the outbox as
``ml.inference.usage.v1``; the event's id comes from the segment, so that a segment shipped twice is billed once.
"""

from __future__ import annotations

import hashlib

import msgspec

from arkwright.core.context import system_context
from arkwright.core.events import INFERENCE_USAGE
from arkwright.kit.db import Database
from arkwright.monitoring.shipping import SegmentUsage


def usage_event_id(usage: SegmentUsage) -> str:
    """Return the id of a segment's event: always the same.

    Examples
    --------
    >>> usage = SegmentUsage(workspace_id="ws_1", deployment_id="dep_1", segment="edge-1-000001", counts=())
    >>> usage_event_id(usage)
    'evt_eff452f0a2798a2e31978d9314'
    """
    name = f"{usage.workspace_id}/{usage.deployment_id}/{usage.segment}"
    return f"evt_{hashlib.sha256(name.encode()).hexdigest()[:26]}"


class UsageEvents:
    """Puts usage into the outbox.

    Parameters
    ----------
    database
        The control plane's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, usage: SegmentUsage) -> None:
        """Emit a segment's usage, in a commit of its own; the same segment again changes nothing."""
        event_id = usage_event_id(usage)
        with self._database.write(system_context(usage.workspace_id, event_id)) as unit:
            unit.emit(
                INFERENCE_USAGE,
                usage.deployment_id,
                {
                    "deployment_id": usage.deployment_id,
                    "segment": usage.segment,
                    "counts": msgspec.to_builtins(usage.counts),
                },
                event_id=event_id,
            )
