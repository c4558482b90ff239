"""Files that a person wrote for a command: text in UTF-8, and YAML that is one mapping."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

from arkwright.core.errors import Invalid, NotFound

MAX_BYTES = 1_000_000
"""What is larger was not written by hand."""


def read_text(file: Path | str) -> str:
    """Return the text of a file; ``-`` is standard input.

    Raises
    ------
    NotFound
        If there is no such file.
    Invalid
        If it is a folder, is no text in UTF-8, or is too large to have been written by hand.
    """
    try:
        content = sys.stdin.buffer.read(MAX_BYTES + 1) if str(file) == "-" else _content(Path(file).expanduser())
        # What is too large is cut off, perhaps within a character.
        text = content.decode("utf-8", errors="strict" if len(content) <= MAX_BYTES else "replace")
    except UnicodeDecodeError:
        raise Invalid(
            f"The file {str(file)!r} is no text in UTF-8.", code="file.encoding", hint="Save it as UTF-8."
        ) from None
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {str(file)!r} on this machine.", code="file.not_found", hint="Check the path."
        ) from None
    except OSError as error:
        raise Invalid(
            f"{str(file)!r} cannot be read: {error.strerror or error}.",
            code="file.unreadable",
            hint="Name a text file.",
        ) from None
    if len(content) > MAX_BYTES:
        raise Invalid(
            f"The file {str(file)!r} is larger than {MAX_BYTES // 1_000_000} MB.",
            code="file.too_large",
            hint="Name the file that was written for this command.",
        )
    return text


def read_mapping(file: Path | str, *, problem: str, hint: str) -> dict[str, Any]:
    """Return what a YAML or JSON file says, by name.

    Parameters
    ----------
    problem, hint
        What to say of a file that is no mapping, after its name, and what to write instead.

    Raises
    ------
    NotFound, Invalid
        As :func:`read_text`, and if it is no YAML, or not one document that is a mapping with names that are text.
    """
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Leaves a date as it was written: what is sent on knows no other."""

        yaml_implicit_resolvers: ClassVar = {
            first: [(tag, form) for tag, form in known if tag != "tag:yaml.org,2002:timestamp"]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    text = read_text(file)
    try:
        found = yaml.load(text, Loader)  # noqa: S506 - a safe one
    # A number or a date that YAML knows the form of but Python has no value for is a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = "it is nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise Invalid(
            f"The file {str(file)!r} is not valid YAML: {detail}.", code="file.yaml", hint="Check its indentation."
        ) from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise Invalid(f"The file {str(file)!r} {problem}.", code="file.content", hint=hint)
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"The file {str(file)!r} holds what cannot be sent: {error}.",
            code="file.content",
            hint="Use texts, finite numbers, true and false, lists and mappings.",
        ) from None
    return found


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)
