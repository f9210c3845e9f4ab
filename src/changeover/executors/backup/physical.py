"""The physical backups and the archive of the log: asked for, and recovered from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover.executors.backup.cost import Price
from changeover.executors.backup.failures import told
from changeover.executors.backup.records import Proof
from changeover.fleet import action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.backup.vault import Vault

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalBackup:
    """One physical backup in the repository.

    Args:
        label: Its name in the repository.
        type: ``full``, ``differential`` or ``incremental``.
        started: When it began, UTC.
        finished: From when on any moment can be recovered, UTC.
        bytes: Size of the cluster.
        stored_bytes: What it takes in the repository.
        damaged: Whether a page of the cluster was not as its checksum says.
    """

    label: str
    type: str
    started: str
    finished: str
    bytes: int
    stored_bytes: int
    damaged: bool

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        return cls(**{name: answer[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment in the log that has a name.

    Args:
        name: The name.
        at: When, UTC.
        deployment: Which deployment named it.
        failing: Whether the log did not arrive in the repository then.
        known: Whether it had the name before it was asked for; it keeps that moment.
        before: The migration that began right after it; empty where none did.
    """

    name: str
    at: str
    deployment: str
    failing: bool
    known: bool = True
    before: str = ""

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer; a point that is listed is known."""
        return cls(**{name: answer[name] for name in cls.__slots__ if name in answer})


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What can be recovered.

    Args:
        repository: The host that keeps the repository.
        apart: Whether that is another host than the database's.
        backups: The physical backups, oldest first.
        earliest: The first moment that can be recovered, UTC; ``None`` before the first backup.
        latest: Up to when the log is in the repository, UTC; ``None`` where the server does not say.
        failing: What the archiver was refused last and when, where nothing arrives since.
        points: The named points, oldest first.
        drilled: The last drill that went well: ``drilled``, ``words``, ``at``, ``rows``, ``tables``.
        scratch_bytes: What a scratch cluster takes now; ``None`` where there is none.
    """

    repository: str
    apart: bool
    backups: tuple[PhysicalBackup, ...]
    earliest: str | None
    latest: str | None
    failing: str | None
    points: tuple[Point, ...]
    drilled: Mapping[str, Any] | None
    scratch_bytes: int | None

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        archiver = answer["archiver"] or {}
        failing = (
            f"{archiver['last_failed_wal']} was refused at {archiver['failed']}"
            if archiver.get("failing")
            else None
        )
        return cls(
            repository=answer["repository"],
            apart=answer["apart"],
            backups=tuple(PhysicalBackup.read(one) for one in answer["backups"]),
            earliest=answer["earliest"],
            latest=answer["latest"],
            failing=failing,
            points=tuple(Point.read(one) for one in answer["points"]),
            drilled=answer["drilled"],
            scratch_bytes=answer["scratch_bytes"],
        )


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
