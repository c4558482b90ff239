"""The composition root: the only place that knows every room and picks every adapter."""

from __future__ import annotations
