"""What a legacy client asks before its account moves, and to move it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from pydantic import BaseModel
from tenancy.callers import Caller
from tenancy.envelope import Done, Refused, failures
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time

from . import move
from .move import Prospect, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from voxflow.database import Database, Row

    from .notice import Notice

COMPATIBILITY, USER_DATA = "/api/migration/compatibility", "/api/migration/user-data"
USED = """
    SELECT route, sum(requests)::bigint AS requests, max(last_used) AS last_used
    FROM deprecated_usage WHERE user_id = %s GROUP BY route ORDER BY route"""


def either(request: Request) -> Caller:
    """Return who asks, by a token of either kind; a dependency of routes.

    Raises:
        Refused: 401.
    """
    found: Caller | Refused = request.state.caller
    if isinstance(found, Refused):
        raise found
    return found


Asking = Annotated[Caller, Depends(either)]


class Issue(BaseModel):
    """What keeps an account from being a tenant without noticing."""

    code: str
    message: str
    action: str


class Used(BaseModel):
    """A deprecated route that this account has asked."""

    route: str
    requests: int
    last_used: Moment


class Announced(BaseModel):
    """Since when legacy routes are deprecated, and from when they may be gone."""

    deprecated_on: Moment | None
    removed_on: Moment | None


class Compatibility(Prospect):
    """What moving would do, and what is to be known before."""

    compatible: bool
    issues: list[Issue]
    deprecated_routes: list[Used]
    announced: Announced


@dataclass(frozen=True, slots=True)
class Migration:
    """What is asked about moving one's own account.

    Args:
        database: Where everything is.
        notice: What is announced of legacy routes.
    """

    database: Database
    notice: Notice

    def compatibility(self, asked_by: Asking) -> Row:
        """Tell what moving this account would do, and what is to be known before; changes nothing."""
        with self.database.for_all_tenants() as connection:
            found = move.prospect(connection, asked_by.id)
            used = connection.execute(USED, [asked_by.id]).fetchall() if asked_by.legacy else []
        issues = list(_issues(asked_by, found, used))
        return {
            "data": {
                **found.model_dump(),
                "compatible": not issues,
                "issues": [each.model_dump() for each in issues],
                "deprecated_routes": used,
                "announced": {
                    "deprecated_on": self.notice.deprecated,
                    "removed_on": self.notice.removed,
                },
            }
        }

    def user_data(self, asked_by: Asking, request: Request) -> Row:
        """Make this account a tenant, with what it made; asked again it answers the same."""
        with self.database.for_all_tenants() as connection:
            done = move.move(connection, asked_by.id, request.state.request_id)
        if done is None:
            raise Refused(
                409, "NOTHING_TO_MIGRATE", "This account has been a tenant from the start"
            )
        return {"data": done.model_dump()}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(COMPATIBILITY, response_model=Done[Compatibility], responses=failures(401))(
            self.compatibility
        )
        app.post(USER_DATA, response_model=Done[Result], responses=failures(401, 409))(
            self.user_data
        )


def _issues(asked_by: Caller, found: Prospect, used: list[Row]) -> Iterator[Issue]:
    if asked_by.legacy:
        yield Issue(
            code="LEGACY_CONTRACT",
            message="This account sees what is everybody's, in the shapes from before there were tenants",
            action=f"POST {USER_DATA}",
        )
    if asked_by.outdated:
        yield Issue(
            code="TOKEN_OUTDATED",
            message="The token has no role, tier or limits; tenants' routes refuse it",
            action="sign in again",
        )
    if used:
        yield Issue(
            code="DEPRECATED_ROUTES_USED",
            message=f"This account asks routes that will go: {', '.join(row['route'] for row in used)}",
            action="read agents and campaigns from data, and failures from error.code",
        )
    there = found.limits.agents + found.goes.agents
    if there > found.limits.max_agents:
        yield Issue(
            code="AGENTS_OVER_LIMIT",
            message=f"{there} agents are more than the limit of {found.limits.max_agents}: all are "
            "kept, and none can be made",
            action="ask an administrator for a higher limit",
        )
    if found.stays:
        yield Issue(
            code="STAYS_EVERYBODYS",
            message=f"{len(found.stays)} of what this account made is used by others, and stays "
            "everybody's",
            action="see stays",
        )
