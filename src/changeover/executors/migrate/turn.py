"""A runner's turn: it holds the lock, watches each statement it runs, and retries lock waits."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import random
import secrets
import time
from typing import TYPE_CHECKING, TypeVar, Unpack

import psycopg

from changeover.executors.migrate import ledger, turn_failures
from changeover.executors.migrate.blockers import Blocker, blockers_of
from changeover.executors.migrate.deadline import Deadline
from changeover.executors.migrate.queueing import Queue
from changeover.executors.migrate.runner_lock import GRACE_SECONDS, runner_lock
from changeover.executors.migrate.session import (
    ANSWER_SECONDS,
    WORK,
    answering,
    break_off,
    connect,
)
from changeover.executors.migrate.working import Working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.database import Database
    from changeover.executors.migrate.ledger import Mandate
    from changeover.executors.migrate.limits import Limits, Rehearsed, Report
    from changeover.executors.migrate.observation import Observer
    from changeover.executors.migrate.session import Connection


Result = TypeVar("Result")
WATCH_SECONDS = 0.04  # under half of the lock timeout, so that a blocker is seen before we let go
WATCH_SECONDS_MOST = 0.5
SHOW_AFTER_SECONDS = 2.0
PAUSE_SECONDS = 0.1
PAUSE_SECONDS_MOST = 2.0
CANCEL_SECONDS = 20.0
DEADLINE_SECONDS = 600.0
LOCK_TIMEOUT_MILLISECONDS = 100  # what readers may have to wait behind us


@dataclasses.dataclass(slots=True, kw_only=True)
class Turn:
    """What a runner holds while it has the database to itself.

    Args:
        database: Where it works.
        work: The session that runs the statements.
        lock: The session that holds the runner lock and looks around.
        mandate: Its right to write.
        deadline: When everything must be over.
        lock_timeout_milliseconds: How long a statement may queue for a lock, readers behind it.
        report: Receives events.
        observer: Watches what statements do, in a rehearsal.
        rehearsed: What statements took in a rehearsal.
        retries: How often a lock was not to be had.
        ended: The migrations that it has brought to their end.
        blockers: Who was seen in the way last.
        working: How long what runs now has been at work.
    """

    database: Database
    work: Connection
    lock: Connection
    mandate: Mandate
    deadline: Deadline
    lock_timeout_milliseconds: int
    report: Report
    observer: Observer | None = None
    rehearsed: Rehearsed | None = None
    retries: int = 0
    ended: list[str] = dataclasses.field(default_factory=list)
    blockers: tuple[Blocker, ...] = ()
    working: Working = dataclasses.field(default_factory=Working)
    _silent: bool = False
    _queue: Queue = dataclasses.field(default_factory=Queue)
    _thread: concurrent.futures.ThreadPoolExecutor = dataclasses.field(
        default_factory=lambda: concurrent.futures.ThreadPoolExecutor(1, "migrate")
    )

    def limit(self, *, lock_timeout: bool = True) -> None:
        """Set the session's lock and statement timeouts for what comes next."""
        self.work.execute(self.limits(lock_timeout=lock_timeout).encode())

    def limits(self, *, lock_timeout: bool = True) -> str:
        """Return the SQL that sets the session's lock and statement timeouts for what comes next."""
        lock = self.lock_timeout_milliseconds if lock_timeout else 0
        self._queue.limit_seconds = lock / 1000 if lock else None
        left = max(int(self.deadline.remaining * 1000), 1)
        return (
            f"SELECT set_config('lock_timeout', '{lock:d}ms', false),"
            f" set_config('statement_timeout', '{left:d}ms', false)"
        )

    def watched(self, action: Callable[[], Result]) -> Result:
        """Run ``action`` (on the work session) while looking at what blocks it.

        Raises:
            RunnerLockLost: The lock session died; the work was cancelled.
            DeadlinePassed: Time was up; the work was cancelled.
            ConnectionLost: The server ended the work session.
            ServerSilent: It did not answer when the work was to be cancelled.
            LockNotAvailable: The lock timeout passed, by the server's clock or by ours.
        """
        self.blockers = ()
        self._queue = Queue()
        self.working = Working()
        future = self._thread.submit(action)
        lost: psycopg.Error | None = None
        try:
            lost = self._watch(future)
        except BaseException:
            self._cancel(future)
            raise
        try:
            return future.result()
        except psycopg.errors.QueryCanceled as error:
            if lost is not None:
                raise turn_failures.lock_lost(self.database, lost) from error
            if self._queue.overstayed:
                raise psycopg.errors.LockNotAvailable(
                    "the server let the lock timeout pass"
                ) from error
            raise turn_failures.deadline_passed(
                self.database, error, self.deadline.seconds, self._in_the_way()
            ) from error
        except psycopg.OperationalError as error:
            if self._silent:
                raise turn_failures.server_silent(self.database, CANCEL_SECONDS) from error
            if self.work.broken:
                raise turn_failures.session_ended(self.database, error) from error
            raise

    def retried(self, action: Callable[[], Result], what: str) -> Result:
        """Run ``action`` watched, again and again while a lock is not to be had.

        Raises:
            TableBusy: The deadline came first; the message names who was in the way.
        """
        attempt = 0
        while True:
            try:
                return self.watched(action)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
                attempt += 1
                self.retries += 1
                self.report(
                    {
                        "type": "lock-retry",
                        "what": what,
                        "attempt": attempt,
                        "cause": str(error).strip().splitlines()[0],
                        "blockers": [blocker.as_event() for blocker in self.blockers],
                        "says": f"{what} lets others by, try {attempt}{self._in_the_way()}",
                    }
                )
                pause = min(PAUSE_SECONDS * 1.5**attempt, PAUSE_SECONDS_MOST)
                pause *= random.uniform(0.5, 1.5)  # noqa: S311 - spreads runners in time
                if pause >= self.deadline.remaining:
                    tried = f"{what} got no lock in {attempt} tries"
                    raise turn_failures.table_busy(
                        self.database, error, tried, self.deadline.seconds, self._in_the_way()
                    ) from error
                time.sleep(pause)

    def _watch(self, future: concurrent.futures.Future[Result]) -> psycopg.Error | None:
        """Look around until the work ends; return the lock session's error when that died."""
        begun = time.monotonic()
        shown = False
        pause = WATCH_SECONDS
        while True:
            concurrent.futures.wait([future], timeout=pause)
            if future.done():
                return None
            pause = min(pause * 1.2, WATCH_SECONDS_MOST)
            try:
                with answering(self.lock, ANSWER_SECONDS):
                    seen = blockers_of(self.lock, self.work.info.backend_pid)
                    if self.observer:
                        self.observer.glance(self.lock, self.work.info.backend_pid)
            except psycopg.Error as error:
                self._cancel(future)
                return error
            self.blockers = seen or self.blockers
            if seen and not shown and time.monotonic() - begun > SHOW_AFTER_SECONDS:
                shown = True
                self.report(
                    {
                        "type": "waiting",
                        "blockers": [blocker.as_event() for blocker in seen],
                        "says": f"waiting{self._in_the_way()}",
                    }
                )
            late = self.deadline.passed or self.working.overruns(waits=bool(seen))
            if late or self._queue.overstays(one.pid for one in seen):
                self._cancel(future)

    def _cancel(self, future: concurrent.futures.Future[Result]) -> None:
        """End the work; a server that does not answer is left to itself, and the session with it."""
        patience = time.monotonic() + CANCEL_SECONDS
        while not future.done() and time.monotonic() < patience:
            with contextlib.suppress(psycopg.Error):
                self.work.cancel_safe(timeout=2)
            concurrent.futures.wait([future], timeout=0.2)
        if not future.done():
            self._silent = True
            break_off(self.work)
            concurrent.futures.wait([future])

    def _in_the_way(self) -> str:
        if not self.blockers:
            return ""
        return "; in the way: " + "; ".join(blocker.sentence for blocker in self.blockers)

    def close(self) -> None:
        """Let the worker thread go."""
        self._thread.shutdown()


