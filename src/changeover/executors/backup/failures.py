"""How backups fail, in the words and exit codes of the rest."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from changeover.errors import (
    ChangeoverError,
    CheckRed,
    Failed,
    InvalidInput,
    LockHeld,
    Mixed,
)
from changeover.remote.failures import AgentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator


class BackupDamaged(CheckRed):
    """A member of the backup is not as it was written."""


class BackupDiffers(CheckRed):
    """The restored database does not hold what the dump's snapshot held."""


class DiskTooSmall(CheckRed):
    """The dump, or the restore beside the live database, would fill the disk."""


class RowTooLarge(CheckRed):
    """A row is over 1 GB as text, which PostgreSQL does not write: no dump can hold it."""


class BackupUnknown(InvalidInput):
    """There is no such backup, or its name cannot be one."""


class DatabaseUnknown(InvalidInput):
    """There is no such database beside the live one."""


class NotEncryptable(InvalidInput):
    """The environment names nobody to encrypt the configuration to, or somebody unusable."""


class NotOpened(InvalidInput):
    """The identity does not open the backup's configuration."""


class SwapRefused(Failed):
    """The restored database could not take the live one's place; the live one is as it was."""


class SwapUnknown(Mixed):
    """The server went away during the exchange: nobody can tell which database is live."""


class BackupNotRestored(CheckRed):
    """The backup can be read, and cannot be restored on this server as it is."""


class ToolStopped(Failed):
    """A program of PostgreSQL's ended in a way that says nothing of the backup."""


class BackupBusy(LockHeld):
    """Another backup, proof or restore of the app is under way on the host."""


class ToolsUnfit(CheckRed):
    """PostgreSQL's own programs are not installed there, or are older than the server."""


class NoDatabase(CheckRed):
    """Provision gave the app no database on the host that is asked about its backups."""


class OnStandby(CheckRed):
    """The server is a standby, which takes no backup of its own."""


class BackupUnreadable(CheckRed):
    """The backup was written by an agent whose form this one does not know."""


class StatementRefused(Failed):
    """The server refused a statement of the agent's, or did not end it in time."""


class RehearsalGone(Failed):
    """The rehearsal's clone was dropped by somebody else while it was used."""


class RestoredBefore(Failed):
    """A restore to this backup that was cut off is finished, and the database was changed since."""


class NoArchive(InvalidInput):
    """No archive of the log is set up, so there are no physical backups and no moments."""


class MomentUnknown(InvalidInput):
    """The moment has not been yet, is before the first physical backup, or no point has the name."""


class PointTaken(InvalidInput):
    """Another app of the cluster has a point of that name."""


class RepositoryUnreachable(CheckRed):
    """The host of the repository does not answer pgBackRest."""


class NoStanza(CheckRed):
    """The repository does not know the cluster."""


class PassphraseWrong(CheckRed):
    """The repository was encrypted with another passphrase."""


class ArchiveFailing(CheckRed):
    """The log of the database does not arrive in the repository."""


class PhysicalBusy(LockHeld):
    """pgBackRest is at another backup of the cluster."""


class RecoveryFailed(CheckRed):
    """A moment could not be recovered on the scratch cluster; the live one was not touched."""


