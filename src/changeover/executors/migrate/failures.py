"""How running migrations can fail, each a fact with its own exit code and next step."""

from __future__ import annotations

from changeover.errors import CheckRed, Failed, InvalidInput, LockHeld


class DatabaseUnreachable(CheckRed):
    """Nothing answers where the database should be."""


class DatabaseRefused(CheckRed):
    """The server answered and let us not in: wrong password, unknown database, no hba line."""


class DatabaseFull(CheckRed):
    """The server, the database or the role has no connection left."""


class DatabaseStarting(CheckRed):
    """The server is up and lets nobody in yet: starting, recovering or shutting down."""


class ServerTooOld(CheckRed):
    """The server is older than PostgreSQL 13."""


class ServerIsStandby(CheckRed):
    """The server is a read-only standby."""


class PoolerBetween(CheckRed):
    """A connection pooler stands between us and the server."""


class LedgerUnusable(CheckRed):
    """The ledger cannot be made or read: missing rights, or written by a newer version."""


class MigrationEdited(InvalidInput):
    """A migration that was applied has another content now."""


class MigrationMissing(InvalidInput):
    """The ledger knows a migration that the release's folder lacks."""


class PhaseSkipped(InvalidInput):
    """A phase was asked for while an earlier one is not done."""


class RevertMissing(InvalidInput):
    """A migration to be undone has no revert file."""


class NewerApplied(InvalidInput):
    """Migrations of another release were applied after the ones to be undone."""


class RunnerBusy(LockHeld):
    """Another runner is migrating this database."""


class RunnerFenced(LockHeld):
    """A newer deployment has taken this database over."""


class RunnerLockLost(Failed):
    """The session that held the runner lock is gone."""


class TableBusy(Failed):
    """A lock was not to be had before the deadline."""


class DeadlinePassed(Failed):
    """A statement was still running at the deadline and was cancelled."""


class ServerSilent(Failed):
    """The server answers neither a statement nor its cancellation; it may still be at work on it."""


class ConnectionLost(Failed):
    """The server ended the session in the middle."""


class StatementFailed(Failed):
    """PostgreSQL refused a statement; its transaction was rolled back."""


class SlowerThanRehearsed(Failed):
    """A statement ran far longer than in its rehearsal and was cancelled; its transaction was rolled back."""


class VerifyFailed(Failed):
    """A verify query did not come out true; the migration's transaction was rolled back."""


class DataCheckFailed(Failed):
    """A data check did not hold; the transaction that it was taken in was rolled back."""


class IndexForeign(Failed):
    """An invalid index that we did not start stands in the way."""


class IndexDiffers(Failed):
    """An index of that name exists with another definition."""