@contextlib.contextmanager
def take_turn(database: Database, **limits: Unpack[Limits]) -> Iterator[Turn]:
    """Wait for the runner lock, record the mandate, and give the turn.

    Args:
        database: Where to work, as the owner role.
        limits: What bounds the run.

    Raises:
        RunnerBusy: Another runner held the lock for all that time.
        RunnerFenced: A newer deployment was here.
        LedgerUnusable: The ledger cannot be made or read.
        ConnectionLost: The server ended a session.
    """
    deadline = Deadline(limits.get("deadline_seconds", DEADLINE_SECONDS))
    report = limits.get("report", lambda _event: None)
    try:
        with (
            runner_lock(database, deadline) as lock,
            _work_session(database, deadline, report) as work,
        ):
            turn = Turn(
                database=database,
                work=work,
                lock=lock,
                mandate=_mandate(lock, database, limits.get("fence")),
                deadline=deadline,
                lock_timeout_milliseconds=limits.get(
                    "lock_timeout_milliseconds", LOCK_TIMEOUT_MILLISECONDS
                ),
                report=report,
                observer=limits.get("observer"),
                rehearsed=limits.get("rehearsed"),
            )
            with contextlib.closing(turn):
                yield turn
    except psycopg.Error as error:
        raise turn_failures.untold(database, error) from error


def _mandate(lock: Connection, database: Database, fence: int | None) -> Mandate:
    ledger.prepare(lock, database)
    mandate = ledger.Mandate(fence=fence or 0, runner=secrets.token_hex(8))
    return ledger.take(lock, mandate, newest=fence is None)


@contextlib.contextmanager
def _work_session(database: Database, deadline: Deadline, report: Report) -> Iterator[Connection]:
    with connect(database, WORK) as work, answering(work, deadline.remaining + GRACE_SECONDS):
        work.add_notice_handler(lambda notice: _notice(notice, report))
        yield work


def _notice(notice: psycopg.errors.Diagnostic, report: Report) -> None:
    if notice.severity == "WARNING":
        said = notice.message_primary
        report({"type": "notice", "message": said, "says": f"the server warns: {said}"})
