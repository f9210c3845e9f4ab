"""The audit log, as administrators read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time
from voxflow.text import Name  # noqa: TC002 - pydantic reads annotations at run time

from .callers import Caller, admin
from .envelope import Done, failures
from .pages import PageNumber, PageSize, Pagination, pagination, skipped

if TYPE_CHECKING:
    from fastapi import FastAPI
    from voxflow.database import Database, Row

LOG = "/api/admin/audit"
NAMED = """
    FROM audit_log
    WHERE (%(subject)s::text IS NULL OR subject = %(subject)s)
        AND (%(actor)s::text IS NULL OR actor = %(actor)s)
        AND (%(action)s::text IS NULL OR action = %(action)s)"""
COUNT = f"SELECT count(*) AS entries {NAMED}"
PAGE = f"""
    SELECT id, at, actor, action, subject, details, request_id {NAMED}
    ORDER BY id DESC LIMIT %(limit)s OFFSET %(skipped)s"""
Asking = Annotated[Caller, Depends(admin)]


class Entry(BaseModel):
    """Who did what to whose account."""

    id: int
    at: Moment
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    request_id: str


class Entries(BaseModel):
    """Entries, latest first."""

    entries: list[Entry]
    pagination: Pagination


@dataclass(frozen=True, slots=True)
class AuditLog:
    """What administrators ask about what was done."""

    database: Database

    def entries(
        self,
        _: Asking,
        page: PageNumber = 1,
        limit: PageSize = 20,
        subject: Annotated[Name | None, Query(description="done to this account")] = None,
        actor: Annotated[Name | None, Query(description="done by this account")] = None,
        action: Annotated[Name | None, Query(description="this was done")] = None,
    ) -> Row:
        """Tell what was done, latest first, a page at a time."""
        named = {"subject": subject, "actor": actor, "action": action}
        asked = named | {"limit": limit, "skipped": skipped(page, limit)}
        with self.database.for_all_tenants() as connection:
            total = one(connection.execute(COUNT, named))["entries"]
            found = connection.execute(PAGE, asked).fetchall()
        return {"data": {"entries": found, "pagination": pagination(page, limit, total)}}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get(LOG, response_model=Done[Entries], responses=failures(400, 401, 403))(self.entries)
