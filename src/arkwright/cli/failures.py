"""How an error reads: title, what was wrong, which fields, what to do. No stack traces."""

from __future__ import annotations

import errno
import shutil
import sys

from arkwright.cli.console import OUTPUT, plain, print_json, remarks
from arkwright.core.errors import ArkwrightError, Invalid, PolicyRefused
from arkwright.core.problems import problem_document

INTERRUPTED = 130
_MAX_FIELDS = 20


def report(error: ArkwrightError) -> int:
    """Show an error and return the exit code for it."""
    if OUTPUT.json:
        print_json(problem_document(error))
        return error.exit_code
    from rich.text import Text

    console = remarks()
    line = Text("")
    line.append(error.title, style="bold red")
    line.append(f": {plain(error.detail)}")
    console.print(line, soft_wrap=True)
    for item in error.errors[:_MAX_FIELDS]:
        field = Text("  ")
        field.append(plain(str(item.get("field", ""))), style="bold")
        field.append(f" {plain(str(item.get('message', '')))}")
        console.print(field, soft_wrap=True)
    if len(error.errors) > _MAX_FIELDS:
        console.print(f"  and {len(error.errors) - _MAX_FIELDS} more", style="dim")
    if isinstance(error, PolicyRefused):
        for condition in error.unmet:
            console.print(Text(f"  ✗ {plain(condition)}"), soft_wrap=True)
    if error.hint:
        console.print(Text("What to do: ", style="bold").append(plain(error.hint), style="not bold"), soft_wrap=True)
    return error.exit_code


def report_disk_or_permission(error: OSError) -> int:
    """Show an operating-system error about a file the user named, and return the exit code."""
    named = f" {error.filename!r}" if error.filename else ""
    detail = f"The file{named} cannot be used: {error.strerror or error}."
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(".").free // 1_000_000
        return report(ArkwrightError(detail, code="file.failed", hint=f"Free some space: {free:,} MB are left here."))
    return report(Invalid(detail, code="file.failed", hint="Check the path and its permissions."))


def note_interruption() -> None:
    """Say that the command was left; jobs that it started go on."""
    remarks().print("Interrupted. Jobs that were started go on: arkwright job ls", style="dim")


def silence_broken_pipe() -> None:
    """Leave quietly when the reader of our output has gone, as in ``arkwright job ls | head -1``."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
