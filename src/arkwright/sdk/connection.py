"""Which platform to talk to, and with which key.

Looked for in this order: the arguments, ``ARKWRIGHT_URL`` and ``ARKWRIGHT_API_KEY``, the data folder in
``ARKWRIGHT_HOME``, and the *pointer*: a small file in the user's configuration folder in which ``arkwright up`` notes
where it runs. A key that was found on this machine is only ever sent to the platform it belongs to.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arkwright.core.errors import Invalid

DEFAULT_URL = "http://127.0.0.1:8585"
URL_VARIABLE = "ARKWRIGHT_URL"
KEY_VARIABLE = "ARKWRIGHT_API_KEY"
HOME_VARIABLE = "ARKWRIGHT_HOME"
KEY_FILE = Path("credentials") / "admin.key"
STATE_FILE = Path("run") / "state.json"


@dataclass(frozen=True, slots=True)
class Connection:
    """A platform's address, the key for it, and the data folder if it runs on this machine."""

    url: str
    key: str | None = None
    home: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        """Leave the key out, so that it does not end in a log."""
        return f"Connection(url={self.url!r}, key={'set' if self.key else None}, home={self.home})"


def find_connection(
    base_url: str | None = None, token: str | None = None, *, home: Path | str | None = None
) -> Connection:
    """Return the platform that the arguments, the environment or the pointer name.

    Parameters
    ----------
    base_url, token
        Given by the caller; they win.
    home
        The data folder of a platform on this machine; then the environment is not looked at.

    Raises
    ------
    Invalid
        If the address is no http(s) URL or the key cannot be sent in a header.
    """
    # A home that was named has its own key; the environment's belongs to the environment's platform.
    key = token or (None if home else os.environ.get(KEY_VARIABLE)) or None
    url = base_url or (None if home else os.environ.get(URL_VARIABLE))
    home = home or (None if url else os.environ.get(HOME_VARIABLE))
    local = local_platform(Path(home)) if home else read_pointer()
    if url is None:
        url = local.url if local else DEFAULT_URL
    url = normalise_url(url)
    known = local if local is not None and _same_origin(local.url, url) else None
    if key is None and known is not None:
        key = _read_key(known.key_file) if known.key_file else None
    return Connection(
        url=url,
        key=_sendable(key),
        home=known.home if known else None,
        key_file=known.key_file if known else None,
    )


def pointer_path() -> Path:
    """Return where the pointer lies: ``$XDG_CONFIG_HOME/arkwright/current.json``, or below ``~/.config``."""
    folder = os.environ.get("XDG_CONFIG_HOME") or ""
    root = Path(folder) if folder.startswith("/") else Path.home() / ".config"
    return root / "arkwright" / "current.json"


def read_pointer() -> Connection | None:
    """Return the platform the pointer names, without its key; None if there is no usable pointer."""
    document = _read_json(pointer_path())
    url, home = document.get("url"), document.get("home")
    if not isinstance(url, str) or not _is_url(url):
        return None
    key_file = document.get("key_file")
    return Connection(
        url=normalise_url(url),
        home=Path(home) if isinstance(home, str) and home else None,
        key_file=Path(key_file) if isinstance(key_file, str) and key_file else None,
    )


def local_platform(home: Path) -> Connection:
    """Return the platform whose data folder is ``home``, without its key, from the state it left there."""
    home = home.expanduser().resolve()
    url = _read_json(home / STATE_FILE).get("url")
    known = url if isinstance(url, str) and _is_url(url) else None
    return Connection(
        url=normalise_url(known) if known else DEFAULT_URL,
        home=home,
        # Nobody knows who answers at the default address while this platform does not run.
        key_file=home / KEY_FILE if known else None,
    )


def normalise_url(url: str) -> str:
    """Return a base URL without a trailing slash.

    Examples
    --------
    >>> normalise_url("http://127.0.0.1:8585/")
    'http://127.0.0.1:8585'

    Raises
    ------
    Invalid
        If it is no http(s) URL.
    """
    text = url.strip().rstrip("/")
    if not _is_url(text):
        raise Invalid(
            f"{url!r} is not the address of a platform.",
            code="sdk.url",
            hint=f"Give a URL such as {DEFAULT_URL}, as an argument or in {URL_VARIABLE}.",
        )
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _same_origin(first: str, second: str) -> bool:
    def origin(url: str) -> tuple[str, str | None, int | None]:
        parts = urlsplit(url)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        return parts.scheme, host, parts.port

    return origin(first) == origin(second)


def _read_key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        # Not there yet, or somebody else's: the server's "sign in first" says more than we could here.
        return None


def _sendable(key: str | None) -> str | None:
    if key is None:
        return None
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Invalid(
            "The API key holds characters that cannot be sent.",
            code="sdk.key",
            hint=f"Copy it again; {KEY_VARIABLE} holds the key itself, not the name of a file.",
        )
    return key or None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
