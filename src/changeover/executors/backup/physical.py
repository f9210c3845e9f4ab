"""The physical backups and the archive of the log, asked for and recovered from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.executors.backup.archive import Archive, PhysicalBackup, Point
from changeover.executors.backup.cost import Price
from changeover.executors.backup.failures import told
from changeover.executors.backup.records import Proof
from changeover.remote.fleet import action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.backup.vault import Vault

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A moment was recovered on a scratch cluster, and made into a backup that is proved.

    Args:
        backup: The id of the backup.
        words: What was asked for.
        at: The moment, UTC.
        label: The physical backup it began with.
        migrations: How many migrations the ledger has ``applied`` and ``unfinished`` there; ``None``
            without a ledger.
        proof: The proof of the backup.
        price: What going back to it would lose.
    """

    backup: str
    words: str
    at: str
    label: str
    migrations: Mapping[str, int] | None
    proof: Proof
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A moment was recovered on a scratch cluster, read whole, and removed again.

    Args:
        words: What was asked for.
        at: The moment, UTC.
        label: The physical backup it began with.
        rows: Rows that were read.
        tables: Tables that were read.
        migrations: As of ``Recovered``.
        seconds: What each part took: ``recover``, ``read``.
        price: How the live database differs.
    """

    words: str
    at: str
    label: str
    rows: int
    tables: int
    migrations: Mapping[str, int] | None
    seconds: Mapping[str, float]
    price: Price


def back_up(vault: Vault, repository: str, kind: str) -> PhysicalBackup:
    """Take a physical backup on the repository's host.

    Args:
        vault: The app's backups.
        repository: The host that keeps the repository.
        kind: ``full``, or ``diff`` for what changed since the last full one.

    Raises:
        ArchiveFailing: The log does not arrive in the repository, so the backup would be of no use.
        RepositoryUnreachable, NoStanza, PassphraseWrong, PhysicalBusy: pgBackRest cannot.
    """
    vault.ask(action("backup_check"))
    with told(vault.environment):
        answer = vault.run_agent(repository, [action("backup_physical", kind=kind)])
    return PhysicalBackup.read(answer["backup_physical"])


def archive(vault: Vault) -> Archive:
    """Return what can be recovered.

    Raises:
        RepositoryUnreachable, NoStanza, PassphraseWrong: pgBackRest cannot say.
    """
    return Archive.read(vault.ask(action("backup_archive"))["backup_archive"])


def mark(vault: Vault, name: str, before: str = "") -> Point:
    """Name this moment in the log, so that it can be recovered to.

    Args:
        vault: The app's backups.
        name: The name.
        before: The migration that is about to begin, if one is.
    """
    answer = vault.ask(action("backup_point", point=name, before=before))
    return Point.read(answer["backup_point"])


def recover(vault: Vault, wanted: str, backup: str) -> Recovered:
    """Make the app's database as it was at a moment into a backup, prove it, and price it.

    The restored copy of the proof stays, so that going live takes no longer than the swap.

    Args:
        vault: The app's backups.
        wanted: A moment with its offset from UTC, or the name of a point.
        backup: The id of the new backup.

    Raises:
        MomentUnknown: It has not been yet, is before the first backup, or no point has the name.
        ArchiveFailing, DiskTooSmall: Before anything was copied.
        RecoveryFailed: The scratch cluster did not get there; nothing of it stays.
    """
    answers = vault.ask(
        action("backup_recover", at=wanted, backup=backup),
        action("backup_verify", backup=backup, keep=True),
        action("backup_price", backup=backup),
    )
    about = answers["backup_recover"]["recovered"]
    return Recovered(
        backup=backup,
        **{name: about[name] for name in ("words", "at", "label", "migrations")},
        proof=Proof.read(answers["backup_verify"]),
        price=Price.read(answers["backup_price"]),
    )


def drill(vault: Vault, wanted: str) -> Drill:
    """Recover to a moment on a scratch cluster, read every row there, and remove it.

    Args:
        vault: The app's backups.
        wanted: As for ``recover``; empty for this moment.

    Raises:
        MomentUnknown, ArchiveFailing, DiskTooSmall, RecoveryFailed: As ``recover``.
    """
    answer = vault.ask(action("backup_drill", at=wanted))["backup_drill"]
    names = ("words", "at", "label", "rows", "tables", "migrations", "seconds")
    return Drill(**{name: answer[name] for name in names}, price=Price.read(answer["price"]))
