"""Name who holds what a session waits for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.executors.migrate.session import rows

if TYPE_CHECKING:
    from changeover.executors.migrate.session import Connection

QUERY = """
    WITH blocking AS (SELECT DISTINCT unnest(pg_blocking_pids(%s)) AS pid)
    SELECT activity.pid, activity.usename, activity.application_name, activity.state,
           extract(epoch FROM clock_timestamp()
               - coalesce(activity.xact_start, activity.query_start, activity.backend_start)),
           left(regexp_replace(activity.query, '\\s+', ' ', 'g'), 200)
    FROM blocking JOIN pg_stat_activity AS activity USING (pid)
    UNION ALL
    SELECT 0, prepared.owner, 'prepared transaction', 'prepared',
           extract(epoch FROM clock_timestamp() - prepared.prepared), prepared.gid
    FROM pg_prepared_xacts AS prepared
    WHERE prepared.database = current_database() AND 0 IN (SELECT pid FROM blocking)
    ORDER BY 5 DESC
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """A session in the way.

    Args:
        pid: Its process on the server; 0 for a prepared transaction.
        user: Its role.
        application: What it calls itself.
        state: What it is doing, such as ``idle in transaction``.
        age_seconds: How long its transaction has been open.
        query: The beginning of its latest statement, where our role may see it.
    """

    pid: int
    user: str
    application: str
    state: str
    age_seconds: float
    query: str

    @property
    def sentence(self) -> str:
        """Describe it in one line."""
        called = f" ({self.application})" if self.application else ""
        return (
            f"pid {self.pid} of {self.user}{called}, {self.state or 'state hidden'},"
            f" open for {self.age_seconds:.1f} s: {self.query}"
        )

    def as_event(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return dataclasses.asdict(self)


def blockers_of(connection: Connection, pid: int) -> tuple[Blocker, ...]:
    """Return who blocks the session ``pid`` at this moment, the oldest first."""
    return tuple(
        Blocker(
            pid=found,
            user=user or "",
            application=application or "",
            state=state or "",
            age_seconds=float(age or 0),
            query=query or "",
        )
        for found, user, application, state, age, query in rows(connection, QUERY, (pid,))
    )
