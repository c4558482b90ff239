"""Structs that several threads may read at once.

msgspec learns a struct's fields when it first decodes one, and shows other threads what it has learned so far: two
threads that decode a type for the first time at the same moment can crash the process. So whatever is decoded in a
thread is made known when its module is imported, which only one thread does.
"""

from __future__ import annotations

from typing import Any

import msgspec


def prepared(*types: Any) -> None:
    """Let msgspec learn these types now.

    Parameters
    ----------
    types
        Structs, dataclasses, or containers and unions of them, as ``msgspec.json.decode`` takes them.
    """
    for each in types:
        msgspec.json.Decoder(each)
