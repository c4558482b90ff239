"""What a model may be called: a name that every path, file and logbook can hold."""

from __future__ import annotations

import re

from arkwright.core.errors import Invalid
from arkwright.core.ids import is_id

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._ -]*$"
MAX_NAME = 120
_RESERVED = frozenset({"generate"})  # POST /v1/models/generate


def check_model_name(name: str) -> None:
    """Refuse a name that a model cannot have, in the registry or in MLflow.

    Examples
    --------
    >>> check_model_name("telco-churn 2.0")

    Raises
    ------
    Invalid
        If it has other characters, is too long, is reserved, or looks like a model's id.
    """
    if name in _RESERVED:
        raise Invalid(f"The name {name!r} is reserved.", code="model.reserved", hint="Choose another name.")
    if len(name) > MAX_NAME or re.fullmatch(MODEL_NAME.strip("^$"), name) is None or name != name.strip():
        raise Invalid(
            f"{name[:MAX_NAME]!r} cannot be the name of a model.",
            code="model.name",
            hint=f"Use at most {MAX_NAME} letters, digits, dots, underscores, hyphens and inner blanks; begin with a "
            "letter or a digit.",
        )
    if is_id("model", name):
        raise Invalid(
            f"The name {name!r} looks like the id of a model.", code="model.name", hint="Choose another name."
        )
