"""Wire shapes of evidence and lineage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class Evidence(BaseModel):
    """A filed piece of evidence."""

    id: str
    kind: str
    subject_digest: str
    sha256: str
    body: dict[str, Any]
    created_by: str
    created_at: datetime


class LineageNode(BaseModel):
    """A thing in the graph."""

    entity_type: str
    id: str


class LineageEdge(BaseModel):
    """``to_id`` was made from, or with, ``from_id``."""

    from_entity_type: str
    from_id: str
    to_entity_type: str
    to_id: str
    metadata: dict[str, Any]


class LineageGraph(BaseModel):
    """Everything upstream and downstream of a thing."""

    nodes: list[LineageNode]
    edges: list[LineageEdge]
