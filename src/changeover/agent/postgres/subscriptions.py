"""Subscriptions: they belong to a database, and take what its publisher's slot holds.

Two with one slot would take it from each other, and a database that has one cannot be dropped. So none is
made in a copy: each stays with the database that it was made in.
"""

# ruff: noqa: S608 - names are quoted

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import identifier, literal

if TYPE_CHECKING:
    from changeover.agent.postgres.session import Record

# For pg_dump and pg_restore alike; it keeps the password of a publisher out of backups, too.
WITHOUT = "--no-subscriptions"


def found(session: Session, database: str | None) -> list[Record]:
    """Return a database's subscriptions: ``name``, the publisher's ``slot``, ``publications``, ``enabled``."""
    return session.rows(
        f"""SELECT s.subname AS name, s.subslotname AS slot, s.subpublications AS publications,
        s.subenabled AS enabled FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
        WHERE d.datname = {literal(database or "")} ORDER BY 1"""
    )


def drop(session: Session, database: str) -> None:
    """Drop a database's subscriptions, and leave the publisher's slots alone: others may use them."""
    there = found(session, database)
    if not there:
        return
    session.run(f"ALTER DATABASE {identifier(database)} ALLOW_CONNECTIONS true")
    with Session(session.server, database) as inside:
        for one in there:
            name = identifier(str(one["name"]))
            inside.run(f"ALTER SUBSCRIPTION {name} DISABLE")
            inside.run(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
            inside.run(f"DROP SUBSCRIPTION {name}")
