"""What may be written in the logbook, and how a trial is spelled there.

The limits are those of MLflow 3 (``mlflow/utils/validation.py``): keys of up to 250 letters, digits and ``_ - . : /``
or blanks that are also clean relative paths; parameters of up to 6,000 characters, tags of up to 8,000. Names that
come from data (a column, a class label) need not fit, and must not cost a trained model: they are made to fit, the
same way every time.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import sys
from collections.abc import Mapping

import msgspec

from arkwright.tracking.ports import ParamValue, TrialRecord

MAX_KEY_LENGTH = 250
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000

_ILLEGAL = re.compile(r"[^\w.\- :/]", re.ASCII)


class MetricSample(msgspec.Struct, frozen=True):
    """One value of one metric at one step."""

    key: str
    value: float
    step: int


def tidy_key(name: str) -> str:
    """Return a name that the logbook accepts: the same one if it does, else a close one with a hash of the original.

    Examples
    --------
    >>> tidy_key("importance/tenure")
    'importance/tenure'
    >>> tidy_key("importance/price in $")
    'importance/price in _-24214289'
    """
    legal = _ILLEGAL.sub("_", name)
    if not legal or posixpath.normpath(legal) != legal or legal.startswith((".", "/")):
        legal = "_" + legal.replace("/", "_")
    if legal == name and len(name) <= MAX_KEY_LENGTH:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{legal[: MAX_KEY_LENGTH - 9]}-{digest}"


def tidy_text(text: str, max_length: int) -> str:
    """Return a text without NUL, cut to a length with an ellipsis to show it.

    Examples
    --------
    >>> tidy_text("abcdef", 4)
    'abc…'
    """
    text = text.replace("\x00", "")
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def param_texts(params: Mapping[str, ParamValue]) -> dict[str, str]:
    """Spell parameters: text as it is, lists and mappings as JSON, everything else as Python writes it.

    Examples
    --------
    >>> param_texts({"num_leaves": 31, "boost": True, "grid": [1, 2]})
    {'num_leaves': '31', 'boost': 'True', 'grid': '[1, 2]'}
    """
    return {
        tidy_key(name): tidy_text(
            json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else str(value), MAX_PARAM_LENGTH
        )
        for name, value in params.items()
    }


def tag_texts(tags: Mapping[str, str]) -> dict[str, str]:
    """Spell tags."""
    return {tidy_key(name): tidy_text(value, MAX_TAG_LENGTH) for name, value in tags.items()}


def metric_samples(record: TrialRecord) -> list[MetricSample]:
    """Return every value of a trial; final values are at step 0, infinities become the largest number."""
    samples = [MetricSample(tidy_key(name), storable(value), 0) for name, value in record.metrics.items()]
    for name, values in record.series.items():
        key = tidy_key(name)
        samples.extend(MetricSample(key, storable(value), step) for step, value in enumerate(values))
    return samples


def storable(value: float) -> float:
    """Return the number a database can hold: infinity becomes the largest one, NaN stays.

    Examples
    --------
    >>> storable(float("-inf")) == -sys.float_info.max
    True
    """
    value = float(value)
    if value in (float("inf"), float("-inf")):
        return sys.float_info.max if value > 0 else -sys.float_info.max
    return value
