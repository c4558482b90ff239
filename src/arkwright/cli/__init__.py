"""The command line: ``arkwright <noun> <verb>``, on the SDK.

Exit codes: 0 done; 1 something went wrong; 2 the input is wrong; 3 sign in or not permitted; 4 not found; 5 the state
does not allow it; 6 refused by policy; 7 not available right now; 8 an external system failed; 130 interrupted.

Results go to standard output (with ``--json`` as one JSON document, an error's problem document included), progress and
remarks to standard error.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from arkwright.cli.app import run

    run()
