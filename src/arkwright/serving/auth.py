"""Who is calling, known from the plan alone.

The plan carries the SHA-256 of every live secret. A presented secret is hashed and looked up by its hash, so what a
timing attack could learn is the hash of its own guess; secrets have 256 random bits, so a fast hash is enough.

**Revocation lag.** A revoked key or session stops counting when the next plan arrives: within 0.5 s (the poll) plus the
time to compile and send it while the control plane answers, independent of how long bundles take to load. While the
control plane is away the last plan counts, so a revocation made just before an outage may not be known here;
``expires_at`` is checked at every request and needs no plan. A *new* key counts at once: an unknown secret causes one
look for a newer plan before it is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from arkwright.contracts import Credential
from arkwright.core.errors import NotAuthenticated, NotPermitted
from arkwright.serving.asgi import Scope, header
from arkwright.serving.plan import PlanHolder

SESSION_COOKIE = "arkwright_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_SECRET_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential is good."""

    actor_id: str
    actor_kind: str
    workspace_id: str
    role: str
    by_cookie: bool


_NOBODY = Principal(actor_id="", actor_kind="", workspace_id="", role="", by_cookie=False), -1.0


class Authenticator:
    """Turns a request's headers into a :class:`Principal`.

    Parameters
    ----------
    holder
        Keeps the plan, and with it the credentials.
    now
        Seconds since the epoch.
    """

    def __init__(self, holder: PlanHolder, now: Callable[[], float] = time.time) -> None:
        self._holder = holder
        self._now = now
        self._credentials: dict[str, Credential] = {}
        self._recognised: dict[str, tuple[Principal, float]] = {}
        self._last: tuple[bytes, tuple[Principal, float]] = (b"", _NOBODY)

    def recognise(self, headers: dict[bytes, bytes]) -> Principal | None:
        """Return who is calling if the bearer token is known and in date; else ``authenticate`` has the last word.

        This is the quick way of nearly every prediction: a comparison for the caller who came last, a hash and two
        look-ups for any other.
        """
        authorization = headers.get(b"authorization")
        if authorization is None:
            return None
        credentials = self._holder.state.credentials
        if credentials is not self._credentials:
            # A newer plan: what was recognised by an older one counts no more.
            self._recognised = {}
            self._last = (b"", _NOBODY)
            self._credentials = credentials
        last, found = self._last
        # By its keyed hash first: comparing with a secret takes the longer the more of it is right.
        if hash(authorization) != hash(last) or authorization != last:
            if authorization[:7] != b"Bearer ":
                return None
            digest = hashlib.sha256(authorization[7:]).hexdigest()
            known = self._recognised.get(digest)
            if known is None:
                credential = credentials.get(digest)
                if credential is None:
                    return None
                known = self._recognised[digest] = _principal(credential, by_cookie=False), credential.expires_at
            found = known
            self._last = authorization, found
        principal, expires_at = found
        if expires_at and expires_at <= self._now():
            return None
        return principal

    async def authenticate(self, scope: Scope) -> Principal:
        """Return who is calling.

        Raises
        ------
        NotAuthenticated
            If there is no credential, or it is unknown or expired.
        NotPermitted
            If a browser sent a session cookie along with another site's request.
        """
        presented = _presented(scope)
        if presented is None:
            raise NotAuthenticated(
                "The request carries no credential.",
                hint="Send 'Authorization: Bearer <API key>', or sign in with the link that `arkwright up` prints.",
            )
        secret, by_cookie = presented
        digest = hashlib.sha256(secret).hexdigest()
        credential = self._holder.state.credentials.get(digest)
        if credential is None:
            await self._holder.refresh()
            credential = self._holder.state.credentials.get(digest)
        if credential is None:
            raise NotAuthenticated(
                "The credential is not known here, or it was revoked.",
                code="not_authenticated.unknown",
                hint="List the keys with GET /v1/api-keys, and make a new one with POST /v1/api-keys.",
            )
        self._check_expiry(credential)
        if by_cookie:
            require_same_origin(scope)
        return _principal(credential, by_cookie=by_cookie)

    def _check_expiry(self, credential: Credential) -> None:
        if credential.expires_at and credential.expires_at <= self._now():
            raise NotAuthenticated(
                "The credential has expired.", code="not_authenticated.expired", hint="Sign in again or make a new key."
            )


def _principal(credential: Credential, *, by_cookie: bool) -> Principal:
    return Principal(
        actor_id=credential.actor_id,
        actor_kind=credential.actor_kind,
        workspace_id=credential.workspace_id,
        role=credential.role,
        by_cookie=by_cookie,
    )


def require_same_origin(scope: Scope) -> None:
    """Refuse an unsafe request that a browser sent on behalf of another site.

    A browser adds the session cookie to any site's requests; it also says where they come from, in ``Sec-Fetch-Site``
    or, if it is older, in ``Origin``. A request with neither is refused: programs use a key, not a cookie.

    Raises
    ------
    NotPermitted
        If the request does not come from our own pages.
    """
    if scope["method"] in _SAFE_METHODS:
        return
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        allowed = site == b"same-origin"
    else:
        origin, host = header(scope, b"origin"), header(scope, b"host")
        allowed = origin is not None and host is not None and origin.partition(b"://")[2] == host
    if not allowed:
        raise NotPermitted(
            "The request was sent with a session cookie, but not from this platform's own pages.",
            code="not_permitted.cross_site",
            hint="Programs send an API key: 'Authorization: Bearer <API key>'.",
        )


def _password(encoded: bytes) -> bytes:
    """Return the password of HTTP's basic authentication: the key, for clients that know no other way."""
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _presented(scope: Scope) -> tuple[bytes, bool] | None:
    """Return the secret and whether it came in a cookie; a bearer token goes first."""
    cookies: list[bytes] = []
    for key, value in scope["headers"]:
        if key == b"authorization":
            scheme, _, token = value.partition(b" ")
            token = token.strip()
            if scheme.lower() == b"bearer" and 0 < len(token) <= _MAX_SECRET_BYTES:
                return token, False
            if scheme.lower() == b"basic" and len(token) <= _MAX_SECRET_BYTES and (secret := _password(token)):
                return secret, False
        elif key == b"cookie":
            cookies.append(value)
    wanted = SESSION_COOKIE.encode("ascii")
    for pair in b";".join(cookies).split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == wanted and 0 < len(value) <= _MAX_SECRET_BYTES:
            return value.strip(b'"'), True
    return None
