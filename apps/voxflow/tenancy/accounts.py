"""Signing up and in, and one's own profile."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import psycopg
from fastapi import Depends
from pydantic import BaseModel
from voxflow import accounts, figures, passwords, tokens
from voxflow.database import one
from voxflow.moments import Moment  # noqa: TC002 - pydantic reads annotations at run time
from voxflow.text import Email, Password, Prose  # noqa: TC002 - pydantic reads annotations at run time

from .callers import Caller, caller, claims
from .envelope import Done, Refused, failures
from .tiers import TIERS, Tier

if TYPE_CHECKING:
    from fastapi import FastAPI
    from voxflow.database import Database, Row
    from voxflow.settings import Settings

ADD = """
    INSERT INTO users (id, email, password, role, organization_name, subscription_tier, max_agents,
        monthly_token_quota)
    VALUES (%(id)s, %(email)s, %(password)s, %(role)s, %(organization)s, %(tier)s, %(agents)s, %(tokens)s)"""
MOVED = "UPDATE users SET contract = 'tenant' WHERE id = %s"
PROFILE = """
    SELECT id, email, role, organization_name, subscription_tier, max_agents, monthly_token_quota,
        is_active, created_at
    FROM users WHERE id = %s"""
REGISTER, LOGIN, OWN = "/api/auth/register", "/api/auth/login", "/api/auth/profile"


class Registration(BaseModel):
    """An account that is asked for."""

    email: Email
    password: Password
    organization_name: Prose = ""
    subscription_tier: Tier = "free"


class SignIn(BaseModel):
    """An email and its password."""

    email: Prose
    password: Prose


class Profile(BaseModel):
    """An account."""

    id: str
    email: str
    role: str
    organization_name: str
    subscription_tier: Tier
    max_agents: int
    monthly_token_quota: int
    is_active: bool
    created_at: Moment


class SignedIn(BaseModel):
    """A token, and whose it is."""

    success: Literal[True] = True
    token: str
    data: Profile


@dataclass(frozen=True, slots=True)
class Accounts:
    """What somebody asks about their own account.

    Args:
        settings: What tokens are signed with, and how long they last.
        database: Where accounts are.
        contract: Whether accounts may still be legacy ones.
    """

    settings: Settings
    database: Database
    contract: bool

    def register(self, asked: Registration) -> Row:
        """Make an account, and sign it in."""
        allotment = TIERS[asked.subscription_tier]
        values = {
            "id": str(uuid.uuid4()),
            "email": asked.email,
            "password": passwords.hashed(asked.password),
            "role": allotment.role,
            "organization": asked.organization_name,
            "tier": asked.subscription_tier,
            "agents": allotment.agents,
            "tokens": allotment.tokens,
        }
        try:
            with self.database.for_everybody() as connection:
                connection.execute(ADD, values)
                if self.contract:
                    connection.execute(MOVED, [values["id"]])
                made = one(connection.execute(PROFILE, [values["id"]]))
        except psycopg.errors.UniqueViolation:
            raise Refused(409, "EMAIL_TAKEN", "This email has an account already") from None
        return self._signed_in(made)

    def login(self, asked: SignIn) -> Row:
        """Give a token for an email and its password."""
        with self.database.for_everybody() as connection:
            account = accounts.sign_in(connection, asked.email, asked.password)
            found = None
            if account is not None:
                found = one(connection.execute(PROFILE, [account.id]))
        well = found is not None and found["is_active"]
        figures.signed_in(well=well)
        if found is None or not well:
            raise Refused(401, "INVALID_CREDENTIALS", "Email or password is wrong")
        return self._signed_in(found)

    def profile(self, asked_by: Annotated[Caller, Depends(caller)]) -> Row:
        """Tell one's own account."""
        with self.database.for_everybody() as connection:
            return {"data": one(connection.execute(PROFILE, [asked_by.id]))}

    def _signed_in(self, account: Row) -> Row:
        token = tokens.signed(claims(account), self.settings.secret, self.settings.token_seconds)
        return {"token": token, "data": account}

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.post(REGISTER, status_code=201, response_model=SignedIn, responses=failures(400, 409))(
            self.register
        )
        app.post(LOGIN, response_model=SignedIn, responses=failures(400, 401))(self.login)
        app.get(OWN, response_model=Done[Profile], responses=failures(401))(self.profile)
