"""Who asks, by the token of a request and what the database says of its account today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from voxflow import tokens

from .envelope import Refused

if TYPE_CHECKING:
    from typing import LiteralString

    from voxflow.database import Database

ADMIN, LEGACY, TENANT = "admin", "legacy", "tenant"
# The account of the administrator whom the environment names.
RESERVED = "admin"
CLAIMS = ("role", "subscription_tier", "max_agents", "monthly_token_quota")
ACCOUNT = """
    SELECT id, email, role, subscription_tier, is_active FROM users WHERE id = %s"""
ACCOUNT_OF_EITHER = """
    SELECT id, email, role, subscription_tier, is_active, contract FROM users WHERE id = %s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose token it is.

    Args:
        id: Their id.
        email: What they sign in by.
        role: ``user``, ``enterprise`` or ``admin``, as the database has it.
        tier: ``free``, ``pro`` or ``enterprise``.
        legacy: Whether they still speak as clients did before there were tenants.
        outdated: Whether their token is one from before there were tenants.
    """

    id: str
    email: str
    role: str
    tier: str
    legacy: bool
    outdated: bool


class Callers:
    """Knows who asks.

    Args:
        database: Where accounts are.
        secret: What tokens are signed with.
        contract: Whether accounts may still be legacy ones.
    """

    def __init__(self, database: Database, secret: str, *, contract: bool) -> None:
        self._database, self._secret = database, secret
        self._account: LiteralString = ACCOUNT_OF_EITHER if contract else ACCOUNT

    def of(self, authorization: str | None) -> Caller:
        """Return whose token a header has.

        Raises:
            Refused: 401, and why.
        """
        try:
            said = tokens.claims(authorization, self._secret)
        except tokens.Expired:
            raise Refused(401, "TOKEN_EXPIRED", "The token has expired", "sign in again") from None
        except tokens.Unauthorized:
            raise Refused(
                401, "UNAUTHORIZED", "A token is needed", "send Authorization: Bearer <token>"
            ) from None
        with self._database.for_everybody() as connection:
            found = connection.execute(self._account, [said["id"]]).fetchone()
        if found is None or not found["is_active"]:
            raise Refused(401, "UNAUTHORIZED", "There is no such account", "sign in again")
        return Caller(
            id=found["id"],
            email=found["email"],
            role=found["role"],
            tier=found["subscription_tier"],
            legacy=found.get("contract") == LEGACY,
            outdated=not all(name in said for name in CLAIMS),
        )


# Whether the token is good was found at the entrance; here the document says that one is needed.
BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT")


def caller(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
) -> Caller:
    """Return who asks; a dependency of routes.

    Raises:
        Refused: 401.
    """
    found: Caller | Refused = request.state.caller
    if isinstance(found, Refused):
        raise found
    if found.outdated:
        raise Refused(
            401, "TOKEN_OUTDATED", "The token is from before there were roles", "sign in again"
        )
    return found


def admin(asked_by: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return the administrator who asks; a dependency of routes.

    Raises:
        Refused: 401 or 403.
    """
    if asked_by.role != ADMIN:
        raise Refused(403, "FORBIDDEN", "Administrators alone may do this")
    return asked_by


def claims(account: dict[str, Any]) -> dict[str, Any]:
    """Return what a token says of an account."""
    return {name: account[name] for name in ("id", "email", *CLAIMS)}
