"""Bearer tokens: JSON Web Tokens, signed with one secret by every version."""

from __future__ import annotations

import time
from typing import Any

import jwt

ALGORITHM = "HS256"


class Unauthorized(Exception):
    """There is no token, or none that this app has signed."""


class Expired(Unauthorized):
    """The token was good once."""


def signed(claims: dict[str, Any], secret: str, seconds: int) -> str:
    """Return a token that says ``claims`` for so many seconds."""
    now = int(time.time())
    return jwt.encode({**claims, "iat": now, "exp": now + seconds}, secret, ALGORITHM)


def claims(authorization: str | None, secret: str) -> dict[str, Any]:
    """Return what the token in the value of the header ``Authorization`` says.

    Raises:
        Expired: It was good once.
        Unauthorized: It never was, or there is none.
    """
    kind, _, token = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthorized
    try:
        said: dict[str, Any] = jwt.decode(
            token.strip(),
            secret,
            algorithms=[ALGORITHM],
            options={"require": ["exp", "iat", "id", "email"]},
        )
    except jwt.ExpiredSignatureError:
        raise Expired from None
    except jwt.InvalidTokenError:
        raise Unauthorized from None
    if not (is_name(said["id"]) and is_name(said["email"])):
        raise Unauthorized
    return said


def is_name(value: object) -> bool:
    """Tell whether a claim can be looked for in the database."""
    return isinstance(value, str) and bool(value) and "\0" not in value and value.isprintable()