_MOMENTS = "changeover backup list --env {env} shows the moments and points there are"
_AGAIN = "changeover provision --env {env}"
_ANOTHER = "changeover backup list --env {env} shows the proved ones; changeover backup create"
_STOPPED = (
    "correct the cause, or see journalctl -k on {host} for what ended it, then run this again"
)
_SERVER = (
    "correct the cause on {host} (its PostgreSQL log says more), then run this again;"
    " changeover backup list --env {env} finishes what was begun"
)
_LEAVES: dict[str, tuple[type[ChangeoverError], str]] = {
    "backup-damaged": (BackupDamaged, _ANOTHER),
    "backup-differs": (BackupDiffers, _ANOTHER),
    "restore-failed": (
        BackupNotRestored,
        f"correct the cause on {{host}}, then: changeover backup verify BACKUP; or {_ANOTHER}",
    ),
    "backup-busy": (BackupBusy, "wait for it to end, then run this again"),
    "tool-missing": (ToolsUnfit, f"{_AGAIN} installs them on {{host}}, then run this again"),
    "no-database": (NoDatabase, f"{_AGAIN} makes it on {{host}}, then run this again"),
    "tool-older": (ToolsUnfit, "install the server's own version on {host}, then run this again"),
    "tool-unknown": (ToolsUnfit, "look at the program on {host}, then run this again"),
    "standby": (OnStandby, "put the primary into group db, then run this again"),
    "backup-format": (BackupUnreadable, f"use the version that made it; or {_ANOTHER}"),
    "query-failed": (StatementRefused, _SERVER),
    "query-slow": (StatementRefused, _SERVER),
    "rehearsal-gone": (RehearsalGone, "run this again: it makes a new clone"),
    "roles-missing": (
        BackupNotRestored,
        (
            "make them again on {host}, without a login: CREATE ROLE ... NOLOGIN; then:"
            " changeover backup verify BACKUP --env {env}"
        ),
    ),
    "tool-failed": (ToolStopped, _STOPPED),
    "tool-slow": (ToolStopped, _STOPPED),
    "disk-too-small": (DiskTooSmall, "make room on {host}, then run this again"),
    "tablespace-missing": (BackupDiffers, "make that tablespace on {host}, then run this again"),
    "value-too-large": (
        RowTooLarge,
        "find the value with max(pg_column_size(...)), and keep it in parts of less than 500 MB",
    ),
    "disk-full": (DiskTooSmall, "make room on {host}, then run this again"),
    "backup-unknown": (BackupUnknown, "changeover backup list --env {env}"),
    "backup-name": (BackupUnknown, "changeover backup list --env {env}"),
    "side-unknown": (DatabaseUnknown, "changeover backup list --env {env} names them"),
    "prepared-transactions": (
        SwapRefused,
        "commit or roll back the prepared transactions on {host}, then run this again",
    ),
    "swap-failed": (SwapRefused, "correct the cause, then run this again"),
    "swap-unknown": (
        SwapUnknown,
        (
            "start PostgreSQL on {host}, then: changeover backup list --env {env}, which opens the"
            " database and says what is live"
        ),
    ),
    "restored-before": (
        RestoredBefore,
        "run this again to go back to it once more; changeover db diff --env {env} compares the two",
    ),
    "no-archive": (
        NoArchive,
        (
            "put a host into group backup and set changeover_repository.passphrase, then:"
            " changeover provision --env {env}"
        ),
    ),
    "no-physical-backup": (MomentUnknown, "changeover backup create --physical --env {env}"),
    "point-taken": (PointTaken, "choose another name, with the app's own in it"),
    "target-future": (MomentUnknown, _MOMENTS),
    "target-too-early": (MomentUnknown, _MOMENTS),
    "target-unknown": (MomentUnknown, _MOMENTS),
    "repository-unreachable": (
        RepositoryUnreachable,
        (
            "start the host and its unit pgbackrest, or open the firewall between the two:"
            " changeover provision --env {env}; then run this again"
        ),
    ),
    "no-stanza": (NoStanza, f"{_AGAIN} makes it, then: changeover backup create --physical"),
    "passphrase-wrong": (
        PassphraseWrong,
        (
            "write the passphrase that the repository was made with into changeover_repository of vault.yml,"
            " then: changeover provision --env {env}"
        ),
    ),
    "archive-failing": (
        ArchiveFailing,
        (
            f"correct the cause, then: {_AGAIN}, which tries the archive; until then the log"
            " waits on the database's host"
        ),
    ),
    "physical-busy": (PhysicalBusy, "wait for it to end, then run this again"),
    "physical-crashed": (RecoveryFailed, "dmesg and /var/log/pgbackrest on {host} say more"),
    "physical-failed": (RecoveryFailed, "/var/log/pgbackrest on {host} says more"),
    "server-older": (RecoveryFailed, "PostgreSQL 13 and later can be recovered by this"),
    "target-unreached": (RecoveryFailed, _MOMENTS),
    "recovery-failed": (RecoveryFailed, "changeover backup drill --env {env} tries it again"),
    "settings-differ": (SwapRefused, "compare the grants of both databases on {host}"),
}


@contextlib.contextmanager
def told(environment: str) -> Iterator[None]:
    """Turn what the agent says about backups into this project's errors; others pass.

    Args:
        environment: The environment's name, for the next command.
    """
    try:
        yield
    except AgentFailed as error:
        if error.error not in _LEAVES:
            raise
        leaf, hint = _LEAVES[error.error]
        raise leaf(
            error.message,
            hint=hint.format(env=environment, host=error.host or "the database host"),
            host=error.host,
            cause=error.cause,
        ) from error
