"""Files that a person wrote for a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkwright.cli.documents import MAX_BYTES, read_mapping, read_text
from arkwright.core.errors import ArkwrightError, Invalid, NotFound


def mapping(file: Path) -> dict[str, object]:
    return read_mapping(file, problem="holds no settings", hint="Write settings.")


def test_yaml_and_json_are_read_and_a_date_stays_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("hypothesis: 2026-01-02\nguardrails:\n  - {metric: recall, tolerance: 0.01}\n", encoding="utf-8")
    assert mapping(file) == {"hypothesis": "2026-01-02", "guardrails": [{"metric": "recall", "tolerance": 0.01}]}
    file.write_text('{"a": [1, null]}', encoding="utf-8")
    assert mapping(file) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [", "is not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "is not valid YAML"),
        (b"a: " + b"[" * 5_000, "is not valid YAML"),
        (b"- a", "holds no settings"),
        (b"", "holds no settings"),
        (b"1: a", "holds no settings"),
        (b"a: .nan", "holds what cannot be sent"),
        (b"a: !!binary aGVsbG8=", "holds what cannot be sent"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"a" * (MAX_BYTES + 1), "is larger than 1 MB"),
    ],
    ids=["open", "two", "deep", "list", "empty", "number", "nan", "binary", "encoding", "large"],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(content)
    with pytest.raises(Invalid, match=words) as refused:
        mapping(file)
    assert refused.value.hint


def test_a_folder_and_a_file_that_is_not_there_say_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read_text(tmp_path)
    with pytest.raises(NotFound) as missing:
        read_text(tmp_path / "nope.yaml")
    assert isinstance(missing.value, ArkwrightError)
