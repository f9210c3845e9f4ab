"""When a backfill pauses: for who waits behind it, for autovacuum, for a replica that is behind."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import psycopg

from changeover.counts import counted
from changeover.executors.migrate import turn_failures
from changeover.executors.migrate.failures import DeadlinePassed
from changeover.executors.migrate.session import ANSWER_SECONDS, answering

if TYPE_CHECKING:
    from changeover.executors.migrate.turn import Turn
    from changeover.migrations.records import Batch

LOOK_SECONDS = 0.5
# Autovacuum begins at a fifth of the rows by default; twice that and the table outgrows its room.
DEAD_SHARE = 0.4
DEAD_ROWS_LEAST = 50_000  # fewer are gone within a second or two
RESUMED_AT = 0.5  # of the bound on lag: resumed just under it, the next batch would pause again
SAME_PAUSE_SECONDS = 10.0  # on a busy table somebody waits every now and then: that is told once
SIGNS = """
    WITH walked AS (
        SELECT to_regclass(%(table)s)::oid AS oid
        UNION SELECT relid::oid FROM pg_partition_tree(to_regclass(%(table)s))),
    behind AS (
        SELECT coalesce(application_name, '') AS name, extract(epoch FROM replay_lag) AS seconds
        FROM pg_stat_replication
        WHERE state IN ('streaming', 'catchup') AND replay_lag > make_interval(secs => %(lag)s)
            AND replay_lsn < pg_current_wal_lsn()
        ORDER BY replay_lag DESC LIMIT 1)
    SELECT (SELECT name FROM behind), (SELECT seconds FROM behind),
        (SELECT sum(pg_stat_get_dead_tuples(oid)) FROM walked),
        (SELECT held.pid FROM pg_locks AS held
            JOIN walked ON walked.oid = held.relation JOIN pg_stat_activity AS worker USING (pid)
            WHERE held.granted AND held.mode = 'ShareUpdateExclusiveLock'
                AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND worker.usesysid IS NULL LIMIT 1),
        (SELECT count(*) FROM pg_stat_replication WHERE state IS NULL)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a backfill pauses.

    Args:
        kind: ``lock-waits``, ``autovacuum`` or ``replica-lag``.
        says: The facts, in words.
    """

    kind: str
    says: str


class Pressure:
    """Looks around between batches, on the session that holds the runner lock.

    Args:
        turn: The runner's turn.
        name: Id of the migration.
        batch: The declaration, with its bounds.
        table: The table as SQL.
        rows: How many rows it has, about.
    """

    def __init__(self, turn: Turn, name: str, batch: Batch, table: str, rows: int) -> None:
        self._turn = turn
        self._name = name
        self._table = table
        self._lag = batch.lag_seconds
        share = max(DEAD_ROWS_LEAST, int(rows * DEAD_SHARE))
        self._dead = share if batch.dead_rows is None else batch.dead_rows
        self._looked = 0.0
        self._gave_way = float("-inf")
        self._hidden_told = False

    def wait(self) -> None:
        """Pause while autovacuum or a replica needs it; returns at once where none does.

        Raises:
            DeadlinePassed: It still did when the run's time was up.
            RunnerLockLost: The lock session died.
        """
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        begun = time.monotonic()
        told: Reason | None = None
        while reason := self._look(self._lag if told is None else self._lag * RESUMED_AT):
            if told is None or reason.kind != told.kind:
                self._tell(reason)
            told = reason
            self._rest(LOOK_SECONDS, reason)
        if told is not None:
            self._tell_end(told, time.monotonic() - begun)

    def give_way(self, waiting: int, seconds: float) -> None:
        """Rest after a batch that others waited behind, for as long as it kept them waiting.

        Args:
            waiting: How many sessions waited for its locks.
            seconds: How long it held them.

        Raises:
            DeadlinePassed: The run's time was up.
        """
        if not waiting:
            return
        waited = counted(waiting, "session")
        reason = Reason(kind="lock-waits", says=f"{waited} waited behind its locks")
        now = time.monotonic()
        if now - self._gave_way > SAME_PAUSE_SECONDS:
            self._tell(reason)
        self._gave_way = now
        self._rest(seconds, reason)

    def _look(self, lag: float) -> Reason | None:
        self._looked = time.monotonic()
        connection = self._turn.lock
        try:
            with answering(connection, ANSWER_SECONDS):
                found = connection.execute(SIGNS, {"table": self._table, "lag": lag}).fetchone()
        except psycopg.Error as error:
            raise turn_failures.lock_lost(self._turn.database, error) from error
        replica, behind, dead, worker, hidden = found or (None, None, None, None, 0)
        self._tell_hidden(hidden)
        if behind is not None:
            return Reason(
                kind="replica-lag",
                says=f"replica {replica} is {behind:.1f} s behind, at most {self._lag:.0f} s"
                " are allowed",
            )
        if worker is not None and dead is not None and dead > self._dead:
            return Reason(
                kind="autovacuum",
                says=f"autovacuum (pid {worker}) is at {self._table}, which has {dead} dead rows,"
                f" more than {self._dead}",
            )
        return None

    def _rest(self, seconds: float, reason: Reason) -> None:
        deadline = self._turn.deadline
        time.sleep(min(seconds, deadline.remaining))
        if deadline.passed:
            raise DeadlinePassed(
                f"{self._name} was still paused after {deadline.seconds:.0f} s: {reason.says}",
                host=self._turn.database.shown_host,
                hint="run the same command again when that is over: it continues where this stopped",
            )

    def _tell(self, reason: Reason) -> None:
        self._turn.report(
            {
                "type": "batch-pause",
                "migration": self._name,
                "reason": reason.kind,
                "says": f"{self._name} pauses: {reason.says}",
            }
        )

    def _tell_end(self, reason: Reason, seconds: float) -> None:
        self._turn.report(
            {
                "type": "batch-resume",
                "migration": self._name,
                "reason": reason.kind,
                "seconds": round(seconds, 1),
                "says": f"{self._name} goes on after {seconds:.1f} s",
            }
        )

    def _tell_hidden(self, hidden: int) -> None:
        if not hidden or self._hidden_told:
            return
        self._hidden_told = True
        user = self._turn.database.user
        said = f"{user} may not see how far replicas are behind: GRANT pg_read_all_stats TO {user}"
        self._turn.report({"type": "notice", "message": said, "says": said})
