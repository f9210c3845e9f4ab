"""Sessions of the database, each for one tenant.

Which rows a session may see is the database's to say, by policies on ``voxflow.user``; a statement that
forgets its tenant sees none of another one. Without a tenant a session sees what belonged to everybody
before there were tenants.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from . import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .settings import Settings

    Row = dict[str, Any]
    Connection = psycopg.Connection[Row]

POOL_SECONDS = 10.0
# Which rows a transaction sees: a tenant's, or with the other one those of all tenants.
TENANT, SCOPE = "voxflow.user", "voxflow.scope"
# Who makes what belongs to no tenant.
MAKER = "voxflow.maker"
ALL = "all"


class Database:
    """The pool of one process."""

    def __init__(self, settings: Settings) -> None:
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            settings.database,
            connection_class=psycopg.Connection[dict[str, Any]],
            min_size=1,
            max_size=settings.sessions,
            timeout=POOL_SECONDS,
            kwargs={"row_factory": dict_row},
            open=False,
        )

    def open(self) -> None:
        """Begin to hold sessions."""
        self._pool.open()
        figures.watch(self._pool)

    def close(self) -> None:
        """End them."""
        self._pool.close()

    @contextlib.contextmanager
    def for_everybody(self, within: float = POOL_SECONDS) -> Iterator[Connection]:
        """Give a transaction that sees what belongs to no tenant.

        Args:
            within: Seconds to wait for a session.
        """
        with self._pool.connection(timeout=within) as connection:
            yield connection

    @contextlib.contextmanager
    def for_maker(self, user: str) -> Iterator[Connection]:
        """Give a transaction as `for_everybody` does; what is made in it tells who made it."""
        with self._scoped(MAKER, user) as connection:
            yield connection

    @contextlib.contextmanager
    def for_tenant(self, user: str) -> Iterator[Connection]:
        """Give a transaction that sees a tenant's rows."""
        with self._scoped(TENANT, user) as connection:
            yield connection

    @contextlib.contextmanager
    def for_all_tenants(self) -> Iterator[Connection]:
        """Give a transaction that sees every tenant's rows."""
        with self._scoped(SCOPE, ALL) as connection:
            yield connection

    @contextlib.contextmanager
    def _scoped(self, name: str, value: str) -> Iterator[Connection]:
        with self._pool.connection() as connection:
            # Local to the transaction: the next one on this session says its own.
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
            yield connection


def one(cursor: psycopg.Cursor[Row]) -> Row:
    """Return the row of a statement that always has one.

    Raises:
        LookupError: It has none.
    """
    found = cursor.fetchone()
    if found is None:
        raise LookupError("a row was expected")
    return found
