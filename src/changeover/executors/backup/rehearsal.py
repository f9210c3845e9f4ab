"""The clone of a proved backup that migrations are tried on, as functions of a vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.remote.fleet import action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.backup.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A database that holds what the backup holds.

    Args:
        backup: The backup.
        database: The clone's name.
        restored: Whether the backup had to be restored for it.
        seconds: How long it took to make.
    """

    backup: str
    database: str
    restored: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a clone holds at one moment, the migration ledger left out.

    Args:
        schema: Its definitions as SQL, the same text for the same definitions.
        rows: How many rows each table has.
        fingerprints: A fingerprint of each table's content.
        sequences: The last value that each sequence gave, and its direction: 1, or -1 downwards.
    """

    schema: str
    rows: Mapping[str, int]
    fingerprints: Mapping[str, str]
    sequences: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def behind(self, before: Look) -> tuple[str, ...]:
        """Return the sequences that are not as far as before: they give the same numbers again."""
        return tuple(
            name
            for name, (last, direction) in before.sequences.items()
            if name not in self.sequences or (self.sequences[name][0] - last) * direction < 0
        )


def clone(vault: Vault, backup: str) -> tuple[Clone, Look]:
    """Make a clone of a backup, and return it with what it holds; earlier clones are dropped.

    Raises:
        BackupUnknown: There is no such backup.
        BackupDamaged: It cannot be trusted.
        DiskTooSmall: There is no room for the clone.
    """
    answers = vault.ask(
        action("backup_rehearsal", backup=backup), action("backup_rehearsed", backup=backup)
    )
    made = answers["backup_rehearsal"]
    return Clone(backup=backup, **{name: made[name] for name in Clone.__slots__[1:]}), _look(
        answers
    )


def look(vault: Vault, made: Clone) -> Look:
    """Return what the clone holds now."""
    return _look(vault.ask(action("backup_rehearsed", backup=made.backup)))


def _look(answers: Mapping[str, dict[str, Any]]) -> Look:
    found = answers["backup_rehearsed"]
    tables: dict[str, dict[str, Any]] = found["tables"]
    return Look(
        schema=found["schema"],
        rows={name: int(table["rows"]) for name, table in tables.items()},
        fingerprints={name: str(table["fingerprint"]) for name, table in tables.items()},
        sequences={
            name: (int(each["last_value"]), int(each["direction"]))
            for name, each in found["sequences"].items()
        },
    )


def live_schema(vault: Vault) -> str:
    """Return the live database's definitions as SQL, the ledger left out."""
    return str(vault.ask(action("backup_schema"))["backup_schema"]["schema"])


def withdraw(vault: Vault, backup: str) -> None:
    """Have the database's host drop what it made for a backup, and the backup unless it is proved.

    Raises:
        ChangeoverError: It cannot, or not in time.
    """
    vault.ask(action("backup_withdraw", backup=backup))


def drop(vault: Vault, made: Clone, *, keep: bool = False) -> None:
    """Drop the clone, and the restored database that it was made of unless that is to be kept."""
    vault.ask(action("backup_rehearsal_end", backup=made.backup, keep=keep))
