"""What backup actions answer, as records."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A backup was restored beside the live database and found equal to its snapshot.

    Args:
        backup: Its id.
        at: When, UTC.
        rows: Rows compared.
        tables: Tables compared.
        kept: The restored database, where it was left for a quick restore.
        seconds: What each part took: ``read``, ``restore``, ``compare``.
        extensions: Those that are of another version where it is restored, each with the backup's and
            that one.
    """

    backup: str
    at: str
    rows: int
    tables: int
    kept: str | None
    seconds: Mapping[str, float]
    extensions: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        return cls(**{name: answer[name] for name in cls.__slots__ if name in answer})

    @property
    def newer(self) -> str:
        """Say which extensions are of another version where the backup is restored; empty for none."""
        told = (f"{name} {now}, not {then}" for name, (then, now) in self.extensions.items())
        return ", ".join(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that is on the database host.

    Args:
        backup: Its id.
        release: The version that was live.
        colour: The colour that was live.
        schema_version: Where the migration ledger stood.
        finished: When it was closed, UTC; empty when its manifest cannot be read.
        bytes: Its size on disk without attachments.
        rows: Rows in it.
        tables: Tables in it.
        attachments: Encrypted files in it.
        proof: Its proof, if it has one.
        damage: Why it cannot be read, if it cannot.
        recovered: What it was recovered from, where it is no dump of the live database: ``words``,
            ``at`` and ``label`` of the physical backup.
    """

    backup: str
    release: str = ""
    colour: str = ""
    schema_version: str = ""
    finished: str = ""
    bytes: int = 0
    rows: int = 0
    tables: int = 0
    attachments: tuple[str, ...] = ()
    proof: Proof | None = None
    damage: str | None = None
    recovered: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read one entry of the agent's list."""
        plain = {name: answer[name] for name in cls.__slots__ if name in answer}
        plain["attachments"] = tuple(answer.get("attachments", ()))
        proof = answer.get("proved")
        return cls(**plain, proof=Proof.read(proof) if proof else None)


def newest_before(known: Iterable[Backup], moment: dt.datetime) -> Backup | None:
    """Return the newest proved backup that was closed before a moment; both are the host's clock."""
    proved = [each for each in known if each.proof is not None and each.finished]
    before = [each for each in proved if dt.datetime.fromisoformat(each.finished) < moment]
    return max(before, key=_holds, default=None)


def newest_taken(known: Iterable[Backup]) -> Backup | None:
    """Return the newest proved backup that was taken of the live database, and not recovered."""
    taken = [each for each in known if each.proof is not None and not each.recovered]
    return max(taken, key=_holds, default=None)


def _holds(backup: Backup) -> dt.datetime:
    """Return the moment that a backup holds: a recovered one's is long before it was made."""
    held = backup.recovered["at"] if backup.recovered else backup.finished
    return dt.datetime.fromisoformat(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A database beside the live one.

    Args:
        name: Its name.
        kind: ``failed``: it was live before a restore, and has the rows that the backup does not.
            ``warm``: restored from a backup that is there. ``leftover``: from one that is gone.
            ``scratch``: made for a rehearsal or a comparison, under way or cut off.
        bytes: Its size.
        slots: Its slots of logical replication.
    """

    name: str
    kind: str
    bytes: int
    slots: tuple[str, ...] | list[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideDue(Beside):
    """A database beside the live one that retention would remove.

    Args:
        rows_lost: Its rows that the live database does not have; ``None`` where they cannot be
            counted.
        lost: The same by table: ``rows_before``, ``rows_after``, ``lost``; ``filled`` where columns that
            the backup does not have held values: by column, in how many rows.
    """

    rows_lost: int | None
    lost: Mapping[str, Mapping[str, Any]]

    @property
    def columns(self) -> str:
        """The columns that only it has, with the number of rows in which they hold values."""
        return columns_held(self.lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A restore that was begun and not finished, or that nobody heard the end of.

    Args:
        backup: To which backup.
        at: When it was begun, UTC.
        deployment: What began it.
        live: Whether the restored database is the live one; ``None`` where no server says.
    """

    backup: str
    at: str
    deployment: str
    live: bool | None

    def words(self, environment: str) -> str:
        """Return it in a sentence, with what finishes it."""
        begun = f"a restore to {self.backup} that {self.deployment} began at {self.at}"
        again = f"changeover backup restore {self.backup} --env {environment}"
        if self.live:
            return (
                f"{begun} was cut off after {self.backup} had become live: {again} counts what it left"
                " behind, and exchanges nothing again"
            )
        known = "nothing was exchanged" if self.live is False else "whether it is live is not known"
        return f"{begun} is under way or was cut off; {known}: {again} finishes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What there is to go back to, and beside the live database.

    Args:
        backups: The backups, newest first.
        databases: The databases beside the live one, oldest first; ``None`` when no server says.
        unfinished: The restore that is not finished, if there is one.
    """

    backups: tuple[Backup, ...]
    databases: tuple[Beside, ...] | None
    unfinished: Unfinished | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What retention would remove: backups by id, databases with what they hold.

    Args:
        backups: The backups.
        databases: The databases beside the live one.
        unfinished: The restore because of which none of these goes, if there is one.
    """

    backups: tuple[str, ...]
    databases: tuple[BesideDue, ...]
    unfinished: Unfinished | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return what a person agrees to."""
        return (*self.backups, *(one.name for one in self.databases))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What retention removed: backups by id, databases by name."""

    backups: tuple[str, ...]
    databases: tuple[str, ...]


def columns_held(lost: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which columns only a database that is left has, and in how many rows they hold values."""
    return ", ".join(
        f"{table}.{column} ({counted(rows, 'row')})"
        for table, facts in lost.items()
        for column, rows in facts.get("filled", {}).items()
    )


def slots_stay(slots: Iterable[str], kept: str) -> str:
    """Say what becomes of logical replication slots when their database is exchanged."""
    names = ", ".join(slots)
    return (
        f"logical replication slots stay with {kept}: {names}. What reads from them gets nothing of the"
        " live database, and the server keeps its log for them until they are dropped: make them anew"
        " on the live one, then drop those"
    )
