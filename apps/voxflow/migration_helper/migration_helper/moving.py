"""Move an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .calls import Refused
from .findings import CLAIMS, claims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .calls import Calls

USER_DATA = "/api/migration/user-data"
NOTHING = {
    404: "this version moves no accounts: it knows no tenants yet, or nobody else any more",
    409: "this account has been a tenant from the start",
}


class NothingToMigrate(Exception):
    """This version has nothing to move to or from, or the account was never a legacy one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationResult:
    """What moving did.

    Args:
        moved_at: When, as ``2024-01-01T00:00:00.000Z``.
        agents: How many agents the account took along.
        campaigns: How many campaigns.
        stays: What it made and others use, which stays everybody's: ``kind``, ``id``, ``name``, ``why``.
        limits: ``max_agents`` and the ``agents`` that it has.
        sign_in_again: Whether the token has to be replaced by a new one.
    """

    moved_at: str
    agents: int
    campaigns: int
    stays: tuple[Mapping[str, str], ...]
    limits: Mapping[str, int]
    sign_in_again: bool


def moved(calls: Calls) -> MigrationResult:
    """Move the account; asked again it answers the same.

    Raises:
        NothingToMigrate: There is nothing to move to or from.
        Refused: The service refuses.
        Unreachable: It gives no answer before the deadline.
    """
    try:
        data: Mapping[str, Any] = calls.data("POST", USER_DATA)
    except Refused as refused:
        if refused.status in NOTHING:
            raise NothingToMigrate(NOTHING[refused.status]) from None
        raise
    said = claims(calls.token)
    return MigrationResult(
        moved_at=data["moved_at"],
        agents=data["moved"]["agents"],
        campaigns=data["moved"]["campaigns"],
        stays=tuple(data["stays"]),
        limits=data["limits"],
        sign_in_again=not all(name in said for name in CLAIMS),
    )
