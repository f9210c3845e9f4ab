"""The backup actions, as functions of a vault."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING

from changeover.errors import ChangeoverError
from changeover.estimate import Estimate
from changeover.executors.backup.configuration import MEMBER, collect, encrypt
from changeover.executors.backup.cost import Price
from changeover.executors.backup.difference import Difference
from changeover.executors.backup.records import (
    Backup,
    Beside,
    BesideDue,
    Due,
    Listing,
    Proof,
    Pruned,
    Unfinished,
)
from changeover.executors.backup.restored import Restored
from changeover.remote.fleet import action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.executors.backup.vault import Event, Vault


def create(
    vault: Vault,
    backup: str,
    *,
    release: str,
    colour: str | None,
    schema_version: str,
    keep: bool = False,
) -> Backup:
    """Take a backup, put the live configuration in, and prove it by a restore beside the live one.

    Args:
        vault: Where to.
        backup: The new backup's id; one that is there already is proved again.
        release: The live version.
        colour: The live colour, whose configuration is put in; ``None`` before the first release.
        schema_version: Where the migration ledger stands.
        keep: Leave the restored database there, so that a restore takes no longer than its swap.

    Raises:
        NotEncryptable: Nobody can be told the configuration; nothing was done.
        DiskTooSmall: Nothing was written.
        BackupDamaged: What was written cannot be read back.
        BackupDiffers: What was restored is not what was dumped.
    """
    facts = {"release": release, "colour": colour or "", "schema_version": schema_version}
    requests = [action("backup_create", backup=backup, expects=[MEMBER] if colour else [], **facts)]
    if colour:
        content = base64.b64encode(encrypt(vault, collect(vault, colour))).decode()
        requests.append(
            action("backup_attach", backup=backup, member=MEMBER, content_base64=content)
        )
    requests += [action("backup_verify", backup=backup, keep=keep), action("backup_list")]
    listed = vault.ask(*requests)["backup_list"]["backups"]
    (made,) = (Backup.read(entry) for entry in listed if entry["backup"] == backup)
    return made


def list_(vault: Vault) -> Listing:
    """Return the backups that are there, and what there is beside the live database."""
    answer = vault.ask(action("backup_list"))["backup_list"]
    databases = answer["databases"]
    return Listing(
        backups=tuple(Backup.read(entry) for entry in answer["backups"]),
        databases=None if databases is None else tuple(Beside(**one) for one in databases),
        unfinished=_unfinished(answer),
    )


def verify(vault: Vault, backup: str, *, keep: bool = False) -> Proof:
    """Prove a backup again: read all of it, restore it beside the live database, compare.

    Raises:
        BackupUnknown: There is no such backup.
        BackupDamaged: A member is not as written; the message names it.
        BackupDiffers: The restored database is not the dumped one.
    """
    answer = vault.ask(action("backup_verify", backup=backup, keep=keep))
    return Proof.read(answer["backup_verify"])


def price(vault: Vault, backup: str) -> Price:
    """Return what going back to a backup would lose, before anybody does."""
    return Price.read(vault.ask(action("backup_price", backup=backup))["backup_price"])


def estimate(vault: Vault, backup: str) -> Estimate:
    """Return about what going back to a backup would lose; no table of the app's is read."""
    return Estimate.read(vault.ask(action("backup_estimate", backup=backup))["backup_estimate"])


def restore(vault: Vault, backup: str) -> Restored:
    """Make a backup the live database; the one that was live is kept under another name.

    Raises:
        BackupUnknown: There is no such backup.
        BackupDamaged: It cannot be trusted; nothing live was touched.
        BackupDiffers: Likewise.
        SwapRefused: The exchange did not happen; the live database is the one before.
        SwapUnknown: The server answers nobody, so that nobody can tell which one is live.
        RestoredBefore: A run that was cut off had made it live, and the definitions changed since.
    """
    done = Restored.read(vault.ask(action("backup_restore", backup=backup))["backup_restore"])
    # From here on it is told. Until then a re-run gives this answer again, and exchanges nothing:
    # an interrupt is raised before this, whatever the host has said.
    with contextlib.suppress(ChangeoverError):
        vault.ask(action("backup_told", backup=backup))
    return done


def _unfinished(answer: Event) -> Unfinished | None:
    found = answer.get("unfinished")
    return Unfinished(**found) if found else None


def diff(vault: Vault, database: str | None = None, *, examples: int = 0) -> Difference:
    """Compare a database beside the live one with it: rows by key, and definitions.

    Args:
        vault: Where they are.
        database: Which one; the one that a restore kept last by default.
        examples: How many keys of each kind to give by table, at most 100.

    Raises:
        DatabaseUnknown: There is no such one; the message names those that are there.
    """
    request = action("backup_diff", database=database or "", examples=examples)
    return Difference.read(vault.ask(request)["backup_diff"])


def due(vault: Vault, keep: int) -> Due:
    """Return what ``retain`` would remove, with the rows that would go."""
    answer = vault.ask(action("backup_due", keep=keep))["backup_due"]
    databases = tuple(BesideDue(**one) for one in answer["databases"])
    return Due(
        backups=tuple(answer["backups"]), databases=databases, unfinished=_unfinished(answer)
    )


def retain(vault: Vault, keep: int, agreed: Sequence[str]) -> Pruned:
    """Remove what is older than the ``keep`` newest proved backups, and say what went.

    Of the databases that restores kept, the ``keep`` newest stay as well. Nothing goes that is not
    among the names that were agreed to.
    """
    answer = vault.ask(action("backup_retain", keep=keep, agreed=list(agreed)))["backup_retain"]
    return Pruned(backups=tuple(answer["dropped"]), databases=tuple(answer["databases"]))
