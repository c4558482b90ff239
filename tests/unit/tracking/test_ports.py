from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arkwright.core.errors import Invalid
from arkwright.testing import sample_publication, sample_trial


@pytest.mark.parametrize("key", ["", "a b", "it's", "ü", "x" * 251, "a\n"])
def test_a_trial_key_that_cannot_be_searched_for_is_refused(key: str) -> None:
    with pytest.raises(Invalid, match="trial key"):
        sample_trial("1", key)


def test_a_metric_given_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="'loss' both as a final value and as a series"):
        sample_trial("1", metrics={"loss": 1.0}, series={"loss": (1.0,)})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": ""}, "model name"),
        ({"name": "   "}, "model name"),
        ({"name": ".."}, "model name"),
        ({"name": "team/churn"}, "model name"),
        ({"name": "churn:1"}, "model name"),
        ({"run_id": ""}, "does not name the run"),
        ({"digest": "sha256:12"}, "digest"),
        ({"digest": "md5:" + "0" * 64}, "digest"),
        ({"digest": "sha256:" + "0" * 64 + "\n"}, "digest"),
    ],
)
def test_a_publication_that_cannot_be_addressed_is_refused(
    change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    change = dict(change)
    with pytest.raises(Invalid, match=complaint) as refused:
        sample_publication(change.pop("run_id", "run"), tmp_path, **change)
    assert refused.value.hint
