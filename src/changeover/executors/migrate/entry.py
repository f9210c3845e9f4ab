"""Enter a database, wait a little for a server that is coming up, and say why one is not let in."""

from __future__ import annotations

import dataclasses
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import psycopg

from changeover.executors.migrate.failures import (
    DatabaseFull,
    DatabaseRefused,
    DatabaseStarting,
    DatabaseUnreachable,
)

if TYPE_CHECKING:
    from changeover.database import Database

    Connection = psycopg.Connection[tuple[Any, ...]]

COMING_UP_SECONDS = 30.0
PAUSE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class _Reason:
    """How libpq's words tell a refusal; before a session stands it passes no SQLSTATE on."""

    words: tuple[str, ...]
    leaf: type[DatabaseFull | DatabaseRefused | DatabaseStarting | DatabaseUnreachable]
    message: str
    hint: str


PASSWORDS = (
    "compare changeover_database_passwords in the environment's vault with the server, then run"
    " changeover provision{env}"
)
COMING_UP = _Reason(
    (
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not accepting connections",
        "the database system is not yet accepting connections",
    ),
    DatabaseStarting,
    "{where} is coming up or recovering, and let nobody in for {waited:.0f} s",
    "its log on {host} tells how far it is; run this again when it is through",
)
AWAY = _Reason(
    ("Connection refused", "server closed the connection unexpectedly"),
    DatabaseUnreachable,
    "no PostgreSQL listens for {where}",
    "changeover drift{env} names the services that should run on {host} and do not",
)
REASONS = (
    COMING_UP,
    AWAY,
    _Reason(
        ("too many clients", "too many connections", "remaining connection slots"),
        DatabaseFull,
        "{where} has no connection left for {user}",
        "end sessions that are not needed on {host}, or raise the limit, then run this again",
    ),
    _Reason(
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        DatabaseRefused,
        "{where} refuses {user} from here",
        "its pg_hba.conf is written by changeover provision{env}",
    ),
    _Reason(
        ("does not exist",),
        DatabaseRefused,
        "{where} does not have what {user} asks for",
        "the database and its roles are made by changeover provision{env}",
    ),
    _Reason(("FATAL",), DatabaseRefused, "{where} refuses {user}", PASSWORDS),
)
SILENT = _Reason(
    (),
    DatabaseUnreachable,
    "{where} does not answer",
    "see what keeps it on {host}: the load, the disk, PostgreSQL's log; then run this again",
)


def enter(database: Database, application: str) -> Connection:
    """Open an autocommit session.

    Raises:
        DatabaseRefused: The server answered and refused.
        DatabaseFull: It has no connection left.
        DatabaseStarting: It was coming up or recovering for all the time we wait for that.
        DatabaseUnreachable: Nobody answered in time.
    """
    begun = monotonic()
    coming_up = False
    while True:
        try:
            connection: Connection = psycopg.connect(
                **_parameters(database), application_name=application, autocommit=True
            )
        except psycopg.OperationalError as error:
            reason = _reason(str(error))
            waited = monotonic() - begun
            # A restart closes the port between its shutdown and its start.
            coming_up = reason is COMING_UP or (coming_up and reason is AWAY)
            if not coming_up or waited > COMING_UP_SECONDS:
                raise _failure(database, reason, str(error), waited) from error
            sleep(PAUSE_SECONDS)
        else:
            return connection


def _parameters(database: Database) -> dict[str, Any]:
    return dict(database.parameters())


def _reason(said: str) -> _Reason:
    for reason in REASONS:
        if any(words in said for words in reason.words):
            return reason
    return SILENT


def _failure(
    database: Database, reason: _Reason, said: str, waited: float
) -> DatabaseFull | DatabaseRefused | DatabaseStarting | DatabaseUnreachable:
    host = database.shown_host
    words: dict[str, Any] = {
        "where": f"{database.name} on {host}",
        "host": host,
        "user": database.user,
        "env": f" --env {database.environment}" if database.environment else "",
        "waited": waited,
    }
    return reason.leaf(
        reason.message.format(**words),
        host=host,
        cause=said.strip(),
        hint=reason.hint.format(**words),
    )
