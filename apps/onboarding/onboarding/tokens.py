"""Who asks: the bearer token of a request."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

import jwt

ALGORITHM = "HS256"
ADMIN = "admin"
# Who the smoke checks are: the user, and the role, that nobody else is.
SMOKE = "smoke-check"


class Unauthorized(Exception):
    """There is no token, or none that this app has signed and that is still valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Args:
        user: Their id.
        role: ``admin``, or what users are.
        smoke: Whether it is a smoke check.
    """

    user: str
    role: str
    smoke: bool = False


def caller(authorization: str | None, secret: str, smoke: str) -> Caller:
    """Return who asks, by the value of the header ``Authorization``.

    Args:
        authorization: That value.
        secret: What tokens are signed with.
        smoke: The token of smoke checks; empty where there are none.

    Raises:
        Unauthorized: Nobody knows.
    """
    kind, _, token = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthorized
    token = token.strip()
    if smoke and hmac.compare_digest(token.encode(), smoke.encode()):
        return Caller(user=SMOKE, role=SMOKE, smoke=True)
    try:
        claims = jwt.decode(
            token, secret, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]}
        )
    except jwt.InvalidTokenError:
        raise Unauthorized from None
    user, role = claims["sub"], claims.get("role", "user")
    if not isinstance(user, str) or not user or "\0" in user or not isinstance(role, str):
        raise Unauthorized
    if SMOKE in (user, role):
        raise Unauthorized
    return Caller(user=user, role=role)
