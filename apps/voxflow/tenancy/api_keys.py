"""A tenant's keys for providers: kept encrypted, and told to nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from prometheus_client import Counter
from pydantic import BaseModel, Field, Secret, StrictBool
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time

from . import audit
from .callers import Caller, caller
from .envelope import Cause, Done, failures
from .keyring import Place, Sealed, Unreadable
from .providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from fastapi import FastAPI
    from voxflow.database import Database, Row

    from .keyring import Keyring

KEYS, STATUS = "/api/api-keys", "/api/api-keys/status"
SAVED = "api_key.saved"
BEFORE = """
    SELECT key_id, sealed FROM api_keys WHERE user_id = %(user)s AND provider = %(provider)s FOR UPDATE"""
SAVE = """
    INSERT INTO api_keys (user_id, provider, key_id, sealed, is_active)
    VALUES (%(user)s, %(provider)s, %(key_id)s, %(sealed)s, %(is_active)s)
    ON CONFLICT (user_id, provider) DO UPDATE
    SET key_id = excluded.key_id, sealed = excluded.sealed, is_active = excluded.is_active, updated_at = now(),
        last_used = CASE WHEN %(same)s THEN api_keys.last_used END
    RETURNING provider, is_active, last_used"""
ALL = "SELECT provider, key_id, sealed, is_active, last_used FROM api_keys WHERE user_id = %s"
ABSENT = {"configured": False, "is_active": False, "last_used": None}
UNREADABLE = Cause(
    code="API_KEY_UNREADABLE",
    details="the key is kept, and cannot be decrypted any more: save it again",
)
SAVES = Counter("voxflow_api_keys_saved", "API keys that tenants saved", ["provider"])
UNREAD = Counter(
    "voxflow_api_keys_unreadable",
    "Times that a key was asked about which no secret opens",
    ["provider"],
)
# What providers give out: no space, no line end that was copied along.
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]
Asking = Annotated[Caller, Depends(caller)]


class NewKey(BaseModel):
    """A key that is to be kept."""

    provider: Provider
    api_key: Secret[Text]
    is_active: StrictBool = True


class Status(BaseModel):
    """What is told of a key."""

    configured: bool
    is_active: bool
    last_used: Moment | None


class Unread(Status):
    """What is told of a key that no secret opens any more; it is not active."""

    error: Cause


class Kept(Status):
    """A key that was saved."""

    provider: Provider


class Statuses(BaseModel):
    """What is told of all keys."""

    groq: Status | Unread
    deepgram: Status | Unread
    twilio: Status | Unread


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """What a tenant asks about their keys.

    Args:
        database: Where they are.
        ring: What they are encrypted with.
    """

    database: Database
    ring: Keyring

    def save(self, request: Request, asked_by: Asking, asked: NewKey) -> Row:
        """Keep a key, instead of the one before; the same one goes on."""
        place = Place(user=asked_by.id, provider=asked.provider)
        key = asked.api_key.get_secret_value()
        row = {"user": place.user, "provider": place.provider, "is_active": asked.is_active}
        with self.database.for_tenant(asked_by.id) as connection:
            before = connection.execute(BEFORE, row).fetchone()
            same = before is not None and self._opened(before, place) == key
            sealed = self.ring.seal(key, place)
            row |= {"key_id": sealed.key_id, "sealed": sealed.data, "same": same}
            kept = one(connection.execute(SAVE, row))
            audit.keep(
                connection,
                actor=asked_by.id,
                action=SAVED,
                subject=asked_by.id,
                details={"provider": asked.provider, "is_active": asked.is_active},
                request_id=request.state.request_id,
            )
        SAVES.labels(asked.provider).inc()
        return {"data": {"configured": True, **kept}}

    def status(self, asked_by: Asking) -> Row:
        """Tell which keys there are, and when each was used last."""
        with self.database.for_tenant(asked_by.id) as connection:
            found = connection.execute(ALL, [asked_by.id]).fetchall()
        told = {row["provider"]: self._told(row, asked_by.id) for row in found}
        return {"data": {provider: told.get(provider, ABSENT) for provider in PROVIDERS}}

    def _told(self, row: Row, user: str) -> Row:
        told = {"configured": True, "is_active": row["is_active"], "last_used": row["last_used"]}
        if self._opened(row, Place(user=user, provider=row["provider"])) is None:
            UNREAD.labels(row["provider"]).inc()
            told |= {"is_active": False, "error": UNREADABLE}
        return told

    def _opened(self, row: Row, place: Place) -> str | None:
        try:
            return self.ring.open(Sealed(key_id=row["key_id"], data=row["sealed"]), place)
        except Unreadable:
            return None

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.post(KEYS, response_model=Done[Kept], responses=failures(400, 401))(self.save)
        app.get(STATUS, response_model=Done[Statuses], responses=failures(401))(self.status)
