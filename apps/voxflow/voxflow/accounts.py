"""Accounts, as far as every version knows them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import passwords

if TYPE_CHECKING:
    from .database import Connection
    from .settings import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who can sign in.

    Args:
        id: Their id.
        email: What they sign in by.
    """

    id: str
    email: str


def sign_in(connection: Connection, email: str, password: str) -> Account | None:
    """Return whose email and password these are."""
    found = connection.execute(
        "SELECT id, email, password FROM users WHERE lower(email) = lower(%s)", [email]
    ).fetchone()
    if not passwords.fits(found["password"] if found else None, password) or found is None:
        return None
    return Account(id=found["id"], email=found["email"])


def ensure(connection: Connection, person: Person) -> None:
    """Make an account that is asked for, or give it the password that is asked for.

    Args:
        connection: A transaction.
        person: Whose it is.
    """
    found = connection.execute(
        "SELECT id, password FROM users WHERE lower(email) = lower(%s)", [person.email]
    ).fetchone()
    if found is None:
        connection.execute(
            "INSERT INTO users (id, email, password) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [str(uuid.uuid4()), person.email, passwords.hashed(person.password)],
        )
    elif not passwords.fits(found["password"], person.password):
        connection.execute(
            "UPDATE users SET password = %s WHERE id = %s",
            [passwords.hashed(person.password), found["id"]],
        )
