"""Who asks: the bearer token of a request."""

from __future__ import annotations

from dataclasses import dataclass

import jwt

ALGORITHM = "HS256"
ADMIN = "admin"


class Unauthorized(Exception):
    """There is no token, or none that this app has signed and that is still valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Args:
        user: Their id.
        role: ``admin``, or what users are.
    """

    user: str
    role: str


def caller(authorization: str | None, secret: str) -> Caller:
    """Return who asks, by the value of the header ``Authorization``.

    Raises:
        Unauthorized: Nobody knows.
    """
    kind, _, token = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthorized
    try:
        claims = jwt.decode(
            token.strip(), secret, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]}
        )
    except jwt.InvalidTokenError:
        raise Unauthorized from None
    user, role = claims["sub"], claims.get("role", "user")
    if not isinstance(user, str) or not user or "\0" in user or not isinstance(role, str):
        raise Unauthorized
    return Caller(user=user, role=role)
